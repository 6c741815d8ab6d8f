"""Assignments on a real Kafka, under every protocol: start, drain, commit, fence, and the note in the commit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from threading import Event, Thread
from typing import Any, Self

import pytest
from confluent_kafka import KafkaException, Message, Producer, TopicCollection

from bridge.flow import Assigned, EndReached, GiveBack, Intake, Lost, Pause, Resume, Revoking
from bridge.kafka.client.reader import Reader
from bridge.offsets.commits import Origin, decode, digest_of, text_of
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk

QUICK = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500", "topic.metadata.refresh.interval.ms": "1000"}
PROTOCOLS: Mapping[str, dict[str, Any]] = {
    "cooperative-sticky": {"properties": QUICK},
    "range": {"assignment": "range", "properties": QUICK},
    "consumer": {"group_protocol": "consumer", "properties": {"topic.metadata.refresh.interval.ms": "1000"}},
}


@pytest.fixture(params=sorted(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of one group protocol."""
    return PROTOCOLS[request.param]


def numbered(start: int, stop: int) -> list[Sent]:
    return [Sent(b"%d" % number, b"k%d" % (number % 13)) for number in range(start, stop)]


def lag(kafka: RealKafka, group: str, topic: str) -> int:
    """How many records are not committed; -1 while the group's coordinator is being found."""
    try:
        committed = kafka.committed(group, topic)
    except KafkaException:
        return -1
    return sum(end - committed.get(number, (0, ""))[0] for number, end in kafka.end_offsets(topic).items())


def make(kafka: RealKafka, partitions: int = 4) -> tuple[str, str, dict[str, Any]]:
    topic = kafka.create_topic(kafka.unique("orders"), partitions)
    letters = kafka.create_topic(kafka.unique("dead"))
    return topic, kafka.unique("group"), {"dead_letter_topic": letters}


