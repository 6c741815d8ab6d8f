"""What may go out while something is held, and what commits call handed over meanwhile. Pure.

Else a commit's send limit is the newest record read, so that a kill leaves no doubt. In a hold that would put the 24 h
clock on records that wait in front of it: it goes back, as at a clean stop, and goes on behind the hold. While
everything is held a probe goes out now and then; while a partition is, what was in batches already, unless somebody
paused it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify
from typing import Protocol

from bridge.delivery.admission import Admission
from bridge.delivery.batch import Batch, newest_of
from bridge.delivery.batcher import Batcher
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Partition
from bridge.delivery.policy import Policy
from bridge.flow import CommitSendLimit, SendLimitCommitted

NEW_SECONDS = 3600.0
"""Where answers are refused behind calls that may have been applied, a probe is a new batch this seldom."""


class Started(Protocol):
    """The batches that were handed to the API (`Calls`)."""

    in_flight: dict[int, Batch]
    resting: list[tuple[float, int, Batch]]

    @property
    def probes(self) -> Probes: ...
    def batches(self) -> list[Batch]: ...
    def unpark(self, part: Partition) -> None: ...


class Probes:
    """Which batch goes out while everything is held, and right behind a hold: one at a time, as far as commits cover it.

    Used by the delivery thread alone.
    """

    def __init__(self, calls: Started, admission: Admission, batcher: Batcher) -> None:
        self._calls = calls
        self._admission = admission
        self._batcher = batcher
        self.lowered: set[Partition] = set()
        """While everything is held and right behind it: partitions whose commits may cover less than what is in batches.

        Each batch is looked at before it goes.
        """
        self.chosen: Batch | None = None
        """While everything is held: the batch that goes next, once commits cover it."""
        self.hungry = False
        """While everything is held: a probe of new records is wanted, and there is none."""
        self.moved = False
        """What may have been applied, or what is probed next, is another since this was set to false."""
        self._new_at: float | None = None
        """While everything is held: when a probe may be a batch that never went out."""

    @property
    def filling(self) -> bool:
        """Whether a batch of new records is on its way to be full."""
        return self._batcher.open is not None and self._batcher.open.count > 0

    def over(self) -> None:
        """Nothing is held."""
        self.chosen, self.hungry, self._new_at = None, False, None

    def in_hold(self, now: float) -> Batch | None:
        """Where calls may be applied whatever the answers say, a probe is what went out before: only that can be late.

        The least tried first. A new batch goes once an hour then, and where nothing that went out is left; it waits
        until a commit covers it. Where nothing was applied, by SuprSend's own words, any may go.
        """
        sealed, doubt = self._batcher.sealed, self._admission.maybe_applied
        while sealed and not sealed[0].count:
            sealed.popleft()
        if self._new_at is None:
            self._new_at = now + NEW_SECONDS
        none_left = not (self._calls.resting or self._calls.in_flight)
        due = now >= self._new_at or none_left
        first = sealed[0] if sealed and (due or not doubt) else next((each for each in sealed if each.guarded), None)
        chosen = first if first is not None else self.least_tried(now)
        hungry = due and not sealed and (doubt or none_left)
        if chosen is not self.chosen or hungry != self.hungry:
            self.chosen, self.hungry, self.moved = chosen, hungry, True
        if chosen is None or not self._covered(chosen):
            return None
        if chosen is first and not chosen.guarded:
            self._new_at = now + NEW_SECONDS
        self.chosen = None
        return self._take(chosen)

    def in_outage(self, now: float) -> Batch | None:
        """A new one before the least tried: one that would fail at a healthy API must not hide that it is healthy."""
        sealed = next(filter(self._covered, self._batcher.sealed), None)
        return self._take(sealed if sealed is not None else self.least_tried(now, self._covered))

    def behind_hold(self, now: float) -> Batch | None:
        """Commits follow one by one: what they cover goes out, the rest waits for them."""
        budget = self._admission.budget
        for at, _, batch in sorted(self._calls.resting):
            if at <= now and self._covered(batch) and (batch.immediate or budget.wait(now) <= 0):
                return self._take(batch)
        return self._take(next(filter(self._covered, self._batcher.sealed), None))

    def later(self, now: float) -> float | None:
        """When something that waits comes due by time alone."""
        times = [at for at, _, _ in self._calls.resting] + ([] if self._new_at is None else [self._new_at])
        return min((at for at in times if now < at < float("inf")), default=None)

    def least_tried(self, now: float, fits: Callable[[Batch], bool] = lambda _: True) -> Batch | None:
        """Of those that went out and are due."""
        due = [entry for entry in self._calls.resting if entry[0] <= now and fits(entry[2])]
        return min(due, key=lambda entry: (entry[2].tries, entry[1]))[2] if due else None

    def _covered(self, batch: Batch) -> bool:
        """Whether commits say of each of its records that it may have been handed over."""
        lowered = self.lowered
        return not lowered or all(
            run.part not in lowered or run.offsets[-1] <= run.part.send_limit for run in batch.runs if run.part.live
        )

    def _take(self, batch: Batch | None) -> Batch | None:
        """Take a batch out of where it waits."""
        calls, sealed = self._calls, self._batcher.sealed
        if batch is not None and batch in sealed:
            sealed.remove(batch)
        elif batch is not None:
            calls.resting = [entry for entry in calls.resting if entry[2] is not batch]
            heapify(calls.resting)
        return batch


class SendLimits:
    """What commits are to call handed over. Used by the delivery thread alone."""

    def __init__(
        self, policy: Policy, holds: Holds, calls: Started, batcher: Batcher, dead_letters: DeadLetters
    ) -> None:
        self._policy = policy
        self._holds = holds
        self._calls = calls
        self._batcher = batcher
        self._probes = calls.probes
        self._dead_letters = dead_letters
        self._on = False
        self._hungry: Partition | None = None
        """Whose next records are covered, too, since a probe needs new ones."""
        self._unsettled: set[Partition] = set()
        """Partitions on which a hold was put or lifted, or that still have something in batches in theirs."""

    def handed(self, part: Partition) -> int:
        """The newest offset that may have been applied, in this assignment or an earlier owner's; -1 if none.

        What is finished above the watermark does not count: it stands in the metadata, as far as that has room.
        """
        return self._handed(part, newest_of(self._maybe_applied()))

    def _handed(self, part: Partition, applied: Mapping[Partition, int]) -> int:
        offsets = [offset for offset, fan_out in part.fan_outs.items() if fan_out.begun]
        offsets += self._dead_letters.unfinished(part)
        if len(part.ledger.runs()) > self._policy.metadata_bytes:
            offsets.append(part.ledger.top)
        finished = min(part.ledger.top, part.ledger.watermark - 1)
        return max((part.start.send_limit, applied.get(part, -1), finished, *offsets))

    def _maybe_applied(self) -> Iterator[Batch]:
        calls = self._calls
        yield from (batch for root in calls.in_flight.values() for batch in root.family())
        yield from (batch for _, _, root in calls.resting for batch in root.family() if batch.first_ms is not None)

    def orders(self, parts: Iterable[Partition], changed: Sequence[Partition]) -> list[CommitSendLimit]:
        """What the commits are to say from now on; to be called whenever something may have changed.

        `changed` are the partitions on which a hold was put or lifted since the last call.
        """
        self._unsettled.update(changed)
        if self._holds.everything():
            return self._in_hold(parts)
        if self._on:
            self._on, self._hungry = False, None
            self._unsettled.update(parts)
        elif not (changed or self._probes.moved):
            return []
        return self._of_partitions() if self._unsettled else []

    def look_again(self, part: Partition) -> None:
        """More of the partition is read or covered by now: where it is held, that must not count as handed over."""
        if self._holds.on(part.name):
            self._unsettled.add(part)
            self._probes.moved = True

    def _in_hold(self, parts: Iterable[Partition]) -> list[CommitSendLimit]:
        fed = not self._probes.hungry or (self._hungry is not None and self._feeds(self._hungry))
        if self._on and fed and not self._probes.moved:
            return []
        parts = [part for part in parts if part.number >= 0]
        self._look_at_batches(parts)
        self._on, self._probes.moved = True, False
        if not self._probes.hungry:
            self._hungry = None
        elif not fed:
            self._hungry = next((part for part in parts if self._may_feed(part)), None)
        return [self._order(part, last) for part, last in self._wanted(parts) if part.covered != last]

    def _look_at_batches(self, parts: Iterable[Partition]) -> None:
        """From now on a batch goes only as far as commits cover it; what waited apart for that waits no longer."""
        self._probes.lowered.update(parts)
        for part in parts:
            if part.behind:
                part.behind = False
                self._calls.unpark(part)

    def _feeds(self, part: Partition) -> bool:
        """Whether a probe may still come of what is covered: records that no rule wants make none."""
        spent = part.covered is not None and bool(part.lanes.unsent) and part.lanes.unsent[0].offset() > part.covered
        return self._may_feed(part) and (not spent or self._probes.filling)

    def _may_feed(self, part: Partition) -> bool:
        return part.live and not self._holds.on(part.name) and bool(_next_of(part, self._policy))

    def _wanted(self, parts: Iterable[Partition]) -> Iterator[tuple[Partition, int]]:
        applied, probe = newest_of(self._maybe_applied()), self._probes.chosen
        probed = {} if probe is None else newest_of([probe])
        for part in parts:
            fed = _next_of(part, self._policy) if part is self._hungry else []
            yield part, max((self._handed(part, applied), probed.get(part, -1), *fed))

    def _of_partitions(self) -> list[CommitSendLimit]:
        """Back in a partition that is held, down to what still goes out while that lasts; on where it is not any more."""
        self._probes.moved = False
        applied = newest_of(self._maybe_applied())
        called = newest_of(self._calls.in_flight.values())
        going = newest_of([*self._calls.batches(), *self._batcher.unstarted()])
        orders: list[CommitSendLimit] = []
        for part in sorted(self._unsettled, key=lambda part: part.name):
            held = part.live and part.number >= 0 and bool(self._holds.on(part.name))
            goes = called if self._holds.paused(part.name) else going
            last = max(self._handed(part, applied), goes.get(part, -1)) if held else None
            if part.live and part.covered != last and (part.covered is not None or _read_above(part, last)):
                orders.append(self._order(part, last))
            if held and part.covered is not None:
                part.behind = True
                self._probes.lowered.discard(part)
            if not held or part not in goes:
                self._unsettled.discard(part)
        return orders

    def _order(self, part: Partition, last: int | None) -> CommitSendLimit:
        part.covered, part.number = last, part.number + 1
        if last is not None:
            part.send_limit = min(part.send_limit, last)
        return CommitSendLimit(*part.name, part.epoch, part.number, last)

    def acknowledged(self, part: Partition, item: SendLimitCommitted) -> None:
        """A commit of the partition is in Kafka; what an order since then has overtaken says nothing."""
        if item.number not in (part.number, -1):
            return
        part.send_limit = max(part.send_limit, item.send_limit)
        if item.number < 0:
            part.covered, part.number = None, item.number
        if part.behind:
            self._calls.unpark(part)
        if part.covered is None:
            part.behind = False
            self._probes.lowered.discard(part)
            self.look_again(part)


def _read_above(part: Partition, last: int | None) -> bool:
    """Whether commits may call more handed over than that; where they do not, none is made that changes nothing."""
    newest = part.ledger.newest
    return last is not None and max(part.send_limit, newest if newest >= part.start.offset else -1) > last


def _next_of(part: Partition, policy: Policy) -> list[int]:
    """The last of the next records that would share a call, as a list; empty if there are none."""
    unsent = part.lanes.unsent
    return [unsent[min(len(unsent), policy.batch_events) - 1].offset()] if unsent else []
