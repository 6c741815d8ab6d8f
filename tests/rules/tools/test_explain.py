"""What a record becomes, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from bridge.findings import visible
from bridge.flow import UNREADABLE, Event, Record
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.read.load import load_rules
from bridge.rules.tools.explain import Explained, Explainer
from bridge.rules.tools.explain_text import Summary, as_json, as_lines
from bridge.rules.tools.inventory import inventory
from tests.rules.given import CONTEXT, load, record, rules, tombstone
from tests.rules.paths import CONFIG_RULES


def explained(text: str, given_: Record) -> Explained:
    loaded = load(text)
    assert not loaded.findings
    return Explainer(loaded.rules, "t", CONTEXT).explain(given_)


def only_rule(text: str, value: Any) -> Any:
    (file,) = explained(text, record(value)).files
    (rule,) = file.rules
    return rule


def test_each_part_of_when_has_its_value() -> None:
    """`when` is shown part by part, with what each comparison looked at."""
    seen = only_rule(rules("when: .a == 1 and ((.b | length) > 2 or .c)"), {"a": 1, "b": [1], "c": None})
    assert seen.state == "did not fire"
    assert [(one.text, one.value, one.operand) for one in seen.conditions] == [
        (".a == 1", True, (".a", 1)),
        ("(.b | length) > 2", False, (".b | length", 1)),
        (".c", None, None),
    ]


def test_each_value_says_what_it_came_from() -> None:
    """Every part of an event is there with its expression: a value, null, nothing, or an error in jq's own words."""
    body = "properties: {a: '${ .x }', b: '${ .y // empty }', c: '${ .z | fromjson }', d: web, e: 'n ${ .x }'}"
    (item,) = only_rule(rules(body), {"x": None, "z": "{"}).items
    parts = {part.label: part for part in item.parts}
    assert parts["properties.a"][1:4] == ("${ .x }", "null", None)
    assert parts["properties.b"].outcome == "nothing"
    assert parts["properties.c"].outcome == "error"
    assert "while parsing" in (parts["properties.c"].error or "")
    assert parts["properties.d"][1:4] == ("web", "value", "web")
    assert parts["properties.e"].outcome == "error"
    assert item.result.code == "expression_failed"


def test_items_of_a_fan_out() -> None:
    """Each item has its own parts and its own event or error."""
    seen = only_rule(rules("for_each: .to[]\ndistinct_id: ${ $item.id }"), {"to": [{"id": "u1"}, {"id": None}]})
    assert [(item.number, item.item) for item in seen.items] == [(0, {"id": "u1"}), (1, {"id": None})]
    assert [type(item.result).__name__ for item in seen.items] == ["Event", "Fault"]
    whole = only_rule(rules("for_each: .to\ndistinct_id: ${ $item.id }"), {"to": [[1]]})
    assert (whole.fault.code, whole.items) == ("fan_out_list", ())


def test_why_a_rule_was_not_reached() -> None:
    """A final rule before it, a tombstone, a switch: each is said."""
    text = rules("name: a\nfinal: true\nwhen: .x", "name: b", "name: c\nenabled: false")
    (file,) = explained(text, record({"x": True})).files
    assert [(seen.state, seen.why) for seen in file.rules] == [
        ("fired", None),
        ("not reached", "the rule a before it is final"),
        ("switched off", "enabled: false"),
    ]
    (file,) = explained(text, tombstone()).files
    assert "tombstone" in (file.rules[0].why or "")


def test_a_record_that_cannot_be_read() -> None:
    """The decoder's error stands where the rules would."""
    (file,) = explained(rules(""), record(raw=b"{")).files
    assert file.fault is not None
    assert file.fault.code == "not_json"
    assert any("not_json" in line for line in as_lines(explained(rules(""), record(raw=b"{"))))


