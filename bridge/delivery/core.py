"""Delivery: what becomes of every record that was read, decided in one place. Pure: clocks are passed in.

One thread calls it: it hands in what Kafka and the API said (`take`, `answered`), starts the calls that `starts` names
and passes `orders` on to the Kafka thread. `now` is monotonic seconds, `now_ms` the wall clock in milliseconds. The
simulator of the tests drives the same object.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice
from operator import methodcaller
from random import Random

from bridge.delivery.admission import Gate
from bridge.delivery.batch_builder import Placer
from bridge.delivery.batcher import Batcher, LaneOf, LanesOf
from bridge.delivery.brake import Brake
from bridge.delivery.calls import Calls
from bridge.delivery.counters import Tally
from bridge.delivery.covers import Covers
from bridge.delivery.dead_letters import Refusals
from bridge.delivery.drain import Drains
from bridge.delivery.finish import Settler
from bridge.delivery.holds import Hold, Holds, Reason, rewind_token
from bridge.delivery.log_lines import tell_partition
from bridge.delivery.partition import WHOLE, Lane, Partition
from bridge.delivery.pauses import Book
from bridge.delivery.policy import Policy
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Bounded,
    DeadLetterWritten,
    Drained,
    EndReached,
    GiveBack,
    Intake,
    Judge,
    KafkaState,
    Lost,
    Mapper,
    Mapping,
    Order,
    Outcome,
    Pause,
    Progress,
    Record,
    Records,
    Reply,
    Resume,
    Revoking,
    Room,
    RunMapper,
    Sought,
    TopicPartition,
)

LANES: dict[str, LaneOf] = {
    "key": methodcaller("key"),
    "partition": lambda _: WHOLE,
    "none": lambda _: None,
}
"""The lane of a record, by `ordering`; None carries no order."""

LANES_OF: dict[str, LanesOf] = {
    "key": lambda records: [record.key() for record in records],
    "partition": lambda records: [WHOLE] * len(records),
    "none": lambda records: [None] * len(records),
}
"""The lanes of a run of records, likewise."""

MANY = 1_000_000
"""As many calls as may be in flight."""


class Delivery:
    """The core. Used by the delivery thread alone."""

    def __init__(
        self, policy: Policy, mapping: Mapping, judge: Judge, room: Room, rng: Random, now: float, *, version: str
    ) -> None:
        self.policy = policy
        self.mapping = mapping
        self._mappers: dict[str, tuple[Mapper, RunMapper]] = {}
        self.room = room
        self.tally = Tally()
        self.holds = Holds()
        self.pauses = Book()
        """What people said of pauses, as the Kafka side knows it; `operate.keep_to_pauses` replaces it."""
        self.kafka = KafkaState(joined=False, kind=None, trouble=None)
        self.parts: dict[TopicPartition, Partition] = {}
        self.brake = Brake(policy.brake)
        lane_of: Callable[[Record], Lane | None] = LANES[policy.ordering]
        self.settler = Settler(self.tally, room, lane_of, self.brake)
        self.refusals = Refusals(self.brake, self.holds, self.settler, rng, version=version)
        self.refusals.rules_hash = mapping.rules_hash
        self.placer = Placer(policy, self.settler, self.refusals, self.holds)
        self.batcher = Batcher(policy, LANES_OF[policy.ordering], self.placer, self.settler, self.holds)
        self.gate = Gate(policy, self.holds, now)
        self.calls = Calls(policy, self.gate, self.placer, self.settler, self.refusals, judge, lane_of, rng)
        self.covers = Covers(policy, self.holds, self.calls, self.placer, self.refusals)
        self.drains = Drains(self.placer, self.calls, self.refusals, lane_of, self.holds)
        self._orders: deque[Order] = deque()
        self._revoking: dict[TopicPartition, float] = {}
        """Since when a partition is being drained."""
        self._progress_at = now

    def mappers(self, topic: str) -> tuple[Mapper, RunMapper]:
        """What maps a topic's records one by one, and by the run; compiled once for all its partitions."""
        made = self._mappers.get(topic)
        if made is None:
            mapper = self.mapping.for_topic(topic)
            made = self._mappers[topic] = (mapper, self.mapping.for_runs(topic, mapper))
        return made

    def remap(self, mapping: Mapping) -> None:
        """From now on records are mapped by other rules."""
        self.mapping = mapping
        self.refusals.rules_hash = mapping.rules_hash
        self._mappers.clear()
        for part in self.parts.values():
            part.mapper, part.map_run = self.mappers(part.name[0])

    def take(self, items: Sequence[Intake], now: float, now_ms: int) -> None:
        """What the Kafka thread handed over, in order."""
        for item in items:
            if isinstance(item, Records):
                self._records(item, now)
            elif isinstance(item, Bounded):
                self._bounded(item)
            elif isinstance(item, EndReached):
                self._end(item)
            elif isinstance(item, Sought):
                self._sought(item)
            elif isinstance(item, DeadLetterWritten):
                self.refusals.written(item.ticket, item.error, now, now_ms)
            elif isinstance(item, Assigned):
                self._assigned(item, now_ms)
            elif isinstance(item, Revoking):
                self._revoking |= dict.fromkeys(item.partitions, now)
                self.drains.begin([self.parts[name] for name in item.partitions if name in self.parts], item.deadline)
            elif isinstance(item, Lost):
                self._lost(item.partitions)
            else:
                self.kafka = item

    def _assigned(self, item: Assigned, now_ms: int) -> None:
        name = (item.topic, item.partition)
        if name in self.parts:
            self._fence(self.parts[name])
        serial = self.policy.ordering == "partition"
        joins = not self.policy.strict_order
        part = Partition(name, item.epoch, item.start, *self.mappers(item.topic), serial=serial, joins=joins)
        self.parts[name] = part
        self.calls.probes.moved = True
        self.tally.topic(item.topic)
        tell_partition(self.settler.journal, "assigned", "info", part, item.start.offset)
        if item.start.hold is not None:
            self._start_held(part, Reason(item.start.hold), now_ms)
        if item.paused:
            # The Kafka thread began paused: it is told to go on where that is over by now.
            part.paused = True
            self.settler.dirty.add(part)
        self.keep_to_pauses(part)

    def _start_held(self, part: Partition, reason: Reason, now_ms: int) -> None:
        """Hold a partition from its beginning, unless the settings accept that very rewind."""
        start, token = part.start, None
        detail = start.detail + start.age
        if reason is Reason.REWIND:
            token = rewind_token(part.name, start.offset, start.detail)
            accepted = token in self.policy.accepted_rewinds
            level = "warning" if accepted else "error"
            tell_partition(self.settler.journal, "rewind", level, part, start.offset, detail=detail, accepted=accepted)
            if accepted:
                # The Kafka thread began held, too: it goes on as after a hold that was lifted.
                part.paused = True
                part.consented = max(part.ledger.newest, start.bound)
                self.settler.dirty.add(part)
                return
        self.holds.add(Hold(reason, part.name, now_ms, detail, start.offset, token=token))

    def keep_to_pauses(self, part: Partition) -> None:
        """Hold the partition where somebody paused it, beside whatever else holds it, and let it go where that is over."""
        name, said = part.name, self.pauses.paused(part.name)
        wanted = None
        if said is not None:
            whole = self.pauses.whole(name)
            wanted = Hold(Reason.OPERATOR, name, said.since, said.reason, whole=whole)
        held = self.holds.on(name).get(Reason.OPERATOR)
        if held == wanted:
            return
        self.holds.lift(name, Reason.OPERATOR)
        if wanted is not None:
            self.holds.add(wanted)
        else:
            self.calls.unpark(part)

    def _of(self, topic: str, partition: int, epoch: int) -> Partition | None:
        part = self.parts.get((topic, partition))
        return part if part is not None and part.epoch == epoch else None

    def _records(self, item: Records, now: float) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        records = item.records
        self.room.seen_records += len(records)
        wanted = part.ledger.accept(records) if part is not None and part.seek is None else ()
        if len(wanted) < len(records):
            dropped = sum(map(len, records)) - sum(map(len, wanted))
            self.room.free(item.topic, dropped + RECORD_OVERHEAD * (len(records) - len(wanted)))
        if part is None:
            return
        self.settler.dirty.add(part)
        if not wanted:
            return
        self.tally.topic(item.topic).consumed += len(wanted)
        if not part.unsent:
            part.waiting_since = now
        part.unsent.extend(wanted)
        self.covers.look_again(part)
        self.batcher.queue(part)

    def _bounded(self, item: Bounded) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None:
            self.covers.acknowledged(part, item)
            self.batcher.queue(part)

    def _end(self, item: EndReached) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None and part.seek is None:
            part.ledger.end(item.offset)
            self.settler.dirty.add(part)

    def _sought(self, item: Sought) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None and part.seek is not None and item.offset <= part.seek:
            part.seek = None
            part.ledger.sure = item.sure

    def _lost(self, names: Sequence[TopicPartition]) -> None:
        for name in names:
            part = self.parts.get(name)
            if part is not None:
                offset, released = part.ledger.watermark, self._fence(part)
                tell_partition(self.settler.journal, "lost", "warning", part, offset, released=released)

    def _fence(self, part: Partition) -> int:
        """The assignment ends: what is unfinished is released, results that still come are dropped.

        Returns how many records were released.
        """
        self._revoking.pop(part.name, None)
        if not part.live:
            return 0
        part.live = False
        held = [record for record in part.ledger.unfinished.values() if record is not None]
        self.room.free(part.name[0], sum(map(len, held)) + RECORD_OVERHEAD * len(held))
        self.tally.topic(part.name[0]).finished[Outcome.RELEASED] += len(held)
        self.tally.released += len(held)
        self.refusals.forget(part)
        self.holds.drop(part.name)
        self.calls.unpark(part)
        self.settler.dirty.discard(part)
        self.calls.probes.lowered.discard(part)
        del self.parts[part.name]
        return len(held)

    def answered(self, number: int, reply: Reply, now: float, now_ms: int) -> None:
        """One HTTP attempt ended."""
        self.calls.answered(number, reply, now, now_ms)

    def starts(self, now: float, now_ms: int, most: int = MANY) -> list[tuple[int, bytes]]:
        """The calls to start now, as (number, body): call it after every `take` and `answered`, and when due.

        It fills `most` new ones at most; `wake_at` says "now" where there is more to do.
        """
        self._wake()
        self.refusals.retry(now)
        closed = self.gate.closed(len(self.calls.in_flight), now)
        if closed is None:
            wanted = min(self.gate.limit.value - len(self.calls.in_flight), most)
            self.batcher.fill(1 if self.gate.one_at_a_time() else wanted, now, now_ms)
            flight = self.placer.open
            if flight is not None and flight.count and (now >= flight.opened + self.policy.linger or self.drains.any()):
                self.placer.seal()
        return self.calls.starts(now, now_ms)

    def _wake(self) -> None:
        woken = self.settler.woken
        while woken:
            self.batcher.queue(woken.popleft())

    def orders(self, now: float) -> deque[Order]:
        """What the Kafka thread is to do, in order; the caller empties it."""
        for part in self.drains.done(now, self.gate.shut(now)):
            if part.live:
                self._orders.append(Drained(self._progress(part), self.covers.handed(part)))
                seconds, offset = now - self._revoking.get(part.name, now), part.ledger.watermark
                facts = {"seconds": round(seconds, 3), "released": self._fence(part)}
                tell_partition(self.settler.journal, "revoked", "info", part, offset, **facts)
        changed = [self.parts[name] for name in self.holds.changed() if name in self.parts]
        self.settler.woken.extend(changed)
        covers = self.covers.orders(self.parts.values(), changed)
        if changed or covers:
            # What is finished above goes with what is covered, or nothing would cover that any more.
            self.settler.dirty.update(changed, (self.parts[cover.topic, cover.partition] for cover in covers))
            self._progress_at = now
        letters = self.refusals.outbox
        if letters:
            self._orders.extend(letters)
            letters.clear()
        if self.settler.dirty and (
            now >= self._progress_at or any(p.finished >= self.policy.progress_records for p in self.settler.dirty)
        ):
            self._progress_at = now + self.policy.progress_interval
            self._say_progress()
        self._orders.extend(covers)
        self._pace_reading()
        return self._orders

    def order(self, order: Order) -> None:
        """Have the Kafka thread do something that a person asked for."""
        self._orders.append(order)

    def _say_progress(self) -> None:
        for part in self.settler.dirty:
            progress = self._progress(part)
            said = (progress.watermark, progress.delivered, progress.finished)
            part.finished = 0
            if said != part.said:
                part.said = said
                self._orders.append(progress)
            self._pace_partition(part, len(progress.finished))
        self.settler.dirty.clear()

    def _pace_partition(self, part: Partition, note_bytes: int) -> None:
        """Stop reading a partition that is held, spans too much or whose note fills up; go on at half of that.

        What was given back, or left by an earlier owner, is read whatever the span: only that moves the watermark. So
        is what was let in beside a record that keeps failing.
        """
        policy = self.policy
        held = bool(self.holds.on(part.name))
        again = part.ledger.rereading
        span = part.ledger.span()
        if held or (not again and (span >= policy.span + part.extra or note_bytes > policy.note_bytes)):
            if not part.paused:
                part.paused = True
                self._orders.append(Pause(*part.name, part.epoch))
            part.extra = 0
            if held and part.unsent:
                self._give_back(part)
        elif part.paused and (
            again or part.extra or (span <= policy.span // 2 and note_bytes <= policy.note_bytes // 2)
        ):
            part.paused = False
            self._orders.append(Resume(*part.name, part.epoch))

    def _give_back(self, part: Partition) -> None:
        """A held partition keeps no unsent records behind the one that holds it: they are read again afterwards.

        Those in front of it stay: read again they would come behind it.
        """
        culprits = {hold.offset for hold in self.holds.on(part.name).values()}
        stays = max((at for at, record in enumerate(part.unsent, 1) if record.offset() in culprits), default=0)
        given = list(islice(part.unsent, stays, None))
        if not given:
            return
        part.unsent = deque(islice(part.unsent, stays))
        part.ledger.give_back([record.offset() for record in given], given[0].timestamp()[1])
        self.room.free(part.name[0], sum(map(len, given)) + RECORD_OVERHEAD * len(given))
        self.tally.topic(part.name[0]).finished[Outcome.RELEASED] += len(given)
        self.tally.released += len(given)
        part.seek = part.ledger.given
        if part.seek is not None:
            self._orders.append(GiveBack(*part.name, part.epoch, part.seek))

    def _progress(self, part: Partition) -> Progress:
        ledger = part.ledger
        runs = ledger.runs()
        return Progress(*part.name, part.epoch, ledger.watermark, ledger.top if runs else -1, runs)

    def _pace_reading(self) -> None:
        """Enough unsent records to keep every call busy are enough: the rest stays in Kafka."""
        unsent = sum([len(part.unsent) for part in self.parts.values() if part.unsent])
        enough = max(2_000, self.gate.limit.value * self.policy.batch_events // 2)
        if unsent >= enough // 2:
            unsent -= self._beyond_share(enough // 2)
        self.room.open = unsent < (enough if self.room.open else enough // 2)

    def _beyond_share(self, enough: int) -> int:
        """Records that wait for their partition's one lane, of those a topic has more of than its share of `enough`.

        They keep no call busy, and may wait for long: where there are several topics they stop nobody else.
        """
        topics = {name[0] for name in self.parts}
        if len(topics) < 2:
            return 0
        stuck: Counter[str] = Counter()
        for part in self.parts.values():
            if part.serial and part.lanes and not part.ready():
                stuck[part.name[0]] += len(part.unsent)
        return sum(max(0, count - enough // len(topics)) for count in stuck.values())

    def wake_at(self, now: float) -> float | None:
        """When something is due that no event announces, in monotonic seconds; None if nothing is."""
        times = [self.calls.next_at(now), self.refusals.next_at(), self.drains.next_at()]
        flight = self.placer.open
        if flight is not None and flight.count and self.calls.closed is None:
            times.append(flight.opened + self.policy.linger)
        if self.settler.dirty:
            times.append(self._progress_at)
        if self.settler.woken or (self.calls.closed is None and self.batcher.has_more()):
            times.append(now)
        return min((time for time in times if time is not None), default=None)
