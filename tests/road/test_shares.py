"""From end to end: a topic whose records cannot leave does not stop the others."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bridge import jsontext
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

BUDGET = 8 * 1024 * 1024
LARGE = "x" * 20_000
STUCK = 1_000


def large(topic: str) -> list[Sent]:
    """Records of 20 KB under ten keys, whose recipients begin with `stuck`."""
    made = []
    for n in range(STUCK):
        who = f"stuck-{n % 10}"
        value = {"id": f"{topic}-{n}", "type": "placed", "who": who, "n": n, "filler": LARGE}
        made.append(Sent(jsontext.dumps(value), key=who.encode()))
    return made


@pytest.mark.parametrize("ordering", ["key", "partition"])
def test_a_topic_that_the_api_never_takes_does_not_stop_another(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, ordering: str
) -> None:
    """The API fails for ever for one topic's recipients, and its records fill their share; the other comes to lag 0."""
    world = World.make(kafka, sandbox, tmp_path, topics=2, partitions=2)
    slow, quick = world.topics
    sandbox.post_faults(
        {"fault": "reject", "status_code": 500, "when": {"match": {"distinct_id": {"contains": "stuck"}}}, "name": "s"}
    )
    kafka.produce(slow, large(slow))
    settings = world.settings(delivery={"ordering": ordering}) | {"memory": BUDGET}
    with BridgeProcess(tmp_path, settings) as bridge:
        url = bridge.admin_url()

        def status() -> Any:
            with urllib.request.urlopen(url + "/status", timeout=120) as answer:
                return json.loads(answer.read())

        def in_work() -> int:
            return int(status()["totals"]["inflight_bytes"])

        def paused() -> set[str]:
            return {part["topic"] for part in status()["partitions"] if part["paused"] == "budget"}

        until(lambda: slow in paused(), 60, bridge.text)
        kafka.produce(quick, records(quick, range(3_000)))
        most = [0]

        def finished() -> bool:
            most[0] = max(most[0], in_work())
            return committed_everything(kafka, world.group, [quick])

        until(finished, 90, bridge.text)
        # What one read and the polls of the wait before a pause bring comes on top.
        assert most[0] <= BUDGET + BUDGET // 4
        assert paused() == {slow}
        assert accepted(sandbox).keys() == expected(quick, range(3_000))
        sandbox.clear_faults()
        until(lambda: committed_everything(kafka, world.group, [slow]), 90, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
    assert len(accepted(sandbox)) == len(expected(quick, range(3_000))) + STUCK
