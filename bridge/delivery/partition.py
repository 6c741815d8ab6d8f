"""One partition in one assignment: what was read of it and where each record stands. Pure.

A record is in exactly one of: `Lanes.unsent` (as read), `Lanes.waiting` (its lane is or was busy), a batch, a dead letter
on its way. One that became several events, or faults beside them, has a `FanOut` beside.
"""

from __future__ import annotations

from bridge.delivery.lanes import Lanes
from bridge.flow import Outcome, RunMapper, Start, TopicPartition
from bridge.offsets.ledger import Ledger

RANK: dict[Outcome, int] = {
    Outcome.FILTERED: 0,
    Outcome.DELIVERED: 1,
    Outcome.SKIPPED: 2,
    Outcome.EXPIRED: 3,
    Outcome.DEAD_LETTERED: 4,
}
"""A record with several events has the worst of their outcomes."""


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
        self.worst = max(self.worst, outcome, key=RANK.__getitem__)
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
