"""A small world for these tests: a snapshot with something of everything, and the seams that the road fills."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from bridge.flow import KafkaState, Outcome, RuleInfo
from bridge.kafka.errors import OPEN_TRANSACTION
from bridge.observe.actions import Action, RefusedError
from bridge.observe.counted import DeliveryCounters, KafkaCounters, OpenTransaction, TopicCounters
from bridge.observe.snapshot import (
    CallsView,
    ErrorView,
    HoldView,
    KafkaView,
    PartitionView,
    RulesView,
    Snapshot,
    TopicView,
    WaitingView,
)

NOW = 1_800_000_000.0
JOINED = KafkaState(joined=True, kind=None, trouble=None)


def snapshot(**changes: Any) -> Snapshot:
    """A bridge that works: two topics, three partitions, two rules."""
    topics = (TopicView("orders.v1", 8, 4_000, 2), TopicView("comments.v1"))
    partitions = (
        PartitionView("orders.v1", 0, 1, 60, 52, 50, 70, 18, int(NOW * 1000) - 4_500, None),
        PartitionView("orders.v1", 1, 1, 40, 40, 40, 40, 0, None, None),
        PartitionView("comments.v1", 0, 1, 10, 10, 10, None, None, None, None),
    )
    rules = (
        RuleInfo("order-placed", ("orders.v1",), ("order_placed",)),
        RuleInfo("mention", ("comments.v1",), ("user_mentioned",)),
    )
    seconds = DeliveryCounters().call_seconds
    for second, times in ((0.01, 1), (0.025, 2), (0.05, 3)):
        seconds.observe(second, times)
    seconds.total = 0.5
    delivery = DeliveryCounters(
        topics={
            "orders.v1": topic_counters(100, {Outcome.DELIVERED: 80, Outcome.FILTERED: 12}),
            "comments.v1": topic_counters(10, {Outcome.DELIVERED: 9, Outcome.DEAD_LETTERED: 1}, {"mapping": 1}),
        },
        events=Counter(
            {("order-placed", "order_placed", "accepted"): 80, ("mention", "user_mentioned", "accepted"): 9}
        ),
        rule_errors=Counter({("mention", "wrong_type"): 1, ("mention", "never_heard_of"): 2}),
        requests=Counter({"207": 12, "503": 2, "418": 1, "strange": 1}),
        call_seconds=seconds,
    )
    made = Snapshot(
        taken_at=NOW - 0.2,
        topics=topics,
        partitions=partitions,
        rules=rules,
        delivery=delivery,
        consumer=KafkaCounters(commits=Counter(ok=7), rebalances=Counter(assigned=1)),
        calls=CallsView(inflight=3, limit=16),
        kafka=KafkaView(state=JOINED, group="bridge"),
        mapping=RulesView("abcdef0123456789", NOW - 3_600, {"ok": 1}),
    )
    return replace(made, **changes)


def topic_counters(
    consumed: int, finished: dict[Outcome, int], dead_letters: dict[str, int] | None = None
) -> TopicCounters:
    """What delivery counted of one topic."""
    return TopicCounters(consumed, Counter(finished), Counter(dead_letters or {}))


def hold(reason: str = "setup", **changes: Any) -> HoldView:
    """A hold of everything, as revoked credentials make it."""
    made = HoldView(reason, "everything", NOW - 90, "a probe that is accepted", heals=True, detail="401 from the API")
    return replace(made, **changes)


PAUSED = hold("operator", scope="orders.v1:0", topic="orders.v1", partition=0, heals=False, wanted=True)
"""A partition that somebody paused."""
STANDS = PartitionView(
    "orders.v1", 0, 1, 52, 52, 52, 70, 18, None, None, transaction=OpenTransaction(NOW - 240, OPEN_TRANSACTION)
)
"""A partition whose position stands at an open transaction."""
WAITING = (WaitingView("call", "17: 100 events of orders.v1:0, offsets 52–59", 12.3),)
ERRORS = (ErrorView(NOW - 8, "transient", "POST /v2/bulk/event/", "503 Service Unavailable", 2),)


class World:
    """A `SnapshotSource` that has actions done, and remembers what was asked."""

    def __init__(self, shot: Snapshot | None = None) -> None:
        self.shot = shot or snapshot()
        self.age: float | None = 0.1
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: str | None = None

    def snapshot(self) -> Snapshot:
        return self.shot

    def poll_age(self) -> float | None:
        return self.age

    async def act(self, action: Action, values: tuple[Any, ...], reason: str) -> str:
        if self.refuse is not None:
            raise RefusedError(self.refuse)
        self.asked.append((action.name, *values, reason))
        return f"done: {action.name}"
