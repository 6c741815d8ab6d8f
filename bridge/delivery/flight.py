"""A flight: the events of one bulk call, from the moment it is opened until each of them has an outcome. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.delivery.partition import Lane, Partition
from bridge.flow import Event, Record

Item = tuple[Partition, Record, Event]
"""One event of one record of one partition."""


class Flight:
    """Used by the delivery thread alone. The bytes of its events never change from one attempt to the next."""

    __slots__ = (
        "attempts",
        "failed",
        "first_ms",
        "guarded",
        "healthy",
        "healthy_since",
        "immediate",
        "items",
        "opened",
        "perishable",
        "sequel",
        "size",
        "started",
        "tries",
    )

    def __init__(self, opened: float) -> None:
        self.items: list[Item] = []
        self.size = 2
        """Bytes of the body, brackets and commas included."""
        self.opened = opened
        self.started = 0.0
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
        self.failed: float | None = None
        """When the last failed attempt ended (monotonic seconds)."""
        self.healthy = 0
        """Failed attempts while other calls succeeded: what makes a record `stuck`."""
        self.healthy_since: float | None = None
        self.immediate = True
        """Goes out without asking the retry budget: a first attempt, or a part of a bisected batch."""
        self.sequel: Flight | None = None
        """The other half of a bisection: goes out when this one has ended, so that order holds."""

    def body(self) -> bytes:
        """The bulk call's body."""
        return b"[" + b",".join([item[2].body for item in self.items]) + b"]"

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
        self.items = items
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
        other.keep(items)
        other.tries = self.tries
        other.attempts = self.attempts
        other.first_ms = self.first_ms
        other.guarded = self.guarded
        other.perishable = self.perishable
        other.failed = self.failed
        other.healthy = self.healthy
        other.healthy_since = self.healthy_since
        return other
