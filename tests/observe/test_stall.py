"""A stall says so, once, with what it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import replace

from bridge.flow import Outcome
from bridge.observe.counted import DeliveryCounters, OpenTransaction
from bridge.observe.logs import Logs
from bridge.observe.snapshot import PartitionView, Snapshot, TopicView
from bridge.observe.stall import StallWatch, stacks, watch
from tests.observe.world import NOW, WAITING, World, hold, snapshot, topic_counters


def shot(finished: int, lag: int | None, *, at: float, released: int = 0, inflight: int = 0) -> Snapshot:
    counted = {"t": topic_counters(100, {Outcome.DELIVERED: finished, Outcome.RELEASED: released})}
    views = (PartitionView("t", 0, 1, 9, 5, 5, 9, lag, None, None),)
    return Snapshot(at, (TopicView("t", inflight),), views, delivery=DeliveryCounters(topics=counted))


def told(*shots: Snapshot, after: float = 60) -> list[float]:
    """At which of the snapshots a stall is told."""
    watching = StallWatch(after)
    found = [s.taken_at for s in shots if watching.observe(s, s.taken_at)]
    assert watching.count == len(found)
    return found


def test_lag_without_progress_is_a_stall_told_once() -> None:
    """Nothing finished for the time set while there is lag: told once, and again only after progress."""
    assert told(*(shot(5, 7, at=float(t)) for t in range(0, 300, 10))) == [60]
    late = [shot(6, 7, at=float(t)) for t in range(300, 500, 10)]
    assert told(*(shot(5, 7, at=float(t)) for t in range(0, 300, 10)), *late) == [60, 360]


def test_progress_or_nothing_to_do_is_none() -> None:
    """Progress, however slow, and an empty log are no stalls; records handed back are no progress."""
    assert told(*(shot(t // 50, 7, at=float(t)) for t in range(0, 500, 10))) == []
    assert told(*(shot(5, 0, at=float(t)) for t in range(0, 500, 10))) == []
    assert told(*(shot(5, 7, at=float(t), released=t) for t in range(0, 100, 10))) == [60]


def test_unknown_lag_counts_by_what_is_in_work() -> None:
    """With the end of the log unknown, records in work that do not move are a stall."""
    assert told(*(shot(5, None, at=float(t), inflight=3) for t in range(0, 100, 10))) == [60]
    assert told(*(shot(5, None, at=float(t)) for t in range(0, 100, 10))) == []


def test_what_is_held_is_no_stall() -> None:
    """What is held says so itself: neither a hold of everything nor one of the lagging partition is a stall."""
    views = [shot(5, 7, at=float(t)) for t in range(0, 200, 10)]
    assert told(*(replace(v, holds=(hold(),)) for v in views)) == []
    assert told(*(replace(v, holds=(hold("brake", topic="t", partition=0),)) for v in views)) == []
    assert told(*(replace(v, holds=(hold("brake", topic="t", partition=1),)) for v in views)) == [60]


def test_what_stands_at_an_open_transaction_is_no_stall() -> None:
    """What nobody can read is not waited for, told yet or not; what was read before it and gets no outcome still is."""
    stands = [
        replace(v, partitions=(v.partitions[0]._replace(transaction=OpenTransaction(0.0), position=9, watermark=9),))
        for v in (shot(5, 7, at=float(t)) for t in range(0, 200, 10))
    ]
    assert told(*stands) == []
    behind = [replace(v, partitions=(v.partitions[0]._replace(watermark=5),)) for v in stands]
    assert told(*behind) == [60]


def test_a_delivery_thread_that_hangs_is_a_stall() -> None:
    """When no new snapshot comes, that is a stall, lag or not."""
    watching = StallWatch(60)
    old = shot(5, 0, at=0)
    found = [(now, stall.why) for now in range(0, 200, 10) if (stall := watching.observe(old, float(now)))]
    assert found == [(60, "the delivery thread publishes nothing")]


def play_a_stall(logs: Logs) -> None:
    """A bridge stands still for ten seconds, and has nothing left to do twenty seconds later."""
    world = World(snapshot(waiting=WAITING, taken_at=NOW))

    async def main() -> None:
        watching = StallWatch(5)
        clock = iter([NOW, NOW + 10, NOW + 30])

        def read() -> float:
            now = next(clock, None)
            if now is None:
                raise asyncio.CancelledError
            if now == NOW + 10:
                world.shot = replace(snapshot(partitions=()), taken_at=NOW + 30)
            return now

        task = asyncio.create_task(watch(world, watching, logs.logger, every=0.0, clock=read), name="watching")
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_the_log_tells_what_is_waited_for_and_all_stacks() -> None:
    """One line has what is waited for, and where every thread and task stands."""
    reading, writing = os.pipe()
    logs = Logs(descriptor=writing, form="json")
    play_a_stall(logs)
    logs.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        lines = [json.loads(line) for line in file]
    assert [line["event"] for line in lines] == ["stalled", "stall_over"]
    assert lines[0]["waiting_for"] == ["call 17: 100 events of orders.v1:0, offsets 52–59, 12.3 s"]
    text = "\n".join(lines[0]["stacks"])
    assert "thread MainThread" in text
    assert "task watching" in text
    assert "test_stall.py" in text


def test_stacks_show_no_values() -> None:
    """Stacks are lines of code: what variables hold is not in them."""
    value = str(2**70)
    assert value not in "".join(stacks())
    assert "test_stacks_show_no_values" in "".join(stacks())
