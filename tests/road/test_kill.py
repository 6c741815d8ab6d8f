"""The whole road on a real Kafka: kill it, stop it, and count what arrived."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

RECORDS = 50_000


def _started(bridge: BridgeProcess, times: int) -> bool:
    return bridge.starts() == times


def _accepted(sandbox: SandboxProcess, events: int) -> bool:
    return bool(sandbox.stats()["events"]["accepted"] > events)


def _all_there(world: World, per_topic: int) -> None:
    found = accepted(world.sandbox)
    wanted = set().union(*(expected(topic, range(per_topic)) for topic in world.topics))
    assert found.keys() == wanted
    assert not [key for key, entry in found.items() if entry["bytes_differ"]]


def test_nothing_is_lost_and_repeats_are_identical_when_it_is_killed_in_mid_flight(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A SIGKILL under load loses nothing; what is sent again has the same key and the same bytes."""
    world = World.make(kafka, sandbox, tmp_path, topics=2, partitions=2)
    for topic in world.topics:
        kafka.produce(topic, records(topic, range(RECORDS // 2)))
    sandbox.post_faults({"fault": "delay", "seconds": 0.05})
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        until(lambda: sandbox.stats()["events"]["accepted"] > RECORDS // 5, 60, bridge.text)
        bridge.kill()
        at_kill = sandbox.stats()["events"]["accepted"]
        assert at_kill < RECORDS * 0.9, "it was too quick to be killed in the middle"
        sandbox.clear_faults()
        bridge.start()
        until(lambda: committed_everything(kafka, world.group, list(world.topics)), 120, bridge.text)
        assert bridge.terminate() == 0
    _all_there(world, RECORDS // 2)
    repeats = sandbox.stats()["events"]
    assert repeats["repeats_different"] == 0
    assert repeats["repeats_identical"] <= 64 * 100 + 10_000


def test_a_stop_under_load_ends_in_time_with_exit_code_0_and_sends_nothing_twice(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """SIGTERM drains what was handed over, commits it with what is finished above, and nothing is sent again."""
    world = World.make(kafka, sandbox, tmp_path, topics=2, partitions=2)
    for topic in world.topics:
        kafka.produce(topic, records(topic, range(RECORDS // 2)))
    sandbox.post_faults({"fault": "delay", "seconds": 0.05})
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        for part in (1, 2, 3):
            until(partial(_started, bridge, part), 30, bridge.text)
            until(partial(_accepted, sandbox, part * RECORDS // 5), 60, bridge.text)
            assert bridge.terminate() == 0, bridge.text()
            bridge.start()
        sandbox.clear_faults()
        until(lambda: committed_everything(kafka, world.group, list(world.topics)), 120, bridge.text)
        assert bridge.terminate() == 0
    _all_there(world, RECORDS // 2)
    assert sandbox.stats()["events"]["repeats_identical"] == 0
    assert sandbox.stats()["events"]["repeats_different"] == 0


def test_offsets_reach_the_end_of_a_topic_written_in_transactions(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Markers and aborted records have no outcome, and yet the committed offsets end at the log's end."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    batches = [records(topic, range(start, start + 50)) for start in range(0, 1_000, 50)]
    kafka.produce_in_transactions(topic, batches, aborted=(3, 19))
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0
    gone = set(range(150, 200)) | set(range(950, 1_000))
    assert accepted(sandbox).keys() == expected(topic, set(range(1_000)) - gone)
