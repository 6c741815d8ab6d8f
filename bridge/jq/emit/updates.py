"""Paths of expressions, and what changes values at paths: `=`, `|=`, `+=` and so on."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.emit.generator import Generator, Sink, truthy
from bridge.jq.emit.operators import arithmetic
from bridge.jq.emit.places import over_paths
from bridge.jq.emit.scope import Scope
from bridge.jq.emit.singles import field
from bridge.jq.syntax.nodes import (
    Assign,
    Identity,
    Index,
    Iterate,
    Node,
    Pipe,
)


def assigned(generator: Generator, node: Assign, scope: Scope, v: str, sink: Sink) -> None:
    """`paths op right`: the result, once per output of the right side (once for `|=`)."""
    if node.op == "|=":
        sink.write(modified(generator, node.left, scope, v, lambda old: _updated(generator, node.right, scope, old)))
        return
    if node.op == "=":
        generator.each(
            node.right, scope, v, Sink(lambda value: sink.write(_replaced(generator, node.left, scope, v, value)))
        )
        return

    def with_value(value: str) -> None:
        def new(old: str) -> tuple[str, str | None]:
            if node.op == "//=":
                return generator.keep(f"{old} if {truthy(old)} else {value}"), None
            return generator.keep(arithmetic(node.op[0], old, value)), None

        sink.write(modified(generator, node.left, scope, v, new))

    generator.each(node.right, scope, v, Sink(with_value))


def _replaced(generator: Generator, left: Node, scope: Scope, v: str, value: str) -> str:
    return modified(generator, left, scope, v, lambda _: (value, None))


def _updated(generator: Generator, right: Node, scope: Scope, old: str) -> tuple[str, str | None]:
    """The first output of an update, and the name of what says that there was none."""
    if generator.single(right, scope):
        return generator.one(right, scope, old), None
    new = generator.keep("NOTHING")
    if generator.count(right, scope) == 1:
        generator.each(right, scope, old, Sink(lambda value: generator.code.line(f"{new} = {value}"), cheap=True))
    else:
        with generator.code.block(f"for {new} in {generator.stream(right, scope, old)}"):
            generator.code.line("break")
    return new, new


New = Callable[[str], "tuple[str, str | None]"]
"""Writes a new value for the old one of that name: its name, and the name to compare with NOTHING, if it may be."""


def modified(generator: Generator, left: Node, scope: Scope, v: str, new: New) -> str:
    """A copy of `v` with every part that `left` names replaced; parts without a new value are deleted at the end."""
    steps = _plain_steps(generator, left, scope)
    if steps is not None:
        return _rebuilt(generator, steps, v, new)[0] if steps else _whole(generator, v, new)
    state = generator.keep(v, "s")
    gone = generator.keep("None")

    def write(_: str, path: str) -> None:
        generator.step(f"1 + len({path})")
        value, missing = new(generator.keep(f"getpath({state}, {path})"))
        if missing is None:
            generator.code.line(f"{state} = setpath({state}, {path}, {value}, B)")
            return
        with generator.code.block(f"if {missing} is NOTHING"):
            generator.code.line(f"if {gone} is None: {gone} = []")
            generator.code.line(f"{gone}.append({path})")
        with generator.code.block("else"):
            generator.code.line(f"{state} = setpath({state}, {path}, {value}, B)")

    over_paths(generator, left, scope, v, write)
    generator.code.line(f"if {gone} is not None: {state} = delpaths({state}, {gone}, B)")
    return state


_EACH = object()


def _plain_steps(generator: Generator, node: Node, scope: Scope) -> list[object] | None:
    """The steps of `.a[0][].b`: constant keys and `[]`, which cannot name one part twice; else None."""
    if isinstance(node, Identity):
        return []
    if isinstance(node, Pipe):
        left, right = _plain_steps(generator, node.left, scope), _plain_steps(generator, node.right, scope)
        return None if left is None or right is None else left + right
    if isinstance(node, Iterate) and not node.optional:
        target = _plain_steps(generator, node.target, scope)
        return None if target is None else [*target, _EACH]
    if isinstance(node, Index) and not node.optional:
        key = generator.constant(node.key, scope)
        target = _plain_steps(generator, node.target, scope)
        return None if target is None or type(key) not in (str, int) else [*target, key]
    return None


def _whole(generator: Generator, v: str, new: New) -> str:
    value, missing = new(v)
    return value if missing is None else generator.keep(f"None if {missing} is NOTHING else {value}")


def _rebuilt(generator: Generator, steps: list[object], v: str, new: New) -> tuple[str, str | None, str | None]:
    """A copy of `v` with the parts at `steps` replaced, level by level: each level is copied only once.

    Gives the copy, what to compare with NOTHING if the whole part may be missing, and the same for a part below it:
    deleting a part of null leaves null, and makes nothing on the way.
    """
    if not steps:
        value, missing = new(v)
        return value, missing, missing
    if steps[0] is _EACH:
        return _rebuilt_each(generator, steps[1:], v, new), None, None
    key = generator.code.const(steps[0])
    old = field(generator, v, key) if isinstance(steps[0], str) else generator.keep(f"index({v}, {key})")
    value, missing, gone = _rebuilt(generator, steps[1:], old, new)
    changed = f"set_key({v}, {key}, {value}, B)"
    if missing is not None:
        changed = f"delete_keys({v}, [{key}], B) if {missing} is NOTHING else {changed}"
    elif gone is not None:
        changed = f"{v} if {gone} is NOTHING and {old} is None else {changed}"
    return generator.keep(changed), None, gone


def _rebuilt_each(generator: Generator, steps: list[object], v: str, new: New) -> str:
    key, item = generator.code.name("k"), generator.code.name("x")
    pairs = generator.keep(f"entries({v}, B)")
    copy = generator.keep("{}")
    with generator.code.block(f"for {key}, {item} in {pairs}"):
        value, missing, _ = _rebuilt(generator, steps, item, new)
        if missing is not None:
            generator.code.line(f"if {missing} is NOTHING: continue")
        generator.code.line(f"{copy}[{key}] = {value}")
    return generator.keep(f"{copy} if type({v}) is dict else list({copy}.values())")
