"""The Kafka thread on the embedded Kafka: budget, pauses and orders, refused commits, a dry run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import Message

from bridge.flow import Budget, GiveBack, Intake, Pause, PlainRecord, Resume, SendLimitCommitted
from bridge.kafka.client.assignment import Assignment
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.reader import Reader
from bridge.kafka.config import clients_of
from bridge.kafka.tools.mock import MockCluster
from bridge.offsets.commits import Commit, Committer
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk, settings


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A mock cluster with two topics to read and one for dead letters."""
    with MockCluster({"orders": 2, "comments": 1, "dead-letters": 1}) as made:
        yield made


def test_nothing_is_read_over_the_budget_and_reading_goes_on_when_there_is_room(cluster: MockCluster) -> None:
    """With a full budget reading stops, after a second everything is paused, and below half of it all is read."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("orders", [Sent(b"x" * 1_000, partition=number % 2) for number in range(2_000)])
    with desk(cluster.bootstrap, ["orders"], "g", budget=200_000) as side:
        side.stalled = True
        side.until(lambda: side.kafka.counters.pauses == 1, what="the pause")
        assert len(side.records) < 500
        seen = len(side.records)
        beat = side.kafka.heartbeat
        side.until(lambda: side.kafka.heartbeat > beat, what="polling to go on")
        assert len(side.records) <= seen + 2
        side.stalled = False
        side.until(lambda: len(side.records) == 2_000, what="all records")


def test_a_short_lack_of_room_pauses_nothing(cluster: MockCluster) -> None:
    """A moment without room throws nothing away that was fetched: no pause."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("orders", [Sent(b"x", partition=0) for _ in range(1_000)])
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        for _ in range(5):
            side.room.open = False
            time.sleep(0.1)
            side.room.open = True
            time.sleep(0.02)
        side.until(lambda: len(side.records) == 1_000)
        assert side.kafka.counters.pauses == 0


def test_a_paused_partition_is_not_read_and_the_others_are(cluster: MockCluster) -> None:
    """An order to pause stops one partition; an order of another epoch does nothing."""
    kafka = RealKafka(cluster.bootstrap)
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: len(side.parts) == 2)
        epochs = {name: part.epoch for name, part in side.parts.items()}
        side.order(Pause("orders", 0, epochs["orders", 0]), Pause("orders", 1, 999))
        side.until(lambda: not side.orders)
        kafka.produce("orders", [Sent(b"0", partition=0), Sent(b"1", partition=1)])
        side.until(lambda: side.values() == [b"1"])
        counters = side.kafka.counters
        side.until(lambda: ("orders", 0) in counters.partitions)
        side.until(lambda: counters.partitions["orders", 0].end == 1, what="the end of a paused partition")
        assert side.kafka.counters.partitions["orders", 0].paused
        side.order(Resume("orders", 0, epochs["orders", 0]))
        side.until(lambda: side.values() == [b"1", b"0"])


def test_what_is_given_back_is_read_again(cluster: MockCluster) -> None:
    """An order to give back reads the partition again from there."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("comments", [b"%d" % number for number in range(5)])
    with desk(cluster.bootstrap, ["comments"], "g") as side:
        side.stalled = True
        side.until(lambda: len(side.records) == 5)
        part = side.parts["comments", 0]
        part.give_back(range(3, 5))
        side.order(GiveBack("comments", 0, part.epoch, 3))
        side.until(lambda: [record.offset() for record in side.records] == [0, 1, 2, 3, 4, 3, 4])


def test_the_cluster_is_known_before_the_first_partition(cluster: MockCluster) -> None:
    """The cluster's id comes before the first assignment, since keys are made with it."""
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: side.parts)
        assert len(side.clusters) == 1
        assert side.kafka.cluster_id == side.clusters[0]


def test_refused_commits_are_made_again_and_nothing_is_handed_over_before(cluster: MockCluster) -> None:
    """Each commit error of the table leads to another commit; what is not covered is not handed over."""
    kafka = RealKafka(cluster.bootstrap)
    errors = [27, 14, 16, 15, 7]
    cluster.fail_requests("OffsetCommit", errors)
    kafka.produce("orders", [Sent(b"%d" % number, partition=0) for number in range(100)])
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: len(side.finished) == 100, what="all records to be finished")
        side.until(lambda: side.kafka.counters.partitions.get(("orders", 0)) is not None)
        side.until(lambda: side.kafka.counters.partitions["orders", 0].committed == 100, what="the commit")
        assert not side.kafka.fatal


