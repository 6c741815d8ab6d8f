"""What makes a partition stand still, or begin behind records, on a real Kafka: it is named, with since when and how many."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bridge.kafka.client.counters import OpenTransaction
from bridge.kafka.errors import OPEN_TRANSACTION
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk

Lines = list[dict[str, Any]]


def told(side: Desk, event: str) -> Lines:
    """The lines of one kind since they were last asked for."""
    return [dict(entry.facts) for entry in side.kafka.counters.journal.take() if entry.event == event]


def transaction(side: Desk, topic: str, partition: int = 0) -> OpenTransaction | None:
    facts = side.kafka.counters.partitions.get((topic, partition))
    return None if facts is None else facts.transaction


def test_a_transaction_that_stays_open_is_named_until_it_ends(
    kafka: RealKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since when and at which offset the position stands; never as unreadable or a trouble; the lag goes on counting."""
    monkeypatch.setattr("bridge.kafka.client.positions.TRANSACTION_SECONDS", 4.0)
    monkeypatch.setattr("bridge.kafka.client.positions.SILENT_SECONDS", 1.0)
    topic = kafka.create_topic(kafka.unique("orders"), 2)
    dead = kafka.create_topic(kafka.unique("dead"))
    with desk(kafka.bootstrap, [topic], kafka.unique("group"), dead_letter_topic=dead) as side:
        begun = time.monotonic()
        kafka.produce(topic, [Sent(b"before", partition=0)])
        side.until(lambda: b"before" in side.values(), what="what was there before")
        with kafka.open_transaction(topic, [Sent(b"open", partition=0), Sent(b"too", partition=0)]):
            kafka.produce(topic, [Sent(b"behind", partition=0), Sent(b"other", partition=1)])
            side.until(lambda: transaction(side, topic) is not None, what="that it stands")
            first = transaction(side, topic)
            assert first is not None
            named = OpenTransaction(first.since, OPEN_TRANSACTION)
            side.until(lambda: transaction(side, topic) == named, 60, "that it is named")
            assert begun <= first.since <= time.monotonic() - 4.0
            (line,) = told(side, "transaction_open")
            assert (line["topic"], line["partition"], line["offset"]) == (topic, 0, 1)
            assert 4.0 <= line["seconds"] <= time.monotonic() - first.since + 1
            assert line["message"] == OPEN_TRANSACTION
            facts = side.kafka.counters.partitions[topic, 0]
            assert (facts.position, facts.end, facts.unreadable) == (1, 4, None)
            assert side.kafka.state.trouble is None, "a trouble makes the process not ready"
            assert transaction(side, topic, 1) is None
            assert b"other" in side.values()
        side.until(lambda: side.values()[-3:] == [b"open", b"too", b"behind"], what="what it held up")
        side.until(lambda: transaction(side, topic) is None, what="the end of it")
        (over,) = told(side, "transaction_over")
        assert (over["topic"], over["partition"]) == (topic, 0)


def test_what_a_group_begins_behind_is_told_with_its_number(kafka: RealKafka) -> None:
    """At the end with records before it: how many at most, of which topic and partitions; once, at the first start alone."""
    topic, group = kafka.create_topic(kafka.unique("orders"), 3), kafka.unique("group")
    kafka.produce(topic, [Sent(b"old", partition=part) for part in (0, 0, 2, 2, 2)])
    with desk(kafka.bootstrap, [topic], group, start_from="latest") as side:
        side.until(lambda: len(kafka.committed_offsets(group, topic)) == 3, what="the first commits")
        lines = told(side, "records_not_read")
        assert sum(line["count"] for line in lines) == 5
        assert {line["topic"] for line in lines} == {topic}
        text = " ".join(line["message"] for line in lines)
        assert f"{topic}[0]" in text
        assert f"{topic}[2]" in text
        assert f"{topic}[1]" not in text
    with desk(kafka.bootstrap, [topic], group, start_from="latest") as side:
        side.until(lambda: len(side.parts) == 3, what="the second start")
        assert told(side, "records_not_read") == []


def test_a_group_whose_offsets_expired_says_what_it_does_not_read(kafka: RealKafka) -> None:
    """With its mark nothing is skipped; where that has expired, too, the end is where it begins, and the number is told."""
    topic, group = kafka.create_topic(kafka.unique("orders")), kafka.unique("group")
    kafka.produce(topic, [b"1", b"2"])
    with desk(kafka.bootstrap, [topic], group) as side:
        side.until(lambda: kafka.committed_offsets(group, topic) == {0: 2}, what="what is finished")
    side.until(lambda: kafka.committed_offsets(f"{group}.delivered", topic) == {0: 2}, what="the mark")
    kafka.produce(topic, [b"3", b"4", b"5"])
    kafka.delete_group(group)
    with desk(kafka.bootstrap, [topic], group, start_from="latest") as side:
        side.until(lambda: side.values() == [b"3", b"4", b"5"], what="what is behind the mark")
        assert told(side, "records_not_read") == []
        side.until(lambda: kafka.committed_offsets(group, topic) == {0: 5}, what="what is finished")
    for each in (group, f"{group}.delivered"):
        kafka.delete_group(each)
    kafka.produce(topic, [b"6", b"7"])
    with desk(kafka.bootstrap, [topic], group, start_from="latest") as side:
        side.until(lambda: (topic, 0) in side.parts, what="the start")
        assert side.parts[topic, 0].start.offset == 7
        (line,) = told(side, "records_not_read")
        assert line["count"] == 7
        assert f"7 records at most before the start of {topic}[0] are not read" in line["message"]
        assert "expired" in line["message"]
