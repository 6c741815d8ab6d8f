"""Values of an event → JSON as SuprSend gets it: whole numbers as integers, nothing that JSON cannot hold.

The serialiser's own output is right for nearly every value. A few cheap looks tell whether it may not be: only then
the value is walked. Begin with `exact_json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, cast

from bridge.jq import number_text
from bridge.jq.runtime.values import whole
from bridge.jsontext import Fragment, dumps
from bridge.rules.map.faults import MapError
from bridge.suprsend.event import event_body
from bridge.suprsend.limits import MAX_DEPTH, time_ms

__all__ = [
    "CARE",
    "PLAIN_LEAST",
    "PLAIN_MOST",
    "bad_text",
    "exact",
    "exact_computed",
    "exact_json",
    "refused_body",
]

CARE: Final = frozenset({float, list, dict})
"""The types whose values may not be serialised as they are."""

_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""The types that the serialiser prints right, or refuses."""

_DOT, _PLUS, _MINUS = b".+-"
_SHALLOW: Final = 2 * MAX_DEPTH
"""Fewer bytes than this cannot nest deeper than MAX_DEPTH."""
PLAIN_LEAST: Final = 1e-4
PLAIN_MOST: Final = 2.0**53
"""Between these two the serialiser prints a number that is not whole as libjq does."""


def exact_json(value: Any, *, drop_nulls: bool = False, computes: bool = True, level: int = 1) -> bytes:
    """Serialise an object or array that stands at `level` of the properties (they themselves are level 1).

    `computes` is False where no number was computed, so that none can be infinite or not a number (no JSON text
    holds one). `drop_nulls` leaves out the keys of objects, at any depth, whose value is null.

    Raises:
        MapError: `not_finite`, `event_too_deep`, `bad_text` or `not_sendable`.

    """
    try:
        body = dumps(value)
    except (TypeError, ValueError, RecursionError):
        return _walked(value, level, drop_nulls=drop_nulls)
    if (
        (_DOT in body and b".0" in body)
        or (_MINUS in body and b"e-" in body)
        or (_PLUS in body and b"e+" in body)
        or ((computes or drop_nulls) and b"null" in body)
        or (len(body) > _SHALLOW - level and body.count(b"[") + body.count(b"{") > MAX_DEPTH - level)
    ):
        return _walked(value, level, drop_nulls=drop_nulls)
    return body


class _Refused:
    """A value that cannot be sent. The serialiser refuses what holds it, and `refused_body` says what is wrong.

    So that comes up where all properties were made, as is the order of faults, and not where the value was.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


_UNSENDABLE: Final = (MapError, TypeError, ValueError, RecursionError)


def exact(value: Any, level: int) -> Any:
    """Return what the serialiser prints right, or refuses, for a value of a type in CARE that was not computed."""
    try:
        if type(value) is float:
            return _number(value)
        if level < MAX_DEPTH and _is_plain(value):
            return value
        body = dumps(value)
        if _DOT in body or _PLUS in body or len(body) > _SHALLOW - level or (_MINUS in body and b"e-" in body):
            return Fragment(exact_json(value, computes=False, level=level))
        return Fragment(body)
    except _UNSENDABLE:
        return _Refused(value)


def _is_plain(value: Any) -> bool:
    """Whether an object, or an array of scalars and objects, nests no deeper and holds no float: the usual small ones."""
    for item in value if type(value) is list else (value,):
        if type(item) is dict:
            for part in item.values():
                if type(part) not in _PLAIN:
                    return False
        elif type(item) not in _PLAIN:
            return False
    return True


def exact_computed(value: Any, level: int) -> Any:
    """Return what the serialiser prints right, or refuses, for a value of a type in CARE."""
    try:
        return _number(value) if type(value) is float else Fragment(exact_json(value, level=level))
    except _UNSENDABLE:
        return _Refused(value)


def _number(value: float) -> Any:
    """Return what prints as the language prints the number: 20 for 20.0, 1e-07 for 1e-7."""
    if PLAIN_LEAST <= value < PLAIN_MOST or -PLAIN_MOST < value <= -PLAIN_LEAST:
        return int(value) if value.is_integer() else value
    if not isfinite(value):
        raise MapError("not_finite", "A number in the properties is infinity or NaN, which JSON cannot hold.")
    number = whole(value)
    return number if type(number) is int else Fragment(number_text(value).encode())


def _walked(value: Any, level: int, *, drop_nulls: bool) -> bytes:
    clean = _clean(value, level, drop_nulls=drop_nulls)
    try:
        return dumps(clean)
    except (TypeError, ValueError, RecursionError) as error:
        if "surrogate" in str(error) or "UTF-8" in str(error):
            raise bad_text() from None
        raise MapError("not_sendable", "The event has a value that JSON cannot hold.") from None


def bad_text() -> MapError:
    """Return the error of text that has no UTF-8 form."""
    return MapError("bad_text", "A text of the event holds half of a surrogate pair.")


def _clean(value: Any, level: int, *, drop_nulls: bool) -> Any:
    if type(value) is _Refused:
        value = value.value
    if isinstance(value, float):
        return _number(value)
    if not isinstance(value, dict | list):
        return value
    if level > MAX_DEPTH:
        raise MapError("event_too_deep", f"The properties nest deeper than {MAX_DEPTH} levels.")
    if isinstance(value, list):
        return [_clean(item, level + 1, drop_nulls=drop_nulls) for item in value]
    return {
        key: _clean(item, level + 1, drop_nulls=drop_nulls)
        for key, item in value.items()
        if not (drop_nulls and item is None)
    }


def refused_body(
    insert_id: str,
    timestamp: int,
    name: str,
    env: str,
    recipient: str,
    properties: Any,
    key: str,
    tenant: str | None,
) -> bytes:
    """Lay out an event that the serialiser refused as it was; raises MapError, most often."""
    whole = Fragment(exact_json(properties))
    try:
        return event_body(
            insert_id=insert_id,
            time_ms=time_ms(timestamp),
            name=name,
            env=env,
            distinct_id=recipient,
            properties=cast("Mapping[str, object]", whole),
            key=key,
            tenant=tenant,
        )
    except (TypeError, ValueError):
        raise bad_text() from None
