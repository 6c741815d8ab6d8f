"""A simulated topic: partitions with gaps, and everything that can happen to a log."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.offsets.begin import Committed
from bridge.offsets.commits import Commit
from tests.simulation.faults import Faults
from tests.simulation.records import Produced, Rec, Track
from tests.simulation.scenario import Scenario
from tests.simulation.truth import Truth

if TYPE_CHECKING:
    from tests.simulation.consumer import Consumer
    from tests.simulation.reading import Reading

TOPIC = "t"
NEVER = 1 << 62
"""No offset comes to that."""


@dataclass(slots=True)
class Issued:
    """A commit and what it says: everything that was settled in `track` by `sequence`."""

    commit: Commit
    track: Track
    sequence: int


@dataclass(slots=True)
class Log:
    """One partition."""

    low: int = 0
    end: int = 0
    led_from: float = 0.0
    """Before that time its leader cannot be reached."""
    quiet: bool = False
    """Nothing is produced until a commit speaks of the log as it was cut: what nobody can notice is not promised."""
    cut_at: int = NEVER
    """What the commit in force may say of offsets from here on was of other records."""
    set_back: bool = False
    """The group was set back here, and nobody has accepted it yet."""
    committed: Committed | None = None
    issued: Issued | None = None
    mark: int | None = None
    """The highest delivered offset, as the shadow group keeps it."""
    damaged: tuple[int, int] | None = None
    """The first and last offset of a stretch that nobody can read."""
    owner: Consumer | None = None
    target: Consumer | None = None
    epochs: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """Leader epochs, and the first offset of each."""
    cuts: list[int] = field(default_factory=list)
    """Where it was cut off, each time."""

    @property
    def is_cut(self) -> bool:
        """Whether the commit in force speaks of a log that was cut off, or is no more."""
        return self.quiet or self.cut_at < NEVER

    def epoch_at(self, offset: int) -> int:
        """The leader epoch under which a record was written."""
        return max((epoch for epoch, first in self.epochs if first <= offset), default=-1)

    def end_of(self, epoch: int) -> int:
        """Where the log leaves a leader epoch, as a broker tells it; -1 where it never had one so high."""
        if epoch > self.epochs[-1][0]:
            return -1
        return next((first for later, first in self.epochs if later > epoch), self.end)

    def cut_since(self, incarnation: int) -> int:
        """From where on it is not the log any more that it was after so many cuts."""
        return min(self.cuts[incarnation:], default=NEVER)

    def lead_anew(self) -> None:
        """Another leader: what comes from the end on is of a new epoch."""
        epoch = self.epochs[-1][0] + 1
        self.epochs = [*((each, first) for each, first in self.epochs if first < self.end), (epoch, self.end)]

    def end_anew(self, *, anew: bool) -> None:
        """The log was cut off at its end, or its topic is another one by now."""
        if anew:
            self.epochs = [(0, 0)]
        else:
            self.lead_anew()


class Topic:
    """The partitions, and what is produced to them and deleted from them."""

    def __init__(self, scenario: Scenario, faults: Faults, truth: Truth) -> None:
        self.scenario = scenario
        self.faults = faults
        self.truth = truth
        self.logs = [Log() for _ in range(scenario.partitions)]
        self.away = False
        """No broker answers."""
        self.first_ends: list[int] | None = None
        """Where the partitions ended that were there when the first member decided where the group begins."""
        self._keys = [b"k%d" % number for number in range(scenario.keys)]
        self._values = [word.encode() for word in scenario.words]

    def produce(self, number: int, now_ms: int, n: int, values: Sequence[bytes] | None = None) -> None:
        """Append records to a partition; offsets of markers, and of what was compacted or aborted, are left out."""
        faults, ordering = self.faults, self.scenario.policy.ordering
        rng, log, truth = faults.rng, self.logs[number], self.truth
        keys, values = self._keys, values or self._values
        end = log.end
        for _ in range(n):
            chance = rng.random()
            if chance < 0.05 and faults.take("kafka: gap"):
                end += 1 + int(chance * 60)
            key = keys[rng.below(len(keys))] if chance < 0.9 else None
            value = rng.choice(values) or (None if chance < 0.5 else b"")
            record = Produced(TOPIC, number, end, value, key=key, timestamp=now_ms)
            truth.produced(record, key if ordering == "key" else b"all" if ordering == "partition" else None)
            end += 1
        if rng.random() < 0.15 and faults.take("kafka: transaction marker"):
            end += 1
        log.end = end

    def fetch(self, number: int, position: int, n: int) -> list[Rec] | None:
        """The next records at or after a position; None where the position is not in the log."""
        log = self.logs[number]
        if not log.low <= position <= log.end:
            return None
        truth = self.truth
        place = bisect_left(truth.offsets[number], position)
        produced = truth.logs[number]
        while place < len(produced):
            recs = [rec for rec in produced[place : place + n] if not rec.gone]
            if recs:
                return recs
            place += n
        return []

    def readable(self, number: int, position: int, recs: list[Rec]) -> list[Rec] | None:
        """What of fetched records a client can unpack; None where it gets an error and nothing else."""
        stretch = self.logs[number].damaged
        if stretch is None or position > stretch[1]:
            return recs
        return [rec for rec in recs if rec.offset < stretch[0]] or None

    def compact(self, number: int, read: Sequence[int]) -> None:
        """Records that are still to be read vanish; `read` is up to where each partition was read."""
        recs = self.truth.between(number, max(read[number], self.truth.committed[number]), self.logs[number].end)
        for rec in recs[:: self.faults.rng.choice((1, 2, 3))][:3]:
            if not rec.gone and self.faults.take("kafka: compacted"):
                rec.gone = True

    def expire(self, number: int) -> None:
        """Retention overtakes the group: the oldest records are deleted, read or not."""
        log = self.logs[number]
        behind = log.end - self.truth.committed[number]
        if behind > 1 and log.committed is not None and log.issued is not None and not log.quiet:
            low = self.truth.committed[number] + 1 + self.faults.rng.below(behind)
            if low > log.low and self.faults.take("kafka: retention overtakes the group"):
                log.low = low
                for rec in self.truth.between(number, 0, low - 1):
                    rec.deleted = rec.deleted or not rec.gone
                    rec.gone = True

    def cut(self, number: int, readings: Sequence[Reading]) -> None:
        """An unclean leader: the newest records are gone, though they were acknowledged; or the topic is made anew.

        Left out is what no reader could notice: it read beyond the new end, and goes on before it. Who knows the leader
        epoch of what was read notices also a log that has grown again: only without it nothing is produced for a while.
        """
        rng, log = self.faults.rng, self.logs[number]
        anew = not self.scenario.topic_ids and rng.random() < 0.5
        end = 0 if anew else max(log.low, log.end - 1 - rng.below(20))
        if log.quiet or log.end == log.low or any(each.overlooks(end) for each in readings):
            return
        if not self.faults.take("kafka: topic made anew" if anew else "kafka: log cut off"):
            return
        if anew:
            log.low, log.set_back = 0, False
            log.mark = log.mark if rng.random() < 0.3 else None
            if rng.random() < 0.7:
                log.committed, log.issued = None, None
        else:
            log.set_back = log.set_back or (end > 0 and self._set_back(number, end))
        log.end = end
        log.end_anew(anew=anew)
        log.damaged = None
        log.cuts.append(end)
        log.cut_at = min(log.cut_at, end)
        unknown = [each for each in readings if anew or each.epoch < 0]
        log.quiet = (not self._knows(log, anew=anew) and self._known(log) > end) or any(
            each.reached > end for each in unknown
        )
        current = self.truth.incarnation[number]
        self.truth.cut(number, end)
        for each in readings:
            # Who has not noticed an earlier cut yet reads a log that is no more, however far this one is left.
            if each.reached <= end and each.track.incarnation == current:
                each.track.incarnation = self.truth.incarnation[number]
                each.track.cut(end)
        if anew and not readings:
            self._begin_again(number)

    def _set_back(self, number: int, end: int) -> bool:
        """Whether the commit has behind it what is cut off, or somebody else made it.

        Where only gaps are cut off (compacted before they were read to their end, too) nobody is set back.
        """
        log = self.logs[number]
        if log.committed is None:
            return False
        last = min(log.committed.offset, log.cut_at) - 1
        read = (rec.handed_ms is not None and not rec.gone for rec in self.truth.between(number, end, last))
        return end <= last if log.issued is None else any(read)

    def _begin_again(self, number: int) -> None:
        """A few new records, not so many that nobody could notice."""
        log = self.logs[number]
        known = 100 if log.committed is None else log.committed.offset
        for _ in range(3):
            if log.end + 5 < known:
                self.produce(number, self.truth.now_ms, 1)

    def _knows(self, log: Log, *, anew: bool) -> bool:
        """Whether the commit in force tells that the log is not the one that it speaks of, however far it grows."""
        if log.committed is None or log.issued is None:
            return False
        return not anew and log.committed.epoch >= 0

    def _known(self, log: Log) -> int:
        """The offset up to which commits speak of the log."""
        if log.committed is None or log.issued is None or not log.committed.metadata:
            return 0 if log.committed is None else log.committed.offset
        _, _, send_limit, delivered, _ = log.committed.metadata.split(";")
        return max(log.committed.offset, int(send_limit) + 1, int(delivered) + 1)
