"""Built-ins on dates, and `format`; formats and zones are constants, checked with the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bridge.jq.builtins.table import ARRAY, NOT_CONSTANT, NUMBER, STRING, Builtin
from bridge.jq.problems import JqProblem
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import Call, Node

T = TypeVar("T")
_ISO = "%Y-%m-%dT%H:%M:%SZ"


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


def _constant(call: Call, constants: list[JSON], at: int, what: str) -> tuple[str, Node]:
    value, where = constants[at], call.args[at]
    if value is NOT_CONSTANT:
        message = f"the {what} of `{call.name}` must be a constant"
        hint = f'write it as `"…"` here: a {what} is checked when the rules load'
        raise JqProblem("not-constant", message, where.start, where.end, hint)
    if type(value) is not str:
        raise JqProblem("date-format", f"the {what} of `{call.name}` is a text", where.start, where.end)
    return value, where


def _format_of(call: Call, constants: list[JSON]) -> tuple[str, Node]:
    return _constant(call, constants, 0, "format") if constants else (_ISO, call)


def _made(make: Callable[[], T], where: Node, hint: str | None = None) -> T:
    try:
        return make()
    except ValueError as problem:
        raise JqProblem("date-format", str(problem), where.start, where.end, hint) from problem


def _zone_hint(name: str) -> str:
    """What to write for a zone that does not exist."""
    if "%" in name:
        return 'the format comes first: `format_time("%d.%m.%Y"; "Europe/Paris")`'
    return 'write a name of the IANA, such as `"Europe/Paris"`'


def _strftime(call: Call, constants: list[JSON]) -> object:
    """`strftime(format)`, `todate`, `todateiso8601`."""
    from bridge.jq.dates import calendar as dates

    text, where = _format_of(call, constants)
    form = _made(lambda: dates.DateFormat(text, zone=False), where)
    return lambda value: dates.strftime(value, form)


def _strptime(call: Call, constants: list[JSON]) -> object:
    """`strptime(format)`, `fromdate`, `fromdateiso8601`."""
    from bridge.jq.dates import calendar as dates

    text, where = _format_of(call, constants)
    form = _made(lambda: dates.DatePattern(text), where)
    return form.read if constants else lambda value: dates.from_iso(value, form)


def _format_time(call: Call, constants: list[JSON]) -> object:
    from bridge.jq.dates import calendar as dates

    text, where = _constant(call, constants, 0, "format")
    form = _made(lambda: dates.DateFormat(text, zone=True), where)
    name, place = _constant(call, constants, 1, "zone")
    zone = _made(lambda: dates.zone_of(name), place, _zone_hint(name))
    return lambda value: dates.format_time(value, form, zone)


def _format(call: Call, constants: list[JSON]) -> object:
    """`format("name")`: the same as `@name`."""
    from bridge.jq.runtime.formats import FORMATS

    name, where = _constant(call, constants, 0, "name")
    if name not in FORMATS:
        raise JqProblem("unknown-function", f"there is no format `{name}`", where.start, where.end)
    return FORMATS[name]


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
        prepare=_strftime,
    ),
    Builtin(
        "strptime/1",
        "A text as a broken-down time.",
        ('"1970-01-02" | strptime("%Y-%m-%d") | mktime', ("86400",)),
        ARRAY,
        count=_one,
        prepare=_strptime,
    ),
    Builtin(
        "todate/0",
        "Seconds as `2026-01-31T12:00:00Z`.",
        ("0 | todate", ('"1970-01-01T00:00:00Z"',)),
        STRING,
        count=_one,
        prepare=_strftime,
    ),
    Builtin(
        "todateiso8601/0",
        "The same as `todate`.",
        ("0 | todateiso8601", ('"1970-01-01T00:00:00Z"',)),
        STRING,
        count=_one,
        prepare=_strftime,
    ),
    Builtin(
        "fromdate/0",
        "`2026-01-31T12:00:00Z` as seconds; `parse_time` reads more.",
        ('"1970-01-01T00:00:01Z" | fromdate', ("1",)),
        NUMBER,
        count=_one,
        prepare=_strptime,
    ),
    Builtin(
        "fromdateiso8601/0",
        "The same as `fromdate`.",
        ('"1970-01-01T00:00:01Z" | fromdateiso8601', ("1",)),
        NUMBER,
        count=_one,
        prepare=_strptime,
    ),
    Builtin(
        "format/1",
        '`format("uri")` is `@uri`.',
        ('"a b" | format("uri")', ('"a%20b"',)),
        STRING,
        count=_one,
        prepare=_format,
        budget=True,
    ),
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
        prepare=_format_time,
    ),
]
