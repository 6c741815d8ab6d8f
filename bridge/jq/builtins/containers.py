"""Built-ins on arrays and objects: their parts, their order, and streams of what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NULL, NUMBER, OBJECT, Builtin
from bridge.jq.problems import BudgetExceeded, JqError
from bridge.jq.runtime.arith import COPIED, add, described
from bridge.jq.runtime.budget import DEPTH, EvalBudget
from bridge.jq.runtime.paths import delpaths, getpath, index, indices_of, iterate, setpath
from bridge.jq.runtime.values import JSON, compare, equal, ordering, type_name

_NUMBERS = (int, float)
_TWO = 2


def length(value: JSON) -> JSON:
    """Elements, characters, the absolute value of a number; 0 for null."""
    kind = type(value)
    if kind in (list, dict, str):
        return len(value)
    if value is None:
        return 0
    if kind in _NUMBERS:
        return abs(value)
    raise JqError(f"{described(value)} has no length")


def keys(value: JSON, budget: EvalBudget) -> JSON:
    """Sorted keys, or the places of an array."""
    found = keys_unsorted(value, budget)
    return sorted(found) if type(value) is dict else found


def keys_unsorted(value: JSON, budget: EvalBudget) -> list[JSON]:
    """Keys in their order."""
    if type(value) not in (dict, list):
        raise JqError(f"{described(value)} has no keys")
    budget.step(len(value) >> _TWO)
    return list(value) if type(value) is dict else list(range(len(value)))


def has(value: JSON, key: JSON) -> bool:
    """Whether a key is there."""
    if type(value) is dict and type(key) is str:
        return key in value
    if type(value) is list and type(key) in _NUMBERS:
        return bool(key == key and -1 < key < len(value))  # noqa: PLR0124 - nan; the index is cut, not rounded
    if value is None:
        return False
    raise JqError(f"Cannot check whether {type_name(value)} has a {type_name(key)} key")


def contains(value: JSON, part: JSON, budget: EvalBudget) -> bool:
    """Whether `part` is in `value`, deeply; texts by substring."""
    if type_name(value) != type_name(part) or (type(value) is bool and value is not part):
        raise JqError(f"{described(value)} and {described(part)} cannot have their containment checked")
    return _contains(value, part, budget)


def _contains(value: JSON, part: JSON, budget: EvalBudget) -> bool:
    kind = type(value)
    budget.step(1)
    if kind is dict and type(part) is dict:
        return all(key in value and _contains(value[key], item, budget) for key, item in part.items())
    if kind is list and type(part) is list:
        return all(any(_contains(mine, item, budget) for mine in value) for item in part)
    if kind is str and type(part) is str:
        budget.step(len(value) >> COPIED)
        return part in value
    return equal(value, part, budget)


def to_entries(value: JSON, budget: EvalBudget) -> list[JSON]:
    """An object as a list of `{key, value}`."""
    found = keys_unsorted(value, budget)
    budget.step(len(found))
    return [{"key": key, "value": value[key]} for key in found]


_KEY_NAMES = ("key", "Key", "name", "Name")


def from_entries(value: JSON, budget: EvalBudget) -> dict[str, JSON]:
    """A list of `{key, value}` as an object."""
    made: dict[str, JSON] = {}
    items = iterate(value)
    budget.step(len(items))  # type: ignore[arg-type]
    for item in items:
        key = None
        for name in _KEY_NAMES:
            key = index(item, name)
            if key is not None and key is not False:
                break
        if type(key) is not str:
            has(item, "value")
            raise JqError(f"Cannot use {described(key)} as object key")
        made[key] = index(item, "value") if has(item, "value") else index(item, "Value")
    return made


def total(value: JSON, budget: EvalBudget) -> JSON:
    """All elements added up."""
    items = iterate(value)
    budget.step(len(items))  # type: ignore[arg-type]
    result: JSON = None
    texts: list[str] = []
    own = False
    for item in items:
        if item is None:
            continue
        if type(item) is str and (texts or type(result) is str or result is None):
            budget.built(len(item))
            texts.append(item)
            continue
        if texts:
            result, texts = (result or "") + "".join(texts), []
        if type(item) is list and type(result) is list:
            budget.step(len(item) >> COPIED)
            result = result if own else list(result)
            own = True
            result.extend(item)
            continue
        result, own = add(result, item, budget), False
    return (result or "") + "".join(texts) if texts else result


def any_of(value: JSON) -> bool:
    """Whether an element is true."""
    return any(item is not None and item is not False for item in iterate(value))


def all_of(value: JSON) -> bool:
    """Whether every element is true."""
    return all(item is not None and item is not False for item in iterate(value))


def flatten(value: JSON, budget: EvalBudget) -> list[JSON]:
    """Arrays in arrays dissolved."""
    return flatten_to(value, -1, budget)


def flatten_to(value: JSON, depth: JSON, budget: EvalBudget) -> list[JSON]:
    """Arrays in arrays dissolved, `depth` levels of them."""
    if compare(depth, 0) < 0 and not (type(depth) is int and depth == -1):
        raise JqError("flatten depth must not be negative")
    made: list[JSON] = []
    _flatten(value, depth, made, budget, DEPTH)
    return made


def flatten_checked(value: JSON, depth: JSON, budget: EvalBudget) -> list[JSON]:
    """`flatten(depth)`."""
    if compare(depth, 0) < 0:
        raise JqError("flatten depth must not be negative")
    return flatten_to(value, depth, budget)


def _flatten(value: JSON, depth: JSON, made: list[JSON], budget: EvalBudget, room: int) -> None:
    items = iterate(value)
    budget.step(len(items))  # type: ignore[arg-type]
    if not room:
        raise BudgetExceeded(f"a value is nested more than {DEPTH} deep")
    for item in items:
        if type(item) is list and not equal(depth, 0):
            if type(depth) not in _NUMBERS:
                raise JqError(f"{described(depth)} and number (1) cannot be subtracted")
            _flatten(item, depth - 1, made, budget, room - 1)
        else:
            made.append(item)


def _sortable(value: JSON) -> list[JSON]:
    if type(value) is not list:
        raise JqError(f"{described(value)} cannot be sorted, as it is not an array")
    items: list[JSON] = value
    return items


def _bare(keys_found: list[JSON]) -> list[JSON] | None:
    """Keys that Python orders as jq does: all texts, or all numbers and no nan; out of their lists of one."""
    kinds = set(map(type, keys_found))
    if kinds == {list} and set(map(len, keys_found)) == {1}:
        keys_found = [key for (key,) in keys_found]
        kinds = set(map(type, keys_found))
    if kinds in ({str}, {int}):
        return keys_found
    if kinds <= {int, float} and not any(key != key for key in keys_found):  # noqa: PLR0124 - nan
        return keys_found
    return None


def _order(keys_found: list[JSON], budget: EvalBudget, bare: list[JSON] | None) -> list[int]:
    """The places of keys in sorted order; equal ones keep their order."""
    budget.step(len(keys_found) * max(1, len(keys_found).bit_length() >> _TWO))
    places = list(range(len(keys_found)))
    if bare is not None:
        places.sort(key=bare.__getitem__)
        return places
    key = ordering(budget)
    places.sort(key=lambda place: key(keys_found[place]))
    return places


def sort(value: JSON, budget: EvalBudget) -> list[JSON]:
    """Elements in jq's order."""
    items = _sortable(value)
    return [items[place] for place in _order(items, budget, _bare(items))]


