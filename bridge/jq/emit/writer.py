"""The writer: what all emitters share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from bridge.jq.builtins.table import NOT_CONSTANT
from bridge.jq.core_nodes import ONE, Binding, Core, Entries, Function, Items, Mark, Parameter, Pattern
from bridge.jq.emit.code import Code, CodePlace
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.nodes import Call

MAX_NESTING = 9
"""Loops and `try`s in one Python function before the rest moves into a function of its own."""
ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}
_SMALL = 2**31


class Path(NamedTuple):
    """A Python expression for the path of a value: a tuple, or None where the value is no part of the input.

    `sure` when it cannot be None.
    """

    name: str
    sure: bool = False


class Out(NamedTuple):
    """An input or an output: the Python name (or literal) of its value, and its path where paths are asked for."""

    value: str
    path: Path | None = None

    @property
    def names(self) -> str:
        """The value, and the path if there is one, as the elements of a Python tuple."""
        return self.value if self.path is None else f"{self.value}, {self.path.name}"


class Sink(NamedTuple):
    """What to do with each output: `write` is given it and writes code.

    `cheap` says that the code is one line, so that it may be written more than once.
    """

    write: Callable[[Out], None]
    cheap: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """Where a Function is written when it is first asked for; `written` are its Python names for values, for paths."""

    place: CodePlace
    env: Env
    written: dict[bool, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Env:
    """The Python names at a place: of variables and labels, of parameters (for values, for paths), of functions.

    `depths`: inside a function, the name that counts nested calls.
    """

    names: Mapping[Binding | Mark, str] = field(default_factory=lambda: MappingProxyType({}))
    parameters: Mapping[Parameter, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    homes: Mapping[Function, Home] = field(default_factory=lambda: MappingProxyType({}))
    depths: Mapping[Function | None, str] = field(default_factory=lambda: MappingProxyType({}))

    def with_names(self, names: Iterable[tuple[Binding | Mark, str]]) -> Env:
        """More variables or labels."""
        return replace(self, names={**self.names, **dict(names)})

    def with_function(self, function: Function, place: CodePlace) -> Env:
        """One more function, to be written at `place`."""
        return replace(self, homes={**self.homes, function: Home(place, self)})


EMPTY = Env()
Emit = Callable[["Writer", Any, Env, Out, Sink], None]
One = Callable[["Writer", Any, Env, str], str]


class Tables(NamedTuple):
    """Which function writes which kind of node."""

    each: Mapping[type[Core], Emit]
    """All outputs, with paths if the input has one."""
    branches: Mapping[type[Core], One]
    """A single output, where that is not just what `each` writes for a sink that keeps the name."""
    values: frozenset[type[Core]]
    """The kinds whose outputs are no parts of the input: they know of no paths."""
    condition: One
    """A single output that is asked for true or false."""


class Writer:
    """Writes core nodes as Python code. Raises JqProblem for what is refused where it stands."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.caught = 0
        """How many `try`s are around what is being written (or may be, in a function): they see which error is first."""

    def one(self, node: Core, env: Env, v: str) -> str:
        """Write a single expression for the input `v`; the name (or literal) of its value."""
        if node.facts.constant is not NOT_CONSTANT:
            return self.code.const(node.facts.constant)
        branch = tables().branches.get(type(node))
        if branch is not None:
            return branch(self, node, env, v)
        found: list[str] = []
        tables().each[type(node)](self, node, env, Out(v), Sink(lambda out: found.append(out.value)))
        return found[0] if found else "None"

    def each(self, node: Core, env: Env, here: Out, sink: Sink) -> None:
        """Write any expression for an input, and the sink once for its outputs (with their paths if it has one)."""
        if here.path is None and node.facts.outputs == ONE:
            sink.write(Out(self.one(node, env, here.value)))
        elif self.code.nesting >= MAX_NESTING:
            self.loop(self.stream(node, env, here), here, sink)
        elif here.path is not None and type(node) in tables().values:
            self.values(node, env, here.value, lambda value: self.foreign(value, here, sink))
        else:
            tables().each[type(node)](self, node, env, here, sink)

    def values(self, node: Core, env: Env, v: str, then: Callable[[str], None]) -> None:
        """Write any expression for the input `v`, and `then` once for its outputs, whose paths nobody asks for."""
        self.each(node, env, Out(v), Sink(lambda out: then(out.value)))

    def foreign(self, value: str, here: Out, sink: Sink) -> None:
        """A value that is not a part of the input, unless it happens to be the very same one."""
        assert here.path is not None
        name = self.keep(f"{here.path.name} if same({value}, {here.value}) else None", "p")
        sink.write(Out(value, Path(name)))

    def condition(self, node: Core, env: Env, v: str) -> str:
        """Write a single expression that is asked for true or false; a Python expression for that."""
        return tables().condition(self, node, env, v)

    def tested(self, node: Core, env: Env, v: str, then: Callable[[str], None]) -> None:
        """Write a condition, and `then` once with the Python test for its outputs."""
        if node.facts.outputs == ONE:
            then(self.condition(node, env, v))
        else:
            self.values(node, env, v, lambda value: then(truthy(value)))

    def first(self, node: Core, env: Env, v: str, default: str) -> str:
        """Write an expression; the name of its last value, `default` when there is none."""
        name = self.keep(default)
        self.each(node, env, Out(v), self.into(name))
        return name

    def into(self, name: str) -> Sink:
        """The sink that assigns to a name."""
        return Sink(lambda out: self.code.line(f"{name} = {out.value}"), cheap=True)

    def keep(self, expression: str, prefix: str = "t") -> str:
        """Assign an expression to a fresh name."""
        name = self.code.name(prefix)
        self.code.line(f"{name} = {expression}")
        return name

    def step(self, count: str = "1") -> None:
        """Count steps."""
        self.code.line(f"B.steps -= {count}")
        self.code.line("if B.steps < 0: B.over()")

    @contextmanager
    def trying(self) -> Iterator[None]:
        """What is written inside may have its errors looked at."""
        self.caught += 1
        yield
        self.caught -= 1

    def loop(self, iterable: str, here: Out, sink: Sink) -> None:
        """`for x in iterable: sink`; with a path where `here` has one."""
        out = Out(self.code.name("x"), None if here.path is None else Path(self.code.name("p")))
        with self.code.block(f"for {out.names} in {iterable}"):
            sink.write(out)

    def local(self, write: Callable[[Sink], None], header: str | None = None) -> str:
        """Write a local Python generator; its name and parameters, by default a call of it."""
        call = header or f"{self.code.name('g')}()"
        with self.code.function(call):
            self.yielding(write)
        return call

    def yielding(self, write: Callable[[Sink], None]) -> None:
        """Write the body of a Python generator."""
        self.code.line("if False: yield None")
        write(Sink(lambda out: self.code.line(f"yield {out.names}"), cheap=True))

    def stream(self, node: Core, env: Env, here: Out) -> str:
        """The outputs of an expression as a Python iterable."""
        return self.local(lambda sink: self.each(node, env, here, sink))

    def forked(self, here: Out, sink: Sink, write: Callable[[Sink], None]) -> None:
        """Write code that uses the sink more than once: through a local generator unless the sink is cheap."""
        if sink.cheap:
            write(sink)
        else:
            self.loop(self.local(write), here, sink)

    def closure(self, node: Core, env: Env, *, paths: bool) -> str:
        """An expression as a local Python function of its input (and its path) that gives an iterable."""
        name, here = self.code.name("c"), Out(self.code.name("v"), Path(self.code.name("p")) if paths else None)
        if not paths and node.facts.outputs == ONE:
            with self.code.function(f"{name}({here.names})"):
                self.code.line(f"return ({self.one(node, env, here.value)},)")
        else:
            self.local(lambda sink: self.each(node, env, here, sink), f"{name}({here.names})")
        return name

    def args(
        self, nodes: Sequence[Core], env: Env, v: str, then: Callable[[list[str]], None], *, last: bool = True
    ) -> None:
        """Write arguments that are values, all combinations of their outputs; the `last` one is the outermost loop."""
        order = list(reversed(nodes)) if last else list(nodes)

        def inner(at: int, found: list[str]) -> None:
            if at == len(order):
                then(found[::-1] if last else found)
                return
            self.values(order[at], env, v, lambda value: inner(at + 1, [*found, value]))

        inner(0, [])

    def field(self, target: str, key: str) -> str:
        """`target.key` for a constant text; read only once."""
        if not is_name(target):
            return self.keep(f"index({target}, {key})")
        known = self.code.remembered("field", target, key)
        if known is not None:
            return known
        if self.code.remembered("dict", target) is not None:
            name = self.keep(f"{target}.get({key})")
        else:
            name = self.keep(f"{target}.get({key}) if type({target}) is dict else index({target}, {key})")
        self.code.remember(name, "field", target, key)
        return name

    def prefetch(self, nodes: Sequence[Core], v: str) -> None:
        """Read the fields of `v` that several expressions need with one look at its type.

        Errors of indexing may then come before other errors of the same expressions; so not inside a `try`.
        """
        if self.caught or not is_name(v):
            return
        code = self.code
        keys = dict.fromkeys(repr(key) for node in nodes for key in node.facts.reads)
        wanted = {key: "" for key in keys if code.remembered("field", v, key) is None}
        if len(wanted) < 2:
            return
        wanted = {key: code.name() for key in wanted}

        def read(form: str) -> None:
            for key, name in wanted.items():
                code.line(f"{name} = {form.format(v, key)}")

        if code.remembered("dict", v) is not None:
            read("{}.get({})")
        else:
            with code.block(f"if type({v}) is dict"):
                read("{}.get({})")
            with code.block("else"):
                read("index({}, {})")
        for key, name in wanted.items():
            code.remember(name, "field", v, key)

    def destructure(self, pattern: Pattern, value: str, env: Env, v: str, then: Callable[[Env], None]) -> None:
        """Take `value` apart; `then` is given the names with the pattern's variables. Keys are computed from `v`."""
        self._take(pattern, value, env, v, {}, lambda names: then(env.with_names(names.items())))

    def _take(
        self, pattern: Pattern, value: str, env: Env, v: str, names: dict[Binding, str], then: _Taken, at: int = 0
    ) -> None:
        """Take the part at `at` and those behind it; `names` are those of the parts before."""
        if isinstance(pattern, Binding):
            then({**names, pattern: value})
        elif isinstance(pattern, Items):
            if at == len(pattern.items):
                then(names)
                return
            part = self.keep(f"index({value}, {at})")
            self._take(
                pattern.items[at],
                part,
                env,
                v,
                names,
                lambda more: self._take(pattern, value, env, v, more, then, at + 1),
            )
        elif at == len(pattern.entries):
            then(names)
        else:
            self._take_entry(pattern, value, env, v, names, then, at)

    def _take_entry(
        self, pattern: Entries, value: str, env: Env, v: str, names: dict[Binding, str], then: _Taken, at: int
    ) -> None:
        key, whole, inner = pattern.entries[at]

        def with_key(found: str) -> None:
            part = self.keep(f"index({value}, key_text({found}))")
            bound = names if whole is None else {**names, whole: part}

            def rest(more: dict[Binding, str]) -> None:
                self._take(pattern, value, env, v, more, then, at + 1)

            if inner is None:
                rest(bound)
            else:
                self._take(inner, part, env, v, bound, rest)

        self.values(key, env, v, with_key)


_Taken = Callable[[dict[Binding, str]], None]


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


def arithmetic(op: str, left: str, right: str, right_value: object = NOT_CONSTANT) -> str:
    """A Python expression for arithmetic: small integers directly, all else by a call."""
    call = f"{ARITHMETIC[op]}({left}, {right}, B)"
    if type(right_value) is not int or not 0 < right_value < _SMALL:
        return call
    if op == "/":
        return f"({left} // {right} if {left} % {right} == 0 else {left} / {right}) if type({left}) is int else {call}"
    if op in "+-":
        return f"{left} {op} {right} if type({left}) is int and -{_SMALL} < {left} < {_SMALL} else {call}"
    return call


def refused_in_path(call: Call) -> JqProblem:
    """The problem of a function that makes a value, where a path is needed."""
    message = f"`{call.name}` in a path: it makes a value instead of naming a part of the input"
    return JqProblem("refused", message, call.start, call.end, "use paths, `select`, `first`, `getpath` … here")


def tables() -> Tables:
    """Which function writes which kind of node."""
    from bridge.jq.emit.kinds import TABLES

    return TABLES
