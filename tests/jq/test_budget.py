"""Hostile programs and values: bounded, and the same on every run."""

from __future__ import annotations

import time

import pytest

from bridge.jq import BudgetExceeded, EvalBudget, JqError, JqProblem, compile_program, parse
from bridge.jq.emit.seam import Scope, swells
from bridge.jq.runtime.values import JSON
from tests.jq.given import outputs

SECONDS = 20.0
"""A generous bound: each takes well under two seconds on a quiet machine."""


def nested(depth: int) -> JSON:
    """An array in an array in an array …"""
    value: JSON = None
    for _ in range(depth):
        value = [value]
    return value


DEEP = "reduce range(5000) as $i (0; [.])"
OVER = [
    ("def f: f; f", None),
    ("def f: 1 + f; f", None),
    ("def f: f | f; f", None),
    ("[def f: f, f; f]", None),
    ("def f(x): f(x | x); f(.)", 1),
    ("def f($x): f($x + 1); f(1)", None),
    ("[range(1e9)]", None),
    ("last(range(1e12))", None),
    ("[range(0; 1; 1e-300)]", None),
    ("[repeat(1)]", None),
    ("until(false; . + 1)", 0),
    ("[recurse(. + 1)]", 0),
    ('"a" * 1e9', None),
    ('"a" * 1e300', None),
    (".+.|" * 60 + ".", "a"),
    ("[.,.]|" * 60 + ".", 1),
    ("[.,.]|" * 59 + "[.,.], 1", 1),
    ("reduce range(60) as $i (.; [.,.])", 1),
    ("[range(1000)] as $a | [range(1000) | $a] as $b | [range(1000) | $b]", None),
    ("def f: if length > 60 then . else {a: ., b: .} | f end; {a: " + "{a: ., b: .} | {a: ., b: .} |" * 30 + " .}", 1),
    ("[.,.]|" * 60 + "tojson", 1),
    ("[.,.]|" * 40 + "flatten", 1),
    ("[.,.]|" * 40 + "[..] | length", 1),
    (". as $v | " + "[.,.]|" * 40 + ". as $a | $v | " + "[.,.]|" * 40 + ". == $a", 1),
    (". as $v | " + "[.,.]|" * 40 + ". as $a | $v | " + "[.,.]|" * 40 + "[., $a] | sort", 1),
    ('reduce range(40) as $i ("a"; . + .)', None),
    ("reduce range(100) as $i ([1]; . + .)", None),
    ("reduce range(1e6) as $i ([]; . + [$i])", None),
    (f"{DEEP} | tojson", None),
    (f"{DEEP} | flatten", None),
    (f"{DEEP} | walk(.)", None),
    (f"[{DEEP} | tostream]", None),
    (".[1e8] = 1", None),
    ("[range(100000)] | [combinations(3)]", None),
    ('"a" * 100000 | [match("[^x]*x|a"; "g")]', None),
    ("[.[] | .[] | .[] | .[]]", [[[[1] * 100] * 100] * 100] * 100),
    ('"ab" * 3000000 | explode | length', None),
    ("[limit(20000; range(1e9))] | .[]", None),
    ("def a(f): f | f; " + "a(" * 25 + ". + 1" + ")" * 25, 1),
]


@pytest.mark.parametrize(("program", "value"), OVER, ids=[case[0][:40] for case in OVER])
def test_too_much_is_over_the_budget_every_time(program: str, value: JSON) -> None:
    """Unbounded work ends as BudgetExceeded, with the same count of steps on every run."""
    compiled = compile_program(program)
    left = []
    for _ in range(2):
        budget = EvalBudget()
        began = time.process_time()
        with pytest.raises(BudgetExceeded):
            list(compiled.run(value, (), budget))
        assert time.process_time() - began < SECONDS
        left.append((budget.steps, budget.text, budget.outputs))
    assert left[0] == left[1]


def test_a_budget_cannot_be_caught() -> None:
    """`try`, `?` and `//` do not catch that the budget is used up."""
    for program in ("try [range(1e9)] catch 1", "[range(1e9)]?", "[range(1e9)] // 1", "[.[]?, (def f: f; f)?]"):
        with pytest.raises(BudgetExceeded):
            outputs(program)


def test_a_budget_is_counted_anew_after_reset() -> None:
    """One budget serves many records: `reset` makes it whole."""
    budget = EvalBudget(steps=100)
    compiled = compile_program("[range(80)] | length")
    for _ in range(3):
        budget.reset()
        assert compiled.one(None, (), budget) == 80
    with pytest.raises(BudgetExceeded):
        compiled.one(None, (), budget)


