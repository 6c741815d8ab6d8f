"""Every key of rule files and of test files, said once: editors, reference and schema all take it from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bridge.rules.map.decode import DECODERS
from bridge.rules.map.faults import FAULTS
from bridge.rules.tools.examples import OUTCOMES

__all__ = [
    "ATTACHMENT",
    "ERROR",
    "EVENT",
    "FILE",
    "GIVEN",
    "RULE",
    "SENT_ATTACHMENT",
    "TEST",
    "TEST_FILE",
    "TOPIC",
    "Key",
]


class Key(NamedTuple):
    """One key: what it is for, examples of its value, and the JSON Schema of it."""

    description: str
    examples: tuple[Any, ...]
    schema: Mapping[str, Any]
    needed: bool = False


_TEXT: Final = {"type": "string"}
_FILLED: Final = {"type": "string", "minLength": 1}
_ID: Final = {"type": ["string", "integer"]}
_FLAG: Final = {"type": "boolean"}
_NAME: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"}
_TOPICS: Final = {"type": "array", "items": _FILLED, "minItems": 1}
_PROPERTIES: Final = {
    "anyOf": [
        {"type": "object", "propertyNames": {"not": {"pattern": "^(\\$|[sS][sS]_)"}}},
        {"type": "string", "pattern": "\\$\\{"},
    ]
}
_EVENT_NAME: Final = {"type": "string", "minLength": 2, "not": {"pattern": "^\\s*(\\$[^{]|[sS][sS]_)"}}
_COMPUTED_OR: Final = "An expression is written `${ jq }`; all else is literal."

ATTACHMENT: Final[Mapping[str, Key]] = {
    "url": Key(
        "Where the file is: a public http(s) address. An attachment whose url yields nothing is left out.",
        ("${ .invoice_url }",),
        _FILLED,
        needed=True,
    ),
    "filename": Key("The name that the person sees.", ("invoice-${ .id }.pdf",), _FILLED),
    "ignore_if_error": Key(
        "Send the notification without the file if it cannot be fetched.",
        (True,),
        {"anyOf": [_FLAG, {"type": "string", "pattern": "\\$\\{"}]},
    ),
}

RULE: Final[Mapping[str, Key]] = {
    "name": Key(
        "The rule's identity: in metrics, idempotency keys and dead letters. A new name is a new rule: records read "
        "again would notify again.",
        ("order-placed",),
        _NAME,
        needed=True,
    ),
    "description": Key("What the rule is for, for people.", ("The customer has paid.",), _TEXT),
    "was": Key("The rule's name before it was renamed: its idempotency keys stay.", ("order-created",), _NAME),
    "enabled": Key("`false` switches the rule off.", (False,), _FLAG),
    "topics": Key(
        "The topics whose records the rule looks at: names, or `/regex/` that match whole names.",
        (["orders.v1"], ["/orders\\..*/"]),
        _TOPICS,
        needed=True,
    ),
    "when": Key(
        "jq that says whether the rule takes a record: true or false; null and nothing are false. Without it every "
        "record is taken.",
        ('.type == "order.placed" and .total > 0',),
        _FILLED,
    ),
    "for_each": Key(
        "jq that yields the items of a fan-out: each becomes an event, and is `$item` there, its number `$index`.",
        (".mentions[]",),
        _FILLED,
    ),
    "max_fan_out": Key(
        "How many items one record may have at most; 1,000 if it is not set.",
        (50,),
        {"type": "integer", "minimum": 1, "maximum": 10_000},
    ),
    "final": Key(
        "Once `when` was true, later rules of the same file do not see the record.",
        (True,),
        _FLAG,
    ),
    "event": Key(
        f"The event's name, to the letter as the workflow in SuprSend has it. {_COMPUTED_OR} A computed name needs "
        "`events`.",
        ("order_placed", "payment_${ .status }"),
        _EVENT_NAME,
        needed=True,
    ),
    "events": Key(
        "All names that a computed `event` can make.",
        (["payment_succeeded", "payment_failed"],),
        {"type": "array", "items": _EVENT_NAME, "minItems": 1, "uniqueItems": True},
    ),
    "distinct_id": Key(
        f"Who gets it: the id under which SuprSend knows the person. {_COMPUTED_OR}",
        ("${ .customer.id }",),
        _ID,
        needed=True,
    ),
    "tenant_id": Key("The tenant; `${ .tenant // empty }` leaves it out where there is none.", ("${ .tenant }",), _ID),
    "idempotency_key": Key(
        "Events with one key within 24 hours are one notification. Without it the record's place in Kafka, the rule, "
        "event and person make the key, which is right for nearly everybody.",
        ("${ .id }-placed",),
        _ID,
    ),
    "max_age": Key(
        "Records older than this end as `expired` and notify nobody: a number and s, m, h or d.",
        ("24h",),
        {"type": "string", "pattern": "^[0-9]{1,9}(s|m|h|d)$"},
    ),
    "properties": Key(
        "What the template can use: keys and values, or one `${ }` that makes an object. Those of `defaults` are below "
        "them. `${ … // empty }` leaves a key out.",
        ({"order_id": "${ .id }", "channel": "web"}, "${ {id, total} }"),
        _PROPERTIES,
    ),
    "drop_nulls": Key("Leave out keys whose value is null, at any depth.", (True,), _FLAG),
    "attachments": Key(
        "Files for the notification: a list, or one `${ }` that makes a list of `{url, filename, ignore_if_error}`.",
        ([{"url": "${ .invoice_url }"}], "${ [.files[] | {url}] }"),
        {
            "anyOf": [
                {"type": "array", "items": {"$ref": "#/$defs/attachment"}},
                {"type": "string", "pattern": "\\$\\{"},
            ]
        },
    ),
    "on_error": Key(
        "What becomes of a record that this rule fails on: `dead_letter` (if it is not set), `skip`, or `halt`, which "
        "stops the partition there.",
        ("dead_letter",),
        {"enum": ["dead_letter", "skip", "halt"]},
    ),
}

TOPIC: Final[Mapping[str, Key]] = {
    "decode": Key("How a value is read; `json` if it is not set.", ("json",), {"enum": list(DECODERS)}),
    "unmatched": Key(
        "What becomes of records that no rule takes: `skip` (if it is not set) or `dead_letter`.",
        ("skip",),
        {"enum": ["skip", "dead_letter"]},
    ),
    "key": Key("How `$key` is read: `text` (if it is not set) or `json`.", ("json",), {"enum": ["text", "json"]}),
    "snapshot": Key("For `decode: debezium`: let the records of a snapshot through.", (True,), _FLAG),
}

FILE: Final[Mapping[str, Key]] = {
    "version": Key("The version of this format.", (1,), {"const": 1}),
    "topics": Key(
        "How topics are read, by name or `/regex/`; those that are not named are JSON.",
        ({"orders.v1": {"decode": "json", "unmatched": "skip"}},),
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/topic"}},
    ),
    "defs": Key(
        "jq functions that every expression of the file can use.",
        ("def money: . / 100;",),
        _TEXT,
    ),
    "defaults": Key(
        "Keys for every rule of the file; a rule's own key replaces them, only `properties` are merged.",
        ({"tenant_id": "${ .tenant }"},),
        {"$ref": "#/$defs/defaults"},
    ),
    "rules": Key(
        "The rules, in order.",
        (
            [
                {
                    "name": "order-placed",
                    "topics": ["orders.v1"],
                    "event": "order_placed",
                    "distinct_id": "${ .customer.id }",
                }
            ],
        ),
        {"type": "array", "items": {"$ref": "#/$defs/rule"}},
        needed=True,
    ),
}

_TIME: Final = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{4}-"}]}

GIVEN: Final[Mapping[str, Key]] = {
    "topic": Key("The topic that the record is of.", ("orders.v1",), _FILLED),
    "partition": Key("Its partition; 0 if it is not set.", (3,), {"type": "integer", "minimum": 0}),
    "offset": Key("Its offset; 0 if it is not set.", (1042,), {"type": "integer", "minimum": 0}),
    "timestamp": Key("Its time: milliseconds since 1970, or RFC 3339.", ("2026-01-31T12:00:00Z", 1769860800000), _TIME),
    "key": Key("Its key: text, or a value that is written as JSON.", ("u1", {"id": 1}), {}),
    "headers": Key(
        "Its headers: names and texts.",
        ({"source": "shop"},),
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    ),
    "value": Key("What is in it, as JSON.", ({"id": "o-1"},), {}),
    "text": Key("What is in it, to the letter: for what is not JSON.", ('{"id": "o-1"',), _TEXT),
    "base64": Key("What is in it, byte for byte.", ("aGVsbG8=",), {"type": "string", "pattern": "^[A-Za-z0-9+/]*=*$"}),
    "file": Key("A file beside the test that holds it.", ("records/order.json",), _FILLED),
    "tombstone": Key("It has no value.", (True,), {"const": True}),
}

SENT_ATTACHMENT: Final[Mapping[str, Key]] = {
    "url": Key("Its address.", ("https://files.example.com/o-1.pdf",), _FILLED, needed=True),
    "filename": Key("Its name.", ("invoice.pdf",), _FILLED),
    "ignore_if_error": Key("Whether it may be missing.", (True,), _FLAG),
}

_RULE_NAME: Final = Key("The rule that made it.", ("order-placed",), _FILLED)

EVENT: Final[Mapping[str, Key]] = {
    "event": Key("The event's name.", ("order_placed",), _FILLED, needed=True),
    "rule": _RULE_NAME,
    "distinct_id": Key("Who gets it.", ("u1",), _TEXT),
    "tenant_id": Key("Its tenant.", ("coffee-eu",), _TEXT),
    "idempotency_key": Key("Its key, where the rule makes one of its own.", ("o-1-placed",), _TEXT),
    "properties": Key("Its properties.", ({"order_id": "o-1"},), {"type": "object"}),
    "attachments": Key(
        "Its attachments.",
        ([{"url": "https://files.example.com/o-1.pdf"}],),
        {"type": "array", "items": {"$ref": "#/$defs/attachment"}},
    ),
    "expired": Key("It is older than the rule's `max_age` and is not sent.", (True,), _FLAG),
    "match": Key(
        "`exact` (if it is not set): what is not said here must not be there. `partial`: only what is said counts.",
        ("partial",),
        {"enum": ["exact", "partial"]},
    ),
}

ERROR: Final[Mapping[str, Key]] = {
    "error": Key("The error's code.", ("text_null",), {"enum": list(FAULTS)}, needed=True),
    "rule": _RULE_NAME,
    "item": Key("The number of the item of a fan-out, from 0.", (1,), {"type": "integer", "minimum": 0}),
}

TEST: Final[Mapping[str, Key]] = {
    "name": Key("What the test shows.", ("a paid order",), _FILLED, needed=True),
    "description": Key("More about it, for people.", ("Seen in production in January.",), _TEXT),
    "given": Key(
        "The record. Keys of the file's `given` are below its own.",
        ({"topic": "orders.v1", "value": {"id": "o-1"}},),
        {"$ref": "#/$defs/given"},
    ),
    "at": Key(
        "The time at which it is sent, for `max_age`; the record's own if it is not set.",
        ("2026-02-01T00:00:00Z",),
        _TIME,
    ),
    "expect": Key(
        "Every event and error that comes of it, in order; or how it ends: "
        + ", ".join(f"`{word}`" for word in OUTCOMES)
        + ".",
        (
            "filtered",
            [{"event": "order_placed", "distinct_id": "u1"}],
            [{"error": "text_null", "rule": "order-placed"}],
        ),
        {
            "anyOf": [
                {"enum": list(OUTCOMES)},
                {"$ref": "#/$defs/made"},
                {"type": "array", "items": {"$ref": "#/$defs/made"}},
            ]
        },
    ),
}

TEST_FILE: Final[Mapping[str, Key]] = {
    "version": Key("The version of this format.", (1,), {"const": 1}),
    "given": Key(
        "What the records of all tests of the file share.", ({"topic": "orders.v1"},), {"$ref": "#/$defs/given"}
    ),
    "tests": Key(
        "The tests.",
        ([{"name": "a paid order", "given": {"topic": "orders.v1", "value": {}}, "expect": "filtered"}],),
        {"type": "array", "items": {"$ref": "#/$defs/test"}},
        needed=True,
    ),
}
