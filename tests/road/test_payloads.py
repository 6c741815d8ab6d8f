"""What is in records stays out of log, status and metrics, unless somebody asks for it; then without what is redacted."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted

GOOD = {"id": "a-private-number", "type": "placed", "who": "u1", "n": 1}
BAD = {"id": "a-private-number", "type": "placed", "who": None, "n": 2, "contact": {"email": "ann@example.com"}}


def _seen(url: str) -> str:
    """All that can be read from outside."""
    return "".join(
        urllib.request.urlopen(url + path, timeout=120).read().decode() for path in ("/status", "/metrics", "/")
    )


def _errors(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(url + "/status", timeout=120) as answer:
        found: list[dict[str, Any]] = json.load(answer)["errors"]
    return found


def _play(
    world: World, folder: Path, logs: dict[str, Any], options: Sequence[str] = ()
) -> tuple[str, list[dict[str, Any]]]:
    """Deliver one record and dead-letter one; what was seen outside, and the lines of the log."""
    topic = world.topics[0]
    world.kafka.produce(topic, [Sent(json.dumps(each).encode(), key=b"k") for each in (GOOD, BAD)])
    with BridgeProcess(folder, world.settings(logs={"format": "json", **logs}), options=options) as bridge:
        until(lambda: committed_everything(world.kafka, world.group, [topic]), 60, bridge.text)
        until(lambda: any(line["event"] == "dead_letter" for line in bridge.log()), 30, bridge.text)
        url = bridge.admin_url()
        until(lambda: any(error["kind"] == "dead_letter" for error in _errors(url)), 30, bridge.text)
        seen = _seen(url)
        assert bridge.terminate() == 0, bridge.text()
        return seen + bridge.text(), bridge.log()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_nothing_of_a_record_is_seen_by_default(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, level: str
) -> None:
    """At every level, neither log nor pages nor metrics hold anything of a delivered or a dead-lettered record."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    text, lines = _play(world, tmp_path, {"level": level})
    assert "private" not in text
    assert "ann@example.com" not in text
    assert all(line["event"] != "payload" for line in lines)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_payloads_are_logged_when_asked_for_less_what_is_redacted(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, level: str
) -> None:
    """With `log_payloads` the dead-lettered record is a line, at `--log-level debug` the sent event, too; an address is masked."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    text, lines = _play(world, tmp_path, {"log_payloads": True}, ["--log-level", level])
    shown = {line["what"]: line for line in lines if line["event"] == "payload"}
    assert set(shown) == ({"record", "sent"} if level == "debug" else {"record"})
    assert shown["record"]["payload"] == {**BAD, "contact": {"email": "***"}}
    assert (shown["record"]["topic"], shown["record"]["offset"]) == (world.topics[0], 1)
    assert "ann@example.com" not in text
    if level == "debug":
        assert shown["sent"]["payload"]["properties"]["number"] == 1
    assert len(accepted(sandbox)) == 1
