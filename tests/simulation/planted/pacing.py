"""Back-off, breaker, holds that heal: what waits has to go on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from bridge.delivery import admission
from bridge.delivery.admission import Admission, Breaker, Limit
from bridge.delivery.calls import Calls
from tests.simulation.planted.table import instead, planted


@planted
def retry_after_not_clamped() -> AbstractContextManager[Any]:
    """Who says "in three thousand billion years" is believed."""
    return instead(admission, "LONGEST_QUIET", 1e9)


@planted
def later_retry_after_replaces_a_longer_one() -> AbstractContextManager[Any]:
    """The last answer decides how long it is quiet: "in five minutes" is forgotten with the next "in a second"."""

    def be_silent(self: Any, reply: Any, now: float, now_ms: int) -> None:
        wait = reply.quiet(now_ms / 1000)
        if wait is not None:
            self._silent_until = now + min(wait, admission.LONGEST_QUIET)

    return instead(Admission, "_be_silent", be_silent)


@planted
def probe_without_an_answer_is_for_ever() -> AbstractContextManager[Any]:
    """A probe that was throttled leaves the breaker waiting for its result."""
    return instead(Breaker, "abandoned", lambda self: None)


@planted
def failed_probe_is_the_last() -> AbstractContextManager[Any]:
    """After a failed probe nobody probes again."""

    def failed(self: Any, now: float) -> None:
        probing = self._probing
        RIGHT_FAILED(self, now)
        self._probing = probing

    return instead(Breaker, "failed", failed)


RIGHT_FAILED = Breaker.failed


@planted
def limit_falls_to_nothing() -> AbstractContextManager[Any]:
    """Trouble halves the calls in flight until none may go out."""

    def troubled(self: Any, now: float, seconds: float) -> None:
        self._lowest = 0
        RIGHT_TROUBLED(self, now, seconds)

    return instead(Limit, "troubled", troubled)


RIGHT_TROUBLED = Limit.troubled


@planted
def hold_of_the_setup_heals_never() -> AbstractContextManager[Any]:
    """An accepted probe does not lift the hold."""
    return instead(Admission, "_lift", lambda self, *reasons: None)


@planted
def retried_batch_is_lost() -> AbstractContextManager[Any]:
    """A batch that fails while it waits for a half before it forgets that half."""
    right = Calls._sequel

    def sequel(self: Any, batch: Any) -> None:
        if batch.tries < 3:
            right(self, batch)

    return instead(Calls, "_sequel", sequel)
