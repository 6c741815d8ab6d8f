"""What only the other side can tell, on a real Kafka: the thread holds, says what to do, and goes on once it is mended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from tests.brokers.fixtures import StartKafka
from tests.brokers.node import SASL_PASSWORD, SASL_USER, free_ports
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk


def test_a_topic_that_does_not_exist_is_read_once_it_is_there(kafka: RealKafka) -> None:
    """An unknown topic is named; its records are read when it is created later, those of other topics meanwhile."""
    topic, other = kafka.create_topic(kafka.unique("orders")), kafka.unique("later")
    letters = kafka.create_topic(kafka.unique("dead"))
    kafka.produce(topic, [b"a"])
    with desk(kafka.bootstrap, [topic, other], kafka.unique("g"), dead_letter_topic=letters) as side:
        side.until(lambda: side.kafka.state.kind == "unknown_topic")
        assert (side.kafka.state.trouble or "").startswith(f"{other}: the topic does not exist: create it")
        side.until(lambda: side.values() == [b"a"], what="the topic that exists")
        kafka.create_topic(other)
        kafka.produce(other, [b"b"])
        side.until(lambda: b"b" in side.values(), what="the topic that came later")
        side.until(lambda: side.kafka.state.kind is None)


def test_wrong_credentials_are_said_and_mended_without_a_restart(kafka: RealKafka, tmp_path: Path) -> None:
    """A refused password holds with one clear line; when its file is corrected reading begins."""
    if not kafka.sasl_bootstrap:
        pytest.fail("the given Kafka has no SASL listener that the tests know")
    secret = tmp_path / "password"
    secret.write_text("wrong")
    topic, letters = kafka.create_topic(kafka.unique("orders")), kafka.create_topic(kafka.unique("dead"))
    kafka.produce(topic, [b"a"])
    mechanism = {"mechanism": "PLAIN", "username": SASL_USER, "password_file": str(secret)}
    security = {"protocol": "sasl_plaintext", "sasl": mechanism}
    side = desk(kafka.sasl_bootstrap, [topic], kafka.unique("g"), dead_letter_topic=letters, security=security)
    with side:
        side.until(lambda: side.kafka.state.kind == "authentication")
        assert "check kafka.security.sasl" in (side.kafka.state.trouble or "")
        assert "wrong" not in str(side.states)
        secret.write_text(SASL_PASSWORD + "\n")
        side.until(lambda: side.values() == [b"a"], what="the record")
        side.until(lambda: side.kafka.state.kind is None)


def forbidden(kind: ResourceType, name: str) -> AclBinding:
    user = f"User:{SASL_USER}"
    return AclBinding(kind, name, ResourcePatternType.LITERAL, user, "*", AclOperation.READ, AclPermissionType.DENY)


def secured(kafka: RealKafka) -> dict[str, Any]:
    mechanism = {"mechanism": "PLAIN", "username": SASL_USER, "password": SASL_PASSWORD}
    letters = kafka.create_topic(kafka.unique("dead"))
    return {"dead_letter_topic": letters, "security": {"protocol": "sasl_plaintext", "sasl": mechanism}}


def forbid(kafka: RealKafka, rule: AclBinding) -> None:
    for future in kafka.admin.create_acls([rule]).values():
        future.result(120)


def allow(kafka: RealKafka, rule: AclBinding) -> None:
    wanted = AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )
    for future in kafka.admin.delete_acls([wanted]).values():
        future.result(120)


def test_a_topic_that_may_not_be_read_is_said_and_heals(kafka: RealKafka) -> None:
    """Forbidden reading holds that topic with one clear line, others go on, and it is read once it is allowed."""
    topic, other = kafka.create_topic(kafka.unique("orders")), kafka.create_topic(kafka.unique("comments"))
    kafka.produce(topic, [b"a"])
    kafka.produce(other, [b"b"])
    rule = forbidden(ResourceType.TOPIC, topic)
    forbid(kafka, rule)
    with desk(kafka.sasl_bootstrap, [topic, other], kafka.unique("g"), **secured(kafka)) as side:
        side.until(lambda: side.kafka.state.kind == "authorization")
        assert f"{topic}: the brokers forbid reading the topic" in (side.kafka.state.trouble or "")
        side.until(lambda: side.values() == [b"b"], what="the other topic")
        assert side.kafka.state.kind == "authorization"
        allow(kafka, rule)
        side.until(lambda: b"a" in side.values(), what="the topic")
        side.until(lambda: side.kafka.state.kind is None)


def test_a_group_that_is_forbidden_is_said_and_heals(kafka: RealKafka) -> None:
    """Without Read on the group the state says so, and the bridge joins once it may."""
    topic, group = kafka.create_topic(kafka.unique("orders")), kafka.unique("g")
    kafka.produce(topic, [b"a"])
    rule = forbidden(ResourceType.GROUP, group)
    forbid(kafka, rule)
    with desk(kafka.sasl_bootstrap, [topic], group, **secured(kafka)) as side:
        side.until(lambda: side.kafka.state.kind == "authorization")
        assert "Read on kafka.group_id" in (side.kafka.state.trouble or "")
        allow(kafka, rule)
        side.until(lambda: side.values() == [b"a"], 30, what="the record")
        side.until(lambda: side.kafka.state.kind is None)


def test_no_broker_at_the_start_is_said() -> None:
    """With nothing at the address the thread lives, says so and stops when asked."""
    (port,) = free_ports(1)
    side = desk(f"127.0.0.1:{port}", ["orders"], "g")
    with side:
        side.until(lambda: side.kafka.state.kind == "unreachable")
        assert "check kafka.bootstrap_servers" in (side.kafka.state.trouble or "")
        assert not side.kafka.state.joined


def feed(kafka: RealKafka, topic: str, side: Desk, start: int) -> None:
    kafka.produce(topic, [b"%d" % number for number in range(start, start + 100)])
    side.until(lambda: len({record.offset() for record in side.records}) == start + 100, 40, f"{start + 100} records")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_broker_that_is_killed_and_started_again_loses_nothing(start_kafka: StartKafka, protocol: str) -> None:
    """While the broker is away the state says so and polling goes on; after it everything is read and committed."""
    kafka = start_kafka()
    kafka.create_topic("orders")
    kafka.create_topic("dead-letters")
    with desk(kafka.bootstrap, ["orders"], "g", group_protocol=protocol) as side:
        feed(kafka, "orders", side, 0)
        kafka.kill()
        side.until(lambda: side.kafka.state.kind == "unreachable", what="the trouble to be said")
        before = side.kafka.heartbeat
        ages: list[float] = []

        def polled() -> bool:
            ages.append(time.monotonic() - side.kafka.heartbeat)
            return side.kafka.heartbeat > before + 3

        side.until(polled, what="polling to go on")
        assert max(ages) < 2, "a poll is never blocked for long"
        kafka.restart()
        feed(kafka, "orders", side, 100)
        side.until(lambda: side.kafka.state.kind is None, what="the trouble to go away")
        side.until(lambda: kafka.committed("g", "orders").get(0, (0, ""))[0] == 200, 30, "lag 0")
        assert not side.kafka.fatal


def test_a_partition_whose_broker_is_away_is_told_and_the_others_go_on(start_kafka: StartKafka) -> None:
    """Its lag is unknown, never what it was last; the other partitions are read, and it goes on when its broker is back."""
    kafka = start_kafka(nodes=2)
    kafka.create_topic("orders", 4)
    kafka.create_topic("dead-letters")
    parts = kafka.admin.list_topics("orders", timeout=120).topics["orders"].partitions
    first = next(number for number, part in parts.items() if part.leader == 1)
    second = next(number for number, part in parts.items() if part.leader == 2)
    with desk(kafka.bootstrap, ["orders"], "g") as side:
        ends = lambda number: side.kafka.counters.partitions["orders", number].end  # noqa: E731
        side.until(lambda: len(side.kafka.counters.partitions) == 4 and ends(second) == 0, what="lag 0")
        kafka.kill(2)
        side.until(lambda: f"orders[{second}]" in (side.kafka.state.trouble or ""), what="the trouble to be said")
        assert side.kafka.state.kind == "unreachable"
        side.until(lambda: ends(second) is None, what="its lag to be unknown")
        kafka.produce("orders", [Sent(b"a", partition=first)])
        side.until(lambda: side.values() == [b"a"], what="the other partition")
        side.until(lambda: ends(first) == 1, what="the lag of the other")
        kafka.restart(2)
        kafka.produce("orders", [Sent(b"b", partition=second)])
        side.until(lambda: b"b" in side.values(), 60, "the partition to be read again")
        side.until(lambda: side.kafka.state.trouble is None, what="the trouble to go away")


def pair(kafka: RealKafka, protocol: str) -> tuple[str, Desk, Desk]:
    """Two static members of one name."""
    topic, letters = kafka.create_topic(kafka.unique("orders")), kafka.create_topic(kafka.unique("dead"))
    group = kafka.unique("g")
    more: dict[str, Any] = {"dead_letter_topic": letters, "instance_id": "a", "group_protocol": protocol}
    return topic, desk(kafka.bootstrap, [topic], group, **more), desk(kafka.bootstrap, [topic], group, **more)


def test_of_two_processes_with_the_same_instance_id_one_is_fenced(kafka: RealKafka) -> None:
    """The fenced thread ends as fatal, for exit code 70, and the other goes on."""
    topic, first, second = pair(kafka, "classic")
    with first, second:
        first.until(lambda: first.kafka.fatal or second.kafka.fatal, 30, "one to be fenced")
        fenced, other = (first, second) if first.kafka.fatal else (second, first)
        assert fenced.kafka.join(120)
        assert fenced.kafka.state.kind == "fatal"
        assert "kafka.instance_id" in (fenced.kafka.state.trouble or "")
        kafka.produce(topic, [b"a"])
        other.until(lambda: other.values() == [b"a"], 30, "the other to read")


def test_an_instance_id_that_is_still_held_is_waited_for(kafka: RealKafka) -> None:
    """Under the consumer protocol the newcomer waits, says why, and joins when the other has left."""
    topic, first, second = pair(kafka, "consumer")
    with second, first:
        first.until(lambda: {first.kafka.state.kind, second.kafka.state.kind} == {None, "instance_id"}, 30)
        waiting, other = (first, second) if first.kafka.state.kind else (second, first)
        other.stop()
        kafka.produce(topic, [b"a"])
        waiting.until(lambda: waiting.values() == [b"a"], 30, "the newcomer to read")
        waiting.until(lambda: waiting.kafka.state.kind is None)


@pytest.mark.parametrize("limit", [20, 140])
def test_brokers_that_take_no_metadata_are_no_rewind_at_the_next_start(start_kafka: StartKafka, limit: int) -> None:
    """Without a note, or with its facts alone, all is committed, and a restart goes on; what is unfinished is read again."""
    kafka = start_kafka(settings={"offset.metadata.max.bytes": str(limit)})
    topic, letters, group = kafka.create_topic("orders"), kafka.create_topic("dead"), "g"
    kafka.produce(topic, [b"%d" % number for number in range(40)])
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters) as side:
        side.keep = {(topic, 0, offset) for offset in range(10, 30, 2)}
        side.until(lambda: len(side.finished) == 30, what="all but some")
        side.until(lambda: kafka.committed(group, topic)[0][0] == 10, what="the commit")
        side.until(lambda: kafka.committed(f"{group}.delivered", topic), 30, "the mark")
        assert side.kafka.state.kind is None
        assert side.kafka.counters.metadata_room in (0, 125)
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters) as side:
        side.until(lambda: side.parts, what="the partition")
        assert side.parts[topic, 0].start.hold is None
        side.until(lambda: {record.offset() for record in side.finished} >= set(range(10, 40)), what="the rest")
        side.until(lambda: kafka.committed(group, topic)[0][0] == 40, what="the commit")
