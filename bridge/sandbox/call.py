"""One call to the event API, as it arrived: its events, each with exactly the bytes that were sent, and its parsed value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum

from bridge.jsontext import JSONDecodeError, loads


class ApiPath(StrEnum):
    """The documented paths (contract §1). A prefix before them is allowed, as in a base URL with a path."""

    BULK = "/v2/bulk/event/"
    SINGLE = "/v2/event/"
    V1 = "/event/"


def path_of(path: str) -> ApiPath | None:
    """Which endpoint a path (without its query) names, or None."""
    return next((endpoint for endpoint in ApiPath if path.endswith(endpoint)), None)


class ApiCall:
    """A request with its body read; the body is parsed once, when first asked for."""

    __slots__ = ("_error", "_pieces", "_read", "array", "body", "endpoint", "headers", "method", "target")

    def __init__(
        self, endpoint: ApiPath, target: str, headers: Mapping[str, str], body: bytes, method: str = "POST"
    ) -> None:
        self.endpoint = endpoint
        self.target = target
        """Path and query exactly as requested: what HMAC signs."""
        self.headers = headers
        self.body = body
        self.method = method
        self.array = False
        self._error: str | None = None
        self._pieces: list[Piece] = []
        self._read = False

    def pieces(self) -> list[Piece]:
        """The events in it, empty where the body cannot be read (then `error` says why)."""
        if not self._read:
            self._read = True
            try:
                self._parse()
            except SplitError as error:
                self._error = str(error)
        return self._pieces

    @property
    def error(self) -> str | None:
        """Why the body is no JSON, or None."""
        self.pieces()
        return self._error

    def _parse(self) -> None:
        if self.body.lstrip(b" \t\r\n").startswith(b"["):
            self.array = True
            self._pieces = split(self.body) or []
        elif self.body:
            self._pieces = [(self.body, one(self.body))]


Piece = tuple[bytes, object]
"""The bytes of one event as they were sent, and what they say."""

_FIRST_KEY = re.compile(rb'\[(\{\s*"[^"\\]{1,64}")')
_SCAN = json.JSONDecoder(parse_int=len, parse_float=len).raw_decode


class SplitError(ValueError):
    """The body is not JSON, or too deeply nested to be read."""


def split(body: bytes) -> list[Piece] | None:
    """The events of a JSON array, in order, or None where the body is JSON but no array.

    Raises `SplitError`. Each event is parsed once where all begin with the same key (as every known client writes
    them); otherwise the array is parsed whole and its items are measured by a second, slower reader.
    """
    pieces = _split_alike(body)
    return _split_any(body) if pieces is None else pieces


def one(body: bytes) -> object:
    """A body that is one value. Raises `SplitError`."""
    try:
        return loads(body)
    except JSONDecodeError as error:
        raise SplitError(str(error)) from None


def _split_alike(body: bytes) -> list[Piece] | None:
    """Cut before each `{"<first key>"`; the cut is right exactly if every piece is JSON by itself, else None."""
    start = _FIRST_KEY.match(body)
    if start is None or not body.endswith(b"}]"):
        return None
    opening = start[1]
    inside = body[1:-1]
    parts = inside.split(b"}," + opening)
    if len(parts) == 1:
        parts = inside.split(b"}, " + opening)
    last = len(parts) - 1
    raws = [part if at == 0 else opening + part for at, part in enumerate(parts)]
    raws = [raw if at == last else raw + b"}" for at, raw in enumerate(raws)]
    try:
        return [(raw, loads(raw)) for raw in raws]
    except JSONDecodeError:
        return None


def _split_any(body: bytes) -> list[Piece] | None:
    items = one(body)
    if not isinstance(items, list):
        return None
    text = body.decode()
    start = _skip(text, text.index("[") + 1)
    pieces: list[Piece] = []
    try:
        for item in items:
            _, end = _SCAN(text, start)
            pieces.append((text[start:end].encode(), item))
            start = _skip(text, end)
    except RecursionError:
        message = "nested too deeply"
        raise SplitError(message) from None
    return pieces


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\r\n,":
        at += 1
    return at
