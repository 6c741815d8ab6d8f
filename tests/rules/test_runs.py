"""Whole runs of records against the same records one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings, strategies as st

from bridge.flow import Fault, Mapped, MappedRun, MappingContext, PlainRecord, RunMapper
from bridge.jsontext import dumps
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.map.runs import by_record
from bridge.rules.read.load import load_texts
from tests.rules.given import CONTEXT, ENV, NOON, rules
from tests.rules.test_fast import BODIES, RECORDS

Made = tuple[list[Mapped], list[PlainRecord]]
VALUES = st.one_of(RECORDS.map(dumps), RECORDS.map(dumps), st.none(), st.binary(max_size=6))
PLENTY = 1 << 30


def compiled(body: str, context: MappingContext) -> tuple[Any, RunMapper]:
    """The mapper of records and that of runs, for one rule on topic `t`."""
    mapping = compile_mapping(load_texts([("a.yaml", rules(body).encode())]).rules, context)
    mapper = mapping.mapper("t")
    return mapper, mapping.for_topic("t")


CONTEXTS = [CONTEXT, MappingContext(ENV, "n", max_event_bytes=400, only_recipients=("u*", "1*", "a"), max_age_ms=10)]
PAIRS = [compiled(body, context) for body in BODIES for context in CONTEXTS]


def records(values: list[bytes | None], first: int = 7) -> list[PlainRecord]:
    return [PlainRecord("t", 3, first + 2 * n, value, timestamp=NOON + n) for n, value in enumerate(values)]


def told(run: MappedRun) -> list[list[Any]]:
    """What a run says of each of its records, events before faults."""
    found: list[list[Any]] = [[] for _ in range(run.records)]
    gone = {*run.unwanted, *(place for place, _ in run.faults)}
    places = [at for at in range(run.records) if at not in gone] if run.places is None else run.places
    for place, event in zip(places, run.events(), strict=True):
        found[place].append(event)
    for place, fault in run.faults:
        found[place].append(fault)
    return found


def events_first(entries: Any) -> list[Any]:
    return sorted(entries, key=lambda entry: isinstance(entry, Fault))


def in_runs(map_run: RunMapper, mapper: Any, made: list[PlainRecord], most: int, room: int) -> list[list[Any]]:
    """Map everything as delivery does: run by run."""
    found: list[list[Any]] = []
    while len(found) < len(made):
        rest = made[len(found) :]
        run = map_run(rest, [record.offset() for record in rest], most, room)
        assert run.records > 0
        assert run.size == sum(len(body) + 1 for body in run.bodies)
        assert list(run.bodies) == [event.body for event in run.events()]
        assert +Counter(dict(run.counts)) == Counter((event.rule, event.name) for event in run.events())
        assert [event.expires for event in run.events()] == list(run.expires or [None] * len(run.bodies))
        found += told(run)
    return found


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(PAIRS),
    st.lists(VALUES, min_size=1, max_size=20),
    st.integers(1, 8),
    st.sampled_from([300, 700, 2_000, PLENTY]),
)
def test_a_run_becomes_what_its_records_become(
    pair: tuple[Any, RunMapper], values: list[bytes | None], most: int, room: int
) -> None:
    """Any rule, any records, any limits: runs and single records give the same events, and no run breaks its limits."""
    mapper, map_run = pair
    made = records(values)
    assert in_runs(map_run, mapper, made, most, room) == [events_first(mapper(record)) for record in made]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PAIRS), st.lists(VALUES, min_size=1, max_size=20), st.integers(1, 8))
def test_so_it_does_without_a_function_of_its_own(
    pair: tuple[Any, RunMapper], values: list[bytes | None], most: int
) -> None:
    """Topics whose rules have no function for runs are mapped record by record, with the same results."""
    mapper, _ = pair
    made = records(values)
    assert in_runs(by_record(mapper), mapper, made, most, 900) == [events_first(mapper(record)) for record in made]


def test_a_plain_rule_has_a_function_for_runs() -> None:
    """The usual rule takes a whole run at once, tombstones and what it does not want with it; poison ends the run."""
    mapper, map_run = compiled("when: .n > 0\nproperties: {n: '${ .n }'}", CONTEXT)
    wanted = b'{"n": 1, "id": "u1"}'
    made = records([wanted, b'{"n": 0, "id": "u1"}', None, wanted, b"poison", wanted])
    run = map_run(made, [record.offset() for record in made], 100, PLENTY)
    assert (run.records, list(run.unwanted), len(run.bodies)) == (4, [1, 2], 2)
    assert told(run) == [events_first(mapper(record)) for record in made[:4]]


def test_records_the_function_is_not_made_for_go_with_the_others() -> None:
    """A value that only the general path takes does not end the run: it and those behind it are one run, too."""
    mapper, map_run = compiled("tenant_id: ${ .n }\nproperties: {n: '${ .n }'}", CONTEXT)
    made = records(
        [b'{"n": 0, "id": "u1"}', b'{"n": 1, "id": "u1"}', b'{"n": 2.0, "id": "u1"}', b'{"n": 3, "id": "u1"}']
    )
    first = map_run(made, [record.offset() for record in made], 100, PLENTY)
    rest = made[first.records :]
    second = map_run(rest, [record.offset() for record in rest], 100, PLENTY)
    assert (first.records, second.records) == (2, 2)
    assert told(first) + told(second) == [events_first(mapper(record)) for record in made]


def test_a_budget_that_runs_out_ends_the_run_and_not_the_topic() -> None:
    """A record that takes too many steps is left to the mapper; the run behind it has a whole budget again."""
    mapper, map_run = compiled("properties: {n: '${ [range(.n)] | length }'}", CONTEXT)
    made = records([b'{"n": 30000, "id": "u%d"}' % n for n in range(30)])
    assert in_runs(map_run, mapper, made, 100, PLENTY) == [events_first(mapper(record)) for record in made]
