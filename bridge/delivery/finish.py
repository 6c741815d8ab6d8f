"""The one place where a record gets its outcome and leaves. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from bridge.delivery.batch import Flight, Item, Leg
from bridge.delivery.brake import Brake, topic_key
from bridge.delivery.counters import Tally
from bridge.delivery.journal import Journal
from bridge.delivery.partition import Lane, Partition
from bridge.flow import RECORD_OVERHEAD, Outcome, Record, Room

_event_of: Callable[[Item], tuple[str, ...]] = itemgetter(2)
_rule_and_name: Callable[[tuple[str, ...]], tuple[str, str]] = itemgetter(0, 1)


class Settler:
    """Ends events and records, frees their lanes and their bytes. Used by the delivery thread alone.

    `woken` collects partitions that have something to take again.
    """

    __slots__ = ("_brake", "_lane_of", "_room", "dirty", "journal", "tally", "woken")

    def __init__(self, tally: Tally, room: Room, lane_of: Callable[[Record], Lane | None], brake: Brake) -> None:
        self.tally = tally
        self._brake = brake
        self._room = room
        self._lane_of = lane_of
        self.journal = Journal()
        self.dirty: set[Partition] = set()
        """Partitions whose watermark or finished set may have moved."""
        self.woken: deque[Partition] = deque()

    def record(self, part: Partition, record: Record, outcome: Outcome) -> None:
        """The whole record ends."""
        offset = record.offset()
        del part.ledger.unfinished[offset]
        part.ledger.top = max(part.ledger.top, offset)
        part.finished += 1
        self._room.free(part.name[0], len(record) + RECORD_OVERHEAD)
        self.tally.topic(part.name[0]).finished[outcome] += 1
        self.dirty.add(part)
        if outcome is Outcome.DELIVERED or outcome is Outcome.FILTERED:
            self._brake.passed(topic_key(part.name[0]), 1)

    def filtered(self, part: Partition, records: list[Record]) -> None:
        """Many records end at once that no rule wanted."""
        ledger = part.ledger
        unfinished = ledger.unfinished
        freed = 0
        for record in records:
            del unfinished[record.offset()]
            freed += len(record)
        ledger.top = max(ledger.top, records[-1].offset())
        self._left(part, len(records), freed, Outcome.FILTERED)

    def _left(self, part: Partition, records: int, value_bytes: int, outcome: Outcome) -> None:
        part.finished += records
        self._room.free(part.name[0], value_bytes + records * RECORD_OVERHEAD)
        self.tally.topic(part.name[0]).finished[outcome] += records
        self.dirty.add(part)
        self._brake.passed(topic_key(part.name[0]), records)

    def event(self, item: Item, outcome: Outcome, result: str) -> None:
        """One event ends; with the last one, its record. Its lane is freed by `free`."""
        part, record, event = item
        self.tally.events[event.rule, event.name, result] += 1
        self.part_of_record(part, record, outcome)

    def part_of_record(self, part: Partition, record: Record, outcome: Outcome) -> None:
        """An event or a fault of the record ends."""
        if not part.live:
            self.tally.late_results += 1
            return
        fan = part.fans.get(record.offset())
        if fan is not None:
            total = fan.ended(outcome)
            if total is None:
                return
            del part.fans[record.offset()]
            outcome = total
        self.record(part, record, outcome)

    def delivered(self, items: Sequence[Item]) -> None:
        """Every one of these events was accepted. The hot path: everything that can be is done per run of a partition."""
        self._accepted(Counter(map(_rule_and_name, map(_event_of, items))))
        start = 0
        total = len(items)
        while start < total:
            part = items[start][0]
            stop = start + 1
            while stop < total and items[stop][0] is part:
                stop += 1
            self._delivered_of(part, items[start:stop] if stop - start < total else items)
            start = stop

    def _delivered_of(self, part: Partition, items: Sequence[Item]) -> None:
        if not part.live:
            self.tally.late_results += len(items)
            return
        if part.fans:
            for item in items:
                self.part_of_record(part, item[1], Outcome.DELIVERED)
            return
        unfinished = part.ledger.unfinished
        top = part.ledger.top
        freed = 0
        for item in items:
            record = item[1]
            offset = record.offset()
            del unfinished[offset]
            freed += len(record)
            top = max(top, offset)
        part.ledger.top = top
        self._left(part, len(items), freed, Outcome.DELIVERED)

    def free(self, items: Sequence[Item], still: set[tuple[int, Lane]] | None = None) -> None:
        """The lanes of these items are free, save those that unfinished items of the flight `still` hold."""
        lane_of = self._lane_of
        for part, record, _ in items:
            lane = lane_of(record)
            if not (still and (id(part), lane) in still):
                self._free(part, lane)

    def _free(self, part: Partition, lane: Lane | None) -> None:
        if lane is None or part.lanes.pop(lane, None) is None:
            return
        if part.waiting and lane in part.waiting:
            part.runnable.append(lane)
            self.woken.append(part)
        elif part.serial:
            self.woken.append(part)

    def ended(self, flight: Flight) -> None:
        """Every event of the flight was accepted at once."""
        if flight.legs and flight.sequel is None:
            for leg in flight.legs:
                self._leg_ended(leg)
            return
        self.delivered(flight.items)
        self.free(flight.items, flight.sequel.lanes(self._lane_of) if flight.sequel is not None else None)

    def _leg_ended(self, leg: Leg) -> None:
        """The hot path: a whole run of a partition, each record with its one event."""
        part, offsets, lanes = leg.part, leg.offsets, leg.lanes
        self._accepted(leg.counts)
        if part.live:
            unfinished = part.ledger.unfinished
            for offset in offsets:
                del unfinished[offset]
            part.ledger.top = max(part.ledger.top, offsets[-1])
            self._left(part, len(offsets), leg.value_bytes, Outcome.DELIVERED)
        else:
            self.tally.late_results += len(offsets)
        if part.serial or (part.waiting and not part.waiting.keys().isdisjoint(lanes)):
            for lane in lanes:
                self._free(part, lane)
        else:
            free = part.lanes.pop
            for lane in lanes:
                free(lane, None)

    def _accepted(self, counts: Mapping[tuple[str, str], int]) -> None:
        events = self.tally.events
        for (rule, name), n in counts.items():
            events[rule, name, "accepted"] += n
            self._brake.passed(rule, n)
