from __future__ import annotations

import json
import uuid
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given, strategies as st

from bridge.suprsend import limits
from bridge.suprsend.event import Event, EventError, attachment, event_body

SCHEMA = jsonschema.Draft7Validator(json.loads((files("suprsend") / "request_json" / "event.json").read_text()))
ENV = "workspaceKeyOfTests0123"

text = st.text(st.characters(exclude_categories=["Cs"]))
words = text.map(str.strip).filter(bool)
names = words.filter(lambda name: len(name) > 1 and not limits.reserved(name))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
properties = st.dictionaries(text.filter(lambda key: not limits.reserved(key)), values, max_size=5)


def test_body_is_laid_out_in_one_order() -> None:
    """The bytes of an event are compact JSON in a fixed order, with what is absent left out."""
    body = event_body(
        insert_id="0" * 36,
        time_ms=1_700_000_000_000,
        name="order_placed",
        env=ENV,
        distinct_id="user_1",
        properties={"b": 1, "a": "é"},
        key="k1:x",
        tenant="acme",
    )
    assert body.decode() == (
        '{"$insert_id":"000000000000000000000000000000000000","$time":1700000000000,"event":"order_placed",'
        '"env":"workspaceKeyOfTests0123","distinct_id":"user_1","properties":{"b":1,"a":"é"},'
        '"$idempotency_key":"k1:x","tenant_id":"acme"}'
    )
    short = event_body(
        insert_id="0" * 36, time_ms=1_700_000_000_000, name="order_placed", env=ENV, distinct_id="u", properties={}
    )
    assert list(json.loads(short)) == ["$insert_id", "$time", "event", "env", "distinct_id", "properties"]


@given(name=names, recipient=words, held=properties, tenant=st.none() | words.filter(lambda value: len(value) <= 64))
def test_any_event_passes_the_official_schema(name: str, recipient: str, held: dict[str, Any], tenant: str) -> None:
    """Whatever a valid Event holds, its JSON passes the official SDK's schema and holds the very values."""
    event = Event(recipient, name, held, tenant_id=tenant)
    event.add_attachment("https://example.com/a.pdf")
    sent = json.loads(event.encode(ENV))
    SCHEMA.validate(sent)
    assert sent["event"] == name
    assert sent["distinct_id"] == recipient
    assert sent["properties"].pop("$attachments") == [
        {"url": "https://example.com/a.pdf", "ignore_if_error": False},
    ]
    assert sent["properties"] == held


def test_event_is_the_same_each_time() -> None:
    """An Event gets key, `$insert_id` and `$time` once: sent again, its bytes are the same."""
    event = Event("user_1", "order_placed", {"a": 1})
    assert event.encode(ENV) == event.encode(ENV)
    uuid.UUID(event.idempotency_key)
    assert len(event.insert_id) >= limits.MIN_INSERT_ID_CHARS
    other = Event("user_1", "order_placed", {"a": 1})
    assert other.idempotency_key != event.idempotency_key
    assert Event("user_1", "order_placed", idempotency_key="mine").idempotency_key == "mine"


def test_event_keeps_what_it_was_made_of() -> None:
    """Changing the dict that an Event was made of, or the one it shows, changes nothing in the Event."""
    held: dict[str, Any] = {"list": [1], "sub": {"x": 1}}
    event = Event("user_1", "order_placed", held)
    before = event.encode(ENV)
    held["list"].append(2)
    held["sub"]["x"] = 2
    event.properties["more"] = 1
    assert event.encode(ENV) == before


def test_event_trims_what_suprsend_trims() -> None:
    """White space around recipient, name, tenant and key is removed before anything is checked."""
    event = Event(" user_1\n", "\torder_placed ", tenant_id=" acme ", idempotency_key=" key ")
    sent = json.loads(event.encode(ENV))
    assert (sent["distinct_id"], sent["event"], sent["tenant_id"], sent["$idempotency_key"]) == (
        "user_1",
        "order_placed",
        "acme",
        "key",
    )


@pytest.mark.parametrize("recipient", [42, uuid.UUID(int=7)])
def test_numbers_and_uuids_name_a_recipient(recipient: int | uuid.UUID) -> None:
    """A distinct_id that is an int or a UUID becomes its text, as SuprSend documents."""
    assert Event(recipient, "order_placed").distinct_id == str(recipient)


@pytest.mark.parametrize("name", sorted(limits.SDK_EVENT_NAMES))
def test_names_that_the_sdks_allow_are_allowed(name: str) -> None:
    """The reserved names that the official SDKs let through pass here too."""
    assert json.loads(Event("u", name).encode(ENV))["event"] == name


