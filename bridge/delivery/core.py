"""Delivery: what becomes of every record that was read, decided in one place. Pure: clocks are passed in.

One thread calls it: it hands in what Kafka and the API said (`take`, `answered`), starts the calls that `starts` names
and passes `orders` on to the Kafka thread. `now` is monotonic seconds, `now_ms` the wall clock in milliseconds. The
simulator of the tests drives the same object.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from random import Random

from bridge.delivery.admission import Admission
from bridge.delivery.batch import Run, newest_of
from bridge.delivery.batcher import Batcher
from bridge.delivery.calls import Calls
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.finish import DeliveryCounters, Finish
from bridge.delivery.guards import Brake, Repeats
from bridge.delivery.holds import Hold, Holds, Reason, rewind_token
from bridge.delivery.journal import Journal, log_partition
from bridge.delivery.partition import WHOLE, Lanes, LanesOf, Partition
from bridge.delivery.pauses import Book
from bridge.delivery.policy import Policy
from bridge.delivery.reading import Reading, progress_of
from bridge.delivery.send_limit import SendLimits
from bridge.delivery.stuck import Stuck
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Budget,
    DeadLetterWritten,
    Drained,
    EndReached,
    Intake,
    Judge,
    KafkaState,
    Lost,
    Mapping,
    Order,
    Records,
    Reply,
    Revoking,
    RunMapper,
    SendLimitCommitted,
    Sought,
    TopicPartition,
)


class Drains:
    """A partition is taken away: finish what was handed over and let go of the rest. Used by the delivery thread alone.

    The order is drain → commit → fence: the Kafka thread commits when every `Drained` is there, and only then is the
    assignment gone. Sent without linger: every record below the highest offset that was handed over, so that what is
    finished is contiguous; what is above is released.
    """

    def __init__(self, batcher: Batcher, calls: Calls, dead_letters: DeadLetters, holds: Holds) -> None:
        self._batcher = batcher
        self._holds = holds
        self._calls = calls
        self._dead_letters = dead_letters
        self._draining: dict[Partition, float] = {}

    def any(self) -> bool:
        """Whether something is draining: nothing lingers then."""
        return bool(self._draining)

    def begin(self, parts: list[Partition], deadline: float) -> None:
        """Begin to drain; `deadline` is monotonic seconds."""
        handed = newest_of(self._calls.batches())
        for part in parts:
            begun = [offset for offset, fan_out in part.fan_outs.items() if fan_out.begun]
            rejected = self._dead_letters.unfinished(part)
            last = max([part.ledger.top, handed.get(part, -1), *begun, *rejected])
            self._draining[part] = deadline
            self._let_go(part, last)

    def _let_go(self, part: Partition, last: int) -> None:
        """What has not been handed over and is above the last offset to be sent leaves queues and batches."""
        part.lanes.drain(last)

        def above(run: Run) -> range:
            return run.every[bisect_right(run.offsets, last) :] if run.part is part else range(0)

        for batch in self._batcher.unstarted():
            if batch.take(above):
                part.lanes.left(batch, batch.locked().get(part, set()))

    def done(self, now: float, shut: bool) -> list[Partition]:
        """Partitions that are drained, or whose time is up, or for which nothing can be sent any more (`shut`)."""
        ended = [part for part, deadline in self._draining.items() if now >= deadline or self._drained(part, shut)]
        for part in ended:
            del self._draining[part]
        return ended

    def _drained(self, part: Partition, shut: bool) -> bool:
        if not part.live:
            return True
        if self._calls.in_call(part) or self._dead_letters.pending(part):
            return False
        if shut or self._holds.paused(part.name):
            return True
        if any(part in batch.parts() for batch in (*self._calls.batches(), *self._batcher.unstarted())):
            return False
        return bool(self._holds.on(part.name)) or not (part.ready() or part.lanes.waiting)

    def next_at(self) -> float | None:
        """When the next drain has to end."""
        return min(self._draining.values(), default=None)


LANES: dict[str, LanesOf] = {
    "key": lambda records: [record.key() for record in records],
    "partition": lambda records: [WHOLE] * len(records),
    "none": lambda records: [None] * len(records),
}
"""The lanes of a run of records, by `ordering`; None carries no order."""

MANY = 1_000_000
"""As many calls as may be in flight."""


class Delivery:
    """The core. Used by the delivery thread alone."""

    def __init__(
        self, policy: Policy, mapping: Mapping, judge: Judge, budget: Budget, rng: Random, now: float, *, version: str
    ) -> None:
        self.policy = policy
        self.mapping = mapping
        self._mappers: dict[str, RunMapper] = {}
        self.budget = budget
        self.counters = DeliveryCounters()
        self.journal = Journal()
        self.holds = Holds()
        self.pauses = Book()
        """What people said of pauses, as the Kafka side knows it; `operate.keep_to_pauses` replaces it."""
        self.kafka = KafkaState(joined=False, kind=None, trouble=None)
        self.parts: dict[TopicPartition, Partition] = {}
        self.brake = Brake(policy.brake)
        self.finish = Finish(self.counters, budget, self.brake)
        self.dead_letters = DeadLetters(self.brake, self.holds, self.finish, self.journal, rng, version=version)
        self.dead_letters.rules_hash = mapping.rules_hash
        self.reading = Reading(policy, self.finish, self.holds, budget, now)
        repeats = Repeats(policy.give_up_ms, policy.on_dedupe_expired)
        self.batcher = Batcher(policy, self.finish, self.dead_letters, self.holds, repeats)
        self.admission = Admission(policy, self.holds, now)
        stuck = Stuck(policy, self.reading, self.journal)
        self.calls = Calls(
            policy,
            self.admission,
            self.holds,
            self.batcher,
            self.finish,
            self.dead_letters,
            repeats,
            stuck,
            judge,
            self.journal,
            rng,
        )
        self.send_limits = SendLimits(policy, self.holds, self.calls, self.batcher, self.dead_letters)
        self.drains = Drains(self.batcher, self.calls, self.dead_letters, self.holds)
        self._orders: deque[Order] = deque()
        self._revoking: dict[TopicPartition, float] = {}
        """Since when a partition is being drained."""

    def mapper(self, topic: str) -> RunMapper:
        """What maps a topic's records; compiled once for all its partitions."""
        made = self._mappers.get(topic)
        if made is None:
            made = self._mappers[topic] = self.mapping.for_topic(topic)
        return made

    def remap(self, mapping: Mapping) -> None:
        """From now on records are mapped by other rules."""
        self.mapping = mapping
        self.dead_letters.rules_hash = mapping.rules_hash
        self._mappers.clear()
        for part in self.parts.values():
            part.map_run = self.mapper(part.name[0])

    def take(self, items: Sequence[Intake], now: float, now_ms: int) -> None:
        """What the Kafka thread handed over, in order."""
        for item in items:
            if isinstance(item, Records):
                self._records(item, now)
            elif isinstance(item, SendLimitCommitted):
                self._bounded(item)
            elif isinstance(item, EndReached):
                self._end(item)
            elif isinstance(item, Sought):
                self._sought(item)
            elif isinstance(item, DeadLetterWritten):
                self.dead_letters.written(item.ticket, item.error, now, now_ms)
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
        ordering = self.policy.ordering
        lanes = Lanes(LANES[ordering], serial=ordering == "partition", strict=self.policy.strict_order)
        part = Partition(name, item.epoch, item.start, self.mapper(item.topic), lanes)
        self.parts[name] = part
        self.calls.probes.moved = True
        self.counters.topic(item.topic)
        log_partition(self.journal, "assigned", "info", part, item.start.offset)
        if item.start.hold is not None:
            self._start_held(part, Reason(item.start.hold), now_ms)
        if item.paused:
            self.reading.began_paused(part)
        self.keep_to_pauses(part)

    def _start_held(self, part: Partition, reason: Reason, now_ms: int) -> None:
        """Hold a partition from its beginning, unless the settings accept that very rewind."""
        start, token = part.start, None
        detail = start.detail + start.age
        if reason is Reason.REWIND:
            token = rewind_token(part.name, start.offset, start.detail)
            accepted = token in self.policy.accepted_rewinds
            level = "warning" if accepted else "error"
            log_partition(self.journal, "rewind", level, part, start.offset, detail=detail, accepted=accepted)
            if accepted:
                # The Kafka thread began held, too: it goes on as after a hold that was lifted.
                self.reading.began_paused(part)
                part.consent()
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
        self.budget.seen_records += len(records)
        wanted = part.ledger.accept(records) if part is not None and part.seek is None else ()
        if len(wanted) < len(records):
            dropped = sum(map(len, records)) - sum(map(len, wanted))
            self.budget.free(item.topic, dropped + RECORD_OVERHEAD * (len(records) - len(wanted)))
        if part is None:
            return
        self.finish.moved(part)
        if not wanted:
            return
        self.counters.topic(item.topic).consumed += len(wanted)
        part.lanes.read(wanted, now)
        self.send_limits.look_again(part)
        self.batcher.queue(part)

    def _bounded(self, item: SendLimitCommitted) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None:
            self.send_limits.acknowledged(part, item)
            self.batcher.queue(part)

    def _end(self, item: EndReached) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None and part.seek is None:
            part.ledger.end(item.offset)
            self.finish.moved(part)

    def _sought(self, item: Sought) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None:
            self.reading.sought(part, item)

    def _lost(self, names: Sequence[TopicPartition]) -> None:
        for name in names:
            part = self.parts.get(name)
            if part is not None:
                offset, released = part.ledger.watermark, self._fence(part)
                log_partition(self.journal, "lost", "warning", part, offset, released=released)

    def _fence(self, part: Partition) -> int:
        """The assignment ends: what is unfinished is released, results that still come are dropped.

        Returns how many records were released.
        """
        self._revoking.pop(part.name, None)
        if not part.live:
            return 0
        part.live = False
        held = [record for record in part.ledger.unfinished.values() if record is not None]
        self.finish.release(part, held)
        self.dead_letters.forget(part)
        self.holds.drop(part.name)
        self.calls.unpark(part)
        self.finish.dirty.pop(part, None)
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
        self.dead_letters.retry(now)
        closed = self.admission.closed(len(self.calls.in_flight), now)
        if closed is None:
            wanted = min(self.admission.limit.value - len(self.calls.in_flight), most)
            self.batcher.fill(1 if self.admission.one_at_a_time() else wanted, now, now_ms)
            batch = self.batcher.open
            if batch is not None and batch.count and (now >= batch.opened + self.policy.linger or self.drains.any()):
                self.batcher.seal()
        return self.calls.starts(now, now_ms)

    def _wake(self) -> None:
        woken = self.finish.woken
        while woken:
            self.batcher.queue(woken.popleft())

    def orders(self, now: float) -> deque[Order]:
        """What the Kafka thread is to do, in order; the caller empties it."""
        for part in self.drains.done(now, self.admission.shut(now)):
            if part.live:
                self._orders.append(Drained(progress_of(part), self.send_limits.handed(part)))
                seconds, offset = now - self._revoking.get(part.name, now), part.ledger.watermark
                facts = {"seconds": round(seconds, 3), "released": self._fence(part)}
                log_partition(self.journal, "revoked", "info", part, offset, **facts)
        changed = [self.parts[name] for name in self.holds.changed() if name in self.parts]
        self.finish.woken.extend(changed)
        covers = self.send_limits.orders(self.parts.values(), changed)
        if changed or covers:
            # What is finished above goes with what is covered, or nothing would cover that any more.
            for part in (*changed, *(self.parts[cover.topic, cover.partition] for cover in covers)):
                self.finish.moved(part)
            self.reading.at_once(now)
        letters = self.dead_letters.outbox
        if letters:
            self._orders.extend(letters)
            letters.clear()
        self._orders.extend(self.reading.orders(now))
        self._orders.extend(covers)
        busy = self.admission.limit.value * self.policy.batch_events // 2
        self.reading.open_or_shut(self.parts.values(), busy)
        return self._orders

    def order(self, order: Order) -> None:
        """Have the Kafka thread do something that a person asked for."""
        self._orders.append(order)

    def wake_at(self, now: float) -> float | None:
        """When something is due that no event announces, in monotonic seconds; None if nothing is."""
        times = [self.calls.next_at(now), self.dead_letters.next_at(), self.drains.next_at(), self.reading.next_at()]
        batch = self.batcher.open
        if batch is not None and batch.count and self.calls.closed is None:
            times.append(batch.opened + self.policy.linger)
        if self.finish.woken or (self.calls.closed is None and self.batcher.has_more()):
            times.append(now)
        return min((time for time in times if time is not None), default=None)
