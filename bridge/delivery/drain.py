"""Drains: a partition is taken away, so finish what was handed over and let go of the rest. Pure.

The order is drain → commit → fence: the Kafka thread commits when every `Drained` is there, and only then is the
assignment gone. Sent without linger: every record below the highest offset that was handed over, so that what is
finished is contiguous; what is above is released.
"""

from __future__ import annotations

from collections import deque

from bridge.delivery.batch import Flight
from bridge.delivery.batch_builder import Placer
from bridge.delivery.batcher import LaneOf
from bridge.delivery.calls import Calls
from bridge.delivery.dead_letters import Refusals
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Fan, Partition
from bridge.flow import Record


class Drains:
    """Used by the delivery thread alone."""

    def __init__(self, placer: Placer, calls: Calls, refusals: Refusals, lane_of: LaneOf, holds: Holds) -> None:
        self._placer = placer
        self._holds = holds
        self._calls = calls
        self._refusals = refusals
        self._lane_of = lane_of
        self._draining: dict[Partition, float] = {}

    def any(self) -> bool:
        """Whether something is draining: nothing lingers then."""
        return bool(self._draining)

    def begin(self, parts: list[Partition], deadline: float) -> None:
        """Begin to drain; `deadline` is monotonic seconds."""
        started = self._calls.flights()
        for part in parts:
            handed = [item[1].offset() for flight in started for item in flight.items if item[0] is part]
            begun = [offset for offset, fan in part.fans.items() if fan.left < fan.total]
            refused = self._refusals.unfinished(part)
            part.draining = max([part.ledger.top, *handed, *begun, *refused])
            self._draining[part] = deadline
            self._let_go(part, part.draining)

    def _let_go(self, part: Partition, last: int) -> None:
        """What has not been handed over and is above the last offset to be sent leaves queues and flights."""
        for lane, waiting in list(part.waiting.items()):
            kept = deque(entry for entry in waiting if _offset(entry) <= last)
            if kept:
                part.waiting[lane] = kept
            else:
                del part.waiting[lane]
        part.runnable = deque(lane for lane in part.runnable if lane in part.waiting)
        for flight in self._placer.unstarted():
            if any(item[0] is part and item[1].offset() > last for item in flight.items):
                self._drop(flight, part, last)

    def _drop(self, flight: Flight, part: Partition, last: int) -> None:
        flight.keep([item for item in flight.items if item[0] is not part or item[1].offset() <= last])
        still = {lane for held_by, lane in flight.lanes(self._lane_of) if held_by == id(part)}
        part.lanes = {lane: holder for lane, holder in part.lanes.items() if holder is not flight or lane in still}

    def done(self, now: float, shut: bool) -> list[Partition]:
        """Partitions that are drained, or whose time is up, or for which nothing can be sent any more (`shut`)."""
        ended = [part for part, deadline in self._draining.items() if now >= deadline or self._drained(part, shut)]
        for part in ended:
            del self._draining[part]
        return ended

    def _drained(self, part: Partition, shut: bool) -> bool:
        if not part.live:
            return True
        if self._calls.in_call(part) or self._refusals.pending(part):
            return False
        if shut or self._placer.paused(part):
            return True
        flights = [*self._calls.flights(), *self._placer.unstarted()]
        if any(item[0] is part for flight in flights for item in flight.items):
            return False
        return bool(self._holds.on(part.name)) or not (part.ready() or part.waiting)

    def next_at(self) -> float | None:
        """When the next drain has to end."""
        return min(self._draining.values(), default=None)


def _offset(entry: Record | Fan) -> int:
    return entry.record.offset() if isinstance(entry, Fan) else entry.offset()
