"""Built-ins that compare the elements of arrays."""

from __future__ import annotations

from bridge.jq.builtins.table import ANY, ARRAY, NUMBER, Builtin
from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import described
from bridge.jq.runtime.budget import Budget
from bridge.jq.runtime.values import JSON, compare, equal, ordering

_TWO = 2


def _sortable(value: JSON) -> list[JSON]:
    if type(value) is not list:
        raise JqError(f"{described(value)} cannot be sorted, as it is not an array")
    items: list[JSON] = value
    return items


def _order(keys_found: list[JSON], budget: Budget) -> list[int]:
    """The places of keys in sorted order; equal ones keep their order."""
    budget.step(len(keys_found) * max(1, len(keys_found).bit_length() >> _TWO))
    places = list(range(len(keys_found)))
    kinds = set(map(type, keys_found))
    if kinds <= {str} or kinds <= {int}:
        places.sort(key=keys_found.__getitem__)
        return places
    key = ordering(budget)
    places.sort(key=lambda place: key(keys_found[place]))
    return places


def sort(value: JSON, budget: Budget) -> list[JSON]:
    """Elements in jq's order."""
    items = _sortable(value)
    return [items[place] for place in _order(items, budget)]


def sort_by(value: JSON, keys_found: list[JSON], budget: Budget) -> list[JSON]:
    """Elements in the order of their keys."""
    items = _sortable(value)
    return [items[place] for place in _order(keys_found, budget)]


def group_by(value: JSON, keys_found: list[JSON], budget: Budget) -> list[JSON]:
    """Elements with equal keys together, in the order of the keys."""
    items = _grouped(value)
    groups: list[list[JSON]] = []
    last: JSON = None
    for place in _order(keys_found, budget):
        if groups and equal(last, keys_found[place], budget):
            groups[-1].append(items[place])
        else:
            groups.append([items[place]])
            last = keys_found[place]
    return groups


def _grouped(value: JSON) -> list[JSON]:
    if type(value) is not list:
        raise JqError(f"{described(value)} cannot be grouped, as it is not an array")
    items: list[JSON] = value
    return items


def unique_by(value: JSON, keys_found: list[JSON], budget: Budget) -> list[JSON]:
    """The first element for every key, in the order of the keys."""
    return [group[0] for group in group_by(value, keys_found, budget)]


def unique(value: JSON, budget: Budget) -> list[JSON]:
    """Elements in jq's order, each once."""
    items = _sortable(value)
    made: list[JSON] = []
    for place in _order(items, budget):
        if not made or not equal(made[-1], items[place], budget):
            made.append(items[place])
    return made


def _extreme(value: JSON, keys_found: JSON, budget: Budget, sign: int) -> JSON:
    if type(value) is not list or type(keys_found) is not list:
        raise JqError(f"{described(value)} and {described(keys_found)} cannot be iterated over")
    budget.step(len(value))
    best = -1
    for place, key in enumerate(keys_found):
        if best < 0:
            best = place
            continue
        order = compare(key, keys_found[best], budget)
        if (order < 0 and sign < 0) or (order >= 0 and sign > 0):
            best = place
    return None if best < 0 else value[best]


def minimum(value: JSON, budget: Budget) -> JSON:
    """The smallest element."""
    return _extreme(value, value, budget, -1)


def maximum(value: JSON, budget: Budget) -> JSON:
    """The largest element."""
    return _extreme(value, value, budget, 1)


def min_by(value: JSON, keys_found: JSON, budget: Budget) -> JSON:
    """The element with the smallest key."""
    return _extreme(value, keys_found, budget, -1)


def max_by(value: JSON, keys_found: JSON, budget: Budget) -> JSON:
    """The element with the largest key."""
    return _extreme(value, keys_found, budget, 1)


def bsearch(value: JSON, wanted: JSON, budget: Budget) -> int:
    """Where `wanted` is in a sorted array, or minus one minus where it belongs."""
    if type(value) is not list:
        raise JqError(f"{described(value)} cannot be searched from")
    low, high = 0, len(value)
    while low < high:
        middle = (low + high) // 2
        order = compare(value[middle], wanted, budget)
        if order == 0:
            return middle
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return -1 - low


ROWS: list[Builtin] = [
    Builtin(
        "sort/0",
        "The elements in order: null, false, true, numbers, texts, arrays, objects.",
        ('["b", null, 1, "a"] | sort', ('[null,1,"a","b"]',)),
        ARRAY,
        sort,
        budget=True,
    ),
    Builtin("_sort_by/1", "", (".", ("null",)), ARRAY, sort_by, budget=True),
    Builtin("_group_by/1", "", (".", ("null",)), ARRAY, group_by, budget=True),
    Builtin("_unique_by/1", "", (".", ("null",)), ARRAY, unique_by, budget=True),
    Builtin("_min_by/1", "", (".", ("null",)), ANY, min_by, budget=True),
    Builtin("_max_by/1", "", (".", ("null",)), ANY, max_by, budget=True),
    Builtin(
        "unique/0", "The elements in order, each once.", ("[2, 1, 2] | unique", ("[1,2]",)), ARRAY, unique, budget=True
    ),
    Builtin("min/0", "The smallest element; null for none.", ("[3, 1, 2] | min", ("1",)), ANY, minimum, budget=True),
    Builtin("max/0", "The largest element; null for none.", ("[3, 1, 2] | max", ("3",)), ANY, maximum, budget=True),
    Builtin(
        "bsearch/1",
        "Where something is in a sorted array, or minus one minus where it belongs.",
        ("[1, 2, 4] | bsearch(3)", ("-3",)),
        NUMBER,
        bsearch,
        budget=True,
    ),
]
