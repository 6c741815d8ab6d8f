"""The lexer and the parser: places, messages, hints; where a `${` ends."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.jq import JqProblem, closing_brace, compile_program, parse
from bridge.jq.syntax.nodes import Binary, Index, Pipe
from tests.jq.given import problem

FOREIGN = [
    (".a && .b", 3, 5, "and"),
    (".a || .b", 3, 5, "or"),
    ("!.a", 0, 1, "not"),
    ("not .a", 0, 3, "(.a | not)"),
    ("'x'", 0, 1, '"…"'),
    ("“x”", 0, 1, '"…"'),
    (".a === 1", 3, 6, "=="),
    (".a !== 1", 3, 6, "!="),
    (".a ? 1 : 2", 3, 4, "if"),
    ('.a ? .b : "x"', 8, 9, "if"),
    (".a ?? 1", 4, 5, "//"),
    (".a.length()", 2, 10, "length"),
    (".name.toUpperCase()", 5, 18, "ascii_upcase"),
    (".items[*].sku", 6, 9, "[]"),
    (".items.*", 6, 8, ".[]"),
    ("{{ .a }}", 0, 2, "${"),
    (".a ** 2", 3, 5, "pow"),
    (".a <> 1", 3, 5, "!="),
    ("now()", 0, 5, "without"),
    ("$.a", 0, 1, "$name"),
    (".a in .b", 3, 5, "contains"),
]


@pytest.mark.parametrize(("text", "start", "end", "hint"), FOREIGN)
def test_another_language_is_recognised(text: str, start: int, end: int, hint: str) -> None:
    """What another language writes gets its own code, its place, and what to write instead."""
    found = problem(text)
    assert found.code == "other-language"
    assert (found.start, found.end) == (start, end)
    assert hint in (found.hint or "")


WRONG = [
    ("", 0, "write `.`"),
    (".a |", 3, None),
    ("(.a", 0, "add `)`"),
    ("[1, 2", 0, "add `]`"),
    ('"abc', 0, 'add `"`'),
    (".a)", 2, "remove"),
    ("[1)", 2, "`]`"),
    ('"\\q"', 1, "\\\\"),
    ('"\\ud800"', 1, "halves"),
    ("{1: 2}", 1, '"1"'),
    ("{.a}", 1, "`a`"),
    ("{(1): 2}", 2, '"'),
    ("if .a then 1", 12, None),
    (".a == 1 == 2", 8, "( )"),
    (".a = 1 = 2", 7, "( )"),
    ("1 as x | x", 5, "$name"),
    (".foo bar", 5, "operator"),
    ("def f: 1", 8, None),
    ("reduce .[] as $x (0)", 19, None),
    (". as [$a, $a] | $a", 10, "two names"),
    (".a.", 2, "remove the dot"),
    (".é", 1, None),
]


@pytest.mark.parametrize(("text", "start", "hint"), WRONG)
def test_a_mistake_has_its_place(text: str, start: int, hint: str | None) -> None:
    """A text that is no jq is reported at the place of the mistake, with a hint where one helps."""
    found = problem(text)
    assert found.start == start
    assert hint is None or hint in (found.hint or "")


UNKNOWN = [
    ("lenght", "unknown-function", "length"),
    (".a | toUpperCase", "unknown-function", "ascii_upcase"),
    (".a | filter(.b)", "unknown-function", "map(select(…))"),
    ("name", "unknown-function", ".name"),
    ("map(.a; .b)", "unknown-function", None),
    ("pow(2, 3)", "unknown-function", "`;`"),
    ("@urll", "unknown-function", "@uri"),
    ("_sort_by(1)", "unknown-function", None),
    ("env.HOME", "refused", None),
    ("$ENV.HOME", "refused", None),
    ("now", "refused", None),
    ("input", "refused", None),
    ("a::b", "refused", None),
    ('import "a" as a; .', "refused", None),
    ("sin", "refused", None),
    ("break $out", "unknown-variable", "label"),
    ("(. as [$a] ?// $b | $a) | error", "refused", None),
    ("path(reduce .[] as $x (.; .a))", "refused", None),
]


@pytest.mark.parametrize(("text", "code", "hint"), UNKNOWN)
def test_what_is_unknown_or_refused_is_named(text: str, code: str, hint: str | None) -> None:
    """Unknown names and refused ones are found when a program is compiled, never when it runs."""
    found = problem(text)
    assert found.code == code
    assert hint is None or hint in (found.hint or "")


def test_an_unknown_variable_gets_the_nearest_one() -> None:
    """A misspelt variable gets a "did you mean", another one the list of those there are."""
    assert problem("$heders", variables=("key", "headers")).hint == "did you mean `$headers`?"
    assert problem("$x", variables=("key",)).hint == "write `.x` for the field; known here: `$key`"


def test_nodes_know_their_places() -> None:
    """Every node has the offsets of its text."""
    text = ".a | .b + 12"
    node = parse(text)
    assert isinstance(node, Pipe)
    assert isinstance(node.left, Index)
    assert isinstance(node.right, Binary)
    assert text[node.left.start : node.left.end] == ".a"
    assert text[node.right.start : node.right.end] == ".b + 12"
    assert text[node.right.right.start : node.right.right.end] == "12"


BRACES = [
    ("${ .a }", 2, 6),
    ("${ {a: 1} } x", 2, 10),
    ('${ "}" } }', 2, 7),
    ('${ "a\\({b: "}"} | .b)c}" }', 2, 25),
    ("${ .a # }\n }", 2, 11),
    ("${ .a", 2, None),
    ('${ "abc } ', 2, None),
    ("${ 'a' }", 2, 7),
    ("${ (.a }", 2, 7),
    ("${ {a: (1} } }", 2, 11),
    ("${}", 2, 2),
]


@pytest.mark.parametrize(("text", "start", "end"), BRACES)
def test_the_end_of_an_expression_is_found(text: str, start: int, end: int | None) -> None:
    """The first `}` outside texts, comments and inner braces ends a `${`, in broken expressions too."""
    assert closing_brace(text, start) == end


@given(st.text(alphabet="{}()[]\"\\#\n .a1'$|,:é", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, the parser gives a tree or a JqProblem inside it, and looking for the brace ends."""
    found = closing_brace(text, 0)
    assert found is None or text[found] == "}"
    try:
        compile_program(text)
    except JqProblem as refused:
        assert 0 <= refused.start <= refused.end <= len(text) + 1


DEEP = [
    "(" * 3000,
    "[" * 3000,
    "(" * 100 + "1" + ")" * 100,
    "1+" * 5000 + "1",
    "-" * 5000 + "1",
    '"\\(' * 500,
    "try " * 5000,
]


@pytest.mark.parametrize("text", DEEP, ids=[text[:6] for text in DEEP])
def test_deep_texts_are_refused(text: str) -> None:
    """Nesting beyond the limits is a problem of the text, not of the process."""
    assert problem(text).code in ("too-large", "syntax")
