"""A record written as keys and values (in a test, in a line of `suprsend-bridge map --envelope`) → the record."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final

from bridge.flow import Headers, PlainRecord
from bridge.jq import JqError
from bridge.jq.dates.calendar import parse_time
from bridge.jsontext import dumps
from bridge.rules.read.example_keys import GIVEN

__all__ = ["VALUE_KEYS", "GivenError", "milliseconds", "record_of"]

VALUE_KEYS: Final = tuple(name for name, key in GIVEN.items() if key.one_of)
"""Ways of saying what is in a record; one of them."""
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class GivenError(ValueError):
    """Keys and values that make no record; `key` is the one that is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def record_of(given: Mapping[str, Any], file: bytes | None = None) -> PlainRecord:
    """Make the record that keys and values describe; `file` is the content of the file that `file` names.

    `value` is JSON, `text` and `base64` are the bytes themselves, `tombstone: true` is none; `timestamp` is
    milliseconds or RFC 3339. Raises GivenError.
    """
    for key in given:
        if key not in GIVEN:
            raise GivenError(key, f"a record has no `{key[:60]}`; it has {', '.join(GIVEN)}")
    topic = given.get("topic")
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
        raise GivenError("topic", "a record needs `topic`, the name of a topic")
    return PlainRecord(
        topic,
        _whole(given, "partition"),
        _whole(given, "offset"),
        _value(given, file),
        key=_bytes("key", given.get("key")),
        timestamp=milliseconds("timestamp", given.get("timestamp")),
        headers=_headers(given.get("headers")),
    )


def _whole(given: Mapping[str, Any], key: str) -> int:
    value = given.get(key, 0)
    if type(value) is not int or not 0 <= value < 2**63:
        raise GivenError(key, f"`{key}` must be a whole number, 0 or more")
    return value


def _value(given: Mapping[str, Any], file: bytes | None) -> bytes | None:
    ways = [key for key in VALUE_KEYS if key in given]
    if len(ways) != 1:
        named = ways[1] if ways else "value"
        raise GivenError(named, f"a record has one of {', '.join(f'`{key}`' for key in VALUE_KEYS)}")
    way, value = ways[0], given[ways[0]]
    if way == "value":
        return dumps(value)
    if way == "tombstone":
        if value is not True:
            raise GivenError(way, "write `tombstone: true`, or give a value")
        return None
    if way == "file":
        if file is None:
            raise GivenError(way, "there is no such file")
        return file
    if not isinstance(value, str):
        raise GivenError(way, f"`{way}` must be text")
    if way == "text":
        return value.encode()
    try:
        return b64decode(value, validate=True)
    except (Base64Error, ValueError):
        raise GivenError(way, "this is not base64") from None


def _bytes(name: str, value: Any) -> bytes | None:
    """Text as it is; any other value as JSON, for topics with `key: json`."""
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else dumps(value)


def milliseconds(name: str, value: Any) -> int:
    """Read a time: milliseconds since 1970, or RFC 3339 as text; -1 for none. Raises GivenError."""
    if value is None:
        return -1
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str):
        try:
            return round(float(parse_time(value)) * 1000)
        except JqError:
            pass
    raise GivenError(name, f'`{name}` must be milliseconds since 1970, or a time such as "2026-01-31T12:00:00Z"')


def _headers(value: Any) -> Headers | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(text is None or isinstance(text, str) for text in value.values()):
        raise GivenError("headers", "`headers` must be names and texts: {content-type: application/json}")
    return [(name, None if text is None else text.encode()) for name, text in value.items()]
