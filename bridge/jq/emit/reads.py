"""Which fields of its input an expression reads whatever happens, so that they can be read together."""

from __future__ import annotations

from bridge.jq.builtins import BUILTINS
from bridge.jq.emit.constants import constant_of
from bridge.jq.emit.generator import Generator, is_name
from bridge.jq.emit.scope import Scope
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Binary,
    Bind,
    Call,
    Comma,
    Identity,
    If,
    Index,
    Iterate,
    Logic,
    Negate,
    Node,
    Object,
    Pipe,
    Slice,
    Text,
)


def reads(node: Node, scope: Scope) -> list[str]:
    """First-level fields of `.` that are always read, in order, with repeats."""
    if isinstance(node, Index):
        if isinstance(node.target, Identity):
            key = constant_of(node.key, scope)
            return [key] if type(key) is str and not node.optional else []
        return reads(node.target, scope)
    if isinstance(node, Binary):
        return reads(node.left, scope) + reads(node.right, scope)
    if isinstance(node, Text):
        return [key for part in node.parts if isinstance(part, Node) for key in reads(part, scope)]
    if isinstance(node, Object):
        return [key for _, value in node.entries for key in reads(value, scope)]
    if isinstance(node, Array):
        return [] if node.body is None else reads(node.body, scope)
    if isinstance(node, Comma):
        return reads(node.left, scope) + reads(node.right, scope)
    if isinstance(node, Call) and node.args and node.key not in scope.functions:
        native = BUILTINS[node.key].run is not None
        return [key for arg in node.args for key in reads(arg, scope)] if native else []
    first = _first(node)
    return [] if first is None else reads(first, scope)


def _first(node: Node) -> Node | None:
    """The part of an expression that is computed first, and always, for the same input."""
    if isinstance(node, Alternative | Logic | Pipe):
        return node.left
    if isinstance(node, Iterate | Slice):
        return node.target
    if isinstance(node, If):
        return node.condition
    if isinstance(node, Bind):
        return node.source
    return node.body if isinstance(node, Negate) else None


def prefetch(generator: Generator, nodes: list[Node], scope: Scope, v: str) -> None:
    """Read the fields of `v` that several expressions need with one look at its type.

    Errors of indexing may then come before other errors of the same expressions; so not inside a `try`.
    """
    if generator.caught or not is_name(v):
        return
    keys = dict.fromkeys(key for node in nodes for key in reads(node, scope))
    code = generator.code
    wanted = [key for key in keys if code.remembered("field", v, repr(key)) is None]
    if len(wanted) < 2:
        return
    names = [code.name() for _ in wanted]
    if code.remembered("dict", v) is not None:
        for name, key in zip(names, wanted, strict=True):
            code.line(f"{name} = {v}.get({key!r})")
            code.remember(name, "field", v, repr(key))
        return
    with code.block(f"if type({v}) is dict"):
        for name, key in zip(names, wanted, strict=True):
            code.line(f"{name} = {v}.get({key!r})")
    with code.block("else"):
        for name, key in zip(names, wanted, strict=True):
            code.line(f"{name} = index({v}, {key!r})")
    for name, key in zip(names, wanted, strict=True):
        code.remember(name, "field", v, repr(key))
