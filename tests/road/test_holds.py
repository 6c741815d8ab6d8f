"""Holds from end to end: what stops, what a person sees, and each of the ways on."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import run
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

ADMIN = "a-token-of-the-admin-server"
REFUSAL = {"fault": "status", "status": 400}


class Side:
    """A bridge, and a person who looks at it and acts by the commands."""

    def __init__(self, world: World, bridge: BridgeProcess) -> None:
        self.world = world
        self.bridge = bridge
        self.url = bridge.admin_url()
        self.token = world.folder / "token"
        self.token.write_text(ADMIN)

    def holds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/status")["holds"]
        return found

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=120) as answer:
            return json.loads(answer.read())

    def ready(self) -> bool:
        try:
            urllib.request.urlopen(self.url + "/readyz", timeout=120).close()
        except urllib.error.HTTPError:
            return False
        return True

    def held(self, reason: str) -> dict[str, Any]:
        """Wait for a hold of that reason."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self.holds() if each["reason"] == reason]

        (hold, *_) = until(found, 60, self.bridge.text)
        held: dict[str, Any] = hold
        return held

    def do(self, *args: str) -> int:
        where = ["--url", self.url, "--token-file", str(self.token), "--reason", "a test says so"]
        return run([*args, *where])

    def letters(self) -> list[dict[str, bytes | None]]:
        return [dict(message.headers() or []) for message in self.world.kafka.read(self.world.dead_letters)]  # type: ignore[arg-type]

    def finished(self) -> None:
        """Wait until everything is committed, and stop."""
        until(
            lambda: committed_everything(self.world.kafka, self.world.group, list(self.world.topics)),
            60,
            self.bridge.text,
        )
        assert self.bridge.terminate() == 0, self.bridge.text()


def _world(kafka: RealKafka, sandbox: SandboxProcess, folder: Path) -> World:
    return World.make(kafka, sandbox, folder, topics=1, partitions=1)


def _settings(world: World, **delivery: Any) -> dict[str, Any]:
    return world.settings(admin={"token": ADMIN}, delivery=delivery)


Way = Callable[[Side, SandboxProcess], None]


def _resumed(side: Side, sandbox: SandboxProcess) -> None:
    assert side.do("resume", side.world.topics[0]) == 0


def _reloaded(side: Side, sandbox: SandboxProcess) -> None:
    rules = side.world.folder / "rules" / "orders.yaml"
    rules.write_text(rules.read_text() + "# mended\n")


def _skipped(side: Side, sandbox: SandboxProcess) -> None:
    """Skip what the brake kept back, one by one: each hold names the next."""
    while held := [each for each in side.holds() if each["reason"] == "brake"]:
        place = f"{held[0]['topic']}:{held[0]['partition']}:{held[0]['offset']}"
        side.do("skip", place)


@pytest.mark.parametrize("way_on", [_resumed, _reloaded, _skipped], ids=["resume", "reload", "skip"])
def test_the_brake_stops_an_api_that_refuses_everything(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, way_on: Way
) -> None:
    """At most 200 dead letters, then a hold that makes it not ready; resume, reload or skips let it go on, without a loss."""
    world = _world(kafka, sandbox, tmp_path)
    topic = world.topics[0]
    total = 3_000
    sandbox.post_faults(REFUSAL)
    kafka.produce(topic, records(topic, range(total)))
    chosen = _settings(world, max_in_flight=4, batch_events=10) | {"tuning": {"initial_in_flight": 2}}
    with BridgeProcess(tmp_path, chosen) as bridge:
        side = Side(world, bridge)
        hold = side.held("brake")
        assert "placed" in hold["detail"]
        assert not side.ready()
        # The hold is there at once; the first letter waits until the brokers know the producer.
        until(side.letters, 60, bridge.text)
        assert len(side.letters()) <= 200
        sandbox.clear_faults()
        way_on(side, sandbox)
        side.finished()
    letters = side.letters()
    dead = {bytes(each["bridge.source.offset"] or b"") for each in letters}
    assert len(dead) == len(letters) <= 200
    assert len(accepted(sandbox)) + len(letters) == len(expected(topic, range(total)))


