"""Constant expressions: worth knowing for patterns, formats and time zones, and built only once."""

from __future__ import annotations

from bridge.jq.emit.scope import NOT_CONSTANT, Closure, Scope
from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import OPERATORS, negate
from bridge.jq.runtime.budget import Budget
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import Array, Binary, Call, Comma, Literal, Negate, Node, Object, Variable

_LARGEST = 10_000
"""A constant computed at compile time has at most so many characters and elements."""


def constant_of(node: Node, scope: Scope) -> JSON:
    """The value of an expression that is the same for every input, else NOT_CONSTANT."""
    read = _READ.get(type(node))
    return NOT_CONSTANT if read is None else read(node, scope)


def _literal(node: Node, _: Scope) -> JSON:
    assert isinstance(node, Literal)
    return node.value


def _variable(node: Node, scope: Scope) -> JSON:
    assert isinstance(node, Variable)
    bound = scope.variables.get(node.name)
    return NOT_CONSTANT if bound is None else bound.constant


def _call(node: Node, scope: Scope) -> JSON:
    assert isinstance(node, Call)
    callee = scope.functions.get(node.key)
    if isinstance(callee, Closure):
        return constant_of(callee.node, callee.scope)
    return NOT_CONSTANT


def _array(node: Node, scope: Scope) -> JSON:
    assert isinstance(node, Array)
    if node.body is None:
        return []
    parts: list[Node] = []
    body = node.body
    while isinstance(body, Comma):
        parts.append(body.right)
        body = body.left
    parts.append(body)
    values = [constant_of(part, scope) for part in reversed(parts)]
    return NOT_CONSTANT if any(value is NOT_CONSTANT for value in values) else values


def _object(node: Node, scope: Scope) -> JSON:
    assert isinstance(node, Object)
    made: dict[str, JSON] = {}
    for key, value in node.entries:
        name, part = constant_of(key, scope), constant_of(value, scope)
        if type(name) is not str or part is NOT_CONSTANT:
            return NOT_CONSTANT
        made[name] = part
    return made


def _negate(node: Node, scope: Scope) -> JSON:
    assert isinstance(node, Negate)
    value = constant_of(node.body, scope)
    return negate(value) if type(value) in (int, float) else NOT_CONSTANT


def _binary(node: Node, scope: Scope) -> JSON:
    assert isinstance(node, Binary)
    operate = OPERATORS.get(node.op)
    if operate is None:
        return NOT_CONSTANT
    left = constant_of(node.left, scope)
    right = NOT_CONSTANT if left is NOT_CONSTANT else constant_of(node.right, scope)
    if right is NOT_CONSTANT:
        return NOT_CONSTANT
    try:
        return operate(left, right, Budget(steps=_LARGEST, text=_LARGEST))
    except JqError:
        return NOT_CONSTANT


_READ = {
    Literal: _literal,
    Variable: _variable,
    Call: _call,
    Array: _array,
    Object: _object,
    Negate: _negate,
    Binary: _binary,
}
