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
    """Make a failing case smaller for as long as there is time. Any violation counts, not only the first."""
    until = time.monotonic() + seconds
    found, world = outcome(case)
    if found is None:
        return case
    case = _fewer_steps(replace(case, steps=min(case.steps, world.steps)), until)
    for kind in sorted(world.faults.counts):
        smaller = replace(case, off=(*case.off, kind))
        if time.monotonic() < until and outcome(smaller)[0] is not None:
            case = smaller
    case = _fewer_faults(case, until)
    return _fewer_steps(case, until)


def _fewer_steps(case: Case, until: float) -> Case:
    step = case.steps // 2
    while step and time.monotonic() < until:
        smaller = replace(case, steps=case.steps - step)
        if smaller.steps > 0 and outcome(smaller)[0] is not None:
            case = smaller
        else:
            step //= 2
    return case


def _fewer_faults(case: Case, until: float) -> Case:
    """Mute faults in ever smaller runs (delta debugging)."""
    total = outcome(case)[1].faults.numbers
    size = total // 2
    while size and time.monotonic() < until:
        for first in range(1, total + 1, size):
            if time.monotonic() >= until:
                break
            run = (first, min(first + size - 1, total))
            smaller = replace(case, muted=_merged((*case.muted, run)))
            if smaller.muted != case.muted and outcome(smaller)[0] is not None:
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
