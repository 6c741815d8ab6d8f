"""The seam for the rule compiler, which writes expressions into functions of its own; everything it may use is here.

`Generator(code).one(node, scope, v)` writes a single expression for the input in the Python variable `v`; see `emit/`.
"""

from __future__ import annotations

from bridge.jq.emit.analysis import MAYBE, ONE
from bridge.jq.emit.code import Code
from bridge.jq.emit.generator import Generator, Sink, stages
from bridge.jq.emit.growth import swells
from bridge.jq.emit.reads import prefetch, reads
from bridge.jq.emit.scope import Bound, Scope
from bridge.jq.emit.singles import field
from bridge.jq.facts import path_of, types_of
from bridge.jq.program import NO_DEFS, scope_of
from bridge.jq.runtime.budget import OUTPUTS, STEPS, TEXT
from bridge.jq.runtime.support import NAMESPACE
from bridge.jq.syntax.nodes import Node

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
    "Generator",
    "Scope",
    "Sink",
    "emit",
    "field",
    "path_of",
    "prefetch",
    "reads",
    "scope_of",
    "stages",
    "swells",
    "types_of",
]


def emit(node: Node, code: Code, value_name: str, scope: Scope | None = None) -> str:
    """Write a single expression for the input in the Python variable `value_name`; the name of its value.

    `B` must be the Budget in the function that is being written. The names of the expression must have been checked
    (`compile_program` does). Raises JqProblem for what is refused.
    """
    return Generator(code).one(node, scope or Scope.empty(), value_name)
