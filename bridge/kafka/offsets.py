"""Offsets into Kafka: stores and commits what the committer says, and takes in what became of it. Kafka thread only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.delivery.commits import Commit, Committer
from bridge.delivery.journal import Fact
from bridge.flow import Bounded, TopicPartition as Name
from bridge.kafka.errors import COMMIT_ACTIONS, CommitAction, plain
from bridge.kafka.numbers import Numbers
from bridge.kafka.starting import Earlier

_FRESH_SECONDS: Final = 24 * 3600.0


class Offsets:
    """Commits of one consumer, always asynchronous: a synchronous one blocks for seconds when brokers are away.

    `bounded` is told what may be handed over; `refused` of errors that a person or the thread has to act on.
    """

    def __init__(
        self,
        consumer: Callable[[], Consumer],
        bounded: Callable[[list[Bounded]], None],
        refused: Callable[[KafkaError | None, CommitAction | None], None],
        numbers: Numbers,
        now_ms: Callable[[], int],
    ) -> None:
        self.committer = Committer()
        self._consumer = consumer
        self._bounded = bounded
        self._refused = refused
        self._numbers = numbers
        self._now_ms = now_ms
        self._known: dict[Name, int] = {}
        """What librdkafka remembers as committed, over assignments, too: it commits nothing stored that is not above."""
        self._committed_at = float("-inf")

    def commit_due(self, now: float) -> None:
        """Commit what is due; cheap when nothing is."""
        wait = self.committer.wait(now)
        if wait is not None and wait <= 0:
            self._commit(self.committer.due(now, self._now_ms()))

    def commit_finally(self, handed: Mapping[Name, int | None]) -> None:
        """The last commits of partitions before they are given up; what is committed is flushed by librdkafka."""
        now_ms = self._now_ms()
        found = (self.committer.final(name, now_ms, newest) for name, newest in handed.items())
        self._commit([commit for commit in found if commit is not None])

    def earlier(self, now: float) -> Earlier:
        """What this consumer has committed; a group that had a member a day ago has lost nothing by age."""
        return Earlier(dict(self._known), fresh=now - self._committed_at < _FRESH_SECONDS)

    def forget(self, names: Iterable[Name]) -> None:
        """Partitions are gone."""
        self.committer.forget(names)

    def _commit(self, commits: Sequence[Commit]) -> None:
        if not commits:
            return
        self._numbers.metadata_bytes = max(self._numbers.metadata_bytes, *(len(c.metadata) for c in commits))
        moved: list[TopicPartition] = []
        standing: list[TopicPartition] = []
        for commit in commits:
            higher = commit.moved and commit.offset > self._known.get(commit.name, -1)
            (moved if higher else standing).append(_part(commit))
        if moved:
            self._call(moved, _store_and_commit)
        # Storing the offset that is committed already commits nothing, so a note that changes alone is sent by itself,
        # and so is a lower offset: that of a topic that was made anew or cut off.
        if standing:
            self._call(standing, _commit_as_is)

    def _call(self, parts: list[TopicPartition], call: Callable[[Consumer, list[TopicPartition]], None]) -> None:
        try:
            call(self._consumer(), parts)
        except KafkaException as error:
            self._answered(error.args[0], parts)

    def on_commit(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """librdkafka's callback; total."""
        try:
            self._answered(error, parts)
        except Exception as bug:  # noqa: BLE001 - an exception in a callback would lose records that were taken
            self._numbers.callback_failed(bug)
            self.committer.fail_all(time.monotonic())

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        if not parts and error is not None:
            self.committer.fail_all(time.monotonic())
            self._count(error, None)
            return
        bounds: list[Bounded] = []
        for part in parts:
            failure = part.error or error
            if failure is None:
                self._numbers.commits["ok"] += 1
                self._known[part.topic, part.partition] = part.offset
                self._committed_at = time.monotonic()
                bound = self.committer.acknowledged((part.topic, part.partition), part.offset, part.metadata)
                if bound is not None:
                    bounds.append(bound)
            else:
                self.committer.failed((part.topic, part.partition), time.monotonic(), part.offset, part.metadata)
                self._count(failure, part)
        if bounds:
            self._bounded(bounds)
        if any((part.error or error) is None for part in parts):
            self._refused(None, None)

    def _count(self, error: KafkaError, part: TopicPartition | None) -> None:
        action = COMMIT_ACTIONS.get(error.code(), CommitAction.RETRIED)
        self._numbers.commits[action.value] += 1
        if action is not CommitAction.NOTHING:
            level = "info" if action is CommitAction.KEPT else "warning"
            place: dict[str, Fact] = (
                {"topic": part.topic, "partition": part.partition, "offset": part.offset} if part is not None else {}
            )
            self._numbers.journal.note("commit_failed", level, **place, result=action.value, message=plain(error))
        self._refused(error, action)


def _store_and_commit(consumer: Consumer, parts: list[TopicPartition]) -> None:
    consumer.store_offsets(offsets=parts)
    consumer.commit(asynchronous=True)


def _commit_as_is(consumer: Consumer, parts: list[TopicPartition]) -> None:
    consumer.commit(offsets=parts, asynchronous=True)


def _part(commit: Commit) -> TopicPartition:
    return TopicPartition(commit.topic, commit.partition, commit.offset, commit.metadata)
