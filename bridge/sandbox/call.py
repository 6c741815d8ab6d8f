"""One call to the event API, as it arrived."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from bridge.sandbox.splitting import Piece, SplitError, one, split


class Endpoint(StrEnum):
    """The documented paths (contract §1). A prefix before them is allowed, as in a base URL with a path."""

    BULK = "/v2/bulk/event/"
    SINGLE = "/v2/event/"
    V1 = "/event/"


def endpoint_of(path: str) -> Endpoint | None:
    """Which endpoint a path (without its query) names, or None."""
    return next((endpoint for endpoint in Endpoint if path.endswith(endpoint)), None)


class Call:
    """A request with its body read; the body is parsed once, when first asked for."""

    __slots__ = ("_error", "_pieces", "_read", "array", "body", "endpoint", "headers", "method", "target")

    def __init__(
        self, endpoint: Endpoint, target: str, headers: Mapping[str, str], body: bytes, method: str = "POST"
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
