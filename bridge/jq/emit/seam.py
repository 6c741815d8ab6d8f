"""The seam for whoever writes expressions into functions of their own: the rule compiler, and `program.py`.

Make a `Code`, a `Generator` over it and a `Scope` whose variables are Python names of your function; then call `one` (or
`each`) for every expression, between statements of your own, and `code.build("your_function")`:

    code = Code()
    with code.function("rule(v, key, B)"):                          # the EvalBudget must be called `B`
        generator = Generator(code)
        scope = scope_of(generator, {"key": Bound("key")}, defs)    # `$key` is the Python variable `key`
        prefetch(generator, nodes, scope, "v")                      # read the fields that all of them need together
        name = generator.one(node, scope, "v")
        code.line(f"return {name}")
    rule = code.build("rule")

Nodes are those of the syntax tree; names are not checked here: compile each expression with `compile_program` first, for
its problems and its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field as attribute
from typing import NamedTuple

from bridge.jq import facts
from bridge.jq.builtins.table import NOT_CONSTANT
from bridge.jq.core_nodes import MAYBE, ONE, Binding, Core, Facts
from bridge.jq.emit.code import Code
from bridge.jq.emit.writer import EMPTY, Env, Out, Sink as Into, Writer
from bridge.jq.facts import path_of
from bridge.jq.lower import NO_DEFS, NO_NAMES, Callee, Defs, Lowering, Scope as Names, defined
from bridge.jq.runtime.budget import OUTPUTS, STEPS, TEXT
from bridge.jq.runtime.support import NAMESPACE
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import Node, Pipe

__all__ = [
    "MAYBE",
    "NAMESPACE",
    "NO_DEFS",
    "ONE",
    "OUTPUTS",
    "STEPS",
    "TEXT",
    "Bound",
    "Code",
    "Defs",
    "Generator",
    "Scope",
    "Sink",
    "field",
    "path_of",
    "prefetch",
    "reads",
    "scope_of",
    "stages",
    "swells",
    "types_of",
]


class Bound(NamedTuple):
    """A variable: the Python name that holds it, and its value where that is a constant."""

    name: str
    constant: JSON = NOT_CONSTANT


class Sink(NamedTuple):
    """What to do with each output: `write` is given its Python name and writes code; `cheap` if that is one line."""

    write: Callable[[str], None]
    cheap: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What names mean: in the language and in Python. Remembers what was lowered in it."""

    names: Names = NO_NAMES
    env: Env = EMPTY
    _lowered: dict[int, tuple[Node, Core]] = attribute(default_factory=dict)

    @staticmethod
    def empty() -> Scope:
        """Nothing but the built-ins."""
        return Scope()

    @property
    def functions(self) -> Mapping[str, Callee]:
        """The functions of the program by `name/arity`; a name that is not there is a built-in's."""
        return self.names.functions

    def with_variables(self, variables: Mapping[str, Bound]) -> Scope:
        """The scope and more variables."""
        bindings = {name: Binding(bound.constant) for name, bound in variables.items()}
        env = self.env.with_names((binding, variables[name].name) for name, binding in bindings.items())
        return Scope(self.names.with_variables(bindings), env)

    def core(self, node: Node) -> Core:
        """An expression, lowered. Raises JqProblem."""
        found = self._lowered.get(id(node))
        if found is None:
            found = self._lowered[id(node)] = (node, Lowering().lower(node, self.names))
        return found[1]

    def facts(self, node: Node) -> Facts:
        """What is known of an expression. Raises JqProblem."""
        return self.core(node).facts


class Generator:
    """Writes expressions as Python code. Raises JqProblem for what is refused."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.writer = Writer(code)

    def count(self, node: Node, scope: Scope) -> int:
        """How many outputs: ONE, MAYBE, MANY."""
        return scope.facts(node).outputs

    def single(self, node: Node, scope: Scope) -> bool:
        """Whether the expression has exactly one output, or fails."""
        return self.count(node, scope) == ONE

    def constant(self, node: Node, scope: Scope) -> JSON:
        """The value of a constant expression, else NOT_CONSTANT."""
        return scope.facts(node).constant

    def one(self, node: Node, scope: Scope, v: str) -> str:
        """Write a single expression for the input `v`; the name (or literal) of its value."""
        core = scope.core(node)
        name = self.writer.one(core, scope.env, v)
        if core.facts.constant is NOT_CONSTANT:
            self._weigh(core, name)
        return name

    def each(self, node: Node, scope: Scope, v: str, sink: Sink) -> None:
        """Write any expression for the input `v`, and the sink once for its outputs."""
        core = scope.core(node)
        if core.facts.outputs == ONE:
            sink.write(self.one(node, scope, v))
            return

        def write(out: Out) -> None:
            self._weigh(core, out.value)
            sink.write(out.value)

        self.writer.each(core, scope.env, Out(v), Into(write, sink.cheap))

    def _weigh(self, core: Core, name: str) -> None:
        if facts.swells(core.facts):
            self.code.line(f"weigh({name}, B)")

    def first(self, node: Node, scope: Scope, v: str, default: str) -> str:
        """Write an expression of at most one output; the name of its value, `default` when there is none."""
        name = self.keep(default)
        self.each(node, scope, v, Sink(lambda value: self.code.line(f"{name} = {value}"), cheap=True))
        return name

    def condition(self, node: Node, scope: Scope, v: str) -> str:
        """Write a single expression that is asked for true or false; a Python expression for that."""
        return self.writer.condition(scope.core(node), scope.env, v)

    def keep(self, expression: str, prefix: str = "t") -> str:
        """Assign a Python expression to a fresh name."""
        return self.writer.keep(expression, prefix)


def scope_of(generator: Generator, variables: Mapping[str, Bound], defs: Defs) -> Scope:
    """The scope of an expression: variables of its surroundings, and shared functions (written where they are used)."""
    scope = Scope().with_variables(variables)
    names, env = scope.names, scope.env
    for function in defs.functions:
        names, own = defined(function, names)
        if own is not None:
            own.shared = True
            env = env.with_function(own, generator.code.place())
    return Scope(names, env)


def swells(node: Node, scope: Scope) -> bool:
    """Whether results may be far larger than the input."""
    return facts.swells(scope.facts(node))


def types_of(node: Node, scope: Scope) -> frozenset[str]:
    """The types that outputs of an expression can have; all six where nothing is known."""
    return scope.facts(node).types


def reads(node: Node, scope: Scope) -> tuple[str, ...]:
    """First-level fields of `.` that are always read, in order."""
    return scope.facts(node).reads


def prefetch(generator: Generator, nodes: Sequence[Node], scope: Scope, v: str) -> None:
    """Read the fields of `v` that several expressions need with one look at its type."""
    generator.writer.prefetch([scope.core(node) for node in nodes], v)


def field(generator: Generator, target: str, key: str) -> str:
    """`target.key` for a constant text; read only once."""
    return generator.writer.field(target, key)


def stages(node: Node) -> list[Node]:
    """The parts of `a | b | c`."""
    found: list[Node] = []
    while isinstance(node, Pipe):
        found.append(node.left)
        node = node.right
    found.append(node)
    return found
