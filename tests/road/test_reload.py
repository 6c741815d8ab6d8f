"""Rules that change while the bridge runs."""

from __future__ import annotations

import shutil
import signal
import subprocess
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from bridge import jsontext
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, until
from tests.road.test_troubles import starting
from tests.road.world import World, accepted, expected, records


def _status(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url + "/status", timeout=120) as answer:
        found: dict[str, Any] = jsontext.loads(answer.read())
        return found


def _logged(bridge: BridgeProcess, event: str) -> int:
    return sum(line["event"] == event for line in bridge.log())


def _loaded_since(bridge: BridgeProcess, loads: int) -> bool:
    return _logged(bridge, "rules_loaded") > loads


def _text_of(sandbox: SandboxProcess, key: str) -> Any:
    return next(event["body"]["properties"]["text"] for event in sandbox.events(key=key))


def _arrived(sandbox: SandboxProcess, keys: set[str]) -> bool:
    return accepted(sandbox).keys() == keys


def test_changed_rules_take_effect_without_a_restart_and_broken_ones_are_refused(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A mended file is swapped in, as a ConfigMap's symlink is; a broken one keeps the old rules and says so."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    rules = tmp_path / "rules"
    first = (rules / "orders.yaml").read_text()
    # As Kubernetes mounts a ConfigMap: files are links into `..data`, itself a link that is replaced in one step.
    for name, text in (("..one", first), ("..two", first.replace(" for ", " goes to "))):
        (rules / name).mkdir()
        (rules / name / "orders.yaml").write_text(text)
    (rules / "orders.yaml").unlink()
    (rules / "..data").symlink_to("..one")
    (rules / "orders.yaml").symlink_to("..data/orders.yaml")
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        url = bridge.admin_url()
        kafka.produce(topic, records(topic, range(1, 10)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 10))), 60, bridge.text)
        assert " for " in _text_of(sandbox, f"{topic}-1")

        (rules / "..new").symlink_to("..two")
        (rules / "..new").replace(rules / "..data")
        until(lambda: _logged(bridge, "rules_loaded") == 1, 30, bridge.text)
        kafka.produce(topic, records(topic, range(11, 20)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 20))), 60, bridge.text)
        assert " goes to " in _text_of(sandbox, f"{topic}-11")

        (rules / "..three").mkdir()
        (rules / "..three" / "orders.yaml").write_text(first.replace(".who", ".who."))
        (rules / "..new").symlink_to("..three")
        (rules / "..new").replace(rules / "..data")
        until(lambda: _logged(bridge, "rules_refused") == 1, 30, bridge.text)
        until(lambda: "orders.yaml" in str(_status(url)["rules"]), 30, lambda: str(_status(url)["rules"]))
        kafka.produce(topic, records(topic, range(21, 30)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 30))), 60, bridge.text)
        assert " goes to " in _text_of(sandbox, f"{topic}-21")
        assert bridge.terminate() == 0


def test_sighup_loads_the_rules_again(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """With the watch switched off, SIGHUP does it."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    chosen = world.settings()
    chosen["rules"]["watch"] = False
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        file = tmp_path / "rules" / "orders.yaml"
        file.write_text(file.read_text().replace(" for ", " goes to "))
        bridge.process.send_signal(signal.SIGHUP)
        until(lambda: _logged(bridge, "rules_loaded") == 1, 30, bridge.text)
        until(lambda: b'bridge_config_reloads_total{result="ok"} 1.0' in urlopen(url + "/metrics").read(), 30)
        topic = world.topics[0]
        kafka.produce(topic, records(topic, range(1, 5)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 5))), 60, bridge.text)
        assert " goes to " in _text_of(sandbox, f"{topic}-1")
        assert bridge.terminate() == 0


def test_of_a_storm_of_sighups_the_last_rules_count(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """However many signals come together, what was written last is in force, and a stop does not wait for the others."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    chosen = world.settings()
    chosen["rules"]["watch"] = False
    file = tmp_path / "rules" / "orders.yaml"
    first = file.read_text()
    with BridgeProcess(tmp_path, chosen) as bridge:
        bridge.admin_url()
        for number in range(200):
            (tmp_path / "new").write_text(first.replace(" for ", f" goes-{number} "))
            (tmp_path / "new").replace(file)
            bridge.process.send_signal(signal.SIGHUP)
        loads = until(lambda: _logged(bridge, "rules_loaded"), 30, bridge.text)
        kafka.produce(topic, records(topic, range(1, 5)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 5))), 60, bridge.text)
        assert " goes-199 " in _text_of(sandbox, f"{topic}-1")
        assert loads < 200
        for _ in range(200):
            bridge.process.send_signal(signal.SIGHUP)
        assert bridge.terminate() == 0, bridge.text()
    assert "Traceback" not in bridge.text()


def test_another_directory_under_the_same_name_is_noticed(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Rules removed and put there anew take effect, though the watch began with a directory that is gone."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    rules = tmp_path / "rules"
    first = (rules / "orders.yaml").read_text()
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        bridge.admin_url()
        shutil.rmtree(rules)
        until(lambda: _logged(bridge, "rules_refused"), 30, bridge.text)
        kafka.produce(topic, records(topic, range(1, 5)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 5))), 60, bridge.text)
        assert " for " in _text_of(sandbox, f"{topic}-1"), "the rules in force stay"
        for text in (" goes to ", " belongs to "):
            # Put in place in one step, as a release that is switched over is.
            (tmp_path / "release").mkdir()
            (tmp_path / "release" / "orders.yaml").write_text(first.replace(" for ", text))
            loads = _logged(bridge, "rules_loaded")
            if rules.exists():
                rules.rename(tmp_path / "old")
            (tmp_path / "release").rename(rules)
            until(partial(_loaded_since, bridge, loads), 30, bridge.text)
        kafka.produce(topic, records(topic, range(5, 9)))
        until(partial(_arrived, sandbox, expected(topic, range(1, 9))), 60, bridge.text)
        assert " belongs to " in _text_of(sandbox, f"{topic}-5")
        assert bridge.terminate() == 0


def test_a_sighup_while_it_starts_changes_nothing(tmp_path: Path) -> None:
    """SIGHUP before there are rules to load again does not end the process."""
    with starting(tmp_path) as bridge:
        bridge.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            bridge.process.wait(0.5)
        assert bridge.terminate() == 0, bridge.text()
