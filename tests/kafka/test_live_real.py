"""What `check --live` asks, and what `map` and `explain` read, on a real Kafka."""

from __future__ import annotations

import time
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin._resource import ResourceType

from bridge.kafka.tools.inspect import InspectError, last_records, record_at
from bridge.kafka.tools.preflight import look_at
from bridge.settings.kafka import Kafka
from tests.brokers.fixtures import StartKafka
from tests.brokers.node import SASL_PASSWORD, SASL_USER
from tests.brokers.real import RealKafka, Sent
from tests.kafka.test_trouble_real import allow, forbid, forbidden


def settings(kafka: RealKafka, topic: str, letters: str, **more: Any) -> Kafka:
    usual = {"bootstrap_servers": (kafka.bootstrap,), "topics": (topic,), "group_id": kafka.unique("group")}
    return Kafka.model_validate({**usual, "dead_letter_topic": letters, **more})


def commits(kafka: RealKafka, group: str, topic: str) -> dict[int, tuple[int, str]]:
    """The commits of a group; asked again while a broker that has just started has no coordinator yet."""
    until = time.monotonic() + 120
    while True:
        try:
            return kafka.committed(group, topic)
        except KafkaException:
            if time.monotonic() > until:
                raise


def secured(kafka: RealKafka, password: str = SASL_PASSWORD) -> dict[str, Any]:
    sasl = {"mechanism": "PLAIN", "username": SASL_USER, "password": password}
    return {
        "bootstrap_servers": (kafka.sasl_bootstrap,),
        "security": {"protocol": "sasl_plaintext", "sasl": sasl},
    }


def test_a_cluster_where_all_is_well(kafka: RealKafka) -> None:
    """Topics that exist and may be read and written are no trouble, and nothing is left behind in the group."""
    topic, letters = kafka.create_topic(kafka.unique("orders")), kafka.create_topic(kafka.unique("dead"), 1)
    chosen = settings(kafka, topic, letters)
    assert look_at(chosen) == []
    assert commits(kafka, chosen.group_id, topic) == {}


def test_a_compacted_dead_letter_topic_is_refused(kafka: RealKafka) -> None:
    """Compaction would drop letters with equal keys."""
    topic = kafka.create_topic(kafka.unique("orders"))
    letters = kafka.create_topic(kafka.unique("dead"), 1, {"cleanup.policy": "compact"})
    (trouble,) = look_at(settings(kafka, topic, letters))
    assert "it is compacted" in trouble.text
    assert "cleanup.policy=delete" in trouble.text


def test_limits_of_the_brokers_are_said(start_kafka: StartKafka) -> None:
    """A session that the brokers refuse is an error with the range that they take; a short note a warning."""
    limits = {"group.max.session.timeout.ms": "30000", "offset.metadata.max.bytes": "1000"}
    kafka = start_kafka(settings=limits)
    kafka.create_topic("orders")
    chosen = settings(kafka, "orders", kafka.create_topic("dead"))
    session, note = look_at(chosen)
    assert "set session.timeout.ms under kafka.properties to a value from 1000 to 30000" in session.text
    assert (note.kind, "keep 1000 bytes of a commit's note" in note.text) == ("optional", True)
    fitting = chosen.model_copy(update={"properties": {"session.timeout.ms": 20_000}})
    assert [trouble.kind for trouble in look_at(fitting)] == ["optional"]


def test_groups_beside_the_first_that_are_forbidden_are_warnings(kafka: RealKafka) -> None:
    """Each names the group, the right to give and what is lost without it."""
    topic, letters = kafka.create_topic(kafka.unique("orders")), kafka.create_topic(kafka.unique("dead"), 1)
    chosen = settings(kafka, topic, letters, **secured(kafka))
    rules = [forbidden(ResourceType.GROUP, f"{chosen.group_id}.{end}") for end in ("delivered", "paused")]
    for rule in rules:
        forbid(kafka, rule)
    try:
        found = look_at(chosen)
    finally:
        for rule in rules:
            allow(kafka, rule)
    assert [trouble.kind for trouble in found] == ["optional", "optional"]
    for trouble, rule in zip(found, rules, strict=True):
        assert f"the group {rule.name} may not be used: give the bridge's user Read and Describe on it" in trouble.text


def test_records_are_read_without_a_group(kafka: RealKafka) -> None:
    """One record by its place, and the last ones of a topic in the order of their timestamps, bytes and all."""
    topic = kafka.create_topic(kafka.unique("orders"), 1)
    sent = [
        Sent(b"v%d" % n, b"k", headers=[("h", b"\xff"), ("none", None)], timestamp=1_769_860_800_000 + n)
        for n in range(5)
    ]
    kafka.produce(topic, [*sent, Sent(None, b"gone")])
    chosen = settings(kafka, topic, "dead")
    record = record_at(chosen, topic, 0, 3)
    assert (record.value(), record.key(), record.timestamp()) == (b"v3", b"k", (1, 1_769_860_800_003))
    assert record.headers() == [("h", b"\xff"), ("none", None)]
    assert [one.value() for one in last_records(chosen, topic, 3)] == [b"v3", b"v4", None]
    assert len(last_records(chosen, topic, 100)) == 6
    assert commits(kafka, f"{chosen.group_id}.peek", topic) == {}


def test_what_is_no_record_is_said(kafka: RealKafka) -> None:
    """A transaction's marker has an offset and is no record; what was deleted is gone."""
    topic = kafka.create_topic(kafka.unique("orders"), 1)
    kafka.produce_in_transactions(topic, [[b"a", b"b"], [b"c"]])
    chosen = settings(kafka, topic, "dead")
    assert [one.value() for one in last_records(chosen, topic, 10)] == [b"a", b"b", b"c"]
    with pytest.raises(InspectError, match="is no record: a transaction's marker"):
        record_at(chosen, topic, 0, 2)
    kafka.delete_records(topic, {0: 3})
    with pytest.raises(InspectError, match="has no offset 1: it holds 3 to 4"):
        record_at(chosen, topic, 0, 1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(ResourceType.TOPIC, "forbid reading the topic"), (ResourceType.GROUP, "forbid the consumer group")],
)
def test_missing_rights_are_said(kafka: RealKafka, kind: ResourceType, words: str) -> None:
    """Without Read on the topic or the group the line says which right to give; with it nothing is said."""
    topic, letters = kafka.create_topic(kafka.unique("orders")), kafka.create_topic(kafka.unique("dead"), 1)
    chosen = settings(kafka, topic, letters, **secured(kafka))
    rule = forbidden(kind, topic if kind is ResourceType.TOPIC else chosen.group_id)
    assert look_at(chosen) == []
    forbid(kafka, rule)
    try:
        (trouble,) = look_at(chosen)
    finally:
        allow(kafka, rule)
    assert trouble.kind == "authorization"
    assert words in trouble.text


def test_a_refused_password_is_said(kafka: RealKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong credentials are told as such, not as an unreachable broker, by both."""
    monkeypatch.setattr("bridge.kafka.tools.inspect._SECONDS", 3.0)
    chosen = settings(kafka, "t", "dead", **secured(kafka, "wrong"))
    (trouble,) = look_at(chosen, seconds=3)
    assert trouble.kind == "authentication"
    with pytest.raises(InspectError, match="the brokers refuse the credentials"):
        last_records(chosen, "t", 1)
