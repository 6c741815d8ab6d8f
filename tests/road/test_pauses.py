"""Pauses from end to end: said to one process, kept by Kafka, heeded by all until somebody resumes."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import run
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

ADMIN = "a-token-of-the-admin-server"
QUICK = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
"""So soon a process that was killed is missed; in the other protocol the test's brokers see to it."""
PROTOCOLS: dict[str, dict[str, Any]] = {
    "classic": {"group_protocol": "classic", "properties": QUICK},
    "consumer": {"group_protocol": "consumer"},
}
FOLLOW = 5.0
"""Seconds within which other processes are told to follow."""
LOADED = 4
"""So many times slower a loaded machine is."""


class Member:
    """A process of the group, looked at and told by the commands."""

    def __init__(self, world: World, name: str, **kafka: Any) -> None:
        chosen = world.settings(admin={"token": ADMIN}, kafka=kafka)
        self.bridge = BridgeProcess(world.folder, chosen, name=name)
        self.token = world.folder / "token"
        self.token.write_text(ADMIN)
        self.url = ""

    def start(self) -> Member:
        begun = self.bridge.starts()
        self.bridge.start()
        until(lambda: self.bridge.starts() > begun, 60, self.bridge.text)
        self.url = self.bridge.admin_url()
        return self

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "/status", timeout=120) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def ready(self) -> bool:
        try:
            urllib.request.urlopen(self.url + "/readyz", timeout=120).close()
        except urllib.error.HTTPError:
            return False
        return True

    def owns(self) -> set[int]:
        return {each["partition"] for each in self.status()["partitions"]}

    def paused(self) -> set[int]:
        return {each["partition"] for each in self.status()["holds"] if each["reason"] == "operator"}

    def do(self, *args: str) -> int:
        return run([*args, "--url", self.url, "--token-file", str(self.token), "--reason", "a test says so"])


@contextlib.contextmanager
def members(world: World, *names: str, **kafka: Any) -> Iterator[list[Member]]:
    """Some processes of the group, killed at the end."""
    made = [Member(world, name, **kafka) for name in names]
    try:
        yield made
    finally:
        for each in made:
            with contextlib.suppress(AssertionError):
                each.bridge.kill()


def _produce(world: World, numbers: range) -> None:
    world.kafka.produce(world.topics[0], records(world.topics[0], numbers))


