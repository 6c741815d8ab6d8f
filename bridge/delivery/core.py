"""Delivery: what becomes of every record that was read, decided in one place. Pure: clocks are passed in.

One thread calls it: it hands in what Kafka and the API said (`take`, `answered`), starts the calls that `starts` names
and passes `orders` on to the Kafka thread. `now` is monotonic seconds, `now_ms` the wall clock in milliseconds. The
simulator of the tests drives the same object.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping as Map, Sequence
from random import Random
from sys import maxsize

from bridge.delivery.admission import Admission, Hold, Holds, Reason, rewind_token
from bridge.delivery.batch import WHOLE, Batch, Lanes, LanesOf, Partition, Run, newest_of
from bridge.delivery.batcher import Batcher
from bridge.delivery.calls import Calls
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.finish import Brake, DeliveryCounters, Finish
from bridge.delivery.guards import Repeats
from bridge.delivery.journal import Journal, log_partition
from bridge.delivery.pauses import Book
from bridge.delivery.policy import Policy
from bridge.delivery.stuck import Stuck
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Budget,
    CommitSendLimit,
    DeadLetterWritten,
    Drained,
    EndReached,
    GiveBack,
    Intake,
    Judge,
    KafkaState,
    Lost,
    Mapping,
    Order,
    Pause,
    Progress,
    Records,
    Reply,
    Resume,
    Revoking,
    RunMapper,
    SendLimitCommitted,
    Sought,
    TopicPartition,
)

LANES: dict[str, LanesOf] = {
    "key": lambda records: [record.key() for record in records],
    "partition": lambda records: [WHOLE] * len(records),
    "none": lambda records: [None] * len(records),
}
"""The lanes of a run of records, by `ordering`; None carries no order."""


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
        stuck = Stuck(policy, self.reading.let_in, self.journal)
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
        self.reading.assigned(part)
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
        if wanted is not records:
            dropped = sum(map(len, records)) - sum(map(len, wanted))
            self.budget.free(item.topic, dropped + RECORD_OVERHEAD * (len(records) - len(wanted)))
        if part is None:
            return
        self.finish.moved(part)
        self.counters.topic(item.topic).consumed += len(wanted)
        part.lanes.read(wanted, now)
        self.reading.read(part)
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
        part.live = False
        held = [record for record in part.ledger.unfinished.values() if record is not None]
        self.finish.release(part, held)
        self.dead_letters.forget(part)
        self.holds.drop(part.name)
        self.calls.unpark(part)
        self.finish.dirty.pop(part, None)
        self.calls.probes.lowered.discard(part)
        self.reading.gone(part)
        del self.parts[part.name]
        return len(held)

    def answered(self, number: int, reply: Reply, now: float, now_ms: int) -> None:
        """One HTTP attempt ended."""
        self.calls.answered(number, reply, now, now_ms)

    def starts(self, now: float, now_ms: int, most: int = maxsize) -> list[tuple[int, bytes]]:
        """The calls to start now, as (number, body): call it after every `take` and `answered`, and when due.

        It fills `most` new ones at most; `wake_at` says "now" where there is more to do.
        """
        self._wake()
        if self.dead_letters.failed:
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
        drained = self.drains.done(now, self.admission.shut(now))
        for part, handed in zip(drained, self.send_limits.handed(drained), strict=True):
            if part.live:
                self._orders.append(Drained(progress_of(part), handed))
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
        self.reading.open_or_shut(busy)
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


ENOUGH = 2_000
"""So many unsent records keep every call busy, at least."""


class Reading:
    """Used by the delivery thread alone."""

    def __init__(self, policy: Policy, finish: Finish, holds: Holds, budget: Budget, now: float) -> None:
        self._policy = policy
        self._finish = finish
        self._holds = holds
        self._budget = budget
        self._progress_at = now
        self._in_work: dict[Partition, None] = {}
        """Partitions that have records without an outcome, and some that had."""
        self._topics: Counter[str] = Counter()
        """How many partitions of each topic are ours."""

    def assigned(self, part: Partition) -> None:
        """The partition is ours."""
        self._topics[part.name[0]] += 1

    def read(self, part: Partition) -> None:
        """Records of the partition were read."""
        self._in_work[part] = None

    def gone(self, part: Partition) -> None:
        """The partition is not ours any more."""
        self._in_work.pop(part, None)
        self._topics[part.name[0]] -= 1

    def began_paused(self, part: Partition) -> None:
        """The Kafka thread began with the partition paused: it is told to go on where that is over by now."""
        part.paused = True
        self._finish.moved(part)

    def sought(self, part: Partition, item: Sought) -> None:
        """The reader went back."""
        if part.seek is not None and item.offset <= part.seek:
            part.seek = None

    def let_in(self, part: Partition, last_success: float, now: float) -> None:
        """Read one batch more, though a record that keeps failing stopped the partition; once until something succeeds."""
        if part.let_in_at is None or last_success > part.let_in_at:
            part.let_in_at = now
            part.extra = max(0, part.ledger.span() - self._policy.span) + self._policy.batch_events
            self._finish.moved(part)

    def at_once(self, now: float) -> None:
        """What has moved is to be said now."""
        self._progress_at = now

    def next_at(self) -> float | None:
        """When something is to be said."""
        return self._progress_at if self._finish.dirty else None

    def orders(self, now: float) -> Iterator[Order]:
        """What is to be said of the partitions in which something moved, if it is time."""
        dirty, policy = self._finish.dirty, self._policy
        if not dirty or (now < self._progress_at and max(dirty.values()) < policy.progress_records):
            return
        self._progress_at = now + policy.progress_interval
        for part in dirty:
            progress = progress_of(part)
            said = (progress.watermark, progress.delivered, progress.finished)
            if said != part.said:
                part.said = said
                yield progress
            yield from self._pace(part, len(progress.finished))
        dirty.clear()

    def _pace(self, part: Partition, metadata_bytes: int) -> Iterator[Order]:
        """Stop reading a partition that is held, spans too much or whose metadata fills up; go on at half of that.

        What was given back, or left by an earlier owner, is read whatever the span: only that moves the watermark. So
        is what was let in beside a record that keeps failing.
        """
        policy = self._policy
        held = bool(self._holds.on(part.name))
        again = part.ledger.rereading
        span = part.ledger.span()
        if held or (not again and (span >= policy.span + part.extra or metadata_bytes > policy.metadata_bytes)):
            if not part.paused:
                part.paused = True
                yield Pause(*part.name, part.epoch)
            part.extra = 0
            if held and part.lanes.unsent:
                yield from self._give_back(part)
        elif part.paused and (
            again or part.extra or (span <= policy.span // 2 and metadata_bytes <= policy.metadata_bytes // 2)
        ):
            part.paused = False
            yield Resume(*part.name, part.epoch)

    def _give_back(self, part: Partition) -> Iterator[Order]:
        """A held partition keeps no unsent records behind the one that holds it: they are read again afterwards.

        Those in front of it stay: read again they would come behind it.
        """
        given = part.lanes.give_back({hold.offset for hold in self._holds.on(part.name).values()})
        if not given:
            return
        part.ledger.give_back([record.offset() for record in given], given[0].timestamp()[1])
        self._finish.release(part, given)
        part.seek = part.ledger.given
        if part.seek is not None:
            yield GiveBack(*part.name, part.epoch, part.seek)

    def open_or_shut(self, busy: int) -> None:
        """Enough unsent records to keep `busy` of them in calls are enough: the rest stays in Kafka.

        Called at every turn: it looks at partitions with something in work alone, however many there are.
        """
        in_work = self._in_work
        for part in [part for part in in_work if not part.ledger.unfinished]:
            del in_work[part]
        unsent = sum([len(part.lanes.unsent) for part in in_work])
        enough = max(ENOUGH, busy)
        half = enough // 2
        if unsent >= half:
            unsent -= _beyond_share(in_work, half, sum(map(bool, self._topics.values())))
        self._budget.open = unsent < (enough if self._budget.open else half)


def _beyond_share(parts: Iterable[Partition], enough: int, topics: int) -> int:
    """Records that wait for their partition's one lane, of those a topic has more of than its share of `enough`.

    They keep no call busy, and may wait for long: where there are several topics they stop nobody else.
    """
    if topics < 2:
        return 0
    blocked: Counter[str] = Counter()
    for part in parts:
        if part.lanes.blocked(part.send_limit):
            blocked[part.name[0]] += len(part.lanes.unsent)
    return sum(max(0, count - enough // topics) for count in blocked.values())


def progress_of(part: Partition) -> Progress:
    """What may be committed of a partition."""
    ledger = part.ledger
    runs = ledger.runs()
    return Progress(*part.name, part.epoch, ledger.watermark, ledger.top if runs else -1, runs)


class SendLimits:
    """What commits are to call handed over: the send limit of each partition. Used by the delivery thread alone.

    Usually that is the newest record read, so that a kill leaves no doubt. In a hold that would put the 24 h clock on
    records that wait in front of it: the limit goes back, as at a clean stop, and goes on behind the hold. While
    everything is held a probe goes out now and then; while a partition is, what was in batches already, unless somebody
    paused it.
    """

    def __init__(self, policy: Policy, holds: Holds, calls: Calls, batcher: Batcher, dead_letters: DeadLetters) -> None:
        self._policy = policy
        self._holds = holds
        self._calls = calls
        self._batcher = batcher
        self._probes = calls.probes
        self._dead_letters = dead_letters
        self._on = False
        self._hungry: Partition | None = None
        """Whose next records are covered, too, since a probe needs new ones."""
        self._unsettled: set[Partition] = set()
        """Partitions on which a hold was put or lifted, or that still have something in batches in theirs."""

    def handed(self, parts: Sequence[Partition]) -> list[int]:
        """Of each the newest offset that may have been applied, in this assignment or an earlier owner's; -1 if none.

        What is finished above the watermark does not count: it stands in the metadata, as far as that has room.
        """
        applied = newest_of(self._maybe_applied()) if parts else {}
        return [self._handed(part, applied) for part in parts]

    def _handed(self, part: Partition, applied: Map[Partition, int]) -> int:
        offsets = [offset for offset, fan_out in part.fan_outs.items() if fan_out.begun]
        offsets += self._dead_letters.unfinished(part)
        if len(part.ledger.runs()) > self._policy.metadata_bytes:
            offsets.append(part.ledger.top)
        finished = min(part.ledger.top, part.ledger.watermark - 1)
        return max((applied.get(part, finished), part.start.send_limit, finished, *offsets))

    def _maybe_applied(self) -> Iterator[Batch]:
        calls = self._calls
        yield from (batch for root in calls.in_flight.values() for batch in root.family())
        yield from (batch for _, _, root in calls.resting for batch in root.family() if batch.first_ms is not None)

    def orders(self, parts: Iterable[Partition], changed: Sequence[Partition]) -> list[CommitSendLimit]:
        """What the commits are to say from now on; to be called whenever something may have changed.

        `changed` are the partitions on which a hold was put or lifted since the last call.
        """
        self._unsettled.update(changed)
        if self._holds.everything():
            return self._in_hold(parts)
        if self._on:
            self._on, self._hungry = False, None
            self._unsettled.update(parts)
        elif not (changed or self._probes.moved):
            return []
        return self._of_partitions() if self._unsettled else []

    def look_again(self, part: Partition) -> None:
        """More of the partition is read or covered by now: where it is held, that must not count as handed over."""
        if self._holds.on(part.name):
            self._unsettled.add(part)
            self._probes.moved = True

    def _in_hold(self, parts: Iterable[Partition]) -> list[CommitSendLimit]:
        fed = not self._probes.hungry or (self._hungry is not None and self._feeds(self._hungry))
        if self._on and fed and not self._probes.moved:
            return []
        parts = [part for part in parts if part.number >= 0]
        self._look_at_batches(parts)
        self._on, self._probes.moved = True, False
        if not self._probes.hungry:
            self._hungry = None
        elif not fed:
            self._hungry = next((part for part in parts if self._may_feed(part)), None)
        return [self._order(part, last) for part, last in self._wanted(parts) if part.covered != last]

    def _look_at_batches(self, parts: Iterable[Partition]) -> None:
        """From now on a batch goes only as far as commits cover it; batches that were set aside for that may go again."""
        self._probes.lowered.update(parts)
        for part in parts:
            if part.behind:
                part.behind = False
                self._calls.unpark(part)

    def _feeds(self, part: Partition) -> bool:
        """Whether a probe may still come of what is covered: records that no rule wants make none."""
        spent = part.covered is not None and bool(part.lanes.unsent) and part.lanes.unsent[0].offset() > part.covered
        return self._may_feed(part) and (not spent or self._probes.filling)

    def _may_feed(self, part: Partition) -> bool:
        return part.live and not self._holds.on(part.name) and bool(_next_of(part, self._policy))

    def _wanted(self, parts: Iterable[Partition]) -> Iterator[tuple[Partition, int]]:
        applied, probe = newest_of(self._maybe_applied()), self._probes.chosen
        probed = {} if probe is None else newest_of([probe])
        for part in parts:
            fed = _next_of(part, self._policy) if part is self._hungry else []
            handed = self._handed(part, applied)
            yield part, max((handed, probed.get(part, handed), *fed))

    def _of_partitions(self) -> list[CommitSendLimit]:
        """Back in a partition that is held, down to what still goes out while that lasts; on where it is not any more."""
        self._probes.moved = False
        applied = newest_of(self._maybe_applied())
        called = newest_of(self._calls.in_flight.values())
        going = newest_of([*self._calls.batches(), *self._batcher.unstarted()])
        orders: list[CommitSendLimit] = []
        for part in sorted(self._unsettled, key=lambda part: part.name):
            held = part.live and part.number >= 0 and bool(self._holds.on(part.name))
            goes = called if self._holds.paused(part.name) else going
            handed = self._handed(part, applied)
            last = max(handed, goes.get(part, handed)) if held else None
            if part.live and part.covered != last and (part.covered is not None or _read_above(part, last)):
                orders.append(self._order(part, last))
            if held and part.covered is not None:
                part.behind = True
                self._probes.lowered.discard(part)
            if not held or part not in goes:
                self._unsettled.discard(part)
        return orders

    def _order(self, part: Partition, last: int | None) -> CommitSendLimit:
        part.covered, part.number = last, part.number + 1
        if last is not None:
            part.send_limit = min(part.send_limit, last)
        return CommitSendLimit(*part.name, part.epoch, part.number, last)

    def acknowledged(self, part: Partition, item: SendLimitCommitted) -> None:
        """A commit of the partition is in Kafka; what an order since then has overtaken says nothing."""
        if item.number not in (part.number, -1):
            return
        part.send_limit = max(part.send_limit, item.send_limit)
        if item.number != part.number:
            part.covered, part.number = None, item.number
        if part.behind:
            self._calls.unpark(part)
        if part.covered is None:
            part.behind = False
            self._probes.lowered.discard(part)
            self.look_again(part)


def _read_above(part: Partition, last: int | None) -> bool:
    """Whether commits may call more handed over than that; where they do not, none is made that changes nothing."""
    newest = part.ledger.newest
    return last is not None and max(part.send_limit, newest if newest >= part.start.offset else last) > last


def _next_of(part: Partition, policy: Policy) -> list[int]:
    """The last of the next records that would share a call, as a list; empty if there are none."""
    unsent = part.lanes.unsent
    return [unsent[min(len(unsent), policy.batch_events) - 1].offset()] if unsent else []


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
            top = part.ledger.top
            last = max([top, handed.get(part, top), *begun, *rejected])
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
        if not self._draining:
            return []
        going = newest_of([*self._calls.batches(), *self._batcher.unstarted()])
        called = newest_of(self._calls.in_flight.values())
        ended = [
            part
            for part, deadline in self._draining.items()
            if now >= deadline or not part.live or self._drained(part, called, going, shut=shut)
        ]
        for part in ended:
            del self._draining[part]
        return ended

    def _drained(self, part: Partition, called: Map[Partition, int], going: Map[Partition, int], *, shut: bool) -> bool:
        if part in called or self._dead_letters.pending(part):
            return False
        if shut or self._holds.paused(part.name):
            return True
        if part in going:
            return False
        return bool(self._holds.on(part.name)) or not (part.ready() or part.lanes.waiting)

    def next_at(self) -> float | None:
        """When the next drain has to end."""
        return min(self._draining.values(), default=None)
