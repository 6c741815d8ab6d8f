"""What rules do with records: when, for_each, final, unmatched, on_error, max_age, variables."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.flow import Event, Fault, MappingContext, Stage
from bridge.rules.read.load import load_texts
from tests.rules.given import (
    ENV,
    NOON,
    body,
    compiled,
    event_of,
    fault_of,
    held,
    load,
    mapper,
    mapping,
    properties_of,
    record,
    rules,
    tombstone,
)


def outline(made: Any) -> list[str]:
    """List what a record became: `rule>recipient`, or `rule!code[item]`."""
    return [
        f"{one.rule}>{one.recipient}" if isinstance(one, Event) else f"{one.rule}!{one.code}[{one.item}]"
        for one in made
    ]


@pytest.mark.parametrize(("when", "fires"), [("true", True), ("false", False), ("null", False), ("empty", False)])
def test_when(when: str, fires: bool) -> None:
    """Decision 12: true fires; false, null and nothing do not."""
    assert bool(mapper(f"when: '{when}'")(record({}))) is fires


@pytest.mark.parametrize("when", ["0", '""', "[]", "{}", ".items | length", '"true"'])
def test_when_of_another_type(when: str) -> None:
    """Decision 12: any other type is that rule's mapping error, since jq holds 0 and "" true."""
    assert fault_of(mapper(f"when: '{when}'")(record({"items": []}))).code == "when_type"


def test_when_yields_one_value() -> None:
    """Decision 12: two outputs are an error that names any and all."""
    fault = fault_of(mapper("when: .a[] == 1")(record({"a": [1, 2]})))
    assert fault.code == "several_outputs"
    assert "any(" in fault.message


def test_an_error_in_when_is_never_no_match() -> None:
    """Decision 12: an error in `when` is that rule's fault; the other rules go on, and the record is not unmatched."""
    make = mapper("name: a\nwhen: .x.y == 1", "name: b\nwhen: .z == 1", head="topics: {t: {unmatched: dead_letter}}")
    assert outline(make(record({"x": 5, "z": 1}))) == ["a!expression_failed[None]", "b>u1"]
    assert outline(make(record({"x": 5}))) == ["a!expression_failed[None]"]


def test_when_runs_once_before_for_each() -> None:
    """Decision 12: `when` sees the record, not the items, and its error is one fault however many items there are."""
    make = mapper("when: .a == 1\nfor_each: .b[]\ndistinct_id: ${ $item }")
    assert outline(make(record({"a": 1, "b": ["x", "y"]}))) == ["r0>x", "r0>y"]
    assert not make(record({"a": 2, "b": 5}))
    assert outline(mapper("when: .a | error\nfor_each: .b[]")(record({"a": 1, "b": [1, 2]}))) == [
        "r0!expression_failed[None]"
    ]


def test_rules_and_items_are_independent() -> None:
    """Decision 13: what one rule or item makes is sent though another fails; a fault names the rule and the item."""
    make = mapper("name: a\nfor_each: .to[]\ndistinct_id: ${ $item.id }", "name: b")
    made = make(record({"to": [{"id": "x"}, {"id": None}, 5, {"id": "y"}]}))
    assert outline(made) == ["a>x", "a!null[1]", "a!expression_failed[2]", "a>y", "b>u1"]


def test_for_each_without_output_is_filtered() -> None:
    """Decision 13: matched, nothing to send: filtered, and not unmatched."""
    make = mapper("for_each: .to[]", head="topics: {t: {unmatched: dead_letter}}")
    assert not make(record({"to": []}))


def test_for_each_over_a_list_is_an_error() -> None:
    """Decision 13: an output that is a list is an error that says how to write it."""
    fault = fault_of(mapper("for_each: .to")(record({"to": [1]})))
    assert (fault.code, fault.item) == ("fan_out_list", None)
    assert "[]" in fault.message


