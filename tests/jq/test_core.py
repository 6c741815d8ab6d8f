"""The core: nothing is left out of its tables, and what it knows of an expression is true."""

from __future__ import annotations

import pytest

from bridge.jq import BudgetExceeded, EvalBudget, compile_defs, compile_program, core_nodes as kinds, parse, tojson_text
from bridge.jq.builtins import BUILTINS
from bridge.jq.core_nodes import MANY, MAYBE, ONE
from bridge.jq.emit.builtins import WRITTEN
from bridge.jq.emit.kinds import TABLES
from bridge.jq.emit.seam import Code, Generator, Scope, reads
from bridge.jq.facts import FACTS
from bridge.jq.lower import LOWER
from bridge.jq.runtime.budget import STEPS
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax import nodes
from tests.jq.given import outputs, problem

VALUE: JSON = {"a": [{"b": 1, "c": [1, 2]}, {"b": None}], "d": {"e": "x"}, "n": 5, "t": "text", "f": False}


def test_every_kind_of_node_is_in_every_table() -> None:
    """What the parser gives can be lowered; what lowering gives has facts and code; so has every built-in of its own."""
    tree = {kind for kind in vars(nodes).values() if isinstance(kind, type) and issubclass(kind, nodes.Node)}
    core = {kind for kind in vars(kinds).values() if isinstance(kind, type) and issubclass(kind, kinds.Core)}
    assert set(LOWER) == tree - {nodes.Node, nodes.Function}
    assert set(FACTS) == set(TABLES.each) == core - {kinds.Core}
    assert TABLES.values | set(TABLES.branches) <= core
    assert set(WRITTEN) == {key for key, builtin in BUILTINS.items() if builtin.written}


def test_every_built_in_means_something() -> None:
    """A row of the table has exactly one meaning: Python, jq, made of constants, or code of its own."""
    for builtin in BUILTINS.values():
        meanings = [builtin.run, builtin.definition, builtin.prepare]
        found = sum(meaning is not None for meaning in meanings)
        assert found == 1 or (found == 0 and builtin.written), builtin.key


PATHS = [
    ".", ".a", ".a[0].b", ".a[].b", ".a[1:]", ".a[.n - 5].c[0, 1]", "..", ".a[] | select(.b == 1)", ".d.e // .t", ".zz // .t",
    "if .f then .a else .d end", "(.a, .d) | .e?", "first(.a[])", "limit(1; .a[])", "skip(1; .a[])", "recurse(.[]?)",
    'getpath(["d", "e"])', ".n as $n | .a[$n - 5]", "label $out | .a[] | (., break $out)", ".t.x?", ".a[]?.c",
    "def f: .a; f[0]", "def f(g): g | g?; f(.a, .d)", 'def f: if type == "object" then .d | f else . end; f',
    'def f(g): if type == "array" then . else g | f(g) end; f(.a)', "empty", ".t | .[1:2]", "(.a[0], .zz)?",
]  # fmt: skip


@pytest.mark.parametrize("program", PATHS)
def test_what_is_at_the_paths_are_the_outputs(program: str) -> None:
    """An expression gives the same values in the same order when its paths are asked for."""
    paths = outputs(f"path({program})", VALUE)
    at_paths = [outputs(f"getpath({tojson_text(path)})", VALUE)[0] for path in paths]
    assert at_paths == outputs(program, VALUE)


COUNTS = [
    ("def f: .a; f", ONE), ("def f(g): g; f(.a[])", MANY), ("def f(g): g; f(.a?)", MAYBE), ("def f($x): $x; f(1, 2)", MANY),
    ("def f: if . then . else 1 | f end; f", ONE), ("def f: if . then empty else 1 | f end; f", MAYBE),
    ("def f: ., f; f", MANY), ("map(.a)", ONE), ("any(.a[]; .b)", ONE), ("until(.; true)", ONE), ("while(.; false)", MANY),
    ('sub("a"; "b")', ONE), ('sub("a"; "b", "c")', MANY), ('strftime("%Y")', ONE),
]  # fmt: skip


@pytest.mark.parametrize(("program", "count"), COUNTS)
def test_outputs_are_counted_through_calls(program: str, count: int) -> None:
    """How many outputs a call has follows from its body and its arguments, also where a function calls itself."""
    assert Generator(Code()).count(parse(program), Scope.empty()) == count


