"""From records to flights: maps what may be sent and fills bulk calls, round robin over partitions, lane by lane. Pure.

Records stay raw until a flight has room for them, so that a reload maps whatever was not sent with the new rules, and a
held or slow partition costs no more than its bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from bridge.delivery.batch import Flight, Leg
from bridge.delivery.batch_builder import Placer
from bridge.delivery.finish import Settler
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Fan, Lane, Partition
from bridge.delivery.policy import Policy
from bridge.flow import Event, MappedRun, Record

LaneOf = Callable[[Record], Lane | None]
LanesOf = Callable[[Sequence[Record]], list[Lane | None]]
EVERY_OFFSET = 1 << 63


class Run(NamedTuple):
    """Records that follow each other in a partition, with what is asked of each more than once."""

    records: list[Record]
    offsets: list[int]
    lanes: list[Lane | None]

    def cut(self, count: int) -> None:
        """Keep so many."""
        for column in self:
            del column[count:]

    def without(self, places: Sequence[int]) -> list[Record]:
        """Take the records at some places out, ascending; returns them."""
        taken = [self.records[place] for place in places]
        for column in self:
            for place in reversed(places):
                del column[place]
        return taken


class Batcher:
    """Used by the delivery thread alone."""

    def __init__(self, policy: Policy, lanes_of: LanesOf, placer: Placer, settler: Settler, holds: Holds) -> None:
        self._policy = policy
        self._lanes_of = lanes_of
        self._placer = placer
        self._settler = settler
        self._holds = holds
        self._ring: deque[Partition] = deque()

    def queue(self, part: Partition) -> None:
        """The partition may have something to take."""
        if not part.queued and part.live and part.ready():
            part.queued = True
            self._ring.append(part)

    def has_more(self) -> bool:
        """Whether the last `fill` ended with enough flights before everything was taken."""
        return bool(self._ring)

    def fill(self, wanted: int, now: float, now_ms: int) -> None:
        """Take records until `wanted` flights are sealed or nothing may be taken."""
        ring = self._ring
        while ring and len(self._placer.sealed) < wanted:
            part = ring.popleft()
            part.queued = False
            if part.live and not self._holds.on(part.name):
                self._turn(part, now, now_ms)
                self.queue(part)

    def _turn(self, part: Partition, now: float, now_ms: int) -> None:
        """One turn of one partition: ends with the flight it fills."""
        sealed = len(self._placer.sealed)
        held = self._holds.on
        while part.runnable and len(self._placer.sealed) == sealed and not held(part.name):
            if not self._run_lane(part, part.runnable[0], now, now_ms):
                return
        if not part.runnable and len(self._placer.sealed) == sealed and not held(part.name):
            filtered = self._run_unsent(part, now, now_ms)
            if filtered:
                self._settler.filtered(part, filtered)
            part.waiting_since = now

    def _run_lane(self, part: Partition, lane: Lane, now: float, now_ms: int) -> bool:
        """Records that waited for their lane, in order, as far as one flight takes them; False if one halts."""
        waiting = part.waiting.get(lane)
        if waiting is None:
            # Named twice: it stood here behind a halt while its last call ended.
            part.runnable.popleft()
            return True
        placer = self._placer
        while waiting:
            holder = part.lanes.get(lane)
            if holder is not None and (self._policy.strict_order or holder is not placer.open):
                break
            entry = waiting.popleft()
            if isinstance(entry, Fan):
                placer.place_fan(part, entry, lane, now, now_ms)
            elif not placer.place(part, entry, lane, part.mapper(entry), now, now_ms):
                waiting.appendleft(entry)
                return False
        part.runnable.popleft()
        if not waiting:
            del part.waiting[lane]
        elif lane not in part.lanes:
            part.runnable.append(lane)
        return True

    def _run_unsent(self, part: Partition, now: float, now_ms: int) -> list[Record]:
        """Records as read, as far as one flight takes them; returns those that no rule wanted.

        The hot path of the bridge: a run of records whose lanes are free and that become one plain event each, or
        none, goes aboard as a whole; every other one record by record.
        """
        policy, placer, unsent = self._policy, self._placer, part.unsent
        last = part.bound if part.draining is None else min(part.bound, part.draining)
        filtered: list[Record] = []
        flight = placer.flight(part.waiting_since)
        while unsent:
            room = policy.batch_events - flight.count
            # Some more than there is room for: one in a few is wanted by no rule.
            run = self._next_run(unsent, room + room // 4, last)
            if run is None:
                break
            if part.plain and self._together(part, run, flight):
                made = part.map_run(run.records, run.offsets, room, policy.batch_bytes - flight.size)
                self._aboard(part, run, flight, made, filtered)
                if flight.count and (made.full or flight.count >= policy.batch_events):
                    placer.seal()
                    break
                if made.records:
                    continue
            if not self._one_by_one(part, run, flight, filtered, now, now_ms):
                break
        return filtered

    def _next_run(self, unsent: deque[Record], most: int, last: int) -> Run | None:
        """The next records, ascending, `most` of them and none above the offset `last`; None if there are none."""
        records = list(islice(unsent, most))
        offsets = [record.offset() for record in records]
        if offsets[-1] > last or sorted(offsets) != offsets:
            # What was given back and came again may lie lower than what waits in front of it.
            rises = 1 + next((at for at, (one, other) in enumerate(pairwise(offsets)) if other <= one), len(offsets))
            stop = bisect_right(offsets, last, 0, min(rises, len(offsets)))
            del records[stop:], offsets[stop:]
        return Run(records, offsets, self._lanes_of(records)) if records else None

    def _guarded(self, part: Partition) -> int:
        """Offsets up to here go through `Placer.place`, whatever became of them."""
        return part.start.bound if self._placer.storm is None else EVERY_OFFSET

    def _together(self, part: Partition, run: Run, flight: Flight) -> bool:
        """Whether a whole run may go into the flight, as far as that can be told before it is mapped."""
        lanes = run.lanes
        if run.offsets[0] <= self._guarded(part) or (part.waiting and not part.waiting.keys().isdisjoint(lanes)):
            return False
        free = part.lanes.keys().isdisjoint(lanes)
        if self._policy.strict_order:
            return free and len(set(lanes)) == len(lanes)
        holder = part.lanes.get
        return free or all(lane is None or holder(lane, flight) is flight for lane in lanes)

    def _aboard(self, part: Partition, run: Run, flight: Flight, made: MappedRun, filtered: list[Record]) -> None:
        """Take into the flight what the first records of a run became; those behind leave the run."""
        if not made.records:
            return
        for _ in range(made.records):
            part.unsent.popleft()
        run.cut(made.records)
        if made.unwanted:
            filtered += run.without(made.unwanted)
        records, offsets, lanes = run
        if records:
            value_bytes = sum(map(len, records))
            flight.board(Leg(part, records, made.events, offsets, lanes, made.bodies, value_bytes, made.counts))
            flight.size += made.size
            part.lanes.update(dict.fromkeys(lanes, flight))
            part.lanes.pop(None, None)

    def _one_by_one(
        self,
        part: Partition,
        run: Run,
        flight: Flight,
        filtered: list[Record],
        now: float,
        now_ms: int,
    ) -> bool:
        """Take the records of a run one after the other, each as it can be; False where the turn ends."""
        policy, placer = self._policy, self._placer
        mapper, unsent, lanes, waiting = part.mapper, part.unsent, part.lanes, part.waiting
        guarded = self._guarded(part)
        shared = None if policy.strict_order else flight
        part.plain = True
        for record, offset, lane in zip(*run, strict=True):
            if lane is not None:
                holder = lanes.get(lane)
                if (holder is not None and holder is not shared) or (waiting and lane in waiting):
                    if part.serial:
                        return False
                    waiting.setdefault(lane, deque()).append(unsent.popleft())
                    continue
            entries = mapper(record)
            if not entries:
                filtered.append(unsent.popleft())
                continue
            event = entries[0]
            if len(entries) == 1 and type(event) is Event and event.expires is None and offset > guarded:
                size = flight.size + len(event.body) + 1
                if size <= policy.batch_bytes:
                    unsent.popleft()
                    flight.size = size
                    flight.items.append((part, record, event))
                    if lane is not None:
                        lanes[lane] = flight
                    if flight.count >= policy.batch_events:
                        placer.seal()
                        return False
                    continue
            part.plain = False
            if not placer.place(part, record, lane, entries, now, now_ms):
                return False
            unsent.popleft()
            if placer.open is not flight or self._holds.on(part.name):
                return False
        return True
