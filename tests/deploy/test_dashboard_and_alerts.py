"""Dashboard, alerts, their tests, the runbook and the docs name only what is exported, and nothing is out of date."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.cli.main import COMMANDS
from bridge.settings.rows import settings_table
from scripts.generate.alert_tests import CASES
from tests.deploy.names import known_names, wrong

ROOT = Path(__file__).resolve().parents[2]
ALERT_FILE: dict[str, Any] = yaml.safe_load((ROOT / "helm/files/alerts.yaml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERT_FILE["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "helm/files/bridge.json").read_text())
RUNBOOK = (ROOT / "docs/runbook.md").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.get("alert") or rule.get("record")))
def test_rules_name_only_what_is_exported(rule: dict[str, Any]) -> None:
    """Each alert and recording rule names metrics, labels and words of the table."""
    assert wrong(rule["expr"]) == []


def test_the_dashboard_names_only_what_is_exported() -> None:
    """Each query of the dashboard, and each variable, names metrics, labels and words of the table."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    queries += [str(v["query"]["query"]) for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    assert len(queries) > 60
    assert {query: found for query in queries if (found := wrong(query))} == {}


@pytest.mark.parametrize(
    "bad",
    [
        "bridge_record_consumed_total",
        'bridge_holds{reasons="setup"}',
        'bridge_holds{reason="set-up"}',
        "sum by (topics) (bridge_records_inflight)",
        "rate(bridge_http_request_duration_seconds[1m])",
    ],
)
def test_a_wrong_name_is_found(bad: str) -> None:
    """The check itself finds a misspelt metric, label, word or grouping, and a histogram without its suffix."""
    assert wrong(bad) != []


def test_panels_do_not_overlap() -> None:
    """Panels lie side by side and below one another, never on top of each other, within 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_each_alert_leads_to_its_section_of_the_runbook() -> None:
    """Each alert has a severity, a summary and a link to a section of the runbook that exists, and no section is over."""
    sections = {line[4:].lower() for line in RUNBOOK.splitlines() if line.startswith("### Bridge")}
    for alert in ALERTS:
        assert alert["labels"]["severity"]
        assert {"summary", "description", "runbook_url"} == set(alert["annotations"])
        assert alert["annotations"]["runbook_url"].endswith(f"docs/runbook.md#{alert['alert'].lower()}")
    assert sections == {alert["alert"].lower() for alert in ALERTS}


def test_each_section_of_the_runbook_answers_the_same_questions() -> None:
    """Each section says what it means, what to look at, what to do, and what never to do."""
    for section in re.split(r"^##+ ", RUNBOOK, flags=re.MULTILINE)[1:]:
        if section.startswith("Bridge"):
            name = section.splitlines()[0]
            for question in ("**Means.**", "**Look at.**", "**Do.**", "**Never.**"):
                assert question in section, f"{name}: {question}"


def test_each_alert_is_tested_for_firing_and_for_silence() -> None:
    """In promtool's tests each alert fires in some situation, and there are situations in which none does."""
    fired = {name for case in CASES for name in case.fires}
    assert fired == {alert["alert"] for alert in ALERTS}
    assert sum(not case.fires for case in CASES) >= 8


@pytest.mark.parametrize("file", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_docs_name_only_metrics_that_exist(file: Path) -> None:
    """Each `bridge_…` metric that the docs name is exported."""
    names = set(known_names()) | {name.removesuffix("_bucket") for name in known_names()}
    found = set(re.findall(r"`((?:bridge)_[a-z_]+)[`{]", file.read_text("utf-8")))
    assert found <= names


DEPLOY_DOCS = [
    *(ROOT / "docs" / name for name in ("runbook.md", "security.md")),
    *sorted((ROOT / "docs/deploy").glob("*.md")),
]


@pytest.mark.parametrize("file", DEPLOY_DOCS, ids=lambda path: path.name)
def test_docs_name_only_commands_and_files_that_exist(file: Path) -> None:
    """Each `bridge …` command in the operators' docs exists, and each file of the tree that they name."""
    text = file.read_text("utf-8")
    commands = {entry.name for entry in COMMANDS}
    named = set(re.findall(r"(?:`|-- |exec )suprsend-bridge ([a-z][a-z-]+)", text)) - {"bridge"}
    assert named <= commands
    for path in re.findall(
        r"(?<![(\w])((?:docs|deploy|helm|config|scripts|requirements)/[\w./*-]+\.(?:md|yaml|json|sh|lock))", text
    ):
        assert list(ROOT.glob(path)), path


@pytest.mark.parametrize("file", DEPLOY_DOCS, ids=lambda path: path.name)
def test_docs_name_only_settings_that_exist(file: Path) -> None:
    """Each setting that the operators' docs name by its path exists."""
    names = {setting.name for setting in settings_table().values()}
    text = file.read_text("utf-8")
    found = re.findall(r"`((?:kafka|suprsend|delivery|admin|logs|rules)\.[a-z_.]+)[`:]", text)
    assert {name for name in found if not name.endswith((".yaml", ".yml"))} <= names
    assert set(re.findall(r"\bBRIDGE_[A-Z]+__[A-Z_]+", text)) <= {s.variable for s in settings_table().values()}


@pytest.mark.parametrize("file", DEPLOY_DOCS, ids=lambda path: path.name)
def test_links_within_the_docs_lead_somewhere(file: Path) -> None:
    """Each relative link leads to a file of the tree."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", file.read_text("utf-8")):
        assert (file.parent / target).is_file(), target
