"""The core under every fault at once: the invariants hold, runs replay exactly, planted bugs are found."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from bridge.delivery.policy import StormLimits
from tests.simulation.campaign import campaign, hunt
from tests.simulation.faults import Case, Violation
from tests.simulation.planted import PLANTED
from tests.simulation.records import Produced
from tests.simulation.scenario import scenario
from tests.simulation.shrink import outcome, shrink
from tests.simulation.truth import Truth

FAULTS = int(os.environ.get("SIMULATE_FAULTS", "1000000"))
"""How many faults the suite injects; `make simulate` goes on to any number."""

SHARDS = 16
"""Each is a test of its own with seeds of its own, so that the workers of a parallel run share them."""

KINDS = 50
"""At least so many kinds of faults have to come up in each, where there are enough of them."""
ENOUGH = 20_000


@pytest.mark.timeout(900)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_invariant_breaks_under_any_fault(shard: int) -> None:
    """Nothing is lost, sent again, out of order, committed too far or back, or dead-lettered wrongly; lag ends at 0."""
    faults = -(-FAULTS // SHARDS)
    report = campaign(faults, seed=1_000_000 * (shard + 1), processes=1)
    assert report.violations == []
    assert report.injected >= faults
    assert len(report.faults) >= KINDS or faults < ENOUGH


def test_a_run_replays_exactly() -> None:
    """The same case meets the same faults and sends the same events, in the same order."""
    for seed in range(5):
        runs = [outcome(Case(seed, 700))[1] for _ in range(2)]
        assert runs[0].faults.counts == runs[1].faults.counts
        assert runs[0].now == runs[1].now
        assert list(runs[0].truth.memory) == list(runs[1].truth.memory)


REPLAY = """
from tests.simulation.faults import Case
from tests.simulation.shrink import outcome
for seed in range(5):
    world = outcome(Case(seed, 700))[1]
    print(sorted(world.faults.counts.items()), world.now, list(world.truth.memory))
"""


def test_a_run_replays_exactly_in_another_process() -> None:
    """A seed is the same run on any day: neither the hashes of a process nor its addresses decide anything."""
    said = [
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            capture_output=True,
            check=True,
            timeout=100,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0]
    assert said[0] == said[1]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", PLANTED)
def test_each_planted_bug_is_found(bug: str) -> None:
    """A bug that somebody could write breaks an invariant within a few seeds."""
    found = hunt(bug, range(1_000))
    assert found.seed is not None


@pytest.mark.parametrize("bug", ["watermark_one_too_high", "lane_freed_on_failure"])
def test_a_failing_case_is_made_smaller_and_still_fails(bug: str) -> None:
    """What is left after shrinking has fewer steps and fewer kinds of faults, and breaks the same invariant each time."""
    found = hunt(bug, range(50))
    assert found.seed is not None
    with PLANTED[bug]():
        small = shrink(Case(found.seed, 700), seconds=8.0)
        said = outcome(small)[0]
        assert said is not None
        assert said.split()[0] == found.violation.split()[0]
        assert outcome(small)[0] == said
    assert small.steps < 700
    assert small.off
    assert outcome(small)[0] is None


def test_only_a_clock_that_was_a_day_behind_excuses_a_storm_that_was_none() -> None:
    """Such a process counts by its clock what is a day ahead of it, a catch-up all at once; any other is found (I5)."""
    limits = StormLimits(2, 3_000, "dead_letter")
    chosen = scenario(Random(1))
    truth = Truth(replace(chosen, policy=replace(chosen.policy, storm=limits)))
    rec, other = (
        truth.produced(Produced("t", 0, offset, b"e", timestamp=offset * 10_000), lane=None) for offset in (0, 1)
    )
    with pytest.raises(Violation, match=r"I5 .* dead-lettered as storm"):
        truth.dead_lettered(rec, 0, "storm", 0)
    truth.dead_lettered(other, 0, "storm", 0, day_behind=True)
    assert other.dead == {0: "storm"}
