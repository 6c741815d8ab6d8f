"""What brokers say to who reads and writes dead letters."""

from __future__ import annotations

from confluent_kafka import KafkaError

from bridge.flow import DeadLetter, DeadLetterWritten, PlainRecord
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer
from bridge.kafka.config import producer_conf
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.mock import MockCluster
from tests.kafka.desk import settings
from tests.road.bridge_process import until


def test_a_group_that_never_was_has_no_progress() -> None:
    """Where brokers say that there is no such group, nothing was replayed before."""
    with MockCluster({"dead": 2}) as cluster:
        cluster.fail_requests("OffsetFetch", [KafkaError.GROUP_ID_NOT_FOUND] * 10)
        with opened(settings(cluster.bootstrap, ["t"], "g", dead_letter_topic="dead")) as box:
            assert box.progress() == {}


def test_a_clock_that_the_brokers_do_not_accept_is_named() -> None:
    """Letters bear the time of this machine: who reads that they are refused for it is told so."""
    told: list[DeadLetterWritten] = []
    with MockCluster({"dead": 1}) as cluster:
        cluster.fail_requests("Produce", [KafkaError.INVALID_TIMESTAMP])
        conf = producer_conf(settings(cluster.bootstrap, ["t"], "g"))
        letters = DeadLetterProducer(lambda: conf, "dead", told.append, KafkaCounters())
        letters.send(DeadLetter(1, PlainRecord("t", 0, 0, b"v"), ()))

        def reported() -> bool:
            letters.pump()
            return bool(told)

        until(reported, 30)
        letters.close(5.0)
    assert "set this machine's clock right" in (told[0].error or "")
