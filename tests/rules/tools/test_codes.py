"""Every finding code has an example in the docs, and each example has its finding."""

from __future__ import annotations

import pytest

from bridge.findings import render
from bridge.rules.lint.check import CODES, check_rules
from tests.rules.given import load, rules

SEVERAL_FILES = {"R001", "R035", "R041"}
"""Found between files, or between rules and settings: tests of their own."""


EXAMPLES = {code: row.example for code, row in CODES.items() if row.example}


def test_every_code_has_an_example() -> None:
    """Each code of rules shows text that has it, but for those that need more than one file."""
    assert set(CODES) == set(EXAMPLES) | SEVERAL_FILES


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_has_its_finding(code: str) -> None:
    """What the page shows is found, under this code and no other."""
    example = EXAMPLES[code]
    whole = "rules:" in example or example.startswith("- ")
    loaded = load(example if whole else rules(example))
    found = [*loaded.findings, *check_rules(loaded.rules)]
    assert {finding.code for finding in found} == {code}, render(found, "text", loaded.sources)
