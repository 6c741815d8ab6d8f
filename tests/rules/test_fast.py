"""The generated function of a rule against the general path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from bridge.flow import Event, MappingContext, PlainRecord
from bridge.jsontext import dumps, loads
from bridge.rules.map.fast import FanOut, Straight, fast_rule
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.map.scope import VARIABLES, args_maker
from bridge.rules.read.load import load_rules, load_texts
from bridge.suprsend.event import event_body
from tests.rules.given import CONTEXT, ENV, NOON, mapper, record, rules
from tests.rules.paths import CONFIG_RULES

BODIES = [
    'when: .type == "a" and .n > 0\nproperties: {x: \'${ .n / 100 }\', y0: \'${ .s // "-" }\', z: "${ .s } ${ .n }!"}',
    "when: .n\nevent: e${ .s }\nevents: [ea, eb, e1]\ndistinct_id: ${ .id }",
    "when: .a[]?\ndistinct_id: ${ .id // .n }",
    "distinct_id: ${ .id }-${ .n }\ntenant_id: ${ .s // empty }\nidempotency_key: ${ .id // empty }",
    "tenant_id: t-${ .s }\nidempotency_key: k\u00e9y-${ .n }\nmax_age: 5s",
    "properties: ${ . }",
    "properties: '${ {a: .n, b: .o, c: [.a[]? | {id, n}], d: (.n / 3), a: .s, e: nan} }'",
    "properties: '${ {a: .n, b: .o, s, c: [.a[]? | {id: .id?}], d: (.n / 3)} }'",
    "properties: '${ {(.s): .n} }'",
    "properties: '${ {a: .a[]?} }'",
    "properties: ${ . }\ndrop_nulls: true\nattachments: ${ .a }",
    "properties: {p: '${ .o }', q: {r: ['${ .a[0]? }', '${ .s }', 2.0], s: '${ [.a[]? | {id, n}] }'}}\ndrop_nulls: true",
    "properties: {p: '${ .o }', q: {r: ['${ .a[0]? }', '${ .s }', 2.0, 1e-7], s: '${ [.a[]? | {id, n}] }'}, t: true}",
    "properties: {p: '${ .a[]? }', q: '${ nan }', r: '${ [infinite] }'}",
    "properties: {p: '${ .n * 1e300 * 1e300 }', q: '${ [.n / 3, .n * 0.1] }'}",
    "for_each: .a[]?\ndistinct_id: ${ $item.id? // $item }\nproperties: {i: '${ $index }', all: '${ .a | length }'}",
    "for_each: .a\nmax_fan_out: 2\ndistinct_id: ${ .id }",
    "when: .type != null\nfor_each: .a[]?, .o[]?\nmax_fan_out: 3\ndistinct_id: ${ .id }\nidempotency_key: ${ $item | tojson }",
    "attachments:\n  - {url: '${ .s // empty }', filename: 'f-${ .n }', ignore_if_error: '${ .b }'}\n  - url: https://x.example/a",
    "properties: {k: '${ $key }', h: '${ $headers }', o: '${ [$offset, $partition, $topic, $timestamp] }'}",
    'when: $headers.a == "1" or $tombstone\ndistinct_id: ${ $key }',
    "properties: {l: '${ [.a[]? | {id, n, x: {y: .n, u: [.s, .n]}}] }', m: '${ [.a[]?] | map({id, n: ((.n // 1) / 3)}) }'}",
    "properties: '${ {l: [.a[]? | select(.id) | {n, o: {p: (.n // 1), q: .}}], o: {b: .b, n: (.n * 0.5)}} }'",
    'when: .type == "a" and (.n > 0 or .b) and .o\nproperties: {o: "${ .o }", n: "${ .n }"}',
    "distinct_id: ${ .o.id }\ntenant_id: ${ .o.s }\nidempotency_key: ${ .o.n }\nproperties: {i: '${ .o.b }'}",
    "distinct_id: ' u2 '\ntenant_id: acme\nproperties: {p: [1, {q: null}], e: {}, f: []}",
]
DEFAULTS = "defaults:\n  properties: {d: 1, p: '${ .n }', q: 5}\n"
COMPUTED_DEFAULTS = "defaults:\n  properties: '${ {d: .n, p: .s} }'\n"

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([0.5, 2.0, -0.0, 1e-7, 1e17, 2**63, 2**64 - 1, -(2**63)]),
    st.sampled_from(["", " ", "a", "b", "1", "u 1", "https://x.example/f.pdf", "é", "v1.0 e-mail null +1"]),
)
NAMES = st.sampled_from(["id", "n", "s", "a", "b", "o", "type", "url", "$x", "ss_y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
RECORDS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["a", "b", None]), "id": SCALARS, "n": SCALARS, "s": SCALARS},
        optional={"a": VALUES, "b": st.booleans(), "o": VALUES},
    ),
)
CONTEXTS = [CONTEXT, MappingContext(ENV, "n", max_event_bytes=400, only_recipients=("u*", "1*", "a"), max_age_ms=10)]


def both(text: str, context: MappingContext) -> tuple[Any, Any]:
    ruleset = load_texts([("a.yaml", text.encode())]).rules
    assert len(ruleset.rules) == text.count("- name: ")
    return tuple(compile_mapping(ruleset, context, generate=generate).mapper("t") for generate in (True, False))  # type: ignore[return-value]


PAIRS = [
    both(rules(*bodies, head=head), context)
    for context in CONTEXTS
    for head, bodies in (("", BODIES), (DEFAULTS, BODIES), (COMPUTED_DEFAULTS, BODIES))
]


@settings(max_examples=250, deadline=None)
@example({"type": "a", "id": "u1", "n": 2000, "s": "x", "a": [{"id": "u1", "n": 1.0}, "u2"], "b": True}, 0, b"k", NOON)
@example({"type": "a", "id": "u1", "n": 1, "s": None, "a": [1, 2, 3, 4]}, 0, None, -1)
@given(RECORDS, st.integers(0, len(PAIRS) - 1), st.sampled_from([None, b"u1", b"\xff"]), st.sampled_from([-1, 5, NOON]))
def test_both_paths_make_the_same(value: Any, number: int, key: bytes | None, timestamp: int) -> None:
    """The generated functions and the general path make the same events and faults, byte for byte, of any record."""
    quick, general = PAIRS[number]
    one = PlainRecord("t", 1, 2, dumps(value), key=key, timestamp=timestamp, headers=[("a", b"1")])
    assert list(quick(one)) == list(general(one))


ALONE = [both(rules(body), context) for context in CONTEXTS for body in BODIES]


@settings(max_examples=60, deadline=None)
@example({"type": "a", "id": "u1", "n": 2000, "s": "x", "a": [{"id": "u1", "n": 1.5}, {"n": 1e300}]}, b"k", NOON)
@example(None, None, NOON)
@given(RECORDS, st.sampled_from([None, b"u1"]), st.sampled_from([-1, NOON]))
def test_a_rule_that_is_alone_makes_the_same(value: Any, key: bytes | None, timestamp: int) -> None:
    """A topic of one rule is mapped without a look-up: the same events and faults, of tombstones and broken JSON too."""
    for body in (dumps(value), b"{", b"", None):
        one = PlainRecord("t", 1, 2**62, body, key=key, timestamp=timestamp, headers=[("a", b"1")])
        for quick, general in ALONE:
            assert list(quick(one)) == list(general(one))


def test_the_rules_above_are_generated() -> None:
    """Every rule compared here has a generated function, so that the comparison compares something."""
    for head in ("", DEFAULTS, COMPUTED_DEFAULTS):
        loaded = load_texts([("a.yaml", rules(*BODIES, head=head).encode())])
        for rule in loaded.rules.rules:
            assert fast_rule(rule, "t", CONTEXT, lambda _recipient: True) is not None, rule


ORDINARY = {
    "type": "a",
    "id": "u1",
    "n": 2000,
    "s": "https://x.example/f.pdf",
    "a": [{"id": "u1", "n": 1.0, "url": "https://x.example/a"}, {"id": "u2", "url": "https://x.example/b"}],
    "b": True,
    "o": {"x": [1, 2.0]},
}
RARE = {
    "properties: '${ {a: .a[]?}",
    "properties: '${ {a: .n, b: .o, c",
    "when: .n",
    "when: .a[]?",
    "properties: ${ . }\ndrop_nulls",
    "properties: {p: '${ .a[]? }'",
    "properties: {p: '${ .n * 1e300",
    "distinct_id: ${ .o.id }",
}


@pytest.mark.parametrize("text", [text for text in BODIES if not any(text.startswith(rare) for rare in RARE)])
def test_ordinary_records_never_need_the_general_path(text: str) -> None:
    """What rules are made for is mapped by the generated functions alone, sentinels for nothing included."""
    (rule,) = load_texts([("a.yaml", rules(text).encode())]).rules.rules
    fast = fast_rule(rule, "t", CONTEXT, lambda _recipient: True)
    one = PlainRecord("t", 1, 2, dumps(ORDINARY), key=b"u1", timestamp=NOON, headers=[("a", b"1")])
    args = args_maker(VARIABLES, key_json=False, unwrap_key=False)(one)
    if isinstance(fast, FanOut):
        items = fast.items(ORDINARY, args)
        assert items is not None
        assert all(fast.make(ORDINARY, args, one, item, n, {}).name == "told" for n, item in enumerate(items))
    else:
        assert fast is not None
        assert isinstance(fast.make(ORDINARY, args, one), Event)


def test_the_shop_never_needs_the_general_path() -> None:
    """Ordinary records of the demo are mapped by the generated functions alone."""
    value = {
        "id": "o1",
        "type": "order.placed",
        "total": 2000,
        "tenant": "acme",
        "customer": {"id": 5, "first_name": "Ada", "last_name": "Lovelace"},
        "items": [{"sku": "a", "qty": 2, "price": 1.0}],
        "method": "sepa",
        "invoice_url": "https://shop.example/i.pdf",
    }
    rule = load_rules(CONFIG_RULES).rules.rules[0]
    fast = fast_rule(rule, "orders.v1", CONTEXT, lambda _recipient: True)
    one = record(value, topic="orders.v1")
    assert isinstance(fast, Straight)
    event = fast.make(value, (), one)
    assert [event] == list(
        compile_mapping(load_rules(CONFIG_RULES).rules, CONTEXT, generate=False).mapper("orders.v1")(one)
    )


def test_the_layout_is_that_of_event_body() -> None:
    """The generated body is what `event_body`, the one home of the layout, makes of the same parts."""
    for tenant in (None, "acme"):
        made = mapper("properties: {p: '${ .p }'}\n" + ("" if tenant is None else f"tenant_id: {tenant}"))(
            record({"p": 1})
        )
        event = made[0]
        assert isinstance(event, Event)
        assert event.body == event_body(
            insert_id=event.key,
            time_ms=NOON,
            name="told",
            env=ENV,
            distinct_id="u1",
            properties={"p": 1},
            key=event.key,
            tenant=tenant,
        )


def test_no_result_depends_on_the_records_before() -> None:
    """A record that costs half the budget gives the same, however many such records came before it."""
    make = mapper("properties: {p: '${ [limit(.n; repeat(1))] | length }'}")
    results = [make(record({"n": 60_000})) for _ in range(12)]
    assert all(result == results[0] for result in results)
    assert loads(results[0][0].body)["properties"] == {"p": 60_000}  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [{"to": ["a", "b", "a"]}, {"to": []}, {"to": "x"}, {"to": [["a"]]}])
def test_fan_out_by_both(value: Any) -> None:
    """Fan-out numbers equal recipients alike in both paths."""
    quick, general = both(rules("for_each: .to[]\ndistinct_id: ${ $item }"), CONTEXT)
    assert list(quick(record(value))) == list(general(record(value)))
