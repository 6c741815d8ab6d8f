"""What is on its way: a partition with its lanes, the runs of events made of its records, and the batch of one call. Pure.

A record is in exactly one of: `Lanes.unsent` (as read), `Lanes.waiting` (its lane is or was busy), a batch, a dead letter
on its way. One that became several events, or faults beside them, has a `FanOut` beside.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from functools import partial
from itertools import compress, islice
from math import inf
from typing import NamedTuple, Protocol

from bridge.flow import Event, LargeBodies, Outcome, Record, RunMapper, Start, TopicPartition
from bridge.offsets.ledger import Ledger

Lane = bytes
WHOLE: Lane = b"\x00whole partition"
"""The one lane of a partition under `ordering: partition`."""

MOST_PER_EVENT = 8.0
"""However few records are wanted, no more are looked at for one event at a time."""

LanesOf = Callable[[Sequence[Record]], list[Lane | None]]
"""The lanes of records; None carries no order."""


class Holder(Protocol):
    """A batch, as the lanes that it keeps busy know it."""

    taking: bool

    def locks(self, lanes: Lanes) -> AbstractSet[Lane | None]:
        """Which of these lanes it, and what waits for it, keeps busy."""
        ...


class Rest(Protocol):
    """The run of events of one record for which its call had no room."""

    @property
    def records(self) -> Sequence[Record]: ...
    @property
    def offsets(self) -> Sequence[int]: ...
    @property
    def lanes(self) -> Sequence[Lane | None]: ...
    @property
    def events(self) -> Callable[[], Sequence[Event]]: ...


class Raw(NamedTuple):
    """Records as read, ascending, with what is asked of each more than once."""

    records: list[Record]
    offsets: list[int]
    lanes: list[Lane | None]

    def cut(self, count: int) -> None:
        """Keep so many."""
        for column in self:
            del column[count:]

    def without(self, places: Sequence[int], count: int | None = None) -> Raw:
        """The first `count` (all where it is None) without the records at some places, ascending."""
        if not places:
            return Raw(self.records[:count], self.offsets[:count], self.lanes[:count])
        stays = bytearray(b"\1") * (len(self.records) if count is None else count)
        for place in places:
            stays[place] = 0
        return Raw(
            list(compress(self.records, stays)), list(compress(self.offsets, stays)), list(compress(self.lanes, stays))
        )


class Lanes:
    """What of a partition is to be mapped and sent: as read, or behind the batch that keeps its lane busy.

    Used by the delivery thread alone; only the methods here change it. `strict`: records of one lane share no call.
    """

    __slots__ = (
        "_of",
        "_strict",
        "busy",
        "per_event",
        "rests",
        "runnable",
        "serial",
        "since",
        "unsent",
        "until",
        "waiting",
    )

    def __init__(self, lanes_of: LanesOf, *, serial: bool, strict: bool) -> None:
        self._of = lanes_of
        self._strict = strict
        self.serial = serial
        """The whole partition is one lane: nothing is taken while a batch that is full or on its way has some of it."""
        self.unsent: deque[Record] = deque()
        self.waiting: dict[Lane, deque[Record]] = {}
        """By lane, the records that come behind the call that keeps it busy."""
        self.rests: dict[Lane, Rest] = {}
        """By lane (each is in `waiting`, too), the events of one record for which its call had no room: they come first."""
        self.runnable: deque[Lane] = deque()
        """Lanes in `waiting` that are free again."""
        self.busy: dict[Lane | None, Holder] = {}
        """Which batch keeps a lane busy; never None, which is no lane."""
        self.since = -inf
        """When the oldest of `unsent` was read (or later)."""
        self.until: int | None = None
        """While revoked: only offsets up to this one are still sent."""
        self.per_event = 1.0
        """Records that one event took lately: a rule that wants one in two makes it 2, a fan-out less than 1."""

    def ready(self, limit: int) -> bool:
        """Whether something may be taken into a batch now (holds aside), `limit` being the partition's send limit."""
        if self.runnable:
            return True
        if not self.unsent or (self.serial and self.busy and not self._open()):
            return False
        return self.unsent[0].offset() <= self._last(limit)

    def _open(self) -> bool:
        """Whether the batch that has something of a serial partition takes more of it."""
        return not self._strict and all(batch.taking for batch in self.busy.values())

    def _last(self, limit: int) -> int:
        return limit if self.until is None else min(limit, self.until)

    def blocked(self, limit: int) -> bool:
        """Whether what is unsent waits for the partition's one lane."""
        return self.serial and bool(self.busy) and not self.ready(limit)

    def turned(self, now: float) -> None:
        """Everything that could be taken was."""
        self.since = now

    # What comes in.

    def read(self, records: Sequence[Record], now: float) -> None:
        """Records that were read."""
        if not self.unsent:
            self.since = now
        self.unsent.extend(records)

    def merge(self, records: Sequence[Record]) -> None:
        """Records that are to be mapped anew, somewhere among the unsent."""
        unsent = {record.offset(): record for record in (*self.unsent, *records)}
        self.unsent = deque(unsent[offset] for offset in sorted(unsent))

    def wait_first(self, lane: Lane, rest: Rest) -> None:
        """The rest of a record, for which its call had no room: it comes before all others of its lane."""
        self.rests[lane] = rest
        self.waiting.setdefault(lane, deque())

    # What may be taken.

    def next_unsent(self, events: int, limit: int) -> Raw | None:
        """The next records as read, ascending, about as many as make so many events, none of them above the send limit.

        None if there are none.
        """
        unsent = self.unsent
        records = list(islice(unsent, 1 + int(events * self.per_event * 1.1)))
        offsets = [record.offset() for record in records]
        stop = bisect_right(offsets, self._last(limit))
        del records[stop:], offsets[stop:]
        return Raw(records, offsets, self._of(records)) if records else None

    def must_wait(self, raw: Raw, batch: Holder) -> list[int]:
        """The places of records whose lane is busy; cuts the run where what is behind must not be looked at yet.

        What is cut off is not looped over any more.
        """
        lanes, busy, waiting = raw.lanes, self.busy, self.waiting
        free = busy.keys().isdisjoint(lanes) and (not waiting or waiting.keys().isdisjoint(lanes))
        if free and not self._strict:
            return []
        shared = None if self._strict else batch
        wait: list[int] = []
        seen: set[Lane] = set()
        for place, lane in enumerate(lanes):
            if lane is None:
                continue
            holder = busy.get(lane)
            if (holder is not None and holder is not shared) or lane in waiting:
                if self.serial:
                    raw.cut(place)
                else:
                    wait.append(place)
            elif self._strict:
                if lane in seen:
                    raw.cut(place)
                seen.add(lane)
        return wait

    def became(self, taken: int, events: int) -> None:
        """So many unsent records made so many events."""
        if taken:
            self.per_event += 0.25 * (min(MOST_PER_EVENT, taken / (events or 1)) - self.per_event)

    def took(self, raw: Raw, waits: Sequence[int], taken: int) -> None:
        """Of a run from `next_unsent`, `taken` records that need not wait became something; those among them wait now."""
        for place in waits:
            if place <= taken:
                lane = raw.lanes[place]
                assert lane is not None
                self.waiting.setdefault(lane, deque()).append(raw.records[place])
                taken += 1
        for _ in range(taken):
            self.unsent.popleft()

    def next_waiting(self, lane: Lane, most: int, batch: Holder | None) -> Rest | Raw | None:
        """What comes next in a lane; None where nothing does, or its call takes no more."""
        holder = self.busy.get(lane)
        if holder is not None and (self._strict or holder is not batch):
            return None
        if lane in self.rests:
            return self.rests.pop(lane)
        records = list(islice(self.waiting.get(lane, ()), 1 if self._strict else most))
        offsets = [record.offset() for record in records]
        return Raw(records, offsets, [lane] * len(records)) if records else None

    def took_waiting(self, lane: Lane, taken: int) -> None:
        """So many records of a run from `next_waiting` became something."""
        entries = self.waiting[lane]
        for _ in range(taken):
            entries.popleft()

    def lane_done(self, lane: Lane) -> None:
        """The first runnable lane has had its turn."""
        self.runnable.popleft()
        if lane in self.rests or self.waiting.get(lane):
            if lane not in self.busy:
                self.runnable.append(lane)
        else:
            # Named twice, it may be gone: it stood there behind a halt while its last call ended.
            self.waiting.pop(lane, None)

    # Who keeps a lane busy.

    def lock(self, lanes: Sequence[Lane | None], batch: Holder) -> None:
        """These lanes are busy with a batch."""
        self.busy.update(dict.fromkeys(lanes, batch))
        self.busy.pop(None, None)

    def unlock(self, lanes: Sequence[Lane | None], still: Collection[Lane | None] = ()) -> bool:
        """These lanes are free, save those in `still`; returns whether something may be taken again."""
        free = self.busy.pop
        if not still and not self.serial and (not self.waiting or self.waiting.keys().isdisjoint(lanes)):
            for lane in lanes:
                free(lane, None)
            return False
        woken = False
        for lane in lanes:
            if lane is None or lane in still or free(lane, None) is None:
                continue
            if lane in self.waiting:
                self.runnable.append(lane)
                woken = True
            woken = woken or self.serial
        return woken

    # What goes again without having been sent.

    def give_back(self, culprits: AbstractSet[int | None]) -> list[Record]:
        """Let go of the unsent records behind the last of some offsets."""
        stays = max((at for at, record in enumerate(self.unsent, 1) if record.offset() in culprits), default=0)
        given = list(islice(self.unsent, stays, None))
        self.unsent = deque(islice(self.unsent, stays))
        return given

    def drain(self, last: int) -> None:
        """The partition is taken away: nothing above an offset is sent any more."""
        self.until = last
        self.rests = {lane: rest for lane, rest in self.rests.items() if rest.offsets[0] <= last}
        kept = {
            lane: deque(record for record in records if record.offset() <= last)
            for lane, records in self.waiting.items()
        }
        self.waiting = {lane: records for lane, records in kept.items() if records or lane in self.rests}
        self._only_waiting()

    def left(self, batch: Holder, lanes: AbstractSet[Lane | None]) -> None:
        """A batch keeps only these lanes busy."""
        self.busy = {lane: holder for lane, holder in self.busy.items() if holder is not batch or lane in lanes}

    def put_back(self, records: dict[int, Record], keep: Callable[[int], bool], unstarted: Sequence[Holder]) -> None:
        """Everything that was not handed over is to be mapped anew: `records` of batches, and what waits behind no call.

        The rest of a record stays in its lane where `keep` says so of its offset. What is put back is added to `records`.
        """
        for lane in [each for each in self.waiting if not _is_out(self.busy.get(each), unstarted)]:
            records.update((record.offset(), record) for record in self.waiting.pop(lane))
            rest = self.rests.get(lane)
            if rest is not None and keep(rest.offsets[0]):
                self.waiting[lane] = deque()
                self.runnable.append(lane)
            elif rest is not None:
                records[rest.offsets[0]] = rest.records[0]
                del self.rests[lane]
        locked = {batch: batch.locks(self) for batch in set(self.busy.values())}
        self.busy = {lane: batch for lane, batch in self.busy.items() if lane in locked[batch]}
        self._only_waiting()
        self.unsent.extendleft(records[offset] for offset in sorted(records, reverse=True))

    def take_out(self, offset: int) -> list[Rest]:
        """Take a record out; returns what of it had become events already."""
        self.unsent = deque(record for record in self.unsent if record.offset() != offset)
        self.waiting = {
            lane: deque(record for record in records if record.offset() != offset)
            for lane, records in self.waiting.items()
        }
        taken = [lane for lane, rest in self.rests.items() if rest.offsets[0] == offset]
        return [self.rests.pop(lane) for lane in taken]

    def _only_waiting(self) -> None:
        self.runnable = deque(lane for lane in dict.fromkeys(self.runnable) if lane in self.waiting)