def test_a_halt_waits_at_its_record_and_a_skip_goes_on_behind_it(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """`on_error: halt`: nothing behind the record is sent; what was before it is; a skip dead-letters it with the reason."""
    world = _world(kafka, sandbox, tmp_path)
    topic = world.topics[0]
    rules = tmp_path / "rules" / "orders.yaml"
    rules.write_text(
        rules.read_text().replace("    event: order_placed\n", "    event: order_placed\n    on_error: halt\n")
    )
    bad = Sent(b'{"id": "bad", "type": "placed", "who": null}', key=b"bad")
    kafka.produce(topic, [*records(topic, range(1, 6)), bad, *records(topic, range(11, 16))])
    with BridgeProcess(tmp_path, _settings(world)) as bridge:
        side = Side(world, bridge)
        hold = side.held("halt")
        assert hold["offset"] == 5
        until(lambda: accepted(sandbox).keys() == expected(topic, range(1, 6)), 30, bridge.text)
        # Stopped in the hold, it waits there again.
        assert bridge.terminate() == 0
        bridge.start()
        until(lambda: bridge.starts() == 2, 30, bridge.text)
        side = Side(world, bridge)
        assert side.held("halt")["offset"] == 5
        assert accepted(sandbox).keys() == expected(topic, range(1, 6))
        assert side.do("skip", f"{topic}:0:5") == 0
        side.finished()
    assert accepted(sandbox).keys() == expected(topic, range(1, 6)) | expected(topic, range(11, 16))
    (letter,) = side.letters()
    assert (letter["bridge.class"], letter["bridge.message"]) == (b"skipped_by_operator", b"a test says so")
    assert sandbox.stats()["events"]["repeats_identical"] == 0


def test_an_operator_can_pause_and_resume(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """While a topic is paused nothing of it is sent; after resume everything arrives once."""
    world = _world(kafka, sandbox, tmp_path)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(1, 10)))
    with BridgeProcess(tmp_path, _settings(world)) as bridge:
        side = Side(world, bridge)
        until(lambda: len(accepted(sandbox)) == 9, 60, bridge.text)
        assert side.do("pause", topic) == 0
        hold = side.held("operator")
        assert hold["detail"] == "a test says so"
        assert side.ready(), "it is paused because somebody wants it"
        kafka.produce(topic, records(topic, range(11, 20)))
        calls = sandbox.stats()["calls"]["total"]
        until(lambda: side.ask("/status")["partitions"][0]["lag"] == 9, 30, bridge.text)
        assert sandbox.stats()["calls"]["total"] == calls
        assert side.do("resume", topic) == 0
        side.finished()
    assert len(accepted(sandbox)) == 18
    assert sandbox.stats()["events"]["repeats_identical"] == 0


def test_records_that_nobody_wants_any_more_expire(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """`delivery.max_age`: older records end as expired, neither sent nor dead-lettered; younger ones are sent."""
    world = _world(kafka, sandbox, tmp_path)
    topic = world.topics[0]
    old = [each._replace(timestamp=1_700_000_000_000) for each in records(topic, range(1, 6))]
    kafka.produce(topic, [*old, *records(topic, range(11, 16))])
    with BridgeProcess(tmp_path, _settings(world, max_age="1h")) as bridge:
        side = Side(world, bridge)
        until(lambda: len(accepted(sandbox)) == 5, 60, bridge.text)
        until(lambda: side.ask("/status")["totals"]["finished"].get("expired") == 5, 30, bridge.text)
        side.finished()
    assert accepted(sandbox).keys() == expected(topic, range(11, 16))
    assert side.letters() == []


def test_another_workspaces_key_holds_and_a_half_written_one_does_not(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A key file that names another workspace stops everything until the old key is back; nonsense in it is passed over."""
    world = _world(kafka, sandbox, tmp_path)
    topic = world.topics[0]
    chosen = _settings(world)
    key = tmp_path / "key"
    own = chosen["suprsend"].pop("workspace_key")
    key.write_text(own)
    chosen["suprsend"]["workspace_key_file"] = str(key)
    kafka.produce(topic, records(topic, range(1, 6)))
    with BridgeProcess(tmp_path, chosen) as bridge:
        side = Side(world, bridge)
        until(lambda: len(accepted(sandbox)) == 5, 60, bridge.text)
        key.write_text("half")
        kafka.produce(topic, records(topic, range(6, 10)))
        until(lambda: len(accepted(sandbox)) == 9, 60, bridge.text)
        key.write_text("another-workspace-of-20-chars")
        hold = side.held("workspace")
        assert "another-workspace-of-20-chars" in hold["detail"]
        assert not side.ready()
        calls = sandbox.stats()["calls"]["total"]
        kafka.produce(topic, records(topic, range(11, 16)))
        until(lambda: side.ask("/status")["totals"]["inflight"] == 5, 30, bridge.text)
        assert sandbox.stats()["calls"]["total"] == calls
        key.write_text(own)
        side.finished()
    assert len(accepted(sandbox)) == 14
    assert side.letters() == []
