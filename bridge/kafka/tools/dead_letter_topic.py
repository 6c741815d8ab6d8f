"""The dead-letter topic, for `suprsend-bridge dlq`: reads it whole, writes marks and new letters, keeps a replay's progress.

Runs on the thread of a command. Partitions are assigned by hand, so a running bridge is not disturbed; progress is a
commit in `<group>.replay`: below it nothing is open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bridge.flow import Headers, PlainRecord
from bridge.kafka.client.dead_letter_producer import Idempotence
from bridge.kafka.config import LOG, consumer_conf, producer_conf
from bridge.kafka.errors import END_REACHED, pending, taken_from, unwritten
from bridge.kafka.tools.inspect import InspectError, clearest, partitions_of, plain_record, record_at
from bridge.settings.kafka import Kafka

__all__ = ["DeadLetterTopic", "opened"]

_SECONDS: Final = 10.0
_SILENT_SECONDS: Final = 30.0
_AT_ONCE: Final = 1_000
_LARGEST_KEY: Final = 16_384
_SUFFIX: Final = ".replay"

Span = tuple[int, int]
"""First offset, and the one behind the last."""


class _Queued(NamedTuple):
    value: bytes | None
    key: bytes | None
    partition: int
    headers: Headers


def _plainly(why: str) -> None:
    LOG.warning("the brokers take no idempotent producer: what a replay writes may be there twice (%s)", why)


class DeadLetterTopic:
    """Made by `opened`. Everything raises InspectError where Kafka does not do it, with one clear line."""

    def __init__(self, settings: Kafka, consumer: Consumer) -> None:
        self.topic = settings.dead_letter_topic
        self._settings = settings
        self._consumer = consumer
        self._producer: Producer | None = None
        self._idempotence = Idempotence(_plainly)
        self._queued: list[_Queued] = []
        """Since the last flush."""
        self._failures: list[KafkaError] = []
        self.spans: dict[int, Span] = {}
        """By partition what the topic held when it was opened."""
        for partition in partitions_of(consumer, self.topic):
            low, high = consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=_SECONDS)
            self.spans[partition] = (low, high)

    def cluster_id(self) -> str:
        """The cluster's id: without `delivery.namespace` the first part of every key."""
        found = self._consumer.list_topics(self.topic, timeout=_SECONDS).cluster_id
        return str(found or "")

    def progress(self) -> dict[int, int]:
        """By partition the offset below which no letter is open, as earlier replays committed it.

        Some brokers have no offsets of a group that never was, others say that there is no such group.
        """
        asked = [TopicPartition(self.topic, partition) for partition in self.spans]
        try:
            found = self._consumer.committed(asked, timeout=_SECONDS)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
        for part in found:
            if part.error is not None and part.error.code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise KafkaException(part.error)
        return {part.partition: part.offset for part in found if part.error is None and part.offset >= 0}

    def scan(self, begin: Mapping[int, int] | None = None) -> Iterator[PlainRecord]:
        """Every record up to the end as it was when opened, in the order of each partition; from `begin` on."""
        spans = {each: (max(low, (begin or {}).get(each, low)), high) for each, (low, high) in self.spans.items()}
        left = {each: high for each, (low, high) in spans.items() if low < high}
        self._consumer.assign([TopicPartition(self.topic, each, spans[each][0]) for each in left])
        until = time.monotonic() + _SILENT_SECONDS
        while left:
            for message in self._consumer.consume(_AT_ONCE, timeout=0.5):
                until = time.monotonic() + _SILENT_SECONDS
                found = self._taken(message, left)
                if found is not None:
                    yield found
            if time.monotonic() > until:
                raise InspectError(f"{self.topic} gave nothing for {_SILENT_SECONDS:.0f} s: try again")
        self._consumer.unassign()

    def _taken(self, message: Message, left: dict[int, int]) -> PlainRecord | None:
        error, partition, offset = message.error(), int(message.partition() or 0), int(message.offset() or 0)
        if error is not None:
            if error.code() != END_REACHED:
                raise KafkaException(error)
            left.pop(partition, None)
            return None
        end = left.get(partition)
        if end is None:
            return None
        if offset >= end - 1:
            del left[partition]
        return plain_record(message) if offset < end else None

    def original(self, topic: str, partition: int, offset: int, digest: str) -> PlainRecord:
        """The record that a letter only refers to. Raises InspectError where it is gone, or another."""
        found = record_at(self._settings, topic, partition, offset)
        if sha256(found.value() or b"").hexdigest() != digest:
            raise InspectError(f"{topic}:{partition}:{offset} is another record now: the topic was made anew")
        return found

    def write(self, partition: int, record: PlainRecord, headers: Headers, *, with_value: bool) -> None:
        """Queue one record; `flush` says whether it was written. It bears the present time."""
        value = record.value() if with_value else None
        key = record.key()
        if key is not None and len(key) > _LARGEST_KEY and not with_value:
            key = None
        queued = _Queued(value, key, partition, headers)
        self._queued.append(queued)
        self._produce(queued)

    def _produce(self, queued: _Queued) -> None:
        if self._producer is None:
            self._producer = Producer(self._idempotence.conf(producer_conf(self._settings)))
        value, key, partition, headers = queued
        while True:
            try:
                self._producer.produce(
                    self.topic, value, key, partition, headers=list(headers), on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                # It has ended; `flush` says why, which is told before this.
                self._failures.append(taken_from(error))
                return
            else:
                return

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        failure = pending() or error
        if failure is not None:
            self._failures.append(failure)

    def flush(self) -> None:
        """Wait until everything queued is written. Raises InspectError where something is not."""
        left = self._flushed()
        if any(map(self._idempotence.given_up, self._failures)):
            self._failures.clear()
            self._producer = None
            for queued in self._queued:
                self._produce(queued)
            left = self._flushed()
        if self._failures:
            raise InspectError(unwritten(self.topic, self._failures[0]))
        if left:
            raise InspectError(f"{self.topic} takes no writes: {left} were not acknowledged in {_SILENT_SECONDS:.0f} s")
        self._queued.clear()

    def _flushed(self) -> int:
        """How many are still unacknowledged after a while."""
        try:
            return self._producer.flush(_SILENT_SECONDS) if self._producer is not None else 0
        except (KafkaException, SystemError) as error:
            self._failures.append(taken_from(error))
            return 0

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Keep how far all is done. Raises KafkaException."""
        parts = [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]
        if parts:
            self._consumer.commit(offsets=parts, asynchronous=False)


@contextmanager
def opened(settings: Kafka) -> Iterator[DeadLetterTopic]:
    """The dead-letter topic of the settings. Raises InspectError, ConfigError and SecretError."""
    told: list[KafkaError] = []
    conf = {**consumer_conf(settings), "group.id": settings.group_id + _SUFFIX, "error_cb": told.append}
    conf.pop("group.instance.id", None)
    try:
        with closing(Consumer(conf)) as consumer:
            try:
                yield DeadLetterTopic(settings, consumer)
            except KafkaException:
                told += _told(consumer)
                raise
    except KafkaException as error:
        errors = [*told, error.args[0]]
        if any(each.code() == KafkaError.GROUP_AUTHORIZATION_FAILED for each in errors):
            group = settings.group_id + _SUFFIX
            advice = f"the brokers forbid the group {group}: give the user of `suprsend-bridge dlq` Read on it"
            raise InspectError(advice) from None
        raise InspectError(clearest(errors)) from None


def _told(consumer: Consumer) -> Iterator[KafkaError]:
    """The errors that came among the messages: they say why a question ran out of time."""
    while (message := consumer.poll(0)) is not None:
        if (error := message.error()) is not None:
            yield error
