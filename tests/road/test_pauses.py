"""Pauses from end to end: said to one process, kept by Kafka, heeded by all until somebody resumes."""

from __future__ import annotations

import contextlib
import json
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
PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])
FOLLOW = 5.0
"""Seconds within which other processes are told to follow."""


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
        with urllib.request.urlopen(self.url + "/status", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def ready(self) -> bool:
        try:
            urllib.request.urlopen(self.url + "/readyz", timeout=10).close()
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


@pytest.mark.timeout(240)
@PROTOCOLS
def test_a_pause_lasts_through_kills_new_members_and_a_reset(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, protocol: str
) -> None:
    """Said to a process that does not own the partition: it stops within 5 s and stays so until somebody resumes it."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    with members(world, "one", "two", group_protocol=protocol) as (one, two):
        one.start()
        two.start()
        until(lambda: [len(each.owns()) for each in (one, two)] == [1, 1], 60, one.bridge.text)
        (theirs,) = two.owns()
        _produce(world, range(1, 100))
        until(lambda: len(accepted(sandbox)) == len(expected(topic, range(1, 100))), 60, one.bridge.text)
        assert one.do("pause", f"{topic}:{theirs}") == 0
        said = time.monotonic()
        until(lambda: two.paused() == {theirs}, FOLLOW, two.bridge.text)
        assert time.monotonic() - said <= FOLLOW
        assert (one.ready(), two.ready()) == (True, True)
        _produce(world, range(101, 200))
        known = set(accepted(sandbox))
        # SIGKILL of the owner: the other gets the partition, and it is paused there.
        two.bridge.kill()
        until(lambda: one.owns() == {0, 1}, 60, one.bridge.text)
        until(lambda: one.paused() == {theirs}, 10, one.bridge.text)
        # A new member, which has never heard of it, alone in the group.
        two.start()
        one.bridge.kill()
        until(lambda: two.owns() == {0, 1}, 60, two.bridge.text)
        assert two.paused() == {theirs}
        until(lambda: _of(world, 1 - theirs, accepted(sandbox), known), 60, two.bridge.text)
        assert two.bridge.terminate() == 0, two.bridge.text()
        # The group is set to where it is: its metadata is gone, and the pause is not.
        offsets = {part: at for part, (at, _) in kafka.committed(world.group, topic).items()}
        until(lambda: _reset(kafka, world, {theirs: offsets[theirs]}), 30)
        two.start()
        until(lambda: two.owns() == {0, 1}, 60, two.bridge.text)
        assert theirs in two.paused()
        assert _of(world, theirs, accepted(sandbox), known) == set()
        assert two.do("resume", f"{topic}:{theirs}") == 0
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, two.bridge.text)
        assert accepted(sandbox).keys() == expected(topic, range(1, 200))


def _reset(kafka: RealKafka, world: World, offsets: dict[int, int]) -> bool:
    kafka.reset_offsets(world.group, world.topics[0], offsets)
    return True
