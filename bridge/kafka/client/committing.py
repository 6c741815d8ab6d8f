"""Offsets into Kafka: commits what the committer says, and takes in what became of it. Kafka thread only.

Each commit names its partitions, with metadata and leader epoch: what librdkafka has stored it compares by epoch before
offset and drops what is not above, and a commit of it is answered for partitions that nobody committed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.delivery.journal import Fact
from bridge.flow import SendLimitCommitted, TopicPartition as Name
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.resolve_start import OwnCommits, metadata_of
from bridge.kafka.errors import COMMIT_ACTIONS, METADATA_REFUSED, METADATA_SHORTENED, TOO_LONG, CommitAction, plain
from bridge.offsets.commits import MAX_BYTES, Commit, Committer

_FRESH_SECONDS: Final = 24 * 3600.0
REQUEST_BYTES: Final = 256 * 1024
"""Of what brokers write for the commits of one request."""
_ENTRY_BYTES: Final = 320
"""Of one commit beside its topic and metadata: a group's name of 255, numbers, times."""


class Offsets:
    """Commits of one consumer, always asynchronous: a synchronous one blocks for seconds when brokers are away.

    `bounded` is told what may be handed over; `refused` of errors that a person or the thread has to act on; `noteless`
    that commits bear no note from here on.
    """

    def __init__(
        self,
        consumer: Callable[[], Consumer],
        bounded: Callable[[list[SendLimitCommitted]], None],
        refused: Callable[[KafkaError | None, CommitAction | None], None],
        counters: KafkaCounters,
        now_ms: Callable[[], int],
        noteless: Callable[[], None] = lambda: None,
    ) -> None:
        self.committer = Committer(room=counters.metadata_room)
        self._consumer = consumer
        self._bounded = bounded
        self._refused = refused
        self._counters = counters
        self._now_ms = now_ms
        self._noteless = noteless
        self._known: dict[Name, int] = {}
        """What this consumer has committed, over assignments, too."""
        self._committed_at = float("-inf")
        self._metadata: dict[Name, int] = {}
        """Bytes of metadata of each partition's last commit."""
        self._sizes: Counter[int] = Counter()
        """How many partitions have so many: the largest is found without a look at all partitions."""

    def commit_due(self, now: float) -> None:
        """Commit what is due; cheap when nothing is."""
        wait = self.committer.wait(now)
        if wait is not None and wait <= 0:
            self._commit(self.committer.due(now, self._now_ms()))

    def commit_finally(self, handed: Mapping[Name, int | None]) -> None:
        """Make the last commits of partitions before they are given up; librdkafka flushes them."""
        now, now_ms = time.monotonic(), self._now_ms()
        found = (self.committer.final(name, now, now_ms, newest) for name, newest in handed.items())
        self._commit([commit for commit in found if commit is not None])

    def earlier(self, now: float) -> OwnCommits:
        """What this consumer has committed. A group that had a member within the last day has lost no offset by age."""
        return OwnCommits(dict(self._known), fresh=now - self._committed_at < _FRESH_SECONDS)

    def forget(self, names: Iterable[Name]) -> None:
        """Partitions are gone."""
        self.committer.forget(names)
        self._count_metadata({}, names)

    def _count_metadata(self, sizes: Mapping[Name, int], gone: Iterable[Name] = ()) -> None:
        for name in (*sizes, *gone):
            former = self._metadata.pop(name, None)
            if former is not None:
                self._sizes[former] -= 1
        self._metadata.update(sizes)
        self._sizes.update(sizes.values())
        self._sizes = +self._sizes
        self._counters.metadata_bytes = max(self._sizes, default=0)

    def _commit(self, commits: Sequence[Commit]) -> None:
        if not commits:
            return
        self._count_metadata({commit.name: len(commit.metadata) for commit in commits})
        for request in requests_of(commits):
            parts = [_part(commit) for commit in request]
            try:
                self._consumer().commit(offsets=parts, asynchronous=True)
            except KafkaException as error:
                self._answered(error.args[0], parts)

    def on_commit(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """librdkafka's callback; total."""
        try:
            self._answered(error, parts)
        except Exception as bug:  # noqa: BLE001 - an exception in a callback would lose records that were taken
            self._counters.callback_failed(bug)
            self.committer.all_refused(time.monotonic())

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """Take in the answer for each partition; an answer for a partition that was not committed means nothing."""
        now = time.monotonic()
        bounds: list[SendLimitCommitted] = []
        written = False
        for part in parts:
            failure = part.error or error
            commit = self.committer.asked((part.topic, part.partition), part.offset, metadata_of(part))
            if commit is None:
                continue
            if failure is not None:
                self._not_written(commit, failure, now)
                continue
            written = True
            send_limit = self._written(commit, now)
            if send_limit is not None:
                bounds.append(send_limit)
        if bounds:
            self._bounded(bounds)
        if written:
            self._refused(None, None)
        elif not parts and error is not None:
            self._count(error, None)

    def _written(self, commit: Commit, now: float) -> SendLimitCommitted | None:
        self._counters.commits["ok"] += 1
        self._known[commit.name] = commit.offset
        self._committed_at = now
        return self.committer.acknowledged(commit)

    def _not_written(self, commit: Commit, error: KafkaError, now: float) -> None:
        if error.code() == TOO_LONG and commit.metadata:
            if self.committer.too_long(commit):
                self._shortened(len(commit.metadata))
            return
        # A rebalance is over in a moment, and until a commit is taken nothing is handed over.
        rebalance = COMMIT_ACTIONS.get(error.code()) in (CommitAction.KEPT, CommitAction.LOST)
        self.committer.refused(commit, now, soon=rebalance)
        self._count(error, commit)

    def _shortened(self, refused: int) -> None:
        """Remember for the process how much the brokers take. Says once that notes are shorter now, and once that there are none."""
        room, before = self.committer.room, self._counters.metadata_room
        self._counters.metadata_room = room
        if not room:
            self._noteless()
            self._counters.journal.note("metadata_refused", "error", size=refused, message=METADATA_REFUSED)
        elif before == MAX_BYTES:
            self._counters.journal.note("metadata_shortened", "warning", size=refused, message=METADATA_SHORTENED)

    def _count(self, error: KafkaError, commit: Commit | None) -> None:
        action = COMMIT_ACTIONS.get(error.code(), CommitAction.RETRIED)
        self._counters.commits[action.value] += 1
        if action is not CommitAction.NOTHING:
            level = "info" if action is CommitAction.KEPT else "warning"
            place: dict[str, Fact] = (
                {"topic": commit.topic, "partition": commit.partition, "offset": commit.offset} if commit else {}
            )
            self._counters.journal.note("commit_failed", level, **place, result=action.value, message=plain(error))
        self._refused(error, action)


def requests_of(commits: Sequence[Commit]) -> Iterator[list[Commit]]:
    """The commits in as many requests as they take.

    Brokers write a request as one batch, and refuse it as a whole with an unknown error where that is over
    `message.max.bytes`: 1 MiB by default, which is 5,000 partitions (measured).
    """
    request: list[Commit] = []
    size = 0
    for commit in commits:
        size += _ENTRY_BYTES + len(commit.topic) + len(commit.metadata)
        if request and size > REQUEST_BYTES:
            yield request
            request, size = [], _ENTRY_BYTES + len(commit.topic) + len(commit.metadata)
        request.append(commit)
    if request:
        yield request


def _part(commit: Commit) -> TopicPartition:
    return TopicPartition(commit.topic, commit.partition, commit.offset, commit.metadata, commit.leader_epoch)
