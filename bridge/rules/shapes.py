"""What the shape of an expression tells the code generator: whether it makes numbers, what it reads, what it builds."""

from __future__ import annotations

from math import isfinite
from typing import Final

from bridge.rules.jq.nodes import (
    Alternative,
    Array,
    Binary,
    Call,
    Comma,
    Identity,
    If,
    Index,
    Iterate,
    Literal,
    Logic,
    Node,
    Object,
    Pipe,
    Slice,
    Text as JqText,
    Variable,
    children,
)
from bridge.suprsend.limits import reserved

__all__ = ["built_object", "may_compute"]

_CARRYING: Final = (
    Identity,
    Variable,
    Index,
    Slice,
    Iterate,
    Array,
    Object,
    Pipe,
    Comma,
    Alternative,
    If,
    Logic,
    JqText,
)
_CARRYING_CALLS: Final = frozenset({"select/1", "map/1", "not/0", "empty/0", "first/0", "last/0", "first/1"})
_COMPARING: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})


def may_compute(node: Node) -> bool:
    """Say whether an expression may make numbers of its own, and so one that JSON cannot hold."""
    if isinstance(node, Binary):
        carries = node.op in _COMPARING
    elif isinstance(node, Call):
        carries = node.key in _CARRYING_CALLS
    elif isinstance(node, Literal):
        carries = type(node.value) is not float or isfinite(node.value)
    else:
        carries = isinstance(node, _CARRYING)
    return not carries or any(may_compute(child) for child in children(node))


def built_object(node: Node) -> list[tuple[str, Node]] | None:
    """Return keys and values of an expression that builds an object with literal names, none of them reserved."""
    if not isinstance(node, Object):
        return None
    built = [(key.value, value) for key, value in node.entries if isinstance(key, Literal)]
    plain = all(type(name) is str and not reserved(name) for name, _ in built)
    return built if plain and len(built) == len(node.entries) else None
