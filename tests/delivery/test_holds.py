"""Holds: one mechanism, one table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.delivery import operate
from bridge.delivery.admission import KINDS, MOST_NEWS, Hold, Holds, Reason, rewind_token
from bridge.delivery.core import Delivery
from bridge.service.snapshot import hold_view
from tests.delivery.bench import TOPIC, Bench
from tests.delivery.words import WordRules

SCOPE = (TOPIC, 0)


def test_every_reason_has_a_row() -> None:
    """The table says of every reason what lifts it."""
    assert set(KINDS) == set(Reason)
    assert all(kind.lifted_by for kind in KINDS.values())


def test_the_first_hold_of_a_reason_stays() -> None:
    """A second hold of the same reason at the same place changes nothing; its time stays."""
    holds = Holds()
    assert holds.add(Hold(Reason.BRAKE, ("t", 0), 1, "first"))
    assert not holds.add(Hold(Reason.BRAKE, ("t", 0), 2, "second"))
    assert [hold.detail for hold in holds.all()] == ["first"]


def test_a_hold_of_everything_tells_the_newest_cause() -> None:
    """Behind a cause that was mended another one comes to light: the hold keeps its time and tells that one."""
    holds = Holds()
    assert holds.add(Hold(Reason.SETUP, None, 1, "the proxy wants a password"))
    assert not holds.add(Hold(Reason.SETUP, None, 2, "the certificate has expired"))
    assert [(hold.since, hold.detail) for hold in holds.all()] == [(1, "the certificate has expired")]
    assert len(holds.news()) == 1


def test_a_hold_stops_its_own_partition_only() -> None:
    """Another partition is not held, and nothing is held everywhere."""
    holds = Holds()
    holds.add(Hold(Reason.HALT, ("t", 0), 1, ""))
    assert holds.on(("t", 0))
    assert not holds.on(("t", 1))
    assert not holds.everything()


def test_changes_are_told_once() -> None:
    """Partitions whose holds changed are named once, whether held or released."""
    holds = Holds()
    holds.add(Hold(Reason.HALT, ("t", 0), 1, ""))
    assert holds.changed() == {("t", 0)}
    assert holds.changed() == set()
    assert holds.lift(("t", 0), Reason.HALT) is not None
    assert holds.lift(("t", 0), Reason.HALT) is None
    assert holds.changed() == {("t", 0)}
    assert not holds.on(("t", 0))


def test_news_tells_each_hold_however_short_and_of_a_partition_that_goes_away() -> None:
    """What began and ended between two looks is told, in order, once; the latest of very many."""
    holds = Holds()
    holds.add(Hold(Reason.SETUP, None, 1, ""))
    holds.lift(None, Reason.SETUP)
    holds.add(Hold(Reason.HALT, ("t", 0), 2, ""))
    holds.drop(("t", 0))
    assert [(hold.reason, began) for hold, began in holds.news()] == [
        (Reason.SETUP, True),
        (Reason.SETUP, False),
        (Reason.HALT, True),
        (Reason.HALT, False),
    ]
    assert holds.news() == []
    for partition in range(MOST_NEWS + 5):
        holds.add(Hold(Reason.HALT, ("t", partition), 3, ""))
    assert len(holds.news()) == MOST_NEWS


@pytest.mark.parametrize(
    ("reason", "reload", "resume", "heals", "wanted"),
    [
        (Reason.SETUP, False, False, True, False),
        (Reason.UNREADABLE, False, False, True, False),
        (Reason.WORKSPACE, False, False, False, False),
        (Reason.REWIND, False, False, False, False),
        (Reason.RETENTION_GAP, False, True, False, False),
        (Reason.BRAKE, True, True, False, False),
        (Reason.HALT, True, True, False, False),
        (Reason.STORM, False, True, False, False),
        (Reason.DEAD_LETTER_TOPIC, False, False, True, False),
        (Reason.DEDUPE_EXPIRED, False, True, False, False),
        (Reason.OVERSIZED, False, False, True, False),
        (Reason.OPERATOR, False, False, False, True),
    ],
)
def test_what_lifts_a_hold_and_what_is_told_of_it(
    reason: Reason, reload: bool, resume: bool, heals: bool, wanted: bool
) -> None:
    """New rules lift what rules did, `resume` what waits for a decision; nothing else does, a pause has its own word."""
    lifts: list[tuple[Callable[[Delivery], object], bool]] = [
        (lambda delivery: operate.reload(delivery, WordRules(2)), reload),
        (lambda delivery: operate.resume(delivery, SCOPE), resume),
    ]
    for lift, expected in lifts:
        bench = Bench()
        bench.assign()
        bench.delivery.holds.add(Hold(reason, SCOPE, 1, ""))
        lift(bench.delivery)
        assert (not bench.delivery.holds.on(SCOPE)) is expected
    told = hold_view(Hold(reason, SCOPE, 1, ""))
    assert (told.heals, told.wanted) == (heals, wanted)


def test_a_token_stands_for_one_rewind_and_is_the_same_in_any_version() -> None:
    """Golden: people put it into their settings before they upgrade. Another place, offset or extent has another."""
    assert rewind_token(("orders", 3), 5, "94 records") == "c6cbdcd751"
    others = [("orders", 4, 5, "94 records"), ("order", 3, 5, "94 records"), ("orders", 3, 6, "94 records")]
    tokens = {rewind_token((topic, partition), offset, detail) for topic, partition, offset, detail in others}
    assert (
        len(tokens | {rewind_token(("orders", 3), 5, "94 records"), rewind_token(("orders", 3), 5, "93 records")}) == 5
    )
