"""JSON values as Python values, and how jq compares them.

null, booleans, numbers, strings, arrays and objects are None, bool, int or float, str, list and dict. Values are
never changed in place: every operation that changes one makes a new one, so parts may be shared freely.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any, Protocol, TypeAlias

JSON: TypeAlias = Any
"""A JSON value. Python's type system cannot say this usefully; the tests do."""

INT_MIN = -(2**63)
INT_MAX = 2**64 - 1

TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}

_ORDER: dict[type, int] = {type(None): 0, bool: 1, int: 3, float: 3, str: 4, list: 5, dict: 6}


def type_name(value: JSON) -> str:
    """The name that jq's `type` gives."""
    return TYPE_NAMES[type(value)]


def whole(number: float) -> int | float:
    """A computed number: an int where it is whole and fits into 64 bits, else a double."""
    if number.is_integer() and INT_MIN <= number <= INT_MAX:
        return int(number)
    return number


def fitted(number: int) -> int | float:
    """A computed integer: exact within 64 bits, beyond them a double."""
    if INT_MIN <= number <= INT_MAX:
        return number
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


class Counter(Protocol):
    """Counts the elements that are compared: an EvalBudget."""

    def step(self, count: int) -> None:
        """Count."""


def equal(a: JSON, b: JSON, budget: Counter | None = None) -> bool:
    """jq's `==`: numbers by value, never a boolean with a number; nan equals nothing."""
    kind = type(a)
    if kind is not type(b):
        return kind in (int, float) and type(b) in (int, float) and bool(a == b)
    if kind is not list and kind is not dict:
        return bool(a == b)
    if len(a) != len(b):
        return False
    if budget is not None:
        budget.step(len(a))
    if kind is list:
        return all(equal(x, y, budget) for x, y in zip(a, b, strict=True))
    return all(key in b and equal(value, b[key], budget) for key, value in a.items())


def compare(a: JSON, b: JSON, budget: Counter | None = None) -> int:
    """jq's order of all values: -1, 0 or 1. nan is below every number, itself too."""
    kind = type(a)
    other = type(b)
    if kind is not other and not (kind in (int, float) and other in (int, float)):
        return -1 if _rank(a) < _rank(b) else 1
    if kind is list:
        return _compare_lists(a, b, budget)
    if kind is dict:
        return _compare_objects(a, b, budget)
    if a != a:  # noqa: PLR0124 - nan
        return -1
    if kind is str:
        return 0 if a == b else (-1 if a < b else 1)
    if a is None or a == b:
        return 0
    return -1 if a < b else 1


def _rank(value: JSON) -> int:
    return 2 if value is True else _ORDER[type(value)]


def _compare_lists(a: list[JSON], b: list[JSON], budget: Counter | None) -> int:
    if budget is not None:
        budget.step(min(len(a), len(b)))
    for x, y in zip(a, b, strict=False):
        order = compare(x, y, budget)
        if order:
            return order
    return (len(a) > len(b)) - (len(a) < len(b))


def _compare_objects(a: dict[str, JSON], b: dict[str, JSON], budget: Counter | None) -> int:
    if budget is not None:
        budget.step(len(a) + len(b))
    keys, others = sorted(a), sorted(b)
    if keys != others:
        return -1 if keys < others else 1
    for key in keys:
        order = compare(a[key], b[key], budget)
        if order:
            return order
    return 0


def ordering(budget: Counter) -> Callable[[JSON], Any]:
    """A sort key in jq's order that counts what it compares."""
    return cmp_to_key(lambda a, b: compare(a, b, budget))


sort_key = cmp_to_key(compare)


def size(value: JSON) -> int:
    """How many elements a value has at its first level; what comparing or copying it costs."""
    return len(value) if type(value) in (list, dict, str) else 1
