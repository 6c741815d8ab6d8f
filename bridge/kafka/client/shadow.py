"""The shadow group `<group>.delivered`: up to where records were delivered, in a place that a reset does not reach.

Written only after the commits that it follows were acknowledged. It is a second guard beside the note in each commit:
where it may not be read or written, the note alone has to do. Kafka thread only.

A consumer that never subscribes does it, and no admin client: librdkafka 2.16 aborts the whole process (`eonce->refcnt
> 0`, librdkafka #4605) or never answers when a broker goes away while an admin client asks a group's coordinator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.flow import TopicPartition as Name
from bridge.kafka.config import LOG, Conf
from bridge.kafka.errors import plain

_SUFFIX: Final = ".delivered"
_ASK_SECONDS: Final = 0.8
_FIRST_SECONDS: Final = 1.0
_WRITE_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
"""A write that is not answered for so long is taken for failed."""
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


class Shadow:
    """Reads and writes the marks: per partition the highest offset known to be delivered."""

    def __init__(self, conf: Callable[[], Conf], group: str) -> None:
        self._conf = conf
        self._group = group + _SUFFIX
        self._consumer: Consumer | None = None
        self._writing_until: float | None = None
        self._marks: dict[Name, int] = {}
        self._write_at = time.monotonic() + _FIRST_SECONDS
        self._refresh_at = time.monotonic() + _REFRESH_SECONDS
        self._warned = False
        self._silent = False
        self._refused: KafkaError | None = None

    def ask(self, names: Iterable[Name]) -> Mapping[Name, int]:
        """The marks of partitions. Blocks for less than a second.

        Raises KafkaException where Kafka does not answer; where it refuses there are no marks.
        """
        wanted = sorted(names)
        parts = [TopicPartition(*name) for name in wanted]
        consumer = self._client()
        try:
            found = _committed(consumer, parts)
        except KafkaException as error:
            refusal = self._refusal(consumer, error.args[0])
            if refusal is None:
                raise
            self._warn(refusal)
            return {}
        self._refused = None
        marks = {(part.topic, part.partition): part.offset - 1 for part in found if part.offset >= 0}
        for name in wanted:
            self._marks.pop(name, None)
        self._marks |= marks
        return marks

    def _refusal(self, consumer: Consumer, error: KafkaError) -> KafkaError | None:
        """Why Kafka refuses for good; None where it may just be away.

        A client that may not find the group's coordinator gets no answer, only one message: look for it there.
        """
        if error.code() in _NOT_FOR_US:
            return error
        while (told := consumer.poll(0)) is not None:
            reason = told.error()
            if reason is not None and reason.code() in _NOT_FOR_US:
                self._refused = reason
        return self._refused

    def given_up(self) -> None:
        """Partitions begin without their marks, since Kafka does not tell them. Logged once."""
        if not self._silent:
            self._silent = True
            LOG.warning(
                "the group %s is not answered for: partitions begin with what their commits say, without this second guard "
                "against a reset of the group",
                self._group,
            )

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
        if not moved or self._writing_until is not None:
            return
        self._marks |= moved
        parts = [TopicPartition(*name, mark + 1) for name, mark in sorted(moved.items())]
        try:
            self._client().commit(offsets=parts, asynchronous=True)
        except KafkaException as error:
            self._unwritten(parts, error.args[0])
        else:
            self._writing_until = time.monotonic() + _ANSWER_SECONDS

    def _take_in(self) -> None:
        if self._writing_until is None or self._consumer is None:
            return
        overdue = time.monotonic() > self._writing_until
        self._consumer.poll(0)
        if overdue:
            self._writing_until = None
            self._marks.clear()

    def _written(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """librdkafka's callback; must not raise."""
        self._writing_until = None
        if error is not None and not parts:
            self._marks.clear()
            self._warn(error)
        for part in parts:
            refused = part.error or error
            if refused is not None:
                self._unwritten([part], refused)

    def _unwritten(self, parts: Iterable[TopicPartition], error: KafkaError) -> None:
        for part in parts:
            self._marks.pop((part.topic, part.partition), None)
        self._warn(error)

    def _warn(self, error: KafkaError) -> None:
        """Say once that Kafka refuses; that it is away is said elsewhere, and passes."""
        if error.code() in _NOT_FOR_US and not self._warned:
            self._warned = True
            LOG.warning(
                "the group %s cannot be used: give the bridge's user Read and Describe on it; without them a reset of all "
                "offsets of the group looks like a first start (%s)",
                self._group,
                plain(error),
            )

    def close(self, seconds: float) -> None:
        """Wait for what is being written, at most so long."""
        deadline = time.monotonic() + seconds
        while self._writing_until is not None and time.monotonic() < deadline:
            self._take_in()
            time.sleep(0.005)
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            # `close` waits for brokers that may be gone.
            closing = Thread(target=consumer.close, name="shadow-closing", daemon=True)
            closing.start()
            closing.join(max(0.1, deadline - time.monotonic()))

    def _client(self) -> Consumer:
        if self._consumer is None:
            own = {"group.id": self._group, "enable.auto.commit": False, "on_commit": self._written}
            self._consumer = Consumer({**self._conf(), **own})
        return self._consumer


def _committed(consumer: Consumer, parts: list[TopicPartition]) -> list[TopicPartition]:
    found = consumer.committed(parts, timeout=_ASK_SECONDS)
    for part in found:
        if part.error is not None:
            raise KafkaException(part.error)
    return found