class Ticking:
    """Writes 50 records a second to a topic, each its own time, until the end of the block."""

    def __init__(self, kafka: RealKafka, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
        self._topic = topic
        self._over = Event()
        self._thread = Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._producer.flush()

    def _write(self) -> None:
        while not self._over.wait(0.02):
            self._producer.produce(self._topic, b"%.6f" % time.monotonic())
            self._producer.poll(0)


def is_of(item: Intake, topic: str) -> bool:
    return isinstance(item, Assigned) and item.topic == topic


def waits(side: Desk, topic: str) -> list[float]:
    """How long each finished record of a topic that bears its time waited, in seconds."""
    return [at - float(record.value() or b"") for at, record in side.finished_at if record.topic() == topic]


def test_a_second_member_takes_over_where_the_first_left_off(kafka: RealKafka, protocol: dict[str, Any]) -> None:
    """When a member joins and the first leaves, every record is finished exactly once by the two together."""
    topic, group, more = make(kafka)
    kafka.produce(topic, numbered(0, 1_000))
    first = desk(kafka.bootstrap, [topic], group, **more, **protocol)
    with first:
        first.until(lambda: len(first.records) == 1_000, what="the first records")
        second = desk(kafka.bootstrap, [topic], group, **more, **protocol)
        with second:
            second.until(lambda: len(second.parts) == 2, what="two partitions for the second")
            kafka.produce(topic, numbered(1_000, 2_000))
            second.until(lambda: len(first.finished) + len(second.finished) >= 2_000, what="all records")
            first.stop()
            second.until(lambda: len(second.parts) == 4, what="all partitions")
            kafka.produce(topic, numbered(2_000, 2_500))
            second.until(lambda: len(first.finished) + len(second.finished) >= 2_500, what="the last records")
            second.until(lambda: lag(kafka, group, topic) == 0, what="lag 0")
    values = [int(record.value() or b"") for record in [*first.finished, *second.finished]]
    assert sorted(values) == list(range(2_500))


def test_a_member_without_partitions_has_joined(kafka: RealKafka, protocol: dict[str, Any]) -> None:
    """With more members than partitions each has joined the group: an idle one is ready too."""
    topic, group, more = make(kafka, 1)
    first = desk(kafka.bootstrap, [topic], group, **more, **protocol)
    second = desk(kafka.bootstrap, [topic], group, **more, **protocol)
    with first, second:
        first.until(lambda: first.kafka.state.joined and second.kafka.state.joined, what="both to join")
        first.until(lambda: len(first.parts) + len(second.parts) == 1)


def test_a_revoke_drains_commits_and_then_fences(kafka: RealKafka, protocol: dict[str, Any]) -> None:
    """What the drain finished is committed before the partition is given up, with the note of what was not."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, numbered(0, 10))
    side = desk(kafka.bootstrap, [topic], group, **more, **protocol)
    with side:
        side.keep = {(topic, 0, 3), (topic, 0, 7)}
        side.until(lambda: len(side.records) == 10 and len(side.parts[topic, 0].ledger.unfinished) == 2)
    kinds = [type(item) for item in side.seen if isinstance(item, Assigned | Revoking | Lost)]
    assert kinds == [Assigned, Revoking]
    offset, metadata = kafka.committed(group, topic)[0]
    note = decode(metadata, offset)
    assert note is not None
    assert (offset, note.delivered, note.send_limit) == (3, 9, 9)
    assert note.unfinished == ((3, 3), (7, 7))
    with desk(kafka.bootstrap, [topic], group, **more, **protocol) as heir:
        heir.until(lambda: lag(kafka, group, topic) == 0, what="lag 0")
        assert [record.offset() for record in heir.records] == [3, 7], "what was finished is not read again"
        assert heir.parts[topic, 0].start.send_limit == 9


def test_a_drain_that_is_not_answered_ends_by_itself(kafka: RealKafka) -> None:
    """A delivery side that never answers cannot hold a revoke longer than the limit; the last progress is committed."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, numbered(0, 10))
    side = desk(kafka.bootstrap, [topic], group, **more, **PROTOCOLS["cooperative-sticky"] | {"drain": "1s"})
    with side:
        side.answer_drains = False
        side.until(lambda: lag(kafka, group, topic) == 0)
    assert side.kafka.counters.overdue_drains == 1
    assert side.kafka.counters.drain_buckets.total < 3
    assert isinstance(side.of(Lost)[0], Lost)


def test_transactions_reach_lag_0(kafka: RealKafka) -> None:
    """Markers and rolled-back records at the end of a log are committed over: the end is read, never computed."""
    topic, group, more = make(kafka, 1)
    kafka.produce_in_transactions(topic, [[b"a", b"b"], [b"no"], [b"c"], [b"no"]], aborted=[1, 3])
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: lag(kafka, group, topic) == 0, what="lag 0")
        assert side.values() == [b"a", b"b", b"c"]


def test_a_new_group_commits_its_start_before_it_reads(kafka: RealKafka) -> None:
    """`latest` is committed at once, so that what comes while the bridge is down is not skipped."""
    topic, group, more = make(kafka, 2)
    kafka.produce(topic, [Sent(b"old", partition=0)])
    with desk(kafka.bootstrap, [topic], group, start_from="latest", **more) as side:
        side.until(lambda: len(kafka.committed(group, topic)) == 2, what="both starts")
    kafka.produce(topic, [Sent(b"new", partition=0)])
    with desk(kafka.bootstrap, [topic], group, start_from="latest", **more) as side:
        side.until(lambda: side.values() == [b"new"])


def test_a_time_to_start_from_is_looked_up(kafka: RealKafka) -> None:
    """A group that starts from a time reads the records from then on."""
    topic, group, more = make(kafka, 1)
    times = count(1_767_254_400_000, 3_600_000)
    kafka.produce(topic, [Sent(b"%d" % hour, timestamp=next(times)) for hour in range(8, 12)])
    with desk(kafka.bootstrap, [topic], group, start_from="2026-01-01T09:30:00Z", **more) as side:
        side.until(lambda: len(side.records) == 2)
        assert side.values() == [b"10", b"11"]


