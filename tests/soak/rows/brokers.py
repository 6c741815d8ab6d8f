"""Brokers that die, freeze, or are hard to reach."""

from __future__ import annotations

import time

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
        stage.await_accepted(10)
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
        stage.await_accepted(10)
        stage.injected["broker frozen"] += 1
        node.suspend()
        try:
            time.sleep(stage.random.uniform(2.0, 9.0))
        finally:
            node.resume()
        time.sleep(1.0)
    feeder.stop()


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
