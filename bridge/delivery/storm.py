"""The guard against a storm: too many events of one rule for one recipient, in the records' own time. Pure.

A catch-up after a long stop is no storm, since its records are as far apart as they ever were. Counts live in the
process and are bounded: whoever was not heard of for longest is forgotten first, and may then get more, not less.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from bridge.flow import Event

MOST_AHEAD_MS = 86_400_000
"""A record's time that is further ahead of the clock is none (microseconds, say): the clock is taken instead."""
MOST_KEPT = 200_000
"""Events remembered in all, some 100 bytes each."""


@dataclass(frozen=True, slots=True)
class StormLimits:
    """More than `events` for one recipient and rule within `per_ms` are too many."""

    events: int
    per_ms: int
    action: Literal["dead_letter", "hold"] = "dead_letter"


class StormGuard:
    """Used by the delivery thread alone."""

    __slots__ = ("_kept", "_limits", "_most", "_seen")

    def __init__(self, limits: StormLimits, most: int = MOST_KEPT) -> None:
        self._limits = limits
        self._most = most
        self._kept = 0
        self._seen: OrderedDict[tuple[str, str], list[tuple[int, int]]] = OrderedDict()
        """By rule and recipient what was let through, as (time, hash of the key), ascending."""

    def admits(self, event: Event, at_ms: int) -> bool:
        """Whether the event may go out; `at_ms` is its record's time. One that was let through before always may.

        A record is mapped again after a reload, or when it was given back: it must not count twice.
        """
        whom = (event.rule, event.recipient)
        entry = (at_ms, hash(event.key))
        seen = self._seen.get(whom)
        if seen is None:
            seen = self._seen[whom] = []
        self._seen.move_to_end(whom)
        place = bisect_right(seen, entry)
        if place and seen[place - 1] == entry:
            return True
        since = bisect_right(seen, (at_ms - self._limits.per_ms, 1 << 63))
        until = bisect_right(seen, (at_ms, 1 << 63))
        if until - since >= self._limits.events:
            return False
        insort(seen, entry)
        self._kept += 1
        self._trim(seen, at_ms)
        return True

    def _trim(self, seen: list[tuple[int, int]], at_ms: int) -> None:
        """Let go of what can matter no more (partitions may be twice the span apart), and of the longest unheard.

        Counted from the record at hand: from the newest, one whose clock is ahead would make all later ones forgotten.
        """
        old = bisect_right(seen, (at_ms - 2 * self._limits.per_ms, 1 << 63))
        if old:
            del seen[:old]
            self._kept -= old
        while self._kept > self._most and len(self._seen) > 1:
            self._kept -= len(self._seen.popitem(last=False)[1])

    def reset(self) -> None:
        """Begin to count anew: somebody looked at it and said go on."""
        self._seen.clear()
        self._kept = 0
