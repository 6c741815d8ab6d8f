"""The shape of a pattern, as its parts, and which characters its classes match."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import NamedTuple

LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]
"""Characters, as first and last code points in order."""


class Chars(NamedTuple):
    """One character: `inside` as RE2 writes the inside of a class. `any_case`: RE2 reads it without regard to case."""

    inside: str
    negated: bool = False
    any_case: bool = False


class Row(NamedTuple):
    """One after the other."""

    parts: tuple[Shape, ...]


class Either(NamedTuple):
    """The first that leads to a match."""

    parts: tuple[Shape, ...]


class Times(NamedTuple):
    """A repeat; `most` is None where it has no bound."""

    part: Shape
    least: int
    most: int | None
    lazy: bool


class Group(NamedTuple):
    """What is between brackets."""

    part: Shape
    captures: bool


class Anchor(NamedTuple):
    """The beginning or the end of the text."""

    end: bool


Shape = Chars | Row | Either | Times | Group | Anchor

_RANGE = re.compile(r"\\x\{([0-9a-f]+)\}(?:-\\x\{([0-9a-f]+)\})?")


@cache
def ranges(inside: str) -> Ranges:
    """The characters of the inside of a class."""
    spelt = inside.replace(r"\t-\r ", r"\x{9}-\x{d}\x{20}")
    found = sorted((int(low, 16), int(high or low, 16)) for low, high in _RANGE.findall(spelt))
    joined: list[tuple[int, int]] = []
    for low, high in found:
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def complement(of: Ranges) -> Ranges:
    """All other characters."""
    edges = [(-1, -1), *of, (LAST + 1, LAST + 1)]
    return tuple((before + 1, after - 1) for (_, before), (after, _) in pairwise(edges) if before + 1 < after)


@cache
def at_most(chars: Chars) -> Ranges:
    """All that a class may match, perhaps more: where case does not count, everything beyond ASCII folds to anything."""
    inside = ranges(chars.inside)
    if chars.negated:
        return complement(inside)
    if not chars.any_case:
        return inside
    codes = {code for low, high in inside for code in range(low, min(high, 0x7F) + 1)}
    folded = codes | {ord(other) for code in codes for other in chr(code).swapcase()}
    beyond = inside[-1][1] > 0x7F if inside else False
    if beyond:
        folded |= set(b"kKsS")
    if beyond or folded & set(b"ks"):
        return (*((code, code) for code in sorted(folded)), (0x80, LAST))
    return tuple((code, code) for code in sorted(folded))


def _at_least(chars: Chars) -> Ranges:
    """What a class matches, perhaps less."""
    if not chars.negated:
        return ranges(chars.inside)
    return () if chars.any_case else complement(ranges(chars.inside))


def common(one: Ranges, other: Ranges) -> Ranges:
    """The characters in both."""
    found: list[tuple[int, int]] = []
    at = 0
    for low, high in one:
        while at < len(other) and other[at][1] < low:
            at += 1
        seen = at
        while seen < len(other) and other[seen][0] <= high:
            found.append((max(low, other[seen][0]), min(high, other[seen][1])))
            seen += 1
    return tuple(found)


@cache
def chars_but(chars: Chars, others: frozenset[Chars]) -> Ranges:
    """All that a class may match and none of the others surely does."""
    left = at_most(chars)
    for other in others:
        left = common(left, complement(_at_least(other)))
    return left


@cache
def meet(one: Chars, other: Chars) -> bool:
    """Whether some character may be in both."""
    return bool(common(at_most(one), at_most(other)))
