"""Built-ins that take expressions, written as code of their own; each for values and, where it has them, for paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.jq.emit import patterns as patterns_code, times
from bridge.jq.emit.generator import Generator, PathAt, PathSink, Sink, falsy, truthy
from bridge.jq.emit.places import START
from bridge.jq.emit.scope import Scope
from bridge.jq.syntax.nodes import Call, Node

Item = tuple[str, ...]
"""The Python names of one output: its value, and with paths also its path."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a special built-in is written: for values, or for values with paths."""

    generator: Generator
    scope: Scope
    v: str
    path: PathAt | None
    emit: Callable[[Item], None]

    def each(self, node: Node, then: Callable[[Item], None], v: str | None = None) -> None:
        """Write an expression, and `then` once for its outputs."""
        here = self.v if v is None else v
        if self.path is None:
            self.generator.each(node, self.scope, here, Sink(lambda value: then((value,))))
        else:
            sink = PathSink(lambda value, path: then((value, path.name)))
            self.generator.paths(node, self.scope, here, self.path, sink)

    def stream(self, node: Node) -> str:
        """An expression as a Python iterable of items."""
        if self.path is None:
            return self.generator.stream(node, self.scope, self.v)
        return self.generator.path_stream(node, self.scope, self.v, self.path)

    def loop(self, iterable: str, then: Callable[[Item], None]) -> None:
        """`for item in iterable: then`."""
        names: Item = (self.generator.code.name("x"),)
        if self.path is not None:
            names = (*names, self.generator.code.name("p"))
        with self.generator.code.block(f"for {', '.join(names)} in {iterable}"):
            then(names)

    @property
    def here(self) -> Item:
        """The input itself."""
        return (self.v,) if self.path is None else (self.v, self.path.name)


Special = Callable[[Way, Call], None]


def empty(way: Way, node: Call) -> None:
    """Nothing."""


def error(way: Way, node: Call) -> None:
    """`error`, `error(message)`."""
    if not node.args:
        way.generator.code.line(f"raise JqError({way.v})")
        return
    raised = Sink(lambda value: way.generator.code.line(f"raise JqError({value})"))
    way.generator.each(node.args[0], way.scope, way.v, raised)


def select(way: Way, node: Call) -> None:
    """`select(f)`: the input once for every true output of `f`."""
    condition = node.args[0]
    if way.generator.single(condition, way.scope):
        with way.generator.code.block(f"if {way.generator.condition(condition, way.scope, way.v)}"):
            way.emit(way.here)
        return

    def tested(value: str) -> None:
        with way.generator.code.block(f"if {truthy(value)}"):
            way.emit(way.here)

    way.generator.each(condition, way.scope, way.v, Sink(tested))


def first(way: Way, node: Call) -> None:
    """`first(f)`."""

    def once(item: Item) -> None:
        way.emit(item)
        way.generator.code.line("break")

    way.loop(way.stream(node.args[0]), once)


def limit(way: Way, node: Call) -> None:
    """`limit(n; f)`."""
    code = way.generator.code

    def counted(count: str) -> None:
        left = way.generator.keep(f"counted({count}, 'limit', B)")
        with code.block(f"if {left} is not None"):
            iterable = way.stream(node.args[1])

            def take(item: Item) -> None:
                code.line(f"{left} = subtract({left}, 1, B)")
                way.emit(item)
                code.line(f"if {left} <= 0: break")

            way.loop(iterable, take)

    way.generator.each(node.args[0], way.scope, way.v, Sink(counted))


def skip(way: Way, node: Call) -> None:
    """`skip(n; f)`."""
    code = way.generator.code

    def counted(count: str) -> None:
        left = way.generator.keep(f"counted({count}, 'skip', B) or 0")
        iterable = way.stream(node.args[1])

        def take(item: Item) -> None:
            with code.block(f"if {left} != 0"):
                code.line(f"{left} = subtract({left}, 1, B)")
                with code.block(f"if {left} >= 0"):
                    way.generator.step()
                    code.line("continue")
                code.line(f"{left} = 0")
            way.emit(item)

        way.loop(iterable, take)

    way.generator.each(node.args[0], way.scope, way.v, Sink(counted))


def recurse(way: Way, node: Call) -> None:
    """`recurse`, `recurse(f)`, `..`: depth first."""
    if not node.args:
        call = f"descend({way.v}, B)" if way.path is None else f"descend_paths({way.v}, {way.path.name}, B)"
    elif way.path is None:
        step = way.generator.closure(node.args[0], way.scope)
        call = f"recurse({way.v}, {step}, B)"
    else:
        step = way.generator.path_closure(node.args[0], way.scope)
        call = f"recurse_paths({way.v}, {way.path.name}, {step}, B)"
    way.loop(call, way.emit)


def repeat(way: Way, node: Call) -> None:
    """`repeat(f)`: the outputs of `f` for the same input, without end."""
    code = way.generator.code
    with code.block("while True"):
        way.generator.step()
        way.each(node.args[0], way.emit)


def while_(way: Way, node: Call) -> None:
    """`while(condition; update)` with a single condition and update."""
    generator, code = way.generator, way.generator.code
    state = generator.keep(way.v, "s")
    with code.block("while True"):
        generator.step()
        current = generator.keep(state)
        code.line(f"if not ({generator.condition(node.args[0], way.scope, current)}): break")
        way.emit((current,))
        code.line(f"{state} = {generator.one(node.args[1], way.scope, current)}")


