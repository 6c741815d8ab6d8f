"""Reading: polls, splits what comes into runs, hands it over, and stops where there is no room. Kafka thread only.

The hot path of the room: nothing is made per record, librdkafka's messages are the records.

Several topics share the room as switches share buffers (dynamic thresholds, Choudhury and Hahne): a topic may have three
times what is left over. One topic alone comes to three quarters of the budget, two to three sevenths each, and however many
take what they may, something is left for the next. Below its least share a topic is never stopped for the others' sake,
even where a large fetch went over the budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from threading import Event
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, Message

from bridge.flow import RECORD_OVERHEAD, Budget, EndReached, Intake, Record, Records, SendLimitCommitted, Sought
from bridge.kafka.client.assignment import Assignment
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.partition_state import PartitionState
from bridge.kafka.errors import END_REACHED
from bridge.offsets.commits import Committer

_TIMES_LEFT: Final = 3
_LEAST_PART: Final = 8
"""The least shares of all topics together are this part of the budget."""


MOST_RECORDS: Final = 500
_IDLE_SECONDS: Final = 0.25
_BUSY_SECONDS: Final = 0.1
"""A poll may last so long while something is to be committed, or partitions are about to come."""
_ANSWER_SECONDS: Final = 0.003
_PATIENCE_SECONDS: Final = 1.0
"""So long there may be no room before anything is paused: a pause throws away what was fetched ahead."""
_PATIENCE_PART: Final = 8
"""Nor so much of the budget, as one part of so many, that the polls meanwhile bring: a record may be large."""
_NO_ROOM_SECONDS: Final = 0.004
_PAUSED_SECONDS: Final = 0.02
_POLL_SECONDS: Final = 0.05

_error_of = Message.error
_topic_of = Message.topic
_partition_of = Message.partition


class Reader:
    """Reads for one consumer. `failed` is told of errors that came instead of records, and of the offset they name.

    Where it is not `guarded` (a dry run), no commit has to cover what is read: it may be handed over at once.
    """

    def __init__(
        self,
        assignment: Assignment,
        committer: Committer,
        room: Budget,
        intake: Callable[[list[Intake]], None],
        failed: Callable[[KafkaError, tuple[str, int], int], None],
        counters: KafkaCounters,
        *,
        guarded: bool = True,
    ) -> None:
        self._guarded = guarded
        self._assignment = assignment
        self._committer = committer
        self._room = room
        self._intake = intake
        self._failed = failed
        self._counters = counters
        self._full_since: float | None = None
        self._full_taken = 0
        """What had been taken by then."""
        self._record_bytes = 65_536.0
        """A moving mean, high at first: what is read before it is known must fit a small budget, too."""
        self.polled = time.monotonic()
        """When the consumer was polled last, in monotonic seconds."""

    def step(self, consumer: Consumer, wake: Event) -> None:
        """Read once, or wait a moment where there is no room."""
        now = time.monotonic()
        assignment = self._assignment
        if assignment.paused_topics:
            self._ease(consumer)
        if assignment.all_paused:
            self._step_paused(consumer)
        elif assignment.states and self._full():
            self._step_full(consumer, wake, now)
        else:
            self._full_since = None
            self._read(consumer, self._timeout(now))

    def _full(self) -> bool:
        """Whether there is no room: for anything, or for a topic that is not paused yet."""
        room = self._room
        if room.busy() or not topics_matter(room):
            return room.busy()
        return bool(self._over()) if len(self._assignment.topics()) > 1 else room.full()

    def _over(self) -> set[str]:
        """Topics that are read and have more than their share of the room; none where there is one topic only."""
        return over(self._room, self._assignment.topics()) - self._assignment.paused_topics

    def _ease(self, consumer: Consumer) -> None:
        """Go on with topics that have room again."""
        assignment = self._assignment
        again = assignment.paused_topics & eased(self._room, assignment.paused_topics, len(assignment.topics()))
        if again:
            assignment.resume_topics(consumer, again)

    def _timeout(self, now: float) -> float:
        committer = self._committer
        waiting = self._assignment.waiting() or not self._assignment.joined
        timeout = _BUSY_SECONDS if waiting or committer.behind() else _IDLE_SECONDS
        if self._assignment.paused_topics:
            timeout = _PAUSED_SECONDS
        if committer.urgent():
            # A poll that serves the answer to a commit does not return for it.
            timeout = _ANSWER_SECONDS
        due = committer.wait(now)
        return timeout if due is None else min(timeout, max(due, 0.0))

    def _step_full(self, consumer: Consumer, wake: Event, now: float) -> None:
        if self._full_since is None:
            self._full_since, self._full_taken = now, self._room.taken_bytes
        elif now - self._full_since > _PATIENCE_SECONDS or self._brought_much():
            self._full_since = None
            greedy = self._over()
            if greedy:
                self._assignment.pause_topics(consumer, greedy)
            else:
                self._assignment.pause_all(consumer)
            return
        if self._committer.outstanding() or now - self.polled > _POLL_SECONDS:
            # A poll serves callbacks; the one record that it may bring is over the budget and does little harm.
            self._read(consumer, 0.0, more=False)
        wake.wait(_NO_ROOM_SECONDS)
        wake.clear()

    def _brought_much(self) -> bool:
        room = self._room
        return room.taken_bytes - self._full_taken > room.budget_bytes // _PATIENCE_PART

    def _step_paused(self, consumer: Consumer) -> None:
        room, assignment = self._room, self._assignment
        greedy = self._over()
        if greedy:
            # Else what does not leave would keep everything paused.
            assignment.pause_topics(consumer, greedy)
        if not room.busy() and room.used() - sum(map(room.used_by, assignment.paused_topics)) <= room.budget_bytes // 2:
            assignment.resume_all(consumer)
        self._read(consumer, _PAUSED_SECONDS, more=False)

    def _read(self, consumer: Consumer, timeout: float, *, more: bool = True) -> None:
        first = consumer.poll(timeout)
        self.polled = time.monotonic()
        if first is None:
            return
        messages = [first]
        if more:
            messages += consumer.consume(self._how_many(), 0.0)
        self._dispatch(messages)

    def _how_many(self) -> int:
        room = self._room
        left = room.budget_bytes - room.used()
        return max(1, min(MOST_RECORDS, int(left / self._record_bytes), room.most_records - room.taken_records - 1))

    def _dispatch(self, messages: list[Message]) -> None:
        items: list[Intake] = []
        # By truth, never equality: the client's errors are true, and do not compare with None.
        if not any(map(_error_of, messages)):
            for run in _runs(messages):
                self._run(run, items)
        else:
            self._dispatch_in_order(messages, items)
        if items:
            self._intake(items)

    def _dispatch_in_order(self, messages: list[Message], items: list[Intake]) -> None:
        """An error says what to make of the records behind it."""
        records: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
                continue
            for run in _runs(records) if records else ():
                self._run(run, items)
            records = []
            self._error(message, error, items)
        for run in _runs(records) if records else ():
            self._run(run, items)

    def _run(self, run: list[Message], items: list[Intake]) -> None:
        first = run[0]
        name = (cast("str", first.topic()), cast("int", first.partition()))
        state = self._assignment.states.get(name)
        if state is None:
            self._counters.dropped_records += len(run)
            return
        if self._assignment.seeks.any() and not self._arrived(state, first.offset(), items):
            return
        if self._assignment.unreadable.any() and not self._assignment.readable(state, cast("int", run[0].offset())):
            return
        newest = cast("int", run[-1].offset())
        leader_epoch = _epoch_of(run[-1])
        state.read(newest, leader_epoch)
        state.heard = self.polled
        self._committer.read(name, newest, leader_epoch)
        records = cast("list[Record]", run)
        taken = sum(map(len, run)) + RECORD_OVERHEAD * len(run)
        self._record_bytes += 0.1 * (taken / len(run) - self._record_bytes)
        self._room.take(name[0], taken, len(run))
        items.append(Records(*name, state.epoch, records))
        if not self._guarded:
            items.append(SendLimitCommitted(*name, state.epoch, newest, -1))

    def _arrived(self, state: PartitionState, offset: int | None, items: list[Intake]) -> bool:
        """Whether what came of a partition may be taken in; says so where it is the end of a seek."""
        seeks = self._assignment.seeks
        wanted = seeks.wanted(state.name)
        if not seeks.expected(state.name, offset):
            return False
        if wanted is not None:
            items.append(Sought(*state.name, state.epoch, wanted))
        return True

    def _error(self, message: Message, error: KafkaError, items: list[Intake]) -> None:
        partition, offset = message.partition(), message.offset()
        name = (message.topic() or "", -1 if partition is None else partition)
        if error.code() != END_REACHED:
            self._failed(error, name, -1 if offset is None else offset)
            return
        state = self._assignment.states.get(name)
        if state is None or offset is None or offset < 0:
            return
        if self._assignment.seeks.any() and not self._arrived(state, None, items):
            return
        if not self._assignment.unreadable.any() or self._assignment.readable(state, offset):
            state.ended(offset)
            state.heard = self.polled
            self._committer.end(state.name, offset)
            items.append(EndReached(*state.name, state.epoch, offset))


def _epoch_of(message: Message) -> int:
    """The leader epoch under which a record was written; -1 where the broker does not say."""
    epoch = message.leader_epoch()
    return -1 if epoch is None else epoch


def _runs(messages: list[Message]) -> Iterator[list[Message]]:
    """Split into runs of one partition, in order; nearly always there is one."""
    count = len(messages)
    partitions = list(map(_partition_of, messages))
    topics = list(map(_topic_of, messages))
    if partitions.count(partitions[0]) == count and topics.count(topics[0]) == count:
        yield messages
        return
    start = 0
    for _, group in groupby(zip(topics, partitions, strict=True)):
        stop = start + len(list(group))
        yield messages[start:stop]
        start = stop


def topics_matter(room: Budget) -> bool:
    """Whether so much is in work that one topic could have more than its share. Cheap: asked before each poll."""
    return (_TIMES_LEFT + 1) * room.used() >= _TIMES_LEFT * room.budget_bytes


def share(room: Budget, topics: int) -> int:
    """Bytes that each of so many topics may have in work at present."""
    left = room.budget_bytes - room.used()
    return max(_TIMES_LEFT * left, room.budget_bytes // (_LEAST_PART * topics))


def over(room: Budget, topics: set[str]) -> set[str]:
    """Those of the topics that have their share or more; none where there is only one."""
    if len(topics) < 2 or not topics_matter(room):
        return set()
    limit = share(room, len(topics))
    return {topic for topic in topics if room.used_by(topic) >= limit}


def eased(room: Budget, paused_topics: Iterable[str], topics: int) -> set[str]:
    """The stopped topics to be read again: those at half of their share, or all where only one topic is left."""
    if topics < 2:
        return set(paused_topics)
    alone = _TIMES_LEFT * room.budget_bytes // (_TIMES_LEFT + 1)
    limit = min(share(room, topics), alone)
    return {topic for topic in paused_topics if 2 * room.used_by(topic) <= limit}
