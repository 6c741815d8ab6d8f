"""Where each character of a scalar's decoded text stands in the file; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["offsets_of"]

_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|(?:\r\n?|\n)[ \t]*|.)", re.DOTALL)
_BREAKS = re.compile(r"[ \t]*(?:\r\n?|\n)(?:[ \t]*(?:\r\n?|\n))*[ \t]*")
_ONE_BREAK = re.compile(r"\r\n?|\n")
_HEADER = re.compile(r"[^\r\n]*(?:\r\n?|\n|$)")


def offsets_of(span: str, text: str, style: str) -> Sequence[int]:
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
