"""What the rest of the rules builds on: the facts of a program, shared definitions, the seam."""

from __future__ import annotations

import pytest

from bridge.jq import NOT_CONSTANT, EvalBudget, JqError, JqProblem, compile_defs, compile_program, parse
from bridge.jq.emit.seam import Bound, Code, Generator, Scope, prefetch, scope_of

SINGLE = [
    (".a.b[0]", True), (".a // 1", True), ("[.[] | .a]", True), ("{a, b: (.c | length)}", True), (".a?", False),
    (".a? // 1", True), ("first(.[]) // null", True), ("select(.a)", False), ("empty", False), (".[]", False),
    ("if .a then 1 else .b end", True), ("if .a then 1 else empty end", False), ("1, 2", False), ("map(.a)", True),
    ('"\\(.a) \\(.b)"', True), ("try .a catch 1", True), ("reduce .[] as $x (0; . + $x)", True), (".a |= empty", True),
    (".a = (1, 2)", False), ("def f: .a; f", True), ("def f: if . > 3 then . else . + 1 | f end; f", True),
    ("error", True), ('test("a")', True), ("range(3)", False), (". as [$a] | $a", True), ("..", False),
]  # fmt: skip


@pytest.mark.parametrize(("program", "single"), SINGLE)
def test_single_programs_are_known(program: str, single: bool) -> None:
    """A program that always gives exactly one output, or an error, is known to."""
    assert compile_program(program).single is single


TYPES = [
    ("1", {"number"}), ('"a"', {"string"}), ("[.a]", {"array"}), ("{}", {"object"}), (".a == 1", {"boolean"}),
    ('.a // "x"', {"boolean", "number", "string", "array", "object"}), ("if .a then 1 else null end", {"number", "null"}),
    ("length", {"number"}), (".a | tostring", {"string"}), ('1, "a"', {"number", "string"}), ("map(.a)", {"array"}),
    ('"a\\(.b)"', {"string"}), ("@uri", {"string"}), (".a and .b", {"boolean"}), ("def f: 1; f", {"number"}),
]  # fmt: skip


@pytest.mark.parametrize(("program", "types"), TYPES)
def test_types_are_known_as_far_as_possible(program: str, types: set[str]) -> None:
    """The types that outputs can have."""
    found = compile_program(program).types
    assert types <= found
    if program != '.a // "x"' and not program.startswith("def"):
        assert found == types


def test_paths_constants_and_comparisons_are_known() -> None:
    """Plain paths, constants, and what a condition begins with."""
    assert compile_program('.a["b"][0]').paths == ("a", "b", 0)
    assert compile_program(".").paths == ()
    assert compile_program(".a?").paths is None
    assert compile_program('[1, {"a": "x"}]').constant == [1, {"a": "x"}]
    assert compile_program("1 + 2 * 3").constant == 7
    assert compile_program(".a").constant is NOT_CONSTANT
    assert compile_program('.type == "x" and .total > 0').comparison == (("type",), "x")
    assert compile_program('"x" == .a.b').comparison == (("a", "b"), "x")
    assert compile_program('.a == "x" or .b').comparison is None
    assert compile_program('.a != "x"').comparison is None


def test_variables_are_given_in_order_and_reads_are_known() -> None:
    """Arguments follow the names; only those that are read are named."""
    program = compile_program("[$b, $a, .x]", variables=("a", "b", "c"))
    assert program.one({"x": 3}, (1, 2, 9), EvalBudget()) == [2, 1, 3]
    assert program.reads == {"a", "b"}
    assert compile_program("1 as $a | $a", variables=("a",)).reads == frozenset()


def test_definitions_are_shared() -> None:
    """Functions of `defs` may use earlier ones and the variables of their surroundings, and may call themselves."""
    first = compile_defs("def total: map(.price) | add; def twice(f): f | f;", variables=("key",))
    second = compile_defs("def named: {key: $key, total: total}; def count($n): if $n < 1 then 0 else count($n - 1) + 1 end;",
                          variables=("key",), earlier=first)  # fmt: skip
    program = compile_program("[named, (1 | twice(. + 1)), count(3)]", variables=("key",), defs=second)
    assert program.one([{"price": 2}, {"price": 3}], ("k",), EvalBudget()) == [{"key": "k", "total": 5}, 3, 3]
    assert second.keys == {"total/0", "twice/1", "named/0", "count/1"}
    assert "key" in second.reads


