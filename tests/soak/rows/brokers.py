"""Brokers that die, freeze, or are hard to reach."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import KafkaException

from tests.road.bridge_process import BridgeProcess
from tests.soak.commit_proxy import COMMIT_ERRORS, CommitProxy
from tests.soak.proxy import ProxyProcess
from tests.soak.rows.api import spoil_connections
from tests.soak.spoiled import SpoiledNode
from tests.soak.stage import Stage


def killed(stage: Stage) -> None:
    """SIGKILL of the broker under load, and its return."""
    stage.open()
    stage.api({"fault": "delay", "seconds": 0.03})
    members = [stage.member(), stage.member()]
    for member in members:
        stage.await_ready(member)
    feeder = stage.feed(10.0 * stage.faults)
    for _ in range(stage.faults):
        stage.await_work(feeder)
        time.sleep(stage.random.uniform(0.0, 2.0))
        stage.injected["broker killed"] += 1
        stage.kafka.kill()
        time.sleep(stage.random.uniform(0.5, 4.0))
        stage.kafka.restart()
    feeder.stop()


def frozen(stage: Stage) -> None:
    """SIGSTOP of the broker under load: connections stay open and nothing answers."""
    stage.open()
    stage.api({"fault": "delay", "seconds": 0.03})
    stage.await_ready(stage.member())
    feeder = stage.feed(10.0 * stage.faults)
    (node,) = stage.kafka.nodes
    for _ in range(stage.faults):
        stage.await_work(feeder)
        stage.injected["broker frozen"] += 1
        node.suspend()
        try:
            time.sleep(stage.random.uniform(2.0, 9.0))
        finally:
            node.resume()
        time.sleep(1.0)
    feeder.stop()


def one_of_three(stage: Stage) -> None:
    """Three brokers, all topics replicated: one is killed, leaders and coordinator move, it returns, leaders move back."""
    stage.open(replication=3, partitions=6)
    stage.api({"fault": "delay", "seconds": 0.03})
    for member in [stage.member(), stage.member()]:
        stage.await_ready(member)
    feeder = stage.feed(12.0 * stage.faults)
    for turn in range(stage.faults):
        stage.await_work(feeder)
        # The first is the only controller: without it nothing could move.
        number = stage.random.choice((2, 3))
        if turn % 2:
            stage.injected["one of three brokers stopped"] += 1
            stage.kafka.stop(number)
        else:
            stage.injected["one of three brokers killed"] += 1
            stage.kafka.kill(number)
        time.sleep(stage.random.uniform(1.0, 5.0))
        stage.kafka.restart(number)
        time.sleep(1.0)
        with suppress(KafkaException, TimeoutError):
            stage.kafka.elect_leaders()
            stage.injected["leaders moved back"] += 1
    feeder.stop()


def former(stage: Stage) -> None:
    """A broker of a former version: processes are killed, paused and resumed under load, in the classic protocol."""
    if stage.protocol == "consumer" and "2.8" <= stage.kafka.nodes[0].version < "4":
        stage.protocol = "classic"
    stage.open()
    stage.api({"fault": "delay", "seconds": 0.03})
    members = [stage.member(), stage.member()]
    for member in members:
        stage.await_ready(member)
    feeder = stage.feed(6.0 * stage.faults)
    for turn in range(stage.faults):
        stage.await_work(feeder)
        if turn % 2:
            _pause_and_resume(stage, members)
        else:
            stage.kill(members[turn // 2 % 2])
            stage.again(members[turn // 2 % 2])
            stage.await_ready(members[turn // 2 % 2])
    feeder.stop()


def _pause_and_resume(stage: Stage, members: Sequence[BridgeProcess]) -> None:
    """Every member is told, since each may pause only what is its own."""
    stage.injected["paused and resumed"] += 1
    for order in ("pause", "resume"):
        for member in members:
            stage.order(member, order)
        time.sleep(stage.random.uniform(0.5, 1.5))


def commits_refused(stage: Stage) -> None:
    """Each error that a commit can be answered with, for a while, by a proxy that speaks Kafka: as the table says."""
    stage.open()
    (node,) = stage.kafka.nodes
    assert isinstance(node, SpoiledNode)
    with CommitProxy(node.spoiled_port, node.proxy_port) as proxy:
        member = stage.member(bootstrap=f"127.0.0.1:{proxy.port}")
        stage.await_ready(member)
        for turn in range(stage.faults):
            error = COMMIT_ERRORS[turn % len(COMMIT_ERRORS)]
            stage.await_ready(member)
            feeder = stage.feeder(per_second=200, most=stage.records // stage.faults)
            stage.await_accepted(5)
            stage.injected[f"commits refused: {error.name}"] += 1
            before = proxy.refuse(error.code, error.times)
            _while_refused(stage, member, fatal=error.fatal)
            refused = proxy.refuse(0, 0) - before
            stage.claim(refused > 0, f"{error.name}: no commit was refused")
            feeder.stop()
            stage.drain()
        stage.finish()


def _while_refused(stage: Stage, member: BridgeProcess, *, fatal: bool) -> None:
    """Polling goes on; or, where the error is fatal, the process leaves by itself and is started again."""
    if not fatal:
        for _ in range(10):
            polled = stage.metric(member, "bridge_last_poll_timestamp_seconds")
            late = time.time() - polled if polled else 0.0
            stage.figures["longest_poll_s"] = max(late, stage.figures.get("longest_poll_s", 0.0))
            stage.claim(late < 1.5, f"nothing was polled for {late:.1f} s")
            time.sleep(0.2)
        return
    code = member.process.wait(30)
    stage.claim(code not in (0, -9, -6, -11), f"fenced, it ended with exit code {code}")
    stage.again(member)
    stage.await_ready(member)


def network(stage: Stage) -> None:
    """Connections to the broker that are cut, refused, frozen, delayed or throttled."""
    stage.open()
    stage.api({"fault": "delay", "seconds": 0.02})
    (node,) = stage.kafka.nodes
    assert isinstance(node, SpoiledNode)
    with ProxyProcess(node.spoiled_port, node.proxy_port) as proxy:
        members = [stage.member(bootstrap=f"127.0.0.1:{proxy.port}") for _ in range(2)]
        for member in members:
            stage.await_ready(member)
        spoil_connections(stage, proxy, "Kafka")
        stage.drain()
        stage.finish()
