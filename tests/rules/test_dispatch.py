"""The look-up of rules by the constant that their `when` compares a path with."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import example, given, strategies as st

from bridge.flow import Event
from bridge.rules.map.dispatch import Head, selector
from tests.rules.given import mapper, record


class Numbered(NamedTuple):
    number: int
    head: Head | None


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 1.5]), st.sampled_from("abc")
)
PATHS = st.sampled_from([("type",), ("a", "b"), ("type", "x")])
HEADS: st.SearchStrategy[Head | None] = st.one_of(
    st.none(), st.tuples(PATHS, st.one_of(SCALARS, st.just([1]), st.just({})))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["type", "a", "b", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def may_fire(head: Head | None, value: Any) -> bool:
    """Decide from the meaning of jq: is `PATH == CONSTANT` anything but false?"""
    if head is None:
        return True
    for name in head[0]:
        if value is not None and not isinstance(value, dict):
            return True
        value = None if value is None else value.get(name)
    if isinstance(head[1], list | dict):
        return True
    return kind(value) == kind(head[1]) and bool(value == head[1])


@example([(("type",), True), (("type",), 1), (("type",), None)], {"type": 1})
@example([(("type",), 1), (("a", "b"), False)], {"type": True, "a": {"b": 0}})
@given(st.lists(HEADS, max_size=8), VALUES)
def test_the_look_up_gives_what_a_scan_would(heads: list[Head | None], value: Any) -> None:
    """A rule is left out exactly where the comparison that its `when` begins with is false; order is kept."""
    rules = [Numbered(number, head) for number, head in enumerate(heads)]
    chosen = list(selector(rules)(value))
    assert chosen == [rule for rule in rules if may_fire(rule.head, value)]


def recipients(made: Any) -> list[str]:
    return [one.recipient if isinstance(one, Event) else one.code for one in made]


def test_rules_by_type() -> None:
    """Rules on one topic with different constants are found by look-up, others beside them in their order."""
    make = mapper(
        'when: .type == "a"\ndistinct_id: u-a',
        "when: .n > 1\ndistinct_id: u-n",
        'when: .type == "b" and .n > 0\ndistinct_id: u-b',
        "when: .type == 1\ndistinct_id: u-1",
        "when: .type == null\ndistinct_id: u-null",
        "when: .type == true\ndistinct_id: u-true",
    )
    assert recipients(make(record({"type": "a", "n": 2}))) == ["u-a", "u-n"]
    assert recipients(make(record({"type": "b", "n": 2}))) == ["u-n", "u-b"]
    assert recipients(make(record({"type": "b", "n": 0}))) == []
    assert recipients(make(record({"type": 1.0}))) == ["u-1"]
    assert recipients(make(record({"type": True}))) == ["u-true"]
    assert recipients(make(record({}))) == ["u-null"]
    assert recipients(make(record(None))) == ["u-null"]
    assert recipients(make(record([1]))) == ["expression_failed"] * 6


def test_final_and_look_up() -> None:
    """`final` stops later rules also where rules are found by look-up."""
    make = mapper(
        'when: .type == "a"\nfinal: true\ndistinct_id: u1', 'when: .type == "a"\ndistinct_id: u2', "distinct_id: u3"
    )
    assert recipients(make(record({"type": "a"}))) == ["u1"]
    assert recipients(make(record({"type": "b"}))) == ["u3"]
