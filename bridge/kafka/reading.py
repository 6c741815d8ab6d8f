"""What the Kafka thread knows of one partition that is ours."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bridge.flow import TopicPartition


@dataclass(slots=True)
class Reading:
    """A partition that is ours. `position` is the offset to be read next; nothing is read before `started`."""

    name: TopicPartition
    epoch: int
    position: int = -1
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
