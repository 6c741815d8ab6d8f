"""The second guard against a rewind, `<group>.delivered`: the least that stands for `bridge.kafka.client.shadow`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bridge.flow import TopicPartition

if TYPE_CHECKING:
    from tests.simulation.world import World

WRITE_SECONDS = 10.0


class Shadow:
    """One member's view of the marks. A write is under way for a while, and may fail."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[int, int] = {}
        self._write_at = world.now + 1.0
        self._written: tuple[float, dict[int, int]] | None = None

    def ask(self, number: int) -> int | None:
        """The mark of a partition that was just assigned; None where there is none, or it may not be read."""
        self._known.pop(number, None)
        mark = self._world.kafka.logs[number].mark
        if mark is None or self._world.scenario.shadow == "refused":
            return None
        self._known[number] = mark
        return mark

    def forget(self, number: int) -> None:
        """A rewind was accepted: the mark follows from below."""
        self._known.pop(number, None)

    def write_due(self, marks: Callable[[], Mapping[TopicPartition, int]], *, now: bool = False) -> None:
        """Write what moved, now and then, behind the commits that were acknowledged."""
        world = self._world
        if self._written is not None:
            self.take_in()
        if self._written is not None or (world.now < self._write_at and not now):
            return
        self._write_at = world.now + WRITE_SECONDS
        moved = {number: mark for (_, number), mark in marks().items() if mark > self._known.get(number, -1)}
        if not moved:
            return
        refused = world.scenario.shadow == "refused"
        if refused or world.faults.hit("shadow group: write failed", world.scenario.strength.commit):
            return
        self._known |= moved
        slow = world.scenario.shadow == "slow" and world.faults.hit("shadow group: slow", 0.5)
        self._written = (world.now + (8.0 if slow else 0.0), moved)
        if not slow:
            self.take_in()

    def take_in(self) -> None:
        """A write may have arrived by now."""
        if self._written is not None and self._world.now >= self._written[0]:
            for number, mark in self._written[1].items():
                self._world.kafka.logs[number].mark = mark
            self._written = None
