"""Running programs in tests."""

from __future__ import annotations

from bridge.jq import EvalBudget, JqProblem, compile_program
from bridge.jq.runtime.values import JSON


def outputs(program: str, value: JSON = None, budget: EvalBudget | None = None) -> list[JSON]:
    """All outputs of a program for an input. Raises JqProblem, JqError."""
    return list(compile_program(program).run(value, (), budget or EvalBudget()))


def problem(program: str, **options: object) -> JqProblem:
    """The problem of a program that does not compile."""
    try:
        compile_program(program, **options)  # type: ignore[arg-type]
    except JqProblem as found:
        return found
    raise AssertionError(f"{program} compiles")
