"""How the events of one record add up to the record's outcome. Pure."""

from __future__ import annotations

from bridge.flow import Outcome

RANK: dict[Outcome, int] = {
    Outcome.FILTERED: 0,
    Outcome.DELIVERED: 1,
    Outcome.SKIPPED: 2,
    Outcome.EXPIRED: 3,
    Outcome.DEAD_LETTERED: 4,
}
"""A record with several events has the worst of their outcomes."""


def worst(one: Outcome, other: Outcome) -> Outcome:
    """The outcome that counts of two."""
    return one if RANK[one] >= RANK[other] else other
