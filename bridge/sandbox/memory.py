"""What the sandbox remembers: recent events whole, every key in a few bytes, and counts of everything."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from bridge.sandbox.answers import Refusal, Tally
from bridge.sandbox.clock import Clock
from bridge.sandbox.keybook import KeyBook, Taken

KEPT_EVENTS: Final = 10_000
KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bodies kept whole never take more than this, however large the events: the oldest go first."""
KEPT_CALLS: Final = 10_000
KEPT_REFUSALS: Final = 1_000
NAMES: Final = 10_000
"""Distinct event names counted one by one; all further ones are counted as `(other)`."""


class Kept(NamedTuple):
    """An event that passed every check, whole."""

    number: int
    taken: Taken
    key: str | None
    event: str
    distinct_id: str
    workspace: str
    at_ms: int
    body: bytes


class Refused(NamedTuple):
    """An event that was refused on its own, in a bulk call or a single one."""

    key: str | None
    event: str | None
    distinct_id: str | None
    at_ms: int
    why: Refusal


class CallNote(NamedTuple):
    """One call to the event API. `status` is 0 where no status line was sent."""

    number: int
    at_ms: int
    monotonic: float
    path: str
    status: int
    events: int
    tally: Tally
    fault: str | None


class Memory:
    """One thread. Events are told apart by their number, which grows with each one taken."""

    def __init__(self, clock: Clock, window_seconds: float) -> None:
        self._clock = clock
        self._window_ms = int(window_seconds * 1000)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the clock."""
        self.books: dict[str, KeyBook] = {}
        self.kept: deque[Kept] = deque()
        self.calls: deque[CallNote] = deque(maxlen=KEPT_CALLS)
        self.refusals: deque[Refused] = deque(maxlen=KEPT_REFUSALS)
        self.by_call: Counter[tuple[str, int]] = Counter()
        self.by_event: Counter[str] = Counter()
        self.by_workspace: Counter[str] = Counter()
        self.by_refusal: Counter[tuple[int, str]] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.taken = [0, 0, 0, 0]
        self.without_key = 0
        self.not_applied = 0
        self._calls = 0
        self._number = 0
        self._bytes = 0

    def book(self, workspace: str) -> KeyBook:
        """The keys of a workspace; keys of two workspaces do not meet (their scope is unknown, contract §6)."""
        book = self.books.get(workspace)
        if book is None:
            book = self.books[workspace] = KeyBook(self._window_ms)
        return book

    def keep(self, batch: list[Kept]) -> None:
        """Events of one call that passed every check; `number` is set here."""
        kept = self.kept
        for event in batch:
            self._bytes += len(event.body)
            self.taken[event.taken] += 1
        kept.extend(batch)
        while len(kept) > KEPT_EVENTS or self._bytes > KEPT_BYTES:
            self._bytes -= len(kept.popleft().body)
        fresh = [event for event in batch if event.taken <= Taken.AGAIN]
        if fresh:
            self._count(fresh)

    def next_numbers(self, count: int) -> int:
        """The first of `count` new event numbers."""
        first = self._number + 1
        self._number += count
        return first

    def refuse(self, event: object, why: Refusal) -> None:
        """An event that was refused."""
        fields = event if isinstance(event, dict) else {}
        key, name, recipient = (_text(fields.get(field)) for field in ("$idempotency_key", "event", "distinct_id"))
        self.refusals.append(Refused(key, name, recipient, self._clock.now_ms(), why))
        self.by_refusal[why.status_code, why.type] += 1

    def note_call(self, path: str, status: int, events: int, tally: Tally, fault: str | None, monotonic: float) -> None:
        """A call, when what will be answered is known."""
        self._calls += 1
        self.by_call[path, status] += 1
        self.not_applied += tally.not_applied
        if fault is not None:
            self.by_fault[fault] += 1
        self.calls.append(CallNote(self._calls, self._clock.now_ms(), monotonic, path, status, events, tally, fault))

    def keys(self) -> int:
        """How many keys are known."""
        return sum(map(len, self.books.values()))

    def recent(self, after: int = 0) -> Iterator[Kept]:
        """Kept events with a number beyond `after`, oldest first."""
        first = self.kept[0].number if self.kept else 0
        return islice(self.kept, max(0, after + 1 - first), None)

    def _count(self, fresh: list[Kept]) -> None:
        names = self.by_event
        for event in fresh:
            name = event.event if event.event in names or len(names) < NAMES else "(other)"
            names[name] += 1
            if event.key is None:
                self.without_key += 1
        self.by_workspace[fresh[0].workspace] += len(fresh)


def _text(value: object) -> str | None:
    return value[:1000] if isinstance(value, str) else None
