"""Matching texts with translated patterns: by `re` where that gives the same and is linear, else by RE2 (ADR 0026)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import re2
from re2 import _re2

from bridge.jq.problems import JqError, JqProblem
from bridge.jq.regex.looking import ahead
from bridge.jq.regex.plain import Plain, plain
from bridge.jq.regex.translate import TranslatedRegex
from bridge.jq.runtime.arith import add, described
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.values import JSON

_MEMORY = 64 << 20
_SCANNED = 6
"""An attempt that may read 2**6 bytes counts as one step."""
_LONG, _LONG_FOR_ONE = 1 << 17, 1 << 8
"""Characters that `re` may look at, for all matches and for one. It looks at one in 5 to 30 ns, RE2 in 1; but a match
costs it a fifth of what it costs RE2."""
_NOWHERE = (-1, -1)
_UNANCHORED = _re2.RE2.Anchor.UNANCHORED
Span = tuple[int, int]
Spans = Sequence[Span]
"""Where the whole match and each group begin and end; (-1, -1) for what took no part."""


@lru_cache(maxsize=1024)
def compiled(translated: str, *, captures: bool) -> _re2.RE2:
    """A pattern, compiled by RE2. Raises re2.error."""
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.never_capture = not captures
    made = _re2.RE2(translated.encode(), options)
    if not made.ok():
        raise re2.error(made.error())
    return made


class Regex:
    """A compiled pattern with jq's meaning. Immutable; may be used by several threads.

    `captures`: somebody asks for its groups. `everywhere`: all matches are wanted, from left to right, not the first.
    """

    __slots__ = (
        "_ahead", "_any", "_ascii", "_ends", "_everywhere", "_find", "_lazy", "_named", "_names", "_short", "_tried",
    )  # fmt: skip

    def __init__(self, pattern: TranslatedRegex, start: int, end: int, *, captures: bool, everywhere: bool) -> None:
        try:
            self._find = compiled(pattern.translated, captures=captures and bool(pattern.names)).Match
        except re2.error as problem:
            message = f"RE2 refuses the pattern `{pattern.source}`: {problem}"
            raise JqProblem("regex", message, start, end, "make it smaller, above all its repeats") from problem
        self._names = pattern.names
        self._named = [(name, at) for at, name in enumerate(pattern.names, 1) if name is not None]
        self._ends, self._lazy, self._everywhere = pattern.anchored_end, pattern.lazy, everywhere
        self._ahead = ahead(pattern.shape) if everywhere else None
        forms = plain(pattern.shape, captures=captures) or Plain("", None, _LONG + 1)
        self._tried, self._short = forms.tried, (_LONG if everywhere else _LONG_FOR_ONE) // forms.tried
        self._ascii = re.compile(forms.ascii) if self._short else None
        self._any = None if forms.any is None else re.compile(forms.any)

    def test(self, value: JSON, budget: EvalBudget) -> bool:
        """Whether it matches anywhere."""
        text = _text(value)
        plain = self._plain(text)
        if plain is None:
            return next(self._by_re2(text.encode("utf-8", "surrogatepass"), budget), None) is not None
        budget.step(1 + (len(text) * self._tried >> _SCANNED))
        return plain.search(text) is not None

    def captured(self, value: JSON, budget: EvalBudget) -> Iterator[dict[str, JSON]]:
        """The named groups of each match as an object, as jq's `capture` gives them."""
        source, found = self._found(_text(value), budget)
        for spans in found:
            yield self._groups(source, spans)

    def scanned(self, value: JSON, budget: EvalBudget) -> Iterator[JSON]:
        """Each match as jq's `scan` gives it: its text, or those of its groups."""
        source, found = self._found(_text(value), budget)
        groups = bool(self._names)
        for spans in found:
            yield [_part(source, span) for span in spans[1:]] if groups else _part(source, spans[0])

    def matched(self, value: JSON, budget: EvalBudget) -> Iterator[dict[str, JSON]]:
        """Each match as jq's `match` gives it, with places in characters."""
        text = _text(value)
        source, found = self._found(text, budget)
        for spans in found if isinstance(source, str) else map(_Offsets(source).spans, found):
            start, end = spans[0]
            captures = [_capture(text, span, name) for span, name in zip(spans[1:], self._names, strict=True)]
            yield {"offset": start, "length": end - start, "string": text[start:end], "captures": captures}

    def parted(self, value: JSON, budget: EvalBudget) -> Iterator[str]:
        """The parts of a text between the matches."""
        source, found = self._found(_text(value), budget)
        at = 0
        for spans in found:
            start, end = spans[0]
            yield _cut(source, at, start)
            at = end
        yield _cut(source, at, len(source))

    def parts(self, value: JSON, budget: EvalBudget) -> list[str]:
        """The same as a list; only where nobody asks for groups."""
        text = _text(value)
        plain = self._plain(text)
        if plain is None or not self._everywhere:
            return list(self.parted(text, budget))
        budget.step(1 + (len(text) * self._tried >> _SCANNED))
        found: list[str] = plain.split(text)
        budget.step(len(found) - 1)
        return found

    def replaced(self, value: JSON, insert: str, budget: EvalBudget) -> str:
        """The text with a constant in place of each match."""
        parts = self.parts(value, budget)
        budget.built(sum(map(len, parts)) - len(parts[-1]) + (len(parts) - 1) * len(insert))
        return insert.join(parts)

    def gaps(self, value: JSON, budget: EvalBudget) -> Iterator[tuple[str, dict[str, JSON] | None]]:
        """The text before each match and its named groups; at last the text behind all matches, and None."""
        source, found = self._found(_text(value), budget)
        at = 0
        for spans in found:
            start, end = spans[0]
            yield _cut(source, at, start), self._groups(source, spans)
            at = end
        yield _cut(source, at, len(source)), None

    def _groups(self, source: str | bytes, spans: Spans) -> dict[str, JSON]:
        return {name: _part(source, spans[at]) for name, at in self._named}

    def _plain(self, text: str) -> re.Pattern[str] | None:
        if len(text) > self._short:
            return None
        return self._ascii if text.isascii() else self._any

    def _found(self, text: str, budget: EvalBudget) -> tuple[str | bytes, Iterator[Spans]]:
        """The matches, and what they are places in: the text, or its UTF-8."""
        plain = self._plain(text)
        if plain is not None:
            return text, self._by_re(plain, text, budget)
        data = text.encode("utf-8", "surrogatepass")
        return text if len(data) == len(text) else data, self._by_re2(data, budget)

    def _by_re(self, plain: re.Pattern[str], text: str, budget: EvalBudget) -> Iterator[Spans]:
        budget.step(1 + (len(text) * self._tried >> _SCANNED))
        if not self._everywhere:
            match = plain.search(text)
            if match is not None:
                yield match.regs
            return
        for match in plain.finditer(text):
            budget.steps -= 1
            if budget.steps < 0:
                budget.over()
            yield match.regs

    def _by_re2(self, data: bytes, budget: EvalBudget) -> Iterator[Spans]:
        """The matches, in bytes. Where a match may look ahead without bound, each is charged all that is left."""
        find, looks, everywhere = self._find, self._ahead, self._everywhere
        at, size = 0, len(data)
        short = data[:-1] if self._ends and data.endswith(b"\n") else None
        times = 1 if short is None else 2
        each, near = 1, -1
        if looks is not None:
            budget.step(times * ((size >> _SCANNED) << looks.whole))
            each += times * (looks.most >> _SCANNED)
            near = -1 if looks.whole else size - 4 * looks.most - 8
        while at <= size:
            budget.steps -= each if looks is not None else 1 + times * ((size - at) >> _SCANNED)
            if budget.steps < 0:
                budget.over()
            spans = find(_UNANCHORED, data, at, size)
            begin, end = spans[0]
            if short is not None and at < size and not -1 < end < near:
                spans = self._either(spans, find(_UNANCHORED, short, at, size - 1))
                begin, end = spans[0]
            if begin < 0:
                return
            yield spans
            if not everywhere:
                return
            at = end if end > begin else _next_character(data, end)

    def _either(self, whole: Spans, short: Spans) -> Spans:
        """`$` is also before a final newline: the match that comes first, of two at one place the one jq prefers."""
        (begin, end), (other, other_end) = whole[0], short[0]
        if begin < 0 or other < 0:
            return short if begin < 0 else whole
        if begin != other:
            return whole if begin < other else short
        return short if (other_end < end) == self._lazy else whole


