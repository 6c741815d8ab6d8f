"""Findings: their order, and the three ways they are printed."""

from __future__ import annotations

import json
from itertools import permutations

from hypothesis import given, strategies as st

from bridge.findings import FORMATS, Finding, FindingsError, did_you_mean, has_errors, in_order, render, visible

SOURCE = "rules:\n  - name: ordr\n    evnt: x\n"
ERROR = Finding("R001", "error", "r.yaml", 3, 5, 9, "there is no key `evnt`", "did you mean `event`?")
WARNING = Finding("R050", "warning", "r.yaml", 2, 11, 15, "an odd name")


def test_text_shows_the_place_the_line_carets_and_what_to_write() -> None:
    """The text form is `file:line:column: severity: message [code]`, the line, carets under it, the hint."""
    assert render([ERROR], "text", {"r.yaml": SOURCE}) == (
        "r.yaml:3:5: error: there is no key `evnt` [R001]\n"
        "    |     evnt: x\n"
        "    |     ^^^^\n"
        "    did you mean `event`?\n"
    )


def test_a_finding_without_a_place_or_source_is_one_line() -> None:
    """Line 0 and a missing source leave the place and the line out."""
    assert render([Finding("S001", "error", "BRIDGE_X", 0, 0, 0, "no such setting")], "text", {}) == (
        "BRIDGE_X: error: no such setting [S001]\n"
    )
    assert render([WARNING], "text", {}) == "r.yaml:2:11: warning: an odd name [R050]\n"


def test_findings_are_sorted_and_each_comes_once() -> None:
    """Whatever order they were found in, they are printed by file, line and column, and without repeats."""
    others = [
        Finding("A", "error", "a.yaml", 9, 1, 0, "m"),
        Finding("A", "warning", "r.yaml", 3, 5, 0, "m"),
        Finding("A", "error", "r.yaml", 10, 1, 0, "m"),
    ]
    expected = [others[0], WARNING, ERROR, others[1], others[2]]
    for order in permutations(expected):
        assert in_order([*order, order[0]]) == expected


def test_json_counts_and_lists_everything() -> None:
    """The JSON form has the numbers and each field of each finding."""
    answer = json.loads(render([ERROR, WARNING], "json", {}))
    assert (answer["errors"], answer["warnings"]) == (1, 1)
    assert answer["findings"][1] == {
        "code": "R001",
        "severity": "error",
        "path": "r.yaml",
        "line": 3,
        "column": 5,
        "end_column": 9,
        "message": "there is no key `evnt`",
        "hint": "did you mean `event`?",
    }
    assert json.loads(render([], "json", {})) == {"errors": 0, "warnings": 0, "findings": []}


def test_github_commands_are_escaped() -> None:
    """A message cannot end its workflow command, nor a path begin a new property."""
    hostile = Finding("R001", "error", "a,b:c.yaml", 3, 5, 9, "50% off\r\n::error::x", "write\nthis")
    assert render([hostile], "github", {}) == (
        "::error file=a%2Cb%3Ac.yaml,line=3,endLine=3,col=5,endColumn=9,title=R001"
        "::50%25 off%0D%0A::error::x%0Awrite%0Athis\n"
    )


def test_nothing_in_a_source_line_can_act_on_a_terminal() -> None:
    """Escape sequences, direction marks and line breaks in what is shown are made visible."""
    line = "name: \x1b[31mred\u202egnp\x7f\t\x9b"
    shown = render(
        [Finding("R1", "error", "f\x1b.yaml", 1, 1, 5, "bad \x1b[2J", "so \x07")], "text", {"f\x1b.yaml": line}
    )
    assert not set(shown) & set("\x1b\u202e\x7f\t\x9b\x07")
    assert "␛[31mred<U+202E>gnp␡␉<U+009B>" in shown


@given(st.text())
def test_visible_text_is_printable(text: str) -> None:
    """Whatever goes in, what comes out can be printed and encoded."""
    assert visible(text).isprintable() or all(char.isprintable() or char.isspace() for char in visible(text))
    assert not set(map(ord, visible(text))) & {*range(0x20), *range(0x7F, 0xA0)}


def test_carets_stand_under_wide_characters() -> None:
    """A caret counts the terminal's columns: two for a wide character, none for a combining one."""
    line = "日本e\u0301: x"
    shown = render([Finding("R1", "error", "f", 1, 7, 8, "m")], "text", {"f": line}).split("\n")
    assert shown[2] == "    | " + " " * 7 + "^"


def test_of_a_long_line_the_stretch_around_the_place_is_shown() -> None:
    """A minified line of a megabyte is cut to what surrounds the place."""
    line = "x" * 500_000 + "HERE" + "y" * 500_000
    shown = render([Finding("R1", "error", "f", 1, 500_001, 500_005, "m")], "text", {"f": line}).split("\n")
    assert len(shown[1]) < 200
    caret = shown[2].index("^")
    assert shown[1][caret : caret + 4] == "HERE"


@given(
    st.text(alphabet="ab\t\x1b日\u0301", max_size=400),
    st.integers(1, 500),
    st.integers(0, 500),
)
def test_any_place_can_be_rendered(line: str, column: int, end: int) -> None:
    """A place beyond the line, or an end before its beginning, is still printed."""
    finding = Finding("R1", "error", "f", 1, column, end, "m")
    for form in FORMATS:
        assert render([finding], form, {"f": line}).endswith("\n")


def test_did_you_mean_finds_slips_and_refuses_guesses() -> None:
    """A slip of the fingers is recognised, in any case and with either dash; another word is not."""
    names = ["distinct_id", "event", "tenant_id", "for_each"]
    assert did_you_mean("distict_id", names) == "distinct_id"
    assert did_you_mean("Event", names) == "event"
    assert did_you_mean("for-each", names) == "for_each"
    assert did_you_mean("colour", names) is None
    assert did_you_mean("e" * 1_000_000, names) is None


def test_only_errors_count_as_errors() -> None:
    """Warnings alone are no reason to stop."""
    assert has_errors([WARNING, ERROR])
    assert not has_errors([WARNING])


def test_the_exception_says_what_the_text_form_says() -> None:
    """`str()` of a `FindingsError` is what a command prints."""
    error = FindingsError([ERROR, WARNING], {"r.yaml": SOURCE})
    assert str(error) + "\n" == render([WARNING, ERROR], "text", {"r.yaml": SOURCE})