def _is_out(batch: Holder | None, unstarted: Sequence[Holder]) -> bool:
    """Whether a batch that was handed to the API keeps the lane busy."""
    return batch is not None and not any(batch is each for each in unstarted)


WORSE = (Outcome.FILTERED, Outcome.DELIVERED, Outcome.SKIPPED, Outcome.EXPIRED, Outcome.DEAD_LETTERED)
"""A record with several events has the worst of their outcomes, which is the last of these."""


class FanOut:
    """What is left of a record that became several events, or also faults: it ends with the last of them."""

    __slots__ = ("left", "total", "worst")

    def __init__(self, total: int) -> None:
        self.total = total
        """Events and faults."""
        self.left = total
        """Events and faults without an outcome."""
        self.worst = Outcome.FILTERED

    @property
    def begun(self) -> bool:
        """Whether something of it has ended."""
        return self.left < self.total

    def ended(self, outcome: Outcome, parts: int = 1) -> Outcome | None:
        """Some of it ended so; the record's outcome if that was the last."""
        self.worst = max(self.worst, outcome, key=WORSE.index)
        self.left -= parts
        return None if self.left else self.worst


class Partition:
    """Used by the delivery thread alone. Each attribute is written by one file, which is named where it is not this one."""

    __slots__ = (
        "behind",
        "consented",
        "covered",
        "epoch",
        "extra",
        "fan_outs",
        "lanes",
        "ledger",
        "let_in_at",
        "live",
        "map_run",
        "name",
        "number",
        "paused",
        "said",
        "seek",
        "send_limit",
        "start",
    )

    def __init__(self, name: TopicPartition, epoch: int, start: Start, map_run: RunMapper, lanes: Lanes) -> None:
        self.name = name
        self.epoch = epoch
        self.start = start
        self.ledger = Ledger(start)
        self.lanes = lanes
        self.map_run = map_run
        """`core`: it changes with a reload."""
        self.live = True
        """`core`. Ends with the assignment: results that come later are fenced by it."""
        self.fan_outs: dict[int, FanOut] = {}
        """`finish`. By offset."""
        self.consented = -1
        """Up to this offset an operator let events go out that SuprSend may have forgotten it has seen."""
        self.send_limit = -1
        """`send_limit`. Offsets up to here may be handed to the API: a commit that says so was acknowledged."""
        self.covered: int | None = None
        """`send_limit`. While it is held, or everything: the newest offset that the commit is to call handed over."""
        self.behind = False
        """`send_limit`. It is held, or was and commits do not cover all of it again: what lies above `send_limit` in batches
        waits apart."""
        self.number = 0
        """`send_limit`. Of the last `CommitSendLimit`: what was acknowledged before it counts no more; -1 where nothing is committed."""
        self.paused = False
        """`reading`. The reader was told to stop."""
        self.seek: int | None = None
        """`reading`. While given back: the reader was told to go back to this offset; what it read before is dropped."""
        self.said: tuple[int, int, str] | None = None
        """`reading`. The last `Progress`."""
        self.extra = 0
        """`reading`. Records that may be read beyond the span, beside one that keeps failing (`stuck`)."""
        self.let_in_at: float | None = None
        """`reading`. When they were last let in."""

    def ready(self) -> bool:
        """Whether something may be taken into a batch now (holds aside)."""
        return self.lanes.ready(self.send_limit)

    def consent(self) -> None:
        """Somebody lets everything that was read, or handed over by an earlier owner, go out whatever SuprSend remembers."""
        self.consented = max(self.ledger.newest, self.start.send_limit)


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
        bodies: Sequence[bytes]
        if isinstance(self.bodies, LargeBodies):
            bodies = self.bodies.pick(places)
            size, events = sum(bodies.sizes()) + len(places), bodies.events
        else:
            bodies = [self.bodies[place] for place in places]
            size, events = sum(map(len, bodies)) + len(bodies), partial(_at, self.events, places)
        expires, counts = self.expires, self.counts
        return Run(
            self.part,
            [self.records[place] for place in places],
            [self.offsets[place] for place in places],
            [self.lanes[place] for place in places] if self.lanes else (),
            bodies,
            None if expires is None else [expires[place] for place in places],
            size,
            dict.fromkeys(counts, len(places)) if counts is not None and len(counts) == 1 else None,
            events,
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


def _at(events: Callable[[], Sequence[Event]], places: Sequence[int]) -> list[Event]:
    made = events()
    return [made[place] for place in places]


def _sizes(bodies: Sequence[bytes]) -> Iterable[int]:
    return bodies.sizes() if isinstance(bodies, LargeBodies) else map(len, bodies)


def records_at(part: Partition, offsets: Sequence[int]) -> Run:
    """Records, or faults of them, that end without an event and keep no lane busy."""
    return Run(part, (), offsets, (), (), None, 0, None, tuple)


def event_of(part: Partition, record: Record, event: Event) -> Run:
    """An event that is in no batch and keeps no lane busy."""
    return Run(part, [record], [record.offset()], (), [event.body], None, len(event.body), None, lambda: (event,))


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
        self.started = -inf
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
        for body in _sizes(run.bodies[: most - self.count]):
            size += body + 1
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
            last = run.offsets[-1]
            newest[run.part] = max(last, newest.get(run.part, last))
    return newest
