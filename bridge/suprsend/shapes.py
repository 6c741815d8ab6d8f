"""What the body of an answer looks like: every shape in one table, and how a body is read for one. Pure; nothing raises.

To add a shape, add a row here and the place that finds it; what an answer of that shape means is a row of `answer_rules`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bridge.jsontext import JSONDecodeError, loads
from bridge.suprsend.causes import BOM


class Shape(NamedTuple):
    """What a body can look like."""

    means: str
    """For who reads this table."""
    told: str
    """In a message: the answer was …"""
    foreign: bool = False
    """No API means it."""


SHAPES: Final[Mapping[str, Shape]] = {
    "ok": Shape("the text `OK` or the JSON string `OK`", "OK"),
    "message_id": Shape('`{"status": "success", "message_id": …}` to a call of one event', "a message_id"),
    "records": Shape("`records` with one readable result per event", "results per event"),
    "records_wrong_count": Shape(
        "`records` of another length than the call's", "another number of records than were sent"
    ),
    "summary": Shape(
        "`total`, `success`, `failure` and `failed_records` that agree with each other and with what was sent",
        "counts and failed records that do not agree with what was sent",
    ),
    "error": Shape(
        'SuprSend\'s own: `{"status": "error", "error": {"message": …, "type": …}}` or `{"status": "fail", "message": …}`',
        "error",
    ),
    "message": Shape("a JSON object with `message` and none of the above", "JSON that is not SuprSend's"),
    "object": Shape("any other JSON object", "JSON that is not SuprSend's"),
    "array": Shape("a JSON array", "JSON that is not SuprSend's"),
    "string": Shape("any other JSON string", "JSON that is not SuprSend's"),
    "scalar": Shape("a JSON number, true, false or null", "JSON that is not SuprSend's"),
    "duplicate_keys": Shape("JSON in which an object has a key twice", "JSON with a key twice", foreign=True),
    "empty": Shape("nothing", "an empty body"),
    "html": Shape("a page or other markup", "a page instead of JSON", foreign=True),
    "compressed": Shape(
        "a compressed body, though none was asked for", "a compressed body that was not asked for", foreign=True
    ),
    "too_long": Shape(
        "more bytes than results of that many events can need", "a body too long for so few events", foreign=True
    ),
    "not_json": Shape("any other text", "text that is no JSON", foreign=True),
}
"""Each body has exactly one."""

_CUT: Final[Mapping[str, str]] = {
    "reset": "a body that was cut",
    "timeout": "a body that was not whole before the deadline",
    "answer_too_large": "a body beyond the limit",
}
"""The words of `flow.Reply` for answers that came in part."""

_BASE_BYTES: Final = 64 * 1024
_BYTES_PER_EVENT: Final = 4 * 1024
"""An answer beyond base + n times this is not read: parsed JSON takes up to thirty times its bytes."""

_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\x78\xda", b"\x78\x01")


def longest(n: int) -> int:
    """Bytes that results of n events can need."""
    return _BASE_BYTES + n * _BYTES_PER_EVENT


def described(shape: str) -> str:
    """A shape, or what cut an answer, for a message."""
    return SHAPES[shape].told if shape in SHAPES else _CUT.get(shape, shape)


def clean(text: object) -> str:
    """Text of the other side, bounded and on one line."""
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text[:2_000]).strip()


def read_body(body: bytes, n: int) -> tuple[object, str]:
    """Parse a body and name its shape (a name of `SHAPES`)."""
    if len(body) > longest(n):
        return None, "too_long"
    if body.startswith(_COMPRESSED):
        return None, "compressed"
    text = body.removeprefix(BOM).strip()
    if text in (b"", b"OK"):
        return None, "ok" if text else "empty"
    try:
        value = loads(text)
    except JSONDecodeError:
        return None, "html" if text.startswith(b"<") else "not_json"
    if not _unambiguous(text):
        return None, "duplicate_keys"
    return value, _shape(value, n)


def _unambiguous(text: bytes) -> bool:
    """Whether no object of a JSON text holds a key twice: two readers would see two answers."""

    def once(pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) != len(pairs):
            raise ValueError

    try:
        json.loads(text, object_pairs_hook=once, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def _shape(value: object, n: int) -> str:
    if isinstance(value, dict):
        return _shape_of_object(value, n)
    if isinstance(value, str):
        return "ok" if value == "OK" else "string"
    return "array" if isinstance(value, list) else "scalar"


def _shape_of_object(value: dict[str, object], n: int) -> str:
    if "records" in value:
        records = value["records"]
        return "records" if isinstance(records, list) and len(records) == n > 0 else "records_wrong_count"
    status = value.get("status")
    taken = status == "success" and "error" not in value and isinstance(value.get("message_id"), str)
    if n == 1 and taken and value["message_id"]:
        return "message_id"
    if status in ("error", "fail") and _is_own_error(value):
        return "error"
    if "failed_records" in value:
        return "summary"
    return "message" if isinstance(value.get("message"), str) else "object"


def shape_of(body: bytes, n: int) -> str:
    """What the body of an answer to n events looks like: a name of `SHAPES`."""
    return read_body(body, n)[1]


def is_foreign(body: bytes, n: int) -> bool:
    """Whether a body is nothing that an API could have meant by it: a page, text, half of something."""
    return SHAPES[shape_of(body, n)].foreign


def _is_own_error(value: Mapping[str, object]) -> bool:
    """Whether an object with a failed `status` has SuprSend's form: JSON of gateways looks much like it."""
    if "error" not in value:
        return value.keys() == {"status", "message"} and value["status"] == "fail" and bool(clean(value["message"]))
    error = value["error"]
    if not isinstance(error, dict) or not error.keys() <= {"message", "type"} or "message" in value:
        return False
    return all(isinstance(text, str) for text in error.values()) and any(map(clean, error.values()))


_ACCEPTED: Final = {"status": "success", "status_code": 202}


def in_order(value: object, keys: Sequence[str]) -> list[object] | None:
    """One result per sent event, in the order of their keys and in the shape of `records`; None where in doubt.

    Read only where `total` is what was sent, `success` and `failure` add up to it, as many are listed as failed, and
    each of those is exactly one sent event, by a key that no other has.
    """
    if not isinstance(value, dict) or not keys or not _agree(value, len(keys)):
        return None
    places = {key: place for place, key in enumerate(keys)}
    results: list[object] = [_ACCEPTED] * len(keys)
    for failed in value["failed_records"]:
        record = failed.get("record") if isinstance(failed, dict) else None
        key = record.get("$idempotency_key") if isinstance(record, dict) else None
        place = places.get(key) if isinstance(key, str) and keys.count(key) == 1 else None
        if place is None or results[place] is not _ACCEPTED:
            return None
        results[place] = {"status": "error", "status_code": failed.get("code"), "error": failed.get("error")}
    return results


def _agree(value: dict[str, object], sent: int) -> bool:
    total, success, failure = (value.get(name) for name in ("total", "success", "failure"))
    listed = value["failed_records"]
    if not all(type(count) is int and count >= 0 for count in (total, success, failure)):
        return False
    whole = {"success": True, "partial": failure != 0, "fail": success == 0}
    return (
        total == sent
        and isinstance(success, int)
        and isinstance(failure, int)
        and success + failure == total
        and isinstance(listed, list)
        and len(listed) == failure
        and whole.get(str(value.get("status")), False)
    )
