"""Control flow with any number of outputs: conditions, `try`, variables, folds, labels."""

from __future__ import annotations

from bridge.jq.emit.analysis import MANY
from bridge.jq.emit.generator import Generator, Sink, truthy
from bridge.jq.emit.scope import Bound, Scope
from bridge.jq.emit.singles import (
    _with_constants,
    reduced,
    source_loop,
)
from bridge.jq.emit.streams import forked
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.bindings import pattern_names
from bridge.jq.syntax.nodes import (
    Bind,
    Break,
    Define,
    Foreach,
    If,
    Label,
    Node,
    Pattern,
    Reduce,
    Try,
)


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
        generator.each(node.body, scope, v, Sink(lambda value: generator.code.line(f"{name} = {value}"), cheap=True))
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
        raise JqProblem(
            "refused", "`reduce` with several initial values: jq loses its input", where.start, where.end, hint
        )

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
    from bridge.jq.emit.calls import defined

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
