"""What goes out while everything is held, and right behind a hold: one batch at a time, as far as commits cover it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify
from typing import TYPE_CHECKING

from bridge.delivery.admission import Admission
from bridge.delivery.batch import Batch
from bridge.delivery.batcher import Batcher
from bridge.delivery.partition import Partition

if TYPE_CHECKING:
    from bridge.delivery.calls import Calls

NEW_SECONDS = 3600.0
"""Where answers are refused behind calls that may have been applied, a probe is a new batch this seldom."""


class Probes:
    """Used by the delivery thread alone."""

    def __init__(self, calls: Calls, admission: Admission, batcher: Batcher) -> None:
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
            run.part not in lowered or run.offsets[-1] <= run.part.bound for run in batch.runs if run.part.live
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
