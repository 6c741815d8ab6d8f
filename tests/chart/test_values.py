"""The chart's values: what can be said of them without Helm (its own tests are in helm/tests)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

HELM = Path(__file__).resolve().parents[2] / "helm"
VALUES: dict[str, Any] = yaml.safe_load((HELM / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((HELM / "values.schema.json").read_text())
CI = sorted((HELM / "ci").glob("*-values.yaml"))
FREE = {"settings", "rules", "resources", "podSecurityContext", "extraPodSpec", "global"}
"""Values whose keys are the user's, or of another schema."""


def merged(below: Any, above: Any) -> Any:
    """Values as Helm merges them: mappings by key, null removes, everything else replaces."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    whole = {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
    return {key: value for key, value in whole.items() if value is not None or key == "rateLimit"}


@pytest.mark.parametrize("file", CI, ids=lambda path: path.stem)
def test_each_values_file_fits_the_schema(file: Path) -> None:
    """Each values file of the checks, over the defaults, is valid."""
    jsonschema.validate(merged(VALUES, yaml.safe_load(file.read_text())), SCHEMA)


def test_the_defaults_lack_only_what_must_be_given() -> None:
    """The defaults alone are refused for exactly what every user has to say."""
    errors = jsonschema.Draft202012Validator(SCHEMA).iter_errors(VALUES)
    assert {".".join(map(str, error.absolute_path)) for error in errors} == {
        "settings.kafka.bootstrap_servers",
        "settings.kafka.topics",
        "settings.kafka.dead_letter_topic",
        "secret.name",
    }


def keys(value: Any, above: str = "") -> set[str]:
    """Every key of nested mappings, with dots between; those of the user are not gone into."""
    found: set[str] = set()
    for key, inner in value.items():
        name = f"{above}{key}"
        found.add(name)
        if isinstance(inner, dict) and name not in FREE:
            found |= keys(inner, name + ".")
    return found


def schema_keys(schema: dict[str, Any], above: str = "") -> set[str]:
    """The same of a schema."""
    found: set[str] = set()
    for key, inner in schema.get("properties", {}).items():
        name = f"{above}{key}"
        found.add(name)
        if name not in FREE:
            found |= schema_keys(inner, name + ".")
    return found


def test_values_and_schema_have_the_same_keys() -> None:
    """Each value is in the schema and each key of the schema is in values.yaml, where it is explained."""
    users = {"monitoring.dashboard.labels.grafana_dashboard", "global"}
    assert keys(VALUES) - users == schema_keys(SCHEMA) - users


def test_each_value_is_used() -> None:
    """Each value is read by some template."""
    templates = "".join(path.read_text() for path in (HELM / "templates").iterdir())
    for name in VALUES:
        assert re.search(rf"\.Values\.{name}\b", templates), name


@pytest.mark.parametrize("key", ["workspace_secret", "api_key", "password", "token", "client_secret"])
def test_no_secret_can_be_a_value(key: str) -> None:
    """No part of the settings' schema has a secret as text."""
    assert all(key not in part.get("properties", {}) for part in SCHEMA["$defs"].values())
