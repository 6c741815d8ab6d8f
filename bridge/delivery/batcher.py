"""From records to flights: maps what may be sent and fills bulk calls, round robin over partitions, lane by lane. Pure.

Records stay raw until a flight has room for them, so that a reload maps whatever was not sent with the new rules, and a
held or slow partition costs no more than its bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from bridge.delivery.flight import Flight
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Fan, Lane, Partition
from bridge.delivery.placing import Placer
from bridge.delivery.policy import Policy
from bridge.delivery.settle import Settler
from bridge.flow import Event, Record

LaneOf = Callable[[Record], Lane | None]
EVERY_OFFSET = 1 << 63


class Batcher:
    """Used by the delivery thread alone."""

    def __init__(self, policy: Policy, lane_of: LaneOf, placer: Placer, settler: Settler, holds: Holds) -> None:
        self._policy = policy
        self._lane_of = lane_of
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

        The hot path of the bridge: what is not one plain event goes through `Placer.place`.
        """
        policy, placer = self._policy, self._placer
        lane_of, mapper, unsent = self._lane_of, part.mapper, part.unsent
        lanes, waiting = part.lanes, part.waiting
        guarded = part.start.bound if placer.storm is None else EVERY_OFFSET
        room_events, room_bytes = policy.batch_events, policy.batch_bytes
        last = part.bound if part.draining is None else min(part.bound, part.draining)
        filtered: list[Record] = []
        flight = placer.flight(part.waiting_since)
        items = flight.items
        shared = None if policy.strict_order else flight
        while unsent:
            record = unsent[0]
            offset = record.offset()
            if offset > last:
                break
            lane = lane_of(record)
            if lane is not None:
                holder = lanes.get(lane)
                if (holder is not None and holder is not shared) or (waiting and lane in waiting):
                    if part.serial:
                        break
                    waiting.setdefault(lane, deque()).append(unsent.popleft())
                    continue
            mapped = mapper(record)
            if not mapped:
                filtered.append(unsent.popleft())
                continue
            event = mapped[0]
            if len(mapped) == 1 and type(event) is Event and event.expires is None and offset > guarded:
                size = flight.size + len(event.body) + 1
                if size <= room_bytes:
                    unsent.popleft()
                    flight.size = size
                    items.append((part, record, event))
                    if lane is not None:
                        lanes[lane] = flight
                    if len(items) >= room_events:
                        placer.seal()
                        break
                    continue
            if not placer.place(part, record, lane, mapped, now, now_ms):
                break
            unsent.popleft()
            if placer.open is not flight or self._holds.on(part.name):
                break
        return filtered


def flights_of(part: Partition, flights: list[Flight]) -> bool:
    """Whether one of the flights has an event of the partition."""
    return any(item[0] is part for flight in flights for item in flight.items)
