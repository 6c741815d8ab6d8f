"""Writes what is generated from the code into the tree: `make docs`. A test fails when it was not run.

python scripts/generate.py            writes
python scripts/generate.py --check    says what is out of date, and exits 1 if anything is
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.cli.live import LIVE_CODES
from bridge.jq import reference as jq_reference
from bridge.jsontext import OPT_INDENT_2, dumps
from bridge.rules import pages
from bridge.rules.read.schema import rules_schema, tests_schema
from bridge.settings.reference import findings_page, settings_page, settings_schema
from scripts import delivery_page, troubles_page
from scripts.deploy_files import DEPLOY_FILES
from scripts.rules_guide import guide

__all__ = ["GENERATED", "stale"]

ROOT = Path(__file__).resolve().parent.parent


def _json(make: Callable[[], dict[str, Any]]) -> Callable[[], str]:
    return lambda: dumps(make(), option=OPT_INDENT_2).decode() + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "config/bridge.schema.json": _json(settings_schema),
    "docs/reference/findings-yaml-settings.md": findings_page,
    "docs/reference/settings.md": settings_page,
    "config/rules/rules.schema.json": _json(rules_schema),
    "config/rules/tests.schema.json": _json(tests_schema),
    "docs/asking-suprsend.md": troubles_page.asking,
    "docs/delivery.md": delivery_page.page,
    "docs/jq-differences.md": jq_reference.page,
    "docs/rules/findings.md": lambda: pages.findings_page(LIVE_CODES),
    "docs/rules/guide.md": guide,
    "docs/rules/reference.md": pages.reference_page,
    "docs/troubleshooting.md": troubles_page.troubleshooting,
    **DEPLOY_FILES,
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
