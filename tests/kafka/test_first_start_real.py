"""Where a group that is new to a topic begins, on a real Kafka: once for all partitions, whenever each of them begins."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from bridge.flow import Assigned
from bridge.offsets.commits import Began, decode, text_of
from tests.brokers.fixtures import StartKafka
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk

QUICK = {"session.timeout.ms": "6000", "topic.metadata.refresh.interval.ms": "1000"}


def values(prefix: str, partitions: Iterable[int], count: int = 5) -> list[Sent]:
    return [
        Sent(b"%s-%d-%d" % (prefix.encode(), part, each), partition=part)
        for part in partitions
        for each in range(count)
    ]


def texts(records: Iterable[Sent]) -> set[bytes | None]:
    return {record.value for record in records}


def reading(kafka: RealKafka, topic: str, group: str) -> Desk:
    dead = kafka.create_topic(kafka.unique("dead"))
    return desk(kafka.bootstrap, [topic], group, dead_letter_topic=dead, properties=QUICK, start_from="latest")


def began_of(kafka: RealKafka, group: str, topic: str) -> set[Began | None]:
    notes = [decode(text, offset) for offset, text in kafka.committed(group, topic).values()]
    return {note.began for note in notes if note is not None}


def test_every_commit_says_when_the_group_began(kafka: RealKafka) -> None:
    """All partitions of the topic bear the time of the first start and how many partitions there were, after restarts too."""
    topic, group = kafka.create_topic(kafka.unique("orders"), 3), kafka.unique("group")
    before = time.time_ns() // 1_000_000
    for _ in range(2):
        with reading(kafka, topic, group) as it:
            it.until(lambda: len(kafka.committed_offsets(group, topic)) == 3, what="a commit of each partition")
            kafka.produce(topic, values("new", range(3)))
            it.until(lambda: len(it.finished) >= 15, what="the records")
    (began,) = began_of(kafka, group, topic)
    assert began is not None
    assert began.partitions == 3
    assert before - 1_000 <= began.at_ms <= time.time_ns() // 1_000_000


def test_a_member_that_comes_a_moment_later_sends_nothing_from_before_the_first_start(kafka: RealKafka) -> None:
    """A partition that the first member had not begun begins at the group's time; one that was added at its beginning."""
    topic, group = kafka.create_topic(kafka.unique("orders"), 2), kafka.unique("group")
    history, since = values("old", range(2)), values("since", [1])
    kafka.produce(topic, history)
    began = Began(time.time_ns() // 1_000_000 + 1, 2)
    # What the first member leaves behind where it had begun with one of the two.
    note = text_of(at_ms=began.at_ms, send_limit=-1, delivered=-1, runs="", committed=5, began=began)
    kafka.reset_offsets(group, topic, {0: 5}, note)
    while time.time_ns() // 1_000_000 <= began.at_ms:
        time.sleep(0.001)
    kafka.produce(topic, since)
    kafka.add_partitions(topic, 3)
    added = values("added", [2])
    kafka.produce(topic, added)
    with reading(kafka, topic, group) as it:
        it.until(lambda: texts(added) | texts(since) <= {record.value() for record in it.finished}, what="what is new")
        assert len(it.finished) == len(added) + len(since)
        it.until(lambda: began_of(kafka, group, topic) == {began}, what="the same beginning everywhere")


def test_a_leader_that_is_missing_at_the_first_start_holds_nobody_up_and_sends_no_history(
    start_kafka: StartKafka,
) -> None:
    """The other partition is read at once; what came since the first start is sent when the leader is back, and only that."""
    kafka = start_kafka(nodes=2)
    topic, _ = kafka.place_topic("orders", [[1], [2]]), kafka.place_topic("dead", [[1]])
    kafka.produce(topic, values("old", range(2)))
    kafka.kill(2)
    latest: dict[str, Any] = {"properties": QUICK, "start_from": "latest"}
    with desk(kafka.bootstrap, [topic], "group", dead_letter_topic="dead", **latest) as it:
        it.until(lambda: (topic, 0) in it.parts, what="the partition whose leader is there")
        kafka.produce(topic, values("new", [0]))
        it.until(lambda: len(it.finished) == 5, what="its records")
        assert (topic, 1) not in it.parts
        kafka.restart(2)
        kafka.await_leaders(topic)
        kafka.produce(topic, values("new", [1]))
        it.until(lambda: len(it.finished) == 10, seconds=120.0, what="what came since to the other one")
        assert {record.value() for record in it.finished} == texts(values("new", range(2)))
        (late,) = [item for item in it.of(Assigned) if isinstance(item, Assigned) and item.partition == 1]
        assert late.start.offset == 5
