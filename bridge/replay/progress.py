"""How far a replay has come. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

__all__ = ["Open"]


class Open:
    """Which letters are not done yet: the lowest of a partition is what may be committed there."""

    def __init__(self, ends: Mapping[int, int], places: Mapping[int, Sequence[int]]) -> None:
        self._ends = dict(ends)
        self._open = {partition: deque(sorted(offsets)) for partition, offsets in places.items()}
        self._done: dict[int, set[int]] = {}

    def done(self, partition: int, offset: int) -> None:
        """That letter is done."""
        self._done.setdefault(partition, set()).add(offset)

    def watermarks(self) -> dict[int, int]:
        """By partition: below this nothing is open."""
        found = dict(self._ends)
        for partition, offsets in self._open.items():
            done = self._done.get(partition, set())
            while offsets and offsets[0] in done:
                done.discard(offsets.popleft())
            if offsets:
                found[partition] = offsets[0]
        return found
