"""A partition that stands still by somebody else's doing: what a person sees of it, from end to end."""

from __future__ import annotations

import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import run
from bridge.kafka.errors import OPEN_TRANSACTION
from tests.road.bridge_process import BridgeProcess, until
from tests.road.test_holds import Side
from tests.road.world import World, accepted, expected, records

TOLD = 12
HASTY = f"""
import bridge.kafka.client.positions, bridge.observe.stall
from bridge.cli.main import main
bridge.kafka.client.positions.TRANSACTION_SECONDS = {TOLD}.0
bridge.observe.stall.StallWatch.__init__.__defaults__ = (5.0,)
main()
"""
"""The command, with its two minutes made shorter: a stall is told long before an open transaction is."""


def _open_transaction(side: Side) -> dict[str, Any] | None:
    return next((part["open_transaction"] for part in side.ask("/status")["partitions"]), None)


def _sample(side: Side, name: str) -> str | None:
    """The value of a series in `/metrics`."""
    with urllib.request.urlopen(side.url + "/metrics", timeout=120) as answer:
        lines = answer.read().decode().splitlines()
    return next((line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")), None)


def test_an_open_transaction_is_no_fault_of_the_bridge(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Page, command, metric and log name it in the same words; nothing calls it a stall, and it is ready all the while."""
    monkeypatch.setattr("tests.road.bridge_process.START", [sys.executable, "-c", HASTY])
    (topic,) = world.topics
    kafka = world.kafka
    begun = time.time()
    kafka.produce(topic, records(topic, range(20)))
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        side = Side(world, bridge)
        until(lambda: len(accepted(world.sandbox)) == 18 and side.ask("/status")["totals"]["lag"] == 0, 60, bridge.text)
        stalls = _sample(side, "bridge_stalls_total")
        with kafka.open_transaction(topic, records(topic, range(20, 30))):
            kafka.produce(topic, records(topic, range(30, 40)))
            told = until(lambda: _open_transaction(side), 60, bridge.text)
            assert told["message"] == OPEN_TRANSACTION
            assert begun <= told["since"] <= time.time() - TOLD
            (part,) = side.ask("/status")["partitions"]
            assert (part["position"], part["lag"], part["lag_seconds"]) == (20, 20, None)
            assert side.ready()
            capfd.readouterr()
            assert run(["status", "--url", side.url]) == 0
            shown = " ".join(capfd.readouterr().out.split())
            assert f"! {topic}:0 stands at offset 20 since" in shown
            assert OPEN_TRANSACTION in shown
            seconds = _sample(side, f'bridge_open_transaction_seconds{{partition="0",topic="{topic}"}}')
            assert float(seconds or 0) >= TOLD
            assert _sample(side, "bridge_stalls_total") == stalls
            (line,) = [line for line in bridge.log() if line["event"] == "transaction_open"]
            assert (line["offset"], line["message"]) == (20, OPEN_TRANSACTION)
        until(lambda: accepted(world.sandbox).keys() == expected(topic, range(40)), 60, bridge.text)
        until(lambda: _open_transaction(side) is None, 60, bridge.text)
        until(lambda: any(line["event"] == "transaction_over" for line in bridge.log()), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
