"""Dates: the same as libjq's, zones and RFC 3339 besides."""

from __future__ import annotations

import json
from random import Random

import jq
import pytest
from hypothesis import given, settings, strategies as st

from bridge.jq import EvalBudget, JqError, compile_program, tojson_text
from bridge.jq.runtime.values import JSON
from tests.jq.given import outputs, problem

FORMAT = (
    "%A %a %B %b %C %D %d %e %F %G %g %H %I %j %k %l %M %m %n %P %p %R %r %S %T %t %U %u %V %W %w %Y %y %% %Z %z %h"
)
WRITE = compile_program(f"[strftime({json.dumps(FORMAT)}), todate, gmtime, (gmtime | mktime)]")
THEIRS = jq.compile(f"[strftime({json.dumps(FORMAT)}), todate, gmtime, (gmtime | mktime)]")


@settings(max_examples=300, deadline=None)
@given(st.integers(-(10**11), 10**12).filter(lambda seconds: seconds not in (-1, -2)))
def test_times_are_written_as_libjq_does(seconds: int) -> None:
    """Every directive of `strftime` gives what the oracle gives, from the years of the Romans on."""
    # libjq takes -1 and -2 of `mktime` for failures: the page of differences says so.
    assert WRITE.one(seconds, (), EvalBudget()) == THEIRS.input_value(seconds).first()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-40, 400), min_size=5, max_size=5), st.integers(1902, 2100))
def test_fields_beyond_their_range_carry_over(parts: list[int], year: int) -> None:
    """`mktime` and `strftime` take months, days, hours … that do not exist as libjq does."""
    value = [year, *parts]
    program = "[mktime, todate]"
    assert outputs(program, value) == [jq.compile(program).input_value(value).first()]


READ = [
    ("%Y-%m-%dT%H:%M:%SZ", "2015-03-05T23:51:47Z"), ("%Y-%m-%d", "2015-2-30"), ("%d %b %Y", "3 mar 2015"), ("%d/%m/%y", "3/03/69"),
    ("%Y %j", "2015 100"), ("%Y-%m-%d", " 2015-2-3"), ("%Y-%m-%d", "2015-2-3 x"), ("%Y-%m-%d", "2015-2-3x"), ("%F %T", "2015-03-05 23:51:47"),
    ("%D %r", "03/05/15 11:51:47 PM"), ("%a, %d %b %Y %H:%M:%S GMT", "Thu, 05 Mar 2015 23:51:47 GMT"), ("%Y-%m-%d %I %p", "2015-03-05 12 am"),
    ("%Y%m%d", "20150303"), ("%Y-%m-%d", "0000-03-05"), ("%Y-%B-%e", "2015-mAy- 1"), ("%Y-%m-%dT%H:%M:%SZ", "2015-03-05t23:51:47z"),
    ("%Y-%m-%d %H", "2015-03-05 24"), ("%Y-%m-%d", "2015-13-05"), ("%n%Y-%m-%d%t", " 2015-03-05 "), ("%Y-%m-%d%%", "2015-03-05%"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text"), READ)
def test_times_are_read_as_libjq_does(form: str, text: str) -> None:
    """`strptime` gives what the oracle gives, or fails as it does."""
    program = f"try strptime({json.dumps(form)}) catch null"
    assert outputs(program, text) == [jq.compile(program).input_value(text).first()]


def test_what_depends_on_the_machine_is_refused() -> None:
    """Locale, the machine's zone and computed formats are problems at compile time."""
    for form in ("%c", "%x", "%X", "%s", "%Ex", "%Q", "%", "%-d"):
        assert problem(f'strftime("{form}")').code == "date-format"
    for form in ("%s", "%z", "%Z", "%c", "%H:%M", "%Y", "%Y-%m"):
        assert problem(f'strptime("{form}")').code == "date-format"
    assert problem("strftime(.a)").code == "not-constant"
    assert problem('format_time("%Y"; .zone)').code == "not-constant"
    for zone in ("Europe/Pariss", "../../etc/passwd", "/etc/localtime", "Europe", "", "Europe/Paris\0"):
        assert problem(f'format_time("%Y"; {json.dumps(zone)})').code == "date-format"


RFC3339 = [
    ("2026-01-31T12:00:00Z", 1769860800), ("2026-01-31T12:00:00+02:00", 1769853600), ("2026-01-31 12:00:00.25-0530", 1769880600.25),
    ("2026-01-31t12:00:00.123456789z", 1769860800.123456789), ("1969-12-31T23:59:59.5Z", -0.5), ("2016-12-31T23:59:60Z", 1483228800),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), RFC3339)
def test_rfc_3339_is_read(text: str, seconds: float) -> None:
    """`parse_time` reads any fraction and offset."""
    assert outputs("parse_time", text) == [seconds]


@pytest.mark.parametrize("value", ["2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T12:00:00", "2026-01-31T25:00:00Z", 5, None, "",
                                   "2026-01-31T12:00:00+99:00", "٢026-01-31T12:00:00Z"])  # fmt: skip
def test_what_is_no_time_fails(value: JSON) -> None:
    """Anything else is an error of the record."""
    with pytest.raises(JqError):
        outputs("parse_time", value)


def test_zones_are_known_by_name() -> None:
    """`format_time` writes a moment in a zone, summer time included."""
    program = 'format_time("%Y-%m-%d %H:%M %Z %z"; "Europe/Paris")'
    assert outputs(program, 1769860800) == ["2026-01-31 13:00 CET +0100"]
    assert outputs(program, 1785499200.9) == ["2026-07-31 14:00 CEST +0200"]
    assert outputs('format_time("%A %d. %B, %I %p"; "America/New_York")', 0) == ["Wednesday 31. December, 07 PM"]
    for value in ("x", None, 1e18):
        with pytest.raises(JqError):
            outputs(program, value)


def test_numbers_print_as_libjq_prints_computed_ones() -> None:
    """Doubles as text: the oracle's digits and layout, over many magnitudes."""
    random = Random(7)
    numbers = [random.uniform(-1, 1) * 10 ** random.randrange(-320, 309) for _ in range(2000)]
    numbers += [0.1, 1e-5, 0.0001, 1.5, 1e22, 123456789.123, 5e-324, 1.7976931348623157e308, 2**53 + 0.0, 1e21 + 0.0]
    found = jq.compile("[.[] | . * 1 | tojson]").input_text(json.dumps(numbers)).first()
    for number, text in zip(numbers, found, strict=True):
        if not number.is_integer() or abs(number) >= 2**64:
            assert tojson_text(number) == text
