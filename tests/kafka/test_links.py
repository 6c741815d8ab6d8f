"""What is made of librdkafka's statistics: which connection is amiss, and since when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import KafkaError

from bridge.kafka.client.connections import Links, Statistics, every_ms, read

ORDERS = [("orders", 0), ("orders", 1), ("orders", 2)]


def broker(node: int, state: str = "UP", *, connects: int = 1, idle: float = 0.1) -> dict[str, Any]:
    name = f"kafka-{node}:9092"
    told = {"nodeid": node, "nodename": name, "name": f"{name}/{node}", "source": "learned"}
    return told | {"state": state, "connects": connects, "rxidle": int(idle * 1_000_000), "req": {}}


def coordinator(state: str = "UP") -> dict[str, Any]:
    return {**broker(1, state), "name": "GroupCoordinator", "source": "logical"}


def partition(number: int, leader: int, queued: int = 0) -> dict[str, Any]:
    state = {"fetch_state": "active", "fetchq_cnt": queued, "ls_offset": -1001, "hi_offset": -1001}
    return {"partition": number, "leader": leader, "broker": leader} | state


def report(
    *brokers: dict[str, Any], leaders: tuple[int, ...] = (), group: str = "up", join: str = "steady"
) -> Statistics:
    parts = {str(number): partition(number, leader) for number, leader in enumerate(leaders)}
    told = {
        "brokers": {each["name"]: each for each in brokers},
        "topics": {"orders": {"partitions": parts}},
        "cgrp": {"state": group, "join_state": join, "stateage": 0},
    }
    return read(json.dumps(told))


def made(*, silent: bool = False) -> Links:
    return Links("g", silent=silent)


def test_a_broker_that_is_away_for_ten_seconds_is_named_with_what_it_leads() -> None:
    """Not before, since leaders move; and what other brokers lead is not counted to it."""
    links = made()
    links.failed(
        KafkaError(KafkaError._TRANSPORT, "ssl://kafka-1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: refused")
    )
    told = report(broker(0), broker(1, "TRY_CONNECT"), broker(2), leaders=(0, 1, 2))
    links.heard(told, 100.0)
    assert links.broker_trouble(ORDERS, 109.0) is None
    links.heard(told, 110.0)
    trouble = links.broker_trouble(ORDERS, 110.0)
    assert trouble is not None
    assert trouble.kind == "unreachable"
    assert trouble.text.startswith(
        "broker 1 at kafka-1:9092 cannot be reached, so nothing comes of orders[1]: check its"
    )
    assert trouble.text.endswith("(Connect to ipv4#10.0.0.1:9092 failed: refused)")
    assert links.cut_off(ORDERS, 110.0) == {1: [("orders", 1)]}
    links.heard(report(broker(0), broker(1), broker(2), leaders=(0, 1, 2)), 112.0)
    assert links.broker_trouble(ORDERS, 130.0) is None


def test_a_leader_that_moved_away_from_a_broker_is_no_trouble() -> None:
    """Brokers are restarted one after the other; others lead meanwhile."""
    links = made()
    links.heard(report(broker(0), broker(1, "TRY_CONNECT"), leaders=(1,)), 100.0)
    links.heard(report(broker(0), broker(1, "TRY_CONNECT"), leaders=(0,)), 104.0)
    assert links.broker_trouble(ORDERS[:1], 130.0) is None


def test_a_broker_that_is_connected_and_says_nothing_is_found() -> None:
    """A frozen process or a firewall that drops: the connection stands, and no fetch is answered."""
    links = made()
    links.heard(report(broker(0), broker(1, idle=11.0), leaders=(0, 1)), 100.0)
    trouble = links.broker_trouble(ORDERS, 100.0)
    assert trouble is not None
    assert "orders[1]" in trouble.text
    assert "it does not answer" in trouble.text


def test_a_partition_that_is_full_waits_for_no_broker() -> None:
    """Nothing is fetched while records wait to be taken, so that silence means nothing."""
    told = {
        "brokers": {"b": broker(1, idle=60.0)},
        "topics": {"orders": {"partitions": {"0": partition(0, 1, queued=5)}}},
        "cgrp": {"state": "up", "join_state": "steady", "stateage": 0},
    }
    links = made()
    links.heard(read(json.dumps(told)), 100.0)
    assert links.cut_off(ORDERS, 100.0) == {}


def test_a_partition_that_no_broker_leads_is_named() -> None:
    """All its replicas are away: of one that is read the statistics tell it, of one that is not the brokers do."""
    links = made()
    links.heard(report(broker(0), leaders=(0, -1)), 100.0)
    links.leads("orders", {0: 0, 1: 0, 2: -1}, 101.0)
    assert links.broker_trouble(ORDERS, 109.0) is None
    trouble = links.broker_trouble(ORDERS, 111.0)
    assert trouble is not None
    assert trouble.text.startswith("no broker leads orders[1], orders[2]: start the brokers")
    links.leads("orders", {2: 0}, 112.0)
    links.heard(report(broker(0), leaders=(0, 0)), 112.0)
    assert links.broker_trouble(ORDERS, 130.0) is None


def test_a_connection_that_nobody_needs_is_no_trouble() -> None:
    """librdkafka connects to a broker when it has something to ask."""
    links = made()
    links.heard(report(broker(0), broker(1, "INIT", connects=0), leaders=(0,)), 100.0)
    links.leads("orders", {1: 1}, 100.0)
    assert links.cut_off(ORDERS, 200.0) == {}


def test_a_coordinator_that_is_away_is_named_with_its_address() -> None:
    """With what the client met there, whatever it waits for meanwhile."""
    links = made()
    links.failed(KafkaError(KafkaError._TRANSPORT, "GroupCoordinator: kafka-1:9092: Connect failed: refused"))
    for at in (100.0, 105.0, 110.0):
        links.heard(report(broker(0), coordinator("TRY_CONNECT"), group="wait-broker-transport"), at)
    assert links.group_trouble(109.0) is None
    trouble = links.group_trouble(110.0)
    assert trouble is not None
    assert trouble.text.startswith(
        "the coordinator of the group g, the broker at kafka-1:9092, cannot be reached: check"
    )
    assert trouble.text.endswith("(Connect failed: refused)")
    links.heard(report(broker(0), coordinator()), 112.0)
    assert links.group_trouble(130.0) is None


def test_a_member_that_lost_all_and_cannot_come_back_is_seen() -> None:
    """The classic protocol says how joining stands; the other says nothing, and is not asked."""
    classic, consumer = made(), made(silent=True)
    for links in (classic, consumer):
        links.heard(report(broker(0), join="wait-join"), 100.0)
    assert [classic.adrift(109.0), classic.adrift(110.0), consumer.adrift(200.0)] == [False, True, False]
    assert "waits for its other members" in classic.unjoined_trouble("").text
    assert "set kafka.group_protocol to classic" in consumer.unjoined_trouble("").text
    assert "Broker: Unknown" in classic.unjoined_trouble("Broker: Unknown").text


@pytest.mark.parametrize(("topics", "every"), [(1, 2_000), (100, 2_000), (200, 4_000), (300, 6_000), (5_000, 6_000)])
def test_statistics_of_many_topics_are_asked_for_less_often(topics: int, every: int) -> None:
    """Every two seconds up to a hundred topics, and never so seldom that a trouble could not be told after ten."""
    assert every_ms(topics) == every
