"""Each numbered decision of the rules language (docs/adr/0009) has tests that cite it: `Decision 7: …`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADR = ROOT / "docs" / "adr" / "0009-the-rules-language.md"


def test_each_decision_has_a_test() -> None:
    """The table of the decision record and the docstrings of tests name the same numbers."""
    decided = {int(number) for number in re.findall(r"^\| (\d+) \|", ADR.read_text(encoding="utf-8"), re.MULTILINE)}
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "rules").rglob("test_*.py"))
    cited = {
        int(number)
        for found in re.findall(r'"""Decisions? ([\d, and]+):', text)
        for number in re.findall(r"\d+", found)
    }
    assert decided == cited == set(range(1, 20))
