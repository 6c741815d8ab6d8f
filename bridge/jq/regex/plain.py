"""Patterns that `re` may read: those that it reads as RE2 does, in linear time by construction (ADR 0026)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bridge.jq.regex.shape import Chars, Either, Group, Row, Shape, Times, complement, ranges

_MOST_WAYS = 32
_MOST_TRIED = 64
_MOST_COPIES = 16
_MOST_RANGES = 16
"""A class of more ranges is too slow in `re` beyond ASCII, where it looks at one range after the other."""


class Plain(NamedTuple):
    """A pattern as `re` reads it, for texts in ASCII, and for all texts (None where that would be slow).

    `tried`: so many characters, over all ways, are looked at before an attempt fails or has its match.
    """

    ascii: str
    any: str | None
    tried: int


def plain(shape: Shape, *, captures: bool) -> Plain | None:
    """The pattern for `re`, where that gives what RE2 gives and is linear, too; else None.

    Ways of one class after the other, of which only the last may be repeated: a way either fails within a bounded
    number of characters or matches, and nothing is ever tried again.
    """
    ways = _ways(shape)
    if ways is None or len(ways) > _MOST_WAYS or not all(way.least for way in ways):
        return None
    tried = sum(way.least for way in ways)
    if tried > _MOST_TRIED:
        return None
    classes = {chars for way in ways for chars in way.chars}
    small = all(len(ranges(chars.inside)) <= _MOST_RANGES for chars in classes)
    return Plain(_spelt(shape, _in_ascii, captures), _spelt(shape, _in_any, captures) if small else None, tried)


class _Way(NamedTuple):
    """One way through a pattern: how many characters it needs, whether it may go on, and its classes."""

    least: int = 0
    open: bool = False
    chars: tuple[Chars, ...] = ()


def _ways(shape: Shape) -> list[_Way] | None:
    """The ways through a shape; None where one could be tried again in another way."""
    if isinstance(shape, Chars):
        return None if shape.any_case else [_Way(1, chars=(shape,))]
    if isinstance(shape, Group):
        return _ways(shape.part)
    if isinstance(shape, Times):
        return _repeated(shape)
    if isinstance(shape, Either):
        found = [_ways(part) for part in shape.parts]
        return None if None in found else [way for ways in found if ways is not None for way in ways]
    if isinstance(shape, Row):
        return _in_a_row(shape)
    return None


def _repeated(shape: Times) -> list[_Way] | None:
    if not isinstance(shape.part, Chars) or shape.part.any_case or shape.lazy or shape.least > _MOST_COPIES:
        return None
    return [_Way(shape.least, shape.most != shape.least, (shape.part,))]


def _in_a_row(shape: Row) -> list[_Way] | None:
    before = _Way()
    ways: list[_Way] | None = [before]
    for part in shape.parts:
        if ways is None or len(ways) != 1 or ways[0].open:
            return None
        before = ways[0]
        ways = _ways(part)
        if ways is not None:
            ways = [_Way(before.least + way.least, way.open, before.chars + way.chars) for way in ways]
    return ways


def _spelt(shape: Shape, spell: Callable[[Chars], str], captures: bool) -> str:
    def spelt(part: Shape) -> str:
        if isinstance(part, Chars):
            return spell(part)
        if isinstance(part, Row):
            return "".join(map(spelt, part.parts))
        if isinstance(part, Either):
            return f"(?:{'|'.join(map(spelt, part.parts))})"
        if isinstance(part, Times):
            return f"{spelt(part.part)}{{{part.least},{'' if part.most is None else part.most}}}"
        if isinstance(part, Group):
            return f"({'' if captures and part.captures else '?:'}{spelt(part.part)})"
        raise AssertionError(part)

    return spelt(shape)


def _in_ascii(chars: Chars) -> str:
    """A class of the characters in ASCII only; no anchor and no flag changes what it means."""
    inside = ranges(chars.inside)
    found = complement(inside) if chars.negated else inside
    return _class([(low, min(high, 0x7F)) for low, high in found if low <= 0x7F])


def _in_any(chars: Chars) -> str:
    return _class(ranges(chars.inside), "^" if chars.negated else "")


def _class(inside: Sequence[tuple[int, int]], prefix: str = "") -> str:
    if not inside:
        return r"[\s\S]" if prefix else "(?!)"
    return f"[{prefix}{''.join(f'{_character(low)}-{_character(high)}' for low, high in inside)}]"


def _character(code: int) -> str:
    return f"\\U{code:08x}"
