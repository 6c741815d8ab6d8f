"""Brokers that take no idempotent producer: dead letters and marks are written without."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from bridge.flow import DeadLetter, DeadLetterWritten, PlainRecord
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer
from bridge.kafka.config import Conf, producer_conf
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.mock import MockCluster
from tests.kafka.desk import settings

INIT_PRODUCER_ID = 22
MANY = 1_000


def unknown(cluster: MockCluster) -> None:
    """The brokers say at once that they do not know the request."""
    disable = cluster._library.rd_kafka_mock_set_apiversion
    disable.argtypes = (ctypes.c_void_p, ctypes.c_int16, ctypes.c_int16, ctypes.c_int16)
    assert disable(cluster._cluster, INIT_PRODUCER_ID, -1, -1) == 0


def refusing(code: int) -> Callable[[MockCluster], None]:
    """The brokers refuse it with this code, every time."""
    return lambda cluster: cluster.fail_requests("InitProducerId", [code] * MANY)


CASES = {
    "not known": unknown,
    "refused as unsupported": refusing(KafkaError.UNSUPPORTED_VERSION),
    "not allowed": refusing(KafkaError.CLUSTER_AUTHORIZATION_FAILED),
    "refused without end": refusing(KafkaError.POLICY_VIOLATION),
    "answered by the end of the connection": refusing(KafkaError._TRANSPORT),
}
LATE = {"refused without end", "answered by the end of the connection"}
"""Known only when the first letters have timed out: those are tried again."""


@pytest.mark.parametrize("case", CASES)
def test_letters_go_out_without_idempotence(case: str) -> None:
    """Each letter is there, and it is said once, with the reason."""
    told: list[DeadLetterWritten] = []
    counters = KafkaCounters()
    with MockCluster({"dead": 1}) as cluster:
        CASES[case](cluster)
        conf: Conf = {**producer_conf(settings(cluster.bootstrap, ["t"], "g")), "message.timeout.ms": 2_000}
        letters = DeadLetterProducer(lambda: conf, "dead", told.append, counters)
        for ticket in range(3):
            letters.send(DeadLetter(ticket, PlainRecord("t", 0, ticket, b"v%d" % ticket), ()))
        _pump(letters, told, 3)
        failed = [report.ticket for report in told if report.error is not None]
        assert failed == ([0, 1, 2] if case in LATE else [])
        for ticket in failed:
            letters.send(DeadLetter(10 + ticket, PlainRecord("t", 0, ticket, b"v%d" % ticket), ()))
        _pump(letters, told, 3 + len(failed))
        letters.close(5.0)
        assert {report.ticket for report in told if report.error is None} == ({10, 11, 12} if failed else {0, 1, 2})
        assert [message.value() for message in _read(cluster, 3)] == [b"v0", b"v1", b"v2"]
    notes = [note for note in counters.journal.take() if note.event == "dead_letters_plain"]
    assert len(notes) == 1
    assert notes[0].facts["message"]


@pytest.mark.parametrize("case", ["not known", "not allowed"])
def test_a_replay_writes_its_marks_without_idempotence(case: str) -> None:
    """What was queued before the refusal is written, too."""
    with MockCluster({"dead": 1}) as cluster:
        CASES[case](cluster)
        with opened(settings(cluster.bootstrap, ["t"], "g", dead_letter_topic="dead")) as box:
            for number in range(3):
                box.write(0, PlainRecord("t", 0, number, b"v%d" % number), [], with_value=True)
            box.flush()
            box.write(0, PlainRecord("t", 0, 3, b"v3"), [], with_value=True)
            box.flush()
        assert [message.value() for message in _read(cluster, 4)] == [b"v0", b"v1", b"v2", b"v3"]


def _pump(letters: DeadLetterProducer, told: list[DeadLetterWritten], count: int) -> None:
    deadline = time.monotonic() + 120
    while len(told) < count and time.monotonic() < deadline:
        letters.pump()
        time.sleep(0.005)
    assert len(told) == count


def _read(cluster: MockCluster, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition("dead", 0, 0)])
    found: list[Message] = []
    deadline = time.monotonic() + 120
    while len(found) < count and time.monotonic() < deadline:
        found += [message for message in consumer.consume(10, 0.2) if message.error() is None]
    consumer.close()
    return found