def test_fan_out_is_bounded() -> None:
    """Decision 13: at most `max_fan_out` items, 1,000 unless a rule says otherwise."""
    make = mapper("for_each: .to[]\ndistinct_id: ${ $index }")
    assert len(make(record({"to": list(range(1000))}))) == 1000
    fault = fault_of(make(record({"to": list(range(1001))})))
    assert fault.code == "fan_out_too_large"
    assert "1001 items" in fault.message
    assert fault_of(mapper("for_each: .to[]\nmax_fan_out: 2")(record({"to": [1, 2, 3]}))).code == "fan_out_too_large"


def test_final() -> None:
    """Decision 14: `final` stops later rules of the same file once `when` was true, whatever came of it."""
    make = mapper("name: a\nwhen: .a\nfinal: true\ndistinct_id: ${ .id }", "name: b")
    assert outline(make(record({"a": True, "id": "x"}))) == ["a>x"]
    assert outline(make(record({"a": True}))) == ["a!null[None]"]
    assert outline(make(record({"a": False}))) == ["b>u1"]
    assert outline(make(record({"a": 1}))) == ["a!when_type[None]", "b>u1"]


def test_final_stops_only_its_own_file() -> None:
    """Decision 5: files never affect each other: the rules of another file still see the record."""
    from bridge.rules.read.load import load_texts

    files = [("a.yaml", rules("name: a\nfinal: true").encode()), ("b.yaml", rules("name: b").encode())]
    made = compiled(load_texts(files)).mapper("t")(record({}))
    assert outline(made) == ["a>u1", "b>u1"]


def test_two_files_may_read_one_topic_differently() -> None:
    """Decision 5: each file's rules see the record as their own file reads it; what one cannot read is one fault."""
    first = rules("name: a\nproperties: {p: '${ . }'}", head="topics: {t: {decode: string, unmatched: dead_letter}}")
    files = [("a.yaml", first.encode()), ("b.yaml", rules("name: b\nwhen: .x == 1").encode())]
    loaded = load_texts(files)
    assert [finding.code for finding in loaded.findings] == ["R035"]
    made_of = held(loaded.rules).mapper("t")
    assert outline(made_of(record({"x": 1}))) == ["a>u1", "b>u1"]
    assert outline(made_of(record(raw=b"text"))) == ["a>u1", "None!not_json[None]"]
    assert outline(made_of(record(raw=b""))) == ["None!empty_value[None]"]
    assert [each.files for each in made_of(record(raw=b"text")) if isinstance(each, Fault)] == [("b.yaml",)]
    assert [each.files for each in made_of(record(raw=b"")) if isinstance(each, Fault)] == [("a.yaml", "b.yaml")]
    alone = held(load_texts(files[1:]).rules).mapper("t")
    assert [each.files for each in alone(record(raw=b"text")) if isinstance(each, Fault)] == [()]


def test_unmatched() -> None:
    """Decision 14: `unmatched` is per topic: filtered, or kept as a dead letter of no rule."""
    text = rules("topics: [t, u]\nwhen: .a == 1", head="topics: {t: {unmatched: dead_letter}, u: {unmatched: skip}}")
    made_of = compiled(load(text))
    fault = fault_of(made_of.mapper("t")(record({"a": 2})))
    assert (fault.rule, fault.stage, fault.code, fault.on_error) == (None, Stage.UNMATCHED, "unmatched", "dead_letter")
    assert not made_of.mapper("u")(record({"a": 2}))
    assert not made_of.mapper("nobody")(record({"a": 2}))


@pytest.mark.parametrize("on_error", ["dead_letter", "skip", "halt"])
def test_on_error(on_error: str) -> None:
    """Decision 14: a fault carries what its rule wants done."""
    assert fault_of(mapper(f"distinct_id: ${{ .x }}\non_error: {on_error}")(record({}))).on_error == on_error
    assert fault_of(mapper("distinct_id: ${ .x }")(record({}))).on_error == "dead_letter"


def test_a_rule_that_is_switched_off() -> None:
    """Decision 16: `enabled: false` switches a rule off."""
    made_of = mapping("name: a\nenabled: false", "name: b")
    assert outline(made_of.mapper("t")(record({}))) == ["b>u1"]
    assert [rule.name for rule in made_of.rules] == ["b"]


