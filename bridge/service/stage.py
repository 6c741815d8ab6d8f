"""What the admin server looks at: an empty stage while the bridge is being assembled, then the bridge."""

from __future__ import annotations

import time
from typing import Final

from bridge.observe.actions import Controls, RefusedError, Target
from bridge.observe.snapshot import Snapshot, Source, TopicView

__all__ = ["Stage"]

_STARTING: Final = "the bridge is starting: try again in a moment"


class Stage:
    """Implements `observe.snapshot.Source` and `observe.actions.Controls`. `enter` may be called by any thread."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        self._empty = Snapshot(taken_at=time.time(), topics=tuple(TopicView(topic) for topic in topics))
        self._there: tuple[Source, Controls] | None = None

    def enter(self, source: Source, controls: Controls) -> None:
        """The bridge is there: from now on it is what is looked at, and what acts."""
        self._there = (source, controls)

    def snapshot(self) -> Snapshot:
        """The newest published snapshot."""
        return self._there[0].snapshot() if self._there is not None else self._empty

    def poll_age(self) -> float | None:
        """Seconds since the Kafka thread last polled."""
        return self._there[0].poll_age() if self._there is not None else None

    def _controls(self) -> Controls:
        if self._there is None:
            raise RefusedError(_STARTING)
        return self._there[1]

    async def pause(self, target: Target, reason: str) -> str:
        """Stop the target's partitions."""
        return await self._controls().pause(target, reason)

    async def resume(self, target: Target, reason: str) -> str:
        """Lift what may be lifted on the target's partitions."""
        return await self._controls().resume(target, reason)

    async def skip(self, topic: str, partition: int, offset: int, reason: str) -> str:
        """Give one record to the dead-letter topic."""
        return await self._controls().skip(topic, partition, offset, reason)

    async def skip_unreadable(self, topic: str, partition: int, offsets: tuple[int, int], reason: str) -> str:
        """Go on behind what cannot be read."""
        return await self._controls().skip_unreadable(topic, partition, offsets, reason)

    async def accept_rewind(self, token: str, reason: str) -> str:
        """Send again what the token stands for."""
        return await self._controls().accept_rewind(token, reason)

    async def set_log_level(self, level: str, reason: str) -> str:
        """Log from this level on."""
        return await self._controls().set_log_level(level, reason)
