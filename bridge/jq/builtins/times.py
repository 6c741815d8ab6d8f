"""Built-ins on dates."""

from __future__ import annotations

from bridge.jq.builtins.table import ARRAY, NUMBER, STRING, Builtin
from bridge.jq.runtime.values import JSON


def gmtime(value: JSON) -> JSON:
    """Seconds since 1970 as a broken-down time."""
    from bridge.jq.dates import calendar as dates

    return dates.gmtime(value)


def mktime(value: JSON) -> JSON:
    """A broken-down time as seconds since 1970."""
    from bridge.jq.dates import calendar as dates

    return dates.mktime(value)


def parse_time(value: JSON) -> JSON:
    """A time of RFC 3339 as seconds since 1970."""
    from bridge.jq.dates import calendar as dates

    return dates.parse_time(value)


def _one(_: list[int]) -> int:
    return 0


ROWS: list[Builtin] = [
    Builtin(
        "gmtime/0",
        "Seconds since 1970 as `[year, month 0–11, day, hours, minutes, seconds, weekday, day of the year]`.",
        ("0 | gmtime", ("[1970,0,1,0,0,0,4,0]",)),
        ARRAY,
        gmtime,
    ),
    Builtin("mktime/0", "The reverse of `gmtime`.", ("[1970, 0, 2, 0, 0, 0] | mktime", ("86400",)), NUMBER, mktime),
    Builtin(
        "strftime/1",
        "Seconds or a broken-down time as text, in UTC.",
        ('0 | strftime("%A, %d %B %Y")', ('"Thursday, 01 January 1970"',)),
        STRING,
        count=_one,
    ),
    Builtin(
        "strptime/1",
        "A text as a broken-down time.",
        ('"1970-01-02" | strptime("%Y-%m-%d") | mktime', ("86400",)),
        ARRAY,
        count=_one,
    ),
    Builtin(
        "todate/0",
        "Seconds as `2026-01-31T12:00:00Z`.",
        ("0 | todate", ('"1970-01-01T00:00:00Z"',)),
        STRING,
        count=_one,
    ),
    Builtin(
        "todateiso8601/0",
        "The same as `todate`.",
        ("0 | todateiso8601", ('"1970-01-01T00:00:00Z"',)),
        STRING,
        count=_one,
    ),
    Builtin(
        "fromdate/0",
        "`2026-01-31T12:00:00Z` as seconds; `parse_time` reads more.",
        ('"1970-01-01T00:00:01Z" | fromdate', ("1",)),
        NUMBER,
        count=_one,
    ),
    Builtin(
        "fromdateiso8601/0",
        "The same as `fromdate`.",
        ('"1970-01-01T00:00:01Z" | fromdateiso8601', ("1",)),
        NUMBER,
        count=_one,
    ),
    Builtin("format/1", '`format("uri")` is `@uri`.', ('"a b" | format("uri")', ('"a%20b"',)), STRING, count=_one),
    Builtin(
        "parse_time/0",
        "A time of RFC 3339, with any fraction and offset, as seconds.",
        ('"1970-01-01T02:00:00.5+02:00" | parse_time', ("0.5",)),
        NUMBER,
        parse_time,
        ours=True,
    ),
    Builtin(
        "format_time/2",
        "Seconds as text in a zone of the IANA; the formats are those of `strftime`.",
        ('0 | format_time("%d.%m.%Y %H:%M"; "Europe/Berlin")', ('"01.01.1970 01:00"',)),
        STRING,
        count=_one,
        ours=True,
    ),
]