def test_a_partition_that_is_added_is_read_from_its_beginning(kafka: RealKafka) -> None:
    """Records of a partition that was added while the bridge ran, or was down, are not skipped."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, [Sent(b"old", partition=0)])
    with desk(kafka.bootstrap, [topic], group, start_from="latest", **more, **PROTOCOLS["cooperative-sticky"]) as side:
        side.until(lambda: kafka.committed(group, topic))
        kafka.add_partitions(topic, 2)
        kafka.produce(topic, [Sent(b"added", partition=1)])
        side.until(lambda: side.values() == [b"added"], what="the added partition's record")


def test_a_reset_by_hand_holds_and_reads_nothing(kafka: RealKafka) -> None:
    """Offsets set by another tool below what was delivered hold the partition, also after another restart."""
    topic, group, more = make(kafka, 2)
    kafka.produce(topic, [Sent(b"a", partition=0), Sent(b"b", partition=1)])
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: lag(kafka, group, topic) == 0)
    kafka.reset_offsets(group, topic, {0: 0})
    for _ in range(2):
        with desk(kafka.bootstrap, [topic], group, **more) as side:
            side.until(lambda: len(side.parts) == 2)
            kafka.produce(topic, [Sent(b"c", partition=1)])
            side.until(lambda: b"c" in side.values())
            assert side.parts[topic, 0].start.hold == "rewind"
            assert b"a" not in side.values()
        assert kafka.committed(group, topic)[0] == (0, "")


def test_a_reset_of_all_partitions_is_noticed_by_the_shadow_group(kafka: RealKafka) -> None:
    """Where no commit carries our note any more, the shadow group still knows what was delivered."""
    topic, group, more = make(kafka, 2)
    kafka.produce(topic, [Sent(b"a", partition=0), Sent(b"b", partition=1), Sent(b"c", partition=1)])
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: lag(kafka, group, topic) == 0)
        side.until(lambda: sum(kafka.committed(f"{group}.delivered", topic).get(p, (0, ""))[0] for p in (0, 1)) == 3)
    kafka.reset_offsets(group, topic, {0: 1, 1: 0})
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: len(side.parts) == 2)
        assert side.parts[topic, 0].start.hold is None
        assert side.parts[topic, 1].start.hold == "rewind"
        assert "2 records from offset 0 on" in side.parts[topic, 1].start.detail
        side.order(Resume(topic, 1, side.parts[topic, 1].epoch))
        side.until(lambda: side.values() == [b"b", b"c"], what="the records of the accepted rewind")
        side.until(lambda: lag(kafka, group, topic) == 0)


def test_retention_that_overtakes_the_group_is_counted(kafka: RealKafka) -> None:
    """The number of records that Kafka deleted unread is exact, in a restart and while reading."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, numbered(0, 10))
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: lag(kafka, group, topic) == 0)
    kafka.produce(topic, numbered(10, 30))
    kafka.delete_records(topic, {0: 25})
    with desk(kafka.bootstrap, [topic], group, on_retention_gap="continue", **more) as side:
        side.until(lambda: lag(kafka, group, topic) == 0)
        assert side.kafka.counters.lost_records == {topic: 15}
        assert len(side.records) == 5


def test_retention_that_overtakes_a_reader_is_held(kafka: RealKafka, protocol: dict[str, Any]) -> None:
    """Records deleted in front of a running reader hold the partition; a resume goes on behind the gap."""
    topic, group, more = make(kafka, 2)
    with desk(kafka.bootstrap, [topic], group, **more, **protocol) as side:
        side.until(lambda: len(side.parts) == 2)
        epoch = side.parts[topic, 0].epoch
        side.order(Pause(topic, 0, epoch))
        side.until(lambda: not side.orders)
        kafka.produce(topic, [Sent(b"%d" % number, partition=0) for number in range(10)])
        kafka.delete_records(topic, {0: 7})
        side.order(Resume(topic, 0, epoch))
        side.until(lambda: side.parts.get((topic, 0)) and side.parts[topic, 0].start.hold == "retention_gap")
        part = side.parts[topic, 0]
        assert part.epoch > epoch
        assert "deleted 7 records" in part.start.detail
        assert not side.records
        kafka.produce(topic, [Sent(b"b", partition=1)])
        side.until(lambda: side.values() == [b"b"], what="the other partition to be read")
        side.order(Resume(topic, 0, part.epoch))
        side.until(lambda: side.values() == [b"b", b"7", b"8", b"9"])
        assert side.kafka.counters.lost_records == {topic: 7}
        side.until(lambda: lag(kafka, group, topic) == 0)


