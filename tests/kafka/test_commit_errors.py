"""What refusals of a commit lead to, on librdkafka's mock cluster: rows of the table in `bridge.kafka.errors`.

The mock does not let a member join again that lost its assignment: those rows are in the soak (`commits-refused`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from bridge.kafka.tools.mock import MockCluster
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster({"orders": 1, "dead-letters": 1}) as started:
        yield started


def produce(cluster: MockCluster, count: int) -> None:
    RealKafka(cluster.bootstrap).produce("orders", [Sent(b"%d" % number, partition=0) for number in range(count)])


def committed(side: Desk) -> int | None:
    found = side.kafka.counters.partitions.get(("orders", 0))
    return found.committed if found is not None else None


@pytest.mark.parametrize(
    "error",
    [
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    ],
)
def test_what_passes_by_itself_ends_in_a_commit(cluster: MockCluster, error: int) -> None:
    """A group that is not settled and a coordinator that moves: all is read, finished and committed in the end."""
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: side.parts, what="the partition")
        cluster.fail_requests("OffsetCommit", [error] * 3)
        produce(cluster, 100)
        side.until(lambda: {record.offset() for record in side.finished} == set(range(100)), 40, "all records")
        side.until(lambda: committed(side) == 100, 40, "the commit")
        assert not side.kafka.fatal
        assert side.kafka.state.kind is None


def test_a_note_that_is_too_long_for_the_brokers_is_made_shorter_and_said_once(cluster: MockCluster) -> None:
    """Metadata that the brokers refuse is halved until they take it; nothing waits for a person, who is told once."""
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: side.parts, what="the partition")
        cluster.fail_requests("OffsetCommit", [KafkaError.OFFSET_METADATA_TOO_LARGE] * 3)
        produce(cluster, 10)
        side.until(lambda: committed(side) == 10, 40, "the commit")
        assert side.kafka.state.kind is None
        assert side.kafka.counters.metadata_room == 500
        (told,) = [note for note in side.kafka.counters.journal.take() if note.event.startswith("metadata")]
        assert (told.event, "offset.metadata.max.bytes" in str(told.facts["message"])) == ("metadata_shortened", True)


def test_a_fenced_instance_ends_the_thread(cluster: MockCluster) -> None:
    """Fenced by another process of the same name nothing more is committed, and the process is to leave with 70."""
    side = desk(cluster.bootstrap, ["orders"], "g", instance_id="a")
    with side:
        side.until(lambda: side.parts, what="the partition")
        cluster.fail_requests("OffsetCommit", [KafkaError.FENCED_INSTANCE_ID] * 20)
        produce(cluster, 10)
        side.until(lambda: side.kafka.fatal, what="the end")
        assert side.kafka.join(120)
        assert "kafka.instance_id" in (side.kafka.state.trouble or "")
