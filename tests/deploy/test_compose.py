"""compose.yaml: what we use of the format is right, and everything that it names exists."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bridge.cli.main import COMMANDS
from bridge.settings.load import load_settings
from bridge.settings.rows import settings_table

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]

TEXTS = {"type": "array", "items": {"type": "string"}}
SCHEMA = {
    "type": "object",
    "required": ["name", "services"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {
            "additionalProperties": {
                "type": "object",
                "required": ["image"],
                "additionalProperties": False,
                "properties": {
                    "image": {"type": "string", "pattern": r"^[a-z0-9./-]+:[A-Za-z0-9._-]+$"},
                    "build": {"const": "."},
                    "pull_policy": {"enum": ["build", "missing", "always"]},
                    "command": TEXTS,
                    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
                    "volumes": {"type": "array", "items": {"pattern": r"^\./[\w./-]+:/[\w./-]+:ro$"}},
                    "ports": {"type": "array", "items": {"pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "depends_on": {
                        "oneOf": [
                            TEXTS,
                            {
                                "type": "object",
                                "additionalProperties": {
                                    "required": ["condition"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "condition": {
                                            "enum": [
                                                "service_started",
                                                "service_healthy",
                                                "service_completed_successfully",
                                            ]
                                        }
                                    },
                                },
                            },
                        ]
                    },
                    "healthcheck": {
                        "additionalProperties": False,
                        "properties": {
                            "test": TEXTS,
                            "interval": {"pattern": r"^\d+s$"},
                            "timeout": {"pattern": r"^\d+s$"},
                            "retries": {"type": "integer"},
                            "disable": {"type": "boolean"},
                        },
                    },
                    "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                    "read_only": {"type": "boolean"},
                    "cap_drop": TEXTS,
                    "security_opt": TEXTS,
                    "tmpfs": TEXTS,
                    "stop_grace_period": {"pattern": r"^\d+s$"},
                },
            }
        },
    },
}


def test_only_known_keys_are_used() -> None:
    """Every key is one of the compose format, with a value of its kind; ports are bound to localhost only."""
    jsonschema.validate(COMPOSE, SCHEMA)


def test_what_is_mounted_exists() -> None:
    """Each file that is mounted is in the tree, and scripts may be run."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            path = ROOT / volume.split(":")[0]
            assert path.exists(), f"{name}: {volume}"
            assert path.suffix != ".sh" or path.stat().st_mode & 0o111, f"{path} cannot be run"


def test_services_wait_for_services() -> None:
    """What a service waits for is a service, and one that can meet the condition."""
    for name, service in SERVICES.items():
        waits = service.get("depends_on", ())
        for other in waits:
            assert other in SERVICES, f"{name} waits for {other}"
            if isinstance(waits, dict) and waits[other]["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]


def test_our_image_runs_our_commands() -> None:
    """Services of our image run commands that exist, read-only and without rights, on settings that exist."""
    names = {entry.name for entry in COMMANDS}
    variables = {setting.variable for setting in settings_table().values()}
    ours = {name: service for name, service in SERVICES.items() if service.get("build")}
    assert set(ours) == {"sandbox", "bridge"}
    for service in ours.values():
        assert service["command"][0] in names
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert set(service.get("environment", ())) <= variables


def test_commands_of_the_page_name_services_that_there_are() -> None:
    """Each `docker compose` command of the docs acts on a service of the file, and runs a command of ours in it."""
    text = (ROOT / "docs/deploy/compose.md").read_text("utf-8")
    acted = re.findall(r"docker compose (?:stop|start|kill|logs|exec) ([a-z]+)(?: bridge ([a-z-]+))?", text)
    assert len(acted) >= 7
    assert {service for service, _ in acted} <= SERVICES.keys()
    assert {command for _, command in acted if command} <= {entry.name for entry in COMMANDS}


def test_the_bridge_s_settings_load() -> None:
    """The settings file with the service's environment is complete, and leads to the services beside it."""
    bridge = SERVICES["bridge"]
    settings = load_settings(ROOT / "deploy/compose/bridge.yaml", bridge["environment"], files=False)
    assert [server.split(":")[0] for server in settings.kafka.bootstrap_servers] == ["kafka"]
    assert str(settings.suprsend.base_url).startswith("http://sandbox:8787")
    script = (ROOT / "deploy/compose/topics.sh").read_text()
    for topic in (*settings.kafka.topics, settings.kafka.dead_letter_topic):
        assert topic in script


def test_prometheus_and_grafana_find_what_they_need() -> None:
    """Prometheus scrapes the bridge under the job of the alerts; Grafana finds Prometheus and the dashboard."""
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    job = prometheus["scrape_configs"][0]
    assert job["job_name"] == "bridge"
    assert job["static_configs"] == [{"targets": ["bridge:8080"]}]
    mounted = {v.split(":")[1] for v in SERVICES["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in prometheus["rule_files"]} <= mounted
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    folder = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/bridge.yaml").read_text())
    path = folder["providers"][0]["options"]["path"]
    assert f"{path}/bridge.json" == SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]


@pytest.fixture(scope="module")
def shop() -> Iterator[list[tuple[str, str, Any]]]:
    """The first records that the shop writes."""
    command = ["bash", str(ROOT / "deploy/compose/shop.sh"), "--print"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"PAUSE": "0", "PATH": "/usr/bin:/bin"}
    ) as run:
        assert run.stdout is not None
        lines = [next(run.stdout) for _ in range(300)]
        run.kill()
    yield [(topic, key, json.loads(value)) for topic, key, value in (line.rstrip("\n").split("\t") for line in lines)]


def test_the_shop_s_records_are_json_of_the_read_topics(shop: list[tuple[str, str, Any]]) -> None:
    """The shop writes JSON to each topic that the bridge reads, one order in fifty broken."""
    settings = yaml.safe_load((ROOT / "deploy/compose/bridge.yaml").read_text())
    assert {topic for topic, _, _ in shop} == set(settings["kafka"]["topics"])
    broken = [value for topic, _, value in shop if topic == "orders.v1" and value["customer"] is None]
    assert len(broken) == 2


def test_versions_of_images_are_pinned() -> None:
    """No image floats."""
    for service in SERVICES.values():
        assert re.search(r":(v?\d+\.\d+|dev)", service["image"]), service["image"]
