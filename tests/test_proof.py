"""`tests/PROOF.md` has a row for each requirement, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.soak.matrix import ROWS

TESTS = Path(__file__).parent
TEXT = (TESTS / "PROOF.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
LEAST = {
    "Rules of consuming": 16,
    "Answers to a commit": 5,
    "Fault matrix": 18,
    "Invariants": 10,
    "Lessons: offsets and rebalances": 11,
    "Lessons: delivery": 8,
    "Lessons: memory and stalls": 5,
    "Lessons: rules": 6,
    "Decisions": 60,
}
"""Section → rows that it has at least."""


def rows(section: str) -> list[list[str]]:
    """The cells of the rows of a section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("section", LEAST)
def test_each_requirement_is_shown_by_a_test(section: str) -> None:
    """No row is without a test, and none was lost."""
    found = rows(section)
    assert len(found) >= LEAST[section]
    for row in found:
        assert re.search(r"`[\w/]+\.py::test_\w+`", row[-1]), row


def test_every_test_that_is_named_exists() -> None:
    """A test that was renamed or removed is noticed here, and so is a row of the soak."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 150
    missing = [f"{path}::{name}" for path, name in named if name not in functions(TESTS / path)]
    assert missing == []
    assert set(re.findall(r"soak `([\w-]+)`", TEXT)) <= ROWS.keys()
