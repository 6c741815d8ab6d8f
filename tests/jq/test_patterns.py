"""Regular expressions: libjq's meaning, or a refusal by name."""

from __future__ import annotations

import json

import jq
import pytest
from hypothesis import given, settings, strategies as st

from bridge.jq import EvalBudget, JqProblem, compile_program
from tests.jq.given import outputs, problem

REFUSED = [
    r"\bword\b", r"a\B", "(?=x)", "(?!x)", "(?<=x)", "(?<!x)", "(?>x)", r"(a)\1", r"(?<n>a)\k<n>", "a++", "a*+", "a?+", "a{2}+",
    "[a&&b]", "[[:alpha:]]", r"\h", r"\R", r"\X", r"\K", r"\G", r"\C", r"\Qa\E", "a{1001}", "a{2,1}", "a**", "(a*)*", "(?m)a",
    "(?P<n>a)", "a(?i)b", "(?(1)a)", "[]a]", "a{x", "*a", "(a", "a)", "[a", "\\", r"\p{Greek}", r"\u0041", r"\x{110000}", r"\xff",
    "(?<n>a)(?<n>b)", "a$b", "(a$)*", "^*", r"\y", r"\1", "(?'n'a)",
]  # fmt: skip


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_re2_lacks_is_refused(pattern: str) -> None:
    """A pattern that RE2 cannot read with libjq's meaning is a problem at compile time, at the pattern's place."""
    program = f". | test({json.dumps(pattern)})"
    found = problem(program)
    assert found.code == "regex"
    assert program[found.start : found.end] == json.dumps(pattern)


def test_patterns_and_flags_are_constants() -> None:
    """A computed pattern is refused, a constant one may come through a variable or a parameter."""
    assert problem("test(.a)").code == "not-constant"
    assert problem('test("a"; .b)').code == "not-constant"
    assert problem('test("a"; "q")').code == "regex"
    assert problem('test("a"; "l")').code == "regex"
    assert problem('[match("a*"; "n")]').code == "regex"
    assert outputs('"a" as $p | "xay" | test($p)') == [True]
    assert outputs('def has_word($p): test($p; "i"); "XAY" | has_word("a")') == [True]
    assert outputs('"XAY" | test(["a", "i"])') == [True]
    assert outputs('"ab" | test("a" + "b")') == [True]


CASES = [
    (r"a.b", "a\nb"), (r"^b", "a\nb"), (r"b$", "a\nb\n"), (r"b\s*$", "b \n"), (r"^\w+$", "héllo\n"), (r"\d+", "a٣5"), (r"\W", "é"),
    (r"\s", "\u2003"), (r"[\w-]+", "a-b c"), (r"[^\d\s]+", "1 ab"), (r"(?<y>\d{4})-(?<m>\d\d)", "on 2026-01"), (r"(a)|(b)", "b"),
    (r"(x)?b", "ab"), (r"", "ab"), (r"a|ab", "ab"), (r"(a|ab)(c|bcd)?", "abcd"), (r"a+?", "aaa"), (r"(a|b)+", "abab"),
    (r"(?:(a)|b)*", "ab"), (r"(?i)HELLO", "hello"), (r"(?i:h)ello", "Hello"), (r"(?s)a.b", "a\nb"), (r"(?s:a.)b", "a\nb"),
    (r"\Aa\z", "a"), (r"a\Z", "a\n"), (r"\x41\x{e9}", "Aé"), (r"\t|\n|\/|\.|\-", "."), (r"\p{L}+", "añ1"), (r"\P{L}", "a1"),
    (r"\p{^N}", "A1"), (r"[a-c-]", "-"), (r"(?#note)a", "a"), (r"\.com$", "x.com"), (r"a{2,3}", "aaaa"), (r"a{2}", "aaa"),
    (r"a{2,}", "aaa"), (r"[\]\[]", "]"), (r"[^a]", "\n"), (r"😀+", "x😀😀"), (r"$", "ab\n"), (r"x*$", "axx"), (r"|a", "ba"),
]  # fmt: skip
PROGRAM = (
    '[test({0}), [match({0})], [match({0}; "g")], [capture({0}; "g")], [scan({0})], split({0}; null), sub({0}; "<\\(.y // 0)>"), '
    'test({0}; "i"), test({0}; "p"), test({0}; "s")]'
)


@pytest.mark.parametrize(("pattern", "text"), CASES)
def test_matches_are_those_of_libjq(pattern: str, text: str) -> None:
    """Everything that matches gives what the oracle gives, offsets and captures too."""
    program = PROGRAM.format(json.dumps(pattern, ensure_ascii=False))
    expected = jq.compile(program).input_value(text).first()
    found = outputs(program, text)[0]
    if not text.isascii() and pattern in ("", "x*$", "$"):
        return  # libjq steps by bytes after an empty match: an allowed difference
    assert found == expected


_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", "(a)", "(?:b)", "(?<n>a|b)", "1", " "])
_REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,2}"])
_PIECES = st.lists(st.tuples(_ATOMS, _REPEATS).map("".join), min_size=1, max_size=4).map("".join)
PATTERNS = st.tuples(
    st.sampled_from(["", "", "^"]),
    st.lists(_PIECES, min_size=1, max_size=2).map("|".join),
    st.sampled_from(["", "", "$"]),
).map("".join)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.text(alphabet="abA1 \n", max_size=8), st.sampled_from(["g", "gi", "gp"]))
def test_random_patterns_agree_with_libjq(pattern: str, text: str, flags: str) -> None:
    """Random patterns over random texts: the same matches, or a refusal."""
    program = f'[match({json.dumps(pattern)}; "{flags}")]'
    try:
        compiled = compile_program(program)
    except JqProblem:
        return
    assert compiled.one(text, (), EvalBudget()) == jq.compile(program).input_value(text).first()


@pytest.mark.parametrize("escape", [r"\d", r"\w", r"\s", r"\D", r"\p{Lu}", r"[^\w]"])
def test_classes_hold_the_characters_that_libjq_sees(escape: str) -> None:
    """A class has the same members as the oracle's, over a sample of all characters."""
    codes = [
        *range(1, 0x400),
        *range(0x2000, 0x2100),
        *range(0x3000, 0x3040),
        *range(0x400, 0x11000, 37),
        *range(0x1D7C0, 0x1D800),
    ]
    text = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    program = f"[.[] | test({json.dumps(escape)})]"
    assert outputs(program, text, EvalBudget(steps=10**8)) == [jq.compile(program).input_value(text).first()]