def test_a_shared_function_may_call_itself_without_parameters() -> None:
    """A function of `defs` that takes nothing and calls itself compiles, and may be used by the next one."""
    defs = compile_defs(
        'def inner: if type == "array" then .[0] | inner else . end; def both: [inner, (.[1] | inner)];'
    )
    assert compile_program("both", defs=defs).one([[["x"]], ["y"]], (), EvalBudget()) == ["x", "y"]


REDEFINED = [
    ("def map(f): .;", "redefined", 4),
    ("def a: 1; def a: 2;", "redefined", 14),
    ("def a: b;", "unknown-function", 7),
    ("def a: $item;", "unknown-variable", 7),
    ("def a: 1; .x", "syntax", 10),
    ('def a: test("(?=x)");', "regex", 12),
    ('def a: strftime("%c");', "date-format", 16),
]


@pytest.mark.parametrize(("text", "code", "start"), REDEFINED)
def test_broken_definitions_are_reported_where_they_are(text: str, code: str, start: int) -> None:
    """A definition that is wrong is a problem of its own text, whether it is called or not."""
    with pytest.raises(JqProblem) as caught:
        compile_defs(text, variables=("key",))
    assert (caught.value.code, caught.value.start) == (code, start)


def test_a_program_may_not_redefine_what_is_shared_but_its_own_names_are_its_own() -> None:
    """Inside an expression a `def` may use any name; it ends with the expression."""
    assert list(compile_program("def map(f): 5; map(1)").run(None, (), EvalBudget())) == [5]
    assert list(compile_program("[1] | map(. + 1)").run(None, (), EvalBudget())) == [[2]]


def test_several_expressions_become_one_function() -> None:
    """The seam: expressions written into a function of the caller's, fields that they share read once."""
    code = Code()
    nodes = [parse(".a.b + $k"), parse('"\\(.a.c)!"'), parse("[.items[] | {sku}]")]
    with code.function("rule(v, k, B)"):
        generator = Generator(code)
        defs = compile_defs("def unused: 1;")
        scope = scope_of(generator, {"k": Bound("k")}, defs)
        prefetch(generator, nodes, scope, "v")
        names = [generator.one(node, scope, "v") for node in nodes]
        code.line(f"return ({', '.join(names)})")
    text = code.text()
    rule = code.build("rule")
    value = {"a": {"b": 1, "c": "x"}, "items": [{"sku": 5, "z": 1}]}
    assert rule(value, 10, EvalBudget()) == (11, "x!", [{"sku": 5}])
    assert text.count("('a')") == 1
    with pytest.raises(JqError):
        rule({"a": 1}, 10, EvalBudget())


def test_one_expression_is_emitted() -> None:
    """A single expression leaves the name of its value, with no names but the built-ins in scope."""
    code = Code()
    with code.function("rule(record, B)"):
        code.line(f"return {Generator(code).one(parse('.a // 5'), Scope.empty(), 'record')}")
    rule = code.build("rule")
    assert (rule({"a": 1}, EvalBudget()), rule({}, EvalBudget())) == (1, 5)


def test_user_text_never_becomes_code() -> None:
    """Names, keys and texts of a program cannot reach Python."""
    nasty = "x'); import os; os.abort() #"
    assert list(compile_program(f'{{"{nasty}": "{nasty}"}} | keys[0]').run(None, (), EvalBudget())) == [nasty]
    assert list(compile_program(f'.["{nasty}"]').run({nasty: 1}, (), EvalBudget())) == [1]
    assert list(compile_program("def __import__: 5; __import__ as $B | $B").run(None, (), EvalBudget())) == [5]
    assert list(compile_program(".__class__.__init__?").run({}, (), EvalBudget())) == [None]


def test_outputs_are_limited() -> None:
    """More outputs than the budget allows end the run."""
    budget = EvalBudget(outputs=3)
    found = []
    with pytest.raises(JqError):
        for output in compile_program("range(10)").run(None, (), budget):
            found.append(output)
    assert found == [0, 1, 2]
