"""The nodes of a composed YAML document: values with their place in the file."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bridge.findings import Finding, Severity

__all__ = [
    "Document",
    "EntryNode",
    "ListNode",
    "MappingNode",
    "Place",
    "Plain",
    "Scalar",
    "Source",
    "Style",
    "YamlNode",
]

Style = Literal["plain", "single", "double", "literal", "folded"]
Plain = None | bool | int | float | str
"""What a scalar can be: JSON's values."""


class Place(NamedTuple):
    """A place in a file: `line` and `column` count from 1, `index` from 0, all in characters."""

    line: int
    column: int
    index: int  # type: ignore[assignment]  # nobody searches in a place


class Source:
    """The text of one file, with its lines; `path` is as the user gave it."""

    __slots__ = ("_places", "_starts", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._starts: list[int] | None = None
        self._places: dict[tuple[int, int], Place] = {}

    def place(self, index: int) -> Place:
        """Turn an index into the text to a place; an index beyond the end is the end."""
        if self._starts is None:
            self._starts = _line_starts(self.text)
        index = max(0, min(index, len(self.text)))
        line = bisect_right(self._starts, index)
        return Place(line, index - self._starts[line - 1] + 1, index)

    def place_in(self, scalar: Scalar, offset: int) -> Place:
        """Turn an offset into a scalar's text to a place; searched once for each, since faults name it record by record."""
        name = (scalar.start.index, offset)
        place = self._places.get(name)
        if place is None:
            span = self.text[scalar.start.index : scalar.end.index]
            offsets = _offsets_of(span, scalar.text, scalar.style)
            index = scalar.start.index + offsets[max(0, min(offset, len(scalar.text)))]
            place = self._places[name] = self.place(index)
        return place

    def finding(
        self, code: str, start: int, end: int, message: str, hint: str | None = None, severity: Severity = "error"
    ) -> Finding:
        """Make a finding about the text between two indices; its end is kept where it is on the same line."""
        first, last = self.place(start), self.place(end)
        end_column = last.column if last.line == first.line and last.column > first.column else 0
        return Finding(code, severity, self.path, first.line, first.column, end_column, message, hint)

    def __repr__(self) -> str:
        return f"Source({self.path!r}, {len(self.text)} characters)"


def _line_starts(text: str) -> list[int]:
    starts = [0]
    index = 0
    for line in text.splitlines(keepends=True):
        index += len(line)
        if line[-1] in "\r\n":
            starts.append(index)
    return starts


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `value` is JSON's reading of it; `text` is the decoded text it was written as.

    `start` and `end` enclose the whole of it in the file, quotes included.
    """

    value: Plain
    text: str
    style: Style
    start: Place
    end: Place
    source: Source = field(repr=False, compare=False)

    def place(self, offset: int) -> Place:
        """Return where in the file the character at `offset` of `text` stands (`len(text)`: behind the last).

        Exact for every style but folded ones, whose white space is a guess. The first search for an offset costs a pass
        over the scalar.
        """
        return self.source.place_in(self, offset)

    def finding(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        severity: Severity = "error",
        span: tuple[int, int] | None = None,
    ) -> Finding:
        """Make a finding about this scalar, or about the stretch `span` (offsets into `text`) of it."""
        if span is None:
            return self.source.finding(code, self.start.index, self.end.index, message, hint, severity)
        first = self.place(span[0]).index
        last = self.place(max(span[0], span[1] - 1)).index + 1
        return self.source.finding(code, first, last, message, hint, severity)


@dataclass(frozen=True, slots=True)
class EntryNode:
    """One `key: value` of a mapping; the key's `value` is always text."""

    key: Scalar
    value: YamlNode

    @property
    def name(self) -> str:
        return self.key.text


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys and values in the order of the file; of a key written twice (a finding) the first is kept."""

    entries: tuple[EntryNode, ...]
    start: Place
    end: Place
    source: Source = field(repr=False, compare=False)

    def get(self, name: str) -> YamlNode | None:
        entry = self.entry(name)
        return None if entry is None else entry.value

    def entry(self, name: str) -> EntryNode | None:
        return next((entry for entry in self.entries if entry.key.text == name), None)

    def __iter__(self) -> Iterator[EntryNode]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def finding(self, code: str, message: str, hint: str | None = None, *, severity: Severity = "error") -> Finding:
        return self.source.finding(code, self.start.index, self.end.index, message, hint, severity)


@dataclass(frozen=True, slots=True)
class ListNode:
    """The items of a list, in order."""

    items: tuple[YamlNode, ...]
    start: Place
    end: Place
    source: Source = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[YamlNode]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def finding(self, code: str, message: str, hint: str | None = None, *, severity: Severity = "error") -> Finding:
        return self.source.finding(code, self.start.index, self.end.index, message, hint, severity)


YamlNode = Scalar | MappingNode | ListNode


@dataclass(frozen=True, slots=True)
class Document:
    """A composed file. `root` is None where the file has nothing in it or could not be read to its end.

    `findings` are errors of the YAML itself; with any of them the nodes are for further messages only.
    """

    source: Source
    root: YamlNode | None
    findings: tuple[Finding, ...]
    complete: bool
    """Whether the whole text was read; False after a syntax error, so that what is missing says nothing."""


_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|(?:\r\n?|\n)[ \t]*|.)", re.DOTALL)
_BREAKS = re.compile(r"[ \t]*(?:\r\n?|\n)(?:[ \t]*(?:\r\n?|\n))*[ \t]*")
_ONE_BREAK = re.compile(r"\r\n?|\n")
_HEADER = re.compile(r"[^\r\n]*(?:\r\n?|\n|$)")


def _offsets_of(span: str, text: str, style: str) -> list[int]:
    """Map each offset of `text` (its length included) to an offset into `span`, the scalar as written.

    `span` begins at the scalar (quotes and the `|` or `>` line included). Exact for plain, quoted and literal
    scalars; for folded ones exact for everything that is not white space.
    """
    if style == "literal":
        offsets = _literal(span, text)
    elif style == "folded":
        offsets = None
    else:
        offsets = _flow(span, text, style)
    return offsets if offsets is not None else _by_ink(span, text, style)


def _flow(span: str, text: str, style: str) -> list[int] | None:
    """Decode a plain or quoted scalar again, noting where each character came from."""
    first, last = (0, len(span)) if style == "plain" else (1, len(span) - 1)
    offsets: list[int] = []
    made: list[str] = []
    index = first
    while index < last:
        part, length = _flow_part(span, index, last, style)
        made.append(part)
        offsets.extend([index] * len(part))
        index += length
    offsets.append(last)
    return offsets if "".join(made) == text else None


def _flow_part(span: str, index: int, last: int, style: str) -> tuple[str, int]:
    """Decode what stands at `index`: the text it makes (often one character) and its length as written."""
    char = span[index]
    if char in " \t\r\n" and (breaks := _BREAKS.match(span, index, last)):
        count = len(_ONE_BREAK.findall(breaks.group()))
        return (" " if count == 1 else "\n" * (count - 1)), len(breaks.group())
    if char == "'" and style == "single":
        return "'", 2
    if char == "\\" and style == "double" and (escape := _ESCAPE.match(span, index, last)):
        return _unescaped(escape.group()), len(escape.group())
    return char, 1


def _unescaped(written: str) -> str:
    kind = written[1]
    if kind in "xuU" and len(written) > 2:
        return chr(int(written[2:], 16))  # noqa: FURB166 (no 0x before it)
    return "" if kind in "\r\n" else _SIMPLE_ESCAPES.get(kind, kind)


_SIMPLE_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}


def _literal(span: str, text: str) -> list[int] | None:
    """Line n of the text is line n behind the header, without its indentation."""
    header = _HEADER.match(span)
    position = header.end() if header else len(span)
    offsets: list[int] = []
    for line in text.split("\n"):
        written_end = position + len(_HEADER.match(span, position).group().rstrip("\r\n"))  # type: ignore[union-attr]
        indent = max(0, written_end - position - len(line))
        if line and span[position + indent : written_end] != line:
            return None
        offsets.extend(range(position + indent, position + indent + len(line) + 1))
        position = _HEADER.match(span, position).end()  # type: ignore[union-attr]
    return offsets


def _by_ink(span: str, text: str, style: str) -> list[int]:
    """Pair the characters that are not white space, in order; white space stands behind what it follows."""
    header = _HEADER.match(span)
    position = header.end() if header and style in {"literal", "folded"} else 0
    offsets: list[int] = []
    for char in text:
        if not char.isspace():
            found = span.find(char, position)
            position = found if found >= 0 else position
        offsets.append(min(position, len(span)))
        position += 1
    offsets.append(min(position, len(span)))
    return offsets
