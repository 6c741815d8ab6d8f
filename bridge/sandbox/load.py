"""How many calls are being answered."""

from __future__ import annotations

import time
from types import TracebackType


class Load:
    """Calls being answered at this moment, and the most there were."""

    __slots__ = ("most", "now", "since")

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.since = time.monotonic()

    def __enter__(self) -> None:
        """A call came."""
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It was answered, or its client left."""
        self.now -= 1
