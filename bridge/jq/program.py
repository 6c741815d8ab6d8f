"""Compiled programs and shared definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bridge.jq.builtins import BUILTINS
from bridge.jq.builtins.table import NOT_CONSTANT
from bridge.jq.emit.seam import Bound, Code, Generator, Scope, Sink, path_of, scope_of
from bridge.jq.lower import NO_DEFS, Defs
from bridge.jq.problems import BreakOut, BudgetExceeded, JqError, JqProblem
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.names import Checker, Names
from bridge.jq.syntax.nodes import Binary, Call, Function, Logic, Node
from bridge.jq.syntax.parser import parse, parse_definitions

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled program. Pure: it may be run any number of times and by any thread that has an EvalBudget of its own.

    `single`: exactly one output or an error. `types`: the types that its outputs can have, as far as known. `reads`:
    the variables it reads, of those it was compiled with. `constant`: its value where that is the same for every
    input, else NOT_CONSTANT. `paths`: its keys if it is a plain path. `comparison`: (path, constant) if nothing but an
    input with that constant at that path can make it true.
    """

    text: str
    node: Node
    single: bool
    types: frozenset[str]
    reads: frozenset[str]
    constant: JSON
    paths: Path | None
    comparison: tuple[Path, JSON] | None
    _function: Callable[..., JSON]

    def run(self, value: JSON, args: tuple[JSON, ...], budget: EvalBudget) -> Iterator[JSON]:
        """The outputs for an input; `args` are the values of the variables, in their order. Raises JqError."""
        if self.single:
            budget.output()
            yield self.one(value, args, budget)
            return
        try:
            for output in self._function(value, args, budget):
                budget.output()
                yield output
        except RecursionError:
            raise BudgetExceeded("values or calls are nested too deep") from None
        except MemoryError:
            raise BudgetExceeded("there is not enough memory for the values") from None
        except BreakOut:
            raise JqError("break") from None

    def one(self, value: JSON, args: tuple[JSON, ...], budget: EvalBudget) -> JSON:
        """The output of a `single` program. Raises JqError."""
        try:
            return self._function(value, args, budget)
        except RecursionError:
            raise BudgetExceeded("values or calls are nested too deep") from None
        except MemoryError:
            raise BudgetExceeded("there is not enough memory for the values") from None


def compile_defs(text: str, *, variables: Sequence[str] = (), earlier: Defs | None = None) -> Defs:
    """Check a text of `def`s that all expressions may use. Raises JqProblem with offsets into `text`."""
    before = earlier or NO_DEFS
    names = Names(frozenset(variables), before.keys, frozenset(variables))
    checker = Checker()
    functions: list[Function] = []
    for function in parse_definitions(text):
        _reject_redefinition(function, names)
        checker.function(function, names)
        names = names.and_functions(function.key)
        functions.append(function)
    found = Defs((*before.functions, *functions), names.variables, before.reads | checker.reads)
    _try_out(functions, found, len(before.functions))
    return found


def _reject_redefinition(function: Function, names: Names) -> None:
    where = (function.start + 4, function.start + 4 + len(function.name))
    if function.name.startswith("_"):
        return
    if function.key in BUILTINS:
        message = f"`{function.key}` is a built-in"
        raise JqProblem("redefined", message, *where, "give the function another name")
    if function.key in names.functions:
        raise JqProblem("redefined", f"`{function.key}` is already defined", *where, "give one of them another name")


def _try_out(functions: list[Function], defs: Defs, first: int) -> None:
    """Write functions without parameters once, so that what is wrong in them is found here and not at a call."""
    for at, function in enumerate(functions):
        if function.params:
            continue
        known = Defs(defs.functions[: first + at + 1], defs.variables, defs.reads)
        _generate(Call(function.start, function.end, function.name, ()), sorted(defs.variables), known)


def compile_program(text: str | Node, *, variables: Sequence[str] = (), defs: Defs | None = None) -> Program:
    """Compile an expression. `variables` are the names of its surroundings, without `$`. Raises JqProblem."""
    known = defs or NO_DEFS
    try:
        node = parse(text) if isinstance(text, str) else text
        checker = Checker()
        checker.check(node, Names(frozenset(variables), known.keys, frozenset(variables)))
        return _compiled(text if isinstance(text, str) else "", node, variables, known, frozenset(checker.reads))
    except RecursionError:
        raise JqProblem("too-large", "the expression is nested too deep", 0, 1, "use `def`") from None


def _compiled(text: str, node: Node, variables: Sequence[str], defs: Defs, reads: frozenset[str]) -> Program:
    function, single, scope = _generate(node, variables, defs)
    return Program(
        text=text,
        node=node,
        single=single,
        types=scope.facts(node).types,
        reads=reads,
        constant=scope.facts(node).constant,
        paths=path_of(node),
        comparison=_comparison_of(node, scope),
        _function=function,
    )


def _comparison_of(node: Node, scope: Scope) -> tuple[Path, JSON] | None:
    """(path, constant) if the expression can be true only for inputs that hold the constant at the path.

    It is `PATH == CONSTANT`, the other way round, or begins with one of them before `and`.
    """
    while isinstance(node, Logic) and node.op == "and":
        node = node.left
    if not isinstance(node, Binary) or node.op != "==":
        return None
    for side, other in ((node.left, node.right), (node.right, node.left)):
        path = path_of(side)
        value = NOT_CONSTANT if path is None else scope.facts(other).constant
        if path is not None and value is not NOT_CONSTANT and type(value) not in (list, dict):
            return path, value
    return None


def _generate(node: Node, variables: Sequence[str], defs: Defs) -> tuple[Callable[..., JSON], bool, Scope]:
    code = Code()
    generator = Generator(code)
    names = {name: Bound(code.name("a")) for name in variables}
    with code.function("program(v, args, B)"):
        if names:
            code.line(f"{', '.join(bound.name for bound in names.values())}, = args")
        scope = scope_of(generator, names, defs)
        single = generator.single(node, scope)
        if single:
            code.line(f"return {generator.one(node, scope, 'v')}")
        else:
            code.line("if False: yield None")
            generator.each(node, scope, "v", Sink(lambda value: code.line(f"yield {value}"), cheap=True))
    return code.build("program"), single, scope


__all__ = ["NOT_CONSTANT", "NO_DEFS", "Defs", "Program", "compile_defs", "compile_program"]
