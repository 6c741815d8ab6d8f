"""`docs/delivery.md` names tests that exist, and its tables are those of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bridge.delivery.admission import Reason
from bridge.service.wiring import policy_of
from bridge.settings.load import load_settings
from scripts.generate import delivery_page
from tests.settings.test_load import LEAST_ENVIRONMENT

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", TEXT)))


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_shows_a_promise_is_there(named: str) -> None:
    """A test that the page names exists under that name."""
    path, _, name = named.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not name or name in functions


def test_the_page_names_tests_for_every_promise() -> None:
    """Each promise has a section, and each section at least one test."""
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    promises = [section for section in sections if re.match(r"\d\. ", section)]
    assert len(promises) == 7
    assert all("::test_" in promise for promise in promises)


def test_the_tables_are_those_of_the_code() -> None:
    """Holds and answers stand in the page as they stand in the code (`make docs` writes them)."""
    assert delivery_page.page() == TEXT
    assert delivery_page.MEANING.keys() == set(Reason)


def test_the_numbers_are_the_defaults() -> None:
    """Brake, `stuck`, commits, unreadable answers and the 24 hours: what the page says in figures is what is set."""
    policy = policy_of(load_settings(None, LEAST_ENVIRONMENT))
    brake = policy.brake
    assert brake.ratio == 1 / 5
    window = (policy.dedupe_window_ms - policy.dedupe_margin_ms) // 3_600_000
    for figure in (
        f"{brake.row} refusals of a rule in a row, or a fifth of its last {brake.window:,} records",
        f"{policy.stuck_attempts} of them over {policy.stuck_seconds / 60:.0f} minutes",
        f"acknowledged commit ({policy.progress_interval * 1000:.0f} ms)",
        f"after {window} hours",
    ):
        assert figure in " ".join(TEXT.split()), figure
    assert policy.unreadable_in_row == 10
    assert "ten answers in a row" in TEXT
