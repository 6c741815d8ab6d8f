"""What is known of an expression before it runs, written on its core node from the leaves up.

`known(node)` gives a node its facts from those of its parts. `growth` is about values that are far larger, written out,
than what they were made from: values share their parts, so `[., .]` costs nothing; but forty of them in a row make a
value with 2^40 leaves, and whoever serialises it is lost. An expression that may do so (`swells`) has its results counted
against the budget; the usual mappings cannot, and are not slowed down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, TypeVar

from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NOT_CONSTANT, NUMBER, OBJECT, STRING, Builtin
from bridge.jq.core_nodes import (
    MANY,
    MAYBE,
    ONE,
    UNKNOWN,
    Alternative,
    Assign,
    Binary,
    Bind,
    Break,
    Collect,
    Comma,
    Const,
    Core,
    Define,
    Facts,
    Fold,
    Function,
    Growth,
    If,
    Input,
    Invoke,
    Label,
    Logic,
    Native,
    Object,
    Pipe,
    Special,
    Step,
    Text,
    Try,
    Variable,
    pattern_keys,
)
from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import OPERATORS
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.values import JSON, type_name
from bridge.jq.syntax import nodes as syntax

N = TypeVar("N", bound=Core)

_LARGEST = 10_000
"""A constant computed at compile time has at most so many characters and elements."""
MOST = 500.0
"""Larger by this factor is still harmless."""
DEEPEST = 60
"""How deep an expression may be for its growth to be looked at."""
_INPUT = Growth(1.0, 0.0)
_CONSTANT = Growth(0.0, 1.0)
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_NOTHING: frozenset[str] = frozenset()


def known(node: N) -> N:
    """The node, which was just made, with its facts."""
    object.__setattr__(node, "facts", FACTS[type(node)](node))
    return node


def swells(facts: Facts) -> bool:
    """Whether results may be far larger than the input."""
    return facts.growth.deep > DEEPEST or not facts.growth.most <= MOST


def of_call(result: N, facts: Facts | None = None, **changed: Any) -> N:
    """The node as what a call stands for: what is around it looks at `facts`, never inside."""
    base = result.facts if facts is None else facts
    growth = base.growth._replace(deep=base.growth.deep + 1)
    whole = growth if base.outputs == ONE else UNKNOWN
    call = {"growth": growth, "collected": whole, "reads": (), "variables": False, "called": True}
    return replace(result, facts=replace(base, **{**call, **changed}))


def of_builtin(result: N, builtin: Builtin, args: Sequence[Facts], outputs: int) -> N:
    """The node as what a call of a built-in stands for."""
    growth = _builtin_growth(builtin, args)
    return of_call(
        result,
        outputs=outputs,
        types=builtin.types,
        constant=NOT_CONSTANT,
        growth=growth,
        collected=growth if outputs == ONE else _INPUT if builtin.key in _PARTS else UNKNOWN,
        reads=_keys(args) if builtin.run is not None else (),
        variables=any(arg.variables for arg in args),
    )


def most(nodes: Iterable[Core]) -> int:
    """How many outputs there are of expressions whose outputs are combined."""
    return max((node.facts.outputs for node in nodes), default=ONE)


def _added(parts: Iterable[Growth]) -> Growth:
    found = list(parts)
    if not found:
        return _CONSTANT
    return Growth(sum(part.dot for part in found), sum(part.other for part in found), _deeper(*found))


def _largest(*parts: Growth) -> Growth:
    return Growth(max(part.dot for part in parts), max(part.other for part in parts), _deeper(*parts))


def _after(left: Growth, right: Growth) -> Growth:
    dot = right.dot * left.dot if right.dot and left.dot else 0.0
    other = (right.dot * left.other if right.dot and left.other else 0.0) + right.other
    return Growth(dot, other, _deeper(left, right))


def _deeper(*parts: Growth) -> int:
    return 1 + max(part.deep for part in parts)


def _reads(nodes: Iterable[Core]) -> tuple[str, ...]:
    return _keys(node.facts for node in nodes)


def _keys(parts: Iterable[Facts]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for part in parts for key in part.reads))


def _variables(nodes: Iterable[Core]) -> bool:
    return any(node.facts.variables for node in nodes)


def _facts(
    parts: tuple[Core, ...],
    growth: Growth,
    types: frozenset[str] = ANY,
    *,
    outputs: int | None = None,
    collected: Growth = UNKNOWN,
    constant: JSON = NOT_CONSTANT,
    reads: tuple[str, ...] = (),
) -> Facts:
    """The facts of a node with these parts; its outputs are all combinations of theirs, unless given."""
    count = most(parts) if outputs is None else outputs
    whole = growth if count == ONE else collected
    return Facts(count, types, constant, growth, whole, reads, _variables(parts))


def _text(node: Text) -> Facts:
    parts = tuple(part for part in node.parts if isinstance(part, Core))
    return _facts(parts, _INPUT, STRING, reads=_reads(parts))


def _step(node: Step) -> Facts:
    parts = (*node.keys, node.target)
    target = node.target.facts
    growth = target.growth._replace(deep=target.growth.deep + 1)
    reads = target.reads
    if node.kind == "key" and type(node.target) is Input:
        key = node.keys[0].facts.constant
        reads = (key,) if type(key) is str and not node.optional else ()
    if node.kind == "each":
        return _facts(parts, growth, outputs=MANY, collected=growth, reads=reads)
    return _facts(parts, growth, outputs=max(most(parts), MAYBE if node.optional else ONE), reads=reads)


def _collect(node: Collect) -> Facts:
    values = [part.facts.constant for part in node.parts]
    constant = NOT_CONSTANT if any(value is NOT_CONSTANT for value in values) else values
    growth = _added(part.facts.collected for part in node.parts)
    return _facts(node.parts, growth, ARRAY, outputs=ONE, constant=constant, reads=_reads(node.parts))


def _object(node: Object) -> Facts:
    constant: JSON = {}
    for key, value in node.entries:
        name, part = key.facts.constant, value.facts.constant
        if type(name) is not str or part is NOT_CONSTANT:
            constant = NOT_CONSTANT
            break
        constant[name] = part
    values = [value for _, value in node.entries]
    parts = tuple(part for entry in node.entries for part in entry)
    growth = _added(value.facts.growth for value in values)
    return _facts(parts, growth, OBJECT, constant=constant, reads=_reads(values))


def _pipe(node: Pipe) -> Facts:
    left, right = node.left.facts, node.right.facts
    collected = UNKNOWN
    if isinstance(node.left, Step) and node.left.kind == "each" and not left.called:
        whole = node.left.target.facts.growth
        if _scalar(right):
            dot = whole.dot * max(right.collected.dot, 1.0)
            collected = Growth(dot, whole.other, _deeper(whole, right.collected))
    elif left.outputs != MANY:
        collected = _after(left.growth, right.collected)
    growth = _after(left.growth, right.growth)
    return _facts((node.left, node.right), growth, right.types, collected=collected, reads=left.reads)


def _scalar(each: Facts) -> bool:
    """Whether an expression for each element takes nothing large from elsewhere."""
    return not each.collected.other or each.constant is not NOT_CONSTANT or not each.variables


def _comma(node: Comma) -> Facts:
    growth = _largest(*(part.facts.growth for part in node.parts))
    collected = _added(part.facts.collected for part in node.parts)
    types = frozenset().union(*(part.facts.types for part in node.parts))
    return _facts(node.parts, growth, types, outputs=MANY, collected=collected, reads=_reads(node.parts))


def _binary(node: Binary) -> Facts:
    left, right = node.left.facts, node.right.facts
    growth = _added((left.growth, right.growth)) if node.op in "+-*/" else _CONSTANT
    parts = (node.left, node.right)
    return _facts(parts, growth, _arithmetic(node), constant=_computed(node), reads=_reads(parts))


def _arithmetic(node: Binary) -> frozenset[str]:
    if node.op in _COMPARISONS:
        return BOOLEAN
    left, right = node.left.facts.types, node.right.facts.types
    if left == right == NUMBER or node.op == "%":
        return NUMBER
    if node.op == "+":
        return (right if "null" in left else _NOTHING) | (left if "null" in right else _NOTHING) | (left & right)
    both = left & right
    if node.op == "/":
        return (NUMBER if "number" in both else _NOTHING) | (ARRAY if "string" in both else _NOTHING)
    if node.op == "-":
        return (NUMBER if "number" in both else _NOTHING) | (ARRAY if "array" in both else _NOTHING)
    return ANY


def _computed(node: Binary) -> JSON:
    operate = OPERATORS.get(node.op)
    left, right = node.left.facts.constant, node.right.facts.constant
    if operate is None or left is NOT_CONSTANT or right is NOT_CONSTANT:
        return NOT_CONSTANT
    try:
        return operate(left, right, EvalBudget(steps=_LARGEST, text=_LARGEST))
    except JqError:
        return NOT_CONSTANT


def _alternative(node: Alternative) -> Facts:
    left, right = node.left.facts, node.right.facts
    outputs = right.outputs if left.outputs != MANY else MANY
    types = (left.types - {"null"}) | right.types
    growth = _largest(left.growth, right.growth)
    return _facts((node.left, node.right), growth, types, outputs=outputs, reads=left.reads)


def _if(node: If) -> Facts:
    then, otherwise = node.then.facts, node.otherwise.facts
    return _facts(
        (node.condition, node.then, node.otherwise),
        _largest(then.growth, otherwise.growth),
        then.types | otherwise.types,
        collected=_largest(then.collected, otherwise.collected),
        reads=node.condition.facts.reads,
    )


def _try(node: Try) -> Facts:
    body = node.body.facts
    if node.handler is None:
        growth = _largest(body.growth, _CONSTANT)
        return _facts((node.body,), growth, body.types, outputs=max(body.outputs, MAYBE))
    handler = node.handler.facts
    growth = _largest(body.growth, handler.growth)
    return _facts((node.body, node.handler), growth, body.types | handler.types)


def _bind(node: Bind) -> Facts:
    keys = tuple(key for pattern, _ in node.takes for key in pattern_keys(pattern))
    bodies = tuple(body for _, body in node.takes)
    source, body = node.source.facts, bodies[0].facts
    parts = (node.source, *keys, *bodies)
    other = body.growth.other * max(source.growth.most, 1.0) if body.growth.other else 0.0
    growth = Growth(body.growth.dot, other, _deeper(source.growth, body.growth))
    return _facts(parts, growth, outputs=MANY if len(bodies) > 1 else None, reads=source.reads)


def _fold(node: Fold) -> Facts:
    parts = (node.source, node.initial, node.update, *([] if node.extract is None else [node.extract]))
    return _facts(parts, UNKNOWN, outputs=node.initial.facts.outputs if node.extract is None else MANY)


def _assign(node: Assign) -> Facts:
    right = node.right.facts
    growth = UNKNOWN
    if node.op == "|=":
        growth = Growth(1.0 + right.growth.dot, 0.0 if right.growth.other <= 1.0 else inf, _deeper(right.growth))
    elif node.left.facts.outputs == ONE:
        growth = _added((_INPUT, right.growth))
    return _facts((node.left, node.right), growth, outputs=ONE if node.op == "|=" else right.outputs)


def _label(node: Label) -> Facts:
    return _facts((node.body,), UNKNOWN, outputs=max(MAYBE, node.body.facts.outputs))


def _invoke(node: Invoke) -> Facts:
    function = node.function
    if not isinstance(function, Function):
        return _facts((), UNKNOWN, outputs=MANY)
    values = [arg for (_, value), arg in zip(function.params, node.args, strict=True) if value is not None]
    body = None if function.recursive or function.shared else function.body
    inside = UNKNOWN if body is None else body.facts.growth
    return _facts(node.args, inside, outputs=max(most(values), function.outputs))


FACTS: Mapping[type[Core], Callable[[Any], Facts]] = {
    Input: lambda _: Facts(ONE, ANY, NOT_CONSTANT, _INPUT, _INPUT),
    Const: lambda node: Facts(ONE, frozenset((type_name(node.value),)), node.value, _CONSTANT, _CONSTANT),
    Variable: lambda node: Facts(ONE, ANY, node.binding.constant, _CONSTANT, _CONSTANT, variables=True),
    Text: _text,
    Step: _step,
    Collect: _collect,
    Object: _object,
    Pipe: _pipe,
    Comma: _comma,
    Binary: _binary,
    Logic: lambda node: _facts((node.left, node.right), _CONSTANT, BOOLEAN, reads=node.left.facts.reads),
    Alternative: _alternative,
    If: _if,
    Try: _try,
    Bind: _bind,
    Fold: _fold,
    Assign: _assign,
    Label: _label,
    Break: lambda _: Facts(MAYBE),
    Native: lambda node: _facts(node.args, UNKNOWN, reads=_reads(node.args)),
    Special: lambda node: _facts(node.args, UNKNOWN),
    Define: lambda node: node.body.facts,
    Invoke: _invoke,
}


def path_of(node: syntax.Node) -> tuple[str | int, ...] | None:
    """The keys of a plain path such as `.a.b[0]`, as it is written, else None."""
    if isinstance(node, syntax.Identity):
        return ()
    if isinstance(node, syntax.Pipe):
        left, right = path_of(node.left), path_of(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, syntax.Index) and not node.optional and isinstance(node.key, syntax.Literal):
        target = path_of(node.target)
        key = node.key.value
        return None if target is None or type(key) not in (str, int) else (*target, key)
    return None


_SAME = frozenset([
    "to_entries/0", "from_entries/0", "sort/0", "unique/0", "reverse/0", "keys/0", "keys_unsorted/0", "min/0",
    "max/0", "add/0", "flatten/0", "flatten/1", "transpose/0", "first/0", "last/0", "nth/1", "getpath/1",
    "sort_by/1", "group_by/1", "unique_by/1", "min_by/1", "max_by/1", "select/1", "values/0", "nulls/0",
    "numbers/0", "strings/0", "booleans/0", "arrays/0", "objects/0", "iterables/0", "scalars/0", "del/1",
    "delpaths/1", "pick/1", "fromjson/0", "split/1", "split/2", "splits/1", "splits/2", "scan/1", "scan/2",
    "match/1", "match/2", "capture/1", "capture/2", "explode/0", "indices/1", "gmtime/0", "strptime/1", "recurse/0",
    "empty/0", "error/0", "error/1", "path/1", "paths/0", "paths/1", "join/1", "abs/0", "ltrimstr/1", "rtrimstr/1",
    "trimstr/1",
])  # fmt: skip
"""Built-ins whose outputs are no larger than their input, though they may be arrays or objects."""
_PARTS = frozenset(("select/1", "values/0", "splits/1", "splits/2", "scan/1", "range/1", "range/2"))
"""Built-ins all of whose outputs together are no larger than their input."""
_LAST = {"first/1": 0, "last/1": 0, "limit/2": 1, "skip/2": 1, "nth/2": 1}
"""Built-ins that pass on outputs of this argument."""
_EACH = frozenset(("map/1", "map_values/1", "with_entries/1"))


def _builtin_growth(builtin: Builtin, args: Sequence[Facts]) -> Growth:
    if not builtin.types & (ARRAY | OBJECT) or builtin.key in _SAME:
        return _INPUT
    if builtin.key in _LAST:
        passed = args[_LAST[builtin.key]].growth
        return passed._replace(deep=passed.deep + 1)
    if builtin.key in _EACH:
        each = args[0]
        return Growth(max(each.collected.dot, 1.0), 0.0, each.collected.deep + 1) if _scalar(each) else UNKNOWN
    if builtin.key == "setpath/2":
        return _added((_INPUT, args[1].growth))
    return UNKNOWN
