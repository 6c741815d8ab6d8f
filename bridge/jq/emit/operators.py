"""Arithmetic, comparison, `and` and `or` with one output."""

from __future__ import annotations

from bridge.jq.emit.generator import Generator, is_name, truthy
from bridge.jq.emit.scope import NOT_CONSTANT, Scope
from bridge.jq.syntax.nodes import (
    Binary,
    Logic,
    Negate,
    Node,
)

_PYTHON_OPERATOR = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}


_SMALL = 2**31


_COMPARED = {"<": "< 0", "<=": "<= 0", ">": "> 0", ">=": ">= 0"}


def negate(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`-body`."""
    assert isinstance(node, Negate)
    return generator.keep(f"negate({generator.one(node.body, scope, v)})")


def binary(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """Arithmetic and comparison; the right side is computed first, as in jq."""
    assert isinstance(node, Binary)
    if node.op not in _PYTHON_OPERATOR:
        return generator.keep(comparison(generator, node, scope, v))
    right_value = generator.constant(node.right, scope)
    right = generator.one(node.right, scope, v)
    left = generator.one(node.left, scope, v)
    return generator.keep(arithmetic(node.op, left, right, right_value))


def arithmetic(op: str, left: str, right: str, right_value: object = NOT_CONSTANT) -> str:
    """A Python expression for arithmetic: small integers directly, all else by a call."""
    call = f"{_PYTHON_OPERATOR[op]}({left}, {right}, B)"
    if type(right_value) is not int or not 0 < right_value < _SMALL:
        return call
    if op == "/":
        return f"({left} // {right} if {left} % {right} == 0 else {left} / {right}) if type({left}) is int else {call}"
    if op in "+-":
        return f"{left} {op} {right} if type({left}) is int and -{_SMALL} < {left} < {_SMALL} else {call}"
    return call


def comparison(generator: Generator, node: Binary, scope: Scope, v: str) -> str:
    """A Python expression that is True or False."""
    right_value = generator.constant(node.right, scope)
    left_value = generator.constant(node.left, scope)
    right = generator.one(node.right, scope, v)
    left = generator.one(node.left, scope, v)
    return compared(node.op, left, right, left_value, right_value)


def compared(op: str, left: str, right: str, left_value: object, right_value: object) -> str:
    """A Python expression that compares two names; constants make it simple."""
    if op in ("==", "!="):
        positive = op == "=="
        for name, constant in ((left, right_value), (right, left_value)):
            found = _equals_constant(name, constant, right if name is left else left, positive=positive)
            if found is not None:
                return found
        return f"equal({left}, {right}, B)" if positive else f"not equal({left}, {right}, B)"
    general = f"compare({left}, {right}, B) {_COMPARED[op]}"
    if type(right_value) is int:
        return f"({left} {op} {right} if type({left}) is int else {general})"
    return f"({general})"


def _equals_constant(name: str, constant: object, written: str, *, positive: bool) -> str | None:
    if not is_name(name):
        return None
    if constant is None or type(constant) is bool:
        return f"{name} {'is' if positive else 'is not'} {written}"
    if type(constant) is str:
        return f"{name} {'==' if positive else '!='} {written}"
    if type(constant) is int and constant not in (0, 1):
        return f"{name} {'==' if positive else '!='} {written}"
    return None


def condition(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """A single expression as a Python condition."""
    if generator.constant(node, scope) is NOT_CONSTANT:
        if isinstance(node, Binary) and node.op not in _PYTHON_OPERATOR:
            return comparison(generator, node, scope, v)
        if isinstance(node, Logic):
            return logic(generator, node, scope, v)
    return truthy(generator.one(node, scope, v))


def logic(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`and`, `or`: the right side only where it matters."""
    assert isinstance(node, Logic)
    name = generator.code.name()
    tests = _same_logic(node)
    last = len(tests) - 1
    generator.code.line(f"{name} = {node.op == 'or'}")
    _nest(generator, tests, 0, last, node.op, name, scope, v)
    return name


def _same_logic(node: Logic) -> list[Node]:
    parts: list[Node] = []
    left: Node = node
    while isinstance(left, Logic) and left.op == node.op:
        parts.append(left.right)
        left = left.left
    parts.append(left)
    return parts[::-1]


def _nest(
    generator: Generator, tests: list[Node], at: int, last: int, op: str, name: str, scope: Scope, v: str
) -> None:
    test = condition(generator, tests[at], scope, v)
    if at == last:
        generator.code.line(f"{name} = {_truth(test)}")
        return
    with generator.code.block(f"if {test}" if op == "and" else f"if not ({test})"):
        _nest(generator, tests, at + 1, last, op, name, scope, v)


def _truth(test: str) -> str:
    return test
