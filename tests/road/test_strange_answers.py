"""An API that says whatever comes to its mind, against the whole bridge: nothing is lost, dead-lettered or sent twice."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.strange_api import HOLDING, PASSING, StrangeApi
from tests.road.world import World, expected, records

RECORDS = 1_500
PACE: dict[str, Any] = {
    "batch_events": 10,
    "max_in_flight": 4,
}
PATIENCE: dict[str, Any] = {
    "initial_in_flight": 4,
    "connect_timeout": "2s",
    "probe_interval": "1s",
    "retry_base": "20ms",
    "retry_cap": "100ms",
    "retry_budget": 1.0,
    "breaker_failures": 10_000,
}
"""What is tried is what answers mean, not how patiently they are waited for."""


def test_whatever_the_api_says_each_event_is_accepted_once(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Fifty strange answers, twice each: every event is accepted in the end, once, with the same bytes; no dead letter."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    (topic,) = world.topics
    passing = [*PASSING.values()] * 2
    Random(7).shuffle(passing)
    kafka.produce(topic, records(topic, range(RECORDS)))
    with StrangeApi() as api:
        chosen = world.settings(delivery=PACE, tuning=PATIENCE)
        chosen["suprsend"] |= {"base_url": api.server.url, "timeout": "5s"}
        api.say(passing)
        with BridgeProcess(tmp_path, chosen) as bridge:
            until(partial(_said, api), 60, bridge.text)
            for number, answer in enumerate(HOLDING.values()):
                api.say([answer])
                more = range(RECORDS + 10 * number, RECORDS + 10 * (number + 1))
                kafka.produce(topic, records(topic, more))
                until(partial(_said, api), 60, bridge.text)
            until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
            assert bridge.terminate() == 0, bridge.text()
            held = [line for line in bridge.log() if line["event"] == "hold" and line["reason"] == "setup"]
        assert len(held) >= 1
        assert api.accepted.keys() == expected(topic, range(RECORDS + 10 * len(HOLDING)))
        assert api.again == []
        assert api.changed == []
    assert kafka.read(world.dead_letters) == []


def _said(api: StrangeApi) -> bool:
    return api.left() == 0
