"""What is known and said of types: values that the other checks of expressions pass around."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from bridge.jq.syntax.nodes import Function
from bridge.rules.lint.needs import Types

__all__ = ["NONE", "Around", "Remark", "Tell", "kinds"]

NONE: Final[Types] = frozenset()
"""The types of what never has a value."""
_WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "string": "text",
    "array": "an array",
    "object": "an object",
}


class Remark(NamedTuple):
    """Something about a part of an expression, between two offsets. `fails` says that the part can only fail."""

    start: int
    end: int
    message: str
    hint: str | None
    fails: bool


@dataclass(frozen=True, slots=True)
class Around:
    """What is known around an expression: types of its variables, the functions that it may call."""

    variables: Mapping[str, Types]
    functions: Mapping[str, Function | None] = field(default_factory=dict)
    """`name/arity` → the function, or None for a parameter that is one."""
    depth: int = 0

    def with_variables(self, types: Mapping[str, Types]) -> Around:
        return replace(self, variables={**self.variables, **types})


Tell = Callable[[Remark], None]


def kinds(types: Types) -> str:
    """Name types for a message: `text or a number`."""
    return " or ".join(_WORDS[name] for name in _WORDS if name in types)