def test_duplicate_keys() -> None:
    """Decision 17: a custom key equal for two events of one record is a mapping error of the later one."""
    make = mapper(
        "name: a\nfor_each: .to[]\ndistinct_id: ${ $item }\nidempotency_key: ${ $item }",
        "name: b\nidempotency_key: ${ .k }",
    )
    assert outline(make(record({"to": ["x", "y", "x"], "k": "z"}))) == ["a>x", "a>y", "a!duplicate_key[2]", "b>u1"]
    assert outline(make(record({"to": ["x"], "k": "x"}))) == ["a>x", "b!duplicate_key[None]"]
    assert outline(make(record({"to": ["x"], "k": "z"}))) == ["a>x", "b>u1"]


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("5s", 5_000), ("2m", 120_000), ("24h", 86_400_000), ("1d", 86_400_000)]
)
def test_max_age(text: str, milliseconds: int) -> None:
    """Decision 18: `max_age` counts from the record's timestamp; a record without one never expires."""
    make = mapper(f"max_age: {text}")
    assert make(record({}))[0].expires == NOON + milliseconds  # type: ignore[union-attr]
    assert make(record({}, timestamp=-1))[0].expires is None  # type: ignore[union-attr]
    assert mapper("")(record({}))[0].expires is None  # type: ignore[union-attr]


def test_max_age_for_every_rule() -> None:
    """Decision 18: the settings' `max_age` holds for rules that set none."""
    context = MappingContext(ENV, "n", max_age_ms=1000)
    make = mapper("name: a", "name: b\nmax_age: 5s", context=context)
    assert [event.expires for event in make(record({}))] == [NOON + 1000, NOON + 5000]  # type: ignore[union-attr]


def test_variables() -> None:
    """The variables: key and headers as text, the coordinates, the timestamp in milliseconds."""
    text = "properties: '${ {key: $key, h: $headers, t: $topic, p: $partition, o: $offset, ts: $timestamp, gone: $tombstone} }'"
    headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("A", b"2"), ("a", b"3"), ("bin", b"\xff"), ("none", None)]
    made = properties_of(mapper(text)(record({}, key="schlüssel".encode(), headers=headers)))
    assert made == {
        "key": "schlüssel",
        "h": {"a": "3", "A": "2", "bin": "/w==", "none": None},
        "t": "t",
        "p": 3,
        "o": 7,
        "ts": NOON,
        "gone": False,
    }
    bare = properties_of(mapper(text)(record({}, key=b"\xff", timestamp=-1)))
    assert (bare["key"], bare["h"], bare["ts"]) == ("/w==", {}, None)
    assert properties_of(mapper(text)(record({})))["key"] is None


def test_key_json() -> None:
    """`key: json` decodes the key; one that is not JSON cannot be decoded."""
    make = mapper("distinct_id: ${ $key.id }", head="topics: {t: {key: json}}")
    assert event_of(make(record({}, key=b'{"id": "u7"}')))["distinct_id"] == "u7"
    fault = fault_of(make(record({}, key=b"{secret")))
    assert (fault.code, fault.stage, fault.rule) == ("key_not_json", Stage.DECODE, None)
    assert "secret" not in fault.message
    debezium = mapper("distinct_id: ${ $key.id }", head="topics: {t: {key: json, decode: debezium}}")
    key = b'{"schema": {}, "payload": {"id": "u8"}}'
    assert event_of(debezium(record({"op": "c"}, key=key)))["distinct_id"] == "u8"


def test_item_and_index() -> None:
    """`$item` is each output of `for_each`, `$index` its number; `.` stays the record."""
    make = mapper(
        "for_each: .to[]\ndistinct_id: ${ $item.id }\nproperties: {number: '${ $index }', all: '${ .to | length }'}"
    )
    made = make(record({"to": [{"id": "x"}, {"id": "y"}]}))
    assert [body(event)["properties"] for event in made] == [{"number": 0, "all": 2}, {"number": 1, "all": 2}]