def _text(value: JSON) -> str:
    if type(value) is not str:
        raise JqError(f"{described(value)} cannot be matched, as it is not a string")
    return value


def _cut(source: str | bytes, start: int, end: int) -> str:
    part = source[start:end]
    return part if isinstance(part, str) else part.decode("utf-8", "surrogatepass")


def _part(source: str | bytes, span: Span) -> str | None:
    """The text of a group; None where it took no part."""
    start, end = span
    return None if start < 0 else _cut(source, start, end)


def _capture(text: str, span: Span, name: str | None) -> JSON:
    low, high = span
    if low == high:
        return {"offset": low, "string": _part(text, span), "length": 0, "name": name}
    return {"offset": low, "length": high - low, "string": text[low:high], "name": name}


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

    def spans(self, spans: Spans) -> Spans:
        """Spans in characters. Groups are within the match."""
        begin, end = spans[0]
        start = self._character + self._length(self._byte, begin)
        length = self._length(begin, end)
        self._byte, self._character = end, start + length
        if length == end - begin:
            shift = start - begin
            return [(low + shift, high + shift) if low >= 0 else _NOWHERE for low, high in spans]
        return [
            (start + self._length(begin, low), start + self._length(begin, high)) if low >= 0 else _NOWHERE
            for low, high in spans
        ]

    def _length(self, low: int, high: int) -> int:
        return len(self._data[low:high].decode("utf-8", "surrogatepass"))


def inserted(results: list[JSON], gap: str, inserts: list[JSON], budget: EvalBudget) -> None:
    """Append the text before a match and what replaces the match, for each stream of replacements."""
    for index, insert in enumerate(inserts):
        part = joined(gap, insert, budget)
        if index < len(results):
            results[index].append(part)
        else:
            results.append([part])


def joined(gap: str, insert: JSON, budget: EvalBudget) -> str:
    """The text before a match and what replaces the match. Raises JqError where that is no text."""
    part: str = gap + insert if type(insert) is str else add(gap, insert, budget)
    budget.built(len(part))
    return part


def finished(results: list[JSON], value: str, rest: str) -> list[str]:
    """The texts with what stands behind the last match."""
    return ["".join(parts) + rest for parts in results] or [value]
