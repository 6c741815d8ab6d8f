"""Cases that broke an invariant once, made small by `scripts/simulate.py`, with what was wrong then."""

from __future__ import annotations

import pytest

from tests.simulation.faults import Case
from tests.simulation.shrink import outcome

CASES: dict[str, Case] = {
    "the accepted half of a bisected call freed lanes that the other half still held": Case(
        seed=19,
        steps=33,
        off=(
            "api: 5xx, applied",
            "api: 5xx, not applied",
            "api: connection reset",
            "api: cut answer",
            "api: malformed answer",
            "api: no connection",
            "api: partial answer",
            "api: result of one event",
            "api: throttled",
            "api: timeout, applied late",
            "api: wrong count",
            "clock: seconds pass",
            "commit: ILLEGAL_GENERATION",
            "crash: all, back after days",
            "crash: at any time",
            "dead letter: outage",
            "kafka: compacted",
            "kafka: gap",
            "kafka: retention overtakes the group",
            "kafka: transaction marker",
            "rebalance",
            "reload",
            "stop: SIGTERM",
            "zombie: frozen beyond its session",
        ),
        muted=((1, 15),),
    ),
    "assigned and revoked before a record was read, the note forgot what an earlier owner had finished": Case(
        seed=56,
        steps=183,
        off=(
            "api: an event that always fails",
            "api: no connection",
            "api: poison event",
            "api: result of one event",
            "commit: answer lost",
            "rebalance",
            "stop: SIGTERM",
        ),
        muted=(
            (3, 3),
            (7, 9),
            (22, 22),
            (26, 26),
            (28, 28),
            (31, 31),
            (37, 37),
            (39, 39),
            (43, 50),
            (52, 52),
            (55, 57),
        ),
    ),
    "what an earlier owner left unfinished and nobody had read again was called finished": Case(
        seed=10,
        steps=97,
        off=(
            "api: 5xx, applied",
            "api: cut answer",
            "api: result of one event",
            "api: wrong count",
            "clock: seconds pass",
            "commit: answer lost",
            "crash: all, back after days",
        ),
        muted=((4, 4), (6, 11), (15, 16), (18, 18), (20, 41)),
    ),
    "a clean handover forgot that an earlier owner may have sent records, and a day later they went out again": Case(
        seed=51,
        steps=183,
        off=(
            "api: a bad mood",
            "api: an event that always fails",
            "api: connection reset",
            "api: cut answer",
            "api: malformed answer",
            "api: no connection",
            "api: result of one event",
            "api: throttled",
            "api: throttling",
            "commit: answer lost",
            "commit: not sent",
            "dead letter: refused",
            "dead letter: written, report lost",
            "kafka: delivered twice",
            "kafka: transaction marker",
        ),
        muted=((1, 1), (3, 3), (23, 23), (30, 30), (32, 32), (36, 56), (58, 74)),
    ),
}

SEEDS = (1, 14, 30, 45, 143, 169, 228, 232, 243, 370, 764, 2037, 2100)
"""Seeds that showed a fault while the simulator was young; their runs have changed since, and are cheap to keep."""


@pytest.mark.parametrize("wrong", CASES)
def test_a_case_that_failed_once_holds(wrong: str) -> None:
    """The invariants hold where they once did not."""
    assert outcome(CASES[wrong])[0] is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_that_failed_once_holds(seed: int) -> None:
    """The invariants hold where they once did not."""
    assert outcome(Case(seed))[0] is None
