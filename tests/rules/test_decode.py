"""How a record's bytes become the value that rules see."""

from __future__ import annotations

import pytest

from bridge.flow import UNREADABLE, Event, Fault, PlainRecord, Stage
from bridge.jsontext import dumps
from bridge.rules.map.decode import DECODERS, SNAPSHOT, decoder
from bridge.rules.map.faults import FAULTS, MapError
from tests.rules.given import event_of, fault_of, mapper, properties_of, record, tombstone

ALL = "properties: '${ {value: .} }'"


def decoded(
    decode: str, value: bytes, headers: list[tuple[str, bytes | None]] | None = None, **options: bool
) -> object:
    return decoder(decode, **options)(value, PlainRecord("t", 0, 0, value, headers=headers))  # type: ignore[arg-type]


def code(decode: str, value: bytes, headers: list[tuple[str, bytes | None]] | None = None) -> str:
    with pytest.raises(MapError) as caught:
        decoded(decode, value, headers)
    assert FAULTS[caught.value.code].stage is Stage.DECODE
    return caught.value.code


def test_json() -> None:
    """Decision 19: `json` is one value; of duplicate keys the last counts."""
    assert decoded("json", b' {"a": 1, "a": 2} ') == {"a": 2}
    assert decoded("json", b"null") is None
    for wrong in (b"{", b"{} {}", b"NaN", b'"\\ud800"', b"\xff", b"1e999", b"\xef\xbb\xbf{}"):
        assert code("json", wrong) == "not_json"
    assert code("json", b"[" * 5000 + b"]" * 5000) == "record_too_deep"


def test_string_and_bytes() -> None:
    """Decision 19: `string` is UTF-8 text, `bytes` is base64."""
    assert decoded("string", "hé {".encode()) == "hé {"
    assert decoded("bytes", b"\x00\xff") == "AP8="
    assert code("string", b"\xff") == "not_utf8"


@pytest.mark.parametrize("decode", DECODERS)
def test_an_empty_value_cannot_be_decoded(decode: str) -> None:
    """Decision 19: a value of no bytes is neither a tombstone nor a value."""
    assert code(decode, b"") == "empty_value"


def test_confluent_json_schema() -> None:
    """Decision 19: JSON behind Confluent's magic byte and schema id is decoded."""
    envelope = b"\x00\x00\x00\x00\x2a"
    assert decoded("json", envelope + b'{"a": 1}') == {"a": 1}
    assert decoded("json", envelope + b" [1]") == [1]
    assert decoded("debezium", envelope + b'{"op": "c"}') == {"op": "c"}
    assert code("json", envelope + b'{"a": 1') == "not_json"


@pytest.mark.parametrize("payload", [b"\x00\x02\x06abc", b"\x06abc", b"12", b"", b"{\x02\xfe\x00", b'"text"'])
def test_confluent_avro_and_protobuf_are_refused_by_name(payload: bytes) -> None:
    """Decision 19: what is not JSON behind the magic byte is Avro or Protobuf; the message says so, and what to do."""
    made = mapper(ALL)(record(raw=b"\x00\x00\x00\x00\x2a" + payload))
    fault = fault_of(made)
    assert (fault.code, fault.stage, fault.rule) == ("confluent_avro_or_protobuf", Stage.DECODE, None)
    assert "schema id 42" in fault.message
    assert "JSON Schema" in fault.message


def test_cloudevents_structured() -> None:
    """Decision 19: structured mode: the value is the event, by its content type or by its specversion."""
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "x", "data": {"a": 1}}
    headers: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    assert decoded("cloudevents", dumps(event), headers) == event
    assert decoded("cloudevents", dumps(event)) == event
    assert code("cloudevents", b'{"a": 1}') == "not_a_cloudevent"
    assert code("cloudevents", b"[]", [("content-type", b"application/cloudevents-batch+json")]) == "cloudevent_batch"


