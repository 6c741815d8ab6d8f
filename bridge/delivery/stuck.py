"""Records that keep failing though nothing is said against them: which are `stuck`, and what proof there is. Pure.

What an attempt proves is said by what was accepted beside it: an outage, of the API or of something behind it, meets
all. So nothing is given up by time or by number alone. Where nothing else could be accepted, since the record stopped
its partition, a few more records are let in beside it; where there is nothing else at all it stays, and is told.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from bridge.delivery.batch import Batch, Partition
from bridge.delivery.journal import Journal
from bridge.delivery.policy import Policy
from bridge.flow import Judged

CONFIRM: Final = 5
"""So often each part of a batch that was taken apart has to fail by itself, beside a success, to be blamed for it."""
_LOG_SECONDS: Final = 60.0


class Stuck:
    """Used by the delivery thread alone."""

    __slots__ = ("_journal", "_let_in_more", "_log_at", "_policy", "last_success")

    def __init__(self, policy: Policy, let_in: Callable[[Partition, float, float], None], journal: Journal) -> None:
        self._policy = policy
        self._let_in_more = let_in
        self._journal = journal
        self._log_at = -inf
        self.last_success = -inf
        """When something was accepted last, in monotonic seconds."""

    def failed(self, batch: Batch, judged: Judged, now: float) -> bool:
        """An attempt failed; returns whether the batch is stuck: often enough, long enough, and proven this time, too.

        It is proven where something was accepted since the attempt before it failed: also when calls are rare.
        """
        before, batch.failed = batch.failed, now
        proven = self.last_success > (batch.started if before is None else before)
        policy = self._policy
        if proven:
            batch.healthy += 1
            if batch.healthy_since is None:
                batch.healthy_since = now
            if batch.healthy >= policy.stuck_attempts and now - batch.healthy_since >= policy.stuck_seconds:
                return True
        else:
            self._let_in(batch, now)
        self._log(batch, judged, now)
        return False

    def halve(self, batch: Batch) -> None:
        """Take a stuck batch apart: whichever half it is has to show it by itself, beginning with short waits."""
        batch.bisect()
        for half in batch.family():
            half.healthy = min(half.healthy, max(0, self._policy.stuck_attempts - CONFIRM))
            half.tries = 0

    def _let_in(self, batch: Batch, now: float) -> None:
        """Where reading stopped because of a record of the batch, read one batch more: it may prove something.

        Not again before something was accepted: in an outage that is one batch in all.
        """
        for run in batch.runs:
            part = run.part
            if part.paused and part.live and part.ledger.watermark in run.offsets:
                self._let_in_more(part, self.last_success, now)

    def _log(self, batch: Batch, judged: Judged, now: float) -> None:
        if batch.count > 1 or batch.tries < self._policy.stuck_attempts or now < self._log_at:
            return
        self._log_at = now + _LOG_SECONDS
        run = batch.runs[0]
        self._journal.note(
            "record_failing",
            "warning",
            topic=run.part.name[0],
            partition=run.part.name[1],
            offset=run.offsets[0],
            rule=run.events()[0].rule,
            attempts=batch.tries,
            accepted_beside=batch.healthy,
            seconds=round(now - batch.opened, 1),
            code=judged.code,
            message=judged.message,
        )

    def apart(self, batch: Batch) -> Batch | None:
        """Halve a batch that fails while nothing else is in work, so that one half may prove something of the other.

        Returns the part that can go out by itself, of other lanes; None where order lets no part go before the rest.
        """
        if batch.count < 2 or batch.tries < self._policy.stuck_attempts:
            return None
        batch.bisect()
        second = batch.sequel
        if second is None or second.sequel is not None:
            return None
        batch.sequel = None
        first = batch.locked()
        away = second.take(lambda run: run.outside(first))
        if not away:
            batch.sequel = second
            return None
        batch.put([*batch.runs, *second.runs])
        other = batch.apart(away)
        other.lock()
        return other
