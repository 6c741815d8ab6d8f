"""Dead letters on a real Kafka: the original bytes, and what happens when the topic does not take them."""

from __future__ import annotations

import time
from functools import partial
from hashlib import sha256
from typing import Any

import pytest

from bridge.delivery.batch import Partition
from bridge.delivery.dead_letter_headers import dead_letter_headers, rejected_of
from bridge.flow import (
    DeadLetter,
    DeadLetterWritten,
    Fault,
    Headers,
    Mapped,
    PlainRecord,
    Record,
    Stage,
    UnreadableHeaders,
    headers_of,
)
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.inspect import record_at
from bridge.replay.letter import Letter, again, read
from tests.brokers.node import free_ports
from tests.brokers.real import RealKafka, Sent
from tests.brokers.unchecked import Raw, produce_raw
from tests.by_record import partition
from tests.kafka.desk import desk, settings
from tests.road.bridge_process import until


def make(kafka: RealKafka, config: dict[str, str] | None = None) -> tuple[str, str, dict[str, Any]]:
    topic = kafka.create_topic(kafka.unique("orders"))
    letters = kafka.create_topic(kafka.unique("dead"), 1, config)
    return topic, letters, {"dead_letter_topic": letters, "group": kafka.unique("group")}


def read_back(kafka: RealKafka, sent: Sent, ticket: int = 1) -> None:
    """Send a record through a topic and as a dead letter, and compare it with what is in the dead-letter topic."""
    topic, letters, more = make(kafka)
    kafka.produce(topic, [sent])
    with desk(kafka.bootstrap, [topic], **more) as side:
        side.until(lambda: side.records)
        side.dead_letter(ticket, side.records[0], [("bridge.rule", b"r"), ("bridge.code", "é".encode())])
        side.until(lambda: ticket in side.written)
        assert side.written[ticket] is None
    (letter,) = kafka.read(letters)
    assert (letter.key(), letter.value()) == (sent.key, sent.value)
    assert abs(letter.timestamp()[1] - time.time() * 1000) < 60_000
    original: Headers = list(sent.headers or [])
    assert letter.headers() == [*original, ("bridge.rule", b"r"), ("bridge.code", "é".encode())]


def test_a_dead_letter_is_the_original_record_and_the_reason(kafka: RealKafka) -> None:
    """Key, value and headers (repeated and null ones too) are those of the record; the time is that of the writing."""
    headers = [("trace", b"\x00\xff"), ("trace", b"2"), ("none", None)]
    read_back(kafka, Sent(b'{"a":1}\xff', b"\x00key", headers=headers, timestamp=1_767_254_400_123))


def test_a_tombstone_without_a_key_is_a_dead_letter_too(kafka: RealKafka) -> None:
    """A null value and a null key stay null."""
    read_back(kafka, Sent(None, None, timestamp=1_767_254_400_123))


def _part(topic: str) -> Partition:
    def mapper(_: Record) -> Mapped:
        return ()

    return partition((topic, 0), mapper)


def test_headers_that_cannot_be_read_are_not_in_the_letter_and_it_says_so(kafka: RealKafka) -> None:
    """A name that is no UTF-8: key and value are kept, and whoever reads the letter knows that headers are missing."""
    topic, letters, more = make(kafka)
    bad = [(b"trace", b"1"), (b"\xc3\x28", b"2")]
    produce_raw(kafka.bootstrap, topic, [[Raw(b"%d" % number, b"key", bad) for number in range(40)]])
    with desk(kafka.bootstrap, [topic], **more) as side:
        side.until(lambda: len(side.records) == 40)
        for ticket, record in enumerate(side.records):
            # Asked more often than CPython needs to make a call quick, and again by the Kafka thread.
            with pytest.raises(UnreadableHeaders):
                headers_of(record)
            refusal = rejected_of(
                _part(topic), record, Fault(None, Stage.DECODE, "not_json", "no", None, "dead_letter")
            )
            side.dead_letter(ticket, record, dead_letter_headers(refusal, version="1", rules_hash="h"))
        side.until(lambda: len(side.written) == 40)
        assert set(side.written.values()) == {None}
    chosen = settings(kafka.bootstrap, [topic], more["group"], dead_letter_topic=letters)
    with opened(chosen) as box:
        found = [read(record) for record in box.scan()]
    assert len(found) == 40
    for number, letter in enumerate(found):
        assert isinstance(letter, Letter)
        assert (letter.record.key(), letter.record.value()) == (b"key", b"%d" % number)
        again_read = read(PlainRecord("dead", 0, 1, b"v", headers=again(letter, replays=1)))
        assert isinstance(again_read, Letter)
        for record in (letter.record, again_read.record):
            with pytest.raises(UnreadableHeaders):
                headers_of(record)
        facts = dict(letter.headers)
        assert facts["bridge.source.headers"] == b"unreadable"
        assert "trace" not in facts
    with pytest.raises(UnreadableHeaders):
        headers_of(record_at(chosen, topic, 0, 0))


