"""A small world for these tests: a snapshot with something of everything, and the seams that the road fills."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.flow import KafkaState, Outcome
from bridge.observe.actions import RefusedError, Target
from bridge.observe.snapshot import (
    CallsView,
    ErrorView,
    Histogram,
    HoldView,
    KafkaView,
    PartitionView,
    RulesView,
    RuleView,
    Snapshot,
    TopicView,
    WaitingView,
)

NOW = 1_800_000_000.0
JOINED = KafkaState(joined=True, kind=None, trouble=None)


def snapshot(**changes: Any) -> Snapshot:
    """A bridge that works: two topics, three partitions, two rules."""
    topics = (
        TopicView("orders.v1", 100, {Outcome.DELIVERED: 80, Outcome.FILTERED: 12}, 8, 4_000, 2),
        TopicView("comments.v1", 10, {Outcome.DELIVERED: 9, Outcome.DEAD_LETTERED: 1}, 0, 0, 0, 0, {"mapping": 1}),
    )
    partitions = (
        PartitionView("orders.v1", 0, 1, 60, 52, 50, 70, 18, int(NOW * 1000) - 4_500, None),
        PartitionView("orders.v1", 1, 1, 40, 40, 40, 40, 0, None, None),
        PartitionView("comments.v1", 0, 1, 10, 10, 10, None, None, None, None),
    )
    rules = (
        RuleView("order-placed", ("orders.v1",), 80, {}, {("order_placed", "accepted"): 80}),
        RuleView(
            "mention", ("comments.v1",), 10, {"wrong_type": 1, "never_heard_of": 2}, {("user_mentioned", "accepted"): 9}
        ),
    )
    made = Snapshot(
        taken_at=NOW - 0.2,
        topics=topics,
        partitions=partitions,
        rules=rules,
        calls=CallsView(
            requests={"207": 12, "503": 2, "418": 1, "strange": 1},
            seconds=Histogram((1, 2, 3, *([0] * 9)), 0.5),
            inflight=3,
            limit=16,
        ),
        kafka=KafkaView(state=JOINED, group="bridge", commits={"ok": 7}, rebalances={"assigned": 1}),
        mapping=RulesView("abcdef0123456789", NOW - 3_600, {"ok": 1}),
    )
    return replace(made, **changes)


def hold(reason: str = "setup", **changes: Any) -> HoldView:
    """A hold of everything, as revoked credentials make it."""
    made = HoldView(reason, "everything", NOW - 90, "a probe that is accepted", heals=True, detail="401 from the API")
    return replace(made, **changes)


PAUSED = hold("operator", scope="orders.v1:0", topic="orders.v1", partition=0, heals=False, wanted=True)
"""A partition that somebody paused."""
WAITING = (WaitingView("call", "17: 100 events of orders.v1:0, offsets 52–59", 12.3),)
ERRORS = (ErrorView(NOW - 8, "transient", "POST /v2/bulk/event/", "503 Service Unavailable", 2),)


class World:
    """A `Source` and `Controls` that remember what was asked."""

    def __init__(self, shot: Snapshot | None = None) -> None:
        self.shot = shot or snapshot()
        self.age: float | None = 0.1
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: str | None = None

    def snapshot(self) -> Snapshot:
        return self.shot

    def poll_age(self) -> float | None:
        return self.age

    def _did(self, *what: Any) -> str:
        if self.refuse is not None:
            raise RefusedError(self.refuse)
        self.asked.append(what)
        return f"done: {what[0]}"

    async def pause(self, target: Target, reason: str) -> str:
        return self._did("pause", target, reason)

    async def resume(self, target: Target, reason: str) -> str:
        return self._did("resume", target, reason)

    async def skip(self, topic: str, partition: int, offset: int, reason: str) -> str:
        return self._did("skip", topic, partition, offset, reason)

    async def skip_unreadable(self, topic: str, partition: int, offsets: tuple[int, int], reason: str) -> str:
        return self._did("skip-unreadable", topic, partition, offsets, reason)

    async def accept_rewind(self, token: str, reason: str) -> str:
        return self._did("accept-rewind", token, reason)

    async def set_log_level(self, level: str, reason: str) -> str:
        return self._did("log-level", level, reason)
