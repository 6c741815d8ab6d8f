"""A stall says so: nothing was finished for long, though there is something to do and nothing is held.

`StallWatch` decides and is pure; `stacks` and `watch` are the edge.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from bridge.flow import Outcome
from bridge.observe.snapshot import PartitionView, Snapshot, SnapshotSource

FRAMES = 40
STACK_CHARACTERS = 32_768


class Stall(NamedTuple):
    """Nothing was finished for so many seconds while so many records waited."""

    seconds: float
    lag: int
    why: str


class StallWatch:
    """Watches snapshots go by; `after` is how many seconds without progress are a stall. Clocks are passed in."""

    def __init__(self, after: float = 60.0) -> None:
        self._after = after
        self._finished = -1
        self._since: float | None = None
        self._told = False
        self.count = 0
        """Stalls so far."""

    @property
    def stalled(self) -> bool:
        """Whether there is a stall now."""
        return self._told

    def observe(self, snapshot: Snapshot, now: float) -> Stall | None:
        """Look at the newest snapshot at `now` (seconds since 1970); a stall is returned once, when it is found."""
        finished = sum(n for outcome, n in snapshot.finished().items() if outcome != Outcome.RELEASED)
        waiting = _waiting(snapshot)
        frozen = now - snapshot.taken_at >= self._after
        if finished != self._finished or not (waiting or frozen):
            self._finished = finished
            self._since = now
            self._told = False
            return None
        seconds = now - (self._since if self._since is not None else now)
        if self._told or not (frozen or seconds >= self._after):
            return None
        self._told = True
        self.count += 1
        why = "the delivery thread publishes nothing" if frozen else "no record gets an outcome"
        return Stall(now - snapshot.taken_at if frozen else seconds, waiting, why)


def _waiting(snapshot: Snapshot) -> int:
    """Records that should be moving: not those that are held, whose hold says so itself."""
    if any(hold.topic is None for hold in snapshot.holds):
        return 0
    held = {(hold.topic, hold.partition) for hold in snapshot.holds}
    views = [view for view in snapshot.partitions if (view.topic, view.partition) not in held]
    known = sum(_to_come(view) for view in views if view.lag is not None)
    unknown = any(view.lag is None for view in views)
    return known or (snapshot.inflight() if unknown else 0)


def _to_come(view: PartitionView) -> int:
    """Its lag, less what nobody can read before a producer ends its transaction."""
    return view.lag or 0 if view.transaction is None else view.position - view.watermark


def stacks(loop: asyncio.AbstractEventLoop | None = None) -> list[str]:
    """What every thread, and every task of the loop, is doing now: code lines, never values. Bounded."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    shown = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the one way to see them
        lines = traceback.format_stack(frame, limit=FRAMES)
        shown.append(f"thread {names.get(ident, ident)}\n{''.join(lines)}"[:STACK_CHARACTERS])
    for task in asyncio.all_tasks(loop) if loop is not None else ():
        frames = [line for frame in task.get_stack(limit=FRAMES) for line in traceback.format_stack(frame, limit=1)]
        shown.append(f"task {task.get_name()}\n{''.join(frames)}"[:STACK_CHARACTERS])
    return shown


async def watch(
    source: SnapshotSource,
    watching: StallWatch,
    log: FilteringBoundLogger,
    *,
    every: float = 5.0,
    clock: Callable[[], float] = time.time,
) -> None:
    """Look every few seconds, in the main thread's loop, until cancelled; log a stall once, and its end."""
    while True:
        was = watching.stalled
        snapshot = source.snapshot()
        stall = watching.observe(snapshot, clock())
        if stall is not None:
            waiting = [f"{item.kind} {item.what}, {item.seconds:.1f} s" for item in snapshot.waiting]
            log.error(
                "stalled",
                why=stall.why,
                seconds=round(stall.seconds, 1),
                lag=stall.lag,
                waiting_for=waiting,
                stacks=stacks(asyncio.get_running_loop()),
            )
        elif was and not watching.stalled:
            log.warning("stall_over")
        await asyncio.sleep(every)