def _of(world: World, partition: int, entries: dict[str, dict[str, Any]], before: set[str]) -> set[str]:
    """Keys of newly accepted events whose record is in a partition."""
    there = {
        json.loads(message.value() or b"{}")["id"]
        for message in world.kafka.read(world.topics[0])
        if message.partition() == partition
    }
    return (set(entries) - before) & there


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pause_lasts_through_kills_new_members_and_a_reset(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, protocol: str
) -> None:
    """Said to a process that does not own the partition: it stops within 5 s and stays so until somebody resumes it."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    with members(world, "one", "two", **PROTOCOLS[protocol]) as (one, two):
        one.start()
        two.start()
        until(lambda: [len(each.owns()) for each in (one, two)] == [1, 1], 60, one.bridge.text)
        (theirs,) = two.owns()
        _produce(world, range(1, 100))
        until(lambda: len(accepted(sandbox)) == len(expected(topic, range(1, 100))), 60, one.bridge.text)
        assert one.do("pause", f"{topic}:{theirs}") == 0
        said = time.monotonic()
        until(lambda: two.paused() == {theirs}, FOLLOW, two.bridge.text)
        assert time.monotonic() - said <= LOADED * FOLLOW
        assert (one.ready(), two.ready()) == (True, True)
        _produce(world, range(101, 200))
        known = set(accepted(sandbox))
        # SIGKILL of the owner: the other gets the partition, and it is paused there.
        two.bridge.kill()
        until(lambda: one.owns() == {0, 1}, 60, one.bridge.text)
        until(lambda: one.paused() == {theirs}, 10, one.bridge.text)
        until(lambda: _of(world, 1 - theirs, accepted(sandbox), known), 60, one.bridge.text)
        assert one.bridge.terminate() == 0, one.bridge.text()
        # The group is set to where it is: its metadata is gone, and the pause is not; nor for a new member.
        offsets = {part: at for part, (at, _) in kafka.committed(world.group, topic).items()}
        kafka.reset_offsets(world.group, topic, {theirs: offsets[theirs]})
        two.start()
        until(lambda: two.owns() == {0, 1}, 60, two.bridge.text)
        assert two.paused() == {theirs}
        assert _of(world, theirs, accepted(sandbox), known) == set()
        assert two.do("resume", f"{topic}:{theirs}") == 0
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, two.bridge.text)
        assert accepted(sandbox).keys() == expected(topic, range(1, 200))


def _offline(member: Member, *args: str) -> int:
    """A command that reaches no bridge and has the settings."""
    where = ["--url", "http://127.0.0.1:1", "--config", str(member.bridge.settings_file)]
    return run([*args, *where, *(["--reason", "a test says so"] if args[0] != "status" else [])])


def test_a_pause_said_to_kafka_alone_covers_the_topic_and_what_is_added_to_it(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No process runs: pause, status and resume go to Kafka and say so; partitions that are added later are paused, too."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    with members(world, "one", properties={**QUICK, "topic.metadata.refresh.interval.ms": 1000}) as (one,):
        _produce(world, range(1, 60))
        assert _offline(one, "pause", topic) == 0
        said = capfd.readouterr()
        assert "no bridge answers" in said.err
        assert f'suprsend-bridge resume {topic} --reason "…"' in said.out
        one.start()
        until(lambda: one.paused() == {0, 1}, 60, one.bridge.text)
        until(one.ready, 30, one.bridge.text)
        (pause,) = one.status()["pauses"]
        assert (pause["target"], pause["here"]) == (topic, [f"{topic}:0", f"{topic}:1"])
        assert pause["lifted_by"] == f'suprsend-bridge resume {topic} --reason "…"'
        kafka.add_partitions(topic, 3)
        _produce(world, range(60, 90))
        until(lambda: one.paused() == {0, 1, 2}, 60, one.bridge.text)
        assert accepted(sandbox) == {}
        # One partition of the topic, by a command that does not reach the process that has it.
        assert _offline(one, "resume", f"{topic}:1") == 0
        until(lambda: one.paused() == {0, 2}, FOLLOW, one.bridge.text)
        until(lambda: _of(world, 1, accepted(sandbox), set()), 60, one.bridge.text)
        assert one.bridge.terminate() == 0
        capfd.readouterr()
        assert _offline(one, "status") == 1
        shown = capfd.readouterr().out
        assert f"{topic} is paused since" in shown
        assert f"{topic}:1  committed" in shown
        assert re.search(r"lag [1-9]\d* records at most; dead letters behind the last replay \S", shown)
        one.start()
        until(lambda: one.paused() == {0, 2}, 60, one.bridge.text)
        assert one.do("resume", topic) == 0
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, one.bridge.text)
        assert accepted(sandbox).keys() == expected(topic, range(1, 90))
        assert sandbox.stats()["events"]["repeats_identical"] == 0


def test_a_rewound_partition_that_is_paused_and_restarted_is_still_held(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pause lifts nothing and hides nothing: behind it the tripwire holds, before and after the resume."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    with members(world, "one", properties=QUICK) as (one,):
        _produce(world, range(1, 20))
        one.start()
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, one.bridge.text)
        assert one.bridge.terminate() == 0, one.bridge.text()
        kafka.reset_offsets(world.group, topic, {0: 4})
        one.start()

        def held() -> set[str]:
            return {each["reason"] for each in one.status()["holds"]}

        until(lambda: held() == {"rewind"}, 60, one.bridge.text)
        assert one.do("pause", f"{topic}:0") == 0
        until(lambda: held() == {"rewind", "operator"}, 10, one.bridge.text)
        assert not one.ready()
        assert one.bridge.terminate() == 0, one.bridge.text()
        one.start()
        until(lambda: held() == {"rewind", "operator"}, 60, one.bridge.text)
        capfd.readouterr()
        assert one.do("resume", f"{topic}:0") == 0
        assert f"{topic}:0 is still held (rewind)" in capfd.readouterr().out
        (hold,) = until(lambda: held() == {"rewind"} and one.status()["holds"], 30, one.bridge.text)
        assert not one.ready()
        assert sandbox.stats()["events"]["repeats_identical"] == 0
        assert one.do("accept-rewind", hold["token"]) == 0
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, one.bridge.text)
    assert accepted(sandbox).keys() == expected(topic, range(1, 20))