def test_a_record_too_large_for_the_topic_goes_there_as_a_reference(kafka: RealKafka) -> None:
    """What the topic refuses as too large is named by place, size and digest; its neighbours go as they are."""
    topic, letters, more = make(kafka, {"max.message.bytes": "20000"})
    large = bytes(range(256)) * 100
    kafka.produce(topic, [b"a" * 9_000, Sent(large, b"key"), b"b" * 9_000, b"c" * 9_000])
    with desk(kafka.bootstrap, [topic], **more) as side:
        side.until(lambda: len(side.records) == 4)
        for ticket, record in enumerate(side.records):
            side.dead_letter(ticket, record, [("bridge.rule", b"r")])
        side.until(lambda: len(side.written) == 4)
        assert set(side.written.values()) == {None}
        assert side.kafka.counters.references == 1
    found = kafka.read(letters)
    assert sorted(len(letter.value() or b"") for letter in found) == [0, 9_000, 9_000, 9_000]
    (reference,) = [letter for letter in found if letter.value() is None]
    assert reference.key() == b"key"
    headers = dict(reference.headers() or [])
    assert headers["bridge.rule"] == b"r"
    assert headers["bridge.reference.topic"] == topic.encode()
    assert (headers["bridge.reference.partition"], headers["bridge.reference.offset"]) == (b"0", b"1")
    assert headers["bridge.reference.bytes"] == b"25600"
    assert headers["bridge.reference.sha256"] == sha256(large).hexdigest().encode()


def test_a_missing_dead_letter_topic_is_said_and_heals(kafka: RealKafka) -> None:
    """Without its topic a dead letter is reported as not written, the state says why, and it goes once it is there."""
    topic = kafka.create_topic(kafka.unique("orders"))
    letters = kafka.unique("dead")
    kafka.produce(topic, [b"a"])
    with desk(kafka.bootstrap, [topic], kafka.unique("group"), dead_letter_topic=letters) as side:
        side.until(lambda: side.kafka.state.kind == "dead_letter_topic")
        assert letters in (side.kafka.state.trouble or "")
        side.until(lambda: side.records, what="reading goes on")
        kafka.create_topic(letters)
        side.until(lambda: side.kafka.state.kind is None, what="the trouble to go away")
        side.dead_letter(7, side.records[0])
        side.until(lambda: side.written.get(7, "") is None, what="the dead letter")


def test_a_missing_dead_letter_topic_is_created_where_the_settings_say_so(kafka: RealKafka) -> None:
    """With `dead_letter_create` the topic is there before the first dead letter needs it."""
    topic = kafka.create_topic(kafka.unique("orders"))
    letters = kafka.unique("dead")
    kafka.produce(topic, [b"a"])
    more: dict[str, Any] = {"dead_letter_topic": letters, "dead_letter_create": True}
    with desk(kafka.bootstrap, [topic], kafka.unique("group"), **more) as side:
        side.until(lambda: side.records)
        side.until(lambda: side.kafka.state.kind is None)
        side.dead_letter(7, side.records[0])
        side.until(lambda: side.written.get(7, "") is None, what="the dead letter")


def test_many_large_dead_letters_do_not_overflow_the_queue(kafka: RealKafka) -> None:
    """More dead letters than fit in flight are all written, each reported once."""
    topic, letters, more = make(kafka)
    records: list[Record] = [PlainRecord(topic, 0, number, b"x" * 400_000) for number in range(60)]
    with desk(kafka.bootstrap, [topic], **more) as side:
        for ticket, record in enumerate(records):
            side.dead_letter(ticket, record)
        side.until(lambda: len(side.written) == 60, what="all reports")
        assert set(side.written.values()) == {None}
    assert kafka.end_offsets(letters) == {0: 60}


def test_after_a_time_out_another_producer_writes(kafka: RealKafka) -> None:
    """A producer whose messages time out may never write again: the next attempt is another's, with the settings of then."""
    topic, letters, _ = make(kafka)
    record = PlainRecord(topic, 0, 0, b"a")
    (nobody,) = free_ports(1)
    addresses = iter((f"127.0.0.1:{nobody}", kafka.bootstrap))
    told: list[DeadLetterWritten] = []

    def conf() -> dict[str, Any]:
        return {"bootstrap.servers": next(addresses), "message.timeout.ms": 500, "log_level": 0}

    writing = DeadLetterProducer(conf, letters, told.append, KafkaCounters())

    def pumped(ticket: int) -> bool:
        writing.pump()
        return len(told) == ticket

    for ticket in (1, 2):
        writing.send(DeadLetter(ticket, record, ()))
        until(partial(pumped, ticket), 30)
    writing.close(5.0)
    assert [(each.ticket, each.error is None) for each in told] == [(1, False), (2, True)]
    assert len(kafka.read(letters)) == 1
