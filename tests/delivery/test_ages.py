"""How old the records are that a rewind would send again, told from offsets at times."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.offsets.begin import AGES, age_of

HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("offset", "told"),
    [
        (0, "over 30 days"),
        (4, "over 30 days"),
        (5, "over 7 days"),
        (29, "over 24 hours"),
        (30, "over an hour"),
        (50, "younger"),
    ],
)
def test_the_oldest_age_that_is_passed_is_told(offset: int, told: str) -> None:
    """Offsets 0-4 are over 30 days old, 5-19 over 7 days, 20-29 over a day, 30-49 over an hour, the others younger."""
    at_age = {30 * DAY: 5, 7 * DAY: 20, DAY: 30, HOUR: 50}
    assert told in age_of(offset, at_age)


def test_where_nothing_is_younger_everything_is_older() -> None:
    """Kafka answers -1 where no record is as young as asked."""
    assert "over 30 days" in age_of(7, dict.fromkeys(AGES, -1))


def test_where_all_are_younger_none_is_old() -> None:
    """The first offset of a partition is younger than an age that no record has passed."""
    assert "younger" in age_of(0, dict.fromkeys(AGES, 0))


def test_only_what_is_over_a_day_old_is_unknown_to_suprsend() -> None:
    """That people would be told twice is said only where SuprSend has forgotten the key."""
    assert age_of(0, {DAY: 5, HOUR: 50}) == "; the oldest is over 24 hours old, and SuprSend knows a key for 24 hours"
    assert "SuprSend" not in age_of(30, {DAY: 5, HOUR: 50})


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=40), st.data())
def test_the_age_is_that_of_the_record(times: list[int], data: st.DataObject) -> None:
    """For any ascending times, the age told is the largest of the list that the record at the offset has passed."""
    times = sorted(times)
    now = times[-1] + data.draw(st.integers(0, 40 * DAY))
    offset = data.draw(st.integers(0, len(times) - 1))
    at_age = {age: next((n for n, at in enumerate(times) if at >= now - age), -1) for age in AGES}
    passed = [text for age, text in AGES.items() if times[offset] < now - age]
    told = age_of(offset, at_age)
    assert (f"over {passed[0]} old" in told) if passed else ("younger" in told)
