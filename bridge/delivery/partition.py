"""One partition in one assignment: what was read of it and where each record stands. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bridge.delivery.outcomes import worst
from bridge.flow import Event, Mapper, Outcome, Record, RunMapper, Start, TopicPartition
from bridge.offsets.ledger import Ledger

if TYPE_CHECKING:
    from bridge.delivery.batch import Flight

Lane = bytes
WHOLE: Lane = b"\x00whole partition"
"""The one lane of a partition under `ordering: partition`."""


class Fan:
    """A record that became several events, or also faults: it ends when the last of them has an outcome."""

    __slots__ = ("events", "left", "record", "total", "worst")

    def __init__(self, record: Record, events: deque[Event], total: int) -> None:
        self.record = record
        self.events = events
        """Those not yet in any flight."""
        self.total = total
        """Events and faults."""
        self.left = total
        """Events and faults without an outcome."""
        self.worst = Outcome.FILTERED

    def ended(self, outcome: Outcome) -> Outcome | None:
        """One of them ended; the record's outcome if it was the last."""
        self.worst = worst(self.worst, outcome)
        self.left -= 1
        return None if self.left else self.worst


class Partition:
    """Used by the delivery thread alone. `live` ends with the assignment: results that come later are fenced by it.

    A record is in exactly one of: `unsent` (as read), `waiting` (its lane is or was busy), a flight, a dead letter on
    its way; multi-event records have a `Fan` beside. A record whose lane has others waiting waits behind them.
    """

    __slots__ = (
        "behind",
        "bound",
        "consented",
        "covered",
        "draining",
        "epoch",
        "extra",
        "fans",
        "finished",
        "joins",
        "lanes",
        "ledger",
        "let_in_at",
        "live",
        "map_run",
        "mapper",
        "name",
        "number",
        "paused",
        "plain",
        "queued",
        "runnable",
        "said",
        "seek",
        "serial",
        "start",
        "unsent",
        "waiting",
        "waiting_since",
    )

    def __init__(
        self,
        name: TopicPartition,
        epoch: int,
        start: Start,
        mapper: Mapper,
        map_run: RunMapper,
        *,
        serial: bool,
        joins: bool = True,
    ) -> None:
        self.name = name
        self.epoch = epoch
        self.start = start
        self.mapper = mapper
        self.map_run = map_run
        self.ledger = Ledger(start)
        self.unsent: deque[Record] = deque()
        self.serial = serial
        """The whole partition is one lane: nothing is taken while a flight that is full or on its way has some of it."""
        self.joins = joins
        """Records of one lane may share a call (not so with `strict_order`)."""
        self.waiting: dict[Lane, deque[Record | Fan]] = {}
        self.runnable: deque[Lane] = deque()
        """Lanes in `waiting` that are free again."""
        self.lanes: dict[Lane | None, Flight] = {}
        """Who holds a lane; never None, which is no lane."""
        self.fans: dict[int, Fan] = {}
        self.bound = -1
        """Offsets up to here may be handed to the API: a commit that says so was acknowledged."""
        self.covered: int | None = None
        """While it is held, or everything: the newest offset that the commit is to call handed over."""
        self.behind = False
        """It is held, or was and commits do not cover all of it again: what lies above `bound` in flights waits apart."""
        self.number = 0
        """Of the last `Cover`: what was acknowledged before it counts no more; -1 where nothing is ever committed."""
        self.waiting_since = 0.0
        """When the oldest of `unsent` was read (or later)."""
        self.draining: int | None = None
        """While revoked: only offsets up to this one are still sent."""
        self.live = True
        self.paused = False
        self.seek: int | None = None
        """While given back: the reader was told to go back to this offset; what it read before is dropped."""
        self.plain = True
        """Whether the last records each became one plain event or none: then the next are mapped by the run."""
        self.queued = False
        """Whether it stands in the ring of partitions that have something to take."""
        self.finished = 0
        """Records with an outcome since the last `Progress`."""
        self.said: tuple[int, int, str] | None = None
        """The last `Progress`."""
        self.extra = 0
        """Records that may be read beyond the span, beside one that keeps failing (`suspects`)."""
        self.let_in_at: float | None = None
        """When they were last let in."""
        self.consented = -1
        """Up to this offset an operator let events go out that SuprSend may have forgotten it has seen."""

    def ready(self) -> bool:
        """Whether something may be taken into a flight now (holds aside)."""
        if self.runnable:
            return True
        if not self.unsent or (self.serial and self.lanes and not self._open()):
            return False
        offset = self.unsent[0].offset()
        return offset <= self.bound and (self.draining is None or offset <= self.draining)

    def _open(self) -> bool:
        """Whether the flight that has something of a serial partition takes more of it."""
        return self.joins and all(flight.taking for flight in self.lanes.values())
