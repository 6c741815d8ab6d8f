"""Records that keep failing though nothing is said against them: which are `stuck`, and what proof there is. Pure.

What an attempt proves is said by what was accepted beside it: an outage, of the API or of something behind it, meets
all. So nothing is given up by time or by number alone. Where nothing else could be accepted, since the record stopped
its partition, a few more records are let in beside it; where there is nothing else at all it stays, and is told.
"""

from __future__ import annotations

from typing import Final

from bridge.delivery.batch import Flight, Item
from bridge.delivery.batcher import LaneOf
from bridge.delivery.finish import Settler
from bridge.delivery.partition import Partition
from bridge.delivery.policy import Policy
from bridge.flow import Judged

CONFIRM: Final = 5
"""So often each part of a batch that was taken apart has to fail by itself, beside a success, to be blamed for it."""
_TELL_SECONDS: Final = 60.0


class Suspects:
    """Used by the delivery thread alone."""

    __slots__ = ("_lane_of", "_policy", "_settler", "_tell_at", "last_success")

    def __init__(self, policy: Policy, settler: Settler, lane_of: LaneOf) -> None:
        self._policy = policy
        self._settler = settler
        self._lane_of = lane_of
        self._tell_at = 0.0
        self.last_success = -1.0
        """When something was accepted last, in monotonic seconds."""

    def failed(self, flight: Flight, judged: Judged, now: float) -> bool:
        """An attempt failed; returns whether the flight is stuck: often enough, long enough, and proven this time, too.

        It is proven where something was accepted since the attempt before it failed: also when calls are rare.
        """
        before, flight.failed = flight.failed, now
        proven = self.last_success > (flight.started if before is None else before)
        policy = self._policy
        if proven:
            flight.healthy += 1
            if flight.healthy_since is None:
                flight.healthy_since = now
            if flight.healthy >= policy.stuck_attempts and now - flight.healthy_since >= policy.stuck_seconds:
                return True
        else:
            self._let_in(flight, now)
        self._tell(flight, judged, now)
        return False

    def halve(self, flight: Flight) -> None:
        """Take a stuck batch apart: whichever half it is has to show it by itself, beginning with short waits."""
        flight.split()
        for half in flight.family():
            half.healthy = min(half.healthy, max(0, self._policy.stuck_attempts - CONFIRM))
            half.tries = 0

    def _let_in(self, flight: Flight, now: float) -> None:
        """Where reading stopped because of a record of the flight, read one batch more: it may prove something.

        Not again before something was accepted: in an outage that is one batch in all.
        """
        for part, offset in {(item[0], item[1].offset()) for item in flight.items}:
            if not part.paused or not part.live or offset != part.ledger.watermark:
                continue
            if part.let_in_at is None or self.last_success > part.let_in_at:
                part.let_in_at = now
                part.extra = max(0, part.ledger.span() - self._policy.span) + self._policy.batch_events
                self._settler.dirty.add(part)

    def _tell(self, flight: Flight, judged: Judged, now: float) -> None:
        if len(flight.items) > 1 or flight.tries < self._policy.stuck_attempts or now < self._tell_at:
            return
        self._tell_at = now + _TELL_SECONDS
        part, record, event = flight.items[0]
        self._settler.journal.note(
            "record_failing",
            "warning",
            topic=part.name[0],
            partition=part.name[1],
            offset=record.offset(),
            rule=event.rule,
            attempts=flight.tries,
            accepted_beside=flight.healthy,
            seconds=round(now - flight.opened, 1),
            code=judged.code,
            message=judged.message,
        )

    def apart(self, flight: Flight) -> Flight | None:
        """Halve a batch that fails while nothing else is in work, so that one half may prove something of the other.

        Returns the part that can go out by itself, of other lanes; None where order lets no part go before the rest.
        """
        if len(flight.items) < 2 or flight.tries < self._policy.stuck_attempts:
            return None
        items = flight.items
        first = items[: (len(items) + 1) // 2]
        lanes = {_lane(item, self._lane_of) for item in first} - {None}
        away = [item for item in items[len(first) :] if _lane(item, self._lane_of) not in lanes]
        if not away or flight.sequel is not None:
            flight.split()
            return None
        gone = set(map(id, away))
        other = flight.apart(away)
        flight.keep([item for item in items if id(item) not in gone])
        for part, record, _ in away:
            lane = self._lane_of(record)
            if lane is not None:
                part.lanes[lane] = other
        return other


def _lane(item: Item, lane_of: LaneOf) -> tuple[Partition, bytes] | None:
    lane = lane_of(item[1])
    return None if lane is None else (item[0], lane)
