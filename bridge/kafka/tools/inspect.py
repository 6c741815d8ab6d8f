"""Reads single records and the end of topics for `suprsend-bridge map` and `suprsend-bridge explain`: no group, no commit, bounded.

Runs on the thread of a command. A running bridge is not disturbed: partitions are assigned by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bridge.flow import UNREADABLE, Headers, PlainRecord, Record, UnreadableHeaders, headers_of
from bridge.kafka.config import consumer_conf
from bridge.kafka.errors import END_REACHED, plain, trouble_of
from bridge.kafka.tools.preflight import SILENT
from bridge.settings.kafka import Kafka

__all__ = ["MOST_RECORDS", "InspectError", "clearest", "last_records", "partitions_of", "plain_record", "record_at"]

MOST_RECORDS: Final = 100_000
"""Of one topic, at once."""
_SECONDS: Final = 10.0
_READ_SECONDS: Final = 60.0
_AT_ONCE: Final = 1_000
_VAGUE: Final = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})  # noqa: SLF001


class InspectError(Exception):
    """The records cannot be read; one line that says why and what to do."""


def record_at(settings: Kafka, topic: str, partition: int, offset: int) -> PlainRecord:
    """Read the record at an offset. Raises InspectError where there is none, ConfigError and SecretError."""
    with _consumer(settings) as consumer:
        if partition not in partitions_of(consumer, topic):
            raise InspectError(f"{topic} has no partition {partition}; it has {len(partitions_of(consumer, topic))}")
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SECONDS)
        if not first <= offset < end:
            held = f"it holds {first} to {end - 1}" if end > first else "it is empty"
            raise InspectError(f"{topic}:{partition} has no offset {offset}: {held}")
        consumer.assign([TopicPartition(topic, partition, offset)])
        for message in _messages(consumer, {(topic, partition): offset + 1}):
            if message.offset() == offset:
                return plain_record(message)
    raise InspectError(
        f"{topic}:{partition}:{offset} is no record: a transaction's marker, rolled back, or compacted away"
    )


def last_records(settings: Kafka, topic: str, count: int) -> list[PlainRecord]:
    """Read the last records of a topic, oldest first. Raises InspectError, ConfigError and SecretError.

    `count` is at most MOST_RECORDS. Of a topic with many partitions the records with the latest timestamps are taken.
    """
    with _consumer(settings) as consumer:
        starts, ends = [], {}
        for partition in partitions_of(consumer, topic):
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SECONDS)
            if end > first:
                starts.append(TopicPartition(topic, partition, max(first, end - count)))
                ends[topic, partition] = end
        if not starts:
            return []
        consumer.assign(starts)
        found = [plain_record(message) for message in _messages(consumer, ends)]
    found.sort(key=lambda record: (record.timestamp()[1], record.partition(), record.offset()))
    return found[-count:]


@contextmanager
def _consumer(settings: Kafka) -> Iterator[Consumer]:
    """A consumer that belongs to no group; Kafka's errors come out as InspectError."""
    told: list[KafkaError] = []
    conf = {
        **consumer_conf(settings),
        "group.id": f"{settings.group_id}.peek",
        "error_cb": told.append,
        "logger": SILENT,
    }
    conf.pop("group.instance.id", None)
    try:
        with closing(Consumer(conf)) as consumer:
            try:
                yield consumer
            except KafkaException:
                consumer.poll(0)
                raise
    except KafkaException as error:
        raise InspectError(clearest([*told, error.args[0]])) from None


def clearest(errors: list[Any]) -> str:
    """The one line of several errors that says most."""
    clear = [error for error in errors if error.code() not in _VAGUE]
    trouble = trouble_of((clear or errors)[0] if clear else errors[-1])
    return plain(errors[-1]) if trouble is None else trouble.text


def partitions_of(consumer: Consumer, topic: str) -> list[int]:
    """The partitions of a topic. Raises KafkaException."""
    found = consumer.list_topics(topic, timeout=_SECONDS).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return sorted(found.partitions)


def _messages(consumer: Consumer, ends: dict[tuple[str, int], int]) -> Iterator[Message]:
    """Messages up to the ends (offsets behind the last), or what came of them in time."""
    left = dict(ends)
    until = time.monotonic() + _READ_SECONDS
    while left and time.monotonic() < until:
        for message in consumer.consume(_AT_ONCE, timeout=0.5):
            error = message.error()
            place = (str(message.topic()), int(message.partition() or 0))
            if error is not None and error.code() == END_REACHED:
                left.pop(place, None)
            elif error is not None:
                raise KafkaException(error)
            elif place in left:
                if int(message.offset() or 0) < ends[place]:
                    yield message
                if int(message.offset() or 0) >= ends[place] - 1:
                    left.pop(place)


def plain_record(message: Message) -> PlainRecord:
    """The record of a message without an error: what the bridge itself would have seen of it."""
    value, key = message.value(), message.key()
    return PlainRecord(
        str(message.topic()),
        int(message.partition() or 0),
        int(message.offset() or 0),
        value,
        key=key,
        timestamp=message.timestamp()[1],
        headers=_headers(message),
    )


def _headers(message: Message) -> Headers:
    try:
        return headers_of(cast("Record", message))
    except UnreadableHeaders:
        return UNREADABLE