def test_defs() -> None:
    """`defs` may use the record's variables, and functions of `defs.jq`; both are seen by every expression."""
    head = 'defs: |\n  def greet: hello + " " + .name + $topic;'
    made_of = mapping("when: .name | length > 0\nproperties: {p: '${ greet }'}", head=head, shared='def hello: "Hi";')
    assert properties_of(made_of.mapper("t")(record({"name": "Ada "}))) == {"p": "Hi Ada t"}


def test_topics_by_pattern() -> None:
    """A topic is named, or matched whole by `/regex/`; a named entry of `topics` is the closer one."""
    head = "topics: {'/or.*/': {decode: string}, orders.v2: {decode: json}}"
    made_of = mapping("topics: ['/orders\\.v[0-9]/']\nproperties: {p: '${ . }'}", head=head)
    assert properties_of(made_of.mapper("orders.v1")(record(raw=b"7"))) == {"p": "7"}
    assert properties_of(made_of.mapper("orders.v2")(record(raw=b"7"))) == {"p": 7}
    assert not made_of.mapper("orders.v10")(record(raw=b"7"))
    assert not made_of.mapper("x.orders.v1")(record(raw=b"7"))


@pytest.mark.parametrize("patterns", [("u1",), ("*@example.com", "u*"), ("/u[0-9]/",)])
def test_only_recipients(patterns: tuple[str, ...]) -> None:
    """With `only_recipients` events to anybody else are dropped, each as a fault that ends as filtered."""
    make = mapper("distinct_id: ${ .id }", context=MappingContext(ENV, "n", only_recipients=patterns))
    assert outline(make(record({"id": "u1"}))) == ["r0>u1"]
    fault = fault_of(make(record({"id": "somebody"})))
    assert (fault.on_error, fault.code) == ("drop", "recipient_not_allowed")
    assert "somebody" not in fault.message


def test_an_event_over_the_limit() -> None:
    """An event over the settings' size is a fault of the size stage, with both figures."""
    make = mapper("properties: {p: '${ .p }'}\non_error: skip", context=MappingContext(ENV, "n", max_event_bytes=1000))
    assert event_of(make(record({"p": "x" * 600})))
    fault = fault_of(make(record({"p": "x" * 1000})))
    assert (fault.stage, fault.code, fault.on_error) == (Stage.SIZE, "event_too_large", "skip")
    assert "limit is 1000" in fault.message


def test_what_a_rule_is_to_the_rest() -> None:
    """Each rule's name, topics and event names are known from the start, for metrics."""
    made_of = mapping("name: a\nevent: e${ .n }\nevents: [e1, e2]", "name: b\ntopics: [u, /v.*/]")
    assert [tuple(vars_of) for vars_of in ((r.name, r.topics, r.events) for r in made_of.rules)] == [
        ("a", ("t",), ("e1", "e2")),
        ("b", ("u", "/v.*/"), ("told",)),
    ]


def test_the_same_record_gives_the_same_bytes() -> None:
    """Two compilations of the same rules make the same bytes of the same record."""
    text = "properties: '${ . }'"
    value = {"b": 1, "a": [1.0, None, {"z": 1, "y": 2}]}
    assert mapper(text)(record(value))[0] == mapper(text)(record(value))[0]


def test_filtered_costs_nothing() -> None:
    """What is filtered is a place in the run, and no object."""
    map_run = mapping("when: .a == 1").mapping.for_topic("t")
    run = map_run([record({"a": 2}), tombstone(), record({"a": 3})], [7, 8, 9], 100, 0)
    assert (run.records, list(run.unwanted), run.bodies, run.faults, run.events()) == (3, [0, 1, 2], [], (), [])


def test_faults_quote_no_payload() -> None:
    """Messages name the rule's expression and its place, never what the record holds."""
    make = mapper(
        "properties: {p: '${ .secret | tonumber }'}", "when: .secret + 1 == 2", "distinct_id: ${ error(.secret) }"
    )
    for fault in make(record({"secret": "hunter2"})):
        assert isinstance(fault, Fault)
        assert "hunter2" not in fault.message
        assert "a.yaml:" in fault.message
