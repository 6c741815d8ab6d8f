"""Ten rules for two unfamiliar topics, written from the guide, and what people break in them: `mistakes.txt`.

Each entry is a part of `mistakes.yaml` (`-`), what is written instead (`+`), and the one finding (`=`): severity, code,
line and column, and the words that tell how to mend it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.findings import Finding, render
from bridge.rules.lint.check import check_rules
from bridge.rules.read.load import load_texts

HERE = Path(__file__).parent
GOOD = (HERE / "mistakes.yaml").read_text(encoding="utf-8")
TOPICS = ["iot.telemetry", "iot.status.a", "hr.public.leave_requests"]


class Mistake(NamedTuple):
    old: str
    new: str
    severity: str
    code: str
    place: str
    words: str


def mistakes() -> list[Mistake]:
    found = []
    for block in (HERE / "mistakes.txt").read_text(encoding="utf-8").split("\n\n"):
        old, new, says = (line[2:] for line in block.strip().split("\n"))
        found.append(Mistake(json.loads(old), json.loads(new), *says.split(" ", 3)))
    return found


def findings_of(text: str) -> tuple[list[Finding], str]:
    loaded = load_texts([("mistakes.yaml", text.encode())])
    found = [*loaded.findings, *check_rules(loaded.rules, TOPICS)]
    return found, render(found, "text", loaded.sources)


def test_the_rules_are_right_before_they_are_broken() -> None:
    """Nothing is found in rules that were written from the guide."""
    found, shown = findings_of(GOOD)
    assert not found, shown


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: " ".join(mistake.new.split())[:60])
def test_a_mistake_is_one_finding_at_its_place_that_tells_how_to_mend_it(mistake: Mistake) -> None:
    """One mistake is one finding: its severity, code and place, and what to write instead; nothing follows from it."""
    assert mistake.old in GOOD
    found, shown = findings_of(GOOD.replace(mistake.old, mistake.new, 1))
    assert len(found) == 1, shown
    finding = found[0]
    assert (finding.severity, finding.code) == (mistake.severity, mistake.code), shown
    assert f"{finding.line}:{finding.column}" == mistake.place, shown
    assert mistake.words in f"{finding.message}\n{finding.hint}", shown
    assert finding.end_column > finding.column or finding.end_column == 0
