"""Expressions that give several values where one is wanted: `.items[].sku` without [ ] around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal

from bridge.findings import Codes, Finding, FindingCode
from bridge.jq.builtins import BUILTINS
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Binary,
    Bind,
    Call,
    Comma,
    Define,
    Foreach,
    If,
    Iterate,
    Node,
    Pipe,
    Reduce,
    Try,
    children,
)
from bridge.rules.lint.contexts import Placed
from bridge.rules.lint.types import Around

__all__ = ["CODES", "count_findings"]

CODES: Final[Codes] = {
    "R052": FindingCode(
        "An expression that gives several values where one is wanted.",
        "Write `[…]` for a list, `first(…)`, or `any(…; …)` in a condition.",
        "properties: {skus: '${ .items[].sku }'}",
    ),
}

Count = Literal[0, 1, 2, 3]
"""How many outputs there are: at most one or not known; several, some of them chosen; several; always several."""
_ONE: Final[Count] = 0
_CHOSEN: Final[Count] = 1
_MANY: Final[Count] = 2
_ALWAYS: Final[Count] = 3
_ANY_NUMBER: Final = 2
_COLLECTS: Final = frozenset(
    ("first/1", "last/1", "any/1", "any/2", "all/1", "all/2", "isempty/1", "add/1", "IN/1", "IN/2", "INDEX/2", "nth/2")
)
_FEW: Final = frozenset(
    ("match/1", "match/2", "capture/1", "capture/2", "scan/1", "scan/2", "splits/1", "splits/2", "limit/2", "skip/2")
)


def count_findings(place: Placed) -> Iterator[Finding]:
    """Find an expression that has an output for each element, where one value is wanted."""
    if place.expression.label == "for_each":
        return
    node = place.expression.program.node
    count = _count(node, place.around)
    if count == _ONE:
        return
    call = _with_comma(node)
    if call is not None and count == _ALWAYS:
        message = f"the `,` gives `{call.name}` two values, one after the other: the result is two values"
        hint = "arguments are divided by `;`"
        if f"{call.name}/{len(call.args) + 1}" not in BUILTINS:
            hint = f"`{call.name}` takes one value; what it works on comes from the left: `… | {call.name}(…)`"
        yield place.finding("R052", call.start, call.end, message, hint)
        return
    shown = " ".join(place.shown(node).split())[:80]
    if place.expression.label == "when":
        hint = "join conditions with `and` or `or`"
        if isinstance(node, Binary) and node.op == "==" and isinstance(node.right, Comma):
            left, right = place.shown(node.left), place.shown(node.right)
            hint = f"write `{left} | IN({right.removeprefix('(').removesuffix(')')})`"
        elif not isinstance(node, Comma):
            hint = "for one of them write `any(.items[]; .qty > 1)`, for each of them `all(…; …)`"
    elif place.expression.label.startswith(("properties", "attachments")) and place.alone:
        hint = f"write `[{shown}]` for a list, or `first({shown})`"
    else:
        hint = f"write `first({shown})`, or use for_each for an event each"
    if count == _ALWAYS:
        message = "this always gives several values, where one is wanted"
    else:
        message = "this gives a value for each element, where one is wanted: for two or more it fails"
    yield place.finding("R052", node.start, node.end, message, hint, warning=count == _CHOSEN)


def _with_comma(node: Node) -> Call | None:
    """Find a call with a `,` between what were meant as two arguments."""
    if isinstance(node, Call) and any(isinstance(argument, Comma) for argument in node.args):
        return node
    return next((found for child in children(node) if (found := _with_comma(child)) is not None), None)


def _count(node: Node, around: Around) -> Count:
    rule = _RULES.get(type(node))
    if rule is not None:
        return rule(node, around)
    return _most(_count(child, around) for child in children(node))


def _most(counts: Iterator[Count]) -> Count:
    return max(counts, default=_ONE)


def _iterate(node: Node, around: Around) -> Count:
    assert isinstance(node, Iterate)
    return _MANY


def _comma(node: Node, around: Around) -> Count:
    assert isinstance(node, Comma)
    empty = any(isinstance(side, Call) and side.key == "empty/0" for side in (node.left, node.right))
    return _CHOSEN if empty or _selects(node) else _ALWAYS


def _pipe(node: Node, around: Around) -> Count:
    assert isinstance(node, Pipe)
    left, right = _count(node.left, around), _count(node.right, around)
    return _CHOSEN if left and _selects(node.right) and right < _ALWAYS else max(left, right)


def _selects(node: Node) -> bool:
    if isinstance(node, Call) and node.key in (
        "select/1",
        "values/0",
        "strings/0",
        "numbers/0",
        "objects/0",
        "empty/0",
    ):
        return True
    return any(map(_selects, children(node)))


def _alternative(node: Node, around: Around) -> Count:
    assert isinstance(node, Alternative)
    return max(_count(node.left, around), _count(node.right, around))


def _if(node: Node, around: Around) -> Count:
    assert isinstance(node, If)
    sides = [_count(node.then, around), _ONE if node.otherwise is None else _count(node.otherwise, around)]
    condition = _count(node.condition, around)
    return condition or min(_MANY, max(sides))


def _bind(node: Node, around: Around) -> Count:
    assert isinstance(node, Bind)
    return max(_count(node.source, around), _count(node.body, around))


def _define(node: Node, around: Around) -> Count:
    assert isinstance(node, Define)
    known = {**around.functions, node.function.key: node.function}
    return _count(node.rest, replace(around, functions=known))


def _try(node: Node, around: Around) -> Count:
    assert isinstance(node, Try)
    return _count(node.body, around)


def _call(node: Node, around: Around) -> Count:
    assert isinstance(node, Call)
    if node.key in around.functions:
        function = around.functions[node.key]
        if function is None or function.params or around.depth >= 4:
            return _ONE
        return _count(function.body, replace(around, depth=around.depth + 1))
    builtin = BUILTINS.get(node.key)
    if builtin is None or node.key in _COLLECTS:
        return _ONE
    if node.key in _FEW:
        return _ONE if node.key in ("match/1", "capture/1") else _CHOSEN
    if builtin.definition is not None:
        return _ONE
    arguments = [_count(argument, around) for argument in node.args]
    if builtin.count is None:
        return _most(iter(arguments))
    several = builtin.count([_ANY_NUMBER if count else 0 for count in arguments]) == _ANY_NUMBER
    return max(_MANY, _most(iter(arguments))) if several else _ONE


_Rule = Callable[[Node, Around], Count]
_RULES: Final[Mapping[type[Node], _Rule]] = {
    Iterate: _iterate,
    Comma: _comma,
    Pipe: _pipe,
    Alternative: _alternative,
    If: _if,
    Bind: _bind,
    Define: _define,
    Try: _try,
    Call: _call,
    Array: lambda _node, _around: _ONE,
    Reduce: lambda _node, _around: _ONE,
    Foreach: lambda _node, _around: _MANY,
}
