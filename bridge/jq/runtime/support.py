"""What generated code calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType

from bridge.jq.problems import BreakOut, BudgetExceeded, JqError
from bridge.jq.runtime.arith import add, described, divide, modulo, multiply, negate, subtract
from bridge.jq.runtime.budget import DEPTH, EvalBudget
from bridge.jq.runtime.paths import (
    delete_keys,
    delpaths,
    getpath,
    index,
    iterate,
    join,
    no_iteration,
    put,
    putpath,
    set_key,
    setpath,
    slice_of,
    take,
)
from bridge.jq.runtime.printing import shown, tostring
from bridge.jq.runtime.values import JSON, compare, equal, type_name, whole

PYTHON_FRAMES = 5_000
"""What DEPTH levels of calls or values need at most; about a third of what a thread's stack of 8 MiB holds."""
sys.setrecursionlimit(max(sys.getrecursionlimit(), PYTHON_FRAMES))

NOTHING = object()
"""No output."""

Step = Callable[[JSON], Iterable[JSON]]
Place = tuple[JSON, ...] | None
"""A path, or None where the value is no part of the input."""
PathStep = Callable[[JSON, Place], Iterable[tuple[JSON, Place]]]
_NUMBERS = (int, float)


def index_or_none(value: JSON, key: JSON) -> object:
    """`.[key]?`."""
    try:
        return index(value, key)
    except JqError:
        return NOTHING


def slice_or_none(value: JSON, start: JSON, end: JSON, budget: EvalBudget) -> object:
    """`.[start:end]?`."""
    try:
        return slice_of(value, start, end, budget)
    except JqError:
        return NOTHING


def iterate_or_nothing(value: JSON) -> Iterable[JSON]:
    """`.[]?`."""
    kind = type(value)
    return value if kind is list else value.values() if kind is dict else ()


def entries(value: JSON, budget: EvalBudget) -> Iterable[tuple[JSON, JSON]]:
    """Keys and values in the order of `.[]`."""
    kind = type(value)
    if kind is not list and kind is not dict:
        raise no_iteration(value)
    budget.step(len(value))
    return enumerate(value) if kind is list else value.items()


def entries_or_nothing(value: JSON, budget: EvalBudget) -> Iterable[tuple[JSON, JSON]]:
    """Keys and values of `.[]?`."""
    return entries(value, budget) if type(value) in (list, dict) else ()


def key_text(key: JSON) -> str:
    """A key of an object; raises where it is no text."""
    if type(key) is not str:
        raise JqError(f"Cannot use {described(key)} as object key")
    return key


def same(value: JSON, current: JSON) -> bool:
    """Whether a value is the current one itself, as libjq sees it when it follows paths."""
    if value is None or type(value) is bool:
        return value is current
    if type(value) in (list, dict):
        return value is current
    return type(value) is str and value is current and len(value) > 1


def off_path(value: JSON, how: tuple[str, JSON]) -> JqError:
    """A step from a value that is not a part of the input."""
    kind, key = how
    if kind == "each":
        return JqError(f"Invalid path expression near attempt to iterate through {shown(value)}")
    return JqError(f"Invalid path expression near attempt to access element {shown(key)} of {shown(value)}")


def not_path(value: JSON) -> JqError:
    """An output that is not a part of the input."""
    return JqError(f"Invalid path expression with result {shown(value)}")


def counted(count: JSON, name: str, budget: EvalBudget) -> JSON:
    """The count of `limit` and `skip`: None for zero; raises for a negative one."""
    order = compare(count, 0)
    if order > 0:
        return count
    if order == 0:
        return None
    raise JqError(f"{name} doesn't support negative count")


def descend(value: JSON, budget: EvalBudget) -> Iterator[JSON]:
    """`..`: a value and everything in it, depth first."""
    yield value
    stack = [iter(iterate_or_nothing(value))]
    while stack:
        for item in stack[-1]:
            budget.step(1)
            yield item
            if type(item) is list:
                stack.append(iter(item))
                break
            if type(item) is dict:
                stack.append(iter(item.values()))
                break
        else:
            stack.pop()


