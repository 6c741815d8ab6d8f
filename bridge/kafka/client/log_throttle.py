"""The log of librdkafka, thinned: a broker that is away would fill it with the same line many times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

_EVERY_SECONDS: Final = 30.0
_MOST_KINDS: Final = 256


class Sparse(logging.Filter):
    """Lets one line of a kind (librdkafka's facility and client) through every 30 s, and says how many it kept back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; may add to it."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        kind = (record.levelno, *arguments[:2])
        now = self._clock()
        until, kept = self._kinds.get(kind, (0.0, 0))
        if now < until:
            self._kinds[kind] = (until, kept + 1)
            return False
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now + _EVERY_SECONDS, 0)
        if kept:
            record.msg = f"{record.msg} (and {kept} such lines before it)"
        return True


LOG: Final = logging.getLogger("bridge.kafka.client")
LOG.addFilter(Sparse())
