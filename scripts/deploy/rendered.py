"""Looks at rendered manifests: writes those of Kubernetes itself, and loads the bridge's settings that are in them.

    python -m scripts.deploy.rendered ALL.yaml CORE.yaml

Custom resources are left out of CORE.yaml, since validators have no schema for them. The settings are loaded as the
bridge would, with the environment of its container: what a chart makes of values must be what the bridge takes.

Called by `scripts/deploy/test.sh`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from bridge.settings.load import load_settings

CUSTOM = ("monitoring.coreos.com", "keda.sh")


def main(given: str, core: str) -> None:
    """Raises `SettingsError` when the rendered settings are not what the bridge takes."""
    documents: list[dict[str, Any]] = [one for one in yaml.safe_load_all(Path(given).read_text()) if one]
    plain = [one for one in documents if not one["apiVersion"].startswith(CUSTOM)]
    Path(core).write_text(yaml.safe_dump_all(plain))
    text = next(one["data"]["bridge.yaml"] for one in documents if "bridge.yaml" in one.get("data", {}))
    workload = next(one for one in documents if one["kind"] in ("Deployment", "StatefulSet"))
    container = workload["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry.get("value", "bridge-0") for entry in container["env"]}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bridge.yaml"
        file.write_text(text)
        settings = load_settings(file, environment, files=False)
    sys.stdout.write(f"settings of {settings.kafka.group_id} load: {len(settings.kafka.topics)} topics\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
