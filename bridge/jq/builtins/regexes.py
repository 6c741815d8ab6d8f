"""Built-ins with regular expressions: patterns and flags are constants, compiled with the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.jq.builtins.table import ARRAY, BOOLEAN, NOT_CONSTANT, OBJECT, STRING, Builtin
from bridge.jq.problems import JqProblem
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.nodes import Call, Comma

if TYPE_CHECKING:
    from bridge.jq.regex.matching import Regex

Prepare = Callable[[Call, list[JSON]], object]


def _one(_: list[int]) -> int:
    return 0


def _many(_: list[int]) -> int:
    return 2


def _of_second(counts: list[int]) -> int:
    return 0 if counts[1] == 0 else 2


def _regex(call: Call, constants: list[JSON], flags_at: int, *, everywhere: bool, captures: bool) -> Regex:
    """The compiled pattern of a call; `flags_at` is the argument with the flags. Raises JqProblem."""
    from bridge.jq.regex.matching import Regex
    from bridge.jq.regex.translate import translate

    at = call.args[0]
    source = constants[0]
    flags: object = constants[flags_at] if len(constants) > flags_at else None
    if type(source) is list and len(constants) == 1 and source and call.name in ("test", "match", "capture"):
        flags = source[1] if len(source) > 1 else None
        source = source[0]
    for value, what, where in ((source, "pattern", at), (flags, "flags", call.args[min(flags_at, len(constants) - 1)])):
        if value is NOT_CONSTANT:
            hint = 'write it as `"…"` here: patterns are checked when the rules load'
            if isinstance(where, Comma):
                hint = "arguments are divided by `;`, not `,`"
            elif where is at and len(constants) > 1 and constants[1] is not NOT_CONSTANT:
                hint = f'what it works on comes from the left: `… | {call.name}("…")`'
            raise JqProblem(
                "not-constant", f"the {what} of `{call.name}` must be a constant", where.start, where.end, hint
            )
    if type(source) is not str or not (flags is None or type(flags) is str):
        raise JqProblem("regex", f"the pattern and the flags of `{call.name}` are texts", at.start, at.end)
    pattern = translate(source, flags or "", everywhere=everywhere, start=at.start, end=at.end)
    return Regex(
        pattern,
        at.start,
        at.end,
        captures=captures,
        everywhere=pattern.everywhere and call.name != "test",
    )


def _method(name: str, *, everywhere: bool, captures: bool) -> Prepare:
    """What the method of that name of a `Regex` gives."""

    def prepare(call: Call, constants: list[JSON]) -> object:
        return getattr(_regex(call, constants, 1, everywhere=everywhere, captures=captures), name)

    return prepare


def _substitute(*, everywhere: bool) -> Prepare:
    """The Regex; nobody asks for groups where the replacement is a constant text."""

    def prepare(call: Call, constants: list[JSON]) -> object:
        return _regex(call, constants, 2, everywhere=everywhere, captures=type(constants[1]) is not str)

    return prepare


_test = _method("test", everywhere=False, captures=False)
_match = _method("matched", everywhere=False, captures=True)
_capture = _method("captured", everywhere=False, captures=True)
_scan = _method("scanned", everywhere=True, captures=True)
_splits = _method("parted", everywhere=True, captures=False)
_split = _method("parts", everywhere=True, captures=False)
_sub = _substitute(everywhere=False)
_gsub = _substitute(everywhere=True)
_ANY_MATCH = STRING | ARRAY
ROWS: list[Builtin] = [
    Builtin(
        "test/1",
        "Whether a pattern matches.",
        ('"order-17" | test("^order-\\\\d+$")', ("true",)),
        BOOLEAN,
        count=_one,
        prepare=_test,
        budget=True,
    ),
    Builtin(
        "test/2",
        "The same with flags.",
        ('"ABC" | test("b"; "i")', ("true",)),
        BOOLEAN,
        count=_one,
        prepare=_test,
        budget=True,
    ),
    Builtin(
        "match/1",
        "The match as `{offset, length, string, captures}`; nothing without one.",
        ('"abc" | match("b").offset', ("1",)),
        OBJECT,
        count=_many,
        prepare=_match,
        budget=True,
        stream=True,
    ),
    Builtin(
        "match/2",
        "The same with flags: all matches with `g`.",
        ('"aba" | [match("a"; "g").offset]', ("[0,2]",)),
        OBJECT,
        count=_many,
        prepare=_match,
        budget=True,
        stream=True,
    ),
    Builtin(
        "capture/1",
        "The named groups of the match as an object; nothing without one.",
        ('"order-17" | capture("-(?<number>\\\\d+)")', ('{"number":"17"}',)),
        OBJECT,
        count=_many,
        prepare=_capture,
        budget=True,
        stream=True,
    ),
    Builtin(
        "capture/2",
        "The same with flags.",
        ('"A1" | capture("(?<letter>a)"; "i")', ('{"letter":"A"}',)),
        OBJECT,
        count=_many,
        prepare=_capture,
        budget=True,
        stream=True,
    ),
    Builtin(
        "scan/1",
        "All matches as texts, or as lists of their groups.",
        ('"a1b22" | [scan("\\\\d+")]', ('["1","22"]',)),
        _ANY_MATCH,
        count=_many,
        prepare=_scan,
        budget=True,
        stream=True,
    ),
    Builtin(
        "scan/2",
        "The same with flags.",
        ('"aA" | [scan("a"; "i")]', ('["a","A"]',)),
        _ANY_MATCH,
        count=_many,
        prepare=_scan,
        budget=True,
        stream=True,
    ),
    Builtin(
        "split/2",
        "The parts of a text between matches, with flags (or null).",
        ('"a1b2c" | split("\\\\d"; null)', ('["a","b","c"]',)),
        ARRAY,
        count=_one,
        prepare=_split,
        budget=True,
    ),
    Builtin(
        "splits/1",
        "The parts of a text between matches.",
        ('"a1b2c" | [splits("\\\\d")]', ('["a","b","c"]',)),
        STRING,
        count=_many,
        prepare=_splits,
        budget=True,
        stream=True,
    ),
    Builtin(
        "splits/2",
        "The same with flags.",
        ('"aXbxc" | [splits("x"; "i")]', ('["a","b","c"]',)),
        STRING,
        count=_many,
        prepare=_splits,
        budget=True,
        stream=True,
    ),
    Builtin(
        "sub/2",
        "The first match replaced; named groups are fields of the input of the replacement.",
        ('"order-17" | sub("-(?<n>\\\\d+)"; " number \\(.n)")', ('"order number 17"',)),
        STRING,
        count=_of_second,
        prepare=_sub,
        written=True,
    ),
    Builtin(
        "sub/3",
        "The same with flags.",
        ('"ABC" | sub("b"; "-"; "i")', ('"A-C"',)),
        STRING,
        count=_of_second,
        prepare=_sub,
        written=True,
    ),
    Builtin(
        "gsub/2",
        "Every match replaced.",
        ('"a.b.c" | gsub("\\\\."; "-")', ('"a-b-c"',)),
        STRING,
        count=_of_second,
        prepare=_gsub,
        written=True,
    ),
    Builtin(
        "gsub/3",
        "The same with flags.",
        ('"aA" | gsub("a"; "-"; "i")', ('"--"',)),
        STRING,
        count=_of_second,
        prepare=_gsub,
        written=True,
    ),
]
