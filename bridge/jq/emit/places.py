"""Expressions as code around a sink that is also given the path of every output."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.emit.generator import Generator, PathAt, PathSink, Sink, stages, truthy
from bridge.jq.emit.scope import Scope
from bridge.jq.emit.singles import field
from bridge.jq.emit.streams import bounds
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.nodes import (
    Alternative,
    Bind,
    Break,
    Call,
    Comma,
    Define,
    If,
    Index,
    Iterate,
    Label,
    Node,
    Slice,
    Try,
    VariablePattern,
)

START = PathAt("()", sure=True)


def identity(_: Generator, __: Node, ___: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`.`"""
    sink.write(v, path)


def check(generator: Generator, value: str, path: PathAt, how: str) -> None:
    """An error where a step is taken from a value that is not a part of the input."""
    if not path.sure:
        generator.code.line(f"if {path.name} is None: raise off_path({value}, {how})")


def longer(generator: Generator, path: PathAt, key: str) -> str:
    """A path and one more key."""
    return generator.keep(f"({key},)" if path.name == "()" else f"{path.name} + ({key},)", "p")


def index(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`target[key]`."""
    assert isinstance(node, Index)
    constant = generator.constant(node.key, scope)

    def step(key: str, target: str, where: PathAt) -> None:
        check(generator, target, where, f"('key', {key})")
        if node.optional:
            found = generator.keep(f"index_or_none({target}, {key})")
            with generator.code.block(f"if {found} is not NOTHING"):
                sink.write(found, PathAt(longer(generator, where, key), sure=True))
            return
        found = field(generator, target, key) if type(constant) is str else generator.keep(f"index({target}, {key})")
        sink.write(found, PathAt(longer(generator, where, key), sure=True))

    def with_key(key: str) -> None:
        generator.paths(node.target, scope, v, path, PathSink(lambda target, where: step(key, target, where)))

    generator.each(node.key, scope, v, Sink(with_key))


def slice_(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`target[low:high]`."""
    assert isinstance(node, Slice)

    def step(low: str, high: str, target: str, where: PathAt) -> None:
        key = generator.keep(f'{{"start": {low}, "end": {high}}}')
        check(generator, target, where, f"('key', {key})")
        if node.optional:
            found = generator.keep(f"slice_or_none({target}, {low}, {high})")
            with generator.code.block(f"if {found} is not NOTHING"):
                sink.write(found, PathAt(longer(generator, where, key), sure=True))
            return
        found = generator.keep(f"slice_of({target}, {low}, {high})")
        sink.write(found, PathAt(longer(generator, where, key), sure=True))

    def with_bounds(low: str, high: str) -> None:
        generator.paths(
            node.target,
            scope,
            v,
            path,
            PathSink(lambda target, where: step(low, high, target, where)),
        )

    bounds(generator, node, scope, v, with_bounds)


def iterate(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`target[]`."""
    assert isinstance(node, Iterate)

    def step(target: str, where: PathAt) -> None:
        check(generator, target, where, "('each', None)")
        call = "entries_or_nothing" if node.optional else "entries"
        pairs = generator.keep(f"{call}({target}, B)")
        key, value = generator.code.name("k"), generator.code.name("x")
        with generator.code.block(f"for {key}, {value} in {pairs}"):
            sink.write(value, PathAt(longer(generator, where, key), sure=True))

    generator.paths(node.target, scope, v, path, PathSink(step))


def pipe(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`a | b | c`."""
    parts = stages(node)

    def part(at: int, value: str, where: PathAt) -> None:
        if at == len(parts) - 1:
            generator.paths(parts[at], scope, value, where, sink)
            return
        next_part = PathSink(lambda found, then: part(at + 1, found, then))
        generator.paths(parts[at], scope, value, where, next_part)

    part(0, v, path)


def forked(generator: Generator, sink: PathSink, write: Callable[[PathSink], None]) -> None:
    """Write code that uses the sink more than once."""
    if sink.cheap:
        write(sink)
    else:
        generator.path_loop(generator.local_paths(write), sink)


def comma(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`left, right`."""
    assert isinstance(node, Comma)

    def write(inner: PathSink) -> None:
        generator.paths(node.left, scope, v, path, inner)
        generator.paths(node.right, scope, v, path, inner)

    forked(generator, sink, write)


def alternative(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`left // right`."""
    assert isinstance(node, Alternative)

    def write(inner: PathSink) -> None:
        found = generator.keep("False")

        def with_left(left: str, where: PathAt) -> None:
            with generator.code.block(f"if {truthy(left)}"):
                generator.code.line(f"{found} = True")
                inner.write(left, where)

        generator.paths(node.left, scope, v, path, PathSink(with_left))
        with generator.code.block(f"if not {found}"):
            generator.paths(node.right, scope, v, path, inner)

    forked(generator, sink, write)


def if_(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`if … then … else … end`."""
    assert isinstance(node, If)

    def write(inner: PathSink) -> None:
        def branches(value: str) -> None:
            with generator.code.block(f"if {truthy(value)}"):
                generator.paths(node.then, scope, v, path, inner)
            with generator.code.block("else"):
                if node.otherwise is None:
                    inner.write(v, path)
                else:
                    generator.paths(node.otherwise, scope, v, path, inner)

        generator.each(node.condition, scope, v, Sink(branches))

    forked(generator, sink, write)


def try_(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`try body catch handler`."""
    assert isinstance(node, Try)

    def write(inner: PathSink) -> None:
        caught, error = generator.code.name(), generator.code.name("e")
        with generator.code.block("try"), generator.trying():
            generator.paths(node.body, scope, v, path, inner)
            generator.code.line("return")
        generator.code.line("except BudgetExceeded: raise")
        with generator.code.block(f"except JqError as {error}"):
            generator.code.line(f"{caught} = {error}.value")
        if node.handler is not None:
            handler = node.handler
            value = Sink(lambda found: generator.foreign(found, v, path, inner))
            generator.each(handler, scope, caught, value)

    generator.path_loop(generator.local_paths(write), sink)


def bind(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`source as pattern | body`."""
    assert isinstance(node, Bind)
    if len(node.patterns) > 1:
        raise JqProblem("refused", "`?//` in a path", node.start, node.end, "use one pattern, and `if` on its type")
    if not isinstance(node.patterns[0], VariablePattern):
        message = "a pattern with `[ ]` or `{ }` in a path: jq takes its keys for a part of the path"
        raise JqProblem("refused", message, node.start, node.end, "use one variable: `.a as $a | …`")

    def taken(value: str) -> None:
        generator.destructure(
            node.patterns[0],
            value,
            scope,
            v,
            lambda inner: generator.paths(node.body, inner, v, path, sink),
        )

    generator.each(node.source, scope, v, Sink(taken))


def fold(_: Generator, node: Node, __: Scope, ___: str, ____: PathAt, _____: PathSink) -> None:
    """`reduce` and `foreach` lose the path in libjq."""
    message = "`reduce` and `foreach` in a path: jq itself loses the path"
    raise JqProblem("refused", message, node.start, node.end, "make the list of paths first, and use `getpath`")


def define(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`def …; rest`."""
    assert isinstance(node, Define)
    from bridge.jq.emit.calls import defined

    generator.paths(node.rest, defined(generator, node.function, scope), v, path, sink)


def label(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`label $name | body`."""
    assert isinstance(node, Label)

    def write(inner: PathSink) -> None:
        mark, out = generator.keep("object()"), generator.code.name("e")
        with generator.code.block("try"), generator.trying():
            generator.paths(node.body, scope.with_label(node.name, mark), v, path, inner)
        with generator.code.block(f"except BreakOut as {out}"):
            generator.code.line(f"if {out}.label is not {mark}: raise")

    generator.path_loop(generator.local_paths(write), sink)


def break_(generator: Generator, node: Node, scope: Scope, _: str, __: PathAt, ___: PathSink) -> None:
    """`break $name`."""
    assert isinstance(node, Break)
    generator.code.line(f"raise BreakOut({scope.labels[node.name]})")


def call(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """A function."""
    assert isinstance(node, Call)
    from bridge.jq.emit.calls import call_paths

    call_paths(generator, node, scope, v, path, sink)


def over_paths(generator: Generator, node: Node, scope: Scope, v: str, then: Callable[[str, str], None]) -> None:
    """Every part that `node` names, with its path; an error for an output that is not a part of the input."""

    def write(value: str, path: PathAt) -> None:
        if not path.sure:
            generator.code.line(f"if {path.name} is None: raise not_path({value})")
        then(value, path.name)

    generator.paths(node, scope, v, START, PathSink(write))
