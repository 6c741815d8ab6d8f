"""Updates that change in place what they made themselves: linear, and nobody sees it."""

from __future__ import annotations

import json

import jq
import pytest
from hypothesis import given, settings, strategies as st

from bridge.jq import BudgetExceeded, EvalBudget, JqError, JqProblem, compile_program
from bridge.jq.runtime.values import JSON
from tests.jq.given import outputs

ROWS: list[JSON] = [{"id": at, "k": f"k{at % 40_000}", "x": at % 7, "t": ["a"]} for at in range(30_000)]
LINEAR = [
    "INDEX(.id)", "INDEX(.[]; .k)", "reduce .[] as $r ({}; .[$r.k] = $r.id)", "reduce .[] as $r ({}; .[$r.k] += [$r.id])",
    "reduce .[] as $r ({}; .[$r.k] |= (. // 0) + 1)", "reduce .[] as $r ({}; .[$r.k] |= ((. // []) + [$r.x]))",
    "reduce .[] as $r ({}; .[$r.k] = (.[$r.k] // 0) + 1)",
    "reduce .[] as $r ({}; $r.k as $key | .[$key] = (.[$key] // []) + [$r.x])", "reduce .[] as $r ({}; .all = .all + [$r.id])",
    'reduce .[] as $r ({}; .["k" + ($r.x | tostring)] += [$r.id])', "reduce .[] as $r ({}; .n[$r.t[0]] = (.n[$r.t[0]] // []) + [$r.id])", "reduce .[] as $r ({}; .a[$r.k].n += 1)", "reduce .[] as $r ([]; .[$r.id] = 1)",
    "reduce .[] as $r ([]; . + [$r.id])", "reduce .[] as $r ({}; . + {($r.k): 1})", "reduce .[] as $r ({n: 0, all: []}; .n += 1 | .all += [$r.id])",
    "reduce .[] as $r ({}; $r.k as $key | .[$key] = 1)", "reduce .[] as $r ({}; setpath([$r.k]; 1))", "pick(.[].x)",
    "reduce .[] as $r ([[], {}]; if .[1][$r.k] then . else .[0] += [$r.id] | .[1][$r.k] = true end)", "del(.[].x)", "del(.[].x, .[].k)",
    "del(.[] | select(.x == 1))", 'delpaths([paths(type == "number")])', "(.[] | select(.x == 1) | .k) = 1", "(.[] | select(.x == 1) | .x) |= . + 1",
    "(.. | numbers) |= . + 1", "reduce range(0; length) as $i (.; .[$i].x |= . + 1)", "[foreach .[] as $r ({}; .[$r.k] = 1; 1)]",
    "[JOIN(INDEX(.id); .[]; .id | tostring)]",
]  # fmt: skip


@pytest.mark.parametrize("program", LINEAR)
def test_twice_the_items_take_twice_the_steps(program: str) -> None:
    """What libjq does in linear time costs steps in proportion, at most 25 an item."""
    spent = []
    compiled = compile_program(f"{program} | length")
    for count in (15_000, 30_000):
        budget = EvalBudget()
        list(compiled.run(ROWS[:count], (), budget))
        spent.append(1_000_000 - budget.steps)
    assert spent[1] < 25 * 30_000
    assert spent[1] < 2.2 * spent[0]


@pytest.mark.parametrize("program", [
    "reduce .[] as $r ({}; .[$r.k] = 1 | .all = (. | tojson | length))", "reduce .[] as $r ([]; [.[], $r.id])", "until(length < 2; .[1:])",
    "[foreach .[] as $r ({}; .[$r.k] = 1)] | length", "reduce .[] as $r ({s: []}; .s += [$r.id] | .seen = .s)", 'tojson | until(. == ""; .[1:])',
])  # fmt: skip
def test_what_is_quadratic_is_charged_for_it(program: str) -> None:
    """Where a state is kept or written out on every turn, copies are made and counted."""
    with pytest.raises(BudgetExceeded):
        outputs(program, ROWS)


def test_the_input_of_an_update_stays_as_it_was() -> None:
    """Parts of the record and of states that somebody kept are not changed by later turns."""
    value = {"a": {"b": [1]}, "c": [{"d": 1}]}
    before = json.dumps(value)
    assert outputs("[., (reduce range(3) as $i (.; .a.b += [$i] | .c[0].d += 1)), .]", value)[0][0] == json.loads(
        before
    )
    assert json.dumps(value) == before
    assert outputs("[foreach range(3) as $i ([]; . + [$i])]") == [[[0], [0, 1], [0, 1, 2]]]
    assert outputs("reduce range(3) as $i ({a: []}; .a += [$i] | .kept += [.a])") == [
        {"a": [0, 1, 2], "kept": [[0], [0, 1], [0, 1, 2]]}
    ]
    twice = 'null | (.a.b, .a, getpath(["a", 0, "b"])) |= if type == "object" then [., .] else (. // 1) + 1 end'
    assert outputs(twice) == [{"a": [{"b": 3}, {"b": 2}]}] == [jq.compile(twice).input_value(None).first()]


