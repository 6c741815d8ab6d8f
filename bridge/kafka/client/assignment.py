"""The partitions that are ours: when they begin, how they are given up, and which are paused. Kafka thread only.

librdkafka's callbacks do nothing but note what changed, the drain in a revoke apart. A new partition is told to
librdkafka only when its start is resolved (`start_new`), so that nothing is read from a guessed place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.flow import (
    Assigned,
    Drained,
    EndReached,
    GiveBack,
    GoPast,
    Intake,
    Lost,
    Pause,
    Resume,
    Revoking,
    SendLimitCommitted,
    Sought,
    TopicPartition as Name,
)
from bridge.kafka.client.committing import Offsets
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.partition_state import PartitionState
from bridge.kafka.client.pauses import Pauses
from bridge.kafka.client.refetch import Seeks
from bridge.kafka.client.resolve_start import StartPolicy, StartResolver
from bridge.kafka.client.shadow import Shadow
from bridge.kafka.client.unanswered import OVERDUE_SECONDS, OpenQuestion, places
from bridge.kafka.client.unreadable import SILENCE, Unreadable
from bridge.kafka.config import Clients
from bridge.kafka.errors import NOT_READ, Unread, is_forbidden, silence, unread
from bridge.offsets.begin import Resolved

_RETRY_SECONDS: Final = 0.3
_LATE_SECONDS: Final = 0.25
"""How much longer than its deadline a drain is waited for: the other thread answers at the deadline itself."""
_BEYOND_END_SECONDS: Final = 5.0
"""How long an end below the committed offset is doubted: a new leader may not know its end yet."""
_LIFTED: Final = "whether the log was cut off while a partition was held"
_EPOCHS: Final = count(1)
"""Never the same twice in a process, also when a consumer is replaced."""


class Assignment:
    """The assignment of one consumer. `serve` takes in orders of the delivery thread; it is called while draining."""

    def __init__(
        self,
        clients: Clients,
        offsets: Offsets,
        intake: Callable[[list[Intake]], None],
        serve: Callable[[float], None],
        counters: KafkaCounters,
        shadow: Shadow | None,
        manner: StartPolicy,
        pauses: Pauses | None = None,
    ) -> None:
        self.states: dict[Name, PartitionState] = {}
        self.joined = False
        self.all_paused = False
        self.paused_topics: set[str] = set()
        """Topics that are not read because they have enough of the room (`reader`), new partitions included."""
        self.unreadable = Unreadable()
        """Partitions that give errors, or nothing, in place of records."""
        self._clients = clients
        self._offsets = offsets
        self._intake = intake
        self._serve = serve
        self._counters = counters
        self._shadow = shadow
        self._manner = manner
        self._pauses = pauses
        self._new: dict[Name, float] = {}
        """Partitions without a start yet, and since when."""
        self._retry_at = 0.0
        self._resolver: StartResolver | None = None
        self._begun: set[Name] = set()
        """Those of the inquiry that have begun."""
        self._drained: dict[Name, Drained] = {}
        self._resting: set[Name] = set()
        self.seeks = Seeks()
        self._unchecked: dict[Name, float] = {}
        """Partitions that go on from an earlier offset after a hold, once it is known that nothing was cut; since when."""

    def on_assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Partitions came: note them; reading begins in `start_new`."""
        self.joined = True
        self._counters.rebalances["assigned"] += 1
        now = time.monotonic()
        self._new |= {(part.topic, part.partition): now for part in parts}
        self._resolver = None
        self._retry_at = now
        # Anything but an explicit answer makes the client start them all by itself.
        if self._clients.eager:
            consumer.assign([])
        else:
            consumer.incremental_assign([])

    def on_revoke(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Partitions go: drain, commit, then let go."""
        self._counters.rebalances["revoked"] += 1
        names = [(part.topic, part.partition) for part in parts]
        for name in names:
            self._new.pop(name, None)
        ours = [name for name in names if name in self.states]
        self.give_up(ours)
        self._unassign(consumer, ours)

    def on_lost(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Partitions are somebody else's already: drop everything, commit nothing."""
        self._counters.rebalances["lost"] += 1
        self.joined = False
        names = [(part.topic, part.partition) for part in parts]
        for name in names:
            self._new.pop(name, None)
        ours = [name for name in names if name in self.states]
        self._forget(ours)
        if ours:
            self._intake([Lost(tuple(ours))])
        self._unassign(consumer, ours)

    def _unassign(self, consumer: Consumer, names: Sequence[Name]) -> None:
        if self._clients.eager:
            consumer.unassign()
        else:
            consumer.incremental_unassign([TopicPartition(*name) for name in names])

    def give_up(self, names: Sequence[Name]) -> None:
        """Drain partitions within the limit, commit what is finished, then fence them."""
        if not names:
            return
        begun = time.monotonic()
        deadline = begun + self._clients.drain
        self._drained.clear()
        self._intake([Revoking(tuple(names), deadline)])
        while not self._drained.keys() >= set(names) and time.monotonic() < deadline + _LATE_SECONDS:
            self._serve(0.003)
        self._counters.drain_buckets.observe(time.monotonic() - begun)
        if not self._clients.dry_run:
            self._offsets.commit_finally({name: self._handed(name) for name in names})
        self._forget(names)
        overdue = [name for name in names if name not in self._drained]
        if overdue:
            self._counters.overdue_drains += 1
            self._intake([Lost(tuple(overdue))])

    def _handed(self, name: Name) -> int | None:
        """The newest offset that was handed to the API, as the drain said; None where it said nothing."""
        answer = self._drained.get(name)
        return None if answer is None else answer.handed

    def drop_all(self) -> None:
        """The consumer is of no use any more: everything is somebody else's."""
        names = tuple(self.states)
        self._forget(names)
        self._new.clear()
        if names:
            self._intake([Lost(names)])

    def _forget(self, names: Iterable[Name], *, restarts: bool = False) -> None:
        for name in names:
            if not restarts:
                self.unreadable.over(name)
            self.states.pop(name, None)
            self.seeks.forget(name)
            self._unchecked.pop(name, None)
        self._offsets.forget(names)

    def waiting(self) -> bool:
        """Whether partitions have no start yet."""
        return bool(self._new)

    def unbegun(self) -> Mapping[Name, float]:
        """The partitions without a start, and since when (monotonic seconds)."""
        return self._new

    def start_new(self, consumer: Consumer, now: float) -> list[KafkaError]:
        """Begin to read where the start is known, and ask for the other starts now and then. Returns Kafka's errors."""
        if not self._new or now < self._retry_at or (self._pauses is not None and not self._pauses.known(self._new)):
            return []
        if self._resolver is None or self._resolver.names != self._new.keys() | self._begun:
            self._begun = set()
            self._resolver = StartResolver(tuple(self._new), self._manner, self._offsets.earlier(now))
        inquiry = self._resolver
        found = inquiry.ask(consumer)
        self._retry_at = inquiry.next_at()
        for name in [name for name, start in found.items() if self._doubtful(name, start, now)]:
            del found[name]
            inquiry.doubt(name)
            self._retry_at = now + _RETRY_SECONDS
        self._begun |= found.keys()
        self._begin(consumer, found)
        return inquiry.failures

    def unanswered(self, now: float) -> Mapping[str, OpenQuestion]:
        """The questions about starts, and about going on after a hold, that have no answer for ten seconds."""
        if self._new:
            return {**self._manner.open.overdue(now), **self._unchecked_long(now)}
        self.ask_no_more()
        return self._unchecked_long(now)

    def ask_no_more(self) -> None:
        """Let go of what was opened to ask about starts."""
        if self._manner.ends is not None:
            self._manner.ends.close()

    def _unchecked_long(self, now: float) -> dict[str, OpenQuestion]:
        since = min(self._unchecked.values(), default=now)
        if self._manner.lifted is None or now <= since + OVERDUE_SECONDS:
            return {}
        return {_LIFTED: OpenQuestion(since, error=self._manner.lifted.error)}

    def _doubtful(self, name: Name, found: Resolved, now: float) -> bool:
        return found.doubtful and now < self._new[name] + _BEYOND_END_SECONDS

    def _begin(self, consumer: Consumer, found: Mapping[Name, Resolved]) -> None:
        if not found:
            return
        starts = {name: resolved.start for name, resolved in found.items()}
        # With the epoch a cut of the log is noticed before the first record comes, too.
        parts = [TopicPartition(*name, start.offset, leader_epoch=start.leader_epoch) for name, start in starts.items()]
        if self._clients.eager:
            others = [state for state in self.states.values() if state.started]
            consumer.assign([*(each.part() for each in others), *parts])
        else:
            consumer.incremental_assign(parts)
        # A pause survives revoke and assign in every protocol: lift it before the present pauses are applied.
        consumer.resume(parts)
        items: list[Intake] = []
        for name, resolved in found.items():
            del self._new[name]
            items += self._started(name, resolved)
        self._pause_again(consumer)
        self._tell_unread({name: resolved for name, resolved in found.items() if resolved.unread})
        self._intake(items)

    def _tell_unread(self, found: Mapping[Name, Resolved]) -> None:
        """Tell of records that nobody will have read, once for each topic."""
        for topic in sorted({name[0] for name in found}):
            unread = {name: resolved.unread for name, resolved in found.items() if name[0] == topic}
            total = sum(unread.values())
            text = f"{total} records at most before the start of {places(unread)} are not read: {NOT_READ}"
            self._counters.journal.note("records_not_read", "warning", topic=topic, count=total, message=text)

    def _started(self, name: Name, resolved: Resolved) -> list[Intake]:
        start = resolved.start
        held = start.hold is not None
        lost, why = resolved.lost, start.detail
        newest = max(start.delivered, start.send_limit, start.offset - 1)
        state = PartitionState(
            name, next(_EPOCHS), start.offset, start.leader_epoch, newest, started=True, held=held, lost=lost, why=why
        )
        state.paused = self._pauses is not None and self._pauses.book.paused(name) is not None
        self.states[name] = state
        if not held:
            self._count_lost(state)
        self.unreadable.placed(name)
        runs, fresh, began = resolved.runs, resolved.fresh, resolved.began
        self._offsets.committer.assigned(name, state.epoch, start, runs=runs, fresh=fresh, began=began)
        self._offsets.committer.located(name[0], self._manner.place.origins.of(name[0]))
        if resolved.remade and self._shadow is not None:
            self._shadow.forget(name)
        if resolved.foreign is not None:
            self._count_foreign(name, start.offset, resolved.foreign)
        items: list[Intake] = [Assigned(*name, state.epoch, start, state.paused)]
        if start.send_limit >= 0:
            items.append(SendLimitCommitted(*name, state.epoch, start.send_limit))
        return items

    def _count_foreign(self, name: Name, offset: int, why: str) -> None:
        self._counters.foreign_metadata += 1
        text = f"the metadata of the commit does not count here: {why}"
        self._counters.journal.note(
            "metadata_foreign", "warning", topic=name[0], partition=name[1], offset=offset, message=text
        )

    def _count_lost(self, state: PartitionState) -> None:
        if state.lost:
            (topic, partition), lost = state.name, state.lost
            self._counters.lost_records[topic] += lost
            self._counters.journal.note(
                "records_lost", "error", topic=topic, partition=partition, count=lost, message=state.why
            )
            state.lost = 0

    def _pause_again(self, consumer: Consumer) -> None:
        self._pause(consumer, [each.name for each in self.states.values() if self.stopped(each)])

    def _pause(self, consumer: Consumer, names: Sequence[Name]) -> None:
        if names:
            consumer.pause([TopicPartition(*name) for name in names])
        self.seeks.paused(names)

    def stopped(self, state: PartitionState) -> bool:
        """Whether the partition is not read at the moment."""
        waits = state.resting or state.name in self._unchecked
        return state.paused or state.held or waits or self.no_room(state)

    def no_room(self, state: PartitionState) -> bool:
        """Whether it is not read because there is no room: for any record, or for its topic."""
        return self.all_paused or state.name[0] in self.paused_topics

    def restart(self, consumer: Consumer, name: Name) -> None:
        """The place to read from is gone (retention, truncation): commit, let go, and resolve it anew."""
        if name not in self.states:
            return
        if not self._clients.dry_run:
            self._offsets.commit_finally({name: None})
        self._forget([name], restarts=True)
        self._intake([Lost((name,))])
        self._new[name] = time.monotonic()
        self._resolver = None
        self._retry_at = 0.0
        if not self._clients.eager:
            consumer.incremental_unassign([TopicPartition(*name)])

    def pause_all(self, consumer: Consumer) -> None:
        """Stop reading everywhere; polling goes on."""
        self.all_paused = True
        self._counters.pauses += 1
        self._pause_again(consumer)

    def resume_all(self, consumer: Consumer) -> None:
        """Read again where no order and no hold says otherwise."""
        self.all_paused = False
        self._resume(consumer, self.states.values())

    def _resume(self, consumer: Consumer, states: Iterable[PartitionState]) -> None:
        parts = [TopicPartition(*each.name) for each in states if not self.stopped(each)]
        if parts:
            consumer.resume(parts)

    def topics(self) -> set[str]:
        """Those of which a partition is ours."""
        return {name[0] for name in self.states}

    def pause_topics(self, consumer: Consumer, topics: set[str]) -> None:
        """Stop reading these topics; polling and the others go on."""
        names = [each.name for each in self.states.values() if each.name[0] in topics and not self.stopped(each)]
        self.paused_topics |= topics
        self._counters.pauses += 1
        self._pause(consumer, names)

    def resume_topics(self, consumer: Consumer, topics: set[str]) -> None:
        """Read these topics again where nothing else says otherwise."""
        self.paused_topics -= topics
        self._resume(consumer, [each for each in self.states.values() if each.name[0] in topics])

    def paused(self, consumer: Consumer, order: Pause) -> None:
        """An order to read no more of a partition."""
        state = self._of(order)
        if state is not None and not state.paused:
            state.paused = True
            self._pause(consumer, [state.name])

    def resumed(self, consumer: Consumer, order: Resume) -> None:
        """An order to read a partition again; for one that started held: the hold is lifted."""
        state = self._of(order)
        if state is None:
            return
        if state.held:
            state.held = False
            self._count_lost(state)
            self._offsets.committer.release(state.name, state.epoch)
            if self._shadow is not None:
                self._shadow.forget(state.name)
        state.paused = False
        if self.seeks.is_open(state.name) and state.leader_epoch >= 0 and self._manner.lifted is not None:
            # librdkafka checks no position that was sought, and what was finished above it may be other records by now.
            self._unchecked[state.name] = time.monotonic()
        self._resume(consumer, [state])

    def check_due(self, consumer: Consumer) -> None:
        """Go on with partitions that were held. Where the log is not the one that was read any more, resolve their start anew."""
        lifted = self._manner.lifted
        if not self._unchecked or lifted is None:
            return
        found: Mapping[Name, int | None] = {}
        with suppress(KafkaException):
            found = lifted.ask({name: self.states[name].leader_epoch for name in self._unchecked})
        for name, end in found.items():
            state = self.states[name]
            del self._unchecked[name]
            if end is not None and end < state.reached:
                self.restart(consumer, name)
            else:
                self._resume(consumer, [state])
        if not self._unchecked:
            lifted.close()

    def given_back(self, order: GiveBack) -> None:
        """An order to read a partition again from an earlier offset."""
        state = self._of(order)
        if state is not None:
            self.seeks.order(state.name, order.offset)

    def rest(self, consumer: Consumer, name: Name) -> None:
        """Stop reading what cannot be read: the client would try twice a second, or as fast as it can (measured)."""
        self.states[name].resting = True
        self._resting.add(name)
        self._pause(consumer, [name])

    def failed(self, consumer: Consumer, name: Name, error: KafkaError, offset: int) -> None:
        """An error came of a partition in place of records, and named an offset (or -1)."""
        state = self.states.get(name)
        if state is None:
            return
        state.heard = time.monotonic()
        found = unread(error, state.position, name[0])
        if self.unreadable.failed(name, error.code(), offset, found, state.heard, sure=is_forbidden(error)):
            self._tell_unreadable(name, found)
        if name in self.unreadable.told():
            self.rest(consumer, name)

    def _tell_unreadable(self, name: Name, found: Unread) -> None:
        self._counters.journal.note(
            "partition_unreadable",
            "error",
            topic=name[0],
            partition=name[1],
            offset=found.offset,
            message=found.message,
            advice=found.advice,
        )

    def readable(self, state: PartitionState, offset: int) -> bool:
        """Whether what came behind an error may be taken in: a partition's first offset, or its end.

        Records that the client passed over, because it could not read them, are counted as lost.
        """
        lost = self.unreadable.came(state.name, offset, state.position)
        if lost is None:
            self.seeks.doubt(state.name, state.position)
            return False
        (topic, partition), told = state.name, self.unreadable.over(state.name)
        if told is not None:
            self._counters.journal.note("partition_readable", "info", topic=topic, partition=partition, offset=offset)
        if lost:
            why = f"offsets {state.position} to {offset - 1} cannot be read: Kafka's client passes over them"
            state.lost, state.why = lost, why
            self._count_lost(state)
            state.past(offset)
            self._offsets.committer.past(state.name, offset)
        return True

    def gone_past(self, order: GoPast) -> None:
        """An order to go on behind what cannot be read: the reader then stands there, as behind a gap."""
        state = self._of(order)
        told = None if state is None else self.unreadable.told().get(state.name)
        if state is None or told is None or state.position != order.first:
            return
        (topic, partition), lost = state.name, order.to - order.first
        state.lost = lost
        state.why = f"offsets {order.first} to {order.to - 1} cannot be read and were gone past: {told.message}"
        self._count_lost(state)
        self.unreadable.over(state.name)
        self._counters.journal.note("partition_readable", "info", topic=topic, partition=partition, offset=order.to)
        state.past(order.to)
        self.seeks.place(state.name, order.to)
        self._offsets.committer.past(state.name, order.to)
        # A seek to what cannot be read is never confirmed by a record.
        sought = Sought(topic, partition, state.epoch, order.first)
        self._intake([sought, EndReached(topic, partition, state.epoch, order.to)])

    def try_again(self, consumer: Consumer, now: float) -> None:
        """Read on where nothing could be read: to try it again, or because something came after all."""
        due, told = self.unreadable.due(now), self.unreadable.told()
        for name in [name for name in self._resting if name in due or name not in told]:
            self._resting.discard(name)
            state = self.states.get(name)
            if state is not None:
                state.resting = False
                self._resume(consumer, [state])
        for name in due:
            if name in self.states:
                self.seeks.doubt(name, self.states[name].position)

    def silent(self, name: Name, end: int) -> None:
        """A partition brought nothing for long, and no error, though the brokers say that it goes on to `end`."""
        position = self.states[name].position
        found = silence(position, end)
        told = name in self.unreadable.told()
        if not told and self.unreadable.failed(name, SILENCE, position, found, time.monotonic(), sure=True):
            self._tell_unreadable(name, found)

    def seek_due(self, consumer: Consumer, now: float) -> None:
        """Do the seeks that were ordered, or have to be done again."""
        stopped = {name for name in self.seeks.unconfirmed() if self.stopped(self.states[name])}
        for name, offset in self.seeks.do(consumer, stopped, now):
            self.states[name].position = offset
        for name, offset in self.seeks.doubted(stopped).items():
            self._place(consumer, name, offset)

    def _place(self, consumer: Consumer, name: Name, offset: int) -> None:
        """Unassign a partition and assign it again at an offset, which the group does not see: what comes now begins there."""
        state = self.states[name]
        state.position = offset
        part = state.part()
        if self._clients.eager:
            consumer.assign([each.part() for each in self.states.values()])
        else:
            consumer.incremental_unassign([TopicPartition(*name)])
            consumer.incremental_assign([part])
        consumer.resume([part])
        self._pause_again(consumer)
        self.seeks.placed(name)
        self.unreadable.placed(name)
        self._intake([Sought(*name, state.epoch, offset)])

    def drained(self, order: Drained) -> None:
        """The delivery thread is done with a partition."""
        progress = order.progress
        state = self.states.get((progress.topic, progress.partition))
        if state is not None and state.epoch == progress.epoch:
            self._offsets.committer.progress(progress)
            self._drained[state.name] = order

    def _of(self, order: Pause | Resume | GiveBack | GoPast) -> PartitionState | None:
        state = self.states.get((order.topic, order.partition))
        return state if state is not None and state.epoch == order.epoch else None
