"""Expressions with any number of outputs, as code around a sink."""

from __future__ import annotations

from bridge.jq.emit.analysis import MAYBE
from bridge.jq.emit.generator import Generator, Sink, truthy
from bridge.jq.emit.operators import arithmetic, compared
from bridge.jq.emit.scope import NOT_CONSTANT, Scope
from bridge.jq.emit.singles import (
    field,
    joined,
    object_key,
    part_text,
)
from bridge.jq.syntax.nodes import (
    Alternative,
    Assign,
    Binary,
    Call,
    Comma,
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

ARITHMETIC = frozenset("+-*/%")


def pipe(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`left | right`: the sink of the left is the right."""
    assert isinstance(node, Pipe)
    generator.each(node.left, scope, v, Sink(lambda value: generator.each(node.right, scope, value, sink)))


def forked(generator: Generator, sink: Sink, write: object) -> None:
    """Write code that uses the sink more than once: through a local generator unless the sink is cheap."""
    assert callable(write)
    if sink.cheap:
        write(sink)
    else:
        generator.loop(generator.local(write), sink)


def comma(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`left, right`."""
    assert isinstance(node, Comma)
    parts: list[Node] = [node.right]
    left = node.left
    while isinstance(left, Comma):
        parts.append(left.right)
        left = left.left
    parts.append(left)

    def write(inner: Sink) -> None:
        for part in reversed(parts):
            generator.each(part, scope, v, inner)

    forked(generator, sink, write)


def index(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`target[key]`: the key is the outer loop."""
    assert isinstance(node, Index)
    constant = generator.constant(node.key, scope)

    def with_parts(key: str, target: str) -> None:
        if node.optional:
            found = generator.keep(f"index_or_none({target}, {key})")
            with generator.code.block(f"if {found} is not NOTHING"):
                sink.write(found)
        elif type(constant) is str:
            sink.write(field(generator, target, key))
        else:
            sink.write(generator.keep(f"index({target}, {key})"))

    generator.each(
        node.key,
        scope,
        v,
        Sink(lambda key: generator.each(node.target, scope, v, Sink(lambda target: with_parts(key, target)))),
    )


def bounds(generator: Generator, node: Slice, scope: Scope, v: str, then: object) -> None:
    """The bounds of a slice, the lower one as the outer loop."""
    assert callable(then)

    def with_low(low: str) -> None:
        if node.high is None:
            then(low, "None")
        else:
            generator.each(node.high, scope, v, Sink(lambda high: then(low, high)))

    if node.low is None:
        with_low("None")
    else:
        generator.each(node.low, scope, v, Sink(with_low))


def slice_(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`target[low:high]`."""
    assert isinstance(node, Slice)

    def with_all(low: str, high: str, target: str) -> None:
        if node.optional:
            found = generator.keep(f"slice_or_none({target}, {low}, {high})")
            with generator.code.block(f"if {found} is not NOTHING"):
                sink.write(found)
        else:
            sink.write(generator.keep(f"slice_of({target}, {low}, {high})"))

    bounds(
        generator,
        node,
        scope,
        v,
        lambda low, high: generator.each(node.target, scope, v, Sink(lambda target: with_all(low, high, target))),
    )


def iterate(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`target[]`."""
    assert isinstance(node, Iterate)

    def over(target: str) -> None:
        call = "iterate_or_nothing" if node.optional else "iterate"
        items = generator.keep(f"{target} if type({target}) is list else {call}({target})")
        generator.step(f"len({items})")
        generator.loop(items, sink)

    generator.each(node.target, scope, v, Sink(over))


def object_(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`{…}`: the first entry is the outermost loop."""
    assert isinstance(node, Object)

    def entry(at: int, written: list[str]) -> None:
        if at == len(node.entries):
            sink.write(generator.keep(f"{{{', '.join(written)}}}"))
            return
        key, value = node.entries[at]
        if generator.single(key, scope):
            with_key(at, written, object_key(generator, key, scope, v), value)
        else:
            generator.each(
                key, scope, v, Sink(lambda name: with_key(at, written, generator.keep(f"key_text({name})"), value))
            )

    def with_key(at: int, written: list[str], key: str, value: Node) -> None:
        generator.each(value, scope, v, Sink(lambda found: entry(at + 1, [*written, f"{key}: {found}"])))

    entry(0, [])


def negate(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`-body`."""
    assert isinstance(node, Negate)
    generator.each(node.body, scope, v, Sink(lambda value: sink.write(generator.keep(f"negate({value})"))))


def binary(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`left op right`: the right side is the outer loop."""
    assert isinstance(node, Binary)
    right_value = generator.constant(node.right, scope)
    left_value = generator.constant(node.left, scope)

    def both(left: str, right: str) -> None:
        if node.op in ARITHMETIC:
            sink.write(generator.keep(arithmetic(node.op, left, right, right_value)))
        else:
            sink.write(generator.keep(compared(node.op, left, right, left_value, right_value)))

    generator.each(
        node.right,
        scope,
        v,
        Sink(lambda right: generator.each(node.left, scope, v, Sink(lambda left: both(left, right)))),
    )


def logic(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`left and right`, `left or right`: the left is the outer loop, the right only where it matters."""
    assert isinstance(node, Logic)
    decided = "False" if node.op == "and" else "True"

    def write(inner: Sink) -> None:
        def with_left(left: str) -> None:
            test = truthy(left) if node.op == "and" else f"not ({truthy(left)})"
            with generator.code.block(f"if {test}"):
                generator.each(node.right, scope, v, Sink(lambda right: inner.write(generator.keep(truthy(right)))))
            with generator.code.block("else"):
                inner.write(decided)

        generator.each(node.left, scope, v, Sink(with_left))

    forked(generator, sink, write)


def alternative(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`left // right`: what is true of the left, else the right."""
    assert isinstance(node, Alternative)
    if isinstance(node.right, Call) and node.right.key == "empty/0" and node.right.key not in scope.functions:
        _only_true(generator, node.left, scope, v, sink)
        return

    def write(inner: Sink) -> None:
        found = generator.keep("False")

        def with_left(left: str) -> None:
            with generator.code.block(f"if {truthy(left)}"):
                generator.code.line(f"{found} = True")
                inner.write(left)

        generator.each(node.left, scope, v, Sink(with_left))
        with generator.code.block(f"if not {found}"):
            generator.each(node.right, scope, v, inner)

    forked(generator, sink, write)


def _only_true(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`node // empty`."""

    def with_output(output: str) -> None:
        with generator.code.block(f"if {truthy(output)}"):
            sink.write(output)

    generator.each(node, scope, v, Sink(with_output))


def assign(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`paths op value` for every output of the right side."""
    assert isinstance(node, Assign)
    from bridge.jq.emit.updates import assigned

    assigned(generator, node, scope, v, sink)


def text(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    r"""A text with `\( )`: the last one is the outermost loop."""
    assert isinstance(node, Text)
    parts = node.parts

    def formatted(value: str) -> str:
        text_of = part_text(generator, value, node.format)
        return "\0" + (text_of if node.format in (None, "text") else generator.keep(text_of))

    def part(at: int, names: list[str]) -> None:
        if at < 0:
            sink.write(joined(generator, names[::-1]))
            return
        here = parts[at]
        if isinstance(here, str):
            part(at - 1, [*names, here])
        else:
            generator.each(here, scope, v, Sink(lambda value: part(at - 1, [*names, formatted(value)])))

    part(len(parts) - 1, [])


__all__ = ["MAYBE", "NOT_CONSTANT"]
