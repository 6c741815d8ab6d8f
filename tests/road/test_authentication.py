"""The other way to authenticate, on the whole road."""

from __future__ import annotations

from pathlib import Path

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records


def test_an_api_key_with_the_workspace_uid_is_enough(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """With `api_key_file` and `workspace_uid` in place of key and secret every event arrives."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    key = tmp_path / "api-key"
    key.write_text(sandbox.workspace.api_key + "\n")
    chosen = world.settings()
    for name in ("workspace_key", "workspace_secret"):
        del chosen["suprsend"][name]
    chosen["suprsend"] |= {"api_key_file": str(key), "workspace_uid": sandbox.workspace.uid}
    kafka.produce(topic, records(topic, range(200)))
    with BridgeProcess(tmp_path, chosen) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
    assert accepted(sandbox).keys() == expected(topic, range(200))