def sort_by(value: JSON, keys_found: list[JSON], budget: EvalBudget) -> list[JSON]:
    """Elements in the order of their keys."""
    items = _sortable(value)
    return [items[place] for place in _order(keys_found, budget, _bare(keys_found))]


def group_by(value: JSON, keys_found: list[JSON], budget: EvalBudget) -> list[JSON]:
    """Elements with equal keys together, in the order of the keys."""
    items = _grouped(value)
    groups: list[list[JSON]] = []
    last: JSON = None
    bare = _bare(keys_found)
    places = _order(keys_found, budget, bare)
    if bare is not None:
        for place in places:
            if groups and last == bare[place]:
                groups[-1].append(items[place])
            else:
                groups.append([items[place]])
                last = bare[place]
        return groups
    for place in places:
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


def unique_by(value: JSON, keys_found: list[JSON], budget: EvalBudget) -> list[JSON]:
    """The first element for every key, in the order of the keys."""
    return [group[0] for group in group_by(value, keys_found, budget)]


def unique(value: JSON, budget: EvalBudget) -> list[JSON]:
    """Elements in jq's order, each once."""
    items = _sortable(value)
    made: list[JSON] = []
    for place in _order(items, budget, _bare(items)):
        if not made or not equal(made[-1], items[place], budget):
            made.append(items[place])
    return made


