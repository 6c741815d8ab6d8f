"""The shadow group `<group>.delivered`: up to where records were delivered, in a place that a reset does not reach.

Written with an admin client, which has threads of its own, and only after the commits that it follows were
acknowledged. It is a second guard beside the note in each commit: where it may not be read or written, the note alone
has to do. Kafka thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from threading import Thread
from typing import Final, cast

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from bridge.flow import TopicPartition as Name
from bridge.kafka.config import Conf
from bridge.kafka.errors import INVALID_ARGUMENT, plain
from bridge.kafka.quiet import LOG

_SUFFIX: Final = ".delivered"
_ASK_SECONDS: Final = 5.0
_FIRST_SECONDS: Final = 1.0
_WRITE_SECONDS: Final = 10.0
_REFRESH_SECONDS: Final = 12 * 3600.0
"""Offsets of a group without members expire after a week by default."""
_NOT_FOR_US: Final = frozenset(
    {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.GROUP_ID_NOT_FOUND,
    }
)

_Answer = Future[ConsumerGroupTopicPartitions]


class Shadow:
    """Reads and writes the marks: per partition the highest offset known to be delivered."""

    def __init__(self, conf: Callable[[], Conf], group: str) -> None:
        self._conf = conf
        self._group = group + _SUFFIX
        self._admin: AdminClient | None = None
        self._asking: tuple[frozenset[Name], Future[list[TopicPartition]]] | None = None
        self._writing: _Answer | None = None
        self._marks: dict[Name, int] = {}
        self._write_at = time.monotonic() + _FIRST_SECONDS
        self._refresh_at = time.monotonic() + _REFRESH_SECONDS
        self._warned = False

    def ask(self, names: Iterable[Name]) -> Mapping[Name, int] | None:
        """The marks of partitions; None while the answer is awaited. Never blocks.

        Raises KafkaException where Kafka does not answer; where it refuses there are no marks.
        """
        wanted = frozenset(names)
        if self._asking is None or self._asking[0] != wanted:
            self._asking = (wanted, self._asked(sorted(wanted)))
        answer = self._asking[1]
        if not answer.done():
            return None
        self._asking = None
        try:
            found = answer.result()
        except KafkaException as error:
            if error.args[0].code() not in _NOT_FOR_US:
                raise
            self._warn(error.args[0])
            return {}
        marks = {(part.topic, part.partition): part.offset - 1 for part in found if part.offset >= 0}
        self._marks |= marks
        return marks

    def _asked(self, names: Sequence[Name]) -> Future[list[TopicPartition]]:
        """The answer to come, from a thread of its own.

        A consumer that joins nothing asks: the admin client's question ends the whole process where the coordinator
        has just moved (librdkafka 2.16.0 follows a null pointer, `tests/kafka/test_shadow.py`).
        """
        future: Future[list[TopicPartition]] = Future()

        def ask() -> None:
            try:
                conf = self._conf()
                with closing(Consumer({**conf, "group.id": self._group, "enable.auto.commit": False})) as consumer:
                    asked = [TopicPartition(*name) for name in names]
                    found = consumer.committed(asked, timeout=_ASK_SECONDS)
                for part in found:
                    if part.error is not None:
                        raise KafkaException(part.error)  # noqa: TRY301 - as if the call had said so
                future.set_result(found)
            except KafkaException as error:
                future.set_exception(error)
            except Exception as error:  # noqa: BLE001 - a secret that cannot be read, say: asked again later
                future.set_exception(KafkaException(KafkaError(INVALID_ARGUMENT, str(error))))

        Thread(target=ask, name="kafka-shadow", daemon=True).start()
        return future

    def forget(self, name: Name) -> None:
        """A rewind was accepted: the mark follows from below."""
        self._marks.pop(name, None)

    def write_due(self, now: float, marks: Callable[[], Mapping[Name, int]]) -> None:
        """Write what moved, now and then; cheap when nothing is due. Never blocks."""
        if now >= self._write_at:
            self._write_at = now + _WRITE_SECONDS
            refresh = now >= self._refresh_at
            if refresh:
                self._refresh_at = now + _REFRESH_SECONDS
            self.write(marks(), refresh=refresh)

    def write(self, marks: Mapping[Name, int], *, refresh: bool = False) -> None:
        """Write marks of acknowledged commits; those that are lower than what is there are left out."""
        self._take_in()
        moved = {name: mark for name, mark in marks.items() if mark > self._marks.get(name, -1)}
        if refresh:
            moved = {name: max(mark, self._marks.get(name, -1)) for name, mark in marks.items() if mark >= 0}
        if not moved or self._writing is not None:
            return
        self._marks |= moved
        parts = [TopicPartition(*name, mark + 1) for name, mark in sorted(moved.items())]
        asked = ConsumerGroupTopicPartitions(self._group, parts)
        answers = self._client().alter_consumer_group_offsets([asked], request_timeout=_ASK_SECONDS)
        self._writing = answers[self._group]

    def _take_in(self) -> None:
        if self._writing is None or not self._writing.done():
            return
        answer, self._writing = self._writing, None
        try:
            for part in answer.result().topic_partitions or []:
                if part.error is not None:
                    self._unwritten((part.topic, part.partition), part.error)
        except KafkaException as error:
            self._warn(error.args[0])
            self._marks.clear()

    def _unwritten(self, name: Name, error: KafkaError) -> None:
        self._marks.pop(name, None)
        self._warn(error)

    def _warn(self, error: KafkaError) -> None:
        if not self._warned:
            self._warned = True
            LOG.warning(
                "the group %s cannot be used: give the bridge's user Read and Describe on it, or a reset of all "
                "offsets of the group cannot be told from a first start (%s)",
                self._group,
                plain(error),
            )

    def close(self, seconds: float) -> None:
        """Wait for what is being written, at most so long."""
        deadline = time.monotonic() + seconds
        while self._writing is not None and not self._writing.done() and time.monotonic() < deadline:
            time.sleep(0.005)
        self._admin = None

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(cast("dict[str, str | int | float | bool]", self._conf()))
        return self._admin
