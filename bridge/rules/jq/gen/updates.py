"""Paths of expressions, and what changes values at paths: `=`, `|=`, `+=` and so on."""

from __future__ import annotations

from collections.abc import Callable

from bridge.rules.jq.gen.generator import Generator, PathAt, PathSink, Sink, stages, truthy
from bridge.rules.jq.gen.scope import Scope
from bridge.rules.jq.gen.singles import arithmetic, field, source_loop
from bridge.rules.jq.gen.streams import bounds
from bridge.rules.jq.nodes import (
    Alternative,
    Assign,
    Bind,
    Break,
    Call,
    Comma,
    Define,
    Foreach,
    Identity,
    If,
    Index,
    Iterate,
    Label,
    Node,
    Pipe,
    Reduce,
    Slice,
    Try,
)
from bridge.rules.jq.problems import JqProblem

START = PathAt("()", sure=True)


def identity(_: Generator, __: Node, ___: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`.`"""
    sink.write(v, path.name, path.sure)


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
                sink.write(found, longer(generator, where, key), True)
            return
        found = field(generator, target, key) if type(constant) is str else generator.keep(f"index({target}, {key})")
        sink.write(found, longer(generator, where, key), True)

    def with_key(key: str) -> None:
        generator.paths(
            node.target, scope, v, path, PathSink(lambda target, where, sure: step(key, target, PathAt(where, sure)))
        )

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
                sink.write(found, longer(generator, where, key), True)
            return
        found = generator.keep(f"slice_of({target}, {low}, {high})")
        sink.write(found, longer(generator, where, key), True)

    def with_bounds(low: str, high: str) -> None:
        generator.paths(
            node.target,
            scope,
            v,
            path,
            PathSink(lambda target, where, sure: step(low, high, target, PathAt(where, sure))),
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
            sink.write(value, longer(generator, where, key), True)

    generator.paths(
        node.target, scope, v, path, PathSink(lambda target, where, sure: step(target, PathAt(where, sure)))
    )


def pipe(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`a | b | c`."""
    parts = stages(node)

    def part(at: int, value: str, where: PathAt) -> None:
        if at == len(parts) - 1:
            generator.paths(parts[at], scope, value, where, sink)
            return
        next_part = PathSink(lambda found, then, sure: part(at + 1, found, PathAt(then, sure)))
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

        def with_left(left: str, where: str, sure: bool) -> None:
            with generator.code.block(f"if {truthy(left)}"):
                generator.code.line(f"{found} = True")
                inner.write(left, where, sure)

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
                    inner.write(v, path.name, path.sure)
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

    def taken(value: str) -> None:
        generator.destructure(
            node.patterns[0],
            value,
            scope,
            v,
            lambda inner: generator.paths(node.body, inner, v, path, sink),
        )

    generator.each(node.source, scope, v, Sink(taken))


def reduce_(_: Generator, node: Node, __: Scope, ___: str, ____: PathAt, _____: PathSink) -> None:
    """`reduce` loses the path in libjq."""
    raise JqProblem("refused", "`reduce` in a path: jq itself loses the path", node.start, node.end, "use `foreach`")


def foreach(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`foreach`: the state carries its path along."""
    assert isinstance(node, Foreach)

    def with_initial(initial: str, first: str, _: bool) -> None:
        state, where = generator.keep(initial, "s"), generator.keep(first, "p")

        def update(inner: Scope) -> None:
            before, at = generator.keep(state), generator.keep(where, "p")
            generator.step()
            generator.code.line(f"{state} = None")

            def updated(value: str, here: str, sure: bool) -> None:
                after, place = generator.keep(value), generator.keep(here, "p")
                generator.code.line(f"{state} = {after}")
                generator.code.line(f"{where} = {place}")
                if node.extract is None:
                    sink.write(after, place, sure)
                else:
                    generator.paths(node.extract, inner, after, PathAt(place, sure), sink)

            generator.paths(node.update, inner, before, PathAt(at, sure=False), PathSink(updated))

        shape = Reduce(node.start, node.end, node.source, node.patterns, node.initial, node.update)
        source_loop(generator, shape, scope, v, update)

    generator.paths(node.initial, scope, v, path, PathSink(with_initial))


def define(generator: Generator, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """`def …; rest`."""
    assert isinstance(node, Define)
    from bridge.rules.jq.gen.calls import defined  # noqa: PLC0415 - it needs this module

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
    from bridge.rules.jq.gen.calls import call_paths  # noqa: PLC0415 - it needs this module

    call_paths(generator, node, scope, v, path, sink)


def over_paths(generator: Generator, node: Node, scope: Scope, v: str, then: Callable[[str, str], None]) -> None:
    """Every part that `node` names, with its path; an error for an output that is not a part of the input."""

    def write(value: str, path: str, sure: bool) -> None:
        if not sure:
            generator.code.line(f"if {path} is None: raise not_path({value})")
        then(value, path)

    generator.paths(node, scope, v, START, PathSink(write))


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
        generator.step()
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


def _rebuilt(generator: Generator, steps: list[object], v: str, new: New) -> tuple[str, str | None]:
    """A copy of `v` with the parts at `steps` replaced, level by level: each level is copied only once."""
    if not steps:
        return new(v)
    if steps[0] is _EACH:
        return _rebuilt_each(generator, steps[1:], v, new), None
    key = generator.code.const(steps[0])
    old = field(generator, v, key) if isinstance(steps[0], str) else generator.keep(f"index({v}, {key})")
    value, missing = _rebuilt(generator, steps[1:], old, new)
    if missing is None:
        return generator.keep(f"set_key({v}, {key}, {value}, B)"), None
    removed = f"delete_keys({v}, [{key}], B)"
    return generator.keep(f"{removed} if {missing} is NOTHING else set_key({v}, {key}, {value}, B)"), None


def _rebuilt_each(generator: Generator, steps: list[object], v: str, new: New) -> str:
    key, item = generator.code.name("k"), generator.code.name("x")
    pairs = generator.keep(f"entries({v}, B)")
    copy = generator.keep("{}")
    with generator.code.block(f"for {key}, {item} in {pairs}"):
        value, missing = _rebuilt(generator, steps, item, new)
        if missing is not None:
            generator.code.line(f"if {missing} is NOTHING: continue")
        generator.code.line(f"{copy}[{key}] = {value}")
    return generator.keep(f"{copy} if type({v}) is dict else list({copy}.values())")
