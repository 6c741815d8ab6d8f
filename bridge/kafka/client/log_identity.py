"""Whether the log is the one that a commit speaks of: ids of cluster and topics, ends of leader epochs. Kafka thread only.

Only an admin client tells the id of a topic. It asks brokers for topics, never a group's coordinator, which could end the
process (librdkafka #4605); it has threads of its own, so that nothing here waits. Where no answer comes in a second the id
is unknown, and nothing is claimed or compared.

Where logs leave a leader epoch tells that a log was cut off and grew again. librdkafka has no call that asks for it. It
checks positions by itself, when it first learns of a partition who leads it, and says what the broker answered in the text
of an error. So a position is given that lies beyond every log: then there is an answer each time, nothing is fetched, and
the answer can be compared with all that a commit speaks of, not with its offset alone. A client that knows a partition
already checks nothing when it is assigned (measured): each question has a client of its own. The measurements: docs/adr.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from bridge.flow import TopicPartition as Name
from bridge.kafka.config import Conf, ConfigError
from bridge.kafka.errors import POSITION_GONE
from bridge.offsets.commits import Origin, digest_of
from bridge.secrets import SecretError

_PATIENCE_SECONDS: Final = 1.0
_REQUEST_SECONDS: Final = 5.0
_NO_ID: Final = "A" * 22
"""What brokers of before topic ids say."""


class CommitOrigins:
    """Asked anew for each assignment: a topic of the same name may be another one by now."""

    def __init__(self, conf: Callable[[], Conf], cluster_id: Callable[[], str | None]) -> None:
        """`cluster_id` gives what the brokers have told; None while they have not, and where it must not be claimed."""
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
        """The ids of the cluster and of a topic, as far as they are known; 0 for one that is not."""
        return Origin(digest_of(self._cluster_id()), self._topics.get(topic, 0))

    def _let_go(self) -> None:
        """Let another thread end the client, since ending it may wait for brokers that are gone."""
        held, self._admin, self._asked = [self._admin], None, {}
        Thread(target=held.clear, name="topic-ids-closing", daemon=True).start()


def _digest(answer: Future[Any]) -> int:
    if answer.exception() is not None:
        return 0
    told = str(answer.result().topic_id or "")
    return 0 if told == _NO_ID else digest_of(told)


_FAR: Final = 1 << 62
_TOLD: Final = re.compile(r"\(leader epoch (-?\d+)\): broker end offset is (-?\d+)")
_LISTEN_SECONDS: Final = 0.15
_POLL_SECONDS: Final = 0.02
_DOUBT_SECONDS: Final = 3.0
"""After so long without an answer a partition is also read from: brokers that cannot be asked refuse the position then."""
_CLOSE_SECONDS: Final = 0.1


class EpochEnds:
    """Asks for many partitions at once. Each is answered by itself: one that fails does not hold up the others."""

    def __init__(self, conf: Callable[[], Conf], group: str) -> None:
        self._conf = conf
        self._group = group
        self._consumer: Consumer | None = None
        self._asked: dict[Name, int] = {}
        self._doubt_at = 0.0
        self.error: KafkaError | None = None
        """The last one that came instead of an answer."""

    def ask(self, epochs: Mapping[Name, int]) -> dict[Name, int | None]:
        """The ends of leader epochs as far as they are known by now: -1 where the log never had the epoch.

        None where the brokers cannot be asked. Call again for what is missing. Blocks for a fraction of a second.
        Raises KafkaException where no client can be made.
        """
        if not epochs.items() <= self._asked.items():
            self._open(dict(epochs))
        found: dict[Name, int | None] = {}
        until = time.monotonic() + _LISTEN_SECONDS
        while time.monotonic() < until and len(found) < len(epochs):
            found |= self._listen()
        self._asked = {name: epoch for name, epoch in self._asked.items() if name not in found}
        if self._asked and time.monotonic() > self._doubt_at:
            self._doubt()
        return found

    def _open(self, epochs: dict[Name, int]) -> None:
        self.close()
        own = {"group.id": self._group, "enable.auto.commit": False, "auto.offset.reset": "error"}
        self._consumer = Consumer({**self._conf(), **own, "error_cb": self._failed})
        self._asked = epochs
        self._doubt_at = time.monotonic() + _DOUBT_SECONDS
        parts = [self._part(name) for name in epochs]
        self._consumer.assign(parts)
        # Nothing is to be fetched from there: that would be refused before the check, and say nothing.
        self._consumer.pause(parts)

    def _part(self, name: Name) -> TopicPartition:
        return TopicPartition(*name, _FAR, leader_epoch=self._asked[name])

    def _listen(self) -> dict[Name, int | None]:
        assert self._consumer is not None
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            return {}
        return dict(filter(None, map(self._answer, [first, *self._consumer.consume(1_000, 0.0)])))

    def _answer(self, message: Message) -> tuple[Name, int | None] | None:
        error, name = message.error(), (message.topic() or "", message.partition() or 0)
        if error is None or name not in self._asked:
            return None
        told = _TOLD.search(error.str() or "")
        if told is not None and int(told[1]) == self._asked[name]:
            return name, int(told[2])
        if told is None and error.code() in POSITION_GONE:
            return name, None
        self._failed(error)
        return None

    def _doubt(self) -> None:
        self._doubt_at = time.monotonic() + _DOUBT_SECONDS
        assert self._consumer is not None
        for part in map(self._part, self._asked):
            with suppress(KafkaException):
                self._consumer.seek(part)
                self._consumer.resume([part])

    def _failed(self, error: KafkaError) -> None:
        """librdkafka's callback, too; must not raise."""
        self.error = error

    def close(self) -> None:
        """End the client, without waiting for it: it may wait for brokers that are gone."""
        consumer, self._consumer, self._asked = self._consumer, None, {}
        if consumer is not None:
            closing = Thread(target=consumer.close, name="epochs-closing", daemon=True)
            closing.start()
            closing.join(_CLOSE_SECONDS)