def test_a_commit_beyond_the_end_holds(kafka: RealKafka) -> None:
    """A log that is shorter than what is committed (recreated, truncated) is not read again unasked."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, [b"new"])
    kafka.reset_offsets(group, topic, {0: 50}, text_of(at_ms=1, send_limit=49, delivered=-1, runs="", committed=50))
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: side.parts, 30)
        start = side.parts[topic, 0].start
        assert (start.offset, start.hold) == (0, "rewind")
        assert "beyond the end 1" in start.detail


def test_an_exception_beside_the_callbacks_begins_anew(kafka: RealKafka) -> None:
    """Where the loop itself fails, a new consumer goes on from the committed offsets."""
    topic, group, more = make(kafka, 2)
    kafka.produce(topic, numbered(0, 50))
    side = desk(kafka.bootstrap, [topic], group, **more)
    fail = [True]
    run = Reader._run

    def broken(self: Reader, run_of: list[Message], items: list[Intake]) -> None:
        if fail.pop() if fail else False:
            raise RuntimeError("a bug")
        run(self, run_of, items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "_run", broken)
        with side:
            side.until(lambda: len(side.finished) == 50, 30, "all records")
            assert side.kafka.counters.rebuilds == 1


def test_what_is_given_back_while_paused_is_read_again_after_the_resume(kafka: RealKafka) -> None:
    """A partition that is stopped keeps the place that was ordered, through its own pause and that of everything."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, numbered(0, 10))
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.stalled = True
        side.until(lambda: len(side.records) == 10)
        part = side.parts[topic, 0]
        part.give_back(range(4, 10))
        side.order(Pause(topic, 0, part.epoch), GiveBack(topic, 0, part.epoch, 4))
        side.until(lambda: not side.orders)
        side.room.open = False
        side.until(lambda: side.kafka.counters.pauses == 1)
        side.order(Resume(topic, 0, part.epoch))
        side.room.open = True
        side.until(lambda: len(side.records) == 16)
        assert [record.offset() for record in side.records[10:]] == list(range(4, 10))


def test_what_was_given_back_and_is_gone_does_not_hold_the_watermark(
    kafka: RealKafka, protocol: dict[str, Any]
) -> None:
    """Where the offset that is sought has no record (any more), it is found out for certain, and reading goes on."""
    topic, group, more = make(kafka, 2)
    kafka.produce_in_transactions(topic, [[Sent(b"a", partition=0)], [Sent(b"gone", partition=0)]], aborted=[1])
    with desk(kafka.bootstrap, [topic], group, **more, **protocol) as side:
        side.stalled = True
        side.until(lambda: side.values() == [b"a"] and len(side.of(EndReached)) == 2)
        number = next(number for number, end in kafka.end_offsets(topic).items() if end)
        part = side.parts[topic, number]
        part.ledger.newest = 2
        part.give_back(range(2, 3))
        side.order(GiveBack(topic, number, part.epoch, 2))
        side.until(lambda: part.seek is None and not part.ledger.rereading, what="the gap to be seen")
        side.stalled = False
        kafka.produce(topic, [Sent(b"b", partition=0), Sent(b"c", partition=1)])
        side.until(lambda: set(side.values()) == {b"a", b"b", b"c"})
        side.until(lambda: lag(kafka, group, topic) == 0)
        assert side.parts[topic, number] is part, "the assignment went on"


@pytest.mark.parametrize(("start_from", "marked"), [("earliest", True), ("latest", False)])
def test_a_topic_made_anew_is_read_from_its_beginning_and_committed(
    kafka: RealKafka, start_from: str, marked: bool
) -> None:
    """It has lost its commits, yet it is no new topic to the group: no record is skipped, and offsets start low again.

    So it is where the old topic's mark was written to the shadow group when there was a new topic already. librdkafka
    commits nothing stored that is not above what it remembers, over assignments too.
    """
    topic, group, more = make(kafka, 1)
    with desk(kafka.bootstrap, [topic], group, start_from=start_from, **more) as side:
        side.until(lambda: side.parts)
        kafka.produce(topic, [str(n).encode() for n in range(20)])
        side.until(lambda: kafka.committed(group, topic).get(0, (0, ""))[0] == 20)
        kafka.delete_topic(topic)
        side.until(lambda: side.kafka.state.kind == "unknown_topic", what="the topic to be missed")
        kafka.create_topic(topic)
        if marked:
            kafka.reset_offsets(f"{group}.delivered", topic, {0: 20})
        kafka.produce(topic, [b"new"])
        side.until(lambda: b"new" in side.values(), 60, what="the new record")
        side.until(lambda: kafka.committed(group, topic).get(0, (0, ""))[0] == 1, what="its commit")


