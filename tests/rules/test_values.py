"""Values of a rule: numbers, text, nothing and null, lengths, attachments, computed names."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.rules.map.slow_path import NOTHING
from tests.rules.given import CONTEXT, body, event_of, fault_of, load, mapper, only, properties_of, record, rules


def property_of(expression: str, value: Any) -> Any:
    return properties_of(mapper(f"properties: {{p: {expression!r}}}")(record(value))).get("p", NOTHING)


def raw_property(expression: str, raw: bytes) -> bytes:
    made = mapper(f"properties: {{p: {expression!r}}}")(record(raw=raw))[0].body  # type: ignore[union-attr]
    start = made.index(b'"properties":{"p":') + len(b'"properties":{"p":')
    return made[start : made.index(b'},"$idempotency_key"')]


@pytest.mark.parametrize(
    ("expression", "raw", "printed"),
    [
        ("${ . }", b"9007199254740993", b"9007199254740993"),
        ("${ . + 1 }", b"9007199254740993", b"9007199254740994"),
        ("${ . }", b"-9223372036854775808", b"-9223372036854775808"),
        ("${ . }", b"18446744073709551615", b"18446744073709551615"),
        ("${ . }", b"20.0", b"20"),
        ("${ . / 100 }", b"2000", b"20"),
        ("${ . / 100 }", b"1999", b"19.99"),
        ("${ . }", b"1.50", b"1.5"),
        ("${ . }", b"1e-7", b"1e-07"),
        ("${ . }", b"0.00001", b"1e-05"),
        ("${ . }", b"1e3", b"1000"),
        ("${ . }", b"1e17", b"100000000000000000"),
        ("${ [., {a: .}] }", b"7.0", b'[7,{"a":7}]'),
        ("${ . }", b'{"a":{"b":[2.0]}}', b'{"a":{"b":[2]}}'),
        ("${ . }", b'"v1.0"', b'"v1.0"'),
        ("${ . }", b'"1e-7 +x .0 null"', b'"1e-7 +x .0 null"'),
    ],
)
def test_numbers(expression: str, raw: bytes, printed: bytes) -> None:
    """Decision 6: integers of 64 bits are exact, whole results are integers, others print as libjq prints them."""
    assert raw_property(expression, raw) == printed


@pytest.mark.parametrize(
    "expression", ["nan", "infinite", "-infinite", "[nan]", "{a: {b: infinite}}", "[1e1000]", "[1e308 * 10]"]
)
def test_numbers_that_json_cannot_hold(expression: str) -> None:
    """Decision 6: NaN and infinity in an event are mapping errors, in a value and in text."""
    assert fault_of(mapper(f"properties: {{p: '${{ {expression} }}'}}")(record({}))).code == "not_finite"


@pytest.mark.parametrize("expression", ["nan", "infinite"])
def test_numbers_that_text_cannot_hold(expression: str) -> None:
    """Decision 6: NaN and infinity in mixed text are mapping errors too."""
    assert fault_of(mapper(f"properties: {{p: 'x ${{ {expression} }}'}}")(record({}))).code == "not_finite"


def test_depth() -> None:
    """Decision 6: properties nest at most 200 levels."""

    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    make = mapper("properties: {p: '${ . }'}")
    assert properties_of(make(record(nested(199))))
    for levels in (200, 240):
        assert fault_of(make(record(nested(levels)))).code == "event_too_deep"
    assert fault_of(make(record(raw=b"[" * 1000 + b"]" * 1000))).code in {"event_too_deep", "budget_exceeded"}


def test_a_fixed_number_beyond_64_bits_is_a_double() -> None:
    """Decision 6: beyond 64 bits a number written in the rules is a double, as one in a record."""
    made = mapper("properties: {p: 18446744073709551616}")(record({}))
    assert properties_of(made)["p"] == 2.0**64


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "Hi a!"), (5, "Hi 5!"), (2.0, "Hi 2!"), (1.5, "Hi 1.5!"), (True, "Hi true!"), ("", "Hi !")],
)
def test_text(value: Any, text: str) -> None:
    """Decision 7: in mixed text a string is itself, numbers and booleans print as jq prints them."""
    assert property_of("Hi ${ . }!", value) == text


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        (".a", "text_null"),
        ("empty", "text_nothing"),
        ("{}", "text_container"),
        ("[1]", "text_container"),
        ("1, 2", "several_outputs"),
    ],
)
def test_nobody_receives_hello_null(expression: str, code: str) -> None:
    """Decision 7: null, nothing, objects and arrays in mixed text are mapping errors."""
    fault = fault_of(mapper(f"properties: {{p: 'Hello ${{ {expression} }}'}}")(record({})))
    assert fault.code == code
    assert "properties.p (a.yaml:7:" in fault.message


def test_alone_keeps_the_type() -> None:
    """Decision 2: a lone `${ }` keeps the type of its result, in a block too; with text around it, it is text."""
    made = mapper("properties:\n  a: ${ .n }\n  b: |\n    ${ .n }\n  c: '${ .n } '\n  d: >-\n    ${ .n }")(
        record({"n": 1})
    )
    assert properties_of(made) == {"a": 1, "b": 1, "c": "1 ", "d": 1}


def test_empty_leaves_out_and_null_is_a_value() -> None:
    """Decision 8: in properties `empty` leaves a key or list element out, null stays."""
    text = "properties:\n  a: ${ empty }\n  b: ${ null }\n  c: [1, '${ empty }', '${ null }']\n  d: {e: '${ empty }', f: null}"
    assert properties_of(mapper(text)(record({}))) == {"b": None, "c": [1, None], "d": {"f": None}}


def test_drop_nulls() -> None:
    """Decision 8: `drop_nulls` drops keys of objects at any depth, never elements of lists."""
    value = {"a": None, "b": [None, {"c": None, "d": 1}], "e": {"f": None}}
    made = mapper("drop_nulls: true\nproperties: '${ . }'")(record(value))
    assert properties_of(made) == {"b": [None, {"d": 1}], "e": {}}


@pytest.mark.parametrize("field", ["tenant_id", "idempotency_key"])
def test_optional_fields(field: str) -> None:
    """Decision 8: `empty` leaves tenant_id and idempotency_key out; null, blank and other types are errors."""
    make = mapper(f"{field}: ${{ .v | if . == 0 then empty else . end }}")
    wire = "$idempotency_key" if field == "idempotency_key" else field
    left_out = event_of(make(record({"v": 0})))
    assert "tenant_id" not in left_out
    assert left_out["$idempotency_key"].startswith("k1:")
    assert event_of(make(record({"v": " acme "})))[wire] == "acme"
    assert event_of(make(record({"v": 42})))[wire] == "42"
    for value, code in (
        (None, "null"),
        ("", "blank"),
        ("  ", "blank"),
        (True, "wrong_type"),
        ([], "wrong_type"),
        (1.5, "wrong_type"),
    ):
        assert fault_of(make(record({"v": value}))).code == code


def test_distinct_id() -> None:
    """Decision 8: nothing, null and blank are errors; an integer becomes its decimal text; other types are errors."""
    make = mapper("distinct_id: ${ .v | if . == 0 then empty else . end }")
    good: list[tuple[Any, str]] = [(" u1 ", "u1"), (42, "42"), (7.0, "7"), (2**63, str(2**63)), (-1, "-1")]
    for value, text in good:
        made = make(record({"v": value}))
        assert event_of(made)["distinct_id"] == text
        assert made[0].recipient == text  # type: ignore[union-attr]
    wrong: list[tuple[Any, str]] = [
        (0, "nothing"),
        (None, "null"),
        (" ", "blank"),
        (1.5, "wrong_type"),
        (True, "wrong_type"),
        ({}, "wrong_type"),
    ]
    for value, code in wrong:
        assert fault_of(make(record({"v": value}))).code == code


def test_several_outputs() -> None:
    """Decision 8: two outputs where one is wanted are an error that gives the count."""
    fault = fault_of(mapper("distinct_id: ${ .a[] }")(record({"a": [1, 2, 3]})))
    assert fault.code == "several_outputs"
    assert "gave 3 values" in fault.message


def test_lengths_and_spaces() -> None:
    """Decision 9: spaces around texts are removed, then tenants are kept to 64, keys and ids to 255 characters."""
    make = mapper("tenant_id: ${ .t // empty }\nidempotency_key: ${ .k // empty }")
    assert event_of(make(record({"t": " " + "t" * 64 + " ", "k": "k" * 255 + "  "})))["tenant_id"] == "t" * 64
    assert fault_of(make(record({"t": "t" * 65}))).code == "too_long"
    assert fault_of(make(record({"k": "k" * 256}))).code == "too_long"
    make = mapper("distinct_id: ${ .d }")
    assert event_of(make(record({"d": " " + "é" * 255 + "\n"})))["distinct_id"] == "é" * 255
    fault = fault_of(make(record({"d": "d" * 256})))
    assert fault.code == "too_long"
    assert "256 characters; SuprSend takes at most 255" in fault.message


@pytest.mark.parametrize("name", ["$x", "ss_x", "SS_x", "Ss_", "$attachments"])
def test_reserved_properties(name: str) -> None:
    """Decision 9: `$…` and `ss_…` are refused at the first level of properties, and only there."""
    finding = only(load(rules(f"properties: {{{name!r}: 1}}")))
    assert finding.code == "R026"
    make = mapper("properties: '${ . }'")
    assert fault_of(make(record({name: 1}))).code == "property_name"
    assert properties_of(make(record({"a": {name: 1}}))) == {"a": {name: 1}}
    assert properties_of(mapper(f"properties: {{a: {{{name!r}: 1}}}}")(record({}))) == {"a": {name: 1}}


@pytest.mark.parametrize("name", ["$x", "ss_order", "SS_ORDER", "$identify", "$app_launched", "e", "' '"])
def test_reserved_events(name: str) -> None:
    """Decision 9: reserved event names are refused, those that the SDKs allow too."""
    assert only(load(rules(f"event: {name}"))).code == "R025"
    assert only(load(rules(f"event: ${{ .e }}\nevents: [{name}]"))).code == "R025"


def test_properties_must_be_an_object() -> None:
    """An expression for all properties makes an object, or nothing."""
    make = mapper("properties: ${ .p | if . == 0 then empty else . end }")
    assert properties_of(make(record({"p": {"a": 1}}))) == {"a": 1}
    assert properties_of(make(record({"p": 0}))) == {}
    others: list[Any] = [None, [], "x"]
    for value in others:
        assert fault_of(make(record({"p": value}))).code == "wrong_type"


def test_attachments_of_a_list() -> None:
    """Decision 10: an item whose url yields nothing is left out; null is an error; only http(s) is taken."""
    text = "attachments:\n  - url: ${ .u | if . == 0 then empty else . end }\n    filename: f-${ .n }.pdf\n    ignore_if_error: true"
    make = mapper(text)
    attached = {"url": "https://x.example/a", "filename": "f-1.pdf", "ignore_if_error": True}
    assert properties_of(make(record({"u": "https://x.example/a", "n": 1}))) == {"$attachments": [attached]}
    assert properties_of(make(record({"u": 0, "n": 1}))) == {}
    assert fault_of(make(record({"u": None, "n": 1}))).code == "null"
    assert fault_of(make(record({"u": "", "n": 1}))).code == "blank"
    for url in ("file:///etc/passwd", "/tmp/x", "ftp://x.example/a", "https://"):
        assert fault_of(make(record({"u": url, "n": 1}))).code == "attachment_url"


def test_attachments_of_one_expression() -> None:
    """Decision 10: one `${ }` yields the list; nothing or null gives none; its items are checked as those of a list."""
    make = mapper("attachments: ${ .a | if . == 0 then empty else . end }")
    url = {"url": "http://x.example/a"}
    assert properties_of(make(record({"a": [url, {**url, "filename": "f", "ignore_if_error": False}]}))) == {
        "$attachments": [url, {**url, "filename": "f", "ignore_if_error": False}]
    }
    nones: list[Any] = [0, None, []]
    for none in nones:
        assert properties_of(make(record({"a": none}))) == {}
    wrong: dict[str, tuple[Any, ...]] = {
        "attachment": ("x", {"url": "http://x.example"}, [1], [{}], [{**url, "file_name": "x"}]),
        "null": ([{"url": None}], [{**url, "filename": None}]),
        "blank": ([{"url": " "}], [{**url, "filename": ""}]),
        "wrong_type": ([{"url": 5}], [{**url, "ignore_if_error": "yes"}]),
        "attachment_url": ([{"url": "x.pdf"}],),
    }
    for code, values in wrong.items():
        for value in values:
            assert fault_of(make(record({"a": value}))).code == code, value


def test_filename_may_be_left_out() -> None:
    """Decision 8: a filename that yields nothing is left out of its attachment."""
    made = mapper("attachments: [{url: 'https://x.example/a', filename: '${ empty }'}]")(record({}))
    assert properties_of(made) == {"$attachments": [{"url": "https://x.example/a"}]}


def test_a_local_attachment_is_found_when_loaded() -> None:
    """Decision 10: a literal url that is not http(s) is an error before anything runs."""
    finding = only(load(rules("attachments: [{url: /var/invoice.pdf}]")))
    assert finding.code == "R029"
    assert "http" in finding.message


def test_computed_events() -> None:
    """Decision 11: a computed event needs its list; any other name is a mapping error; a metric exists for each."""
    assert only(load(rules("event: payment_${ .s }"))).code == "R024"
    text = "event: payment_${ .s }\nevents: [payment_ok, payment_failed]"
    make = mapper(text)
    assert event_of(make(record({"s": "ok"})))["event"] == "payment_ok"
    fault = fault_of(make(record({"s": "secret"})))
    assert fault.code == "event_not_listed"
    assert "secret" not in fault.message
    loaded = load(rules(text))
    assert loaded.rules.rules[0].events == ("payment_ok", "payment_failed")
    alone = mapper("event: ${ .e }\nevents: [ab, cd]")
    for value, code in ((None, "null"), (5, "wrong_type"), (" ", "blank")):
        assert fault_of(alone(record({"e": value}))).code == code
    assert event_of(alone(record({"e": " ab "})))["event"] == "ab"


def test_the_event_json() -> None:
    """The event is laid out as the contract's §3a says, in one order of fields."""
    make = mapper("tenant_id: acme\nproperties: {a: 1}")
    made = body(make(record({}))[0])
    assert list(made) == [
        "$insert_id",
        "$time",
        "event",
        "env",
        "distinct_id",
        "properties",
        "$idempotency_key",
        "tenant_id",
    ]
    assert made["env"] == CONTEXT.env
    assert made["$insert_id"] == made["$idempotency_key"]


@pytest.mark.parametrize(
    ("timestamp", "time"), [(1_700_000_000_000, 1_700_000_000_000), (-1, 1_640_995_200_000), (5, 1_640_995_200_000)]
)
def test_time(timestamp: int, time: int) -> None:
    """`$time` is the record's timestamp, or the schema's minimum where it is missing or older; never the clock."""
    assert event_of(mapper("")(record({}, timestamp=timestamp)))["$time"] == time


@pytest.mark.parametrize("field", ["distinct_id", "tenant_id", "idempotency_key"])
def test_text_that_is_no_unicode(field: str) -> None:
    """Half of a surrogate pair in a computed text is a mapping error, wherever it comes from."""
    make = mapper(f"{field}: ${{ .v }}")
    # Records hold none (they are not JSON), so it is put behind the decoder's back.
    assert fault_of(make(record(raw=b'{"v": "\\ud800"}'))).code == "not_json"
