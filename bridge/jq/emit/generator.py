"""The generator: what all parts of it share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bridge.jq.builtins import BUILTINS
from bridge.jq.emit.analysis import MAYBE, ONE, Analysis
from bridge.jq.emit.code import Code
from bridge.jq.emit.constants import constant_of
from bridge.jq.emit.growth import swells
from bridge.jq.emit.scope import NOT_CONSTANT, Bound, Scope
from bridge.jq.problems import JqProblem
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import ArrayPattern, Node, ObjectPattern, Pattern, Pipe, VariablePattern

MAX_NESTING = 9
"""Loops and `try`s in one Python function before the rest moves into a function of its own."""


class Sink(NamedTuple):
    """What to do with each output: `write` is given the Python name of an output and writes code.

    `cheap` says that the code is one line, so that it may be written more than once.
    """

    write: Callable[[str], None]
    cheap: bool = False


class PathAt(NamedTuple):
    """The path of the current input: a Python expression; `sure` when it cannot be None."""

    name: str
    sure: bool


class PathSink(NamedTuple):
    """A sink for outputs with their paths: given the name of the output and its path.

    The path is a Python tuple, or None where the value is not a part of the input.
    """

    write: Callable[[str, PathAt], None]
    cheap: bool = False


One = Callable[["Generator", Node, Scope, str], str]
Each = Callable[["Generator", Node, Scope, str, Sink], None]
Paths = Callable[["Generator", Node, Scope, str, "PathAt", PathSink], None]


class Generator:
    """Writes expressions as Python code; see the package's docstring. Raises JqProblem for what is refused."""

    def __init__(self, code: Code, analysis: Analysis | None = None) -> None:
        self.code = code
        self.analysis = analysis or Analysis()
        self._inside = 0
        self.caught = 0
        """How many `try`s are around what is being written (or may be, in a function): they see which error is first."""

    @contextmanager
    def trying(self) -> Iterator[None]:
        """What is written inside may have its errors looked at."""
        self.caught += 1
        yield
        self.caught -= 1

    def count(self, node: Node, scope: Scope) -> int:
        """How many outputs: ONE, MAYBE, MANY."""
        return self.analysis.count(node, scope)

    def single(self, node: Node, scope: Scope) -> bool:
        """Whether the expression has exactly one output, or fails."""
        return self.count(node, scope) == ONE

    def constant(self, node: Node, scope: Scope) -> JSON:
        """The value of a constant expression, else NOT_CONSTANT."""
        return constant_of(node, scope)

    def one(self, node: Node, scope: Scope, v: str) -> str:
        """Write a single expression for the input `v`; the name (or literal) of its value."""
        value = constant_of(node, scope)
        if value is not NOT_CONSTANT:
            return self.code.const(value)
        with self._deeper() as outermost:
            name = _tables().one[type(node)](self, node, scope, v)
        if outermost and swells(node, scope, self.analysis):
            self.code.line(f"weigh({name}, B)")
        return name

    def each(self, node: Node, scope: Scope, v: str, sink: Sink) -> None:
        """Write any expression for the input `v`, and the sink once for its outputs."""
        if self.count(node, scope) == ONE:
            sink.write(self.one(node, scope, v))
            return
        with self._deeper() as outermost:
            if outermost:
                sink = self._outer_sink(sink, weighed=swells(node, scope, self.analysis))
            if self.code.nesting >= MAX_NESTING:
                self.loop(self.stream(node, scope, v), sink)
                return
            _tables().each[type(node)](self, node, scope, v, sink)

    def _outer_sink(self, sink: Sink, *, weighed: bool) -> Sink:
        """The sink of the caller: what it writes is not a part of the expression."""

        def write(value: str) -> None:
            if weighed:
                self.code.line(f"weigh({value}, B)")
            inside, self._inside = self._inside, 0
            sink.write(value)
            self._inside = inside

        return Sink(write, sink.cheap)

    @contextmanager
    def _deeper(self) -> Iterator[bool]:
        """One level into an expression; gives whether it is the whole of it."""
        self._inside += 1
        yield self._inside == 1
        self._inside -= 1

    def paths(self, node: Node, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
        """Write any expression for the input `v` at `path`, and the sink once for its outputs and their paths."""
        if self.code.nesting >= MAX_NESTING:
            self.path_loop(self.path_stream(node, scope, v, path), sink)
            return
        write = _tables().paths.get(type(node))
        if write is not None:
            write(self, node, scope, v, path, sink)
            return
        self.each(node, scope, v, Sink(lambda value: self.foreign(value, v, path, sink)))

    def foreign(self, value: str, v: str, path: PathAt, sink: PathSink) -> None:
        """A value that is not a part of the input, unless it happens to be the very same one."""
        name = self.code.name("p")
        self.code.line(f"{name} = {path.name} if same({value}, {v}) else None")
        sink.write(value, PathAt(name, sure=False))

    def keep(self, expression: str, prefix: str = "t") -> str:
        """Assign an expression to a fresh name."""
        name = self.code.name(prefix)
        self.code.line(f"{name} = {expression}")
        return name

    def first(self, node: Node, scope: Scope, v: str, default: str) -> str:
        """Write an expression of at most one output; the name of its value, `default` when there is none."""
        name = self.keep(default)
        self.each(node, scope, v, Sink(lambda value: self.code.line(f"{name} = {value}"), cheap=True))
        return name

    def step(self, count: str = "1") -> None:
        """Count steps."""
        self.code.line(f"B.steps -= {count}")
        self.code.line("if B.steps < 0: B.over()")

    def loop(self, iterable: str, sink: Sink) -> None:
        """`for x in iterable: sink`."""
        name = self.code.name("x")
        with self.code.block(f"for {name} in {iterable}"):
            sink.write(name)

    def path_loop(self, iterable: str, sink: PathSink) -> None:
        """`for x, path in iterable: sink`."""
        name, path = self.code.name("x"), self.code.name("p")
        with self.code.block(f"for {name}, {path} in {iterable}"):
            sink.write(name, PathAt(path, sure=False))

    def local(self, write: Callable[[Sink], None]) -> str:
        """Write a local Python generator; a call of it."""
        name = self.code.name("g")
        with self.code.function(f"{name}()"):
            self.code.line("if False: yield None")
            write(Sink(lambda value: self.code.line(f"yield {value}"), cheap=True))
        return f"{name}()"

    def local_paths(self, write: Callable[[PathSink], None]) -> str:
        """Write a local Python generator of outputs and paths; a call of it."""
        name = self.code.name("g")
        with self.code.function(f"{name}()"):
            self.code.line("if False: yield None")
            write(PathSink(lambda value, path: self.code.line(f"yield {value}, {path.name}"), cheap=True))
        return f"{name}()"

    def stream(self, node: Node, scope: Scope, v: str) -> str:
        """The outputs of an expression as a Python iterable."""
        return self.local(lambda sink: _direct(self, node, scope, v, sink))

    def path_stream(self, node: Node, scope: Scope, v: str, path: PathAt) -> str:
        """The outputs of an expression and their paths as a Python iterable."""
        return self.local_paths(lambda sink: self.paths(node, scope, v, path, sink))

    def closure(self, node: Node, scope: Scope) -> str:
        """An expression as a local Python function of its input that gives an iterable."""
        name, v = self.code.name("c"), self.code.name("v")
        with self.code.function(f"{name}({v})"):
            if self.single(node, scope):
                self.code.line(f"return ({self.one(node, scope, v)},)")
            else:
                self.code.line("if False: yield None")
                self.each(node, scope, v, Sink(lambda value: self.code.line(f"yield {value}"), cheap=True))
        return name

    def path_closure(self, node: Node, scope: Scope) -> str:
        """An expression as a local Python function of its input and its path that gives outputs and paths."""
        name, v, path = self.code.name("c"), self.code.name("v"), self.code.name("p")
        with self.code.function(f"{name}({v}, {path})"):
            self.code.line("if False: yield None")
            write = PathSink(lambda value, where: self.code.line(f"yield {value}, {where.name}"), cheap=True)
            self.paths(node, scope, v, PathAt(path, sure=False), write)
        return name

    def condition(self, node: Node, scope: Scope, v: str) -> str:
        """Write a single expression that is asked for true or false; a Python expression for that."""
        return _tables().condition(self, node, scope, v)

    def args(self, nodes: tuple[Node, ...], scope: Scope, v: str, then: Callable[[list[str]], None]) -> None:
        """Write arguments that are values, every combination of their outputs, the last one as the outer loop."""

        def inner(index: int, found: list[str]) -> None:
            if index < 0:
                then(found[::-1])
                return
            self.each(nodes[index], scope, v, Sink(lambda value: inner(index - 1, [*found, value])))

        inner(len(nodes) - 1, [])

    def destructure(self, pattern: Pattern, value: str, scope: Scope, v: str, then: Callable[[Scope], None]) -> None:
        """Take `value` apart; `then` is given the scope with the pattern's variables. Keys are computed from `v`."""
        self._take(pattern, value, scope, v, {}, lambda names: then(scope.with_variables(names)))

    def _take(
        self,
        pattern: Pattern,
        value: str,
        scope: Scope,
        v: str,
        names: dict[str, Bound],
        then: Callable[[dict[str, Bound]], None],
    ) -> None:
        if isinstance(pattern, VariablePattern):
            then({**names, pattern.name: Bound(value)})
            return
        if isinstance(pattern, ArrayPattern):
            self._take_items(pattern, 0, value, scope, v, names, then)
            return
        assert isinstance(pattern, ObjectPattern)
        self._take_entries(pattern, 0, value, scope, v, names, then)

    def _take_items(
        self,
        pattern: ArrayPattern,
        at: int,
        value: str,
        scope: Scope,
        v: str,
        names: dict[str, Bound],
        then: Callable[[dict[str, Bound]], None],
    ) -> None:
        if at == len(pattern.items):
            then(names)
            return
        part = self.keep(f"index({value}, {at})")
        self._take(
            pattern.items[at],
            part,
            scope,
            v,
            names,
            lambda more: self._take_items(pattern, at + 1, value, scope, v, more, then),
        )

    def _take_entries(
        self,
        pattern: ObjectPattern,
        at: int,
        value: str,
        scope: Scope,
        v: str,
        names: dict[str, Bound],
        then: Callable[[dict[str, Bound]], None],
    ) -> None:
        if at == len(pattern.entries):
            then(names)
            return
        key, name, inner = pattern.entries[at]

        def with_key(found: str) -> None:
            part = self.keep(f"index({value}, key_text({found}))")
            bound = names if name is None else {**names, name: Bound(part)}

            def rest(more: dict[str, Bound]) -> None:
                self._take_entries(pattern, at + 1, value, scope, v, more, then)

            if inner is None:
                rest(bound)
            else:
                self._take(inner, part, scope, v, bound, rest)

        self.each(key, scope, v, Sink(with_key))


def _direct(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    generator.each(node, scope, v, sink)


def truthy(name: str) -> str:
    """The Python condition for the value that a name or literal stands for."""
    if name in ("None", "False"):
        return "False"
    return f"{name} is not None and {name} is not False" if is_name(name) else "True"


def falsy(name: str) -> str:
    """The Python condition for null and false."""
    if name in ("None", "False"):
        return "True"
    return f"{name} is None or {name} is False" if is_name(name) else "False"


def is_name(name: str) -> bool:
    """Whether it is a name, not a literal."""
    return name.isidentifier() and name not in ("None", "True", "False")


def stages(node: Node) -> list[Node]:
    """The parts of `a | b | c`."""
    found: list[Node] = []
    while isinstance(node, Pipe):
        found.append(node.left)
        node = node.right
    found.append(node)
    return found


class Tables(NamedTuple):
    """What to call for each kind of node."""

    one: dict[type[Node], One]
    each: dict[type[Node], Each]
    paths: dict[type[Node], Paths]
    condition: One


def _tables() -> Tables:
    from bridge.jq.emit.tables import TABLES

    return TABLES


__all__ = [
    "BUILTINS",
    "MAYBE",
    "Generator",
    "JqProblem",
    "PathAt",
    "PathSink",
    "Sink",
    "falsy",
    "is_name",
    "stages",
    "truthy",
]
