"""Every way in which a record can fail to become an event: stable codes, for metrics, dead letters and the docs."""

from __future__ import annotations

from typing import NamedTuple

from bridge.flow import Stage

__all__ = ["FAULTS", "FaultKind", "MapError"]


class FaultKind(NamedTuple):
    """One row of the table: the stage it belongs to, what happened, and what to do about it."""

    stage: Stage
    title: str
    remedy: str


class MapError(Exception):
    """A rule (or a decoder) cannot make what it should of a record.

    `code` is one of FAULTS; the message may quote the rule, never the record. Does not leave the mapper.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key: str | None = None
        """The key that the event had got before."""


_D, _M = Stage.DECODE, Stage.MAP

FAULTS: dict[str, FaultKind] = {
    "empty_value": FaultKind(_D, "The value is empty (not a tombstone, not JSON).", "Ask the producer; replay after."),
    "not_json": FaultKind(
        _D, "The value is not one JSON text.", "Say how the topic is read: `topics: {T: {decode: …}}`."
    ),
    "not_utf8": FaultKind(_D, "The value is not UTF-8 text.", "Use `decode: bytes` for binary values."),
    "record_too_deep": FaultKind(_D, "The value is nested too deeply to be read.", "Ask the producer."),
    "confluent_avro_or_protobuf": FaultKind(
        _D,
        "The value has Confluent's magic byte and is not JSON: Avro or Protobuf, which are not read.",
        "Produce with the JSON Schema serialiser, or put a converter to JSON before the bridge.",
    ),
    "not_a_cloudevent": FaultKind(
        _D, "The record is not a CloudEvent in structured or binary mode.", "Use `decode: json` for plain JSON."
    ),
    "cloudevent_batch": FaultKind(_D, "The value is a batch of CloudEvents.", "Produce one CloudEvent per record."),
    "not_debezium": FaultKind(
        _D, "The value is not a Debezium change event (an object).", "Use `decode: json` for plain JSON."
    ),
    "key_not_json": FaultKind(_D, "The key is not JSON, though the rules say `key: json`.", "Remove `key: json`."),
    "headers_unreadable": FaultKind(
        _D,
        "A rule reads headers, and the name of one of the record's is not UTF-8.",
        "Ask the producer; rules that do without `$headers` can be replayed.",
    ),
    "unmatched": FaultKind(
        Stage.UNMATCHED, "No rule took the record, and the topic says `unmatched: dead_letter`.", "Add a rule."
    ),
    "expression_failed": FaultKind(_M, "An expression failed on this record.", "Try it: `suprsend-bridge explain`."),
    "budget_exceeded": FaultKind(
        _M, "The rule's expressions took more steps, outputs or text than a record may.", "Simplify the expression."
    ),
    "when_type": FaultKind(_M, "`when` gave neither true, false nor null.", "Compare: `(.items | length) > 0`."),
    "several_outputs": FaultKind(_M, "An expression gave several values where one is wanted.", "`[…]` or `first(…)`."),
    "nothing": FaultKind(
        _M, "A value that every event needs came out as nothing.", "Give a value, or filter in `when`."
    ),
    "null": FaultKind(_M, "null came where null cannot be sent.", '`// empty` leaves out; `// "…"` gives a default.'),
    "blank": FaultKind(_M, "Blank text came where text is needed.", "Give a value, or filter in `when`."),
    "wrong_type": FaultKind(_M, "A value has a type that cannot be sent there.", "Use `tostring` or another path."),
    "text_null": FaultKind(_M, "null in the middle of text.", 'Write a default: `// "…"`.'),
    "text_nothing": FaultKind(_M, "Nothing in the middle of text.", 'Write a default: `// "…"`.'),
    "text_container": FaultKind(_M, "An object or array in the middle of text.", "Write `| tojson` or a path into it."),
    "too_long": FaultKind(
        _M, "Text is longer than SuprSend takes.", "Keep tenants to 64, keys and ids to 255 characters."
    ),
    "event_not_listed": FaultKind(_M, "A computed event name is not in the rule's `events`.", "Add it to `events`."),
    "property_name": FaultKind(
        _M, "A property's name begins with `$` or `ss_`, which SuprSend keeps for itself.", "Rename the property."
    ),
    "attachment": FaultKind(_M, "An attachment is not `{url, filename?, ignore_if_error?}`.", "Mend the expression."),
    "attachment_url": FaultKind(_M, "An attachment's url is not http(s).", "Give a public http(s) address."),
    "duplicate_key": FaultKind(
        _M, "Two events of one record have the same idempotency key.", "Use `$item` or `$index` in the key."
    ),
    "fan_out_list": FaultKind(_M, "`for_each` gave a list as one item.", "Write `[]` behind it: `.mentions[]`."),
    "fan_out_too_large": FaultKind(_M, "`for_each` gave more items than `max_fan_out`.", "Raise `max_fan_out`."),
    "not_finite": FaultKind(
        _M, "A number in the event is infinity or NaN, which JSON cannot hold.", "Guard the arithmetic."
    ),
    "event_too_deep": FaultKind(_M, "The event is nested over 200 levels deep.", "Send a part of the record."),
    "bad_text": FaultKind(_M, "Text in the event is not Unicode (half a surrogate pair).", "Ask the producer."),
    "not_sendable": FaultKind(_M, "The event cannot be written as JSON.", "Report this: it is a bug of the bridge."),
    "recipient_not_allowed": FaultKind(
        _M, "The recipient is not among `delivery.only_recipients`.", "Nothing: this setting is meant to do that."
    ),
    "event_too_large": FaultKind(
        Stage.SIZE, "The event is larger than SuprSend takes.", "Send fewer properties: a link instead of a list."
    ),
    "internal_error": FaultKind(_M, "The mapper itself failed.", "Report this: it is a bug of the bridge."),
}
