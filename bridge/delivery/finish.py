"""The one place where a record gets its outcome and leaves. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from bridge.delivery.batch import Locked, Run
from bridge.delivery.counters import DeliveryCounters
from bridge.delivery.guards import Brake, topic_key
from bridge.delivery.partition import FanOut, Partition
from bridge.flow import RECORD_OVERHEAD, Budget, Outcome, Record

NOTHING: Locked = {}
GOOD = frozenset({Outcome.DELIVERED, Outcome.FILTERED})
"""Outcomes that speak for the rules of a topic."""


class Finish:
    """Ends events and records: lanes, bytes, counters, ledger. Used by the delivery thread alone.

    Whoever marks the ledger otherwise, frees bytes or counts an outcome is wrong.
    """

    __slots__ = ("_brake", "_budget", "counters", "dirty", "woken")

    def __init__(self, counters: DeliveryCounters, budget: Budget, brake: Brake) -> None:
        self.counters = counters
        self._brake = brake
        self._budget = budget
        self.dirty: dict[Partition, int] = {}
        """Partitions whose watermark or finished set may have moved, and how many records have ended there since."""
        self.woken: deque[Partition] = deque()
        """Partitions that have something to take again."""

    def finish(self, run: Run, outcome: Outcome, result: str = "", still: Locked = NOTHING) -> None:
        """Every event of the run has ended so, and its lanes are free, save those in `still`.

        A record ends with the last of its events and faults, and has the worst of their outcomes. A run without bodies
        stands for records, or faults of them; else `result` is what `events_total` calls it.
        """
        if result:
            events = self.counters.events
            for (rule, name), count in run.by_rule().items():
                events[rule, name, result] += count
                if outcome is Outcome.DELIVERED:
                    self._brake.passed(rule, count)
        part, offsets = run.part, run.offsets
        if not part.live:
            self.counters.late_results += len(offsets)
        elif part.fan_outs and not part.fan_outs.keys().isdisjoint(offsets):
            self._end_parts(part, offsets, outcome)
        else:
            self._end(part, offsets, outcome)
        self.unlock(run, still)

    def _end_parts(self, part: Partition, offsets: Sequence[int], outcome: Outcome) -> None:
        """Of some of these records only a part ends."""
        fan_outs = part.fan_outs
        ended: dict[Outcome, list[int]] = {}
        for offset, parts in Counter(offsets).items():
            fan_out = fan_outs.get(offset)
            total = outcome if fan_out is None else fan_out.ended(outcome, parts)
            if total is not None:
                fan_outs.pop(offset, None)
                ended.setdefault(total, []).append(offset)
        for total, whole in ended.items():
            self._end(part, whole, total)

    def _end(self, part: Partition, offsets: Sequence[int], outcome: Outcome) -> None:
        """Whole records end, ascending."""
        topic, records = part.name[0], len(offsets)
        self._budget.free(topic, part.ledger.finish(offsets) + records * RECORD_OVERHEAD)
        self.counters.topic(topic).finished[outcome] += records
        self.dirty[part] = self.dirty.get(part, 0) + records
        if outcome in GOOD:
            self._brake.passed(topic_key(topic), records)

    def unlock(self, run: Run, still: Locked = NOTHING) -> None:
        """The lanes of a run are free, save those in `still`."""
        if run.lanes and run.part.lanes.unlock(run.lanes, still.get(run.part, ())):
            self.woken.append(run.part)

    def fan_out(self, part: Partition, offset: int, parts: int) -> None:
        """A record became so many events and faults: it ends with the last of them."""
        part.fan_outs[offset] = FanOut(parts)

    def last_of(self, part: Partition, offset: int) -> None:
        """Whatever is known of a record's events, it ends with the next thing of it that does."""
        part.fan_outs[offset].left = 1

    def forget(self, part: Partition, offset: int) -> None:
        """A record that was not handed over is to become something else."""
        part.fan_outs.pop(offset, None)

    def release(self, part: Partition, records: Sequence[Record]) -> None:
        """These are not ours any more, or will be read again: they leave, and the ledger is the caller's."""
        self._budget.free(part.name[0], sum(map(len, records)) + RECORD_OVERHEAD * len(records))
        self.counters.topic(part.name[0]).finished[Outcome.RELEASED] += len(records)
        self.counters.released += len(records)

    def moved(self, part: Partition) -> None:
        """What is to be said of the partition may be another, though nothing ended."""
        self.dirty.setdefault(part, 0)

    def wake(self, part: Partition) -> None:
        """The partition may have something to take again."""
        self.woken.append(part)
