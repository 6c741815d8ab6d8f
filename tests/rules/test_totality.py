"""Whatever the record: events and faults, never an exception, in bounded time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from bridge.flow import Event, Fault, Headers, MappingContext, PlainRecord, Stage
from bridge.jsontext import dumps, loads
from bridge.rules.map.faults import FAULTS
from bridge.rules.read.load import load_rules, load_texts
from tests.rules.given import CONTEXT, ENV, body, held, mapper, rules
from tests.rules.paths import CONFIG_RULES

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["order.placed", "comment.created", "succeeded", "card", "https://x.example/a", " ", "u1"]),
)
NAMES = st.sampled_from(
    [
        "id",
        "type",
        "total",
        "customer",
        "first_name",
        "last_name",
        "items",
        "sku",
        "qty",
        "method",
        "mentions",
        "user_id",
        "author",
        "name",
        "text",
        "status",
        "amount",
        "receipts",
        "url",
        "tenant",
        "invoice_url",
        "failure",
        "message",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=12,
)
LIKELY = st.fixed_dictionaries(
    {"type": st.sampled_from(["order.placed", "order.shipped", "comment.created"]), "status": st.just("failed")},
    optional={
        "id": SCALARS,
        "total": SCALARS,
        "amount": SCALARS,
        "tenant": SCALARS,
        "method": SCALARS,
        "text": SCALARS,
        "customer": VALUES,
        "items": VALUES,
        "mentions": VALUES,
        "receipts": VALUES,
        "author": VALUES,
    },
)
RAW = st.one_of(st.none(), st.binary(max_size=40), st.one_of(VALUES, LIKELY).map(dumps))
HEADERS: st.SearchStrategy[Headers | None] = st.one_of(
    st.none(), st.lists(st.tuples(st.text(max_size=5), st.one_of(st.none(), st.binary(max_size=5))), max_size=3)
)

SHOP = held(load_rules(CONFIG_RULES).rules)
EVERYTHING = rules(
    "name: every-variable\nwhen: $tombstone or true\nproperties: '${ {k: $key, h: $headers, o: $offset, v: .} }'",
    'name: fan\nfor_each: .. | select(type == "string")\ndistinct_id: ${ $item }\nidempotency_key: ${ $item }',
    "name: text\ndistinct_id: ${ .id }-${ .type }\ntenant_id: ${ .tenant // empty }\ndrop_nulls: true\nproperties: ${ . }",
    head="topics: {t: {unmatched: dead_letter}, d: {decode: debezium}, c: {decode: cloudevents}, s: {decode: string}}\n"
    "defaults: {topics: [t, d, c, s]}".replace("defaults: {topics: [t, d, c, s]}", ""),
).replace("topics: [t]", "topics: [t, d, c, s]")
HOSTILE = held(load_texts([("a.yaml", EVERYTHING.encode())]).rules, MappingContext(ENV, "n"))


def check(made: Any, record: PlainRecord, limit: int = CONTEXT.max_event_bytes) -> None:
    for one in made:
        if isinstance(one, Fault):
            assert one.code in FAULTS
            assert FAULTS[one.code].stage is one.stage
            assert one.code not in {"internal_error", "not_sendable"}, one
            continue
        assert isinstance(one, Event)
        event = body(one)
        assert len(one.body) <= limit
        assert event["distinct_id"] == one.recipient == one.recipient.strip() != ""
        assert event["event"] == one.name
        assert event["$idempotency_key"] == one.key
        assert len(event["$insert_id"]) >= 36
        assert event["$time"] >= 1_640_995_200_000
        assert not any(name[:1] == "$" and name != "$attachments" for name in event["properties"])
        assert event["properties"] == loads(dumps(event["properties"]))
    assert record is not None


@settings(max_examples=300, deadline=None)
@given(RAW, st.sampled_from(["orders.v1", "comments.v1", "payments.v1"]), st.integers(-1, 2**62), HEADERS)
def test_the_shop_maps_anything(value: bytes | None, topic: str, timestamp: int, headers: Headers | None) -> None:
    """The rules of the demo make events or faults of any record, the same again each time."""
    record = PlainRecord(topic, 0, 1, value, key=value, timestamp=timestamp, headers=headers)
    made = SHOP.mapper(topic)(record)
    check(made, record)
    assert SHOP.mapper(topic)(record) == made


@settings(max_examples=300, deadline=None)
@example(b'{"a": "\\u0000", "b": 1e308, "c": -0.0}', "t", None, None)
@given(RAW, st.sampled_from("tdcs"), st.one_of(st.none(), st.binary(max_size=5)), HEADERS)
def test_hostile_rules_map_anything(
    value: bytes | None, topic: str, key: bytes | None, headers: Headers | None
) -> None:
    """Rules that pass on everything they are given make events or faults of any record."""
    record = PlainRecord(topic, 0, 1, value, key=key, headers=headers)
    check(HOSTILE.mapper(topic)(record), record)


DEEP = 1000


@pytest.mark.parametrize(
    "value",
    [
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b"[" * 100_000,
        b'"' + b"x" * 10_000_000 + b'"',
        b'{"id": "' + b"x" * 10_000_000 + b'", "type": 1}',
        b"[" + b"1," * 1_000_000 + b"1]",
        b"1" * 1_000_000,
        b"-" + b"9" * 400,
        b"1e400",
        b"NaN",
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"id": "\\ud83d\\ude00"}',
        b"\x00" * 100,
        b'{"a":1,"a":2}',
    ],
    ids=lambda value: repr(value[:12]),
)
def test_hostile_records(value: bytes) -> None:
    """Deep, huge and broken values are events or faults, in bounded time, the same on every run."""
    record = PlainRecord("t", 0, 1, value)
    make = HOSTILE.mapper("t")
    made = make(record)
    check(made, record)
    assert made
    assert make(record) == made


@pytest.mark.parametrize(
    "expression",
    [
        "def f: f; f",
        "[range(1e9)]",
        "[limit(1e9; repeat(1))]",
        '"x" * 1e9',
        "reduce range(1e8) as $i (0; . + 1)",
        "last(range(1e9))",
    ],
)
def test_hostile_rules(expression: str) -> None:
    """A rule that would run for ever, or fill the memory, ends as a fault of the record."""
    made = mapper(f"properties: {{p: '${{ {expression} }}'}}")(PlainRecord("t", 0, 1, b"1"))
    assert [one.code for one in made] in (["budget_exceeded"], ["expression_failed"])  # type: ignore[union-attr]


def test_a_record_that_breaks_its_contract() -> None:
    """Even a bug in the bridge (a record that raises) is a fault, not an exception."""

    class Broken(PlainRecord):
        def value(self) -> bytes | None:
            raise RuntimeError("secret")

    (fault,) = HOSTILE.mapping.mapper("t")(Broken("t", 0, 1, b""))
    assert isinstance(fault, Fault)
    assert (fault.code, fault.stage) == ("internal_error", Stage.MAP)
    assert "secret" not in fault.message


def test_surrogates_behind_the_decoder() -> None:
    """Half of a surrogate pair (from a header name, say) is a fault wherever it lands."""
    headers: Headers = [("\ud800", b"x")]
    record = PlainRecord("t", 0, 1, b'"u"', headers=headers)
    for text in (
        "distinct_id: '${ $headers | keys[0] }'",
        "tenant_id: '${ $headers | keys[0] }'",
        "idempotency_key: '${ $headers | keys[0] }'",
        "properties: {p: '${ $headers }'}",
        "properties: {p: 'x${ $headers | keys[0] }'}",
    ):
        (fault,) = mapper(text)(record)
        assert isinstance(fault, Fault)
        assert fault.code in {"bad_text", "expression_failed"}
