"""Built-ins that search arrays, turn them round, or give streams of their parts."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from bridge.jq.builtins.collections_ import length
from bridge.jq.builtins.table import ANY, ARRAY, NULL, Builtin
from bridge.jq.problems import BudgetExceeded, JqError
from bridge.jq.runtime.arith import COPIED
from bridge.jq.runtime.budget import DEPTH, Budget
from bridge.jq.runtime.paths import index, indices_of, iterate
from bridge.jq.runtime.values import JSON

_NUMBERS = (int, float)


def reverse(value: JSON, budget: Budget) -> JSON:
    """Elements (or characters) from the last to the first."""
    size = length(value)
    if type(value) in (list, str):
        budget.step(len(value) >> COPIED)
        return list(value[::-1]) if type(value) is list else [_no_item(value)] if value else []
    if not size:
        return []
    return [index(value, size - 1)]


def _no_item(value: JSON) -> JSON:
    return index(value, len(value) - 1)


def transpose(value: JSON, budget: Budget) -> list[JSON]:
    """Rows to columns, filled up with null."""
    rows = list(iterate(value))
    width = 0
    for row in rows:
        size = length(row)
        width = max(width, size)
    budget.step(ceil(width) * len(rows) + 1)
    return [[index(row, place) for row in rows] for place in range(ceil(width))] if rows else []


def indices(value: JSON, wanted: JSON, budget: Budget) -> JSON:
    """Where a text, an element or a run of elements occurs."""
    if type(value) is list:
        run = wanted if type(wanted) is list else [wanted]
        budget.step(len(value) * max(1, len(run)))
        return indices_of(value, run)
    if type(value) is str and type(wanted) is str:
        return _text_indices(value, wanted, budget)
    return index(value, wanted)


def _text_indices(text: str, wanted: str, budget: Budget) -> list[JSON]:
    found: list[JSON] = []
    if not wanted:
        return found
    at = text.find(wanted)
    budget.step(len(text) >> COPIED)
    while at >= 0:
        found.append(at)
        budget.step(1 + (len(wanted) >> COPIED))
        at = text.find(wanted, at + 1)
    return found


def first_index(value: JSON, wanted: JSON, budget: Budget) -> JSON:
    """Where something occurs first, or null."""
    return index(indices(value, wanted, budget), 0)


def last_index(value: JSON, wanted: JSON, budget: Budget) -> JSON:
    """Where something occurs last, or null."""
    found = indices(value, wanted, budget)
    if found is None:
        return None
    if type(found) not in (list, str):
        return index(index(found, {"start": -1, "end": None}), 0)
    return index(found[-1:], 0)


def combinations(value: JSON, budget: Budget) -> Iterator[JSON]:
    """One element of each array, every combination."""
    size = length(value)
    if size == 0:
        yield []
        return
    yield from _combined(value, 0, [], budget)


def _combined(value: JSON, at: int, found: list[JSON], budget: Budget) -> Iterator[JSON]:
    budget.step(1 + (len(found) >> COPIED))
    if type(value) is not list:
        iterate(index(value, 0))
    if at == len(value):
        yield list(found)
        return
    if at > DEPTH:
        raise BudgetExceeded(f"more than {DEPTH} arrays to combine")
    for item in iterate(value[at]):
        yield from _combined(value, at + 1, [*found, item], budget)


def combinations_of(value: JSON, count: JSON, budget: Budget) -> Iterator[JSON]:
    """`count` elements of one array, every combination."""
    if type(count) not in _NUMBERS:
        raise JqError("Range bounds must be numeric")
    if count > DEPTH:
        raise BudgetExceeded(f"more than {DEPTH} arrays to combine")
    times = 0
    while times < count:
        times += 1
    yield from combinations([value] * times, budget)


def tostream(value: JSON, budget: Budget) -> Iterator[JSON]:
    """A value as a stream of `[path, leaf]` and closing `[path]`."""
    yield from _streamed(value, [], budget, DEPTH)
    if type(value) in (list, dict) and value:
        yield [[_last_key(value)]]


def _last_key(value: JSON) -> JSON:
    return len(value) - 1 if type(value) is list else next(reversed(value))


def _streamed(value: JSON, path: list[JSON], budget: Budget, room: int) -> Iterator[JSON]:
    if not room:
        raise BudgetExceeded(f"a value is nested more than {DEPTH} deep")
    budget.step(1 + (len(path) >> COPIED))
    if type(value) not in (list, dict) or not value:
        yield [path, value]
        return
    pairs = enumerate(value) if type(value) is list else value.items()
    for key, item in pairs:
        where = [*path, key]
        yield from _streamed(item, where, budget, room - 1)
        if type(item) in (list, dict) and item:
            yield [[*where, _last_key(item)]]


ROWS: list[Builtin] = [
    Builtin(
        "reverse/0",
        "The elements from the last to the first.",
        ("[1, 2, 3] | reverse", ("[3,2,1]",)),
        ARRAY,
        reverse,
        budget=True,
    ),
    Builtin(
        "transpose/0",
        "Rows to columns, filled up with null.",
        ("[[1, 2], [3]] | transpose", ("[[1,3],[2,null]]",)),
        ARRAY,
        transpose,
        budget=True,
    ),
    Builtin(
        "indices/1",
        "Where a text, an element or a run of elements occurs.",
        ('"a,b,c" | indices(",")', ("[1,3]",)),
        ARRAY | NULL,
        indices,
        budget=True,
    ),
    Builtin(
        "index/1",
        "Where something occurs first, or null.",
        ('"a,b,c" | index(",")', ("1",)),
        ANY,
        first_index,
        budget=True,
    ),
    Builtin(
        "rindex/1",
        "Where something occurs last, or null.",
        ('"a,b,c" | rindex(",")', ("3",)),
        ANY,
        last_index,
        budget=True,
    ),
    Builtin(
        "combinations/0",
        "One element of each array, every combination.",
        ("[[1, 2], [3]] | combinations", ("[1,3]", "[2,3]")),
        ARRAY,
        combinations,
        budget=True,
        stream=True,
        count=lambda _: 2,
    ),
    Builtin(
        "combinations/1",
        "So many elements of the array, every combination.",
        ("[0, 1] | [combinations(2)] | length", ("4",)),
        ARRAY,
        combinations_of,
        budget=True,
        stream=True,
        count=lambda _: 2,
    ),
    Builtin(
        "tostream/0",
        "A value as a stream of `[path, leaf]` and closing `[path]`.",
        ("[5] | tostream", ("[[0],5]", "[[0]]")),
        ARRAY,
        tostream,
        budget=True,
        stream=True,
        count=lambda _: 2,
    ),
]
