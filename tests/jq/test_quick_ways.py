"""Sorting, dates, decimals and slices have quick ways for usual values; each gives what the long way gives."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from random import Random
from typing import Any

import pytest

from bridge.jq import JqError
from bridge.jq.builtins.containers import group_by, max_by, min_by, sort, sort_by, unique_by
from bridge.jq.builtins.texts import fixed
from bridge.jq.dates import calendar
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.paths import bounds, slice_of
from bridge.jq.runtime.values import compare, sort_key
from tests.jq.given import outputs

KINDS: dict[str, list[Any]] = {
    "texts": ["b", "a", "", "é", "aa", "\U0001f600", "\uffff"],
    "integers": [3, -1, 0, 2**53 + 1, 2**53],
    "numbers": [1, 1.0, 0.5, -0.0, 0, float("inf"), float(2**53), 2**53 + 1],
    "with nan": [1.0, float("nan"), -1, float("nan")],
    "mixed": [None, True, False, 1, "a", [1], {"a": 1}],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_keys_of_one_kind_are_ordered_as_any_keys_are(kind: str, wrapped: bool) -> None:
    """Keys of one kind, bare or in lists of one, are put in jq's order, and equal ones keep theirs."""
    random = Random(kind)
    for _ in range(200):
        chosen = [random.choice(KINDS[kind]) for _ in range(random.randrange(1, 9))]
        keys = [[key] for key in chosen] if wrapped else chosen
        items = list(range(len(keys)))
        expected = sorted(items, key=lambda place: sort_key(keys[place]))
        assert sort_by(items, keys, EvalBudget()) == expected
        groups: list[list[int]] = []
        for place in expected:
            same = groups and compare(keys[groups[-1][0]], keys[place]) == 0 and kind != "with nan"
            if same or (kind == "with nan" and groups and keys[groups[-1][0]] == keys[place] and not _nan(keys[place])):
                groups[-1].append(place)
            else:
                groups.append([place])
        assert group_by(items, keys, EvalBudget()) == groups
        assert unique_by(items, keys, EvalBudget()) == [group[0] for group in groups]
        if kind != "with nan":
            assert min_by(items, keys, EvalBudget()) == expected[0]
            assert max_by(items, keys, EvalBudget()) == expected[-1]
            assert repr(sort(chosen, EvalBudget())) == repr(sorted(chosen, key=sort_key))


def _nan(key: Any) -> bool:
    bare = key[0] if isinstance(key, list) else key
    return bool(bare != bare)


def test_decimals_are_those_of_the_shortest_text() -> None:
    """`fixed` rounds half away from zero from the text that a number shows, for halves, neighbours and any number."""
    random = Random(5)
    given: list[float] = [1.005, -1.005, 0.125, 2.5, -0.0, 0, -0.004, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 2**63]
    given += [random.randrange(-(10**9), 10**9) / 1000 for _ in range(3000)]
    given += [random.uniform(-100, 100) for _ in range(3000)] + [random.randrange(-(2**60), 2**60) for _ in range(100)]
    for number in given:
        for digits in (0, 1, 2, 3, 20, 100):
            one = Decimal(1).scaleb(-digits)
            exact = Decimal(repr(number)).quantize(one, rounding=ROUND_HALF_UP, context=Context(prec=500))
            text = f"{exact:f}"
            assert fixed(number, digits) == (text.lstrip("-") if not exact else text), (number, digits)


def test_times_are_read_quickly_as_slowly() -> None:
    """A time without a fraction is read as one with the fraction zero, and refused where that is."""
    random = Random(6)
    for _ in range(3000):
        numbers = [random.choice((0, 1, 4, 1970, 2024, 9999)), *(random.randrange(0, 14) for _ in range(2))]
        clock = [random.randrange(0, most) for most in (26, 62, 62)]
        zone = random.choice(("Z", "z", "+01:00", "-23:59", "+24:00", "-0530", "+05:60", ""))
        begun = "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}".format(*numbers, *clock)
        assert _read(begun + zone) == _read(f"{begun}.0{zone}"), begun + zone
    assert calendar.parse_time("2016-12-31T23:59:60Z") == calendar.parse_time("2017-01-01T00:00:00Z")


def _read(text: str) -> Any:
    try:
        return calendar.parse_time(text)
    except JqError:
        return None


def test_dates_are_written_in_one_as_by_parts() -> None:
    """A format that has a template writes what its directives write one by one; so does a date that is read by `fromdate`."""
    random = Random(7)
    formats = ("%Y-%m-%dT%H:%M:%SZ", "%A, %e %B %Y", "%I:%M %p", "%F %T %R", "")
    for seconds in [0, -1, 951_782_400, *(random.randrange(-(10**11), 10**11) for _ in range(500))]:
        for text in formats:
            # %n has no template: what stands before it is written by parts.
            quick, slow = (calendar.DateFormat(t, zone=False) for t in (text, text + "%n"))
            assert calendar.strftime(seconds, quick) + "\n" == calendar.strftime(calendar.gmtime(seconds), slow)
    pattern = calendar.DatePattern("%Y-%m-%dT%H:%M:%SZ")
    for text in ("2024-02-29T23:59:59Z", "2023-02-31T00:00:00Z", "2016-12-31T23:59:60Z", "0001-01-01T00:00:00Z"):
        assert calendar.from_iso(text, pattern) == calendar.mktime(pattern.read(text))
    assert outputs("todate", 1.9) == ["1970-01-01T00:00:01Z"]
    assert outputs('format_time("%H:%M %Z %z"; "Europe/Berlin")', 0) == ["01:00 CET +0100"]


def test_whole_places_cut_as_any_do() -> None:
    """A slice by whole numbers is the slice between the places that `bounds` gives."""
    for start in (None, -9, -3, -1, 0, 2, 4, 9, 2**70, -(2**70)):
        for end in (None, -9, -2, 0, 1, 4, 9, 2**70):
            for value in ("abcd", [1, 2, 3, 4], "", []):
                low, high = bounds(len(value), start, end)
                assert slice_of(value, start, end, EvalBudget()) == value[low:high]


def test_paths_of_names_are_removed_as_any_paths_are() -> None:
    """`del` of names, of one within another and of places gives the same in whatever order they are written."""
    value = {"a": {"b": 1, "c": [1, 2, 3]}, "d": None, "é": 1}
    assert outputs('del(.a.b, .d, .["é"], .a.b)', value) == [{"a": {"c": [1, 2, 3]}}]
    assert outputs("del(.a.b, .a, .d)", value) == [{"é": 1}]
    assert outputs("del(.d, .a.c[0], .a.b, .a.c[2])", value) == [{"a": {"c": [2]}, "é": 1}]


@pytest.mark.filterwarnings("error")
def test_a_slice_of_a_constant_compiles_in_silence() -> None:
    """Python does not warn of the code for a slice of a constant."""
    assert outputs('[(true, 1)[:2]?, null[:2], "abc"[:2]]') == [[None, "ab"]]
