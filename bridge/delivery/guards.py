"""Three guards against more notifications, or more dead letters, than anybody wants. Pure.

The *brake* stands in front of the dead-letter topic: too many refusals of one rule stop it instead of draining a topic. It
gates the dead-letter *write*, not the answer, and covers every way to be refused: decoding, mapping, unmatched, the API's
word. The idea is arroyo's dead-letter limits (a ratio and a run).

The *storm guard* counts the events of one rule for one recipient, in the records' own time. A catch-up after a long stop is
no storm, since its records are as far apart as they ever were. Counts live in the process and are bounded: whoever was not
heard of for longest is forgotten first, and may then get more, not less.

The *24 h guard* knows what may have been handed over so long ago that SuprSend has forgotten its key.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict
from operator import itemgetter

from bridge.delivery.admission import Hold, Reason
from bridge.delivery.batch import Partition, Run
from bridge.delivery.policy import OnDedupeExpired, StormLimits
from bridge.flow import Event
from bridge.offsets.commits import since_of

MOST_AHEAD_MS = 86_400_000
"""A record's time that is further ahead of the clock is none (microseconds, say): the clock is taken instead."""
MOST_KEPT = 200_000
"""Events remembered in all, some 100 bytes each."""
_time_of = itemgetter(0)


class StormGuard:
    """Used by the delivery thread alone."""

    __slots__ = ("_kept", "_limits", "_most", "_seen")

    def __init__(self, limits: StormLimits, most: int = MOST_KEPT) -> None:
        self._limits = limits
        self._most = most
        self._kept = 0
        self._seen: OrderedDict[tuple[str, str], list[tuple[int, int]]] = OrderedDict()
        """By rule and recipient what was let through, as (time, hash of the key), ascending."""

    @property
    def holds(self) -> bool:
        """Whether a storm is held, for a person to look at."""
        return self._limits.action == "hold"

    def admits(self, event: Event, at_ms: int) -> bool:
        """Whether the event may go out; `at_ms` is its record's time. One that was let through before always may.

        A record is mapped again after a reload, or when it was given back: it must not count twice.
        """
        whom = (event.rule, event.recipient)
        entry = (at_ms, hash(event.key))
        seen = self._seen.get(whom)
        if seen is None:
            seen = self._seen[whom] = []
        self._seen.move_to_end(whom)
        place = bisect_right(seen, entry)
        if place and seen[place - 1] == entry:
            return True
        since = bisect_right(seen, at_ms - self._limits.per_ms, key=_time_of)
        until = bisect_right(seen, at_ms, key=_time_of)
        if until - since >= self._limits.events:
            return False
        insort(seen, entry)
        self._kept += 1
        self._trim(seen, at_ms)
        return True

    def _trim(self, seen: list[tuple[int, int]], at_ms: int) -> None:
        """Let go of what can matter no more (partitions may be twice the span apart), and of the longest unheard.

        Counted from the record at hand: from the newest, one whose clock is ahead would make all later ones forgotten.
        """
        old = bisect_right(seen, at_ms - 2 * self._limits.per_ms, key=_time_of)
        if old:
            del seen[:old]
            self._kept -= old
        while self._kept > self._most and len(self._seen) > 1:
            self._kept -= len(self._seen.popitem(last=False)[1])

    def reset(self) -> None:
        """Begin to count anew: somebody looked at it and said go on."""
        self._seen.clear()
        self._kept = 0


class Repeats:
    """The 24 h guard. Used by the delivery thread alone; `give_up_ms` is how long SuprSend surely knows a key."""

    __slots__ = ("_give_up_ms", "_what")

    def __init__(self, give_up_ms: int, what: OnDedupeExpired) -> None:
        self._give_up_ms = give_up_ms
        self._what = what

    @property
    def hold(self) -> bool:
        """Whether a person is to decide."""
        return self._what == "hold"

    def too_late(self, run: Run, first_ms: int | None, now_ms: int) -> list[int]:
        """The places of events of which a further attempt could notify again: the first one is (nearly) out of the 24 hours.

        `first_ms` is when this process handed them over, if it did; what an earlier owner may have handed over has its
        own time.
        """
        part, offsets = run.part, run.offsets
        own = first_ms is not None and now_ms - first_ms > self._give_up_ms
        if self._what == "send" or not (own or offsets[0] <= part.start.send_limit):
            return []
        return [place for place, offset in enumerate(offsets) if self._is_late(part, offset, now_ms, own=own)]

    def _is_late(self, part: Partition, offset: int, now_ms: int, *, own: bool) -> bool:
        if offset <= part.consented:
            return False
        return now_ms - handed_over_at(part, offset) > self._give_up_ms if offset <= part.start.send_limit else own

    def hold_for(self, part: Partition, offset: int, now_ms: int) -> Hold:
        """The hold in which a person is to decide on that record."""
        detail = "first handed over longer ago than SuprSend remembers: to send it now may notify again"
        return Hold(Reason.DEDUPE_EXPIRED, part.name, now_ms, detail, offset)


def handed_over_at(part: Partition, offset: int) -> int:
    """When an earlier owner may first have handed the record over, in milliseconds; for one up to the start's send limit."""
    since = since_of(part.start.steps, offset)
    return part.start.send_limit_at if since is None else since