def test_a_forbidden_commit_is_said_and_heals(cluster: MockCluster) -> None:
    """Where the group may not be written the state says so, polling goes on, and it goes away with the next success."""
    kafka = RealKafka(cluster.bootstrap)
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: len(side.parts) == 2)
        cluster.fail_requests("OffsetCommit", [30] * 6)
        kafka.produce("orders", [Sent(b"a", partition=0)])
        side.until(lambda: side.kafka.state.kind == "commit")
        assert "Read on kafka.group_id" in (side.kafka.state.trouble or "")
        side.until(lambda: side.kafka.state.kind is None, 30)
        side.until(lambda: len(side.finished) == 1)


def test_orders_are_served_quickly_while_there_is_no_room(cluster: MockCluster) -> None:
    """Without room for records dead letters still go out at once."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("orders", [Sent(b"a", partition=0)])
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        side.until(lambda: side.records)
        side.room.open = False
        for ticket in range(20):
            side.dead_letter(ticket, side.records[0])
        side.until(lambda: len(side.written) == 20, 5)
        side.room.open = True
    assert kafka.end_offsets("dead-letters") == {0: 20}


def test_an_exception_in_a_callback_loses_nothing(cluster: MockCluster) -> None:
    """Where the code inside a callback fails, the thread lives, and what was not acknowledged is committed again."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("orders", [Sent(b"%d" % number, partition=number % 2) for number in range(50)])
    side = desk(cluster.bootstrap, ["orders"], "g")
    fail = [True]
    commit = Committer.acknowledged

    def broken(self: Committer, made: Commit) -> SendLimitCommitted | None:
        if fail.pop() if fail else False:
            raise RuntimeError("a bug")
        return commit(self, made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Committer, "acknowledged", broken)
        with side:
            side.until(lambda: len(side.finished) == 50, 30, "all records")
            assert side.kafka.counters.callback_errors == 1
            side.kafka.counters.callback_errors = 0


def test_a_dry_run_reads_and_leaves_no_trace(cluster: MockCluster) -> None:
    """A dry run commits nothing, writes no dead letter and is in another group."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("orders", [Sent(b"a", partition=0)])
    side = Desk(clients_of(settings(cluster.bootstrap, ["orders"], "g"), dry_run=True))
    with side:
        side.until(lambda: len(side.finished) == 1)
        side.dead_letter(1, side.records[0])
        side.until(lambda: side.written == {1: None})
    assert side.kafka.counters.commits == {}
    assert kafka.end_offsets("dead-letters") == {0: 0}


def test_what_the_kafka_thread_does_is_counted(cluster: MockCluster) -> None:
    """Commits, assignments, revokes and drains count once each; the metadata is that of the last commits."""
    kafka = RealKafka(cluster.bootstrap)
    kafka.produce("orders", [Sent(b"x", partition=0) for _ in range(10)])
    with desk(cluster.bootstrap, ["orders"], "g") as side:
        counters = side.kafka.counters
        side.keep = {("orders", 0, 3), ("orders", 0, 5)}
        side.until(lambda: counters.partitions and counters.partitions["orders", 0].committed == 3, what="the commit")
        assert counters.commits["ok"] >= 1
        assert counters.rebalances == {"assigned": 1}
        held = counters.metadata_bytes
        side.keep = set()
        kafka.produce("orders", [Sent(b"x", partition=0)])
        side.until(lambda: counters.partitions["orders", 0].committed == 11, what="the commit of all")
        assert 0 < counters.metadata_bytes < held
    assert counters.rebalances == {"assigned": 1, "revoked": 1}
    assert sum(counters.drain_buckets.counts) == 1
    assert counters.metadata_bytes == 0
    assert counters.overdue_drains == 0


def test_what_comes_for_a_partition_that_is_not_ours_is_counted() -> None:
    """Such records are dropped and counted, each; whoever has the partition reads them."""
    counters, taken = KafkaCounters(), list[Intake]()
    nobody = cast("Assignment", SimpleNamespace(states={}))
    reader = Reader(nobody, Committer(), Budget(1 << 20), taken.extend, lambda *_: None, counters)
    reader._run(cast("list[Message]", [PlainRecord("orders", 0, offset, b"x") for offset in range(3)]), taken)
    assert (counters.dropped_records, taken) == (3, [])
