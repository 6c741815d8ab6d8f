"""`+ - * / %` and unary minus on any two values.

Integers are exact within 64 bits; whole results are integers. Everything that copies or builds counts against the
budget in proportion.
"""

from __future__ import annotations

import math

from bridge.jq.problems import BudgetExceeded, JqError
from bridge.jq.runtime.budget import DEPTH, EvalBudget
from bridge.jq.runtime.printing import shown
from bridge.jq.runtime.values import JSON, equal, fitted, type_name, whole

_NUMBERS = (int, float)
COPIED = 5
"""Copying 2**5 elements counts as one step."""
WRITTEN = 8
"""Copying 2**8 characters counts as one step."""


def described(value: JSON) -> str:
    """A value in an error message: `number (1)`."""
    return f"{type_name(value)} ({shown(value)})"


def _refused(a: JSON, b: JSON, what: str) -> JqError:
    return JqError(f"{described(a)} and {described(b)} cannot be {what}")


def add(a: JSON, b: JSON, budget: EvalBudget) -> JSON:
    """jq's `+`."""
    kind = type(a)
    other = type(b)
    if kind in _NUMBERS and other in _NUMBERS:
        return fitted(a + b) if kind is int and other is int else whole(a + b)
    if kind is str and other is str:
        budget.built(min(len(a), len(b)))
        budget.step((len(a) + len(b)) >> WRITTEN)
        return a + b
    if a is None:
        return b
    if b is None:
        return a
    if kind is other and kind in (list, dict):
        budget.step(min(len(a), len(b)) + ((len(a) + len(b)) >> COPIED))
        return a + b if kind is list else {**a, **b}
    raise _refused(a, b, "added")


def subtract(a: JSON, b: JSON, budget: EvalBudget) -> JSON:
    """jq's `-`."""
    kind = type(a)
    other = type(b)
    if kind in _NUMBERS and other in _NUMBERS:
        return fitted(a - b) if kind is int and other is int else whole(a - b)
    if kind is list and other is list:
        return without(a, b, budget)
    raise _refused(a, b, "subtracted")


def without(items: list[JSON], unwanted: list[JSON], budget: EvalBudget) -> list[JSON]:
    """The items that equal none of the unwanted."""
    budget.step(len(items) + len(unwanted))
    if all(type(item) is str for item in unwanted):
        texts = set(unwanted)
        return [item for item in items if type(item) is not str or item not in texts]
    budget.step(len(items) * len(unwanted))
    return [item for item in items if not any(equal(item, other) for other in unwanted)]


def multiply(a: JSON, b: JSON, budget: EvalBudget) -> JSON:
    """jq's `*`: numbers, a text repeated, objects merged deeply."""
    kind = type(a)
    other = type(b)
    if kind in _NUMBERS and other in _NUMBERS:
        return fitted(a * b) if kind is int and other is int else whole(a * b)
    if kind is str and other in _NUMBERS:
        return repeated(a, b, budget)
    if other is str and kind in _NUMBERS:
        return repeated(b, a, budget)
    if kind is dict and other is dict:
        return merged(a, b, budget, DEPTH)
    raise _refused(a, b, "multiplied")


def repeated(text: str, times: float, budget: EvalBudget) -> str | None:
    """A text `times` times over; null for a negative number of times or nan."""
    if times < 0 or times != times:  # noqa: PLR0124 - nan
        return None
    if not text:
        return text
    budget.built(int(min(len(text) * times, 1e15)))
    return text * int(times)


def merged(a: dict[str, JSON], b: dict[str, JSON], budget: EvalBudget, room: int) -> dict[str, JSON]:
    """`b` over `a`, objects in both merged in turn."""
    if not room:
        raise BudgetExceeded(f"a value is nested more than {DEPTH} deep")
    budget.step((len(a) >> COPIED) + len(b))
    result = dict(a)
    for key, value in b.items():
        mine = result.get(key)
        if type(mine) is dict and type(value) is dict:
            value = merged(mine, value, budget, room - 1)  # noqa: PLW2901 - the merged value
        result[key] = value
    return result


def divide(a: JSON, b: JSON, budget: EvalBudget) -> JSON:
    """jq's `/`: numbers, or a text split by a text."""
    kind = type(a)
    other = type(b)
    if kind in _NUMBERS and other in _NUMBERS:
        if b == 0:
            raise _refused(a, b, "divided because the divisor is zero")
        if kind is int and other is int:
            return a // b if a % b == 0 else a / b
        return whole(a / b)
    if kind is str and other is str:
        return split(a, b, budget)
    raise _refused(a, b, "divided")


def split(text: str, separator: str, budget: EvalBudget) -> list[JSON]:
    """The parts of a text; its characters when the separator is empty; nothing for an empty text."""
    budget.step(len(text) >> COPIED)
    if not text:
        return []
    parts: list[JSON] = list(text) if not separator else list(text.split(separator))
    budget.step(len(parts))
    return parts


def modulo(a: JSON, b: JSON, budget: EvalBudget) -> JSON:
    """jq's `%`: both sides cut to integers of 64 bits; the sign of the left side."""
    if type(a) not in _NUMBERS or type(b) not in _NUMBERS:
        raise _refused(a, b, "divided (remainder)")
    if a != a or b != b:  # noqa: PLR0124 - nan
        return math.nan
    left, right = _cut(a), abs(_cut(b))
    if right == 0:
        raise _refused(a, b, "divided (remainder) because the divisor is zero")
    rest = abs(left) % right
    return -rest if left < 0 else rest


def _cut(number: float) -> int:
    """To an integer, towards zero; doubles beyond 64 bits to the nearest that fits."""
    if type(number) is int:
        return number
    if number >= 2.0**63:
        return 2**63 - 1
    if number <= -(2.0**63):
        return -(2**63)
    return int(number)


def negate(a: JSON) -> JSON:
    """Unary minus."""
    if type(a) is int:
        return fitted(-a)
    if type(a) is float:
        return whole(-a)
    raise JqError(f"{described(a)} cannot be negated")


OPERATORS = {"+": add, "-": subtract, "*": multiply, "/": divide, "%": modulo}
