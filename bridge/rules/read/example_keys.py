"""Every key of a `*.test.yaml`, declared once: reader, JSON Schema and reference take it from here; and its findings. Pure."""

from __future__ import annotations

from typing import Final

from bridge.findings import Codes, FindingCode
from bridge.rules.map.faults import FAULTS
from bridge.rules.read.keys import Key, Keys, Other, Typed

__all__ = ["CODES", "ERROR", "EVENT", "GIVEN", "OUTCOMES", "SENT_ATTACHMENT", "TEST", "TEST_FILE"]

OUTCOMES: Final = ("delivered", "filtered", "expired", "skipped", "dead_lettered", "held")
"""How a record can end, for `expect`; `held` is a rule with `on_error: halt`."""

_FILLED: Final = {"type": "string", "minLength": 1}
_NAMED: Final = Typed(str, "text", _FILLED)
_TEXT: Final = Typed(str, "text", {"type": "string"})
_FLAG: Final = Typed(bool, "true or false", {"type": "boolean"})
_COUNT: Final = Typed(int, "a whole number", {"type": "integer", "minimum": 0})
_TIME: Final = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{4}-"}]}

GIVEN: Final[Keys] = {
    "topic": Key("The topic that the record is of.", ("orders.v1",), Other(_FILLED)),
    "partition": Key("Its partition; 0 if it is not set.", (3,), _COUNT),
    "offset": Key("Its offset; 0 if it is not set.", (1042,), _COUNT),
    "timestamp": Key(
        "Its time: milliseconds since 1970, or RFC 3339.", ("2026-01-31T12:00:00Z", 1769860800000), Other(_TIME)
    ),
    "key": Key("Its key: text, or a value that is written as JSON.", ("u1", {"id": 1}), Other({})),
    "headers": Key(
        "Its headers: names and texts.",
        ({"source": "shop"},),
        Other({"type": "object", "additionalProperties": {"type": ["string", "null"]}}),
    ),
    "value": Key("What is in it, as JSON.", ({"id": "o-1"},), Other({}), one_of=True),
    "text": Key("What is in it, to the letter: for what is not JSON.", ('{"id": "o-1"',), _TEXT, one_of=True),
    "base64": Key(
        "What is in it, byte for byte.",
        ("aGVsbG8=",),
        Other({"type": "string", "pattern": "^[A-Za-z0-9+/]*=*$"}),
        one_of=True,
    ),
    "file": Key("A file beside the test that holds it.", ("records/order.json",), Other(_FILLED), one_of=True),
    "tombstone": Key("It has no value.", (True,), Other({"const": True}), one_of=True),
}

SENT_ATTACHMENT: Final[Keys] = {
    "url": Key("Its address.", ("https://files.example.com/o-1.pdf",), _NAMED, needed=True),
    "filename": Key("Its name.", ("invoice.pdf",), _NAMED),
    "ignore_if_error": Key("Whether it may be missing.", (True,), _FLAG),
}

_RULE_NAME: Final = Key("The rule that made it.", ("order-placed",), _NAMED)

EVENT: Final[Keys] = {
    "event": Key("The event's name.", ("order_placed",), _NAMED, needed=True),
    "rule": _RULE_NAME,
    "distinct_id": Key("Who gets it.", ("u1",), _TEXT),
    "tenant_id": Key("Its tenant.", ("coffee-eu",), _TEXT),
    "idempotency_key": Key("Its key, where the rule makes one of its own.", ("o-1-placed",), _TEXT),
    "properties": Key("Its properties.", ({"order_id": "o-1"},), Typed(dict, "keys and values", {"type": "object"})),
    "attachments": Key(
        "Its attachments.",
        ([{"url": "https://files.example.com/o-1.pdf"}],),
        Typed(list, "a list", {"type": "array", "items": {"$ref": "#/$defs/attachment"}}),
    ),
    "expired": Key("It is older than the rule's `max_age` and is not sent.", (True,), _FLAG),
    "match": Key(
        "`exact` (the default): what is not said here must not be there. `partial`: only what is said counts.",
        ("partial",),
        Typed(str, "exact or partial", {"enum": ["exact", "partial"]}),
    ),
}

ERROR: Final[Keys] = {
    "error": Key("The error's code.", ("text_null",), Typed(str, "text", {"enum": list(FAULTS)}), needed=True),
    "rule": _RULE_NAME,
    "item": Key("The number of the item of a fan-out, from 0.", (1,), _COUNT),
}

TEST: Final[Keys] = {
    "name": Key("What the test shows.", ("a paid order",), _NAMED, needed=True),
    "description": Key("More about it, for people.", ("Seen in production in January.",), _TEXT),
    "given": Key(
        "The record. Keys of the file's `given` are below its own.",
        ({"topic": "orders.v1", "value": {"id": "o-1"}},),
        Other({"$ref": "#/$defs/given"}),
    ),
    "at": Key(
        "The time at which it is sent, for `max_age`; the record's own if it is not set.",
        ("2026-02-01T00:00:00Z",),
        Other(_TIME),
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
        Other(
            {
                "anyOf": [
                    {"enum": list(OUTCOMES)},
                    {"$ref": "#/$defs/made"},
                    {"type": "array", "items": {"$ref": "#/$defs/made"}},
                ]
            }
        ),
    ),
}

TEST_FILE: Final[Keys] = {
    "version": Key("The version of this format.", (1,), Other({"const": 1})),
    "given": Key(
        "What the records of all tests of the file share.", ({"topic": "orders.v1"},), Other({"$ref": "#/$defs/given"})
    ),
    "tests": Key(
        "The tests.",
        ([{"name": "a paid order", "given": {"topic": "orders.v1", "value": {}}, "expect": "filtered"}],),
        Other({"type": "array", "items": {"$ref": "#/$defs/test"}}),
        needed=True,
    ),
}

CODES: Final[Codes] = {
    "T001": FindingCode("A file of tests does not hold what it should.", "Begin with `tests:` and a list of tests."),
    "T002": FindingCode("A key that is not known here.", "Use one of the keys that the message lists."),
    "T003": FindingCode("A key that must be there is missing.", "Add it."),
    "T004": FindingCode("A value has the wrong type.", "Write what the message asks for."),
    "T005": FindingCode(
        "An unknown word: it is no outcome, no rule and no code of an error.", "Use one that there is."
    ),
    "T006": FindingCode(
        "A record that cannot be made.", "Give a topic, and one of value, text, base64, file, tombstone."
    ),
    "T007": FindingCode("Two tests have one name.", "Give each its own."),
}
