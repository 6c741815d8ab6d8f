"""Expressions with any number of outputs, as code around a sink."""

from __future__ import annotations

from bridge.rules.jq.gen.analysis import MANY, MAYBE
from bridge.rules.jq.gen.generator import Generator, Sink, truthy
from bridge.rules.jq.gen.scope import NOT_CONSTANT, Bound, Scope
from bridge.rules.jq.gen.singles import (
    _with_constants,
    arithmetic,
    compared,
    field,
    joined,
    object_key,
    part_text,
    reduced,
    source_loop,
)
from bridge.rules.jq.problems import JqProblem
from bridge.rules.jq.patterns_names import pattern_names
from bridge.rules.jq.nodes import (
    Alternative,
    Assign,
    Binary,
    Bind,
    Break,
    Comma,
    Define,
    Foreach,
    If,
    Index,
    Iterate,
    Label,
    Logic,
    Negate,
    Node,
    Object,
    Pattern,
    Pipe,
    Reduce,
    Slice,
    Text,
    Try,
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
                generator.each(
                    node.right, scope, v, Sink(lambda right: inner.write(generator.keep(truthy(right))))
                )
            with generator.code.block("else"):
                inner.write(decided)

        generator.each(node.left, scope, v, Sink(with_left))

    forked(generator, sink, write)


def alternative(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`left // right`: what is true of the left, else the right."""
    assert isinstance(node, Alternative)

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


def assign(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`paths op value` for every output of the right side."""
    assert isinstance(node, Assign)
    from bridge.rules.jq.gen.updates import assigned  # noqa: PLC0415 - it needs this module

    assigned(generator, node, scope, v, sink)


def if_(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`if … then … else … end`: the condition is the outer loop."""
    assert isinstance(node, If)

    def branches(test: str, inner: Sink) -> None:
        with generator.code.block(f"if {test}"):
            generator.each(node.then, scope, v, inner)
        with generator.code.block("else"):
            if node.otherwise is None:
                inner.write(v)
            else:
                generator.each(node.otherwise, scope, v, inner)

    def write(inner: Sink) -> None:
        if generator.single(node.condition, scope):
            branches(generator.condition(node.condition, scope, v), inner)
        else:
            generator.each(node.condition, scope, v, Sink(lambda value: branches(truthy(value), inner)))

    forked(generator, sink, write)


def try_(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`try body catch handler`, `body?`: only the body's own errors are caught."""
    assert isinstance(node, Try)
    if node.handler is None and generator.count(node.body, scope) != MANY:
        _optional(generator, node, scope, v, sink)
        return
    generator.loop(generator.local(lambda inner: _tried(generator, node, scope, v, inner)), sink)


def _optional(generator: Generator, node: Try, scope: Scope, v: str, sink: Sink) -> None:
    name = generator.keep("NOTHING")
    with generator.code.block("try"):
        generator.each(
            node.body, scope, v, Sink(lambda value: generator.code.line(f"{name} = {value}"), cheap=True)
        )
    generator.code.line("except BudgetExceeded: raise")
    generator.code.line("except JqError: pass")
    with generator.code.block(f"if {name} is not NOTHING"):
        sink.write(name)


def _tried(generator: Generator, node: Try, scope: Scope, v: str, inner: Sink) -> None:
    caught, error = generator.code.name(), generator.code.name("e")
    with generator.code.block("try"), generator.trying():
        generator.each(node.body, scope, v, inner)
        generator.code.line("return")
    generator.code.line("except BudgetExceeded: raise")
    with generator.code.block(f"except JqError as {error}"):
        generator.code.line(f"{caught} = {error}.value")
    if node.handler is not None:
        generator.each(node.handler, scope, caught, inner)


def bind(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`source as pattern | body`."""
    assert isinstance(node, Bind)
    if len(node.patterns) > 1:
        with_source = Sink(lambda value: _alternatives(generator, node, value, scope, v, sink))
        generator.each(node.source, scope, v, with_source)
        return
    constant = generator.constant(node.source, scope)

    def taken(value: str) -> None:
        generator.destructure(
            node.patterns[0],
            value,
            scope,
            v,
            lambda inner: generator.each(node.body, _with_constants(inner, value, constant), v, sink),
        )

    generator.each(node.source, scope, v, Sink(taken))


def _alternatives(generator: Generator, node: Bind, value: str, scope: Scope, v: str, sink: Sink) -> None:
    """`?//`: the next pattern where one, or the body with it, fails; variables of the others are null."""
    everything = {name: Bound("None", None) for pattern in node.patterns for name in pattern_names(pattern)}
    nulls = scope.with_variables(everything)

    def attempt(pattern: Pattern, inner: Sink) -> None:
        def then(names: Scope) -> None:
            own = {name: names.variables[name] for name in pattern_names(pattern)}
            generator.each(node.body, nulls.with_variables(own), v, inner)

        generator.destructure(pattern, value, scope, v, then)

    def write(inner: Sink) -> None:
        for pattern in node.patterns[:-1]:
            with generator.code.block("try"):
                attempt(pattern, inner)
                generator.code.line("return")
            generator.code.line("except BudgetExceeded: raise")
            generator.code.line("except JqError: pass")
        attempt(node.patterns[-1], inner)

    generator.loop(generator.local(write), sink)


def reduce_(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`reduce` for every initial value."""
    assert isinstance(node, Reduce)
    if generator.count(node.initial, scope) == MANY:
        where = node.initial
        hint = "use `first(…)`, or `(…) as $start | reduce … ($start; …)`"
        raise JqProblem("refused", "`reduce` with several initial values: jq loses its input", where.start, where.end, hint)

    def with_initial(initial: str) -> None:
        state = generator.keep(initial, "s")
        reduced(generator, node, scope, v, state)
        sink.write(state)

    generator.each(node.initial, scope, v, Sink(with_initial))


def foreach(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`foreach source as $x (initial; update; extract)`; an update without output leaves null behind."""
    assert isinstance(node, Foreach)

    def with_initial(initial: str) -> None:
        state = generator.keep(initial, "s")

        def update(inner: Scope) -> None:
            before = generator.keep(state)
            generator.step()
            if not generator.single(node.update, inner):
                generator.code.line(f"{state} = None")

            def updated(value: str) -> None:
                after = generator.keep(value)
                generator.code.line(f"{state} = {after}")
                if node.extract is None:
                    sink.write(after)
                else:
                    generator.each(node.extract, inner, after, sink)

            generator.each(node.update, inner, before, Sink(updated))

        shape = Reduce(node.start, node.end, node.source, node.patterns, node.initial, node.update)
        source_loop(generator, shape, scope, v, update)

    generator.each(node.initial, scope, v, Sink(with_initial))


def define(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`def …; rest`."""
    assert isinstance(node, Define)
    from bridge.rules.jq.gen.calls import defined  # noqa: PLC0415 - it needs this module

    generator.each(node.rest, defined(generator, node.function, scope), v, sink)


def label(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """`label $name | body`."""
    assert isinstance(node, Label)

    def write(inner: Sink) -> None:
        mark, out = generator.keep("object()"), generator.code.name("e")
        with generator.code.block("try"):
            generator.each(node.body, scope.with_label(node.name, mark), v, inner)
        with generator.code.block(f"except BreakOut as {out}"):
            generator.code.line(f"if {out}.label is not {mark}: raise")

    generator.loop(generator.local(write), sink)


def break_(generator: Generator, node: Node, scope: Scope, _: str, __: Sink) -> None:
    """`break $name`."""
    assert isinstance(node, Break)
    generator.code.line(f"raise BreakOut({scope.labels[node.name]})")


def text(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """A text with `\\( )`: the last one is the outermost loop."""
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
