"""What happened that a person would want to read about: kept until the log takes it. Pure."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

Fact = str | int | float | None


class Entry(NamedTuple):
    """One line to be: the log event's stable name (`observe.events`), its level, its facts. Never a payload."""

    event: str
    level: str
    facts: dict[str, Fact]


class Journal:
    """Bounded: what nobody takes is dropped, oldest first. Written by the delivery thread alone, once per call at most."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=1_000)

    def note(self, event: str, level: str = "info", **facts: Fact) -> None:
        """Write one line."""
        self._entries.append(Entry(event, level, facts))

    def take(self) -> list[Entry]:
        """Everything written since the last call."""
        entries = list(self._entries)
        self._entries.clear()
        return entries
