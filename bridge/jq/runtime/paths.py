"""Reading and changing parts of values: `.[key]`, slices, `getpath`, `setpath`, `delpaths`.

A path is a tuple or list of keys: texts, numbers and slices (`{"start": …, "end": …}`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from math import isnan

from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import COPIED, WRITTEN, add, described
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.printing import shown
from bridge.jq.runtime.values import JSON, equal, sort_key, type_name

_NUMBERS = (int, float)
Mine = dict[int, JSON]
"""Lists and objects, by their `id`, that were made here and that nobody else has: these may be changed in place."""
LARGEST_INDEX = 536_870_911
_SLICE_KEYS = "Array/string slice indices must be integers"


def index(value: JSON, key: JSON) -> JSON:
    """`.[key]`, whatever the two are. Raises JqError."""
    kind = type(value)
    wanted = type(key)
    if kind is dict and wanted is str:
        return value.get(key)
    if kind is list and wanted in _NUMBERS:
        return _item(value, key)
    if value is None and (wanted is str or wanted in _NUMBERS or wanted is dict):
        return None
    if wanted is dict and kind in (list, str):
        return _sliced_by(value, key)
    if kind is list and wanted is list:
        return indices_of(value, key)
    raise no_index(value, key)


def no_index(value: JSON, key: JSON) -> JqError:
    """The error of indexing `value` with `key`."""
    return JqError(f"Cannot index {type_name(value)} with {type_name(key)} ({shown(key)})")


def _item(items: list[JSON], key: float) -> JSON:
    if type(key) is float:
        if key != key or abs(key) > 2**60:  # noqa: PLR0124 - nan; beyond any list
            return None
        key = int(key)
    size = len(items)
    if -size <= key < size:
        return items[int(key)]
    return None


def _sliced_by(value: JSON, key: dict[str, JSON]) -> JSON:
    if "start" not in key or "end" not in key:
        raise JqError(_SLICE_KEYS)
    return _sliced(value, key["start"], key["end"])


def slice_of(value: JSON, start: JSON, end: JSON, budget: EvalBudget) -> JSON:
    """`.[start:end]` of an array, a text or null."""
    part = _sliced(value, start, end)
    if part is not None:
        budget.step(len(part) >> (COPIED if type(part) is list else WRITTEN))
    return part


def _sliced(value: JSON, start: JSON, end: JSON) -> JSON:
    if value is None:
        return None
    if type(value) not in (list, str):
        raise no_index(value, {"start": start, "end": end})
    if (start is None or type(start) is int) and (end is None or type(end) is int):
        return value[start:end]
    low, high = bounds(len(value), start, end)
    return value[low:high]


def bounds(size: int, start: JSON, end: JSON) -> tuple[int, int]:
    """The places that a slice means in something of `size` elements."""
    if (start is not None and type(start) not in _NUMBERS) or (end is not None and type(end) not in _NUMBERS):
        raise JqError(_SLICE_KEYS)
    low = 0 if start is None or isnan(start) else _clamped(start, size)
    high = size if end is None or isnan(end) else _clamped(end, size)
    low = math.floor(low)
    return low, max(low, math.ceil(high))


def _clamped(place: float, size: int) -> float:
    if place < 0:
        place += size
    return min(max(place, 0), size)


def indices_of(items: list[JSON], wanted: list[JSON]) -> list[JSON]:
    """Where a run of elements occurs in an array."""
    count = len(wanted)
    if not count:
        return []
    return [
        at
        for at in range(len(items) - count + 1)
        if all(equal(items[at + offset], wanted[offset]) for offset in range(count))
    ]


def iterate(value: JSON) -> Iterable[JSON]:
    """`.[]`. Raises JqError."""
    if type(value) is list:
        return value
    if type(value) is dict:
        return value.values()
    raise no_iteration(value)


def no_iteration(value: JSON) -> JqError:
    """The error of `.[]` on something that has no elements."""
    return JqError(f"Cannot iterate over {described(value)}")


def entries(value: JSON) -> Iterable[tuple[JSON, JSON]]:
    """Keys and values in the order of `.[]`. Raises JqError."""
    if type(value) is list:
        return enumerate(value)
    if type(value) is dict:
        return value.items()
    raise no_iteration(value)


def getpath(value: JSON, path: JSON) -> JSON:
    """jq's `getpath`: null where a part is missing."""
    if type(path) not in (list, tuple):
        raise JqError("Path must be specified as an array")
    for key in path:
        value = index(value, key)
    return value


def setpath(value: JSON, path: JSON, new: JSON, budget: EvalBudget) -> JSON:
    """jq's `setpath`: a copy with one part replaced; what is missing on the way is made."""
    return putpath(value, path, new, budget, {})


def putpath(value: JSON, path: JSON, new: JSON, budget: EvalBudget, mine: Mine) -> JSON:
    """`setpath` that changes what is in `mine` in place, and notes there what it copies."""
    if type(path) not in (list, tuple):
        raise JqError("Path must be specified as an array")
    steps: list[tuple[JSON, JSON]] = []
    for key in path:
        steps.append((value, key))
        value = index(value, key)
    for parent, key in reversed(steps):
        new = put(parent, key, new, budget, mine)
    return new


def put(value: JSON, key: JSON, new: JSON, budget: EvalBudget, mine: Mine) -> JSON:
    """`set_key` that changes what is in `mine` in place, and notes there what it copies."""
    if id(value) in mine:
        if type(value) is dict:
            if type(key) is str:
                value[key] = new
                return value
        elif type(key) is int and 0 <= key <= len(value):
            if key == len(value):
                value.append(new)
            else:
                value[key] = new
            return value
    copy = set_key(value, key, new, budget)
    mine[id(copy)] = copy
    return copy


