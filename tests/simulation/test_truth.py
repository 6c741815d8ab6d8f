"""The oracle itself: when a committed offset may go back, and when a rewind is over."""

from __future__ import annotations

from random import Random

import pytest

from bridge.offsets.commits import Commit, text_of
from tests.simulation.faults import Case, Violation
from tests.simulation.log import NEVER, Issued
from tests.simulation.records import Track
from tests.simulation.scenario import scenario
from tests.simulation.truth import Truth
from tests.simulation.world import World

END = 10


def _commit(truth: Truth, offset: int, spoken: int, back_to: int = NEVER) -> None:
    """A commit whose note calls records up to `spoken` handed over."""
    metadata = text_of(at_ms=0, send_limit=spoken, delivered=-1, runs="", committed=offset)
    truth.commit(Commit("t", 0, 1, offset, metadata, spoken, 0, 4_000, 0), 0, END, back_to)


@pytest.mark.parametrize("offset", [3, 4])
def test_a_commit_may_go_back_over_offsets_that_were_only_reached(offset: int) -> None:
    """Down to where the log leaves the commit's leader epoch, where no note ever spoke of anything from there on."""
    truth = Truth(scenario(Random(0)))
    _commit(truth, 5, spoken=2)
    _commit(truth, offset, spoken=2, back_to=3)
    assert truth.committed[0] == offset


@pytest.mark.parametrize(
    ("spoken", "later", "offset", "back_to"),
    [
        pytest.param(2, 2, 3, NEVER, id="the commit tells of no epoch"),
        pytest.param(2, 2, 3, 4, id="the log leaves the epoch later"),
        pytest.param(3, 3, 3, 3, id="a note speaks of what comes again"),
        pytest.param(3, 2, 3, 3, id="an earlier note spoke of it"),
    ],
)
def test_a_commit_may_not_go_back_otherwise(spoken: int, later: int, offset: int, back_to: int) -> None:
    """Each of the conditions is needed."""
    truth = Truth(scenario(Random(0)))
    _commit(truth, 5, spoken)
    _commit(truth, 5, later)
    with pytest.raises(Violation, match=f"I3 0: {offset} committed after 5"):
        _commit(truth, offset, spoken=2, back_to=back_to)


def test_a_commit_may_not_go_back_over_what_was_gone_past() -> None:
    """A person said that those offsets are not asked for again."""
    truth = Truth(scenario(Random(0)))
    _commit(truth, 5, spoken=2)
    truth.gone_past(0, 3, 5)
    with pytest.raises(Violation, match="I3 0: 3 committed after 5"):
        _commit(truth, 3, spoken=2, back_to=3)


@pytest.mark.parametrize("rewound", [False, True])
def test_a_rewind_is_over_with_the_commit_of_who_had_it_accepted(rewound: bool) -> None:
    """A cut below the old commit sets nobody back once that is replaced; who was never let go on changes nothing."""
    kafka = World(Case(0)).kafka
    log, track = kafka.logs[0], Track(0, 1, 0, set(), 0)
    log.set_back, track.rewound = True, rewound
    metadata = text_of(at_ms=0, send_limit=-1, delivered=-1, runs="", committed=0)
    kafka._store(Issued(Commit("t", 0, 1, 0, metadata, -1, -1, 4_000, 0), track, 0))
    assert log.set_back is rewound
