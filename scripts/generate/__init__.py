"""Writes what is generated from the code into the tree; a test fails when it was not run.

    python -m scripts.generate            writes
    python -m scripts.generate --check    says what is out of date, and exits 1 if anything is

Called by `make docs`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.cli.check import LIVE_CODES
from bridge.jq import reference as jq_reference
from bridge.jsontext import OPT_INDENT_2, dumps
from bridge.rules import pages
from bridge.rules.read.schema import rules_schema, tests_schema
from bridge.settings.reference import findings_page, settings_page, settings_schema
from scripts.generate import delivery_page, rooms_page, runbook_page
from scripts.generate.actions_page import actions_page
from scripts.generate.alert_tests import alert_tests
from scripts.generate.dashboard import dashboard
from scripts.generate.logs_page import logs_page
from scripts.generate.metrics_page import metrics_page
from scripts.generate.rules_guide import guide
from scripts.generate.values_schema import values_schema

__all__ = ["GENERATED", "stale"]

ROOT = Path(__file__).resolve().parents[2]


def _json(make: Callable[[], dict[str, Any]]) -> Callable[[], str]:
    return lambda: dumps(make(), option=OPT_INDENT_2).decode() + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "CONTRIBUTING.md": rooms_page.contributing,
    "config/bridge.schema.json": _json(settings_schema),
    "docs/reference/actions.md": actions_page,
    "docs/reference/findings-yaml-settings.md": findings_page,
    "docs/reference/settings.md": settings_page,
    "config/rules/rules.schema.json": _json(rules_schema),
    "config/rules/tests.schema.json": _json(tests_schema),
    "docs/asking-suprsend.md": runbook_page.asking,
    "docs/delivery.md": delivery_page.page,
    "docs/jq-differences.md": jq_reference.page,
    "docs/rules/findings.md": lambda: pages.findings_page(LIVE_CODES),
    "docs/rules/guide.md": guide,
    "docs/rules/reference.md": pages.reference_page,
    "docs/runbook.md": runbook_page.runbook,
    "docs/reference/logs.md": logs_page,
    "docs/reference/metrics.md": metrics_page,
    "deploy/prometheus/alerts_test.yaml": alert_tests,
    "helm/files/bridge.json": _json(dashboard),
    "helm/values.schema.json": _json(values_schema),
}
"""File → what makes its text. Add a row for whatever has its home in the code."""


def stale() -> list[str]:
    """Return the files whose text is not what the code makes."""
    return [name for name, make in GENERATED.items() if not _is(ROOT / name, make())]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    names = stale()
    if "--check" in arguments:
        for name in names:
            print(f"{name} is out of date: run `make docs`")
        return 1 if names else 0
    for name in names:
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GENERATED[name](), encoding="utf-8")
        print(f"wrote {name}")
    return 0
