"""The way past a batch that nobody can read: while the bridge runs, and for a bridge that dies of it each time."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import run
from bridge.sandbox.process import SandboxProcess
from tests.brokers import batches
from tests.brokers.batches import GZIP, batch, gzipped, send, spoil
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.test_holds import ADMIN, Side
from tests.road.world import World, accepted, expected, records

LARGE = {"max.message.bytes": "20000000"}
MIB = 1024**2


def _world(kafka: RealKafka, sandbox: SandboxProcess, folder: Path) -> World:
    world = World.make(kafka, sandbox, folder, topics=1, partitions=1)
    world.kafka.alter_topic(world.topics[0], LARGE)
    return world


def _file(folder: Path) -> str:
    return str(folder / "bridge.yaml")


def _send(world: World, numbers: range, *, codec: int = 0, bomb: int = 0) -> int:
    """One batch of a record a number; with a `bomb` of so many bytes each."""
    topic = world.topics[0]
    values = [bytes(each.value or b"") for each in records(topic, numbers)]
    if bomb:
        values = [value[:-1] + b', "pad": "%s"}' % (b"p" * bomb) for value in values]
    now = time.time_ns() // MIB
    return send(world.kafka.bootstrap, topic, batch(values, now, codec=codec, pack=gzipped if codec else bytes))


def test_a_running_bridge_goes_past_what_cannot_be_read(
    own_kafka: RealKafka,
    sandbox: SandboxProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not ready and told while it stands; `skip --unreadable` waits for what is before, asks, counts what is lost, goes on."""
    world = _world(own_kafka, sandbox, tmp_path)
    topic = world.topics[0]
    place = f"{topic}:0"
    (refused,) = sandbox.post_faults(
        {"fault": "reject", "status_code": 503, "when": {"match": {"key": {"equals": f"{topic}-3"}}}}
    )
    assert refused
    for numbers in (range(1, 9), range(11, 19), range(21, 29)):
        _send(world, numbers)
    spoil(list(batches.batches(own_kafka.nodes[0].log_dirs, topic))[1], 30, b"?")
    with BridgeProcess(tmp_path, world.settings(admin={"token": ADMIN})) as bridge:
        side = Side(world, bridge)
        past = ("skip", place, "--unreadable", "--yes", "--config", _file(tmp_path))
        until(lambda: _unreadable(side), 60, bridge.text)
        assert not side.ready()
        (line,) = [line for line in bridge.log() if line["event"] == "partition_unreadable"]
        assert (line["topic"], line["offset"], "CRC32C" in line["message"]) == (topic, 8, True)
        assert run([*past, "--offline", "--reason", "r"]) == 1
        assert "has members" in capsys.readouterr().err
        assert side.do(*past) == 1
        assert "have no outcome yet, the first at 2" in capsys.readouterr().err
        sandbox.clear_faults()
        until(lambda: side.ask("/status")["totals"]["inflight"] == 0, 60, bridge.text)
        assert side.do(*(word for word in past if word != "--yes")) == 2
        assert "say --yes" in capsys.readouterr().err
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin.isatty", lambda: True)
            patch.setattr("typer.confirm", lambda _: False)
            assert side.do(*(word for word in past if word != "--yes")) == 1
        asked = capsys.readouterr().err
        assert "cannot be read from offset 8 on" in asked
        assert "or the end, is 16: at most 8 records are lost" in asked
        assert "nothing was done" in asked
        assert _unreadable(side)
        assert side.do(*past) == 0
        assert "at most 8 records" in capsys.readouterr().out
        until(side.ready, 60, bridge.text)
        side.finished()
    assert accepted(sandbox).keys() == expected(topic, [*range(1, 9), *range(21, 29)])
    lost = [line for line in bridge.log() if line["event"] == "records_lost"]
    assert [line["count"] for line in lost] == [8]
    assert world.kafka.committed_offsets(world.group, topic) == {0: 24}


def _unreadable(side: Side) -> Any:
    return next((part["unreadable"] for part in side.ask("/status")["partitions"] if part["unreadable"]), None)


def test_a_group_whose_process_dies_of_a_batch_goes_past_it_offline(
    own_kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bridge dies of a batch that unpacks to 240 MB; skipped offline it goes on, nothing finished is sent again, and
    what was before the batch without an outcome is in the dead-letter topic."""
    world = _world(own_kafka, sandbox, tmp_path)
    topic = world.topics[0]
    sandbox.post_faults({"fault": "reject", "status_code": 503, "when": {"match": {"key": {"equals": f"{topic}-3"}}}})
    _send(world, range(1, 9))
    session = {"properties": {"session.timeout.ms": 2_000, "heartbeat.interval.ms": 500}}
    bridge = BridgeProcess(tmp_path, world.settings(admin={"token": ADMIN}, kafka=session))
    with bridge:
        until(lambda: len(accepted(sandbox)) == 7, 60, bridge.text)
        until(lambda: ",1,5," in world.kafka.committed(world.group, topic)[0][1].replace(";", ",") + ",", 60)
        assert bridge.terminate() == 0
    _send(world, range(11, 13))
    _send(world, range(21, 23), codec=GZIP, bomb=120_000_000)
    _send(world, range(31, 39))
    with bridge:
        resource.prlimit(bridge.process.pid, resource.RLIMIT_DATA, (320 * MIB, 320 * MIB))
        assert bridge.process.wait(120) != 0, "it did not die of the batch"
    before = accepted(sandbox).keys()
    reason = ["--reason", "a batch too large", "--memory", "64MiB", "--config", _file(tmp_path)]
    skip = ["skip", f"{topic}:0", "--unreadable", "--offline", "--yes", *reason]
    until(lambda: run(skip) == 0, 60, lambda: capsys.readouterr().err)
    told = capsys.readouterr()
    assert f"{topic}:0 goes on at 12; at most 2 records are lost" in told.out
    with bridge:
        until(lambda: committed_everything(world.kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0
    headers = [dict(each.headers() or []) for each in world.kafka.read(world.dead_letters)]
    letters = {int(each["bridge.source.offset"] or b"") for each in headers}
    assert 2 in letters
    aside = {f"{topic}-{number}" for offset, number in ((2, 3), (8, 11), (9, 12)) if offset in letters}
    assert accepted(sandbox).keys() | aside == expected(topic, [*range(1, 9), 11, 12, *range(31, 39)])
    assert accepted(sandbox).keys() & aside <= before - expected(topic, range(1, 9))
    stats = sandbox.stats()["events"]
    assert stats["repeats_identical"] + stats["repeats_different"] == 0
