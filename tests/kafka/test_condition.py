"""What is wrong on Kafka's side, decided from what brokers answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError

from bridge.flow import KafkaState
from bridge.kafka.client.broker_health import BrokerHealth


class Brokers:
    """Answers for topics that exist; those in `refused` with an error."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}

    def list_topics(self, topic: str = "", timeout: float = 0.0) -> Any:
        code = self.refused.get(topic)
        described = SimpleNamespace(error=None if code is None else KafkaError(code), partitions={})
        return SimpleNamespace(topics={topic: described}, cluster_id="c")


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


def looked(health: BrokerHealth, brokers: Brokers, now: float) -> KafkaState:
    """Let it ask all that it wants to at this time."""
    while health.probe_due(now):
        health.probe(cast("Consumer", brokers), now)
        now += 0.001
        if not health.probe_due(now):
            break
    health.say(joined=True)
    return health.state


def made() -> BrokerHealth:
    return BrokerHealth(["orders"], "dead", lambda _: None, lambda _: None)


def test_a_topic_that_is_deleted_is_noticed_though_nothing_is_told(brokers: Brokers) -> None:
    """Twice a minute it asks without a suspicion, and finds out when the topic is there again."""
    health = made()
    assert looked(health, brokers, 100.0).kind is None
    brokers.refused["orders"] = KafkaError.UNKNOWN_TOPIC_OR_PART
    assert not health.probe_due(110.0)
    assert looked(health, brokers, 131.0).kind == "unknown_topic"
    brokers.refused.clear()
    assert looked(health, brokers, 140.0).kind is None


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "create it, or set kafka.dead_letter_create"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "give the bridge's user Write and Describe on it"),
    ],
)
def test_a_dead_letter_topic_that_cannot_be_used_is_told_with_what_helps(
    brokers: Brokers, error: int, advice: str
) -> None:
    """Creating a topic does not help where it may not be seen."""
    health = made()
    brokers.refused["dead"] = error
    state = looked(health, brokers, 100.0)
    assert state.kind == "dead_letter_topic"
    assert advice in (state.trouble or "")
