"""Many runs in a row, in several processes, until enough faults were injected."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulation.faults import Case
from tests.simulation.planted import PLANTED, SHOWN, Shown
from tests.simulation.shrink import outcome

STEPS = 6_000
CHUNK = 4


@dataclass(slots=True)
class Report:
    """What a campaign came to."""

    runs: int = 0
    records: int = 0
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[Case, str]] = field(default_factory=list)

    @property
    def injected(self) -> int:
        return self.faults.total()

    def add(self, other: Report) -> None:
        self.runs += other.runs
        self.records += other.records
        self.calls += other.calls
        self.faults += other.faults
        self.violations += other.violations


@contextmanager
def collecting_between_runs() -> Iterator[None]:
    """A run is full of cycles and lives for a moment: looking for garbage meanwhile is a tenth of its time."""
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def chunk(first: int, steps: int = STEPS, often: tuple[str, ...] = (), runs: int = CHUNK) -> Report:
    """A few seeds in this process."""
    with collecting_between_runs():
        return _runs(range(first, first + runs), steps, often)


def _runs(seeds: range, steps: int, often: tuple[str, ...]) -> Report:
    report = Report()
    for seed in seeds:
        case = Case(seed, steps, often=often)
        found, world = outcome(case)
        report.runs += 1
        report.records += sum(map(len, world.truth.logs))
        report.calls += world.suprsend.answered
        report.faults += world.faults.counts
        if found is not None:
            report.violations.append((case, found))
        del world
        gc.collect()
    return report


def campaign(
    faults: int,
    seed: int,
    *,
    processes: int = 2,
    steps: int = STEPS,
    often: tuple[str, ...] = (),
    most_violations: int = 3,
) -> Report:
    """Run seed after seed from `seed` on until so many faults were injected, or some violations were found."""
    report = Report()

    def firsts() -> Iterator[int]:
        first = seed
        while report.injected < faults and len(report.violations) < most_violations:
            yield first
            first += CHUNK

    if processes == 1:
        for first in firsts():
            report.add(chunk(first, steps, often))
        return report
    waiting = firsts()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        running = [pool.apply_async(chunk, (next(waiting), steps, often)) for _ in range(2 * processes)]
        while running:
            report.add(running.pop(0).get())
            running += [
                pool.apply_async(chunk, (first, steps, often)) for first in [next(waiting, None)] if first is not None
            ]
    return report


@dataclass(frozen=True, slots=True)
class Found:
    """Which seed found a planted bug, and how; `seed` is None if none did."""

    bug: str
    seed: int | None
    violation: str


def hunt(bug: str, seeds: range) -> Found:
    """Plant a bug and look for it, seed by seed: what fails without it, too, or for another reason, does not count."""
    shown = SHOWN.get(bug, Shown())
    for seed in seeds:
        case = Case(shown.seed + seed, shown.steps, often=shown.often)
        with PLANTED[bug]():
            violation, _ = outcome(case)
        if violation is not None and violation.startswith(shown.by) and outcome(case)[0] is None:
            return Found(bug, case.seed, violation)
    return Found(bug, None, "")
