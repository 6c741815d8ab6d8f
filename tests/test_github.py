"""What the code host reads in `.github/`: it is of the form that the host takes, and asks for what helps."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import validate

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))

TEXT = {"type": "string", "minLength": 1}
NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"}


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    """An object with these keys and no others."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def field(kind: str, attributes: dict[str, Any], *, asks: bool = True) -> dict[str, Any]:
    more = {"id": NAME, "validations": closed(required={"type": "boolean"})} if asks else {}
    return closed("type", "attributes", *(["id"] if asks else []), type={"const": kind}, attributes=attributes, **more)


ASKED = {"label": TEXT, "description": TEXT, "placeholder": TEXT, "value": TEXT}
CHOICE = closed("label", label=TEXT, required={"type": "boolean"})
FORM = closed(
    "name", "description", "body",
    name=TEXT,
    description={"type": "string", "minLength": 1, "maxLength": 200},
    title=TEXT,
    labels={"type": "array", "items": TEXT},
    body={
        "type": "array",
        "items": {
            "anyOf": [
                field("markdown", closed("value", value=TEXT), asks=False),
                field("input", closed("label", **ASKED)),
                field("textarea", closed("label", render=TEXT, **ASKED)),
                field("dropdown", closed("label", "options", options={"type": "array", "items": TEXT}, **ASKED)),
                field(
                    "checkboxes",
                    closed("label", "options", label=TEXT, description=TEXT, options={"type": "array", "items": CHOICE}),
                ),
            ]
        },
    },
)  # fmt: skip
"""An issue form, as the host's documentation describes it."""

STEP = {
    **closed(
        name=TEXT, id=NAME, uses=TEXT, run=TEXT, env={"type": "object"}, **{"with": {"type": "object"}, "if": TEXT}
    ),
    "oneOf": [{"required": ["uses"]}, {"required": ["run"]}],
}
JOB = closed(
    "runs-on", "steps", "timeout-minutes",
    name=TEXT,
    strategy=closed("matrix", matrix={"type": "object"}, **{"fail-fast": {"type": "boolean"}}),
    steps={"type": "array", "minItems": 1, "items": STEP},
    **{"runs-on": TEXT, "timeout-minutes": {"type": "integer"}},
)  # fmt: skip
WORKFLOW = closed(
    "name", "on", "permissions", "jobs",
    name=TEXT,
    on={"type": "object"},
    permissions={"type": "object", "additionalProperties": {"enum": ["read", "none"]}},
    concurrency=closed("group", group=TEXT, **{"cancel-in-progress": {"type": ["boolean", "string"]}}),
    jobs={"type": "object", "patternProperties": {NAME["pattern"]: JOB}, "additionalProperties": False},
)  # fmt: skip
"""What a workflow of this project may say: a part of what the host takes, and no right to write."""


def read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    # YAML 1.1 reads the key `on` as true; the host does not.
    return yaml.safe_load(re.sub(r"(?m)^on:", '"on":', text))


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one_that_the_host_takes(form: Path) -> None:
    """Each form has the keys that the host knows and no others, ids that differ, and at least one question."""
    found = read(form)
    validate(found, FORM)
    fields = [each for each in found["body"] if each["type"] != "markdown"]
    for names in ([each["id"] for each in fields], [each["attributes"]["label"] for each in fields]):
        assert fields and len(set(names)) == len(names)


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_for_version_and_status(form: Path) -> None:
    """Whoever answers has the version, and what the running bridge says of itself."""
    asked = {each["id"]: each for each in read(form)["body"] if "id" in each}
    assert asked["version"]["validations"]["required"]
    assert "`suprsend-bridge --version`" in asked["version"]["attributes"]["description"]
    assert "`suprsend-bridge status --json`" in asked["status"]["attributes"]["description"]


def test_the_forms_are_those_for_bugs_and_questions() -> None:
    """There is no issue without a form, and the chooser's file has nothing else."""
    assert [path.stem for path in FORMS] == ["bug", "question"]
    assert read(GITHUB / "ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": False}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_one_that_the_host_takes(workflow: Path) -> None:
    """Each workflow has known keys, may read and not write, and pins the actions of others by version or commit."""
    found = read(workflow)
    validate(found, WORKFLOW)
    used = [step["uses"] for job in found["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+|[0-9a-f]{40})", each) for each in used)


def test_ci_runs_every_check_on_every_python_that_the_project_names() -> None:
    """The workflow calls `.ci/run`, and nothing else, on each Python of the classifiers."""
    [job] = read(GITHUB / "workflows/ci.yml")["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = [each.rsplit(" ", 1)[1] for each in classifiers if re.search(r"Python :: 3\.\d+$", each)]
    assert named
    assert set(named) <= set(job["strategy"]["matrix"]["python"]) == {"3.11", "3.12", "3.13", "3.14"}


def test_the_files_that_a_workflow_names_are_there() -> None:
    """A workflow's caches and versions hang on files of the tree."""
    for workflow in WORKFLOWS:
        for job in read(workflow)["jobs"].values():
            for step in job["steps"]:
                for name, value in step.get("with", {}).items():
                    assert not name.endswith(("-file", "-path")) or (ROOT / value).is_file(), value