def test_a_topic_without_rules() -> None:
    """It is said that no rule is for it."""
    loaded = load(rules("topics: [other]"))
    lines = as_lines(Explainer(loaded.rules, "t", CONTEXT).explain(record({})))
    assert any("no rule is for the topic t" in line for line in lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abxyto"), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_what_is_explained_is_what_is_mapped(value: Any) -> None:
    """For any record the events and errors shown are those of the mapper, and the text and JSON can be printed."""
    text = rules(
        "name: a\nwhen: .a and .b != 1\nproperties: {x: '${ .x }', y: 'y ${ .y }'}",
        "name: b\nfor_each: .to[]\ndistinct_id: ${ $item.x }",
        "name: c\nwhen: .x > 1\nfinal: true\nproperties: ${ {a} }",
        "name: d",
    )
    loaded = load(text)
    given_ = record(raw=json.dumps(value).encode("utf-8", "surrogatepass"))
    seen = Explainer(loaded.rules, "t", CONTEXT).explain(given_)
    assert list(seen.results) == list(compile_mapping(loaded.rules, CONTEXT).mapper("t")(given_))
    shown = [item.result for file in seen.files for rule in file.rules for item in rule.items]
    assert [one for one in shown if isinstance(one, Event)] == [one for one in seen.results if isinstance(one, Event)]
    json.dumps(as_json(seen))
    assert all(visible(line) == line for line in as_lines(seen))


def test_the_summary_shows_a_renamed_field() -> None:
    """Over many records: how often each value was there, null, nothing or an error."""
    body = "when: .k\nproperties: {a: '${ .a }', b: '${ .b // empty }', c: 'c ${ .c }'}"
    loaded = load(rules(f"name: one\n{body}", "name: two\nwhen: .k\nproperties: '${ {a, e: 1} }'"))
    explainer = Explainer(loaded.rules, "t", CONTEXT)
    summary = Summary(["one", "two"])
    for value in ({"k": True, "a": 1, "c": 1}, {"k": True, "a": None, "b": 2}, {"k": False}):
        summary.add(explainer.explain(record(value)))
    lines = [" ".join(line.split()) for line in summary.lines()]
    assert "3 records, 1 filtered" in lines
    assert "one: fired for 2 of 3 records, 1 events, 1 text_null" in lines
    assert "properties.a 1 1 0 0" in lines
    assert "properties.b 1 0 1 0" in lines
    assert "properties.c 1 0 0 1" in lines
    assert "properties.e 2 0 0 0" in lines
    assert not any("never there" in line for line in lines)


def test_the_inventory_of_the_shop() -> None:
    """Every event, with its rule and its properties' types where they are known."""
    made = {one.event: one for one in inventory(load_rules(CONFIG_RULES).rules)}
    assert sorted(made) == [
        "order_cancelled",
        "order_placed",
        "order_shipped",
        "payment_failed",
        "payment_succeeded",
        "user_mentioned",
    ]
    placed = {one.name: one.kind for one in made["order_placed"].properties}
    assert placed == {
        "order_id": "any",
        "amount": "number",
        "currency": "any but null",
        "customer": "string",
        "items": "array",
        "paid_by": "any but null",
        "channel": "string",
    }
    assert [one.name for one in made["order_shipped"].properties if one.optional] == ["tracking_url"]
    assert made["order_placed"].attachments
    assert made["order_placed"].as_json()["properties"]["amount"]["types"] == ["number"]


@pytest.mark.parametrize(
    ("properties", "names", "more"),
    [
        ("'${ {a: 1, b: \"x\"} }'", ["a", "b"], False),
        ("'${ .x | {a, (.k): 1} }'", ["a"], True),
        ("${ order_props }", ["id", "sum"], False),
        ("'${ . + {a: 1} }'", [], True),
    ],
)
def test_the_inventory_of_computed_properties(properties: str, names: list[str], more: bool) -> None:
    """Keys of an object that an expression makes are known where they are written out, through functions too."""
    head = "defs: 'def order_props: {id, sum: (.a * 2)};'\ndefaults: {properties: {gone: 1}}"
    loaded = load(rules(f"properties: {properties}", head=head))
    (made,) = inventory(loaded.rules)
    assert [one.name for one in made.properties] == ["gone", *names]
    assert made.more is more


def test_defaults_that_are_taken_away() -> None:
    """A property that is always left out is no part of the contract."""
    loaded = load(rules("properties: {a: '${ empty }'}", head="defaults: {properties: {a: 1, b: 2}}"))
    assert [one.name for one in inventory(loaded.rules)[0].properties] == ["b"]


def test_headers_that_cannot_be_read_are_shown_as_they_are_mapped() -> None:
    """Where no rule asks for them the event is explained; where one does, why there is none."""
    strange = record({"a": 1}, headers=UNREADABLE)
    seen = explained(rules("properties: {a: '${ .a }'}"), strange)
    assert seen.files[0].fault is None
    assert seen.files[0].rules[0].state == "fired"
    seen = explained(rules("properties: {h: '${ $headers | length }'}"), strange)
    assert seen.files[0].fault is not None
    assert seen.files[0].fault.code == "headers_unreadable"
