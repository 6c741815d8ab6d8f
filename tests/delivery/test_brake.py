"""The brake in front of the dead-letter topic."""

from __future__ import annotations

from hypothesis import given, strategies as st

from bridge.delivery.finish import Brake
from bridge.delivery.policy import BrakeLimits


def test_a_run_of_refusals_brakes() -> None:
    """The fiftieth refusal in a row is one too many; a success in between begins the run anew."""
    brake = Brake(BrakeLimits())
    assert not any(brake.refused("r") for _ in range(49))
    brake.passed("r", 1)
    assert not any(brake.refused("r") for _ in range(49))
    assert brake.refused("r")


def test_rules_are_counted_apart() -> None:
    """A rule that fails does not brake another."""
    brake = Brake(BrakeLimits(row=3))
    brake.refused("bad")
    brake.refused("bad")
    assert not brake.refused("good")
    assert brake.refused("bad")


def test_a_reset_counts_anew() -> None:
    """After a reset of one rule, or of all, the run starts at zero."""
    brake = Brake(BrakeLimits(row=2))
    brake.refused("one")
    brake.refused("two")
    brake.reset("one")
    assert not brake.refused("one")
    assert brake.refused("two")
    brake.reset()
    assert not brake.refused("two")


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=60), st.integers(1, 50))
def test_the_ratio_is_of_exactly_the_last_records(runs: list[tuple[int, bool]], window: int) -> None:
    """Counting in runs decides as counting one by one would."""
    brake = Brake(BrakeLimits(row=10**9, ratio=0.5, window=window))
    last: list[bool] = [True]
    brake.refused("r")
    for length, bad in runs:
        if bad:
            for _ in range(length):
                last.append(True)
                recent = last[-window:]
                assert brake.refused("r") == (len(recent) == window and sum(recent) >= 0.5 * window)
        else:
            brake.passed("r", length)
            last += [False] * length
