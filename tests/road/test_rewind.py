"""The rewind tripwire from end to end: a reset by hand sends nothing until a person accepts exactly that."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import run
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted

ADMIN = "a-token-of-the-admin-server"
DAYS_3_MS = 3 * 24 * 3_600_000


def _record(partition: int, n: int, timestamp: int = 0) -> Sent:
    value = {"id": f"p{partition}-{n}", "type": "placed", "who": f"u{n}", "n": n}
    return Sent(json.dumps(value).encode(), key=b"k", partition=partition, timestamp=timestamp)


def _status(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url + "/status", timeout=120) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def _delivered(world: World, bridge: BridgeProcess, keys: int) -> None:
    until(lambda: len(accepted(world.sandbox)) == keys, 60, bridge.text)


def _sent(world: World) -> int:
    """How many events went out, repeats included."""
    counts = world.sandbox.stats()["events"]
    return int(counts["accepted"]) + int(counts["repeats_identical"]) + int(counts["repeats_different"])


def test_a_rewound_partition_holds_alone_until_exactly_its_offsets_are_accepted(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A reset says how many would go out again and how old they are; its token lets just those go, and nothing else."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    chosen = world.settings(admin={"token": ADMIN})
    token_file = tmp_path / "token"
    token_file.write_text(ADMIN)
    old = time.time_ns() // 1_000_000 - DAYS_3_MS
    kafka.produce(topic, [_record(part, n, old + n) for part in (0, 1) for n in range(10)])
    with BridgeProcess(tmp_path, chosen) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
        assert {part: at for part, (at, _) in kafka.committed(f"{world.group}.delivered", topic).items()} == {
            0: 10,
            1: 10,
        }
        before = _sent(world)
        kafka.reset_offsets(world.group, topic, {0: 4})
        bridge.start()
        kafka.produce(topic, [_record(part, 10) for part in (0, 1)])
        _delivered(world, bridge, 21)
        url = bridge.admin_url()
        (hold,) = until(lambda: _status(url)["holds"], 30, bridge.text)
        assert (hold["reason"], hold["scope"], hold["heals"]) == ("rewind", f"{topic}:0", False)
        assert "6 records from offset 4 on" in hold["detail"]
        assert "over 24 hours old" in hold["detail"]
        assert hold["token"] in bridge.text(), "the token is in the log too"
        assert _sent(world) == before + 1, "only the other partition goes on"
        args = ["--url", url, "--token-file", str(token_file), "--reason", "they were lost"]
        assert run(["accept-rewind", "0" * 10, *args]) == 1
        assert "no partition waits for that token" in capfd.readouterr().err
        # Stopped while it holds, it holds again, under the same token.
        assert bridge.terminate() == 0
        bridge.start()
        until(lambda: bridge.starts() == 3, 30, bridge.text)
        url = bridge.admin_url()
        (again,) = until(lambda: _status(url)["holds"], 60, bridge.text)
        assert again["token"] == hold["token"]
        assert _sent(world) == before + 1
        args[1] = url
        assert run(["accept-rewind", hold["token"], *args]) == 0, capfd.readouterr().err
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert _sent(world) == before + 2 + 6, "offsets 4 to 9 once more, and the new record"
        assert len(accepted(sandbox)) == 22
        assert bridge.terminate() == 0
        bridge.start()
        until(lambda: bridge.starts() == 4, 30, bridge.text)
        kafka.produce(topic, [_record(0, 11)])
        _delivered(world, bridge, 23)
        assert not _status(bridge.admin_url())["holds"]
        assert bridge.terminate() == 0
    assert _sent(world) == before + 2 + 6 + 1


def test_a_token_in_the_settings_lets_the_rewind_go_out_at_the_next_start(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """`delivery.accept_rewind`: where nobody can call the command, the settings say it; what the token names goes out."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, [_record(0, n) for n in range(10)])
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
        kafka.reset_offsets(world.group, topic, {0: 4})
        bridge.start()
        until(lambda: bridge.starts() == 2, 30, bridge.text)
        (hold,) = until(lambda: _status(bridge.admin_url())["holds"], 60, bridge.text)
        assert "delivery.accept_rewind" in hold["lifted_by"]
        before = _sent(world)
        assert bridge.terminate() == 0, bridge.text()
    accepting = world.settings(delivery={"accept_rewind": [hold["token"]]})
    with BridgeProcess(tmp_path, accepting, name="accepting") as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert _sent(world) == before + 6
        assert not _status(bridge.admin_url())["holds"]
        assert bridge.terminate() == 0, bridge.text()