def take(value: JSON, path: Sequence[JSON], mine: Mine) -> JSON:
    """The part at a path, for somebody who may keep it: if it is in `mine`, nothing is mine any longer."""
    part = getpath(value, path)
    if id(part) in mine:
        mine.clear()
    return part


def join(value: JSON, more: JSON, budget: EvalBudget, mine: Mine) -> JSON:
    """`+` that changes its left side in place if that is in `mine`, else notes what it copies there."""
    kind = type(value)
    if kind is not type(more) or kind not in (list, dict):
        return add(value, more, budget)
    if id(value) not in mine:
        value = add(value, more, budget)
        mine[id(value)] = value
        return value
    budget.step(len(more))
    if kind is list:
        value.extend(more)
    else:
        value.update(more)
    return value


def set_key(value: JSON, key: JSON, new: JSON, budget: EvalBudget) -> JSON:
    """A copy of `value` with `.[key]` replaced. Raises JqError."""
    kind = type(value)
    wanted = type(key)
    if wanted is str and (kind is dict or value is None):
        if value is None:
            return {key: new}
        budget.step(len(value) >> COPIED)
        return {**value, key: new}
    if wanted in _NUMBERS and (kind is list or value is None):
        return _set_item(value or [], key, new, budget)
    if wanted is dict and (kind is list or value is None):
        return _set_slice(value or [], key, new, budget)
    if wanted is dict and kind is str:
        raise JqError("Cannot update string slices")
    if wanted is list and kind is list:
        raise JqError("Cannot update field at array index of array")
    raise no_index(value, key)


def _set_item(items: list[JSON], key: float, new: JSON, budget: EvalBudget) -> list[JSON]:
    if key != key:  # noqa: PLR0124 - nan
        raise JqError("Cannot set array element at NaN index")
    place = int(min(max(key, -(2**60)), 2**60))
    if place < 0:
        place += len(items)
        if place < 0:
            raise JqError("Out of bounds negative array index")
    if place > LARGEST_INDEX:
        raise JqError("Array index too large")
    size = len(items)
    budget.step(max(size >> COPIED, place - size))
    if place < size:
        copy = items.copy()
        copy[place] = new
        return copy
    return [*items, *([None] * (place - size)), new]


def _set_slice(items: list[JSON], key: dict[str, JSON], new: JSON, budget: EvalBudget) -> list[JSON]:
    if "start" not in key or "end" not in key:
        raise JqError(_SLICE_KEYS)
    low, high = bounds(len(items), key["start"], key["end"])
    if type(new) is not list:
        raise JqError("A slice of an array can only be assigned another array")
    budget.step((len(items) + len(new)) >> COPIED)
    return [*items[:low], *new, *items[high:]]


def delpaths(value: JSON, paths: JSON, budget: EvalBudget) -> JSON:
    """jq's `delpaths`: a copy without those parts; all paths are of the value as it was."""
    if type(paths) is not list:
        raise JqError("Paths must be specified as an array")
    for path in paths:
        if type(path) not in (list, tuple):
            raise JqError(f"Path must be specified as array, not {type_name(path)}")
    budget.step(len(paths) * 4)
    names_only = {kind for path in paths for kind in map(type, path)} == {str}
    # Python orders lists of texts as jq does.
    ordered = sorted(map(list, paths), key=None if names_only else sort_key)
    if ordered and not ordered[0]:
        return None
    return _delete(value, ordered, 0, budget, {})


def _delete(value: JSON, paths: list[list[JSON]], depth: int, budget: EvalBudget, mine: Mine) -> JSON:
    """`paths` are sorted and differ from `depth` on; from the last key to the first, as libjq does."""
    doomed: list[JSON] = []
    end = len(paths)
    while end:
        key = paths[end - 1][depth]
        begin = end - 1
        while begin and equal(paths[begin - 1][depth], key):
            begin -= 1
        if len(paths[begin]) == depth + 1:
            doomed.append(key)
        else:
            part = index(value, key)
            if part is not None:
                value = put(value, key, _delete(part, paths[begin:end], depth + 1, budget, mine), budget, mine)
        end = begin
    return delete_keys(value, doomed, budget) if doomed else value


def delete_keys(value: JSON, keys: list[JSON], budget: EvalBudget) -> JSON:
    """A copy of `value` without some of its first level. Raises JqError."""
    if value is None:
        return None
    if type(value) is dict:
        return _delete_fields(value, keys, budget)
    if type(value) is list:
        return _delete_items(value, keys, budget)
    raise JqError(f"Cannot delete fields from {type_name(value)}")


def _delete_fields(value: dict[str, JSON], keys: list[JSON], budget: EvalBudget) -> dict[str, JSON]:
    for key in keys:
        if type(key) is not str:
            raise JqError(f"Cannot delete {type_name(key)} field of object")
    budget.step((len(value) >> COPIED) + len(keys))
    copy = dict(value)
    for key in keys:
        copy.pop(key, None)
    return copy


def _delete_items(items: list[JSON], keys: list[JSON], budget: EvalBudget) -> list[JSON]:
    size = len(items)
    gone: set[int] = set()
    budget.step((size >> COPIED) + len(keys))
    for key in keys:
        if type(key) in _NUMBERS:
            if key == key and abs(key) < 2**60:  # noqa: PLR0124 - not nan
                gone.add(int(key) + size if key < 0 else int(key))
        elif type(key) is dict:
            if "start" not in key or "end" not in key:
                raise JqError(_SLICE_KEYS)
            low, high = bounds(size, key["start"], key["end"])
            budget.step(high - low)
            gone.update(range(low, high))
        else:
            raise JqError(f"Cannot delete {type_name(key)} element of array")
    return [item for place, item in enumerate(items) if place not in gone]