def descend_paths(
    value: JSON, path: tuple[JSON, ...] | None, budget: EvalBudget
) -> Iterator[tuple[JSON, tuple[JSON, ...] | None]]:
    """`..` with paths."""
    yield value, path
    if type(value) not in (list, dict):
        return
    if path is None:
        raise off_path(value, ("each", None))
    stack = [(path, iter(entries(value, budget)))]
    while stack:
        base, items = stack[-1]
        for key, item in items:
            where = (*base, key)
            budget.step(1 + (len(where) >> 5))
            yield item, where
            if type(item) is list or type(item) is dict:
                stack.append((where, iter(entries(item, budget))))
                break
        else:
            stack.pop()


def recurse(value: JSON, step: Step, budget: EvalBudget) -> Iterator[JSON]:
    """`recurse(f)`: a value, and what `f` makes of it, and so on, depth first."""
    yield value
    stack = [iter(step(value))]
    while stack:
        for item in stack[-1]:
            budget.step(1)
            yield item
            _deeper(stack)
            stack.append(iter(step(item)))
            break
        else:
            stack.pop()


def _deeper(stack: list[Iterator[JSON]]) -> None:
    if len(stack) > 100 * DEPTH:
        too_deep()


def recurse_paths(value: JSON, path: Place, step: PathStep, budget: EvalBudget) -> Iterator[tuple[JSON, Place]]:
    """`recurse(f)` with paths."""
    yield value, path
    stack = [iter(step(value, path))]
    while stack:
        for item, where in stack[-1]:
            budget.step(1 + (0 if where is None else len(where) >> 5))
            yield item, where
            stack.append(iter(step(item, where)))
            break
        else:
            stack.pop()


def walk(value: JSON, step: Step, budget: EvalBudget, room: int = DEPTH) -> Iterator[JSON]:
    """`walk(f)`: in objects the first output counts, in arrays every one."""
    if not room:
        too_deep()
    budget.step(1)
    kind = type(value)
    if kind is dict:
        made: dict[str, JSON] = {}
        for key, item in value.items():
            for found in walk(item, step, budget, room - 1):
                made[key] = found
                break
        value = made
    elif kind is list:
        value = [found for item in value for found in walk(item, step, budget, room - 1)]
    yield from step(value)


def weigh(value: JSON, budget: EvalBudget) -> None:
    """Count every part of a result: what is shared counts as often as it is written out."""
    if type(value) not in (list, dict):
        return
    stack = [value]
    while stack:
        part = stack.pop()
        items = part if type(part) is list else part.values()
        budget.steps -= len(items)
        if budget.steps < 0:
            budget.over()
        stack.extend([item for item in items if type(item) is list or type(item) is dict])


def range_of(start: JSON, end: JSON, by: JSON = 1, budget: EvalBudget | None = None) -> Iterator[JSON]:
    """`range`: numbers from `start` towards `end`."""
    if budget is None:
        budget, by = by, 1
        if type(start) not in _NUMBERS or type(end) not in _NUMBERS:
            raise JqError("Range bounds must be numeric")
    order = compare(by, 0)
    if order == 0:
        return
    if type(start) is int and type(by) is int and type(end) is int:
        for number in range(start, end, by):
            budget.steps -= 1
            if budget.steps < 0:
                budget.over()
            yield number
        return
    while compare(start, end) == -order:
        budget.step(1)
        yield start
        start = add(start, by, budget)


def too_deep() -> None:
    """Raise the BudgetExceeded of calls that are nested too deep."""
    raise BudgetExceeded(f"functions call themselves more than {DEPTH} deep")


_CALLED: tuple[type | Callable[..., object], ...] = (
    JqError, BudgetExceeded, BreakOut, index, slice_of, iterate, index_or_none, slice_or_none, iterate_or_nothing,
    entries, entries_or_nothing, getpath, setpath, putpath, put, take, join, set_key, delpaths, delete_keys, key_text, same, off_path,
    not_path, counted, descend, descend_paths, recurse, recurse_paths, walk, weigh, range_of, too_deep, add,
    subtract, multiply, divide, modulo, negate, equal, compare, tostring, whole, type_name,
)  # fmt: skip
NAMESPACE: MappingProxyType[str, object] = MappingProxyType(
    {"NOTHING": NOTHING, "DEPTH": DEPTH, **{called.__name__: called for called in _CALLED}}
)
