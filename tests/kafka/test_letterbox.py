"""What `bridge dlq` asks the brokers."""

from __future__ import annotations

from confluent_kafka import KafkaError

from bridge.kafka.letterbox import opened
from bridge.kafka.mock import MockCluster
from tests.kafka.desk import settings


def test_a_group_that_never_was_has_no_progress() -> None:
    """Where brokers say that there is no such group, nothing was replayed before."""
    with MockCluster({"dead": 2}) as cluster:
        cluster.fail_requests("OffsetFetch", [KafkaError.GROUP_ID_NOT_FOUND] * 10)
        with opened(settings(cluster.bootstrap, ["t"], "g", dead_letter_topic="dead")) as box:
            assert box.progress() == {}
