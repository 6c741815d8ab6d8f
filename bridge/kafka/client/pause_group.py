"""The group `<group>.paused`: one commit a partition says whether somebody paused it. One client, of one thread.

A consumer that never subscribes reads and writes it, and no admin client (why: `kafka.shadow`). A running bridge uses
it on a thread of its own (`kafka.pauses`), a command on its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.delivery.pauses import BLANK, Page, read_page
from bridge.flow import TopicPartition as Name
from bridge.kafka.client.resolve_start import metadata_of
from bridge.kafka.config import Conf

SUFFIX: Final = ".paused"
_REFUSED: Final = frozenset(
    {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
    }
)
_NOTHING_THERE: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})
_TIMED_OUT: Final = KafkaError._TIMED_OUT  # noqa: SLF001 (librdkafka's own; it is public)


_Answer = tuple[KafkaError | None, list[TopicPartition]]


class RefusedError(Exception):
    """Kafka does not let us use the group, whatever one waits; `error` is what it said."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error


class PauseGroup:
    """Every call blocks for its `seconds` at most, and raises KafkaException where Kafka does not answer, RefusedError
    where it refuses, ConfigError or SecretError where the settings make no client.
    """

    def __init__(self, conf: Callable[[], Conf], group: str) -> None:
        self.name = group + SUFFIX
        self._make_conf = conf
        self._conf: Conf = {}
        self._consumer: Consumer | None = None
        self._answers: list[_Answer] = []

    def partitions(self, topics: Iterable[str], seconds: float) -> dict[str, tuple[int, ...]]:
        """The partitions of each topic; a topic that is not there has none."""
        consumer, until = self._client(), time.monotonic() + seconds
        found: dict[str, tuple[int, ...]] = {}
        for topic in topics:
            left = max(0.05, until - time.monotonic())
            told = consumer.list_topics(topic, timeout=left).topics[topic]
            found[topic] = tuple(sorted(told.partitions)) if told.error is None else ()
        return found

    def read(self, names: Iterable[Name], seconds: float) -> dict[Name, Page]:
        """What the group says of each partition; those of topics that may not be seen are left out."""
        asked = [TopicPartition(*name) for name in sorted(names)]
        consumer = self._client()
        try:
            found = consumer.committed(asked, timeout=seconds) if asked else []
        except KafkaException as error:
            raise self._explained(error) from None
        pages: dict[Name, Page] = {}
        for part in found:
            if part.error is not None and part.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                continue
            if part.error is not None and part.error.code() not in _NOTHING_THERE:
                raise self._explained(KafkaException(part.error))
            pages[part.topic, part.partition] = read_page(metadata_of(part)) if part.offset >= 0 else BLANK
        return pages

    def write(self, pages: Mapping[Name, Page], seconds: float) -> None:
        """Commit pages and wait for the acknowledgement. Of partitions that are not there any more nothing is kept."""
        parts = [TopicPartition(*name, page.serial, page.text()) for name, page in sorted(pages.items())]
        if not parts:
            return
        try:
            error_of_all, answered = self._commit(self._client(), parts, time.monotonic() + seconds)
        except KafkaException as error:
            raise self._explained(error) from None
        for failed in (each for each in (error_of_all, *(part.error for part in answered)) if each is not None):
            if failed.code() not in _NOTHING_THERE:
                raise self._explained(KafkaException(failed))

    def _commit(self, consumer: Consumer, parts: list[TopicPartition], until: float) -> _Answer:
        self._answers.clear()
        consumer.commit(offsets=parts, asynchronous=True)
        while not self._answers:
            if time.monotonic() > until:
                raise KafkaException(KafkaError(_TIMED_OUT))
            consumer.poll(0.05)
        return self._answers.pop()

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """librdkafka's callback; must not raise."""
        self._answers.append((error, parts))

    def _explained(self, error: KafkaException) -> Exception:
        """Who may not even find the group's coordinator is told so among the messages; the question runs out of time."""
        told = [error.args[0]]
        while self._consumer is not None and (message := self._consumer.poll(0)) is not None:
            if (reason := message.error()) is not None:
                told.append(reason)
        refusal = next((each for each in told if each.code() in _REFUSED), None)
        return RefusedError(refusal) if refusal is not None else error

    def renew(self) -> None:
        """Begin anew with another client if the settings (a password, a certificate) are other ones by now."""
        if self._consumer is not None and self._make_conf() != self._conf:
            self.close(0.0)

    def close(self, seconds: float) -> None:
        """Let go of the client; `close` of librdkafka waits for brokers that may be gone."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            closing = Thread(target=consumer.close, name="pauses-closing", daemon=True)
            closing.start()
            closing.join(seconds)

    def _client(self) -> Consumer:
        if self._consumer is None:
            self._conf = self._make_conf()
            own = {"group.id": self.name, "enable.auto.commit": False, "on_commit": self._answered}
            self._consumer = Consumer({**self._conf, **own})
        return self._consumer
