"""From a failing case to a small one that still fails: fewer steps, fewer kinds of faults, fewer faults."""

from __future__ import annotations

import time
from dataclasses import replace

from tests.simulation.faults import Case, Violation
from tests.simulation.world import World


def outcome(case: Case) -> tuple[str | None, World]:
    """The violation of a case, None if it holds."""
    world = World(case)
    try:
        world.run()
    except Violation as violation:
        return str(violation), world
    return None, world


def shrink(case: Case, seconds: float = 60.0) -> Case:
    """Make a failing case smaller for as long as there is time; it goes on breaking the same invariant."""
    found, world = outcome(case)
    if found is None:
        return case
    return _Shrink(found.split()[0], time.monotonic() + seconds).shrunk(case, world)


class _Shrink:
    """What has to stay as it is, and until when there is time."""

    def __init__(self, invariant: str, until: float) -> None:
        self._invariant = invariant
        self._until = until

    def _time(self) -> bool:
        return time.monotonic() < self._until

    def _fails(self, case: Case) -> bool:
        found = outcome(case)[0]
        return found is not None and found.split()[0] == self._invariant

    def shrunk(self, case: Case, world: World) -> Case:
        case = self._fewer_steps(replace(case, steps=max(1, min(case.steps, world.steps))))
        for kind in sorted(world.faults.counts):
            smaller = replace(case, off=(*case.off, kind))
            if self._time() and self._fails(smaller):
                case = smaller
        return self._fewer_steps(self._fewer_faults(case))

    def _fewer_steps(self, case: Case) -> Case:
        step = case.steps // 2
        while step and self._time():
            smaller = replace(case, steps=case.steps - step)
            if smaller.steps > 0 and self._fails(smaller):
                case = smaller
            else:
                step //= 2
        return case

    def _fewer_faults(self, case: Case) -> Case:
        """Mute faults in ever smaller runs (delta debugging)."""
        total = outcome(case)[1].faults.numbers
        size = total // 2
        while size and self._time():
            for first in range(1, total + 1, size):
                run = (first, min(first + size - 1, total))
                smaller = replace(case, muted=_merged((*case.muted, run)))
                if self._time() and smaller.muted != case.muted and self._fails(smaller):
                    case = smaller
            size //= 2
        return case


def _merged(runs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Runs in order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)
