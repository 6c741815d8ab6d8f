"""The sandbox's clock: real time, moved forward on request, so that 24 hours pass in a test."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Real time plus what it was moved by. One thread."""

    __slots__ = ("_ahead_ms",)

    def __init__(self) -> None:
        self._ahead_ms = 0

    @property
    def ahead_seconds(self) -> float:
        """How far it was moved in all."""
        return self._ahead_ms / 1000

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def advance(self, seconds: float) -> None:
        """Move it forward; never back, since a later acceptance must not look earlier."""
        self._ahead_ms += int(seconds * 1000)

    def reset(self) -> None:
        """Back to real time; whoever does this forgets what was accepted."""
        self._ahead_ms = 0


def stamp(milliseconds: int) -> str:
    """A moment as people and JSON readers take it: ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