def _deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"distinct_id": " "}, "distinct_id is missing"),
        ({"distinct_id": True}, "distinct_id must be text, not bool"),
        ({"distinct_id": None}, "distinct_id must be text"),
        ({"event_name": ""}, "event name is missing"),
        ({"event_name": "x"}, "at least two"),
        ({"event_name": "$mine"}, "keeps for itself"),
        ({"event_name": "Ss_mine"}, "keeps for itself"),
        ({"event_name": 1}, "event_name must be text"),
        ({"tenant_id": "t" * 65}, "65 characters"),
        ({"tenant_id": ""}, "tenant_id is blank"),
        ({"idempotency_key": "k" * 256}, "256 characters"),
        ({"idempotency_key": " "}, "idempotency key is blank"),
        ({"properties": [1]}, "properties must be a dict, not list"),
        ({"properties": {"$x": 1}}, r"'\$x'.*keeps for itself"),
        ({"properties": {"SS_x": 1}}, "'SS_x'.*keeps for itself"),
        ({"properties": {"$attachments": []}}, "add_attachment"),
        ({"properties": {1: 1}}, "key of type int"),
        ({"properties": {"a": [float("nan")]}}, r"properties\['a'\]\[0\] is NaN"),
        ({"properties": {"a": float("-inf")}}, "infinite"),
        ({"properties": {"a": 2**64}}, "beyond 64 bits"),
        ({"properties": {"a": object()}}, "is a object"),
        ({"properties": {"a": "\ud800"}}, "surrogate"),
        ({"properties": {"\ud800": 1}}, "surrogate"),
        ({"properties": _deep(500)}, "deeper than 200"),
        ({"event_name": "ab\udfff"}, "surrogate"),
    ],
)
def test_impossible_events_are_refused(arguments: dict[str, Any], says: str) -> None:
    """What SuprSend would refuse is refused when the Event is made, with where, what and what to do."""
    with pytest.raises(EventError, match=says):
        Event(**{"distinct_id": "u", "event_name": "order_placed"} | arguments)


def test_an_endless_value_is_refused() -> None:
    """A dict that holds itself is refused instead of running for ever."""
    held: dict[str, Any] = {}
    held["self"] = held
    with pytest.raises(EventError, match="deeper"):
        Event("u", "order_placed", held)


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "ftp://host/x", "example.com/x", "https://", ""])
def test_local_files_are_never_attached(url: str) -> None:
    """Anything but an http(s) URL with a host is refused as an attachment."""
    with pytest.raises(EventError, match="attachment's url"):
        Event("u", "order_placed").add_attachment(url)


def test_attachments_are_listed_in_order() -> None:
    """Attachments travel in `$attachments` in their order, with their names."""
    event = Event("u", "order_placed", {"a": 1})
    event.add_attachment("https://example.com/a b.pdf?x=1&y=%20", "Invoice.pdf", ignore_if_error=True)
    event.add_attachment("http://example.com/2")
    assert json.loads(event.encode(ENV))["properties"]["$attachments"] == [
        {"url": "https://example.com/a b.pdf?x=1&y=%20", "filename": "Invoice.pdf", "ignore_if_error": True},
        {"url": "http://example.com/2", "ignore_if_error": False},
    ]
    assert attachment("https://example.com/") == {"url": "https://example.com/"}


def test_no_attachment_after_sending() -> None:
    """Once sent, an Event takes no attachment: the same key with other bytes would be skipped."""
    event = Event("u", "order_placed")
    event.encode(ENV)
    with pytest.raises(EventError, match="sent already"):
        event.add_attachment("https://example.com/")


def test_repr_shows_no_person() -> None:
    """Printing an Event shows neither the recipient nor the properties."""
    shown = repr(Event("ada@example.com", "order_placed", {"phone": "+44 20"}))
    assert "ada" not in shown
    assert "+44" not in shown


@given(st.text(max_size=8))
def test_reserved_matches_the_official_check(name: str) -> None:
    """A name counts as reserved exactly when the official SDK's check of its first three characters says so."""
    assert limits.reserved(name) == (name[:3].lower().startswith("$") or name[:3].lower() == "ss_")


@pytest.mark.parametrize(("timestamp", "expected"), [(-1, limits.MIN_TIME_MS), (0, limits.MIN_TIME_MS)])
def test_time_is_never_before_the_schema_minimum(timestamp: int, expected: int) -> None:
    """A missing or old timestamp becomes the schema's minimum, a newer one stays."""
    assert limits.time_ms(timestamp) == expected
    assert limits.time_ms(1_700_000_000_000) == 1_700_000_000_000


@pytest.mark.parametrize("limit", [0, 819_201])
def test_event_limit_has_a_ceiling(limit: int) -> None:
    """The setting of the largest event stays between 1 and 819,200 bytes."""
    assert limits.event_limit_problem(limit) is not None
    assert limits.event_limit_problem(819_200) is None
    assert limits.event_bytes_problem(102_401) is not None
    assert limits.event_bytes_problem(102_400) is None
