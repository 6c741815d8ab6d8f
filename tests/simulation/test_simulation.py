"""The core under every fault at once: the invariants hold, runs replay exactly, planted bugs are found."""

from __future__ import annotations

import os

import pytest

from tests.simulation.campaign import campaign, hunt
from tests.simulation.faults import Case
from tests.simulation.planted import PLANTED
from tests.simulation.shrink import outcome, shrink

FAULTS = int(os.environ.get("SIMULATE_FAULTS", "100000"))
"""How many faults the suite injects; `make simulate` goes on to any number."""

KINDS = 45
"""At least so many kinds of faults have to come up."""


@pytest.mark.timeout(900)
def test_no_invariant_breaks_under_any_fault() -> None:
    """Nothing is lost, sent again, out of order, committed too far or back, or dead-lettered wrongly; lag ends at 0."""
    report = campaign(FAULTS, seed=20_000)
    assert report.violations == []
    assert report.injected >= FAULTS
    assert len(report.faults) >= KINDS


def test_a_run_replays_exactly() -> None:
    """The same case meets the same faults and sends the same events, in the same order."""
    for seed in range(5):
        runs = [outcome(Case(seed, 400))[1] for _ in range(2)]
        assert runs[0].faults.counts == runs[1].faults.counts
        assert runs[0].now == runs[1].now
        assert list(runs[0].truth.memory) == list(runs[1].truth.memory)


@pytest.mark.parametrize("bug", PLANTED)
def test_each_planted_bug_is_found(bug: str) -> None:
    """A bug that somebody could write breaks an invariant within a few seeds."""
    found = hunt(bug, range(300))
    assert found.seed is not None


@pytest.mark.parametrize("bug", ["watermark_one_too_high", "lane_freed_on_failure"])
def test_a_failing_case_is_made_smaller_and_still_fails(bug: str) -> None:
    """What is left after shrinking has fewer steps and fewer kinds of faults, and fails each time."""
    seed = hunt(bug, range(50)).seed
    assert seed is not None
    with PLANTED[bug]():
        small = shrink(Case(seed, 700), seconds=8.0)
        assert outcome(small)[0] is not None
        assert outcome(small)[0] == outcome(small)[0]
    assert small.steps < 700
    assert small.off
    assert outcome(small)[0] is None
