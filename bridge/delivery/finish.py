"""The one place where a record gets its outcome, is counted and leaves. Pure.

The counters are plain numbers, written by the delivery thread alone and read for a snapshot.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.delivery.batch import FanOut, Locked, Partition, Run
from bridge.delivery.policy import BrakeLimits
from bridge.flow import RECORD_OVERHEAD, Budget, Outcome, Record


class Buckets:
    """A histogram's counts (the last is for what is above all bounds) and the sum of what was observed."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


@dataclass(slots=True)
class TopicCounters:
    """Counts of one topic since the process started. Records in work are what was consumed and has not finished."""

    consumed: int = 0
    finished: Counter[Outcome] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)


LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
CALL = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH = (1.0, 2.0, 5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0)


@dataclass(slots=True)
class DeliveryCounters:
    """Everything counted. Latencies are taken per call, from its first and its last record: not once per record."""

    topics: dict[str, TopicCounters] = field(default_factory=dict)
    events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Those that ended, by (rule, event name, result): `accepted`, `expired`, or what `RESULTS` calls their dead letter."""
    rule_matches: Counter[str] = field(default_factory=Counter)
    """Records that became something by the rule, whenever they are mapped."""
    rule_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (rule, code of the fault); of what reached no rule there is only the dead letter."""
    requests: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    waited: dict[str, float] = field(default_factory=dict)
    body_bytes: int = 0
    order_breaks: int = 0
    unknown_answers: int = 0
    late_results: int = 0
    dead_letter_failures: int = 0
    latency: Buckets = field(default_factory=lambda: Buckets(LATENCY))
    processing: Buckets = field(default_factory=lambda: Buckets(LATENCY))
    call_seconds: Buckets = field(default_factory=lambda: Buckets(CALL))
    call_records: Buckets = field(default_factory=lambda: Buckets(BATCH))

    def topic(self, name: str) -> TopicCounters:
        """The counts of one topic, made when first asked for."""
        counters = self.topics.get(name)
        if counters is None:
            counters = self.topics[name] = TopicCounters()
        return counters

    def wait(self, reason: str, seconds: float) -> None:
        """Calls could not go out for so long, because of that."""
        self.waited[reason] = self.waited.get(reason, 0.0) + seconds

    def events_ended(self, result: str) -> int:
        """Events that ended so, of all rules, those of former rules included."""
        return sum(count for (_, _, each), count in self.events.items() if each == result)


NOTHING: Locked = {}
GOOD = frozenset({Outcome.DELIVERED, Outcome.FILTERED})
"""Outcomes that speak for the rules of a topic."""


def topic_key(topic: str) -> str:
    """What records are counted under that reached no rule."""
    return f"topic {topic}"


class Brake:
    """Counts per rule, in this process. Used by the delivery thread alone."""

    __slots__ = ("_limits", "_rules")

    def __init__(self, limits: BrakeLimits) -> None:
        self._limits = limits
        self._rules: dict[str, _Count] = {}

    def passed(self, rule: str, records: int) -> None:
        """So many of the rule's records went well; of no interest until one of them is refused."""
        count = self._rules.get(rule)
        if count is not None:
            count.add(records, refused=False, window=self._limits.window)

    def refused(self, rule: str) -> bool:
        """One of its records is to be dead-lettered; True if that is one too many: hold instead of writing."""
        count = self._rules.setdefault(rule, _Count())
        count.add(1, refused=True, window=self._limits.window)
        limits = self._limits
        return count.row >= limits.row or (
            count.total >= limits.window and count.refused >= limits.ratio * limits.window
        )

    def reset(self, rule: str | None = None) -> None:
        """Begin to count anew, for one rule or for all: after a reload, resume or skip."""
        if rule is None:
            self._rules.clear()
        else:
            self._rules.pop(rule, None)


class _Count:
    """Runs of equal results over the last records, so that a good batch of 100 costs one entry."""

    __slots__ = ("refused", "row", "runs", "total")

    def __init__(self) -> None:
        self.row = 0
        self.refused = 0
        self.total = 0
        self.runs: deque[tuple[int, bool]] = deque()

    def add(self, records: int, *, refused: bool, window: int) -> None:
        if not records:
            return
        self.row = self.row + records if refused else 0
        self.total += records
        self.refused += records if refused else 0
        runs = self.runs
        if runs and runs[-1][1] == refused:
            runs[-1] = (runs[-1][0] + records, refused)
        else:
            runs.append((records, refused))
        while self.total > window:
            oldest, bad = runs[0]
            gone = min(oldest, self.total - window)
            self.total -= gone
            self.refused -= gone if bad else 0
            if gone == oldest:
                runs.popleft()
            else:
                runs[0] = (oldest - gone, bad)


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

    def moved(self, part: Partition) -> None:
        """What is to be said of the partition may be another, though nothing ended."""
        self.dirty.setdefault(part, 0)

    def wake(self, part: Partition) -> None:
        """The partition may have something to take again."""
        self.woken.append(part)
