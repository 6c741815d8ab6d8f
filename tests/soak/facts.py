"""What is known of the records that Kafka has acknowledged, in columns: fit for millions."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from bridge.rules.map.key import KeyMaker

Place = tuple[str, int, int]
"""Topic, partition, offset."""
Name = tuple[str, int]
"""Topic and partition."""

REFUSED: Final = "refused-"
"""How the recipients begin whose events the API is told to refuse."""


class Kind(IntEnum):
    """What must become of a record."""

    DELIVERED = 0
    FILTERED = 1
    UNREADABLE = 2
    UNMAPPED = 3
    REFUSED = 4

    @property
    def dead(self) -> bool:
        """It belongs into the dead-letter topic."""
        return self in (Kind.UNREADABLE, Kind.UNMAPPED, Kind.REFUSED)

    @property
    def keyed(self) -> bool:
        """It becomes an event, which has an idempotency key."""
        return self in (Kind.DELIVERED, Kind.REFUSED)


class Made(NamedTuple):
    """One record as it was produced. The lane is a number below 65,536; the number is unique in a load."""

    kind: Kind
    lane: int
    number: int
    at_ms: int

    @property
    def who(self) -> str:
        """The recipient of its event."""
        return f"{REFUSED}{self.number}" if self.kind is Kind.REFUSED else f"u{self.lane}"


class Fact(NamedTuple):
    """One record, for a message to a person."""

    place: Place
    kind: Kind
    lane: int
    key: str


class Column:
    """The acknowledged records of one partition, in the order of their offsets once `settle` was called."""

    def __init__(self, name: Name, maker: KeyMaker) -> None:
        self.name = name
        self.offsets = array("q")
        self.kinds = bytearray()
        self.lanes = array("H")
        self._numbers = array("q")
        self._times = array("q")
        self._maker = maker

    def __len__(self) -> int:
        return len(self.offsets)

    def add(self, offset: int, made: Made) -> None:
        """Note one more."""
        self.offsets.append(offset)
        self.kinds.append(made.kind)
        self.lanes.append(made.lane)
        self._numbers.append(made.number)
        self._times.append(made.at_ms)

    def settle(self) -> None:
        """Put the records in the order of their offsets: Kafka may acknowledge a retry late."""
        offsets = self.offsets
        if all(offsets[at] < offsets[at + 1] for at in range(len(offsets) - 1)):
            return
        order = sorted(range(len(offsets)), key=offsets.__getitem__)
        self._keep(order)

    def lose(self, first: int, last: int) -> int:
        """Forget the records from one offset to another, both included; how many there were."""
        kept = [at for at, offset in enumerate(self.offsets) if not first <= offset <= last]
        lost = len(self.offsets) - len(kept)
        if lost:
            self._keep(kept)
        return lost

    def key(self, at: int) -> str:
        """The idempotency key of the event of the record at this index."""
        lane = self.lanes[at]
        who = f"{REFUSED}{self._numbers[at]}" if self.kinds[at] == Kind.REFUSED else f"u{lane}"
        return self._maker(self.name[1], self.offsets[at], self._times[at], who, 0)

    def fact(self, at: int) -> Fact:
        """The record at this index."""
        kind = Kind(self.kinds[at])
        return Fact((*self.name, self.offsets[at]), kind, self.lanes[at], self.key(at) if kind.keyed else "")

    def facts(self) -> Iterator[Fact]:
        """All records."""
        return map(self.fact, range(len(self)))

    def keys(self) -> Iterator[str]:
        """Those of all its events."""
        return (self.key(at) for at in range(len(self)) if Kind(self.kinds[at]).keyed)

    def _keep(self, order: list[int]) -> None:
        self.offsets = array("q", [self.offsets[at] for at in order])
        self.kinds = bytearray(self.kinds[at] for at in order)
        self.lanes = array("H", [self.lanes[at] for at in order])
        self._numbers = array("q", [self._numbers[at] for at in order])
        self._times = array("q", [self._times[at] for at in order])
