"""Where commits are made: the cluster's id and the topics' ids, as far as Kafka tells them. Kafka thread only.

Only an admin client tells the id of a topic. It asks brokers for topics, never a group's coordinator, which could end the
process (librdkafka #4605); it has threads of its own, so that nothing here waits. Where no answer comes in a second the id
is unknown, and nothing is claimed or compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final, cast

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from bridge.kafka.config import Conf, ConfigError
from bridge.offsets.commit_metadata import Origin, digest_of
from bridge.secrets import SecretError

_PATIENCE_SECONDS: Final = 1.0
_REQUEST_SECONDS: Final = 5.0
_NO_ID: Final = "A" * 22
"""What brokers of before topic ids say."""


class Origins:
    """Asked anew for each assignment: a topic of the same name may be another one by now."""

    def __init__(self, conf: Callable[[], Conf], cluster_id: Callable[[], str | None]) -> None:
        """`cluster_id` is what the brokers told by now; None where it is not to be claimed, too."""
        self._conf = conf
        self._cluster_id = cluster_id
        self._admin: AdminClient | None = None
        self._asked: dict[str, Future[Any]] = {}
        self._patient_until = 0.0
        self._topics: dict[str, int] = {}
        self._told: dict[str, Origin] = {}

    def ask(self, topics: Iterable[str]) -> None:
        """Ask for the ids of topics; never blocks."""
        names = sorted(set(topics))
        self._patient_until = time.monotonic() + _PATIENCE_SECONDS
        for name in names:
            self._topics.pop(name, None)
        try:
            self._admin = AdminClient(cast("dict[str, str | int | float | bool]", self._conf()))
            self._asked = self._admin.describe_topics(TopicCollection(names), request_timeout=_REQUEST_SECONDS)
        except (KafkaException, ConfigError, SecretError):
            self._let_go()

    def settled(self) -> bool:
        """Whether the ids are known, or are not waited for any longer."""
        self._collect()
        return not self._asked or time.monotonic() > self._patient_until

    def news(self) -> Mapping[str, Origin]:
        """The origins of topics whose ids came since the last call; cheap where none is asked for."""
        self._collect()
        told, self._told = self._told, {}
        return told

    def _collect(self) -> None:
        for name in [name for name, answer in self._asked.items() if answer.done()]:
            self._topics[name] = _digest(self._asked.pop(name))
            self._told[name] = self.of(name)
        if self._admin is not None and not self._asked:
            self._let_go()

    def of(self, topic: str) -> Origin:
        """What is known by now; 0 for what is not."""
        return Origin(digest_of(self._cluster_id()), self._topics.get(topic, 0))

    def _let_go(self) -> None:
        """Have another thread end the client: that may wait for brokers that are gone."""
        held, self._admin, self._asked = [self._admin], None, {}
        Thread(target=held.clear, name="topic-ids-closing", daemon=True).start()


def _digest(answer: Future[Any]) -> int:
    if answer.exception() is not None:
        return 0
    told = str(answer.result().topic_id or "")
    return 0 if told == _NO_ID else digest_of(told)
