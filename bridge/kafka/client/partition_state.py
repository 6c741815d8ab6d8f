"""What the Kafka thread knows of one partition that is ours."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from confluent_kafka import TopicPartition

from bridge.flow import TopicPartition as Name


@dataclass(slots=True)
class PartitionState:
    """A partition that is ours. `position` is the offset to be read next; nothing is read before `started`."""

    name: Name
    epoch: int
    position: int = -1
    leader_epoch: int = -1
    """Of the offset `newest`; -1 if unknown."""
    newest: int = -1
    """The highest offset that was read, gone past, or that the commit speaks of that reading began with."""
    furthest: int = -1
    """The furthest end that was reached; behind `newest` lie markers and gaps then."""
    started: bool = False
    held: bool = False
    paused: bool = False
    """By an order; a pause of everything is on top."""
    resting: bool = False
    """Nothing can be read of it: it is tried again now and then."""
    heard: float = field(default_factory=time.monotonic)
    """When something came of it, or nothing was to come, in monotonic seconds."""
    lost: int = 0
    """Records that Kafka deleted, to be counted when reading goes on behind the gap."""
    why: str = ""
    """What a person is told of that."""

    def read(self, newest: int, leader_epoch: int) -> None:
        """Records up to `newest` were read, the last of them of that leader epoch."""
        self.position = newest + 1
        if newest >= self.newest:
            self.newest, self.leader_epoch = newest, max(self.leader_epoch, leader_epoch)

    def ended(self, offset: int) -> None:
        """The end was reached, at `offset`."""
        self.position = max(self.position, offset)
        self.furthest = max(self.furthest, offset)

    @property
    def reached(self) -> int:
        """Behind all that was read, and all that was stood behind without reading it. It may be committed."""
        return max(self.newest + 1, self.furthest)

    def past(self, offset: int) -> None:
        """Reading goes on at `offset`, behind what cannot be read; its leader epoch is unknown."""
        self.position = offset
        if offset > self.newest + 1:
            self.newest, self.leader_epoch = offset - 1, -1

    def part(self) -> TopicPartition:
        """The place to assign, for librdkafka: with the epoch, so that it notices later where the log is cut off."""
        return TopicPartition(*self.name, self.position, leader_epoch=self.leader_epoch)
