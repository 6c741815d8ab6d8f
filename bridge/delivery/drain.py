"""Drains: a partition is taken away, so finish what was handed over and let go of the rest. Pure.

The order is drain → commit → fence: the Kafka thread commits when every `Drained` is there, and only then is the
assignment gone. Sent without linger: every record below the highest offset that was handed over, so that what is
finished is contiguous; what is above is released.
"""

from __future__ import annotations

from bisect import bisect_right

from bridge.delivery.batch import Run, newest_of
from bridge.delivery.batcher import Batcher
from bridge.delivery.calls import Calls
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Partition


class Drains:
    """Used by the delivery thread alone."""

    def __init__(self, batcher: Batcher, calls: Calls, dead_letters: DeadLetters, holds: Holds) -> None:
        self._batcher = batcher
        self._holds = holds
        self._calls = calls
        self._dead_letters = dead_letters
        self._draining: dict[Partition, float] = {}

    def any(self) -> bool:
        """Whether something is draining: nothing lingers then."""
        return bool(self._draining)

    def begin(self, parts: list[Partition], deadline: float) -> None:
        """Begin to drain; `deadline` is monotonic seconds."""
        handed = newest_of(self._calls.batches())
        for part in parts:
            begun = [offset for offset, fan_out in part.fan_outs.items() if fan_out.begun]
            rejected = self._dead_letters.unfinished(part)
            last = max([part.ledger.top, handed.get(part, -1), *begun, *rejected])
            self._draining[part] = deadline
            self._let_go(part, last)

    def _let_go(self, part: Partition, last: int) -> None:
        """What has not been handed over and is above the last offset to be sent leaves queues and batches."""
        part.lanes.drain(last)

        def above(run: Run) -> range:
            return run.every[bisect_right(run.offsets, last) :] if run.part is part else range(0)

        for batch in self._batcher.unstarted():
            if batch.take(above):
                part.lanes.left(batch, batch.locked().get(part, set()))

    def done(self, now: float, shut: bool) -> list[Partition]:
        """Partitions that are drained, or whose time is up, or for which nothing can be sent any more (`shut`)."""
        ended = [part for part, deadline in self._draining.items() if now >= deadline or self._drained(part, shut)]
        for part in ended:
            del self._draining[part]
        return ended

    def _drained(self, part: Partition, shut: bool) -> bool:
        if not part.live:
            return True
        if self._calls.in_call(part) or self._dead_letters.pending(part):
            return False
        if shut or self._holds.paused(part.name):
            return True
        if any(part in batch.parts() for batch in (*self._calls.batches(), *self._batcher.unstarted())):
            return False
        return bool(self._holds.on(part.name)) or not (part.ready() or part.lanes.waiting)

    def next_at(self) -> float | None:
        """When the next drain has to end."""
        return min(self._draining.values(), default=None)
