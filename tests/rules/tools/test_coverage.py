"""Which branches examples reach."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.rules.tools.coverage import Coverage
from bridge.rules.tools.explain import Explainer
from tests.rules.given import CONTEXT, load, record, rules


def reached(text: str, *values: Any) -> Coverage:
    loaded = load(text)
    assert not loaded.findings
    coverage = Coverage(loaded.rules)
    explainer = Explainer(loaded.rules, "t", CONTEXT)
    for value in values:
        coverage.add(explainer.explain(record(value)))
    return coverage


def missing(text: str, *values: Any) -> list[str]:
    return [site.what for site in reached(text, *values).missing()]


def test_rules_and_both_sides_of_when() -> None:
    """A rule counts as reached when it fires, its `when` also when it was false."""
    text = rules("name: a\nwhen: .x == 1", "name: b")
    assert missing(text) == ["the rule a never fires", "`when` of a is never false", "the rule b never fires"]
    assert missing(text, {"x": 1}) == ["`when` of a is never false"]
    assert missing(text, {"x": 2}) == ["the rule a never fires"]
    assert missing(text, {"x": 1}, {"x": 2}) == []
    assert reached(text, {"x": 1}).percent == pytest.approx(200 / 3)


@pytest.mark.parametrize(
    ("expression", "true", "false"),
    [
        ("if .a then 1 else 2 end", {"a": 1}, {}),
        ("if .a then 1 else empty end", {"a": 1}, {}),
        ("[.l[] | if . > 1 then . else 0 end]", {"l": [2]}, {"l": [1]}),
        ('try (if .a then error("x") else 1 end) catch 2', {"a": 1}, {}),
        ("(if .a then .b else .c end) |= 1 | .b", {"a": 1}, {}),
        ("reduce .l[] as $i (0; if $i > 1 then . + 1 else . end)", {"l": [2]}, {"l": [1]}),
        ('"x\\(if .a then 1 else 2 end)"', {"a": 1}, {}),
        ("def f: if .a then 1 else 2 end; f", {"a": 1}, {}),
    ],
)
def test_both_sides_of_if(expression: str, true: Any, false: Any) -> None:
    """Each side of an `if` is seen wherever it stands: in streams, paths, folds, texts, under `try`."""
    text = rules(f"name: a\nproperties:\n  p: |\n    ${{ {expression} }}")
    sides = missing(text)
    assert [side.rsplit(" ", 1)[1] for side in sides if "if" in side] == ["true", "false"]
    assert [side.rsplit(" ", 1)[1] for side in missing(text, true)] == ["false"]
    assert [side.rsplit(" ", 1)[1] for side in missing(text, false)] == ["true"]
    assert missing(text, true, false) == []


def test_elif_has_its_own_sides() -> None:
    """Every condition of a chain counts."""
    text = rules("name: a\nproperties: {p: '${ if .a then 1 elif .b then 2 else 3 end }'}")
    assert len(missing(text, {"a": 1})) == 3
    assert len(missing(text, {"b": 1})) == 2
    assert missing(text, {"a": 1}, {"b": 1}, {}) == []


def test_ifs_in_functions_of_the_file() -> None:
    """The sides of an `if` in `defs` count once, with their place there, however many rules call the function."""
    head = 'defs: |\n  def outer: inner;\n  def kind: if .vip then "gold" else "blue" end;\n'
    head = head.replace("def outer: inner;", "def other: 1;")
    text = rules("name: a\nproperties: {p: '${ kind }'}", "name: b\nproperties: {p: '${ [kind, other] }'}", head=head)
    found = reached(text, {"vip": 1}).missing()
    assert [(site.what, site.line) for site in found] == [("`if .vip` in the function kind is never false", 3)]
    assert missing(text, {"vip": 1}, {}) == []


def test_items_and_for_each() -> None:
    """An `if` is looked at for every item, and in `for_each` itself."""
    text = rules(
        "name: a\nfor_each: if .x then .l[] else empty end\nproperties: {p: '${ if $item.a then 1 else 2 end }'}"
    )
    assert len(missing(text, {"x": 1, "l": [{"a": 1}]})) == 2
    assert missing(text, {"x": 1, "l": [{"a": 1}, {}]}, {}) == []


def test_switched_off_rules_do_not_count() -> None:
    """There is nothing to reach in a rule that is switched off."""
    coverage = reached(rules("name: a\nenabled: false"))
    assert (coverage.sites, coverage.percent) == (0, 100.0)


def test_a_branch_behind_too_much_work_is_not_reached() -> None:
    """An expression that runs out of steps before its `if` reaches neither side; one that does much work does."""
    behind = "name: a\nproperties: {p: '${ last(range(3000000)) | if . > 1 then 1 else 2 end }'}"
    assert len(missing(rules(behind), {})) == 2
    assert len(missing(rules(behind.replace("3000000", "30000")), {})) == 1
