"""What the rest of the rules wants to know of an expression: its types, and whether it is a path or a comparison."""

from __future__ import annotations

from bridge.jq.builtins import BUILTINS
from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NUMBER, OBJECT, STRING
from bridge.jq.emit.constants import constant_of
from bridge.jq.emit.scope import NOT_CONSTANT, Closure, Macro, Scope
from bridge.jq.runtime.values import JSON, type_name
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Binary,
    Bind,
    Call,
    Comma,
    Define,
    Format,
    Identity,
    If,
    Index,
    Literal,
    Logic,
    Negate,
    Node,
    Object,
    Pipe,
    Text,
    Try,
)

_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_FIXED: dict[type[Node], frozenset[str]] = {
    Text: STRING,
    Format: STRING,
    Array: ARRAY,
    Object: OBJECT,
    Logic: BOOLEAN,
    Negate: NUMBER,
}
_NOTHING: frozenset[str] = frozenset()
_FALSY = frozenset(("null",))


def types_of(node: Node, scope: Scope) -> frozenset[str]:
    """The types that outputs of an expression can have; all six where nothing is known."""
    fixed = _FIXED.get(type(node))
    if fixed is not None:
        return fixed
    if isinstance(node, Literal):
        return frozenset((type_name(node.value),))
    if isinstance(node, Binary):
        return _arithmetic(node, scope)
    if isinstance(node, Pipe):
        return types_of(node.right, scope)
    if isinstance(node, Comma):
        return types_of(node.left, scope) | types_of(node.right, scope)
    if isinstance(node, Alternative):
        return (types_of(node.left, scope) - _FALSY) | types_of(node.right, scope)
    if isinstance(node, If):
        otherwise = ANY if node.otherwise is None else types_of(node.otherwise, scope)
        return types_of(node.then, scope) | otherwise
    if isinstance(node, Bind | Define):
        return ANY
    if isinstance(node, Try):
        caught = _NOTHING if node.handler is None else types_of(node.handler, scope)
        return types_of(node.body, scope) | caught
    return _call(node, scope) if isinstance(node, Call) else ANY


def _arithmetic(node: Binary, scope: Scope) -> frozenset[str]:
    if node.op in _COMPARISONS:
        return BOOLEAN
    left, right = types_of(node.left, scope), types_of(node.right, scope)
    if left == right == NUMBER or node.op == "%":
        return NUMBER
    if node.op == "+":
        return left | right
    if node.op == "/":
        return (NUMBER if "number" in left & right else _NOTHING) | (ARRAY if "string" in left & right else _NOTHING)
    if node.op == "-":
        return (NUMBER if "number" in left & right else _NOTHING) | (ARRAY if "array" in left & right else _NOTHING)
    return ANY


def _call(node: Call, scope: Scope) -> frozenset[str]:
    callee = scope.functions.get(node.key)
    if isinstance(callee, Closure):
        return types_of(callee.node, callee.scope)
    if isinstance(callee, Macro) and not callee.function.params:
        return types_of(callee.function.body, callee.scope)
    if callee is not None:
        return ANY
    builtin = BUILTINS.get(node.key)
    return ANY if builtin is None else builtin.types


def path_of(node: Node) -> tuple[str | int, ...] | None:
    """The keys of a plain path such as `.a.b[0]`, else None."""
    if isinstance(node, Identity):
        return ()
    if isinstance(node, Pipe):
        left, right = path_of(node.left), path_of(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, Index) and not node.optional and isinstance(node.key, Literal):
        target = path_of(node.target)
        key = node.key.value
        return None if target is None or type(key) not in (str, int) else (*target, key)
    return None


def comparison_of(node: Node, scope: Scope) -> tuple[tuple[str | int, ...], JSON] | None:
    """(path, constant) if the expression can be true only for inputs that hold the constant at the path.

    It is `PATH == CONSTANT`, the other way round, or begins with one of them before `and`.
    """
    while isinstance(node, Logic) and node.op == "and":
        node = node.left
    if not isinstance(node, Binary) or node.op != "==":
        return None
    for side, other in ((node.left, node.right), (node.right, node.left)):
        path = path_of(side)
        value = constant_of(other, scope)
        if path is not None and value is not NOT_CONSTANT and type(value) not in (list, dict):
            return path, value
    return None
