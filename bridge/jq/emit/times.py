"""Built-ins on dates whose formats and zones are constants, checked with the program."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.emit.generator import Generator, Sink
from bridge.jq.emit.scope import NOT_CONSTANT, Scope
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.nodes import Call, Node

ISO = "%Y-%m-%dT%H:%M:%SZ"


def _constant(generator: Generator, node: Call, at: int, scope: Scope, what: str) -> tuple[str, Node]:
    where = node.args[at]
    value = generator.constant(where, scope)
    if value is NOT_CONSTANT:
        message = f"the {what} of `{node.name}` must be a constant"
        hint = f'write it as `"…"` here: a {what} is checked when the rules load'
        raise JqProblem("not-constant", message, where.start, where.end, hint)
    if type(value) is not str:
        raise JqProblem("date-format", f"the {what} of `{node.name}` is a text", where.start, where.end)
    return value, where


def _made(generator: Generator, make: Callable[[], object], where: Node, hint: str | None = None) -> str:
    try:
        return generator.code.thing(make(), "D")
    except ValueError as problem:
        raise JqProblem("date-format", str(problem), where.start, where.end, hint) from problem


def zone_hint(name: str) -> str:
    """What to write for a zone that does not exist."""
    if "%" in name:
        return 'the format comes first: `format_time("%d.%m.%Y"; "Europe/Paris")`'
    return 'write a name of the IANA, such as `"Europe/Paris"`'


def strftime(generator: Generator, node: Call, scope: Scope, v: str) -> str:
    """`strftime(format)`, `todate`, `todateiso8601`."""
    from bridge.jq.dates import calendar as dates

    text, where = _constant(generator, node, 0, scope, "format") if node.args else (ISO, node)
    form = _made(generator, lambda: dates.DateFormat(text, zone=False), where)
    return generator.keep(f"{generator.code.thing(dates.strftime, 'D')}({v}, {form})")


def strptime(generator: Generator, node: Call, scope: Scope, v: str) -> str:
    """`strptime(format)`, `fromdate`, `fromdateiso8601`."""
    from bridge.jq.dates import calendar as dates, parsing as reading

    text, where = _constant(generator, node, 0, scope, "format") if node.args else (ISO, node)
    form = _made(generator, lambda: reading.DatePattern(text), where)
    parts = generator.keep(f"{form}.read({v})")
    return parts if node.args else generator.keep(f"{generator.code.thing(dates.mktime, 'D')}({parts})")


def format_time(generator: Generator, node: Call, scope: Scope, v: str) -> str:
    """`format_time(format; zone)`."""
    from bridge.jq.dates import calendar as dates

    text, where = _constant(generator, node, 0, scope, "format")
    form = _made(generator, lambda: dates.DateFormat(text, zone=True), where)
    name, place = _constant(generator, node, 1, scope, "zone")
    zone = _made(generator, lambda: dates.zone_of(name), place, zone_hint(name))
    return generator.keep(f"{generator.code.thing(dates.format_time, 'D')}({v}, {form}, {zone})")


def format_(generator: Generator, node: Call, scope: Scope, v: str) -> str:
    """`format("name")`: the same as `@name`."""
    from bridge.jq.runtime.formats import FORMATS

    name, where = _constant(generator, node, 0, scope, "name")
    if name not in FORMATS:
        raise JqProblem("unknown-function", f"there is no format `{name}`", where.start, where.end)
    return generator.keep(f"{generator.code.thing(FORMATS[name], 'F')}({v}, B)")


Write = Callable[[Generator, Call, Scope, str], str]
ONES: dict[str, Write] = {
    "strftime/1": strftime,
    "todate/0": strftime,
    "todateiso8601/0": strftime,
    "strptime/1": strptime,
    "fromdate/0": strptime,
    "fromdateiso8601/0": strptime,
    "format_time/2": format_time,
    "format/1": format_,
}


def _each(write: Write) -> Callable[[Generator, Call, Scope, str, Sink], None]:
    return lambda generator, node, scope, v, sink: sink.write(write(generator, node, scope, v))


EACH = {key: _each(write) for key, write in ONES.items()}
