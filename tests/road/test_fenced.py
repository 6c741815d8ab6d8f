"""What ends a process that runs: another one of the same name, a second signal."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import START, BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records


def test_of_two_processes_with_one_instance_id_one_leaves_with_70_and_nothing_is_lost(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """The fenced process says why and leaves by itself, though its client may hang; the other does all the work."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    (topic,) = world.topics
    chosen = world.settings()
    chosen["kafka"]["instance_id"] = "the-only-one"
    with BridgeProcess(tmp_path, chosen, name="one") as one, BridgeProcess(tmp_path, chosen, name="two") as two:
        until(lambda: one.process.poll() is not None or two.process.poll() is not None, 60, one.text)
        fenced, other = (one, two) if one.process.poll() is not None else (two, one)
        assert fenced.process.wait(120) == 70, fenced.text()
        assert "another process joined with the same kafka.instance_id" in fenced.text()
        kafka.produce(topic, records(topic, range(200)))
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, other.text)
        assert other.terminate() == 0, other.text()
    assert accepted(sandbox).keys() == expected(topic, range(200))
    assert sandbox.stats()["events"]["repeats_identical"] == 0


def test_a_second_signal_leaves_at_once_and_loses_nothing(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """While it drains, a second SIGTERM ends the process with 130; the next one sends what had no answer, unchanged."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    (topic,) = world.topics
    sandbox.post_faults({"fault": "delay", "seconds": 25.0})
    kafka.produce(topic, records(topic, range(200)))
    chosen = world.settings()
    # Who leaves like that is missed only when its session ends.
    chosen["kafka"]["properties"] = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
    with BridgeProcess(tmp_path, chosen) as bridge:
        until(lambda: sandbox.stats()["events"]["received"] > 0, 60, bridge.text)
        bridge.process.send_signal(signal.SIGTERM)
        until(lambda: any(line["event"] == "stopping" for line in bridge.log()), 30, bridge.text)
        until(partial(_told_again, bridge), 120, bridge.text)
        assert bridge.process.wait() == 130, bridge.text()
        sandbox.clear_faults()
        bridge.start()
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
    assert accepted(sandbox).keys() == expected(topic, range(200))
    assert sandbox.stats()["events"]["repeats_different"] == 0


def _told_again(bridge: BridgeProcess) -> bool:
    """Sends SIGTERM again; whether it has left."""
    bridge.process.send_signal(signal.SIGTERM)
    return bridge.process.poll() is not None


def test_two_signals_at_once_are_one_wish(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """`timeout` sends its signal twice: the process drains, commits and ends in order."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    (topic,) = world.topics
    sandbox.post_faults({"fault": "delay", "seconds": 3.0})
    kafka.produce(topic, records(topic, range(200)))
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        until(lambda: sandbox.stats()["events"]["received"] > 0, 120, bridge.text)
        bridge.process.send_signal(signal.SIGTERM)
        bridge.process.send_signal(signal.SIGINT)
        assert bridge.process.wait(240) == 0, bridge.text()
    assert bridge.log()[-1]["clean"] is True
    assert committed_everything(kafka, world.group, [topic])


HOOK = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "bridge.settings.load":
            try:
                os.kill(os.getpid(), {number})
                for _ in range(100_000):
                    pass
            except BaseException:
                pass

sys.meta_path.insert(0, Finder())
"""
"""Sends a signal to the process while it imports, and swallows what comes of it, as native code does."""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_in_the_middle_of_an_import_is_not_lost(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A process that is told to stop while it loads its parts ends, and does not go on as if nothing had been said."""
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(number=int(number)))
    (tmp_path / "bridge.json").write_text("{}")
    done = subprocess.run(
        [*START, "run", "--config", str(tmp_path / "bridge.json")],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
