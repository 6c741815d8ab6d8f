"""How many unsent records are enough, where a topic's cannot leave."""

from __future__ import annotations

import pytest

from bridge.delivery.policy import Policy
from bridge.flow import Assigned, PlainRecord, Records, SendLimitCommitted, Start
from tests.delivery.bench import FAR, TOPIC, Bench

OTHER = "other"


def hand_over(bench: Bench, topic: str, first: int, count: int) -> None:
    """So many records of one key, read in one run."""
    records = [PlainRecord(topic, 0, offset, b"e", key=b"k") for offset in range(first, first + count)]
    bench.room.take(topic, 401 * count, count)
    bench.take(Records(topic, 0, 1, list(records)))


@pytest.mark.parametrize("topics", [[TOPIC], [TOPIC, OTHER]], ids=["alone", "beside another"])
def test_what_waits_for_its_partition_stops_no_other_topic(topics: list[str]) -> None:
    """Records that wait behind a call of their partition count for no more than their topic's share of what is enough."""
    bench = Bench(Policy(linger=0.0, ordering="partition"))
    for topic in topics:
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
    hand_over(bench, TOPIC, 0, 5_000)
    assert bench.start()
    bench.delivery.orders(bench.now)
    assert bench.room.open is (len(topics) > 1)


def test_every_topic_is_stopped_by_what_may_be_sent() -> None:
    """Where no call is free for them, unsent records of any topic are enough."""
    bench = Bench(Policy(linger=0.0, ordering="partition"))
    for topic in (TOPIC, OTHER):
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
        hand_over(bench, topic, 0, 2_500)
    bench.delivery.orders(bench.now)
    assert not bench.room.open