def _extreme(value: JSON, keys_found: JSON, budget: EvalBudget, sign: int) -> JSON:
    if type(value) is not list or type(keys_found) is not list:
        raise JqError(f"{described(value)} and {described(keys_found)} cannot be iterated over")
    budget.step(len(value))
    bare = _bare(keys_found) if keys_found else None
    if bare is not None:
        # Of equal ones the first is the smallest, and the last the largest.
        at = bare.index(min(bare)) if sign < 0 else len(bare) - 1 - bare[::-1].index(max(bare))
        return value[at]
    best = -1
    for place, key in enumerate(keys_found):
        if best < 0:
            best = place
            continue
        order = compare(key, keys_found[best], budget)
        if (order < 0 and sign < 0) or (order >= 0 and sign > 0):
            best = place
    return None if best < 0 else value[best]


def minimum(value: JSON, budget: EvalBudget) -> JSON:
    """The smallest element."""
    return _extreme(value, value, budget, -1)


def maximum(value: JSON, budget: EvalBudget) -> JSON:
    """The largest element."""
    return _extreme(value, value, budget, 1)


def min_by(value: JSON, keys_found: JSON, budget: EvalBudget) -> JSON:
    """The element with the smallest key."""
    return _extreme(value, keys_found, budget, -1)


def max_by(value: JSON, keys_found: JSON, budget: EvalBudget) -> JSON:
    """The element with the largest key."""
    return _extreme(value, keys_found, budget, 1)


def bsearch(value: JSON, wanted: JSON, budget: EvalBudget) -> int:
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


def reverse(value: JSON, budget: EvalBudget) -> JSON:
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


def transpose(value: JSON, budget: EvalBudget) -> list[JSON]:
    """Rows to columns, filled up with null."""
    rows = list(iterate(value))
    width = 0
    for row in rows:
        size = length(row)
        width = max(width, size)
    budget.step(ceil(width) * len(rows) + 1)
    return [[index(row, place) for row in rows] for place in range(ceil(width))] if rows else []


def indices(value: JSON, wanted: JSON, budget: EvalBudget) -> JSON:
    """Where a text, an element or a run of elements occurs."""
    if type(value) is list:
        run = wanted if type(wanted) is list else [wanted]
        budget.step(len(value) * max(1, len(run)))
        return indices_of(value, run)
    if type(value) is str and type(wanted) is str:
        return _text_indices(value, wanted, budget)
    return index(value, wanted)


def _text_indices(text: str, wanted: str, budget: EvalBudget) -> list[JSON]:
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


def first_index(value: JSON, wanted: JSON, budget: EvalBudget) -> JSON:
    """Where something occurs first, or null."""
    return index(indices(value, wanted, budget), 0)


def last_index(value: JSON, wanted: JSON, budget: EvalBudget) -> JSON:
    """Where something occurs last, or null."""
    found = indices(value, wanted, budget)
    if found is None:
        return None
    if type(found) not in (list, str):
        return index(index(found, {"start": -1, "end": None}), 0)
    return index(found[-1:], 0)


def combinations(value: JSON, budget: EvalBudget) -> Iterator[JSON]:
    """One element of each array, every combination."""
    size = length(value)
    if size == 0:
        yield []
        return
    yield from _combined(value, 0, [], budget)


def _combined(value: JSON, at: int, found: list[JSON], budget: EvalBudget) -> Iterator[JSON]:
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


