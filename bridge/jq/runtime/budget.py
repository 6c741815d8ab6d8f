"""The budget of one evaluation: counts, never seconds, so that a record gives the same answer on every machine."""

from __future__ import annotations

from bridge.jq.problems import BudgetExceeded

STEPS = 1_000_000
OUTPUTS = 10_000
TEXT = 4 * 1024 * 1024
DEPTH = 1_000
"""How deep values may be nested and functions may call themselves."""


class EvalBudget:
    """What one evaluation may still spend; generated code subtracts from the counters directly.

    A step is about one element visited or one call; 32 elements that are only copied count as one. `text` is in
    characters of text that was built, those of the longer side of a `+` apart. One budget serves many evaluations, one after another: call `reset` between.
    Not shared between threads.
    """

    __slots__ = ("_limits", "outputs", "steps", "text")

    def __init__(self, steps: int = STEPS, outputs: int = OUTPUTS, text: int = TEXT) -> None:
        self._limits = (steps, outputs, text)
        self.steps = steps
        self.outputs = outputs
        self.text = text

    def reset(self) -> None:
        """Start afresh, for the next record."""
        self.steps, self.outputs, self.text = self._limits

    def step(self, count: int) -> None:
        """Count `count` steps; raises BudgetExceeded when none are left."""
        self.steps -= count
        if self.steps < 0:
            self.over()

    def built(self, characters: int) -> None:
        """Count text that was built; raises BudgetExceeded when there is too much of it."""
        self.text -= characters
        if self.text < 0:
            self.over()

    def output(self) -> None:
        """Count one result of the whole program."""
        self.outputs -= 1
        if self.outputs < 0:
            self.over()

    def over(self) -> None:
        """Raise the BudgetExceeded that fits the counter that ran out."""
        steps, outputs, text = self._limits
        if self.text < 0:
            message = f"the expression built more than {text} characters of text"
        elif self.outputs < 0:
            message = f"the expression gave more than {outputs} results"
        else:
            message = f"the expression took more than {steps} steps"
        raise BudgetExceeded(message)
