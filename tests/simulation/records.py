"""What is known of each record, each event and each assignment, from outside."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from bridge.flow import PlainRecord

Place = tuple[int, int]
"""(offset, item) of an event."""

REFUSED = "ex"
"""An event that the API refuses for good."""
STUCK = "eS"
"""An event that always fails, alone."""


class Shape(NamedTuple):
    """What a value's words ask for, as bits of their items."""

    words: tuple[str, ...]
    needs: int
    """Items that need an outcome: applied or dead-lettered."""
    events: int
    """Items that are events under every version of the rules."""
    lives: tuple[tuple[int, int], ...]
    """(item, milliseconds) of those that nobody wants after some time."""


@cache
def shape_of(value: bytes | None) -> Shape:
    """Read a value's words."""
    words = tuple((value or b"").decode().split())
    needs = sum(1 << item for item, word in enumerate(words) if word[0] in "etdh")
    events = sum(1 << item for item, word in enumerate(words) if word[0] in "et")
    lives = tuple((item, int(word[1:])) for item, word in enumerate(words) if word[0] == "t")
    return Shape(words, needs, events, lives)


class Produced(PlainRecord):
    """A record that knows what is known of it: offsets begin again when a topic is made anew."""

    __slots__ = ("rec",)

    rec: Rec


class Rec:
    """One produced record: what has to become of it and what did."""

    __slots__ = (
        "dead",
        "deleted",
        "events",
        "expires",
        "failed",
        "failing_ms",
        "gone",
        "handed_ms",
        "keys",
        "lane",
        "made",
        "needs",
        "notified",
        "offset",
        "open",
        "partition",
        "record",
        "replayed",
        "serial",
        "skipped",
        "words",
    )

    def __init__(self, record: Produced, lane: bytes | None, serial: int) -> None:
        shape = shape_of(record.value())
        record.rec = self
        self.record = record
        self.serial = serial
        self.offset = record.offset()
        self.partition = record.partition()
        self.lane = lane
        self.words = shape.words
        self.needs = shape.needs
        self.open = shape.needs
        """Bits of the items that still need an outcome: neither applied nor dead-lettered."""
        self.events = shape.events
        self.expires: dict[int, int] | None = None
        if shape.lives:
            self.expires = {item: record.timestamp()[1] + lives for item, lives in shape.lives}
        self.dead: dict[int, str] = {}
        self.notified: dict[int, int] = {}
        self.failed: dict[int, int] = {}
        self.failing_ms: dict[int, int] = {}
        """By item, when it failed first."""
        self.keys: dict[int, str] = {}
        self.made: dict[tuple[str, int], str] = {}
        """Keys that the rules made, by namespace and item: the versions of the rules make the same."""
        self.handed_ms: int | None = None
        self.gone = False
        """Not to be read any more."""
        self.deleted = False
        """By retention, not by compaction."""
        self.skipped = False
        self.replayed = False
        """Somebody let it go out again."""

    def lost(self, now_ms: int) -> bool:
        """Whether it has no outcome although something was claimed."""
        left = self.open
        if not left or self.gone:
            return False
        for item, at in (self.expires or {}).items():
            if at < now_ms:
                left &= ~(1 << item)
        return bool(left)

    def __repr__(self) -> str:
        return f"{self.partition}:{self.offset} {list(self.words)} open={self.open:b} dead={self.dead}"


class Known(NamedTuple):
    """One event's bytes, read once."""

    rec: Rec
    item: int
    key: str


class Track:
    """One assignment of one partition to one member, as seen from outside."""

    __slots__ = (
        "assigned_at",
        "base",
        "epoch",
        "incarnation",
        "open",
        "partition",
        "pending",
        "rewound",
        "sent",
        "settled",
        "start",
    )

    def __init__(self, partition: int, epoch: int, start: int, base: set[int], incarnation: int) -> None:
        self.partition = partition
        self.epoch = epoch
        self.start = start
        self.incarnation = incarnation
        """Which of the logs that the partition had one after the other."""
        self.assigned_at = float("-inf")
        """When the partition came, in seconds of the run."""
        self.rewound = False
        """Held because somebody set the group back, and not accepted yet."""
        self.base = base
        """Offsets that were finished by the commit this assignment began with: never to be sent again."""
        self.settled: dict[int, int] = {}
        """Offset → sequence number of when it got its outcome in this assignment."""
        self.open: dict[int, int] = {}
        """Offset → bits of the items without an outcome in this assignment."""
        self.pending: dict[bytes, dict[Place, Rec]] = {}
        """Per lane, in order: events that were handed over and have no answer yet."""
        self.sent: dict[Place, bytes] = {}

    def cut(self, end: int) -> None:
        """Offsets from `end` on are to be those of other records."""
        self.base = {offset for offset in self.base if offset < end}
        self.settled = {offset: at for offset, at in self.settled.items() if offset < end}

    def done_by(self, sequence: int) -> set[int]:
        return self.base | {offset for offset, at in self.settled.items() if at <= sequence}
