"""The quick start in Kubernetes: what it writes fits the chart and the bridge, and what it names is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from bridge.settings.load import load_settings
from scripts.deploy.quick_start import commands, filled, values
from tests.chart.test_values import merged

ROOT = Path(__file__).resolve().parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "helm/values.yaml").read_text())


def test_its_values_fit_the_chart() -> None:
    """The values file over the defaults is what the chart takes; nothing that must be given is missing."""
    schema = json.loads((ROOT / "helm/values.schema.json").read_text())
    jsonschema.validate(merged(VALUES, yaml.safe_load(values())), schema)


def test_its_settings_are_complete(tmp_path: Path) -> None:
    """With the secrets that it makes, the settings are whole."""
    own = yaml.safe_load(values())
    file = tmp_path / "bridge.yaml"
    file.write_text(yaml.safe_dump(merged(VALUES["settings"], own["settings"])))
    environ = {
        "BRIDGE_" + setting.upper().replace(".", "__"): f"/etc/bridge/secrets/{key}"
        for setting, key in own["secret"]["files"].items()
    }
    load_settings(file, environ, files=False)


def test_each_key_of_the_secret_is_made() -> None:
    """The Secret is made under the name and with the keys that the values mount."""
    own = yaml.safe_load(values())["secret"]
    (made,) = [command for command in commands() if "create secret generic" in command]
    assert f"create secret generic {own['name']} " in made
    assert {f"--from-literal={key}=" in made for key in own["files"].values()} == {True}


def test_what_it_names_is_there() -> None:
    """Chart and rules are in the tree, and the workload is called as the chart calls it."""
    (install,) = [command for command in commands() if command.startswith("helm install")]
    words = filled(install).split()
    assert (ROOT / words[3] / "Chart.yaml").is_file()
    rules = words[words.index("--set-file") + 1].strip("'").split("=")[1]
    assert (ROOT / rules).is_file()
    name = f"{words[2]}-{yaml.safe_load((ROOT / 'helm/Chart.yaml').read_text())['name']}"
    named = [command for command in commands() if "deployment/" in command or "deploy/" in command]
    assert len(named) == 2
    assert all(f"/{name}" in command for command in named)