def test_what_mappings_need_is_well_inside_the_budget() -> None:
    """An ordinary mapping over a list of a thousand items takes few steps."""
    budget = EvalBudget()
    value = {"items": [{"sku": str(n), "qty": n} for n in range(1000)]}
    outputs("[.items[] | select(.qty > 3) | {sku, qty}] | sort_by(.qty) | group_by(.sku) | length", value, budget)
    assert budget.steps > 950_000


def test_recursion_in_last_position_does_not_nest() -> None:
    """A function that calls itself last may do so a hundred thousand times, as in jq."""
    assert outputs("def f: if . > 100000 then . else . + 1 | f end; f", 0) == [100001]
    assert outputs("[limit(3; def f: ., (. + 1 | f); f)]", 0) == [[0, 1, 2]]
    assert outputs("last(limit(100000; def f: ., (. + 1 | f); f))", 0) == [99999]
    assert outputs("def f($n; $m): if $n == 0 then $m else f($n - 1; $m + $n) end; f(10000; 0)") == [50005000]


def test_ordinary_recursion_works_some_hundred_levels_deep() -> None:
    """A function that needs its caller may nest deeper than values do."""
    assert outputs("def f: if . > 500 then 0 else (. + 1 | f) + 1 end; f", 0) == [501]


def test_deep_values_are_read() -> None:
    """A value as deep as a record may be goes through everything."""
    value = nested(200)
    assert outputs("[..] | length", value) == [201]
    assert outputs("tojson | fromjson", value) == [value]
    assert outputs("[paths] | length", value) == [200]
    assert outputs(". == (tojson | fromjson)", value) == [True]


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 900 + "]" * 900, '{"a":' * 50_000])
def test_deep_texts_in_fromjson_are_an_error(text: str) -> None:
    """A JSON text nested too deep, or broken, is an ordinary error of the record."""
    try:
        outputs("fromjson | 1", text)
    except JqError as error:
        assert str(error)


@pytest.mark.parametrize(
    "program",
    ["@uri", "@base64", '"\\(.)x"', "tojson", "explode | implode", 'test("a")', "ascii_downcase", 'split("a")'],
)
def test_lone_surrogates_do_not_break_anything(program: str) -> None:
    """A text that no UTF-8 can hold goes through, or is an error of the record."""
    try:
        outputs(program, "a\ud800b")
    except JqError as error:
        assert str(error)


@pytest.mark.parametrize("program", [
    ".a" * 250, ",".join(["1"] * 3000), "|".join(["map(.)"] * 40), "map(" * 30 + "." + ")" * 30, "first(" * 60 + "1" + ")" * 60,
    "[limit(5;" * 25 + "range(9)" + ")]" * 25, "if . then " * 60 + "1" + " else 2 end" * 60, "|".join([".[]?"] * 200),
    ".a as $x|" * 80 + "$x", "def f: . ; " * 80 + "f", "(" + ",".join([".a"] * 500) + ") |= 1",
    "def f0: . + 1; " + " ".join(f"def f{n}: f{n - 1} | f{n - 1};" for n in range(1, 30)) + " f29",
    "until(. > 1; " * 30 + "." + ")" * 30, "with_entries(" * 40 + "." + ")" * 40,
])  # fmt: skip
def test_long_programs_compile_or_are_refused(program: str) -> None:
    """A program near the limits of Python's own compiler compiles, or is refused as too large."""
    began = time.process_time()
    try:
        compile_program(program)
    except JqProblem as refused:
        assert refused.code == "too-large"
    assert time.process_time() - began < SECONDS


def test_huge_numbers_stay_numbers() -> None:
    """Numbers beyond 64 bits are doubles, and beyond those infinite, without taking long."""
    assert outputs("9999999999999999999 * 9999999999999999999 | . * . | . * . | . * . | . * . | isinfinite") == [True]
    assert outputs("pow(2; 1e9) | isinfinite") == [True]
    assert outputs("[pow(10; 19), pow(10; 20)]") == [[10**19, 1e20]]
    assert outputs("-1e1000 | [(floor | isinfinite), tojson]") == [[True, "-1.7976931348623157e+308"]]


USUAL = [
    "{id, amount: (.total / 100), items: [.items[] | {sku, qty}]}",
    "[.items[] | select(.qty > 1) | {sku, total: (.qty * .price)}] | sort_by(.total)",
    "to_entries | map(select(.value != null)) | from_entries",
    "del(.password) | .name |= ascii_upcase | with_entries(.key |= ascii_downcase)",
    "{before, after, changed: (.before.status != .after.status)}",
    "[.users[] | .id] | unique",
]


@pytest.mark.parametrize("program", USUAL)
def test_usual_mappings_are_not_weighed(program: str) -> None:
    """A mapping that cannot make more of its input pays nothing for those that can."""
    assert not swells(parse(program), Scope.empty())
    assert swells(parse("[.,.]|" * 20 + "."), Scope.empty())
