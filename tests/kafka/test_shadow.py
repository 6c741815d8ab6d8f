"""The shadow group's marks: when they are written, and what an error costs. Kafka's side is played, or librdkafka's mock."""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.kafka.client.shadow import Shadow
from bridge.kafka.tools.mock import MockCluster

A, B = ("t", 0), ("t", 1)


class Told(NamedTuple):
    """A partition in the answer to a commit."""

    topic: str
    partition: int
    offset: int
    error: KafkaError | None


class Side:
    """Stands for the consumer: keeps what is committed, and refuses what a test says when it answers."""

    def __init__(self) -> None:
        self.written: list[dict[tuple[str, int], int]] = []
        self.refuse: dict[tuple[str, int], int] = {}
        self.refuse_all: int | None = None
        self._open: list[TopicPartition] | None = None

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        assert self._open is None, "one write at a time"
        self._open = offsets
        self.written.append({(part.topic, part.partition): part.offset for part in offsets})

    def poll(self, seconds: float) -> None:
        """Nothing is served here: `answer` calls back."""

    def answer(self, shadow: Shadow) -> None:
        parts, self._open = self._open or [], None
        told = []
        for part in parts:
            code = self.refuse.get((part.topic, part.partition))
            told.append(Told(part.topic, part.partition, part.offset, None if code is None else KafkaError(code)))
        error = None if self.refuse_all is None else KafkaError(self.refuse_all)
        shadow._written(error, cast("Any", told))


@pytest.fixture
def side(monkeypatch: pytest.MonkeyPatch) -> Side:
    played = Side()
    monkeypatch.setattr(Shadow, "_client", lambda self: cast("Consumer", played))
    return played


def shadow() -> Shadow:
    return Shadow(dict, "g")


def test_only_what_moved_is_written_and_never_lower(side: Side) -> None:
    """A mark that stands, or would go back, is not written; one write at a time."""
    it = shadow()
    it.write({A: 9, B: 4})
    it.write({A: 12})
    assert side.written == [{A: 10, B: 5}], "the first answer is awaited"
    side.answer(it)
    it.write({A: 8, B: 4})
    assert len(side.written) == 1
    it.write({A: 12, B: 4})
    assert side.written[1:] == [{A: 13}]


def test_marks_that_stand_are_refreshed_before_they_expire(side: Side) -> None:
    """Twice a day all marks are written again, since offsets of a group without members expire after a week."""
    it = shadow()
    it.write({A: 9})
    side.answer(it)
    start = it._write_at
    it.write_due(start + 0.1, lambda: {A: 9})
    assert len(side.written) == 1
    it.write_due(start + 13 * 3_600.0, lambda: {A: 9, B: -1})
    assert side.written[1:] == [{A: 10}]


def test_a_refused_partition_is_tried_again_and_said_once(side: Side, caplog: pytest.LogCaptureFixture) -> None:
    """An error comes per partition: that one is written again later, the others stand, and one warning is enough."""
    it = shadow()
    side.refuse = {B: KafkaError.TOPIC_AUTHORIZATION_FAILED}
    with caplog.at_level(logging.WARNING, "bridge.kafka.client"):
        for mark in (4, 4, 5):
            it.write({A: 9, B: mark})
            side.answer(it)
    assert side.written == [{A: 10, B: 5}, {B: 5}, {B: 6}]
    assert sum("g.delivered" in line.getMessage() for line in caplog.records) == 1


def test_without_the_permission_it_warns_once_and_does_not_stop(side: Side, caplog: pytest.LogCaptureFixture) -> None:
    """Where the group may not be written at all, one line says what permission is missing; delivery goes on."""
    it = shadow()
    side.refuse_all = KafkaError.GROUP_AUTHORIZATION_FAILED
    with caplog.at_level(logging.WARNING, "bridge.kafka.client"):
        for mark in range(3):
            it.write({A: mark})
            side.answer(it)
    (line,) = [each.getMessage() for each in caplog.records if "g.delivered" in each.getMessage()]
    assert "Read and Describe" in line


@pytest.mark.parametrize("error", [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE])
def test_a_coordinator_that_moves_is_asked_again_and_ends_nothing(error: int) -> None:
    """Where the coordinator of the shadow group has just moved, asking fails for now and works the next time.

    With librdkafka 2.16's admin client the process would end here: it follows a null pointer.
    """
    with MockCluster({"t": 2}) as cluster:
        it = Shadow(lambda: {"bootstrap.servers": cluster.bootstrap, "log_level": 0}, "g")
        it.write({A: 9})
        it.close(10.0)
        deadline = time.monotonic() + 120
        cluster.fail_requests("OffsetFetch", [error])
        failed = False
        found = None
        while found is None and time.monotonic() < deadline:
            try:
                found = it.ask([A, B])
            except KafkaException:
                failed = True
        assert failed
        assert found == {A: 9}
        it.close(1.0)
