"""A bulk body, split into the exact bytes of its events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bridge.sandbox.call import SplitError, split

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('{}[],:"\\'), max_size=12)
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab") | TEXTS, inner, max_size=3),
    max_leaves=12,
)
GAPS = st.text(" \t\r\n", max_size=2)
SEPARATORS = [(",", ":"), (", ", ": "), (",\n", " :")]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A body and the texts of its items, of any JSON, with any white space between them."""
    items = draw(st.lists(st.dictionaries(st.sampled_from(["a", "event"]), VALUES, max_size=2) | VALUES, max_size=6))
    style = st.sampled_from(SEPARATORS)
    texts = [json.dumps(item, separators=draw(style), ensure_ascii=draw(st.booleans())) for item in items]
    joined = ""
    for at, text in enumerate(texts):
        joined += ("," if at else "") + draw(GAPS) + text + draw(GAPS)
    return draw(GAPS) + "[" + joined + draw(GAPS) + "]" + draw(GAPS), texts


@given(bodies())
def test_every_item_keeps_its_bytes(made: tuple[str, list[str]]) -> None:
    """Whatever the items and the white space, each piece is its item's own text and value."""
    body, texts = made
    pieces = split(body.encode())
    assert pieces is not None
    assert [raw.decode() for raw, _ in pieces] == texts
    assert [value for _, value in pieces] == [json.loads(text) for text in texts]


EVENTS = st.lists(st.fixed_dictionaries({"$insert_id": TEXTS, "properties": VALUES}), min_size=1, max_size=8)


@given(EVENTS, st.sampled_from(SEPARATORS[:2]))
def test_events_of_one_shape_too(items: list[dict[str, Any]], style: tuple[str, str]) -> None:
    """Events that all begin with the same key, as clients write them, are cut rightly even where they nest it."""
    texts = [json.dumps(item, separators=style) for item in items]
    pieces = split(("[" + style[0].join(texts) + "]").encode())
    assert pieces is not None
    assert [raw.decode() for raw, _ in pieces] == texts


def test_a_nested_event_does_not_deceive() -> None:
    """An event that holds what looks like the border between two events is one event."""
    inner = '{"a":1},{"a":2}'
    texts = [f'{{"a":[{inner}]}}', '{"a":"},{\\"a\\":"}', '{"a":3}']
    pieces = split(("[" + ",".join(texts) + "]").encode())
    assert pieces is not None
    assert [raw.decode() for raw, _ in pieces] == texts


@pytest.mark.parametrize(
    "body", [b"[", b"[1,]", b"[1]]", b'["\xff"]', b'[{"a":1},{"a":2]', b"[NaN]", b'[{"a":1}{"a":2}]']
)
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    """A body that is not JSON raises SplitError and nothing else."""
    with pytest.raises(SplitError):
        split(body)


def test_deep_nesting_and_huge_numbers_are_bounded() -> None:
    """Deep nesting is refused or read, a number of 20,000 digits is read; neither raises anything else."""
    for depth in (900, 990, 1_010, 50_000):
        try:
            pieces = split(b"[" + b"[" * depth + b"]" * depth + b"]")
        except SplitError:
            continue
        assert pieces is not None
        assert len(pieces) == 1
    pieces = split(b'[{"a":1}, {"b":' + b"9" * 300 + b"}]")
    assert pieces is not None
    assert len(pieces) == 2
