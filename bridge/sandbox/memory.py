"""What the sandbox remembers: recent events whole, every key in a few bytes, and counts of everything; and its clock.

A key costs its own text plus about 130 bytes, so that tens of millions fit: one entry in a dict from the key to its row,
and eight bytes of digest. Times are kept once for all keys of one millisecond. What only repeated keys need is kept beside,
for those alone. The clock is real time, moved forward on request, so that 24 hours pass in a test.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import blake2b
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple

from bridge.sandbox.answers import CallCounts, Refusal

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
    counts: CallCounts
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

    def note_call(
        self, path: str, status: int, events: int, counts: CallCounts, fault: str | None, monotonic: float
    ) -> None:
        """A call, when what will be answered is known."""
        self._calls += 1
        self.by_call[path, status] += 1
        self.not_applied += counts.not_applied
        if fault is not None:
            self.by_fault[fault] += 1
        self.calls.append(CallNote(self._calls, self._clock.now_ms(), monotonic, path, status, events, counts, fault))

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


class Taken(IntEnum):
    """How an event that passed every check was taken."""

    NEW = 0
    AGAIN = 1
    """Its key was known, but 24 hours had passed: accepted anew."""
    IDENTICAL = 2
    """A repeat inside the window with the same bytes: answered as accepted, not applied."""
    DIFFERENT = 3
    """A repeat inside the window with other bytes: answered as accepted, not applied."""


class KeyFacts(NamedTuple):
    """All that is known of one key. Times are milliseconds of the sandbox's clock."""

    key: str
    times: int
    """How often it came and passed every check."""
    accepted: int
    identical: int
    different: int
    first_ms: int
    last_ms: int
    digest: str
    """Of the body accepted last, by `digest_text`."""
    bytes_differ: bool
    """Whether any two bodies that came with this key differed."""


class _Repeats:
    """What a key that came more than once needs to have counted."""

    __slots__ = ("accepted_ms", "counts", "differ", "first_ms", "last_ms")

    def __init__(self, first_ms: int) -> None:
        self.counts = [1, 0, 0, 0]
        self.differ = False
        self.first_ms = first_ms
        self.accepted_ms = first_ms
        """When it was accepted last: where the window begins."""
        self.last_ms = first_ms


def digest(body: bytes) -> bytes:
    """Eight bytes of BLAKE2b over an event's whole body: enough to tell whether two bodies differ."""
    return blake2b(body, digest_size=8).digest()


def digest_text(body: bytes) -> str:
    """The digest as `keys` shows it, for tests that compute what they expect."""
    return digest(body).hex()


class KeyBook:
    """The keys of one workspace. One thread."""

    __slots__ = ("_digests", "_latest_ms", "_repeats", "_rows", "_since_ms", "_since_row", "_window_ms")

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._rows: dict[bytes, int] = {}
        self._since_row = array("Q")
        """Rows from `_since_row[i]` on, up to the next one, were new at `_since_ms[i]`."""
        self._since_ms = array("Q")
        self._latest_ms = -1
        self._digests = array("Q")
        self._repeats: dict[int, _Repeats] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, key: bytes, body: bytes, now_ms: int) -> tuple[Taken, int]:
        """Note an event under its key; the row identifies the key and is what `message_id` is made of."""
        rows = self._rows
        number = int.from_bytes(blake2b(body, digest_size=8).digest(), "big")
        fresh = len(rows)
        row = rows.setdefault(key, fresh)
        if row == fresh:
            self._digests.append(number)
            if now_ms != self._latest_ms:
                self._latest_ms = now_ms
                self._since_row.append(row)
                self._since_ms.append(now_ms)
            return Taken.NEW, row
        return self._repeat(row, number, now_ms), row

    def facts(self, key: bytes) -> KeyFacts | None:
        """What is known of one key."""
        row = self._rows.get(key)
        return None if row is None else self._facts(key, row)

    def all(self) -> Iterator[KeyFacts]:
        """Every key known at this moment, oldest first; keys may be taken while it is being read."""
        return (self._facts(key, row) for row, key in enumerate(list(self._rows)))

    def _first_ms(self, row: int) -> int:
        return self._since_ms[bisect_right(self._since_row, row) - 1]

    def _repeat(self, row: int, number: int, now_ms: int) -> Taken:
        seen = self._repeats.get(row)
        if seen is None:
            seen = self._repeats[row] = _Repeats(self._first_ms(row))
        same = number == self._digests[row]
        kind = Taken.IDENTICAL if same else Taken.DIFFERENT
        if now_ms - seen.accepted_ms >= self._window_ms:
            kind = Taken.AGAIN
            seen.accepted_ms = now_ms
            self._digests[row] = number
        seen.counts[kind] += 1
        seen.last_ms = now_ms
        seen.differ = seen.differ or not same
        return kind

    def _facts(self, key: bytes, row: int) -> KeyFacts:
        shown = f"{self._digests[row]:016x}"
        seen = self._repeats.get(row)
        if seen is None:
            at = self._first_ms(row)
            return KeyFacts(key.decode(), 1, 1, 0, 0, at, at, shown, bytes_differ=False)
        new, again, identical, different = seen.counts
        count = new + again + identical + different
        return KeyFacts(
            key.decode(), count, new + again, identical, different, seen.first_ms, seen.last_ms, shown, seen.differ
        )


class Clock:
    """Real time plus what it was moved by. One thread."""

    __slots__ = ("_ahead_ms",)

    def __init__(self) -> None:
        self._ahead_ms = 0

    @property
    def ahead_seconds(self) -> float:
        """How far it was moved in all."""
        return self._ahead_ms / 1000

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def advance(self, seconds: float) -> None:
        """Move it forward; never back, since a later acceptance must not look earlier."""
        self._ahead_ms += int(seconds * 1000)

    def reset(self) -> None:
        """Back to real time; whoever does this forgets what was accepted."""
        self._ahead_ms = 0


def stamp(milliseconds: int) -> str:
    """A moment as people and JSON readers take it: ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Load:
    """Calls being answered at this moment, and the most there were."""

    __slots__ = ("most", "now", "since")

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.since = time.monotonic()

    def __enter__(self) -> None:
        """A call came."""
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It was answered, or its client left."""
        self.now -= 1
