"""Matching texts with translated patterns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import re2

from bridge.jq.problems import JqError, JqProblem
from bridge.jq.regex.translate import TranslatedRegex
from bridge.jq.runtime.arith import add, described
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.values import JSON

_MEMORY = 64 << 20
_SCANNED = 6
"""An attempt that may read 2**6 bytes counts as one step."""
Span = tuple[int, int]
_NOWHERE = (-1, -1)


@lru_cache(maxsize=1024)
def compiled(translated: str) -> re2._Regexp:
    """A pattern, compiled by RE2. Raises re2.error."""
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    return re2.compile(translated, options)


class Match(NamedTuple):
    """One match: the spans of the whole and of each group, in characters."""

    text: str
    spans: tuple[Span, ...]
    names: tuple[str | None, ...]

    def part(self, index: int) -> str | None:
        """The text of the whole (0) or of a group; None where the group took no part."""
        start, end = self.spans[index]
        return None if start < 0 else self.text[start:end]


class Regex:
    """A compiled pattern with jq's meaning. Immutable; may be used by several threads."""

    __slots__ = ("_end", "_names", "_pattern")

    def __init__(self, pattern: TranslatedRegex, start: int, end: int) -> None:
        try:
            self._end = compiled(pattern.translated)
        except re2.error as problem:
            message = f"RE2 refuses the pattern `{pattern.source}`: {problem}"
            raise JqProblem("regex", message, start, end, "make it smaller, above all its repeats") from problem
        self._pattern = pattern
        self._names = pattern.names

    def test(self, value: JSON, budget: EvalBudget) -> bool:
        """Whether it matches anywhere."""
        for _ in self.matches(value, budget, first=True):
            return True
        return False

    def matches(self, value: JSON, budget: EvalBudget, *, first: bool = False) -> Iterator[Match]:
        """The matches, from left to right: all of them if the pattern is to match everywhere."""
        if type(value) is not str:
            raise JqError(f"{described(value)} cannot be matched, as it is not a string")
        text: str = value
        everywhere = self._pattern.everywhere and not first
        data = text.encode("utf-8", "surrogatepass")
        places = None if len(data) == len(text) else _Offsets(data)
        for spans in self._spans(data, budget, everywhere=everywhere):
            found = spans if places is None else tuple(places.span(span) for span in spans)
            yield Match(text, found, self._names)

    def _spans(self, data: bytes, budget: EvalBudget, *, everywhere: bool) -> Iterator[tuple[Span, ...]]:
        at, size = 0, len(data)
        short = data[:-1] if self._pattern.anchored_end and data.endswith(b"\n") else None
        while at <= size:
            budget.step(1 + ((size - at) >> _SCANNED) * (1 if short is None else 2))
            spans = self._attempt(data, at)
            if short is not None and at < size:
                spans = self._either(spans, self._attempt(short, at))
            if spans is None:
                return
            yield spans
            if not everywhere:
                return
            begin, end = spans[0]
            at = end if end > begin else _next_character(data, end)

    def _either(self, whole: tuple[Span, ...] | None, short: tuple[Span, ...] | None) -> tuple[Span, ...] | None:
        """`$` is also before a final newline: the match that comes first, of two at one place the one jq prefers."""
        if whole is None or short is None:
            return whole or short
        (begin, end), (other, other_end) = whole[0], short[0]
        if begin != other:
            return whole if begin < other else short
        return short if (other_end < end) == self._pattern.lazy else whole

    def _attempt(self, data: bytes, at: int) -> tuple[Span, ...] | None:
        match = self._end.search(data, at)
        if match is None:
            return None
        return tuple(match.span(group) for group in range(len(self._names) + 1))


def _next_character(data: bytes, at: int) -> int:
    """The place behind the character at a place."""
    at += 1
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


class _Offsets:
    """Turns places in bytes into places in characters, in one pass from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._byte = 0
        self._character = 0

    def span(self, span: Span) -> Span:
        """A span in characters."""
        return _NOWHERE if span[0] < 0 else (self._place(span[0]), self._place(span[1]))

    def _place(self, byte: int) -> int:
        if byte >= self._byte:
            self._character += len(self._data[self._byte : byte].decode("utf-8", "surrogatepass"))
        else:
            self._character -= len(self._data[byte : self._byte].decode("utf-8", "surrogatepass"))
        self._byte = byte
        return self._character


def named(match: Match) -> dict[str, JSON]:
    """The named groups of a match as an object, as jq's `capture` gives it."""
    return {name: match.part(at + 1) for at, name in enumerate(match.names) if name is not None}


def match_object(match: Match) -> dict[str, JSON]:
    """A match as jq's `match` gives it."""
    start, end = match.spans[0]
    captures: list[JSON] = []
    for index, name in enumerate(match.names, 1):
        low, high = match.spans[index]
        if low == high:
            captures.append({"offset": low, "string": match.part(index), "length": 0, "name": name})
        else:
            captures.append({"offset": low, "length": high - low, "string": match.part(index), "name": name})
    return {"offset": start, "length": end - start, "string": match.part(0), "captures": captures}


def scanned(match: Match) -> JSON:
    """A match as jq's `scan` gives it: its text, or those of its groups."""
    if not match.names:
        return match.part(0)
    return [match.part(index) for index in range(1, len(match.names) + 1)]


def pieces(regex: Regex, value: JSON, budget: EvalBudget) -> Iterator[JSON]:
    """The parts of a text between the matches."""
    at = 0
    for match in regex.matches(value, budget):
        start, end = match.spans[0]
        yield value[at:start]
        at = end
    yield value[at:]


def inserted(results: list[JSON], gap: str, inserts: list[JSON], budget: EvalBudget) -> None:
    """Append the text before a match and what replaces the match, for each stream of replacements."""
    for index, insert in enumerate(inserts):
        part = gap + insert if type(insert) is str else add(gap, insert, budget)
        budget.built(len(part))
        if index < len(results):
            results[index].append(part)
        else:
            results.append([part])


def finished(results: list[JSON], value: str, at: int) -> list[str]:
    """The texts with what stands behind the last match."""
    rest = value[at:]
    return ["".join(parts) + rest for parts in results] or [value]
