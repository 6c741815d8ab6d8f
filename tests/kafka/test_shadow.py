"""The shadow group's marks: when they are written, and what an error costs. Kafka's side is played."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bridge.kafka.mock import MockCluster
from bridge.kafka.shadow import Shadow

A, B = ("t", 0), ("t", 1)


class Admin:
    """Stands for the admin client: keeps what is written, refuses what a test says."""

    def __init__(self) -> None:
        self.written: list[dict[tuple[str, int], int]] = []
        self.refuse: dict[tuple[str, int], int] = {}
        self.refuse_all: int | None = None
        self.open: list[tuple[Future[Any], ConsumerGroupTopicPartitions]] = []

    def alter_consumer_group_offsets(self, asked: list[ConsumerGroupTopicPartitions], **_: Any) -> dict[str, Any]:
        future: Future[Any] = Future()
        self.open.append((future, asked[0]))
        self.written.append({(part.topic, part.partition): part.offset for part in asked[0].topic_partitions or []})
        return {asked[0].group_id: future}

    def answer(self) -> None:
        for future, asked in self.open:
            if self.refuse_all is not None:
                future.set_exception(KafkaException(KafkaError(self.refuse_all)))
                continue
            future.set_result(_Answer(asked, self.refuse))
        self.open.clear()


class _Answer:
    def __init__(self, asked: ConsumerGroupTopicPartitions, refuse: dict[tuple[str, int], int]) -> None:
        self.topic_partitions = [
            _Told(part.topic, part.partition, refuse.get((part.topic, part.partition)))
            for part in asked.topic_partitions or []
        ]


class _Told:
    def __init__(self, topic: str, partition: int, code: int | None) -> None:
        self.topic, self.partition = topic, partition
        self.error = None if code is None else KafkaError(code)


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    played = Admin()
    monkeypatch.setattr(Shadow, "_client", lambda self: cast("AdminClient", played))
    yield played


def shadow() -> Shadow:
    return Shadow(dict, "g")


def test_only_what_moved_is_written_and_never_lower(admin: Admin) -> None:
    """A mark that stands, or would go back, is not written; one write at a time."""
    it = shadow()
    it.write({A: 9, B: 4})
    it.write({A: 12})
    assert admin.written == [{A: 10, B: 5}], "the first answer is awaited"
    admin.answer()
    it.write({A: 8, B: 4})
    assert len(admin.written) == 1
    it.write({A: 12, B: 4})
    assert admin.written[1:] == [{A: 13}]


def test_marks_that_stand_are_refreshed_before_they_expire(admin: Admin) -> None:
    """Twice a day all marks are written again, since offsets of a group without members expire after a week."""
    it = shadow()
    it.write({A: 9})
    admin.answer()
    hour = 3600.0
    start = it._write_at
    it.write_due(start + 0.1, lambda: {A: 9})
    assert len(admin.written) == 1
    it.write_due(start + 13 * hour, lambda: {A: 9, B: -1})
    assert admin.written[1:] == [{A: 10}]


def test_a_refused_partition_is_tried_again_and_said_once(admin: Admin, caplog: pytest.LogCaptureFixture) -> None:
    """An error comes per partition: that one is written again later, the others stand, and one warning is enough."""
    it = shadow()
    admin.refuse = {B: KafkaError.TOPIC_AUTHORIZATION_FAILED}
    with caplog.at_level(logging.WARNING, "bridge.kafka.client"):
        it.write({A: 9, B: 4})
        admin.answer()
        it.write({A: 9, B: 4})
        admin.answer()
        it.write({A: 9, B: 5})
    assert admin.written == [{A: 10, B: 5}, {B: 5}, {B: 6}]
    assert sum("g.delivered" in line.getMessage() for line in caplog.records) == 1


def test_without_the_permission_it_warns_once_and_does_not_stop(admin: Admin, caplog: pytest.LogCaptureFixture) -> None:
    """Where the group may not be written at all, one line says what permission is missing; delivery goes on."""
    it = shadow()
    admin.refuse_all = KafkaError.GROUP_AUTHORIZATION_FAILED
    with caplog.at_level(logging.WARNING, "bridge.kafka.client"):
        for mark in range(3):
            it.write({A: mark})
            admin.answer()
        it.write({A: 9})
    (line,) = [each.getMessage() for each in caplog.records if "g.delivered" in each.getMessage()]
    assert "Read and Describe" in line


@pytest.mark.parametrize("error", [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE])
def test_a_coordinator_that_moves_is_asked_again_and_ends_nothing(error: int) -> None:
    """Where the coordinator of the shadow group has just moved, asking fails for now and works the next time."""
    with MockCluster({"t": 2}) as cluster:
        it = Shadow(lambda: {"bootstrap.servers": cluster.bootstrap, "log_level": 0}, "g")
        it.write({A: 9})
        deadline = time.monotonic() + 20
        while it._writing is not None and not it._writing.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        cluster.fail_requests("OffsetFetch", [error])
        failed = False
        found = None
        while found is None and time.monotonic() < deadline:
            try:
                found = it.ask([A, B])
            except KafkaException:
                failed = True
            time.sleep(0.01)
        assert failed
        assert found == {A: 9}
        it.close(1.0)
