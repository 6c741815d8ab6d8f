"""How a built-in is described: what it does, its documentation, and an example that is tested."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import Call, Function

NOT_CONSTANT = object()
"""Says that something is not a constant; no JSON value."""

ANY = frozenset(("null", "boolean", "number", "string", "array", "object"))
NULL = frozenset(("null",))
BOOLEAN = frozenset(("boolean",))
NUMBER = frozenset(("number",))
STRING = frozenset(("string",))
ARRAY = frozenset(("array",))
OBJECT = frozenset(("object",))


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """One built-in function, `key` being its name and arity.

    `run` is a Python function of the input, the arguments and (with `budget`) the EvalBudget; with `stream` it gives an
    iterable of outputs. Without `run` it has a `definition` in jq, or `prepare` makes the function of the call and its
    arguments' constants (NOT_CONSTANT where there is none), and raises JqProblem for what is wrong with them. `written`
    says that the code generator has code of its own for it (`emit/builtins.py`).
    `count` gives the number of outputs (0 one, 1 at most one, 2 any) from those of the arguments. `example` is a
    program that reads nothing, and its outputs as JSON. `ours` marks what jq does not have.
    """

    key: str
    doc: str
    example: tuple[str, tuple[str, ...]]
    types: frozenset[str] = ANY
    run: Callable[..., object] | None = None
    budget: bool = False
    stream: bool = False
    count: Callable[[list[int]], int] | None = None
    definition: Function | None = None
    prepare: Callable[[Call, list[JSON]], object] | None = None
    written: bool = False
    ours: bool = False

    @property
    def name(self) -> str:
        """The name without the arity."""
        return self.key.partition("/")[0]

    @property
    def arity(self) -> int:
        """How many arguments it takes."""
        return int(self.key.partition("/")[2])

    @property
    def private(self) -> bool:
        """Whether only other built-ins may call it."""
        return self.key.startswith("_")


def table(*groups: Iterable[Builtin]) -> dict[str, Builtin]:
    """Built-ins by their key."""
    return {builtin.key: builtin for group in groups for builtin in group}
