"""What the shape of an expression tells the code generator: whether it makes numbers, what it reads, what it builds."""

from __future__ import annotations

from math import isfinite
from typing import Final

from bridge.jq.emit.generator import stages
from bridge.jq.emit.scope import Scope
from bridge.jq.syntax.nodes import (
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

__all__ = ["built_list", "built_object", "literal_path", "may_compute"]

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


def built_object(node: Node, *, any_names: bool = False) -> list[tuple[str, Node]] | None:
    """Return keys and values of an expression that builds an object with literal names.

    None of them may be reserved (for the first level of the properties), unless `any_names` says so.
    """
    if not isinstance(node, Object):
        return None
    built = [(key.value, value) for key, value in node.entries if isinstance(key, Literal)]
    plain = all(type(name) is str and (any_names or not reserved(name)) for name, _ in built)
    return built if plain and len(built) == len(node.entries) else None


def built_list(node: Node, scope: Scope) -> tuple[list[Node], Node] | None:
    """Take `[SOURCE | {…}]` and `SOURCE | map({…})` apart: the steps of the source, and the object that is built."""
    if isinstance(node, Array) and node.body is not None:
        *source, item = stages(node.body)
    else:
        *source, last = stages(node)
        if not isinstance(last, Call) or last.key != "map/1" or last.key in scope.functions:
            return None
        before, item = stages(last.args[0])[:-1], stages(last.args[0])[-1]
        source += [Iterate(last.start, last.end, Identity(last.start, last.end), optional=False), *before]
    return (source, item) if source and isinstance(item, Object) else None


def literal_path(node: Node) -> list[str] | None:
    """Return the names before the last of `.a.b.c`."""
    names: list[str] = []
    while isinstance(node, Index) and not node.optional and isinstance(node.key, Literal):
        if type(node.key.value) is not str:
            return None
        names.append(node.key.value)
        node = node.target
    return names[:0:-1] if names and isinstance(node, Identity) else None
