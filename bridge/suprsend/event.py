"""An event's JSON, laid out in one place, and the event that a team builds in Python (contract §3)."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping
from typing import Final

from bridge.jsontext import dumps
from bridge.suprsend import limits

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1


class EventError(ValueError):
    """An event that SuprSend would refuse: the message says what is wrong and what to write."""


def event_body(
    *,
    insert_id: str,
    time_ms: int,
    name: str,
    env: str,
    distinct_id: str,
    properties: Mapping[str, object],
    key: str | None = None,
    tenant: str | None = None,
) -> bytes:
    """Lay out one event as compact JSON in a fixed order of fields; equal arguments give equal bytes.

    `time_ms` is milliseconds since 1970 and not before 2022 (`limits.time_ms`); `properties` is a dict of JSON
    values. Nothing is checked here: a NaN or infinity would become null, so the caller has refused it. Any thread.
    Raises TypeError for what has no JSON form: an int outside 64 bits, half of a surrogate pair, a foreign type.
    """
    fields: dict[str, object] = {
        "$insert_id": insert_id,
        "$time": time_ms,
        "event": name,
        "env": env,
        "distinct_id": distinct_id,
        "properties": properties,
    }
    if key is not None:
        fields["$idempotency_key"] = key
    if tenant is not None:
        fields["tenant_id"] = tenant
    return dumps(fields)


def attachment(url: str, file_name: str | None = None, ignore_if_error: bool | None = None) -> dict[str, object]:
    """One entry of `$attachments` in the documented form: `url`, and the other two where given."""
    entry: dict[str, object] = {"url": url}
    if file_name is not None:
        entry["filename"] = file_name
    if ignore_if_error is not None:
        entry["ignore_if_error"] = ignore_if_error
    return entry


class Event:
    """One event for one person. Its idempotency key, `$insert_id` and `$time` are fixed when it is made.

    So the same Event sent again (after a time-out, say) is the same notification to SuprSend for 24 hours. White
    space around the texts is removed and properties are copied. `distinct_id` may also be an int or a UUID: it
    becomes text. Not for use by several threads while attachments are added; after that any thread may send it.

    Raises:
        EventError: what SuprSend or its SDKs would refuse: names, lengths, values without a JSON form.

    """

    __slots__ = (
        "_attachments",
        "_properties",
        "_sent",
        "distinct_id",
        "event_name",
        "idempotency_key",
        "insert_id",
        "tenant_id",
        "time_ms",
    )

    def __init__(
        self,
        distinct_id: str | int | uuid.UUID,
        event_name: str,
        properties: Mapping[str, object] | None = None,
        tenant_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        self.distinct_id: Final = _identifier(distinct_id)
        self.event_name: Final = _text("event_name", event_name)
        _refuse(limits.event_name_problem(self.event_name, allow_sdk_names=True))
        self._properties: Final = _copied_properties(properties)
        self.tenant_id: Final = None if tenant_id is None else _text("tenant_id", tenant_id)
        if self.tenant_id is not None:
            _refuse(limits.tenant_problem(self.tenant_id))
        self.idempotency_key: Final = (
            str(uuid.uuid4()) if idempotency_key is None else _text("idempotency_key", idempotency_key)
        )
        _refuse(limits.key_problem(self.idempotency_key))
        self.insert_id: Final = str(uuid.uuid4())
        self.time_ms: Final = limits.time_ms(time.time_ns() // 1_000_000)
        self._attachments: Final[list[dict[str, object]]] = []
        self._sent = False

    def __repr__(self) -> str:
        """Name and key only: properties and recipient are a person's data."""
        return f"Event(event_name={self.event_name!r}, idempotency_key={self.idempotency_key!r})"

    @property
    def properties(self) -> dict[str, object]:
        """A copy of the properties, `$attachments` included."""
        copied = dict(self._properties)
        if self._attachments:
            copied[limits.ATTACHMENTS] = [dict(entry) for entry in self._attachments]
        return copied

    def add_attachment(self, url: str, file_name: str | None = None, ignore_if_error: bool = False) -> None:
        """Attach the file behind a public http(s) URL; local files are never read or sent.

        With `ignore_if_error` SuprSend sends the notification without a file that it cannot fetch.
        Raises EventError for any other URL, and once the event was sent: the same key with another body would be
        skipped by SuprSend.
        """
        if self._sent:
            raise EventError("the event was sent already; make a new Event to send it with another attachment")
        location = _text("url", url)
        _refuse(limits.attachment_url_problem(location))
        name = None if file_name is None else _text("file_name", file_name)
        if name is not None:
            _json_value(name, "file_name", 0)
        self._attachments.append(attachment(location, name or None, bool(ignore_if_error)))

    def encode(self, env: str) -> bytes:
        """The event's JSON for a workspace (its key, or its UID with an API key): the same bytes each time."""
        self._sent = True
        return event_body(
            insert_id=self.insert_id,
            time_ms=self.time_ms,
            name=self.event_name,
            env=env,
            distinct_id=self.distinct_id,
            properties=self.properties,
            key=self.idempotency_key,
            tenant=self.tenant_id,
        )


def _refuse(problem: str | None) -> None:
    if problem is not None:
        raise EventError(problem)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise EventError(f"{what} must be text, not {type(value).__name__}")
    return value.strip()


def _identifier(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and not _MIN_INT <= value <= _MAX_INT:
        raise EventError("distinct_id is an int beyond 64 bits; send it as text")
    known = isinstance(value, uuid.UUID | int) and not isinstance(value, bool)
    text = str(value) if known else _text("distinct_id", value)
    _refuse(limits.distinct_id_problem(text))
    return text


def _copied_properties(properties: object) -> dict[str, object]:
    if properties is None:
        return {}
    if not isinstance(properties, Mapping):
        raise EventError(f"properties must be a dict, not {type(properties).__name__}")
    if limits.ATTACHMENTS in properties:
        raise EventError(f"properties hold `{limits.ATTACHMENTS}`; call add_attachment(url) for each of them instead")
    copied = _json_object(properties, "properties", 0)
    for key in copied:
        problem = limits.property_key_problem(key)
        if problem is not None:
            raise EventError(f"properties[{key!r}]: {problem}")
    return copied


def _json_object(value: Mapping[object, object], path: str, depth: int) -> dict[str, object]:
    copied: dict[str, object] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise EventError(f"{path} has a key of type {type(key).__name__}; keys must be text")
        copied[str(_json_value(key, f"a key of {path}", depth))] = _json_value(item, f"{path}[{key!r}]", depth + 1)
    return copied


def _json_value(value: object, path: str, depth: int) -> object:
    """Copy a value, refusing what JSON or SuprSend cannot hold; `path` names it in errors."""
    if depth > limits.MAX_DEPTH:
        raise EventError(f"properties nest deeper than {limits.MAX_DEPTH} levels; flatten them")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int):
        if not _MIN_INT <= value <= _MAX_INT:
            raise EventError(f"{path} is an int beyond 64 bits; send it as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EventError(f"{path} is NaN or infinite, which JSON cannot hold; leave it out or send null")
        return float(value)
    if isinstance(value, Mapping):
        return _json_object(value, path, depth)
    if isinstance(value, list | tuple):
        return [_json_value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise EventError(
        f"{path} is a {type(value).__name__}, which JSON cannot hold; send text, a number, a list or a dict"
    )


def _plain_text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EventError(f"{path} holds half of a surrogate pair, which is no valid Unicode") from None
    return str(value)
