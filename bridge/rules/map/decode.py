"""A record's bytes → the JSON value that rules see (`.`): one decoder per way of reading a topic.

Pure and total: a decoder returns a value or raises MapError with a code of the decode stage; messages never quote
the record.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final, get_args

from bridge.flow import Headers, Record, UnreadableHeaders, headers_of
from bridge.jsontext import JSONDecodeError, loads
from bridge.rules.map.faults import MapError
from bridge.rules.model import Decode

__all__ = ["DECODERS", "SNAPSHOT", "Decoder", "decoder", "readable_headers", "text_or_base64"]

DECODERS: tuple[Decode, ...] = get_args(Decode)

Decoder = Callable[[bytes, Record], Any]
"""`(value, record)` → JSON value, or SNAPSHOT. The record is only asked for its headers."""

SNAPSHOT: Final = object()
"""A Debezium snapshot's record of a topic that does not say `snapshot: true`: filtered."""

_MAGIC: Final = 0
_ENVELOPE: Final = 5
"""Confluent's wire format: the magic byte 0, then the schema's id in four bytes, big endian."""


def decoder(decode: Decode, *, snapshot: bool = False) -> Decoder:
    """Return the decoder for a way of reading; `snapshot` lets Debezium's snapshot records through."""
    if decode == "debezium":
        return _debezium_with_snapshot if snapshot else _debezium
    return _BY_NAME[decode]


def text_or_base64(data: bytes) -> str:
    """Return bytes as text: themselves where they are UTF-8, else base64 (standard alphabet, padded)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return b64encode(data).decode()


def readable_headers(record: Record) -> Headers:
    """Return the headers of a record; raises MapError (`headers_unreadable`)."""
    try:
        return headers_of(record)
    except UnreadableHeaders:
        message = "The record's headers cannot be read: a name among them is not UTF-8."
        raise MapError("headers_unreadable", message) from None


def json_value(value: bytes, _record: Record | None = None) -> Any:
    """Decode one JSON value; of duplicate keys the last wins; Confluent's envelope is taken off."""
    try:
        return loads(value)
    except JSONDecodeError as error:
        if not value:
            raise MapError("empty_value", "The value is empty: no tombstone, and no JSON.") from None
        if value[0] == _MAGIC and len(value) >= _ENVELOPE:
            return _confluent(value)
        raise _not_json(error) from None


def _not_json(error: JSONDecodeError) -> MapError:
    if "depth limit" in error.msg:
        return MapError("record_too_deep", "The value is nested more deeply than a JSON reader goes.")
    return MapError("not_json", f"The value is not one JSON text (reading stopped at character {error.pos}).")


def _confluent(value: bytes) -> Any:
    """Decode the payload behind Confluent's envelope if it is JSON, as the JSON Schema serialiser writes it.

    Without a registry the schema's type is unknown. A JSON Schema payload is JSON text; only objects and arrays are
    taken for it, since a number such as `12` may as well be two Avro integers.
    """
    payload = value[_ENVELOPE:]
    if payload.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
        try:
            return loads(payload)
        except JSONDecodeError as error:
            if _is_text(payload):
                raise _not_json(error) from None
    schema = int.from_bytes(value[1:_ENVELOPE], "big")
    message = (
        f"The value is in Confluent's wire format (schema id {schema}) and its payload is not a JSON object or array: "
        "Avro or Protobuf, which the bridge does not read. Produce JSON or JSON Schema."
    )
    raise MapError("confluent_avro_or_protobuf", message)


def _is_text(payload: bytes) -> bool:
    try:
        return payload.decode().isprintable() or b"\n" in payload
    except UnicodeDecodeError:
        return False


def _string(value: bytes, _record: Record) -> str:
    _refuse_empty(value)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MapError("not_utf8", f"The value is not UTF-8 text (byte {error.start}).") from None


def _bytes(value: bytes, _record: Record) -> str:
    _refuse_empty(value)
    return b64encode(value).decode()


def _refuse_empty(value: bytes) -> None:
    if not value:
        raise MapError("empty_value", "The value is empty, and no tombstone.")


def _cloudevent(value: bytes, record: Record) -> Any:
    """Decode a CloudEvent: its attributes as an object, plus `data` (or `data_base64` for binary data).

    Kafka protocol binding of CloudEvents 1.0: structured mode by `content-type: application/cloudevents…`, binary
    mode by `ce_…` headers. Without either the value may still say what it is by its `specversion`.
    """
    headers = readable_headers(record)
    kind = _content_type(headers)
    if kind.startswith("application/cloudevents-batch"):
        raise MapError("cloudevent_batch", "The value is a batch of CloudEvents; one per record is read.")
    attributes = {} if kind.startswith("application/cloudevents") else _attributes(headers)
    if "specversion" not in attributes:
        return _structured(value)
    _refuse_empty(value)
    if kind:
        attributes["datacontenttype"] = kind
    return attributes | _data(value, kind)


def _content_type(headers: Headers) -> str:
    for name, value in reversed(headers):
        if name.lower() == "content-type" and value is not None:
            return text_or_base64(value)
    return ""


def _attributes(headers: Headers) -> dict[str, Any]:
    return {
        name[3:].lower(): text_or_base64(value)
        for name, value in headers
        if value is not None and name[:3].lower() == "ce_"
    }


def _structured(value: bytes) -> Any:
    event = json_value(value)
    if isinstance(event, dict) and isinstance(event.get("specversion"), str):
        return event
    message = "The record has no `ce_specversion` header, and its value is no JSON object with a `specversion`."
    raise MapError("not_a_cloudevent", message)


def _data(value: bytes, kind: str) -> dict[str, Any]:
    essence = kind.partition(";")[0].strip().lower()
    if not essence or essence.endswith(("/json", "+json")):
        return {"data": json_value(value)}
    try:
        return {"data": value.decode()}
    except UnicodeDecodeError:
        return {"data_base64": b64encode(value).decode()}


def _debezium_with_snapshot(value: bytes, _record: Record) -> Any:
    """Decode a change event: what is inside `{schema, payload}` where there is one, else the value itself."""
    change = unwrapped(json_value(value))
    if isinstance(change, dict):
        return change
    raise MapError("not_debezium", "The value is no Debezium change event: not an object.")


def _debezium(value: bytes, record: Record) -> Any:
    change = _debezium_with_snapshot(value, record)
    return SNAPSHOT if change.get("op", change.get("__op")) == "r" else change


def unwrapped(value: Any) -> Any:
    """Take the payload out of Kafka Connect's `{schema, payload}`; anything else stays as it is."""
    if isinstance(value, dict) and value.keys() == {"schema", "payload"}:
        return value["payload"]
    return value


_BY_NAME: dict[str, Decoder] = {
    "json": json_value,
    "string": _string,
    "bytes": _bytes,
    "cloudevents": _cloudevent,
}
