"""What happened that a person would want to read about: kept until the log takes it. Pure."""

from __future__ import annotations

import traceback
from collections import deque
from typing import NamedTuple

Fact = str | int | float | tuple[str, ...] | bytes | None
MOST_OF_A_KIND = 2_000
MOST_PAYLOADS = 50
LARGEST_PAYLOAD = 16_384
MOST_FRAMES = 20


class Entry(NamedTuple):
    """One line to be: the log event's stable name (`observe.events`), its level, its facts.

    A payload stands under `payload` and nowhere else, and only where that was asked for.
    """

    event: str
    level: str
    facts: dict[str, Fact]


def trace_of(error: BaseException) -> str:
    """Where an exception came from: code lines and its type. Never its text, which may quote a record."""
    lines = traceback.format_tb(error.__traceback__, limit=-MOST_FRAMES)
    return "".join([*lines, type(error).__qualname__])


class Journal:
    """Bounded: of each kind so many are kept until they are taken, the others counted.

    One thread writes it, another may take from it.
    """

    __slots__ = ("_before", "_entries", "_kept", "_left_out", "payloads", "sent")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._kept: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._before: dict[str, int] = {}
        """What was left out until the last `take`; told by the next one, when the writer has let go of it."""
        self.payloads = False
        """Payloads of what is refused or dead-lettered were asked for."""
        self.sent = False
        """So was each event that goes out."""

    def note(self, event: str, level: str = "info", **facts: Fact) -> None:
        """Write one line."""
        if self._room(event, MOST_OF_A_KIND):
            self._entries.append(Entry(event, level, facts))

    def show(self, what: str, payload: bytes | None, **facts: Fact) -> None:
        """Write what a record or an event holds, up to `LARGEST_PAYLOAD` bytes; nothing unless that was asked for."""
        if self.payloads and self._room("payload", MOST_PAYLOADS):
            size = len(payload or b"")
            held: dict[str, Fact] = {"payload": payload} if size <= LARGEST_PAYLOAD else {}
            self._entries.append(Entry("payload", "info", {"what": what, **facts, "size": size, **held}))

    def _room(self, event: str, most: int) -> bool:
        kept, left_out = self._kept, self._left_out
        count = kept.get(event, 0)
        if count >= most:
            left_out[event] = left_out.get(event, 0) + 1
            return False
        kept[event] = count + 1
        return True

    def take(self) -> list[Entry]:
        """Everything written since the last call, and how many of a kind were left out before that."""
        told, self._before, self._left_out = self._before, self._left_out, {}
        self._kept = {}
        taken = []
        while self._entries:
            taken.append(self._entries.popleft())
        return [*taken, *(Entry("left_out", "warning", {"kind": event, "count": n}) for event, n in told.items())]
