"""The columns that the judge works on, held against what is slow and plain."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from bridge.offsets.commits import runs_of, text_of
from tests.soak.accepted import Accepted
from tests.soak.commitlog import Commit
from tests.soak.facts import Column, Kind, Made
from tests.soak.outcomes import Outcomes, outcomes_of

_RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=25)


def _key(partition: int, offset: int, timestamp: int, recipient: str, n: int) -> str:
    return f"k{offset}"


@settings(max_examples=300, deadline=None)
@given(_RANGES)
def test_each_offset_is_new_once(ranges: list[tuple[int, int]]) -> None:
    """However commits overlap, an offset is newly finished with the first of them that says so, and never again."""
    outcomes = Outcomes(Column(("t", 0), _key))
    known: set[int] = set()
    for first, more in ranges:
        wanted = set(range(first, first + more + 1)) - known
        fresh = [at for low, high in outcomes.newly(first, first + more) for at in range(low, high + 1)]
        assert sorted(fresh) == sorted(wanted)
        known |= wanted


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5), st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_a_commit_calls_finished_what_its_note_does_not_leave_out(first: int, unfinished: set[int], top: int) -> None:
    """Below the committed offset everything is finished, above it what the note says, and nothing beyond the note."""
    left = sorted(each for each in unfinished if first <= each <= top)
    runs = runs_of(first, left, top)
    commit = Commit("t", 0, first, text_of(at_ms=1, send_limit=top, delivered=top, runs=runs, committed=first), 1)
    found = {at for low, high in commit.finished_ranges() for at in range(low, high + 1)}
    assert found == set(range(first)) | (set(range(first, top + 1)) - set(left))


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(8)), st.lists(st.integers(0, 2), min_size=8, max_size=8))
def test_who_was_overtaken(order: list[int], lanes: list[int]) -> None:
    """A record was overtaken where a later one of its lane was accepted before it."""
    column = Column(("t", 0), _key)
    for at, lane in enumerate(lanes):
        column.add(at, Made(Kind.DELIVERED, lane, at, 0))
    accepted = Accepted({"key": f"k{at}", "first_ms": 1, "count": 1} for at in order)
    found = {fact.place[2] for fact in outcomes_of(column, accepted, {}).overtaken()}
    seen = {at: row for row, at in enumerate(order)}
    assert found == {
        at for at in range(8) if any(lanes[at] == lanes[later] and seen[later] < seen[at] for later in range(at + 1, 8))
    }


def test_records_that_are_acknowledged_late_are_put_in_order() -> None:
    """The order of acknowledgement is not the order of offsets."""
    column = Column(("t", 0), _key)
    for at in (2, 0, 1):
        column.add(at, Made(Kind.FILTERED if at else Kind.UNMAPPED, at, at, 0))
    column.settle()
    assert [column.fact(at).place[2] for at in range(3)] == [0, 1, 2]
    assert column.fact(0).kind is Kind.UNMAPPED
    assert column.lose(1, 1) == 1
    assert list(column.offsets) == [0, 2]