def test_a_topic_made_anew_disturbs_no_other(kafka: RealKafka) -> None:
    """A is read at 50 records a second all the time, B is quiet, deleted, made anew and written to: both go on.

    Nothing of A waits for an answer about B, and B's commits, lower than before and of a lower epoch, are made at once.
    """
    busy, group, more = make(kafka, 2)
    quiet = kafka.create_topic(kafka.unique("quiet"), 2)
    kafka.produce(quiet, numbered(0, 20))
    with desk(kafka.bootstrap, [busy, quiet], group, **more, properties=QUICK) as side, Ticking(kafka, busy):
        side.until(lambda: waits(side, busy) and lag(kafka, group, quiet) == 0, what="both to be read and committed")
        kafka.delete_topic(quiet)
        side.until(lambda: side.kafka.state.kind == "unknown_topic", what="the topic to be missed")
        kafka.create_topic(quiet, 2)
        before = len(side.of(Assigned))
        kafka.produce(quiet, [Sent(b"new", partition=number % 2) for number in range(10)])
        side.until(lambda: any(is_of(item, quiet) for item in side.of(Assigned)[before:]), 60, "its assignment")
        assigned = time.monotonic()
        side.until(lambda: [record.value() for record in side.finished].count(b"new") == 10, 60, "what is new")
        assert time.monotonic() - assigned < 45.0, "a commit that is not answered is waited for over a minute"
        side.until(lambda: lag(kafka, group, quiet) == 0, 10, "its commits")
    assert max(waits(side, busy)) < 45.0, "a rebalance is all that it may wait for"


def test_commits_say_in_which_cluster_and_topic_they_were_made(kafka: RealKafka) -> None:
    """The ids are those that the brokers tell; `kafka.cluster_id: ignore` claims no cluster."""
    topic, group, more = make(kafka, 1)
    told = kafka.admin.describe_topics(TopicCollection([topic]))[topic].result(120)
    cluster, here = digest_of(kafka.admin.list_topics(timeout=120).cluster_id), digest_of(str(told.topic_id))
    kafka.produce(topic, numbered(0, 10))
    for claims, origin in (("check", Origin(cluster, here)), ("ignore", Origin(0, here))):
        with desk(kafka.bootstrap, [topic], group, cluster_id=claims, **more) as side:
            side.until(lambda: side.parts, what="the partition")
            kafka.produce(topic, numbered(10, 20))
            side.until(lambda: side.finished and lag(kafka, group, topic) == 0, what="the commit")
        offset, metadata = kafka.committed(group, topic)[0]
        note = decode(metadata, offset)
        assert note is not None
        assert (note.origin, note.offset) == (origin, offset)


def test_a_commit_of_another_cluster_holds_unless_the_group_was_moved_from_there(kafka: RealKafka) -> None:
    """What it calls finished is not skipped: held, it sends nothing; by `kafka.moved_from` it goes on at the offset."""
    topic, group, more = make(kafka, 1)
    kafka.produce(topic, numbered(0, 10))
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: lag(kafka, group, topic) == 0, what="the commit")
    kafka.produce(topic, numbered(10, 20))
    origin = Origin(digest_of("the other cluster"), 7)
    carried = text_of(at_ms=1, send_limit=19, delivered=19, runs="0,a", committed=12, origin=origin)
    kafka.reset_offsets(group, topic, {0: 12}, carried)
    with desk(kafka.bootstrap, [topic], group, **more) as side:
        side.until(lambda: side.parts, what="the partition")
        start = side.parts[topic, 0].start
        assert (start.offset, start.hold) == (12, "rewind")
        assert "another cluster" in start.detail
        assert "8 records" in start.age
    with desk(kafka.bootstrap, [topic], group, moved_from="the other cluster", **more) as side:
        side.until(lambda: len(side.finished) == 8, what="all from the offset on")
        side.until(lambda: lag(kafka, group, topic) == 0, what="the commit")
        assert [record.offset() for record in side.finished] == list(range(12, 20))
