"""The seam for the rule compiler: one expression as statements inside a function of the caller's."""

from __future__ import annotations

from bridge.jq.emit.code import Code
from bridge.jq.emit.generator import Generator
from bridge.jq.emit.scope import Scope
from bridge.jq.syntax.nodes import Node


def emit(node: Node, code: Code, value_name: str, scope: Scope | None = None) -> str:
    """Write a single expression for the input in the Python variable `value_name`; the name of its value.

    `B` must be the Budget in the function that is being written. The names of the expression must have been checked
    (`compile_program` does). Raises JqProblem for what is refused.
    """
    return Generator(code).one(node, scope or Scope.empty(), value_name)
