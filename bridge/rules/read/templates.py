"""`${ … }` in text: what of a value is literal and what is jq, and what was probably meant to be jq.

Pure; knows nothing of rules. Where an expression ends is the jq lexer's business (`closing_brace`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Piece", "TextError", "forgotten", "split"]

_OPENING = re.compile(r"\$?\$\{")
_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_LOOKS_LIKE_JQ = re.compile(r'\s*(?:\.(?:[A-Za-z_"]|\[)|\$(?:[A-Za-z_]\w*))')


class Piece(NamedTuple):
    """A stretch of a value: literal text (its `$${` already `${`), or the jq between `${` and `}`.

    `start` and `end` are offsets into the value's text: of the literal, or of the jq without its braces.
    """

    code: bool
    text: str
    start: int
    end: int


class TextError(Exception):
    """A `${` that has no end, or nothing inside; `start` and `end` say where in the value's text."""

    def __init__(self, message: str, hint: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.start = start
        self.end = end


ClosingBrace = Callable[[str, int], int | None]
"""`(text, index of the first character behind "${")` → index of the `}` that ends it, or None."""


def split(text: str, closing_brace: ClosingBrace, *, block: bool = False) -> list[Piece]:
    """Split a value into literals and expressions, in order; adjacent literals are one, empty ones are left out.

    `block` says that the text comes from a `|` or `>` block: if one `${ }` with nothing but white space around it is
    all there is, the white space is dropped, so that the expression stands alone.

    Raises:
        TextError: for the first `${` without an end or without content.

    """
    if "${" not in text:
        return [Piece(code=False, text=text, start=0, end=len(text))] if text else []
    pieces = _merged(_scan(text, closing_brace))
    if block and sum(piece.code for piece in pieces) == 1:
        inked = [piece for piece in pieces if piece.code or piece.text.strip()]
        return inked if len(inked) == 1 else pieces
    return pieces


def _scan(text: str, closing_brace: ClosingBrace) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    while opening := _OPENING.search(text, position):
        if opening.start() > position:
            pieces.append(_literal(text[position : opening.start()], position, opening.start()))
        if opening.group() == "$${":
            pieces.append(_literal("${", opening.start(), opening.end()))
            position = opening.end()
            continue
        pieces.append(_expression(text, opening.end(), closing_brace))
        position = pieces[-1].end + 1
    if position < len(text):
        pieces.append(_literal(text[position:], position, len(text)))
    return pieces


def _literal(text: str, start: int, end: int) -> Piece:
    return Piece(code=False, text=text, start=start, end=end)


def _expression(text: str, start: int, closing_brace: ClosingBrace) -> Piece:
    end = closing_brace(text, start)
    if end is None:
        quote = _open_quote(text, start)
        if quote is not None:
            message = "the text that begins here, in a `${`, is never closed"
            raise TextError(message, 'add `"` where it ends', quote, len(text))
        message = "this `${` is never closed"
        raise TextError(message, "close it with `}`; a literal `${` is written `$${`", start - 2, len(text))
    if not text[start:end].strip():
        message = "there is nothing inside this `${ }`"
        raise TextError(message, "write a jq expression, for example ${ .id }", start - 2, end + 1)
    return Piece(code=True, text=text[start:end], start=start, end=end)


def _open_quote(text: str, start: int) -> int | None:
    """Return where the last text of jq begins that does not end, or None."""
    quote: int | None = None
    position = start
    while found := _QUOTE.search(text, position):
        position = found.end()
        if found.group() == '"':
            quote = found.start() if quote is None else None
    return quote


def _merged(pieces: list[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and not piece.code and not merged[-1].code:
            last = merged.pop()
            merged.append(_literal(last.text + piece.text, last.start, piece.end))
        else:
            merged.append(piece)
    return merged


def forgotten(pieces: list[Piece]) -> Piece | None:
    """Return the literal that was probably meant to be an expression, or None.

    That is text that begins like a path or a variable (`.customer.id`, `$item`), or that holds `{{`.
    """
    for number, piece in enumerate(pieces):
        if piece.code:
            continue
        if "{{" in piece.text or (number == 0 and _LOOKS_LIKE_JQ.match(piece.text)):
            return piece
    return None
