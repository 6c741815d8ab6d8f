"""Ways to try the bridge without reaching people: a dry run, only some recipients, a rate limit."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records


@pytest.mark.timeout(180)
def test_a_dry_run_reads_counts_and_shows_and_leaves_no_trace(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """With --dry-run every record is mapped, nothing is sent, committed or dead-lettered, and the end shows events."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    kafka.produce(topic, [*records(topic, range(200)), Sent(b"{half")])
    bridge = BridgeProcess(tmp_path, world.settings(), options=["--dry-run"])
    with bridge:
        url = bridge.admin_url()

        def status() -> dict[str, object]:
            with urllib.request.urlopen(url + "/status", timeout=10) as answer:
                found: dict[str, object] = json.loads(answer.read())
            return found

        until(lambda: sum(status()["totals"]["finished"].values()) == 201, 60, bridge.text)  # type: ignore[index]
        assert status()["dry_run"] is True
        assert bridge.terminate() == 0, bridge.text()
    text = bridge.text()
    assert bridge.log()[0]["dry_run"] is True
    assert "dry run: nothing was sent, committed or dead-lettered" in text
    assert f"{topic}: 201 records read: 1 dead_lettered, 180 delivered, 20 filtered" in text
    assert "placed → order_placed: 180" in text
    assert "order_placed, 3 of 180:" in text
    assert sandbox.stats()["calls"]["total"] == 0
    assert kafka.committed(world.group, topic) == {}
    assert kafka.committed(f"{world.group}.dry-run", topic) == {}
    assert kafka.committed(f"{world.group}.delivered", topic) == {}
    assert not kafka.read(world.dead_letters)


@pytest.mark.timeout(180)
def test_only_the_listed_recipients_are_reached(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """`delivery.only_recipients`: all others are dropped and counted as filtered; nothing is dead-lettered."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(300)))
    with BridgeProcess(tmp_path, world.settings(delivery={"only_recipients": ["u7", "u1*"]})) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        url = bridge.admin_url()
        with urllib.request.urlopen(url + "/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        assert bridge.terminate() == 0
    chosen = {n for n in range(300) if str(n) == "7" or str(n).startswith("1")}
    assert accepted(sandbox).keys() == expected(topic, chosen)
    assert not kafka.read(world.dead_letters)
    dropped = len(expected(topic, range(300))) - len(expected(topic, chosen))
    assert f'code="recipient_not_allowed",rule="placed"}} {dropped}.0' in metrics.replace(", ", ",") or (
        "recipient_not_allowed" in metrics
    )


@pytest.mark.timeout(180)
def test_the_rate_limit_counts_events_not_calls(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """With `rate_limit: 100` 450 events take some four seconds, whatever the size of the calls."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(500)))
    with BridgeProcess(tmp_path, world.settings(delivery={"rate_limit": 100})) as bridge:
        until(lambda: sandbox.stats()["events"]["accepted"] > 0, 60, bridge.text)
        begun = time.monotonic()
        until(lambda: sandbox.stats()["events"]["accepted"] == 450, 60, bridge.text)
        took = time.monotonic() - begun
        assert bridge.terminate() == 0
    # At most two calls (a full burst, and one into debt) are out before the limit bites.
    assert took > 2.0
