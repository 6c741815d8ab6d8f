"""The table of planted bugs, and what is needed to plant them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from bridge.flow import Judged, Reply, Verdict
from tests.simulation import member

Plant = Callable[[], AbstractContextManager[Any]]
PLANTED: dict[str, Plant] = {}


class Shown(NamedTuple):
    """How a bug shows: what the violation begins with, in runs of how many steps, and the first seed worth trying.

    `often` is what the runs have to be rich in (`Case.often`).
    """

    by: str = ""
    steps: int = 700
    seed: int = 0
    often: tuple[str, ...] = ()


UNREAD_EPOCHS = (
    *["rebalance"] * 2,
    *["kafka: another leader"] * 5,
    *["kafka: batch damaged"] * 2,
    "operator: skip unreadable",
    *["kafka: a leader cannot be reached"] * 3,
)
"""Commits speak of offsets of several leader epochs, which the next owner has not read, or nobody can read."""


CUTS = ("kafka: log cut off",)

SHOWN: dict[str, Shown] = {
    "note_of_a_log_that_was_cut": Shown("I1", 700, 10, CUTS),
    "bound_above_the_cut_is_kept": Shown("I5", 1_500, 10, CUTS),
    "only_the_committed_offset_is_checked": Shown("I5", 1_500, 20_150),
    "beyond_the_end_is_the_end": Shown("I1"),
    "commit_beyond_the_cut_is_gone_on_from": Shown("I1", 3_000),
    "deleted_behind_a_cut_is_not_counted": Shown("lost:", 3_000, 30_978),
    "late_answer_acknowledges": Shown("send limit:", 3_000, 30_250),
    "going_past_goes_where_a_seek_was_going": Shown("I8", 3_000, 30_540),
    "what_got_through_goes_on_holding_its_partition": Shown("I8", 1_500, 20_436),
    "going_past_keeps_the_epoch": Shown("I3", 2_000, often=UNREAD_EPOCHS),
    "epoch_of_what_is_read_whatever_the_note_speaks_of": Shown("I7", 2_000, 176, UNREAD_EPOCHS),
}
"""Of bugs that are rare, or that other violations follow from."""

ACCEPTED = Judged(Verdict.ACCEPTED, None, None, "207", "", False)


def planted(bug: Plant) -> Plant:
    """Put a bug into the table under its name."""
    PLANTED[bug.__name__] = bug
    return bug


def instead(owner: Any, name: str, new: Any) -> AbstractContextManager[Any]:
    return patch.object(owner, name, new)


def judging(new: Callable[[Reply, int, Judged], Judged]) -> AbstractContextManager[Any]:
    """Another word on some answers."""
    right = member.JUDGE
    return instead(member, "JUDGE", lambda reply, n, keys=tuple: new(reply, n, right(reply, n, keys)))