def test_cloudevents_binary() -> None:
    """Decision 19: binary mode: attributes from `ce_` headers, data from the value by its content type."""
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"comment.created"),
        ("ce_none", None),
        ("other", b"x"),
    ]
    attributes = {"specversion": "1.0", "type": "comment.created"}
    assert decoded("cloudevents", b'{"a": 1}', headers) == {**attributes, "data": {"a": 1}}
    typed = [*headers, ("content-type", b"application/json")]
    expected = {**attributes, "datacontenttype": "application/json", "data": {"a": 1}}
    assert decoded("cloudevents", b'{"a": 1}', typed) == expected
    text = decoded("cloudevents", b"hello", [*headers, ("content-type", b"text/plain")])
    assert text == {**attributes, "datacontenttype": "text/plain", "data": "hello"}
    binary = decoded("cloudevents", b"\xff", [*headers, ("content-type", b"image/png")])
    assert binary == {**attributes, "datacontenttype": "image/png", "data_base64": "/w=="}
    assert code("cloudevents", b"{", headers) == "not_json"


def test_debezium() -> None:
    """Decision 19: `{schema, payload}` is unwrapped; a snapshot's records are filtered unless asked for."""
    change = {"op": "u", "before": None, "after": {"id": 1}}
    assert decoded("debezium", dumps({"schema": {}, "payload": change})) == change
    assert decoded("debezium", dumps(change)) == change
    assert decoded("debezium", dumps({"op": "r"})) is SNAPSHOT
    assert decoded("debezium", dumps({"id": 1, "__op": "r"})) is SNAPSHOT
    assert decoded("debezium", dumps({"op": "r"}), snapshot=True) == {"op": "r"}
    assert code("debezium", b"[1]") == "not_debezium"


def test_debezium_snapshots_notify_nobody() -> None:
    """Decision 19: `op: r` is filtered, also where unmatched records are kept; `snapshot: true` maps it."""
    head = "topics: {t: {decode: debezium, unmatched: dead_letter}}"
    assert not mapper(ALL, head=head)(record({"op": "r", "after": {}}))
    told = mapper(ALL, head="topics: {t: {decode: debezium, snapshot: true}}")(record({"op": "r"}))
    assert properties_of(told) == {"value": {"op": "r"}}


def test_a_tombstone_goes_only_to_rules_that_name_it() -> None:
    """Decision 19: without a rule that names `$tombstone` a tombstone is filtered, even if unmatched ones are kept."""
    head = "topics: {t: {unmatched: dead_letter}}"
    assert not mapper("", head=head)(tombstone())
    make = mapper("when: .x == 1", "when: $tombstone\ndistinct_id: ${ $key }", head=head)
    assert event_of(make(tombstone(key=b"u9")))["distinct_id"] == "u9"
    assert fault_of(make(record(None))).code == "unmatched"
    assert not mapper("when: $tombstone and false", head=head)(tombstone())


def test_json_null_is_no_tombstone() -> None:
    """Decision 19: the JSON value null is a value like any other."""
    assert properties_of(mapper("properties: '${ {dot: ., gone: $tombstone} }'")(record(None))) == {
        "dot": None,
        "gone": False,
    }


def test_a_record_that_cannot_be_decoded_is_dead_lettered_whatever_the_rules_say() -> None:
    """Decision 14: `on_error`, `when` and `unmatched` of the rules do not matter for bytes that are not read."""
    make = mapper("when: 'false'\non_error: skip", "on_error: halt", head="topics: {t: {unmatched: skip}}")
    fault = fault_of(make(record(raw=b"secret-payload")))
    assert (fault.rule, fault.stage, fault.code, fault.on_error) == (None, Stage.DECODE, "not_json", "dead_letter")
    assert "secret" not in fault.message


def test_headers_that_cannot_be_read_matter_only_to_who_reads_them() -> None:
    """A rule that reads `$headers`, or a decoder that does, fails on the record; all others make their events."""
    strange = record({"a": 1}, headers=UNREADABLE)
    assert code("cloudevents", b"{}", UNREADABLE) == "headers_unreadable"
    (fault,) = mapper("properties: {h: '${ $headers | length }'}")(strange)
    assert isinstance(fault, Fault)
    assert (fault.stage, fault.code, fault.rule, fault.on_error) == (
        Stage.DECODE,
        "headers_unreadable",
        None,
        "dead_letter",
    )
    (event,) = mapper("properties: {k: '${ $key // 1 }'}")(strange)
    assert isinstance(event, Event)
