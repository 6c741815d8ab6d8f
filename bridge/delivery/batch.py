"""A flight: the events of one bulk call, from the moment it is opened until each of them has an outcome. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from bridge.delivery.partition import Lane, Partition
from bridge.flow import Event, Record

Item = tuple[Partition, Record, Event]
"""One event of one record of one partition."""

MOST_SPANS = 10


class Leg(NamedTuple):
    """A run of records of one partition that came aboard together, one event each: what it takes to end them at once."""

    part: Partition
    records: Sequence[Record]
    events: Callable[[], Sequence[Event]]
    """In the records' order; made when they are needed one by one."""
    offsets: Sequence[int]
    """Ascending."""
    lanes: Sequence[Lane | None]
    bodies: Sequence[bytes]
    value_bytes: int
    counts: Mapping[tuple[str, str], int]
    """Events by rule and name."""


_part_of: Callable[[Item], Partition] = itemgetter(0)


class Flight:
    """Used by the delivery thread alone. The bytes of its events never change from one attempt to the next."""

    __slots__ = (
        "_items",
        "attempts",
        "batch",
        "doubts",
        "failed",
        "first_ms",
        "guarded",
        "healthy",
        "healthy_since",
        "immediate",
        "legs",
        "opened",
        "oversized",
        "perishable",
        "sequel",
        "size",
        "started",
        "taking",
        "tries",
    )

    def __init__(self, opened: float) -> None:
        self._items: list[Item] = []
        self.legs: list[Leg] = []
        """Its items by run, as long as nobody has asked for `items`."""
        self.size = 2
        """Bytes of the body, brackets and commas included."""
        self.opened = opened
        self.batch = 0
        """Its name in the log: the number of its first call; 0 before that."""
        self.started = 0.0
        self.taking = True
        """Whether records may still join it; ends when it is sealed."""
        self.tries = 0
        """Attempts, whatever came of them."""
        self.attempts = 0
        """Attempts that the API may have applied."""
        self.first_ms: int | None = None
        """When the first attempt began that may have been applied (wall clock): the 24 h guard runs from here."""
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
        self.sequel: Flight | None = None
        """The other half of a bisection: goes out when this one has ended, so that order holds."""

    @property
    def count(self) -> int:
        """How many events it has."""
        return len(self._items) if self._items else sum([len(leg.offsets) for leg in self.legs])

    @property
    def items(self) -> list[Item]:
        """Its events one by one. Whoever asks may change the list, so that from then on there are no `legs`."""
        for leg in self.legs:
            self._items += zip(repeat(leg.part), leg.records, leg.events(), strict=False)
        self.legs = []
        return self._items

    def board(self, leg: Leg) -> None:
        """Take in a run of records. `size` is the caller's."""
        if self._items:
            self._items += zip(repeat(leg.part), leg.records, leg.events(), strict=False)
        else:
            self.legs.append(leg)

    def parts(self) -> set[Partition]:
        """The partitions in it."""
        return {leg.part for leg in self.legs} if self.legs else set(map(_part_of, self._items))

    def reaches(self) -> Iterator[tuple[Partition, int]]:
        """Its partitions with offsets of theirs, the newest of each among them."""
        yield from ((leg.part, leg.offsets[-1]) for leg in self.legs)
        yield from ((part, record.offset()) for part, record, _ in self._items)

    def ends(self) -> tuple[Record, Record]:
        """Its first and its last record."""
        legs, items = self.legs, self._items
        return (legs[0].records[0], legs[-1].records[-1]) if legs else (items[0][1], items[-1][1])

    def body(self) -> bytes:
        """The bulk call's body."""
        bodies: list[bytes] = []
        for leg in self.legs:
            bodies += leg.bodies
        bodies += [item[2].body for item in self._items]
        if not bodies:
            return b"[]"
        # The brackets go to the first and the last event, so that the whole is copied once.
        bodies[0] = b"[" + bodies[0]
        bodies[-1] += b"]"
        return b",".join(bodies)

    def spans(self) -> tuple[str, ...]:
        """For people: `topic:partition:first-last` of each partition in it, the first ten."""
        ends: dict[tuple[str, int], tuple[int, int]] = {}
        for part, record, _ in self.items:
            offset = record.offset()
            first, last = ends.get(part.name, (offset, offset))
            ends[part.name] = (min(first, offset), max(last, offset))
        shown = [f"{topic}:{partition}:{first}-{last}" for (topic, partition), (first, last) in ends.items()]
        return (*shown[:MOST_SPANS], f"and {len(shown) - MOST_SPANS} more") if len(shown) > MOST_SPANS else tuple(shown)

    def family(self) -> Iterator[Flight]:
        """The flight itself and the halves that wait for it."""
        flight: Flight | None = self
        while flight is not None:
            yield flight
            flight = flight.sequel

    def lanes(self, lane_of: Callable[[Record], Lane | None]) -> set[tuple[int, Lane]]:
        """The lanes (by partition object and lane) that this flight and its sequels still hold."""
        held = set()
        for flight in self.family():
            for part, record, _ in flight.items:
                lane = lane_of(record)
                if lane is not None:
                    held.add((id(part), lane))
        return held

    def keep(self, items: list[Item]) -> None:
        """Go on with some of the items only."""
        self._items = items
        self.legs = []
        self.size = 1 + sum([len(item[2].body) + 1 for item in items])

    def split(self) -> None:
        """Bisect: this flight keeps the first half, its sequel has the second (and then what followed)."""
        half = (len(self.items) + 1) // 2
        second = self.apart(self.items[half:])
        second.sequel = self.sequel
        self.keep(self.items[:half])
        self.sequel = second
        self.immediate = second.immediate = True

    def apart(self, items: list[Item]) -> Flight:
        """A flight of some of the items, with the same past."""
        other = Flight(self.opened)
        other.taking = False
        other.keep(items)
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


def newest_of(flights: Iterable[Flight]) -> dict[Partition, int]:
    """The newest offset of each partition that is in some flights."""
    newest: dict[Partition, int] = {}
    for flight in flights:
        for part, offset in flight.reaches():
            if offset > newest.get(part, -1):
                newest[part] = offset
    return newest
