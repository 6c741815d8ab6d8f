"""Holds of everything: what may have been applied behind them, and what commits say of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from bridge.delivery.admission import Admission
from bridge.delivery.calls import Calls, Probes
from bridge.delivery.core import SendLimits
from bridge.flow import Verdict
from tests.simulation.planted.table import instead, judging, planted


@planted
def page_is_taken_for_never_applied() -> AbstractContextManager[Any]:
    """What is judged as wrong set-up starts no clock, though a box may have handed the call on."""
    return judging(lambda reply, n, judged: judged._replace(applied=False) if judged.whole is Verdict.SETUP else judged)


@planted
def probe_goes_before_a_commit_covers_it() -> AbstractContextManager[Any]:
    """The send limit went back, and the next probe does not wait for it to come again."""
    return instead(Probes, "_covered", lambda self, batch: True)


@planted
def commit_from_before_the_hold_covers() -> AbstractContextManager[Any]:
    """A commit that was on its way when the send limit went back still lets everything go out."""

    def acknowledged(self: Any, part: Any, item: Any) -> None:
        RIGHT_ACKNOWLEDGED(self, part, item._replace(number=part.number))

    return instead(SendLimits, "acknowledged", acknowledged)


@planted
def nothing_is_covered_again_behind_a_hold() -> AbstractContextManager[Any]:
    """The send limit goes back for good: what is read later waits for ever."""
    right = SendLimits.orders
    return instead(
        SendLimits, "orders", lambda self, *args: [each for each in right(self, *args) if each.last is not None]
    )


@planted
def partition_of_what_was_too_large_stays_held() -> AbstractContextManager[Any]:
    """The event got through at last, and nobody lifts the hold."""
    return instead(Admission, "lift_oversized", lambda self, scope: None)


@planted
def what_is_too_large_for_a_box_is_dead_lettered() -> AbstractContextManager[Any]:
    """A page with 413 is taken for SuprSend's word on the event."""
    return judging(lambda reply, n, judged: judged._replace(whole=Verdict.TOO_LARGE) if reply.status == 413 else judged)


@planted
def what_got_through_goes_on_holding_its_partition() -> AbstractContextManager[Any]:
    """SuprSend itself answered that the event failed, and its partition still waits for a box on the way."""

    def mixed(self: Any, batch: Any, *args: Any) -> None:
        part, batch.oversized = batch.oversized, None
        RIGHT_MIXED(self, batch, *args)
        if part is not None and batch.count:
            batch.oversized = part
        elif part is not None:
            self._admission.lift_oversized(part.name)

    return instead(Calls, "_mixed", mixed)


RIGHT_MIXED = Calls._mixed
RIGHT_ACKNOWLEDGED = SendLimits.acknowledged


@planted
def spent_cover_feeds_no_probe() -> AbstractContextManager[Any]:
    """What is covered for a probe is filtered, and no probe ever goes out."""
    return instead(SendLimits, "_feeds", SendLimits._may_feed)