def until(way: Way, node: Call) -> None:
    """`until(condition; next)` with a single condition and next."""
    generator, code = way.generator, way.generator.code
    state = generator.keep(way.v, "s")
    with code.block("while True"):
        generator.step()
        current = generator.keep(state)
        code.line(f"if {generator.condition(node.args[0], way.scope, current)}: break")
        code.line(f"{state} = {generator.one(node.args[1], way.scope, current)}")
    way.emit((generator.keep(state),))


def range_(way: Way, node: Call) -> None:
    """`range(upto)`, `range(from; upto)`, `range(from; upto; by)`: the first argument is the outermost loop."""

    def inner(at: int, found: list[str]) -> None:
        if at == len(node.args):
            bounds = ["0", *found] if len(found) == 1 else found
            way.loop(f"range_of({', '.join(bounds)}, B)", way.emit)
            return
        way.generator.each(node.args[at], way.scope, way.v, Sink(lambda value: inner(at + 1, [*found, value])))

    inner(0, [])


def path(way: Way, node: Call) -> None:
    """`path(f)`."""

    def write(value: str, where: PathAt) -> None:
        if not where.sure:
            way.generator.code.line(f"if {where.name} is None: raise not_path({value})")
        way.emit((way.generator.keep(f"list({where.name})"),))

    way.generator.paths(node.args[0], way.scope, way.v, START, PathSink(write))


def getpath(way: Way, node: Call) -> None:
    """`getpath(path)` with its path."""
    assert way.path is not None
    where = way.path

    def found(keys: str) -> None:
        if not where.sure:
            way.generator.code.line(f"if {where.name} is None: raise off_path({way.v}, ('key', {keys}))")
        value = way.generator.keep(f"getpath({way.v}, {keys})")
        way.emit((value, way.generator.keep(f"({where.name}) + tuple({keys})", "p")))

    way.generator.each(node.args[0], way.scope, way.v, Sink(found))


def is_empty(way: Way, node: Call) -> None:
    """`isempty(f)`: looks at the first output only."""
    name = way.generator.keep("True")
    with way.generator.code.block(f"for {way.generator.code.name('x')} in {way.stream(node.args[0])}"):
        way.generator.code.line(f"{name} = False")
        way.generator.code.line("break")
    way.emit((name,))


def last(way: Way, node: Call) -> None:
    """`last(f)`: nothing where `f` gives nothing."""
    name = way.generator.keep("NOTHING")
    keep_it = Sink(lambda value: way.generator.code.line(f"{name} = {value}"), cheap=True)
    way.generator.each(node.args[0], way.scope, way.v, keep_it)
    with way.generator.code.block(f"if {name} is not NOTHING"):
        way.emit((name,))


def walk(way: Way, node: Call) -> None:
    """`walk(f)`: from the leaves up."""
    step = way.generator.closure(node.args[0], way.scope)
    way.loop(f"walk({way.v}, {step}, B)", way.emit)


def negated(way: Way, node: Call) -> None:
    """`not`."""
    way.emit((way.generator.keep(falsy(way.v)),))


_BOTH: dict[str, Special] = {
    "empty/0": empty,
    "error/0": error,
    "error/1": error,
    "select/1": select,
    "first/1": first,
    "limit/2": limit,
    "skip/2": skip,
    "recurse/0": recurse,
    "recurse/1": recurse,
    "repeat/1": repeat,
}
_VALUES: dict[str, Special] = {
    "range/1": range_,
    "range/2": range_,
    "range/3": range_,
    "path/1": path,
    "isempty/1": is_empty,
    "last/1": last,
    "walk/1": walk,
    "not/0": negated,
}
_LOOPS: dict[str, Special] = {"while/2": while_, "until/2": until}
_PATHS: dict[str, Special] = {"getpath/1": getpath}


def _each(special: Special) -> Callable[[Generator, Call, Scope, str, Sink], None]:
    def write(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
        special(Way(generator, scope, v, None, lambda item: sink.write(item[0])), node)

    return write


def _one(special: Special) -> Callable[[Generator, Call, Scope, str], str]:
    def write(generator: Generator, node: Call, scope: Scope, v: str) -> str:
        found: list[str] = []
        special(Way(generator, scope, v, None, lambda item: found.append(item[0])), node)
        return found[0] if found else "None"

    return write


def _paths(special: Special) -> Callable[[Generator, Call, Scope, str, PathAt, PathSink], None]:
    def write(generator: Generator, node: Call, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
        special(
            Way(
                generator, scope, v, path, lambda item: sink.write(item[0], PathAt(item[1], sure=item[1] == START.name))
            ),
            node,
        )

    return write


def _loop_each(key: str) -> Callable[[Generator, Call, Scope, str, Sink], None]:
    simple = _each(_LOOPS[key])

    def write(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
        from bridge.jq.emit.calls import _user_call

        if all(generator.single(arg, scope) for arg in node.args):
            simple(generator, node, scope, v, sink)
        else:
            _user_call(generator, node, scope, v, sink, single=False)

    return write


EACH = {key: _each(special) for key, special in {**_BOTH, **_VALUES}.items()}
EACH.update({key: _loop_each(key) for key in _LOOPS})
EACH.update(patterns_code.EACH)
EACH.update(times.EACH)
ONES = {key: _one(special) for key, special in {**_BOTH, **_VALUES, "until/2": until}.items()}
ONES.update(patterns_code.ONES)
ONES.update(times.ONES)
PATHS = {key: _paths(special) for key, special in {**_BOTH, **_PATHS}.items()}
