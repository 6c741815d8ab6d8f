"""What Kafka does not answer, shown on a Kafka that has these faults: never is a bridge ready while nothing is read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from bridge.flow import KafkaState
from bridge.kafka.config import clients_of
from bridge.kafka.tools.preflight import look_at
from bridge.observe.snapshot import KafkaView, Snapshot
from bridge.observe.status import missing
from tests.brokers.faulty import Fault, FaultyKafka
from tests.kafka.desk import Desk, desk, settings

TOPICS = {"orders": 30, "dead-letters": 1}
GROUPS = [f"bridge-{number}" for number in range(12)]
COORDINATOR_NOT_AVAILABLE, GROUP_MAX_SIZE_REACHED, UNSUPPORTED_VERSION = 15, 81, 35


class Case(NamedTuple):
    """A fault, the words that people must read of it, and how they get out of it."""

    plan: Mapping[str, Any]
    words: Sequence[str]
    kafka: Mapping[str, Any] = {}
    on_dead: bool = False
    """The group's coordinator is a broker that nobody reaches."""
    at_once: bool = False
    """It is told without waiting for ten seconds."""
    heals: bool = True
    checked: Sequence[str] = ()
    """What `check --live` says of it; nothing where only who joins can tell."""
    begins: bool = False
    """It reads, so that it may be ready until it is told."""


REACH = "check its advertised.listeners"
CONSUMER = {"group_protocol": "consumer"}
CASES = {
    "a broker that cannot be reached": Case(
        {"dead": [1]}, ("broker 1 at", REACH, "refused"), checked=("broker 1 at", "which leads", "orders[", REACH)
    ),
    "a coordinator that cannot be reached": Case(
        {"dead": [1]},
        ("the coordinator of the group", REACH),
        on_dead=True,
        checked=("the coordinator of the groups bridge-", REACH),
    ),
    "the same with the consumer protocol": Case(
        {"dead": [1]}, ("the coordinator of the group", REACH), CONSUMER, on_dead=True
    ),
    "no coordinator": Case(
        {"faults": [Fault(["FindCoordinator"], code=COORDINATOR_NOT_AVAILABLE)]},
        ("name no coordinator", "__consumer_"),
        checked=("name no coordinator of the groups bridge-",),
    ),
    "no coordinator of the shadow group, which may be new": Case(
        {"faults": [Fault(["FindCoordinator"], "bridge-0.delivered", COORDINATOR_NOT_AVAILABLE)], "groups": GROUPS[:1]},
        ("has not told for over 10 s",),
        checked=("name no coordinator of the group bridge-0.delivered",),
    ),
    "a coordinator that says nothing": Case({"faults": [Fault(["JoinGroup"])]}, ("has not taken this process in",)),
    "commits that are not told": Case({"faults": [Fault(["OffsetFetch"])]}, ("has not told for over 10 s",)),
    "commits that are not taken": Case(
        {"faults": [Fault(["OffsetCommit"])]},
        ("has not told for over 10 s: whether it took the commits of the group",),
        begins=True,
    ),
    "a session that is too long": Case(
        {"max_session_ms": 30_000}, ("session.timeout.ms under kafka.properties",), at_once=True, heals=False
    ),
    "a session that is too short": Case(
        {"min_session_ms": 60_000}, ("session.timeout.ms under kafka.properties",), at_once=True, heals=False
    ),
    "a full group": Case(
        {"faults": [Fault(["JoinGroup"], code=GROUP_MAX_SIZE_REACHED)]}, ("the group is full",), at_once=True
    ),
    "the consumer protocol on an old broker": Case(
        {"version": "v3.6.0"},
        ("set kafka.group_protocol to classic",),
        CONSUMER,
        heals=False,
        checked=("the brokers do not know the consumer protocol",),
    ),
    "the consumer protocol, refused": Case(
        {"faults": [Fault(["ConsumerGroupHeartbeat"], code=UNSUPPORTED_VERSION)]},
        ("set kafka.group_protocol to classic",),
        CONSUMER,
        at_once=True,
    ),
    "no cluster id": Case(
        {"cluster_id": None},
        ("set delivery.namespace",),
        at_once=True,
        heals=False,
        checked=("set delivery.namespace",),
    ),
}


def ready(state: KafkaState) -> bool:
    """What `/readyz` says where nothing is held."""
    return not missing(Snapshot(0.0, kafka=KafkaView(state)))


def follow(case: Case) -> None:
    """See one case from its start to its end."""
    with FaultyKafka(**{"topics": TOPICS, "groups": GROUPS, **case.plan}) as kafka:
        group = kafka.group_on(case.plan.get("dead", ()), elsewhere=not case.on_dead)
        begun = time.monotonic()
        with desk(kafka.bootstrap, ["orders"], group, **case.kafka) as side:
            side.until(lambda: all(word in (side.kafka.state.trouble or "") for word in case.words), 40)
            told = list(side.states)
            assert case.begins or not any(map(ready, told)), "ready while nothing is read"
            if case.at_once:
                assert time.monotonic() < begun + 9, "told late"
            assert not side.kafka.fatal
            if case.checked:
                said = " ".join(
                    each.text for each in look_at(settings(kafka.bootstrap, ["orders"], group, **case.kafka))
                )
                assert all(word in said for word in case.checked), said
            if case.heals:
                kafka.heal()
                side.until(lambda: ready(side.kafka.state), 60, "it to go on")
                side.until(lambda: len(side.parts) == TOPICS["orders"], what="all partitions")


def test_what_kafka_does_not_answer_is_told_and_the_bridge_is_not_ready() -> None:
    """A bridge that waits for an answer says which one, is not ready, and goes on by itself once it comes."""
    with ThreadPoolExecutor(len(CASES)) as all_at_once:
        jobs = {name: all_at_once.submit(follow, case) for name, case in CASES.items()}
    failed = {name: str(job.exception()) for name, job in jobs.items() if job.exception() is not None}
    assert not failed, "\n".join(f"{name}: {why}" for name, why in failed.items())


def test_a_cluster_without_an_id_is_read_where_keys_have_a_namespace_of_their_own() -> None:
    """The id is wanted for the keys alone: with `delivery.namespace` set it is not missed."""
    with FaultyKafka(topics=TOPICS, cluster_id=None) as kafka:
        clients = clients_of(settings(kafka.bootstrap, ["orders"], "g"), named=True)
        with Desk(clients) as side:
            side.until(lambda: ready(side.kafka.state) and len(side.parts) == TOPICS["orders"])
            assert side.clusters == []
