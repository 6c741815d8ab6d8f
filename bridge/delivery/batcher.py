"""From records to batches: lane by lane, round robin over partitions, whole runs at a time. Pure.

Records stay raw until a batch has room for them, so that a reload maps whatever was not sent with the new rules, and a
held or slow partition costs no more than its bytes. Lanes are asked first, then the rules: what a run became (its events,
the records that nobody wanted, its faults) is dealt with as a whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from bridge.delivery.admission import Hold, Holds, Reason
from bridge.delivery.batch import Batch, Lane, Partition, Raw, Run, records_at
from bridge.delivery.dead_letter_headers import rejected_of, stormy, too_late
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.finish import Finish
from bridge.delivery.guards import MOST_AHEAD_MS, Repeats, StormGuard, handed_over_at
from bridge.delivery.policy import Policy
from bridge.flow import Fault, MappedRun, OnError, Outcome, Record

FAULT_OUTCOME: dict[OnError, Outcome] = {"skip": Outcome.SKIPPED, "drop": Outcome.FILTERED}
"""What a fault ends as that is neither dead-lettered nor halts."""


class Stop(NamedTuple):
    """Where a run is cut, since its partition is to be held: the records from `place` on stay raw."""

    place: int
    hold: Hold | None
    """None where nothing holds, or the hold is there already."""


class Batcher:
    """Owns the batches that have not gone out yet. Used by the delivery thread alone."""

    def __init__(
        self, policy: Policy, finish: Finish, dead_letters: DeadLetters, holds: Holds, repeats: Repeats
    ) -> None:
        self._policy = policy
        self._finish = finish
        self._dead_letters = dead_letters
        self._holds = holds
        self._repeats = repeats
        self.storm = StormGuard(policy.storm) if policy.storm is not None else None
        """Every event is shown to it, where there is one."""
        self.open: Batch | None = None
        self.sealed: deque[Batch] = deque()
        """Full batches, in order, as they are to go out."""
        self._ring: dict[Partition, None] = {}
        """Partitions that have something to take, in the order of their turns."""

    def queue(self, part: Partition) -> None:
        """The partition may have something to take."""
        if part not in self._ring and part.live and part.ready():
            self._ring[part] = None

    def has_more(self) -> bool:
        """Whether the last `fill` ended with enough batches before everything was taken."""
        return bool(self._ring)

    def unstarted(self) -> list[Batch]:
        """Every batch whose events were never handed to the API."""
        return [*self.sealed, *([self.open] if self.open is not None else [])]

    def fill(self, wanted: int, now: float, now_ms: int) -> None:
        """Take records until `wanted` batches are sealed or nothing may be taken."""
        ring = self._ring
        while ring and len(self.sealed) < wanted:
            part = next(iter(ring))
            del ring[part]
            if part.live and not self._holds.on(part.name):
                self._turn(part, now, now_ms)
                self.queue(part)

    def seal(self) -> None:
        """No more events for the open batch; an empty one is dropped."""
        if self.open is not None:
            self.open.taking = False
            if self.open.count:
                self.sealed.append(self.open)
            self.open = None

    def _batch(self, now: float) -> Batch:
        """The open batch, a new one if there is none."""
        if self.open is None:
            self.open = Batch(now)
        elif not self.open.count:
            self.open.opened = now
        return self.open

    def _turn(self, part: Partition, now: float, now_ms: int) -> None:
        """One turn of one partition: ends with the batch it fills."""
        sealed, lanes, held = len(self.sealed), part.lanes, self._holds.on
        while lanes.runnable and len(self.sealed) == sealed and not held(part.name):
            self._take_waiting(part, lanes.runnable[0], now, now_ms)
        if not lanes.runnable and len(self.sealed) == sealed and not held(part.name):
            self._take_unsent(part, now, now_ms)
            lanes.turned(now)

    def _take_waiting(self, part: Partition, lane: Lane, now: float, now_ms: int) -> None:
        """Records that waited for their lane, as far as one batch takes them and nothing holds the partition."""
        lanes, most = part.lanes, self._policy.batch_events
        while (entry := lanes.next_waiting(lane, most, self.open)) is not None:
            batch = self._batch(now)
            if isinstance(entry, Raw):
                taken, run = self._map(part, entry, batch, now_ms)
                lanes.took_waiting(lane, taken)
            else:
                assert isinstance(entry, Run)
                run = entry
            self._add(part, run, now, now_ms)
            if self._holds.on(part.name):
                return
        lanes.lane_done(lane)

    def _take_unsent(self, part: Partition, now: float, now_ms: int) -> None:
        """Records as read, as far as one batch takes them: the hot path of the bridge."""
        lanes = part.lanes
        batch = self._batch(lanes.since)
        while lanes.unsent:
            raw = lanes.next_unsent(self._policy.batch_events - batch.count, part.send_limit)
            if raw is None:
                return
            waits = lanes.must_wait(raw, batch)
            ready = raw.without(waits) if waits else raw
            if ready.records:
                taken, run = self._map(part, ready, batch, now_ms)
                lanes.became(taken, len(run.offsets))
                lanes.took(raw, waits, taken)
                self._add(part, run, now, now_ms)
                if self.open is not batch or self._holds.on(part.name):
                    return
            elif waits:
                lanes.took(raw, waits, 0)
            else:
                return

    def _map(self, part: Partition, raw: Raw, batch: Batch, now_ms: int) -> tuple[int, Run]:
        """Map a run; returns how many of its records became something, and their events that are to be sent."""
        policy = self._policy
        most, room = policy.batch_events - batch.count, policy.batch_bytes - batch.size
        mapped = part.map_run(raw.records, raw.offsets, most, room)
        taken, run = mapped.records, _run_of(part, raw, mapped)
        if mapped.faults or self.storm is not None or raw.offsets[0] <= part.start.send_limit:
            taken, run = self._guard(part, raw, mapped, run, now_ms)
        elif mapped.places is not None:
            self._fan_out(part, raw, mapped, taken)
        unwanted = [at for at in mapped.unwanted if at < taken]
        if unwanted:
            offsets = raw.offsets
            self._finish.finish(records_at(part, [offsets[place] for place in unwanted]), Outcome.FILTERED)
        self._count_matches(mapped, taken)
        return taken, run

    def _count_matches(self, mapped: MappedRun, taken: int) -> None:
        """Count the first `taken` records under each rule by which they became something: events, faults, or both."""
        matches, places = self._finish.counters.rule_matches, mapped.places
        if places is None and not mapped.faults and taken == mapped.records:
            for (rule, _), count in mapped.counts.items():
                matches[rule] += count
            return
        if places is None:
            gone = {*mapped.unwanted, *(place for place, _ in mapped.faults)}
            places = [place for place in range(mapped.records) if place not in gone]
        if mapped.kinds is None and not mapped.faults:
            for rule, _ in mapped.counts:
                matches[rule] += len({place for place in places if place < taken})
            return
        kinds = mapped.kinds if mapped.kinds is not None else [*mapped.counts] * len(places)
        pairs = set(zip(places, [rule for rule, _ in kinds], strict=True))
        pairs.update((place, fault.rule) for place, fault in mapped.faults if fault.rule is not None)
        matches.update([rule for place, rule in pairs if place < taken])

    def _guard(self, part: Partition, raw: Raw, mapped: MappedRun, run: Run, now_ms: int) -> tuple[int, Run]:
        """Deal with faults, and with what one of the guards is for: whatever holds the partition cuts the run there."""
        stop = self._stop(part, raw, mapped, run, now_ms)
        storms: list[int] = []
        if self.storm is not None:
            storms = self._storms(self.storm, run, stop.place, raw, now_ms)
            limits = self._policy.storm
            if storms and limits is not None and limits.action == "hold":
                stop = self._stop_of_storm(part, raw, run, storms[0], now_ms)
        self._fan_out(part, raw, mapped, stop.place)
        stop = self._faults(part, raw, mapped, stop, now_ms)
        if stop.hold is not None:
            self._holds.add(stop.hold)
        if stop.place < mapped.records:
            run = run.pick(run.every[: bisect_left(run.offsets, raw.offsets[stop.place])])
        storms = [place for place in storms if place < len(run.offsets)]
        if storms:
            self._write_storms(run.pick(storms))
            run = run.pick(run.other_than(storms))
        return stop.place, run

    def _stop(self, part: Partition, raw: Raw, mapped: MappedRun, run: Run, now_ms: int) -> Stop:
        """Where the first record is that halts the partition, or that a person has to decide on after 24 hours."""
        stop = Stop(mapped.records, None)
        for place, fault in mapped.faults:
            if fault.on_error == "halt":
                detail = f"rule {fault.rule}: {fault.code}: {fault.message}"
                stop = Stop(place, Hold(Reason.HALT, part.name, now_ms, detail, raw.offsets[place]))
                break
        late = self._repeats.too_late(run, None, now_ms) if self._repeats.hold and run.offsets else ()
        if late:
            offset = run.offsets[late[0]]
            place = bisect_left(raw.offsets, offset)
            if place < stop.place:
                stop = Stop(place, self._repeats.hold_for(part, offset, now_ms))
        return stop

    def _storms(self, storm: StormGuard, run: Run, stop: int, raw: Raw, now_ms: int) -> list[int]:
        """The places of events that are too many for their recipient; where that holds, all behind the first are left out."""
        holds = storm.holds
        last = raw.offsets[stop] if stop < len(raw.offsets) else inf
        many: list[int] = []
        for place, event in enumerate(run.events()):
            offset = run.offsets[place]
            if offset >= last or (holds and many):
                break
            at = run.records[place].timestamp()[1]
            at_ms = at if 0 <= at <= now_ms + MOST_AHEAD_MS else now_ms
            alive = event.expires is None or event.expires >= now_ms
            if alive and not storm.admits(event, at_ms):
                many.append(place)
        return many

    def _stop_of_storm(self, part: Partition, raw: Raw, run: Run, place: int, now_ms: int) -> Stop:
        limits, offset, event = self._policy.storm, run.offsets[place], run.events()[place]
        assert limits is not None
        detail = f"rule {event.rule}: more than {limits.events} events for one recipient in {limits.per_ms // 1000} s"
        hold = Hold(Reason.STORM, part.name, now_ms, detail, offset)
        return Stop(bisect_left(raw.offsets, offset), hold)

    def _write_storms(self, run: Run) -> None:
        for record, event in zip(run.records, run.events(), strict=True):
            self._dead_letters.write(stormy(run.part, record, event))

    def _fan_out(self, part: Partition, raw: Raw, mapped: MappedRun, stop: int) -> None:
        """Remember of each record that became several things that it ends with the last of them."""
        parts = Counter(mapped.places) if mapped.places is not None else Counter[int]()
        for place, _ in mapped.faults:
            parts[place] += 1
        for place, count in parts.items():
            if count > 1 and place < stop:
                self._finish.fan_out(part, raw.offsets[place], count)

    def _faults(self, part: Partition, raw: Raw, mapped: MappedRun, stop: Stop, now_ms: int) -> Stop:
        """Every fault goes its way, up to the first record behind which the brake holds the partition."""
        last = stop
        for place, fault in mapped.faults:
            if place >= last.place:
                break
            self._fault(part, raw.records[place], fault, now_ms)
            if self._holds.on(part.name):
                last = Stop(place + 1, None)
        for offset in raw.offsets[last.place : stop.place]:
            self._finish.forget(part, offset)
        return last

    def _fault(self, part: Partition, record: Record, fault: Fault, now_ms: int) -> None:
        if fault.rule is not None:
            self._finish.counters.rule_errors[fault.rule, fault.code] += 1
        outcome = FAULT_OUTCOME.get(fault.on_error)
        if outcome is None:
            self._dead_letters.refuse(rejected_of(part, record, fault), now_ms)
        else:
            self._finish.finish(records_at(part, [record.offset()]), outcome)

    def _add(self, part: Partition, run: Run, now: float, now_ms: int) -> None:
        """Add a run to the open batch. What goes beyond its room begins the next one, or waits for its lane."""
        policy = self._policy
        if run.expires is not None or (run.offsets and run.offsets[0] <= part.start.send_limit):
            run = self._without_old(part, run, now_ms)
        while run.offsets:
            if self.open is None:
                self.open = Batch(now)
            batch = self.open
            fits = batch.room_for(run, policy.batch_events, policy.batch_bytes)
            head, rest = (
                (run, None) if fits == len(run.offsets) else (run.pick(run.every[:fits]), run.pick(run.every[fits:]))
            )
            if head.offsets:
                batch.add(head)
                part.lanes.lock(head.lanes, batch)
            if rest is None:
                break
            self.seal()
            # The rest belongs to the last record: nothing behind it was mapped.
            lane = rest.lanes[0]
            if lane is not None and part.lanes.busy.get(lane) is batch:
                part.lanes.wait_first(lane, rest)
                return
            run = rest
        if self.open is not None and self.open.count >= policy.batch_events:
            self.seal()

    def _without_old(self, part: Partition, run: Run, now_ms: int) -> Run:
        """What may not go out any more ends here: it has expired, or may have been handed over too long ago."""
        expired = run.expired(now_ms)
        if expired:
            self._finish.finish(run.pick(expired)._replace(lanes=()), Outcome.EXPIRED, "expired")
            run = run.pick(run.other_than(expired))
        late = self._repeats.too_late(run, None, now_ms) if run.offsets else []
        for place in late:
            self.put_aside(run.pick([place]), handed_over_at(part, run.offsets[place]))
        return run.pick(run.other_than(late)) if late else run

    def put_aside(self, run: Run, first_ms: int | None) -> None:
        """These are dead-lettered, since a repeat might notify again; they were first handed over at `first_ms`."""
        for record, event in zip(run.records, run.events(), strict=True):
            self._dead_letters.write(too_late(run.part, record, event, first_ms))


def _run_of(part: Partition, raw: Raw, mapped: MappedRun) -> Run:
    """The events of a mapped run, beside their records."""
    records: Sequence[Record] = raw.records
    offsets: Sequence[int] = raw.offsets
    lanes: Sequence[Lane | None] = raw.lanes
    if mapped.places is not None:
        at = mapped.places
        records, offsets, lanes = [records[p] for p in at], [offsets[p] for p in at], [lanes[p] for p in at]
    elif len(mapped.bodies) < len(records):
        gone = sorted({*mapped.unwanted, *(place for place, _ in mapped.faults)}) if mapped.faults else mapped.unwanted
        records, offsets, lanes = raw.without(gone, mapped.records)
    return Run(part, records, offsets, lanes, mapped.bodies, mapped.expires, mapped.size, mapped.counts, mapped.events)
