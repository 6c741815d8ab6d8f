"""The default idempotency key."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

from hypothesis import given, strategies as st

from bridge.rules.map.key import INSERT_ID_SHORTEST, derived_insert_id, key_maker
from bridge.suprsend.limits import MIN_INSERT_ID_CHARS
from tests.rules.given import CONTEXT, NOON, load, mapper, mapping, record, rules

NAMES = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)


def test_golden() -> None:
    """Decision 17: these keys never change: another key for the same record would notify a person twice."""
    make = key_maker("lkc-abc123", "orders.v1", "order-placed", "order_placed")
    assert make(3, 1234567, 1_700_000_000_000, "u-42", 0) == "k1:orders.v1:3:1234567:b3a473f2fb37e1fcb4ebeb82fbf4"
    assert make(3, 1234567, 1_700_000_000_000, "u-42", 1) == "k1:orders.v1:3:1234567:a2a35f2aac06569a32307b5c1ab8"
    assert make(0, 0, -1, "ünï", 0) == "k1:orders.v1:0:0:00ff705f1c0bef68280c40a82c33"
    long = key_maker("", "a-topic-with-a-long-name.v1", "r", "e2")
    assert long(12, 99_999, 5, "u", 0) == "k1::12:99999:9897e8039f75b09a5402695e9cd1"
    assert derived_insert_id("o-1-placed") == "i1:wGWvacIrYuI-sNFHEHWsmqb9WxZpYNXwrU3H"


def test_the_digest_is_over_length_prefixed_text() -> None:
    """The scheme, written out once more: what is covered, in which order, and how it is spelled."""
    covered = b"2:k110:lkc-abc1239:orders.v112:order-placed12:order_placed3:1234567:1700000000000:0:u-42"
    digest = blake2b(covered, digest_size=14).hexdigest()
    make = key_maker("lkc-abc123", "orders.v1", "order-placed", "order_placed")
    assert make(3, 1234567, 1_700_000_000_000, "u-42", 0) == f"k1:orders.v1:3:1234567:{digest}"


def test_shortest_of_the_schema() -> None:
    """The length that default keys keep to is the one that SuprSend's schema asks for."""
    assert INSERT_ID_SHORTEST == MIN_INSERT_ID_CHARS


@given(NAMES, st.text(alphabet="az.-_09", min_size=1, max_size=249), NUMBERS, NUMBERS, st.integers(-1, 2**62), NAMES)
def test_length(namespace: str, topic: str, partition: int, offset: int, timestamp: int, recipient: str) -> None:
    """A default key has 36 to 64 characters, so that it serves as `$insert_id`, and none that JSON must escape."""
    key = key_maker(namespace, topic, "r", "e")(partition % 2**31, offset, timestamp, recipient, 0)
    assert 36 <= len(key) <= 64
    assert re.fullmatch(r"k1:[A-Za-z0-9._-]*:\d+:\d+:[0-9a-f]{28}", key)
    assert key.startswith(f"k1:{topic}:") or len(f"{topic}:{partition % 2**31}:{offset}") > 32


FIELDS = st.tuples(
    NAMES, NAMES, NAMES, NAMES, st.integers(0, 3), st.integers(0, 3), st.integers(-1, 2), NAMES, st.integers(0, 2)
)


@given(FIELDS, FIELDS)
def test_different_fields_make_different_keys(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Decision 17: each covered field counts, and no two tuples of fields run together."""
    keys = [key_maker(*fields[:4])(*fields[4:]) for fields in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


def test_a_topic_that_is_no_kafka_name_is_not_shown() -> None:
    """A name with a colon or a space is only in the digest."""
    assert key_maker("n", "a:b c", "r", "e")(1, 2, 3, "u", 0).startswith("k1::1:2:")


def test_n_counts_equal_recipients_not_positions() -> None:
    """Decision 17: n is the n-th equal (event, distinct_id), so an inserted item moves nobody else's key."""
    make = mapper("for_each: .to[]\ndistinct_id: ${ $item }")
    few = {event.recipient: event.key for event in make(record({"to": ["a", "b"]}))}  # type: ignore[union-attr]
    more = [(event.recipient, event.key) for event in make(record({"to": ["x", "a", "b", "a"]}))]  # type: ignore[union-attr]
    assert more[1] == ("a", few["a"])
    assert more[2] == ("b", few["b"])
    assert more[3][1] not in few.values()
    assert len({key for _recipient, key in more}) == 4


def test_what_the_key_covers() -> None:
    """Decision 17: namespace, topic, partition, offset, timestamp, rule and event change the key; the body's rest does not."""
    head = "version: 1"
    make = mapping("name: a\ntopics: [t, u]\nproperties: {x: '${ .x }'}", head=head)
    base = make.mapper("t")(record({"x": 1}))[0].key  # type: ignore[union-attr]
    assert make.mapper("t")(record({"x": 2}))[0].key == base  # type: ignore[union-attr]
    other = mapping("name: b").mapper("t")
    named = mapping("name: a\nevent: other").mapper("t")
    elsewhere = mapping("name: a", context=type(CONTEXT)(CONTEXT.env, "cluster-2")).mapper("t")
    keys = {
        base,
        make.mapper("u")(record({"x": 1}, topic="u"))[0].key,  # type: ignore[union-attr]
        make.mapper("t")(record({"x": 1}, offset=8))[0].key,  # type: ignore[union-attr]
        make.mapper("t")(record({"x": 1}, timestamp=NOON + 1))[0].key,  # type: ignore[union-attr]
        *(maker(record({"x": 1}))[0].key for maker in (other, named, elsewhere)),  # type: ignore[union-attr]
    }
    assert len(keys) == 7


def test_was_keeps_the_keys() -> None:
    """Decision 16: a renamed rule with `was` makes the keys of the old name."""
    old = mapper("name: old")(record({}))[0]
    new = mapper("name: new\nwas: old")(record({}))[0]
    assert new.key == old.key  # type: ignore[union-attr]
    assert (old.rule, new.rule) == ("old", "new")


def test_a_custom_key_makes_the_insert_id() -> None:
    """A custom key's `$insert_id` is derived from the key alone, at least 36 characters long."""
    make = mapper("idempotency_key: ${ .id }-told")
    first, second = (make(record({"id": 1}, offset=offset))[0] for offset in (1, 2))
    assert first.key == "1-told"  # type: ignore[union-attr]
    assert first.body == second.body  # type: ignore[union-attr]
    assert derived_insert_id("1-told").encode() in first.body  # type: ignore[union-attr]
    assert len(derived_insert_id("")) >= 36


def test_equal_literal_keys_are_refused() -> None:
    """A literal idempotency key would be the same for every record: an error when loaded."""
    assert [finding.code for finding in load(rules("idempotency_key: fixed")).findings] == ["R033"]
