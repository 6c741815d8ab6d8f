"""Built-ins on arrays and objects."""

from __future__ import annotations

from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NUMBER, OBJECT, Builtin
from bridge.jq.problems import BudgetExceeded, JqError
from bridge.jq.runtime.arith import COPIED, add, described
from bridge.jq.runtime.budget import DEPTH, Budget
from bridge.jq.runtime.paths import delpaths, getpath, index, iterate, setpath
from bridge.jq.runtime.values import JSON, compare, equal, type_name

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


def keys(value: JSON, budget: Budget) -> JSON:
    """Sorted keys, or the places of an array."""
    found = keys_unsorted(value, budget)
    return sorted(found) if type(value) is dict else found


def keys_unsorted(value: JSON, budget: Budget) -> list[JSON]:
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


def contains(value: JSON, part: JSON, budget: Budget) -> bool:
    """Whether `part` is in `value`, deeply; texts by substring."""
    if type_name(value) != type_name(part) or (type(value) is bool and value is not part):
        raise JqError(f"{described(value)} and {described(part)} cannot have their containment checked")
    return _contains(value, part, budget)


def _contains(value: JSON, part: JSON, budget: Budget) -> bool:
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


def to_entries(value: JSON, budget: Budget) -> list[JSON]:
    """An object as a list of `{key, value}`."""
    found = keys_unsorted(value, budget)
    budget.step(len(found))
    return [{"key": key, "value": value[key]} for key in found]


_KEY_NAMES = ("key", "Key", "name", "Name")


def from_entries(value: JSON, budget: Budget) -> dict[str, JSON]:
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


def total(value: JSON, budget: Budget) -> JSON:
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


def flatten(value: JSON, budget: Budget) -> list[JSON]:
    """Arrays in arrays dissolved."""
    return flatten_to(value, -1, budget)


def flatten_to(value: JSON, depth: JSON, budget: Budget) -> list[JSON]:
    """Arrays in arrays dissolved, `depth` levels of them."""
    if compare(depth, 0) < 0 and not (type(depth) is int and depth == -1):
        raise JqError("flatten depth must not be negative")
    made: list[JSON] = []
    _flatten(value, depth, made, budget, DEPTH)
    return made


def flatten_checked(value: JSON, depth: JSON, budget: Budget) -> list[JSON]:
    """`flatten(depth)`."""
    if compare(depth, 0) < 0:
        raise JqError("flatten depth must not be negative")
    return flatten_to(value, depth, budget)


def _flatten(value: JSON, depth: JSON, made: list[JSON], budget: Budget, room: int) -> None:
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
]
