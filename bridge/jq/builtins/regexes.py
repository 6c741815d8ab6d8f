"""Built-ins with regular expressions; the code generator writes them."""

from __future__ import annotations

from bridge.jq.builtins.table import ARRAY, BOOLEAN, OBJECT, STRING, Builtin


def _one(_: list[int]) -> int:
    return 0


def _many(_: list[int]) -> int:
    return 2


def _of_second(counts: list[int]) -> int:
    return 0 if counts[1] == 0 else 2


_ANY_MATCH = STRING | ARRAY
ROWS: list[Builtin] = [
    Builtin(
        "test/1", "Whether a pattern matches.", ('"order-17" | test("^order-\\\\d+$")', ("true",)), BOOLEAN, count=_one
    ),
    Builtin("test/2", "The same with flags.", ('"ABC" | test("b"; "i")', ("true",)), BOOLEAN, count=_one),
    Builtin(
        "match/1",
        "The match as `{offset, length, string, captures}`; nothing without one.",
        ('"abc" | match("b").offset', ("1",)),
        OBJECT,
        count=_many,
    ),
    Builtin(
        "match/2",
        "The same with flags: all matches with `g`.",
        ('"aba" | [match("a"; "g").offset]', ("[0,2]",)),
        OBJECT,
        count=_many,
    ),
    Builtin(
        "capture/1",
        "The named groups of the match as an object; nothing without one.",
        ('"order-17" | capture("-(?<number>\\\\d+)")', ('{"number":"17"}',)),
        OBJECT,
        count=_many,
    ),
    Builtin(
        "capture/2",
        "The same with flags.",
        ('"A1" | capture("(?<letter>a)"; "i")', ('{"letter":"A"}',)),
        OBJECT,
        count=_many,
    ),
    Builtin(
        "scan/1",
        "All matches as texts, or as lists of their groups.",
        ('"a1b22" | [scan("\\\\d+")]', ('["1","22"]',)),
        _ANY_MATCH,
        count=_many,
    ),
    Builtin("scan/2", "The same with flags.", ('"aA" | [scan("a"; "i")]', ('["a","A"]',)), _ANY_MATCH, count=_many),
    Builtin(
        "split/2",
        "The parts of a text between matches, with flags (or null).",
        ('"a1b2c" | split("\\\\d"; null)', ('["a","b","c"]',)),
        ARRAY,
        count=_one,
    ),
    Builtin(
        "splits/1",
        "The parts of a text between matches.",
        ('"a1b2c" | [splits("\\\\d")]', ('["a","b","c"]',)),
        STRING,
        count=_many,
    ),
    Builtin(
        "splits/2", "The same with flags.", ('"aXbxc" | [splits("x"; "i")]', ('["a","b","c"]',)), STRING, count=_many
    ),
    Builtin(
        "sub/2",
        "The first match replaced; named groups are fields of the input of the replacement.",
        ('"order-17" | sub("-(?<n>\\\\d+)"; " number \\(.n)")', ('"order number 17"',)),
        STRING,
        count=_of_second,
    ),
    Builtin("sub/3", "The same with flags.", ('"ABC" | sub("b"; "-"; "i")', ('"A-C"',)), STRING, count=_of_second),
    Builtin(
        "gsub/2", "Every match replaced.", ('"a.b.c" | gsub("\\\\."; "-")', ('"a-b-c"',)), STRING, count=_of_second
    ),
    Builtin("gsub/3", "The same with flags.", ('"aA" | gsub("a"; "-"; "i")', ('"--"',)), STRING, count=_of_second),
]
