"""What commits call handed over while everything is held: what may really have been applied, and the probe. Pure.

Else the commit's bound is the newest record read, so that a kill leaves no doubt. In a hold that would put the 24 h
clock on records that wait in front of it: it goes back, as at a clean stop, and goes on behind the hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.delivery.calls import Calls
from bridge.delivery.flight import Flight
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Partition
from bridge.delivery.policy import Policy
from bridge.delivery.refusals import Refusals
from bridge.flow import Bounded, Cover


class Covers:
    """Used by the delivery thread alone."""

    def __init__(self, policy: Policy, holds: Holds, calls: Calls, refusals: Refusals) -> None:
        self._policy = policy
        self._holds = holds
        self._calls = calls
        self._probes = calls.probes
        self._refusals = refusals
        self._on = False
        self._hungry: Partition | None = None
        """Whose next records are covered, too, since a probe needs new ones."""

    def handed(self, part: Partition) -> int:
        """The newest offset that may have been applied, in this assignment or an earlier owner's; -1 if none.

        What is finished above the watermark does not count: it stands in the note, as far as that has room.
        """
        offsets = [item[1].offset() for flight in self._maybe_applied() for item in flight.items if item[0] is part]
        offsets += (offset for offset, fan in part.fans.items() if fan.left < fan.total)
        offsets += self._refusals.unfinished(part)
        if len(part.ledger.runs()) > self._policy.note_bytes:
            offsets.append(part.ledger.top)
        return max((part.start.bound, min(part.ledger.top, part.ledger.watermark - 1), *offsets))

    def _maybe_applied(self) -> Iterator[Flight]:
        calls = self._calls
        yield from (flight for root in calls.in_flight.values() for flight in root.family())
        yield from (flight for _, _, root in calls.resting for flight in root.family() if flight.first_ms is not None)

    def orders(self, parts: Iterable[Partition]) -> list[Cover]:
        """What the commits are to say from now on; to be called whenever something may have changed."""
        if not self._holds.everything():
            if not self._on:
                return []
            self._on, self._hungry = False, None
            return [self._order(part, None) for part in parts if part.covered is not None]
        fed = not self._probes.hungry or (self._hungry is not None and self._feeds(self._hungry))
        if self._on and fed and not self._probes.moved:
            return []
        self._on, self._probes.moved = True, False
        parts = list(parts)
        if not self._probes.hungry:
            self._hungry = None
        elif not fed:
            self._hungry = next((part for part in parts if self._may_feed(part)), None)
        return [self._order(part, last) for part, last in self._wanted(parts) if part.covered != last]

    def _feeds(self, part: Partition) -> bool:
        """Whether a probe may still come of what is covered: records that no rule wants make none."""
        spent = part.covered is not None and bool(part.unsent) and part.unsent[0].offset() > part.covered
        return self._may_feed(part) and (not spent or self._probes.filling)

    def _may_feed(self, part: Partition) -> bool:
        return part.live and not self._holds.on(part.name) and bool(_next_of(part, self._policy))

    def _wanted(self, parts: Iterable[Partition]) -> Iterator[tuple[Partition, int]]:
        probe = self._probes.chosen
        for part in parts:
            probed = [] if probe is None else [item[1].offset() for item in probe.items if item[0] is part]
            fed = _next_of(part, self._policy) if part is self._hungry else []
            yield part, max((self.handed(part), *probed, *fed))

    def _order(self, part: Partition, last: int | None) -> Cover:
        part.covered, part.number = last, part.number + 1
        if last is not None:
            part.bound = min(part.bound, last)
        self._probes.lowered.add(part)
        return Cover(*part.name, part.epoch, part.number, last)

    def acknowledged(self, part: Partition, item: Bounded) -> None:
        """A commit of the partition is in Kafka; what an order since then has overtaken says nothing."""
        if item.number in (part.number, -1):
            part.bound = max(part.bound, item.bound)
            if part.covered is None:
                self._probes.lowered.discard(part)


def _next_of(part: Partition, policy: Policy) -> list[int]:
    """The last of the next records that would share a call, as a list; empty if there are none."""
    unsent = part.unsent
    return [unsent[min(len(unsent), policy.batch_events) - 1].offset()] if unsent else []