_TURNS = st.sampled_from([
    ".l += [$r.n]", ".l += [.a]", ".l[0] = .a", ".l[$r.n] = $r.k", ".l[0].n = $r.n", ".l |= . + [$r.o]", ".a.n += 1", ".a[$r.k] = $r.n", ".b = .a",
    ".b = .l", ".b |= [., .]", ".b[0] = 1", ".b.n = 1", ".a.l = .l", ".a.l += [1]", ".keep += [.a]", ".keep += [.l, $r.n]", ".keep[0].n = 5",
    ". as $s | .old = $s.a", ".a as $v | .b = $v", "$r.k as $v | .a[$v] = 1", ".a = {n: 1, o: .b}", ".a |= (.n += 1)", ".a |= (.m = .n | .n = $r.n)",
    ".b = (.a | .m = 1)", ". + {z: .a}", ". + {z: $r.o}", ".z.n = $r.n", ".z[$r.k].x += 1", 'setpath(["b"]; .l)', 'setpath(["a", "p"]; 1)', ".t = $first",
    ".t.l += [2]", ".l = $first.l", "del(.b)", "del(.l[0])", "if .a.n > 1 then .b = .l else .l += [1] end", "(.a, .z) = {n: 0}", "(.a, .b) |= [.]", ".q //= .a",
    ".q.n = 3", "(try (.a.n = 9 | error) catch .)", ".a = (.a // {})", ". // {}", ".l = (.l // [] | . + [$r.n])",
    ".l = (.l // []) + [$r.n]", ".l = .l + [$r.o]", ".g[$r.k] = (.g[$r.k] // {}) + {($r.k): $r.o}", ".a = (.a // {}) + {(.b | tojson): $r.o}", "$r.k as $v | .g[$v] = (.g[$v] // []) + [$r]", ".keep = .l + [.a]",
    ".g.a[0].e = 7", ".keep = (.keep // []) + [1]", ".o = $r.o", ".o.a.n = $r.n", ".",
    '(.. | select(type == "number")) |= . + 1', '(.. | select(type == "object")) |= (.e = 1)', ".l[1:] = [.a, .a]", ".l[1].n = 4", "(.a?, .b?) //= 1",
])  # fmt: skip
_UPDATES = st.lists(_TURNS, min_size=1, max_size=6).map(lambda turns: " | ".join(f"({turn})" for turn in turns))
_FOLDS = st.sampled_from([
    "{a: {n: 0}, l: [1]} as $first | reduce .[] as $r ($first; %s) | [., $first]", ".[0].o as $first | reduce .[] as $r ($first; %s)",
    "{l: [1]} as $first | [foreach .[] as $r ($first; %s)]", "{l: [1]} as $first | [foreach .[] as $r ($first; %s; [.a, $r.n])]",
    ".[0] as $r | $r.o as $first | [.[1].o | (., .) | %s]", ".[0] as $r | {} as $first | .[1].o | (.a, .b, .l, .a.b) |= (try (%s) catch 1)",
    "{} as $first | . as $all | reduce .[] as $r (null; %s) | [., $all]",
])  # fmt: skip
GIVEN: JSON = [
    {"k": "a", "n": 0, "o": {"l": [{"b": 1}, 2], "a": {"b": {"l": []}}}},
    {"k": "b", "n": 1, "o": {"l": [{"n": 1}, {"k": "a"}], "a": {"l": [1]}, "b": {"a": {}}, "k": "x"}},
    {"k": "a", "n": 2, "o": {"a": {"n": 5}, "l": []}},
    {"k": "x", "n": 1, "o": {"k": "b"}},
]


@settings(max_examples=500, deadline=None)
@given(_FOLDS, _UPDATES)
def test_random_updates_give_what_libjq_gives(fold: str, update: str) -> None:
    """Whatever an update keeps of its state, in values, variables and outputs: the oracle's answer, and the input as it was."""
    program = f"[{fold % update}]"
    try:
        compiled = compile_program(program)
    except JqProblem:
        return
    given_text = json.dumps(GIVEN)
    value = json.loads(given_text)
    budget = EvalBudget(steps=20_000)
    try:
        mine = compiled.one(value, (), budget)
    except BudgetExceeded:
        return
    except JqError:
        mine = "failed"
    assert json.dumps(value) == given_text
    try:
        theirs = jq.compile(program).input_text(given_text).first()
    except ValueError:
        theirs = "failed"
    assert mine == theirs