READS = [
    (".a + .b", ("b", "a")), ("{x: .a, y: (.b | .c)}", ("a", "b")), (".a // .b", ("a",)), ("if .a then .b else .c end", ("a",)),
    ('"\\(.a) \\(.b)"', ("a", "b")), (".a?", ()), ("def f: .a; f", ()), ("[.a.b, .c[0]]", ("a", "c")), ("length", ()),
]  # fmt: skip


@pytest.mark.parametrize(("program", "keys"), READS)
def test_fields_that_are_always_read_are_known(program: str, keys: tuple[str, ...]) -> None:
    """Only what is read whatever happens, so that reading it early cannot change what fails."""
    assert sorted(reads(parse(program), Scope.empty())) == sorted(keys)


ROWS: JSON = [{"a": 1, "b": [1, 2, 3]}, {"a": 2, "b": [4, 5, 6]}]
CHARGES = [
    ("first |= 1", 2), (".[0] |= 1", 0), ("map(.a)", 2), ("[.[] | .a, .b]", 2), ("def m(f): [.[] | f]; m(.a, .b)", 12),
    ("def m(f): [.[] | f]; m(.a)", 2), ("reduce .[] as $x ([]; . + [$x.b])", 13), ("to_entries", 2), ("[.[] | .b[]] | add", 14),
    ("[limit(1; .[])]", 8), ('def f: if type == "array" then .[0] | f else . end; f', 7), ("del(.[0].a)", 5), ("[..]", 53),
    ("|".join([".[0]"] + ["."] * 70), 5),
]  # fmt: skip


@pytest.mark.parametrize(("program", "steps"), CHARGES)
def test_what_is_charged_does_not_change(program: str, steps: int) -> None:
    """The steps of an expression are part of what a record gives: a limit must not move with the code that is written."""
    budget = EvalBudget()
    outputs(program, ROWS, budget)
    assert STEPS - budget.steps == steps


def test_a_large_shared_function_is_weighed() -> None:
    """The results of a function of `defs` that is written once are counted part by part."""
    defs = compile_defs(f"def large: {{{', '.join(f'k{at}: .[{at}]' for at in range(30))}}};")
    budget = EvalBudget()
    compile_program("large", defs=defs).one([[1, 2]], (), budget)
    assert STEPS - budget.steps == 33


def test_calls_are_counted_where_they_are_written() -> None:
    """An argument that is a recursive call nests no deeper for being used inside another recursive function."""
    program = "def d: if . > 0 then (. - 1 | d) + 0 else 0 end; def g(x): if . > 0 then (. - 1 | g(x)) + 0 else x end; g(600 | d)"
    assert outputs(program, 600) == [0]
    with pytest.raises(BudgetExceeded, match="call themselves more than 1000 deep"):
        outputs("def f: 1 + f; f")


ORDERS = [
    ('try {a: ("first" | error), b: (.k + .j)} catch .', 5, "first"),
    ('def f: {a: ("first" | error), b: (.k + .j), c: ' + "1 + " * 40 + "1}; try f catch .", 5, "first"),
    (
        'def f: {a: ("first" | error), b: (.k + .j), c: (if . then . else f end)}; if . == 0 then f else try f catch . end',
        5,
        "first",
    ),
    ('try @tsv "\\(.name) \\(12345)" catch .', 5, "number (12345) cannot be tsv-formatted, only array"),
    ("try path(1 | select(true)) catch .", 5, "Invalid path expression with result 1"),
    ("try path(1 | first(., 2)) catch .", 5, "Invalid path expression with result 1"),
]


@pytest.mark.parametrize(("program", "value", "message"), ORDERS)
def test_the_first_error_is_the_one_that_is_caught(program: str, value: JSON, message: str) -> None:
    """Reading fields early must not change which error a `try` sees."""
    assert outputs(program, value) == [message]


@pytest.mark.parametrize("program", ['def p: "a"; test(p)', 'def p(f): "a"; test(p(1))', 'test(def p: .; "a")'])
def test_what_a_function_gives_is_no_constant(program: str) -> None:
    """A pattern is written where it is used, so that what is wrong in it is told where it stands."""
    assert problem(program).code == "not-constant"


def test_loops_may_nest_deeper_than_python_allows() -> None:
    """Thirty loops in each other become several Python functions."""
    value: JSON = 7
    for _ in range(30):
        value = [value]
    assert outputs("|".join([".[]"] * 30), value) == [7]
    assert outputs(f"[path({'|'.join(['.[]'] * 30)})] | length", value) == [1]
