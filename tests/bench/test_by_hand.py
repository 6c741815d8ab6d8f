"""What `make bench-rules` times gives the same events by rules and by hand; the ten examples of the guide are all there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.by_hand import CASES, Case
from scripts.measure.bench_rules import measure

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rules_and_hand_make_the_same_events(case: Case) -> None:
    """Both sides of a row make the same events of 130 records, which are more than one run."""
    assert measure(case, 130, 1)["rules"] > 0


def test_every_example_is_timed() -> None:
    """No example of the guide is left out."""
    timed = {case.rules for case in CASES}
    assert {path for path in EXAMPLES.glob("*.yaml") if not path.name.endswith(".test.yaml")} <= timed
