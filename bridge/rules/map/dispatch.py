"""Which rules a record can concern: a look-up of the constant that their `when` compares a path with, not a scan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

__all__ = ["Dispatched", "Head", "selector"]

Head = tuple[tuple[str, ...], Any]
"""A path of names and the constant it is compared with."""


class Dispatched(Protocol):
    """A rule as the look-up sees it: `head` is the comparison its `when` begins with, or None."""

    @property
    def head(self) -> Head | None: ...


T = TypeVar("T", bound=Dispatched)
Select = Callable[[Any], Sequence[T]]

_FAILS: Final = object()
_NEVER: Final = object()
_KINDS: dict[type, int] = {int: 0, float: 0, bool: 1, type(None): 2}


def selector(rules: Sequence[T]) -> Select[T]:
    """Return `value → rules whose when may be anything but false`, in their order.

    A rule is left out only where its `when` begins with `PATH == CONSTANT`, the path can be followed in the value,
    and what is there is not equal to the constant: then `when` is false. Where the path cannot be followed every
    rule of that path is returned, to fail in its own name.
    """
    every = tuple(rules)
    groups = _groups(rules)
    if not groups:
        return lambda _value: every
    rest = tuple(number for number, rule in enumerate(rules) if _head(rule) is None)
    if len(groups) == 1:
        return _by_one_path(every, rest, *groups[0])
    return _by_many_paths(every, rest, groups)


Group = tuple[tuple[str, ...], dict[Any, tuple[int, ...]]]


def _groups(rules: Sequence[Dispatched]) -> list[Group]:
    found: dict[tuple[str, ...], dict[Any, tuple[int, ...]]] = defaultdict(dict)
    for number, rule in enumerate(rules):
        head = _head(rule)
        if head is not None:
            table = found[head[0]]
            key = _key(head[1])
            table[key] = (*table.get(key, ()), number)
    return list(found.items())


def _head(rule: Dispatched) -> Head | None:
    head = rule.head
    return head if head is not None and _key(head[1]) is not _NEVER else None


def _key(value: Any) -> Any:
    """Return what two values share if and only if jq's `==` holds for them (arrays and objects share nothing)."""
    if type(value) is str:
        return value
    kind = _KINDS.get(type(value))
    return _NEVER if kind is None else (kind, value)


def _follow(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if type(value) is dict:
            value = value.get(name)
        elif value is not None:
            return _FAILS
    return value


def _by_one_path(
    every: Sequence[T], rest: tuple[int, ...], path: tuple[str, ...], table: dict[Any, tuple[int, ...]]
) -> Select[T]:
    merged = {key: tuple(every[n] for n in sorted((*rest, *numbers))) for key, numbers in table.items()}
    others = tuple(every[n] for n in rest)
    first = path[0] if len(path) == 1 else None

    def select(value: Any) -> Sequence[T]:
        if type(value) is dict and first is not None:
            found = value.get(first)
        else:
            found = _follow(value, path)
            if found is _FAILS:
                return every
        return merged.get(found if type(found) is str else _key(found), others)

    return select


def _by_many_paths(every: Sequence[T], rest: tuple[int, ...], groups: Sequence[Group]) -> Select[T]:
    all_of = [tuple(number for numbers in table.values() for number in numbers) for _path, table in groups]

    def select(value: Any) -> Sequence[T]:
        chosen = list(rest)
        for (path, table), whole in zip(groups, all_of, strict=True):
            found = _follow(value, path)
            chosen += whole if found is _FAILS else table.get(_key(found), ())
        return [every[number] for number in sorted(chosen)]

    return select
