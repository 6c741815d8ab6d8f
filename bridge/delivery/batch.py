"""Runs of events, and the batch that takes them to SuprSend in one call. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from typing import NamedTuple

from bridge.delivery.partition import Lane, Lanes, Partition
from bridge.flow import Event, Record

MOST_SPANS = 10

Locked = Mapping[Partition, AbstractSet[Lane | None]]
"""Lanes by their partition."""


class Run(NamedTuple):
    """Events of one partition in columns, ascending by offset. Several events of a record stand one behind the other."""

    part: Partition
    records: Sequence[Record]
    """The record of each event."""
    offsets: Sequence[int]
    lanes: Sequence[Lane | None]
    """The lane that each event keeps busy; empty where they keep none."""
    bodies: Sequence[bytes]
    expires: Sequence[int | None] | None
    """When each expires, in milliseconds since 1970; None where none does."""
    size: int
    """Bytes of the bodies, each with a comma."""
    counts: Mapping[tuple[str, str], int] | None
    """Events by rule and name; None where that has to be counted."""
    events: Callable[[], Sequence[Event]]
    """The events themselves; made when somebody asks."""

    @property
    def every(self) -> range:
        """The places of all its events."""
        return range(len(self.offsets))

    def by_rule(self) -> Mapping[tuple[str, str], int]:
        """Events by rule and name."""
        return Counter([(event.rule, event.name) for event in self.events()]) if self.counts is None else self.counts

    def pick(self, places: Sequence[int]) -> Run:
        """The events at some places, ascending."""
        if len(places) == len(self.offsets):
            return self
        bodies = [self.bodies[place] for place in places]
        events, expires = self.events, self.expires
        return Run(
            self.part,
            [self.records[place] for place in places],
            [self.offsets[place] for place in places],
            [self.lanes[place] for place in places] if self.lanes else (),
            bodies,
            None if expires is None else [expires[place] for place in places],
            sum(map(len, bodies)) + len(bodies),
            None,
            lambda: _at(events(), places),
        )

    def other_than(self, places: Sequence[int]) -> list[int]:
        """The places that are not among these."""
        gone = set(places)
        return [place for place in self.every if place not in gone]

    def outside(self, locked: Locked) -> list[int]:
        """The places of the events whose lane is none of these."""
        lanes = locked.get(self.part, frozenset[Lane | None]())
        return [place for place, lane in enumerate(self.lanes) if lane is None or lane not in lanes]

    def expired(self, now_ms: int) -> list[int]:
        """The places of the events that nobody wants any more."""
        expires = self.expires
        return (
            [] if expires is None else [at for at, until in enumerate(expires) if until is not None and until < now_ms]
        )


def _at(events: Sequence[Event], places: Sequence[int]) -> list[Event]:
    return [events[place] for place in places]


def records_at(part: Partition, offsets: Sequence[int]) -> Run:
    """Records, or faults of them, that end without an event and keep no lane busy."""
    return Run(part, (), offsets, (), (), None, 0, None, tuple)


def event_of(part: Partition, record: Record, event: Event) -> Run:
    """An event that is in no batch and keeps no lane busy."""
    return Run(part, [record], [record.offset()], (), [event.body], None, len(event.body) + 1, None, lambda: (event,))


class Batch:
    """The runs of one bulk call, from the moment it is opened until each of their events has an outcome.

    Used by the delivery thread alone. The bytes of an event never change from one attempt to the next.
    """

    __slots__ = (
        "attempts",
        "count",
        "doubts",
        "failed",
        "first_ms",
        "guarded",
        "healthy",
        "healthy_since",
        "immediate",
        "name",
        "opened",
        "oversized",
        "perishable",
        "runs",
        "sequel",
        "size",
        "started",
        "taking",
        "tries",
    )

    def __init__(self, opened: float) -> None:
        self.runs: list[Run] = []
        self.count = 0
        """Events in it."""
        self.size = 1
        """Bytes of the body, brackets and commas included (of an empty one: 1)."""
        self.opened = opened
        self.name = 0
        """In the log: the number of its first call; 0 before that."""
        self.started = 0.0
        self.taking = True
        """Whether runs may still be added; ends when it is sealed."""
        self.tries = 0
        """Attempts, whatever came of them."""
        self.attempts = 0
        """Attempts that the API may have applied."""
        self.first_ms: int | None = None
        """When the first attempt began that may have been applied (wall clock): the 24 h guard counts from here."""
        self.guarded = False
        """Has a record that an earlier owner of its partition may have handed over."""
        self.perishable = False
        """Has, or had, an event that nobody wants after some time."""
        self.doubts: Counter[str] = Counter()
        """By key, how often an answer could not say whether a repeat would help; shared with what was split off."""
        self.oversized: Partition | None = None
        """The partition that waits for it: one event that something on the way finds too large."""
        self.failed: float | None = None
        """When the last failed attempt ended (monotonic seconds)."""
        self.healthy = 0
        """Failed attempts while other calls succeeded: what makes a record `stuck`."""
        self.healthy_since: float | None = None
        self.immediate = True
        """Goes out without asking the retry budget: a first attempt, or a part of a bisected batch."""
        self.sequel: Batch | None = None
        """The other half of a bisection: goes out when this one has ended, so that order holds."""

    def add(self, run: Run) -> None:
        """Take in a run."""
        self.runs.append(run)
        self.count += len(run.offsets)
        self.size += run.size
        if run.expires is not None:
            self.perishable = True
        if run.offsets[0] <= run.part.start.send_limit:
            self.guarded = True

    def room_for(self, run: Run, most: int, most_bytes: int) -> int:
        """How many events of the run it takes, with `most` of them and `most_bytes` in all; an empty one takes any."""
        if self.count + len(run.offsets) <= most and self.size + run.size <= most_bytes:
            return len(run.offsets)
        fits, size = 0, self.size
        for body in run.bodies[: most - self.count]:
            size += len(body) + 1
            if size > most_bytes and (self.count or fits):
                break
            fits += 1
        return fits

    def put(self, runs: Iterable[Run]) -> None:
        """Go on with these runs alone."""
        self.runs = [run for run in runs if run.offsets]
        self.count = sum([len(run.offsets) for run in self.runs])
        self.size = 1 + sum([run.size for run in self.runs])

    def take(self, places: Callable[[Run], Sequence[int]]) -> list[Run]:
        """Take out the events at the places that are named of each run; returns them as runs."""
        found = [(run, places(run)) for run in self.runs]
        taken = [run.pick(chosen) for run, chosen in found if chosen]
        if taken:
            self.put([run.pick(run.other_than(chosen)) if chosen else run for run, chosen in found])
        return taken

    def take_of(self, part: Partition) -> list[Run]:
        """Take out everything of a partition."""
        return self.take(lambda run: run.every if run.part is part else ())

    def bisect(self) -> None:
        """Keep the first half; the sequel has the second (and then what followed)."""
        left = (self.count + 1) // 2
        first: list[Run] = []
        second: list[Run] = []
        for run in self.runs:
            cut = min(left, len(run.offsets))
            left -= cut
            first.append(run.pick(run.every[:cut]))
            second.append(run.pick(run.every[cut:]))
        other = self.apart(second)
        other.sequel = self.sequel
        self.put(first)
        self.sequel = other
        self.immediate = other.immediate = True

    def apart(self, runs: Iterable[Run]) -> Batch:
        """A batch of some runs with the same past."""
        other = Batch(self.opened)
        other.taking = False
        other.put(runs)
        other.tries = self.tries
        other.attempts = self.attempts
        other.first_ms = self.first_ms
        other.guarded = self.guarded
        other.perishable = self.perishable
        other.doubts = self.doubts
        other.failed = self.failed
        other.healthy = self.healthy
        other.healthy_since = self.healthy_since
        return other

    def lock(self) -> None:
        """Its lanes are busy with it."""
        for run in self.runs:
            run.part.lanes.lock(run.lanes, self)

    def parts(self) -> set[Partition]:
        """The partitions in it."""
        return {run.part for run in self.runs}

    def ends(self) -> tuple[Record, Record]:
        """Its first and its last record."""
        return self.runs[0].records[0], self.runs[-1].records[-1]

    def keys(self) -> list[str]:
        """The idempotency keys of its events, in order."""
        return [event.key for run in self.runs for event in run.events()]

    def body(self) -> bytes:
        """The bulk call's body."""
        bodies: list[bytes] = []
        for run in self.runs:
            bodies += run.bodies
        if not bodies:
            return b"[]"
        # The brackets go to the first and the last event, so that the whole is copied once.
        bodies[0] = b"[" + bodies[0]
        bodies[-1] += b"]"
        return b",".join(bodies)

    def spans(self) -> tuple[str, ...]:
        """For people: `topic:partition:first-last` of each partition in it, the first ten."""
        ends: dict[tuple[str, int], tuple[int, int]] = {}
        for run in self.runs:
            name = run.part.name
            first, last = ends.get(name, (run.offsets[0], run.offsets[-1]))
            ends[name] = (min(first, run.offsets[0]), max(last, run.offsets[-1]))
        shown = [f"{topic}:{partition}:{first}-{last}" for (topic, partition), (first, last) in ends.items()]
        return (*shown[:MOST_SPANS], f"and {len(shown) - MOST_SPANS} more") if len(shown) > MOST_SPANS else tuple(shown)

    def family(self) -> Iterator[Batch]:
        """The batch itself and the halves that wait for it."""
        batch: Batch | None = self
        while batch is not None:
            yield batch
            batch = batch.sequel

    def locked(self) -> dict[Partition, set[Lane | None]]:
        """The lanes that this batch and its sequels keep busy."""
        lanes: dict[Partition, set[Lane | None]] = {}
        for batch in self.family():
            for run in batch.runs:
                lanes.setdefault(run.part, set()).update(run.lanes)
        return lanes

    def locks(self, lanes: Lanes) -> set[Lane | None]:
        """Which of a partition's lanes this batch and its sequels keep busy."""
        return next((held for part, held in self.locked().items() if part.lanes is lanes), set())


def newest_of(batches: Iterable[Batch]) -> dict[Partition, int]:
    """The newest offset of each partition that is in some batches."""
    newest: dict[Partition, int] = {}
    for batch in batches:
        for run in batch.runs:
            if run.offsets[-1] > newest.get(run.part, -1):
                newest[run.part] = run.offsets[-1]
    return newest
