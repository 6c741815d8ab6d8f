"""Creates the dead-letter topic where the settings say so. Kafka thread only; the admin client has threads of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bridge.kafka.config import LOG, Conf
from bridge.kafka.errors import plain

_AGAIN_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 5.0
_BROKERS_DEFAULT: Final = -1


class TopicCreator:
    """Asks for one topic, with the brokers' own numbers of partitions and replicas, until it is there."""

    def __init__(self, conf: Callable[[], Conf], topic: str) -> None:
        self._conf = conf
        self._topic = topic
        self._admin: AdminClient | None = None
        self._answer: Future[None] | None = None
        self._again_at = 0.0

    def create_due(self, now: float) -> None:
        """Ask, unless that was done a moment ago; never blocks."""
        if self._answer is not None and self._answer.done():
            self._say(self._answer)
            self._answer = self._admin = None
        if self._answer is None and now >= self._again_at:
            self._again_at = now + _AGAIN_SECONDS
            self._admin = AdminClient(cast("dict[str, str | int | float | bool]", self._conf()))
            topic = NewTopic(self._topic, num_partitions=_BROKERS_DEFAULT, replication_factor=_BROKERS_DEFAULT)
            self._answer = self._admin.create_topics([topic], request_timeout=_REQUEST_SECONDS)[self._topic]

    def _say(self, answer: Future[None]) -> None:
        error = answer.exception()
        if error is None:
            LOG.warning("created the dead-letter topic %s", self._topic)
        elif isinstance(error, KafkaException):
            LOG.warning("the dead-letter topic %s cannot be created: %s", self._topic, plain(error.args[0]))