def combinations_of(value: JSON, count: JSON, budget: EvalBudget) -> Iterator[JSON]:
    """`count` elements of one array, every combination."""
    if type(count) not in _NUMBERS:
        raise JqError("Range bounds must be numeric")
    if count > DEPTH:
        raise BudgetExceeded(f"more than {DEPTH} arrays to combine")
    times = 0
    while times < count:
        times += 1
    yield from combinations([value] * times, budget)


def tostream(value: JSON, budget: EvalBudget) -> Iterator[JSON]:
    """A value as a stream of `[path, leaf]` and closing `[path]`."""
    yield from _streamed(value, [], budget, DEPTH)
    if type(value) in (list, dict) and value:
        yield [[_last_key(value)]]


def _last_key(value: JSON) -> JSON:
    return len(value) - 1 if type(value) is list else next(reversed(value))


def _streamed(value: JSON, path: list[JSON], budget: EvalBudget, room: int) -> Iterator[JSON]:
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
        "length/0",
        "The number of elements or characters; the absolute value of a number; 0 for null.",
        ('"añb" | length', ("3",)),
        NUMBER,
        length,
    ),
    Builtin(
        "keys/0",
        "The keys of an object, sorted; the places of an array.",
        ('{"b": 1, "a": 2} | keys', ('["a","b"]',)),
        ARRAY,
        keys,
        budget=True,
    ),
    Builtin(
        "keys_unsorted/0",
        "The keys of an object in their order.",
        ('{"b": 1, "a": 2} | keys_unsorted', ('["b","a"]',)),
        ARRAY,
        keys_unsorted,
        budget=True,
    ),
    Builtin(
        "has/1",
        "Whether an object has a key, or an array a place.",
        ('{"a": null} | has("a")', ("true",)),
        BOOLEAN,
        has,
    ),
    Builtin(
        "contains/1",
        "Whether a value contains another one, deeply; texts contain their parts.",
        ('{"tags": ["new", "sale"]} | contains({tags: ["sale"]})', ("true",)),
        BOOLEAN,
        contains,
        budget=True,
    ),
    Builtin(
        "to_entries/0",
        "An object as a list of `{key, value}`.",
        ('{"a": 1} | to_entries', ('[{"key":"a","value":1}]',)),
        ARRAY,
        to_entries,
        budget=True,
    ),
    Builtin(
        "from_entries/0",
        "A list of `{key, value}` (or `{name, value}`) as an object.",
        ('[{"key": "a", "value": 1}] | from_entries', ('{"a":1}',)),
        OBJECT,
        from_entries,
        budget=True,
    ),
    Builtin("add/0", "All elements added up; null for none.", ("[1, 2, 3] | add", ("6",)), ANY, total, budget=True),
    Builtin("any/0", "Whether one element is true.", ("[false, true] | any", ("true",)), BOOLEAN, any_of),
    Builtin("all/0", "Whether every element is true.", ("[false, true] | all", ("false",)), BOOLEAN, all_of),
    Builtin(
        "flatten/0",
        "Arrays in arrays dissolved.",
        ("[1, [2, [3]]] | flatten", ("[1,2,3]",)),
        ARRAY,
        flatten,
        budget=True,
    ),
    Builtin(
        "flatten/1",
        "Arrays in arrays dissolved, so many levels of them.",
        ("[1, [2, [3]]] | flatten(1)", ("[1,2,[3]]",)),
        ARRAY,
        flatten_checked,
        budget=True,
    ),
    Builtin(
        "getpath/1",
        "The part at a path; null where there is none.",
        ('{"a": {"b": 1}} | getpath(["a", "b"])', ("1",)),
        ANY,
        getpath,
        written=True,
    ),
    Builtin(
        "setpath/2",
        "A copy with the part at a path replaced.",
        ('null | setpath(["a"]; 1)', ('{"a":1}',)),
        ANY,
        setpath,
        budget=True,
    ),
    Builtin(
        "delpaths/1",
        "A copy without the parts at some paths.",
        ('{"a": 1, "b": 2} | delpaths([["a"]])', ('{"b":2}',)),
        ANY,
        delpaths,
        budget=True,
    ),
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
