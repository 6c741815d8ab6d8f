"""What names mean at a place of the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from bridge.jq.emit.code import Place
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import Function, Node

NOT_CONSTANT = object()
"""Says that something is not a constant; no JSON value."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A variable: the Python name (or literal) that holds it, and its value where that is a constant."""

    name: str
    constant: JSON = NOT_CONSTANT


@dataclass(frozen=True, slots=True, eq=False)
class Macro:
    """A function whose body is written wherever it is called; `scope` is that of its definition."""

    function: Function
    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """An argument: an expression with the scope of the call."""

    node: Node
    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Lazy:
    """A function that becomes Python functions at `place`, one per way in which it is used, once it is used.

    `written` maps a way (`value`, `path`) to the Python name; `own` says whether the function's own name is in scope
    in its body.
    """

    function: Function
    scope: Scope
    place: Place
    recursive: bool
    written: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """A parameter of a Lazy function, inside it: the Python names of its two forms."""

    value: str
    path: str


Callee = Macro | Closure | Lazy | Passed


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Variables, functions (`name/arity`) and labels; `depth` is the Python name that counts nested calls."""

    variables: Mapping[str, Bound]
    functions: Mapping[str, Callee]
    labels: Mapping[str, str]
    depth: str = "0"

    @staticmethod
    def empty() -> Scope:
        """Nothing but the built-ins."""
        nothing: Mapping[str, str] = MappingProxyType({})
        return Scope(MappingProxyType({}), MappingProxyType({}), nothing)

    def with_variable(self, name: str, bound: Bound) -> Scope:
        """The scope and one more variable."""
        return replace(self, variables={**self.variables, name: bound})

    def with_variables(self, names: Mapping[str, Bound]) -> Scope:
        """The scope and some more variables."""
        return replace(self, variables={**self.variables, **names})

    def with_functions(self, functions: Mapping[str, Callee]) -> Scope:
        """The scope and some more functions."""
        return replace(self, functions={**self.functions, **functions})

    def with_label(self, name: str, python: str) -> Scope:
        """The scope and one more label."""
        return replace(self, labels={**self.labels, name: python})
