"""What the Kafka thread counts, for metrics and health. It alone writes; others read whole values, never in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.delivery.finish import Buckets
from bridge.delivery.journal import Journal, trace_of
from bridge.flow import TopicPartition
from bridge.offsets.commits import MAX_BYTES

DRAIN = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of a drain."""


class OpenTransaction(NamedTuple):
    """The position stands at the last stable offset: behind it a transaction of some producer is open."""

    since: float
    """Since when it stands there: monotonic seconds, and in a snapshot seconds since 1970."""
    message: str = ""
    """What people are told; empty before it has stood there for a minute."""


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One assigned partition. `end` is the offset behind its last record, None when unknown (no broker answers)."""

    epoch: int
    position: int
    committed: int | None
    end: int | None
    paused: bool
    started: bool
    no_room: bool = False
    """Not read because there is no room for more, in all or of its topic."""
    unreadable: str | None = None
    """Why nothing can be read of it, for a person."""
    transaction: OpenTransaction | None = None


@dataclass(slots=True)
class KafkaCounters:
    """Plain counts since the thread began. `partitions` is replaced as a whole about once a second."""

    commits: Counter[str] = field(default_factory=Counter)
    """Partitions committed, by result: `ok` or a word of `CommitAction`."""
    rebalances: Counter[str] = field(default_factory=Counter)
    """By event: `assigned`, `revoked`, `lost`."""
    lost_records: Counter[str] = field(default_factory=Counter)
    """Records that Kafka deleted before they had an outcome, or that nobody can read and were passed over, by topic."""
    references: int = 0
    """Dead letters that were too large for the topic: written without the record."""
    drain_buckets: Buckets = field(default_factory=lambda: Buckets(DRAIN))
    """Seconds that each drain took."""
    overdue_drains: int = 0
    """Drains that the delivery thread did not answer in time."""
    dropped_records: int = 0
    """Records that came for a partition that is not ours any more, or not yet."""
    pauses: int = 0
    """Times that everything, or a topic, was paused because there was no room for a second."""
    callback_errors: int = 0
    """Exceptions inside callbacks; 0 unless there is a bug."""
    journal: Journal = field(default_factory=Journal)
    """What is to be told in the log."""
    rebuilds: int = 0
    """Times that a new consumer was made after an error."""
    metadata_bytes: int = 0
    """Of the last commits of the assigned partitions, the largest metadata."""
    foreign_metadata: int = 0
    """Commits whose metadata was written for another commit, topic or cluster."""
    metadata_room: int = MAX_BYTES
    """What the brokers are known to take of it; 0 where they take none."""
    refused_progress: int = 0
    """Times that a progress would have gone backwards or beyond what was read; 0 unless there is a bug."""
    partitions: Mapping[TopicPartition, PartitionFacts] = field(default_factory=dict)

    def callback_failed(self, error: Exception) -> None:
        """A callback met an exception, which it must not let through: a bug."""
        self.callback_errors += 1
        self.unexpected("a callback of Kafka's client", error)

    def unexpected(self, where: str, error: BaseException) -> None:
        """An exception that nobody expects was met and survived: a bug."""
        self.journal.note("unexpected", "error", where=where, exception=trace_of(error))
