"""Every key of a rule file, declared once: readers, findings, JSON Schema and reference take it from here. Pure.

A key is what it is for, what it looks like, and its kind: how a value is read, what it is where there is none, and the
words that others use. A new key is its declaration here, its field in `Rule`, and the place that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from bridge.findings import Severity, did_you_mean
from bridge.rules.map.decode import DECODERS
from bridge.rules.model import Rule, Value
from bridge.suprsend import limits

__all__ = [
    "ATTACHMENT",
    "A_RULE",
    "DEFAULTS",
    "FILE",
    "RULE",
    "TOPIC",
    "EventText",
    "Flag",
    "Jq",
    "Key",
    "Keys",
    "Kind",
    "Length",
    "Line",
    "Other",
    "Typed",
    "Whole",
    "Word",
    "meant_key",
    "texts_of",
]

A_RULE: Final = "rules:\n  - name: placed\n    topics: [orders.v1]\n    event: placed\n    distinct_id: ${ .id }\n"
"""A file with one rule, for the examples of findings."""
Json = Mapping[str, Any]
_FLAG: Final = {"type": "boolean"}
_TEXT: Final = {"type": "string"}
_FILLED: Final = {"type": "string", "minLength": 1}
_LENGTH: Final = {"type": "string", "pattern": "^[0-9]{1,9}(s|m|h|d)$"}


class Flag(NamedTuple):
    """True or false."""

    otherwise: bool = False
    schema: Json = _FLAG


class Word(NamedTuple):
    """One of some words; the first where there is none. `others` has what people write instead, by our word."""

    words: tuple[str, ...]
    others: Mapping[str, str] = {}
    code: str = "R005"
    refused: Mapping[str, str] = {}
    """Words that are no slip, and what to do instead."""

    @property
    def schema(self) -> Json:
        return {"enum": list(self.words)}

    def meant(self, value: str) -> str | None:
        """The word that is this one, as others say it or spelt much like it."""
        found = (word for word in self.words if value.lower() in self.others.get(word, "").split())
        return next(found, None) or did_you_mean(value, self.words)


class Whole(NamedTuple):
    """A whole number between two bounds."""

    low: int
    high: int
    otherwise: int

    @property
    def schema(self) -> Json:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Length(NamedTuple):
    """A length of time, in milliseconds in `Rule.NAME_ms`; None where there is none."""

    schema: Json = _LENGTH


class Line(NamedTuple):
    """Text for people, empty where there is none."""

    schema: Json = _TEXT


class Jq(NamedTuple):
    """One jq expression, with or without `${ }`."""

    schema: Json = _FILLED


class EventText(NamedTuple):
    """A text of the event: a literal, which is checked here, or with `${ }`, which is checked for each record."""

    problem: Callable[[str], str | None]
    schema: Json
    longest: int | None = None
    """Characters that SuprSend takes."""
    integers: bool = True
    """A whole number becomes its decimal text."""


class Other(NamedTuple):
    """Read by code of its own."""

    schema: Json


class Typed(NamedTuple):
    """A value of one type, and that type in words."""

    type: type
    words: str
    schema: Json


Kind = Flag | Word | Whole | Length | Line | Jq | EventText | Typed | Other


class Key(NamedTuple):
    """One key: what it is for, examples of its value, its kind, and what is true of it besides."""

    description: str
    examples: tuple[Any, ...]
    kind: Kind
    needed: bool = False
    others: str = ""
    """What others call it."""
    in_defaults: bool = True
    """Whether the `defaults` of a file may have it."""
    forgotten: Severity | None = None
    """How bad a forgotten `${ }` is, for a default that holds expressions."""
    a_property: bool = True
    """Whether a property may well have this name."""
    one_of: bool = False
    """Of the keys that are so marked one is wanted, and they exclude each other."""

    @property
    def example(self) -> str:
        """The first example, as it is written behind the key."""
        return _written(self.examples[0])


Keys = Mapping[str, Key]


def _written(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {text!r}' for key, text in value.items())}}}"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def meant_key(name: str, keys: Keys) -> str | None:
    """Return the key that is this one, is called so by others, or is spelt much like it."""
    if name in keys:
        return name
    for called in (name, name.lower()):
        for key, declared in keys.items():
            if called in declared.others.split():
                return key
    return did_you_mean(name, keys)


def texts_of(rule: Rule) -> Iterator[tuple[str, Value]]:
    """The texts of the event that a rule sets, by their keys."""
    for name, key in RULE.items():
        value = getattr(rule, name) if isinstance(key.kind, EventText) else None
        if value is not None:
            yield name, value


_NAME: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"}
_ID: Final = {"type": ["string", "integer"]}
_TOPICS: Final = {"type": "array", "items": _FILLED, "minItems": 1}
_PROPERTIES: Final = {
    "anyOf": [
        {"type": "object", "propertyNames": {"not": {"pattern": "^(\\$|[sS][sS]_)"}}},
        {"type": "string", "pattern": "\\$\\{"},
    ]
}
_EVENT_NAME: Final = {"type": "string", "minLength": 2, "not": {"pattern": "^\\s*(\\$[^{]|[sS][sS]_)"}}
_ENDS: Final = {
    "dead_letter": "dlq deadletter dead-letter",
    "skip": "ignore drop discard continue",
    "halt": "stop fail retry block",
}
_FORMATS: Final = {
    "string": "text",
    "bytes": "raw binary",
    "json": "jsonschema json_schema",
    "cloudevents": "cloud_events",
}
_NO_DECODER: Final = dict.fromkeys(
    ("avro", "protobuf", "proto", "xml", "csv"),
    "no decoder here reads it: convert it to JSON first, with Kafka Connect",
)
_COMPUTED_OR: Final = "An expression is written `${ jq }`; all else is literal."

ATTACHMENT: Final[Keys] = {
    "url": Key(
        "Where the file is: a public http(s) address. An attachment whose url yields nothing is left out.",
        ("${ .invoice_url }",),
        Other(_FILLED),
        needed=True,
        others="path href link uri src",
    ),
    "filename": Key(
        "The name that the person sees.", ("invoice-${ .id }.pdf",), Other(_FILLED), others="name file file_name title"
    ),
    "ignore_if_error": Key(
        "Send the notification without the file if it cannot be fetched.",
        (True,),
        Other({"anyOf": [_FLAG, {"type": "string", "pattern": "\\$\\{"}]}),
    ),
}

RULE: Final[Keys] = {
    "name": Key(
        "The rule's identity: in metrics, idempotency keys and dead letters. A new name is a new rule: records read "
        "again would notify again.",
        ("order-placed",),
        Other(_NAME),
        needed=True,
        in_defaults=False,
    ),
    "description": Key("What the rule is for, for people.", ("The customer has paid.",), Line()),
    "was": Key(
        "The rule's name before it was renamed: its idempotency keys stay.",
        ("order-created",),
        Other(_NAME),
        in_defaults=False,
    ),
    "enabled": Key("`false` switches the rule off.", (False,), Flag(otherwise=True), others="active disabled"),
    "topics": Key(
        "The topics whose records the rule looks at: names, or `/regex/` that match whole names.",
        (["orders.v1"], ["/orders\\..*/"]),
        Other(_TOPICS),
        needed=True,
        a_property=False,
    ),
    "when": Key(
        "jq that says whether the rule takes a record: true or false; null and nothing are false. Without it every "
        "record is taken.",
        ('.type == "order.placed" and .total > 0',),
        Jq(),
        others="condition conditions if filter where match matches unless",
        in_defaults=False,
        a_property=False,
    ),
    "for_each": Key(
        "jq that yields the items of a fan-out: each becomes an event, and is `$item` there, its number `$index`.",
        (".mentions[]",),
        Jq(),
        others="foreach each loop items forEach",
        in_defaults=False,
        a_property=False,
    ),
    "max_fan_out": Key(
        "How many items one record may have at most; 1,000 if it is not set.",
        (50,),
        Whole(1, 10_000, otherwise=1_000),
        a_property=False,
    ),
    "final": Key(
        "Once `when` was true, later rules of the same file do not see the record.",
        (True,),
        Flag(),
        in_defaults=False,
    ),
    "event": Key(
        f"The event's name, to the letter as the workflow in SuprSend has it. {_COMPUTED_OR} A computed name needs "
        "`events`.",
        ("order_placed", "payment_${ .status }"),
        EventText(limits.event_name_problem, _EVENT_NAME, integers=False),
        needed=True,
        others="workflow template trigger notification slug",
        in_defaults=False,
    ),
    "events": Key(
        "All names that a computed `event` can make.",
        (["payment_succeeded", "payment_failed"],),
        Other({"type": "array", "items": _EVENT_NAME, "minItems": 1, "uniqueItems": True}),
    ),
    "distinct_id": Key(
        f"Who gets it: the id under which SuprSend knows the person. {_COMPUTED_OR}",
        ("${ .customer.id }",),
        EventText(limits.distinct_id_problem, _ID, limits.MAX_DISTINCT_ID_CHARS),
        needed=True,
        others="recipient recipients user user_id userid to customer_id subject receiver",
        forgotten="error",
    ),
    "tenant_id": Key(
        "The tenant; `${ .tenant // empty }` leaves it out where there is none.",
        ("${ .tenant }",),
        EventText(limits.tenant_problem, _ID, limits.MAX_TENANT_CHARS),
        others="tenant brand brand_id workspace",
        forgotten="error",
    ),
    "idempotency_key": Key(
        "Events with one key within 24 hours are one notification. Without it the record's place in Kafka, the rule, "
        "event and person make the key, which is right for nearly everybody.",
        ("${ .id }-placed",),
        EventText(limits.key_problem, _ID, limits.MAX_KEY_CHARS),
        others="key dedup_key dedupe_key id_key",
        in_defaults=False,
        a_property=False,
    ),
    "max_age": Key(
        "Records older than this end as `expired` and notify nobody: a number and s, m, h or d.",
        ("24h",),
        Length(),
        others="ttl expires expire expiry timeout",
        a_property=False,
    ),
    "properties": Key(
        "What the template can use: keys and values, or one `${ }` that makes an object. Those of `defaults` are below "
        "them. `${ … // empty }` leaves a key out.",
        ({"order_id": "${ .id }", "channel": "web"}, "${ {id, total} }"),
        Other(_PROPERTIES),
        others="data payload attributes params parameters variables fields body values",
        forgotten="warning",
    ),
    "drop_nulls": Key("Leave out keys whose value is null, at any depth.", (True,), Flag(), a_property=False),
    "attachments": Key(
        "Files for the notification: a list, or one `${ }` that makes a list of `{url, filename, ignore_if_error}`.",
        ([{"url": "${ .invoice_url }"}], "${ [.files[] | {url}] }"),
        Other(
            {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/attachment"}},
                    {"type": "string", "pattern": "\\$\\{"},
                ]
            }
        ),
        others="files documents",
        forgotten="warning",
        a_property=False,
    ),
    "on_error": Key(
        "What becomes of a record that this rule fails on: `dead_letter` (the default), `skip`, or `halt`, which "
        "stops the partition there.",
        ("dead_letter",),
        Word(("dead_letter", "skip", "halt"), _ENDS),
        others="onerror error errors fallback",
        a_property=False,
    ),
}

DEFAULTS: Final[Keys] = {name: key for name, key in RULE.items() if key.in_defaults}

TOPIC: Final[Keys] = {
    "decode": Key(
        "How a value is read; `json` if it is not set.",
        ("json",),
        Word(tuple(DECODERS), _FORMATS, "R008", _NO_DECODER),
        others="format encoding codec type",
    ),
    "unmatched": Key(
        "What becomes of records that no rule takes: `skip` (the default) or `dead_letter`.",
        ("skip",),
        Word(("skip", "dead_letter"), _ENDS, "R008"),
    ),
    "key": Key(
        "How `$key` is read: `text` (the default) or `json`.",
        ("json",),
        Word(("text", "json"), _FORMATS, "R008"),
    ),
    "snapshot": Key("For `decode: debezium`: let the records of a snapshot through.", (True,), Flag()),
}

FILE: Final[Keys] = {
    "version": Key("The version of this format.", (1,), Other({"const": 1})),
    "topics": Key(
        "How topics are read, by name or `/regex/`; those that are not named are JSON.",
        ({"orders.v1": {"decode": "json", "unmatched": "skip"}},),
        Other({"type": "object", "additionalProperties": {"$ref": "#/$defs/topic"}}),
    ),
    "defs": Key(
        "jq functions that every expression of the file can use.",
        ("def money: . / 100;",),
        Other(_TEXT),
        others="functions helpers macros",
    ),
    "defaults": Key(
        "Keys for every rule of the file; a rule's own key replaces them, only `properties` are merged.",
        ({"tenant_id": "${ .tenant }"},),
        Other({"$ref": "#/$defs/defaults"}),
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
        Other({"type": "array", "items": {"$ref": "#/$defs/rule"}}),
        needed=True,
    ),
}
