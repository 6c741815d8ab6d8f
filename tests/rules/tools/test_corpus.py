"""Rules for an unfamiliar topic, each broken in three ways: the message alone must tell how to mend it."""

from __future__ import annotations

import pytest

from bridge.findings import render
from bridge.rules.lint.check import check_rules
from bridge.rules.read.load import Loaded, load_texts
from tests.rules.tools.corpus import CASES, Break


def looked_at(rule: str) -> Loaded:
    text = "version: 1\nrules:\n  - " + rule.replace("\n", "\n    ").rstrip() + "\n"
    loaded = load_texts([("fleet.yaml", text.encode())])
    return loaded._replace(findings=(*loaded.findings, *check_rules(loaded.rules, ["fleet.trips"])))


@pytest.mark.parametrize("rule", [case.rule for case in CASES])
def test_the_good_rules_have_no_finding(rule: str) -> None:
    """What is broken below is right before it is broken."""
    loaded = looked_at(rule)
    assert not loaded.findings, render(loaded.findings, "text", loaded.sources)


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [(case.rule, one) for case in CASES for one in case.breaks],
    ids=lambda value: getattr(value, "new", ""),
)
def test_each_mistake_is_one_finding_that_tells_how_to_mend_it(rule: str, mistake: Break) -> None:
    """One mistake gives one finding: its code, at the mistake, with what to write instead."""
    assert rule.count(mistake.old) == 1
    loaded = looked_at(rule.replace(mistake.old, mistake.new))
    shown = render(loaded.findings, "text", loaded.sources)
    findings = [finding for finding in loaded.findings if not (finding.code == "R041" and not loaded.rules.rules)]
    assert [finding.code for finding in findings] == [mistake.code], shown
    assert mistake.words in f"{findings[0].message}\n{findings[0].hint}", shown
    assert findings[0].line > 0
