"""What the Kafka thread knows of one partition that is ours."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from confluent_kafka import TopicPartition

from bridge.flow import TopicPartition as Name


@dataclass(slots=True)
class Reading:
    """A partition that is ours. `position` is the offset to be read next; nothing is read before `started`."""

    name: Name
    epoch: int
    position: int = -1
    leader_epoch: int = -1
    """Of the newest record read, or spoken of by the commit that reading began with; -1 if unknown."""
    newest: int = -1
    """The highest offset that was read, or that the commit speaks of that reading began with."""
    started: bool = False
    held: bool = False
    paused: bool = False
    """By an order; a pause of everything is on top."""
    resting: bool = False
    """Nothing can be read of it: it is tried again now and then."""
    heard: float = field(default_factory=time.monotonic)
    """When something came of it, or it was not read, in monotonic seconds."""
    lost: int = 0
    """Records that Kafka deleted, to be counted when reading goes on behind the gap."""
    why: str = ""
    """What a person is told of that."""

    def part(self) -> TopicPartition:
        """The place to assign, for librdkafka: with the epoch, so that it notices later where the log is cut off."""
        return TopicPartition(*self.name, self.position, leader_epoch=self.leader_epoch)
