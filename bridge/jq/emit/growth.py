"""Which expressions may make values far larger, written out, than what they were made from.

Values share their parts, so `[., .]` costs nothing; but forty of them in a row make a value with 2^40 leaves, and whoever
serialises it is lost. An expression that may do so has its results counted against the budget (`weigh`); the usual
mappings cannot, and are not slowed down.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from bridge.jq.builtins import BUILTINS
from bridge.jq.builtins.table import ARRAY, OBJECT
from bridge.jq.emit.analysis import MANY, ONE, Analysis
from bridge.jq.emit.constants import constant_of
from bridge.jq.emit.scope import NOT_CONSTANT, Closure, Macro, Scope
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Assign,
    Binary,
    Bind,
    Call,
    Comma,
    Define,
    Format,
    Identity,
    If,
    Index,
    Iterate,
    Literal,
    Logic,
    Negate,
    Node,
    Object,
    Pipe,
    Slice,
    Text,
    Try,
    Variable,
)

MOST = 500.0
"""Larger by this factor is still harmless."""
_DEEPEST = 60
_SAME = frozenset(
    [
        "to_entries/0",
        "from_entries/0",
        "sort/0",
        "unique/0",
        "reverse/0",
        "keys/0",
        "keys_unsorted/0",
        "min/0",
        "max/0",
        "add/0",
        "flatten/0",
        "flatten/1",
        "transpose/0",
        "first/0",
        "last/0",
        "nth/1",
        "getpath/1",
        "sort_by/1",
        "group_by/1",
        "unique_by/1",
        "min_by/1",
        "max_by/1",
        "select/1",
        "values/0",
        "nulls/0",
        "numbers/0",
        "strings/0",
        "booleans/0",
        "arrays/0",
        "objects/0",
        "iterables/0",
        "scalars/0",
        "del/1",
        "delpaths/1",
        "pick/1",
        "fromjson/0",
        "split/1",
        "split/2",
        "splits/1",
        "splits/2",
        "scan/1",
        "scan/2",
        "match/1",
        "match/2",
        "capture/1",
        "capture/2",
        "explode/0",
        "indices/1",
        "gmtime/0",
        "strptime/1",
        "recurse/0",
        "empty/0",
        "error/0",
        "error/1",
        "path/1",
        "paths/0",
        "paths/1",
        "join/1",
        "abs/0",
        "ltrimstr/1",
        "rtrimstr/1",
        "trimstr/1",
    ]
)
_LAST = {"first/1": 0, "last/1": 0, "limit/2": 1, "skip/2": 1, "nth/2": 1}
"""Built-ins that pass on outputs of this argument."""


class Factor(NamedTuple):
    """A result is at most `dot` times the input and `other` times the variables."""

    dot: float
    other: float

    @property
    def most(self) -> float:
        """The sum."""
        return self.dot + self.other


_CONSTANT = Factor(0.0, 1.0)
_UNKNOWN = Factor(inf, inf)
_INPUT = Factor(1.0, 0.0)


def swells(node: Node, scope: Scope, analysis: Analysis) -> bool:
    """Whether results may be far larger than the input."""
    return not _factor(node, scope, analysis, _DEEPEST).most <= MOST


def _added(factors: list[Factor]) -> Factor:
    return Factor(sum(factor.dot for factor in factors), sum(factor.other for factor in factors))


def _largest(factors: list[Factor]) -> Factor:
    return Factor(max(factor.dot for factor in factors), max(factor.other for factor in factors))


def _after(left: Factor, right: Factor) -> Factor:
    dot = right.dot * left.dot if right.dot and left.dot else 0.0
    other = (right.dot * left.other if right.dot and left.other else 0.0) + right.other
    return Factor(dot, other)


def _factor(node: Node, scope: Scope, analysis: Analysis, room: int) -> Factor:
    if not room:
        return _UNKNOWN
    down = room - 1

    def of(part: Node) -> Factor:
        return _factor(part, scope, analysis, down)

    if isinstance(node, Literal | Format | Text | Logic | Negate | Variable):
        return _CONSTANT if not isinstance(node, Format | Text) else _INPUT
    if isinstance(node, Identity):
        return _INPUT
    if isinstance(node, Index | Slice | Iterate):
        return of(node.target)
    if isinstance(node, Pipe):
        return _after(of(node.left), of(node.right))
    if isinstance(node, Comma | Alternative):
        return _largest([of(node.left), of(node.right)])
    if isinstance(node, If):
        return _largest([of(node.then), _INPUT if node.otherwise is None else of(node.otherwise)])
    if isinstance(node, Try):
        return _largest([of(node.body), _CONSTANT if node.handler is None else of(node.handler)])
    if isinstance(node, Binary):
        return _added([of(node.left), of(node.right)]) if node.op in "+-*/" else _CONSTANT
    if isinstance(node, Object):
        return _added([of(value) for _, value in node.entries] or [_CONSTANT])
    return _compound(node, scope, analysis, down)


def _compound(node: Node, scope: Scope, analysis: Analysis, room: int) -> Factor:
    if isinstance(node, Array):
        return _CONSTANT if node.body is None else _collected(node.body, scope, analysis, room)
    if isinstance(node, Bind):
        source = _factor(node.source, scope, analysis, room)
        body = _factor(node.body, scope, analysis, room)
        return Factor(body.dot, body.other * max(source.most, 1.0) if body.other else 0.0)
    if isinstance(node, Define):
        return _factor(node.rest, analysis.defined(node, scope), analysis, room)
    if isinstance(node, Assign) and node.op != "|=" and analysis.count(node.left, scope) == ONE:
        return _added([_INPUT, _factor(node.right, scope, analysis, room)])
    if isinstance(node, Assign) and node.op == "|=":
        new = _factor(node.right, scope, analysis, room)
        return Factor(1.0 + new.dot, 0.0 if new.other <= 1.0 else inf)
    return _called(node, scope, analysis, room) if isinstance(node, Call) else _UNKNOWN


def _collected(node: Node, scope: Scope, analysis: Analysis, room: int) -> Factor:
    """`[…]`: all outputs together."""
    if isinstance(node, Comma):
        return _added([_collected(part, scope, analysis, room) for part in (node.left, node.right)])
    if analysis.count(node, scope) == ONE:
        return _factor(node, scope, analysis, room)
    if isinstance(node, Iterate):
        return _factor(node.target, scope, analysis, room)
    if isinstance(node, Pipe) and isinstance(node.left, Iterate):
        each = _collected(node.right, scope, analysis, room)
        whole = _factor(node.left.target, scope, analysis, room)
        return Factor(whole.dot * max(each.dot, 1.0), whole.other) if _scalar(node.right, scope, each) else _UNKNOWN
    if isinstance(node, Call) and node.key in (
        "select/1",
        "values/0",
        "splits/1",
        "splits/2",
        "scan/1",
        "range/1",
        "range/2",
    ):
        return _INPUT
    if isinstance(node, If):
        then = _collected(node.then, scope, analysis, room)
        other = _INPUT if node.otherwise is None else _collected(node.otherwise, scope, analysis, room)
        return _largest([then, other])
    if isinstance(node, Pipe) and analysis.count(node.left, scope) != MANY:
        return _after(_factor(node.left, scope, analysis, room), _collected(node.right, scope, analysis, room))
    return _UNKNOWN


def _scalar(node: Node, scope: Scope, each: Factor) -> bool:
    """Whether an expression for each element takes nothing large from elsewhere."""
    return not each.other or constant_of(node, scope) is not NOT_CONSTANT or not _reads_variables(node)


def _reads_variables(node: Node) -> bool:
    from bridge.jq.syntax.nodes import children

    return isinstance(node, Variable) or any(_reads_variables(child) for child in children(node))


def _called(node: Call, scope: Scope, analysis: Analysis, room: int) -> Factor:
    callee = scope.functions.get(node.key)
    if isinstance(callee, Closure):
        return _factor(callee.node, callee.scope, analysis, room)
    if isinstance(callee, Macro):
        return _factor(callee.function.body, analysis.body_scope(callee, node, scope), analysis, room)
    if callee is not None:
        return _UNKNOWN
    builtin = BUILTINS[node.key]
    if not builtin.types & (ARRAY | OBJECT) or node.key in _SAME:
        return _INPUT
    if node.key in _LAST:
        return _factor(node.args[_LAST[node.key]], scope, analysis, room)
    if node.key in ("map/1", "map_values/1", "with_entries/1"):
        each = _collected(node.args[0], scope, analysis, room)
        return Factor(max(each.dot, 1.0), 0.0) if _scalar(node.args[0], scope, each) else _UNKNOWN
    if node.key == "setpath/2":
        return _added([_INPUT, _factor(node.args[1], scope, analysis, room)])
    return _UNKNOWN
