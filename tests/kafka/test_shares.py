"""What a topic may take of the room: the rule by itself, and on the embedded Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from bridge.flow import Budget, Pause, Resume
from bridge.kafka.client.reader import eased, over, share
from bridge.kafka.tools.mock import MockCluster
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk

BUDGET = 4_000_000
SIZE = 900
MANY = 4_000
"""Records of one topic: more than the budget."""
TOPICS = tuple("abcdefgh")
usage = st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 2 * BUDGET), min_size=1)


def room_of(used: dict[str, int], budget: int = BUDGET) -> Budget:
    """A room in which each topic has so many bytes in work."""
    room = Budget(budget)
    for topic, taken in used.items():
        room.take(topic, taken, 0)
    return room


@given(st.integers(0, 2 * BUDGET))
def test_one_topic_alone_may_take_all(used: int) -> None:
    """Where there is one topic there are no shares."""
    assert over(room_of({"a": used}), {"a"}) == set()
    assert eased(room_of({"a": used}), {"a"}, 1) == {"a"}


@given(st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(1, 3_000))), st.integers(2, 8))
def test_something_is_left_for_the_others(reads: list[tuple[str, int]], count: int) -> None:
    """However the topics take what they may, the budget holds, and one that took nothing may always read."""
    topics = set(TOPICS[:count])
    room = Budget(BUDGET)
    for topic, taken in reads:
        if topic in topics and topic not in over(room, topics):
            room.take(topic, taken, 1)
    assert room.used() <= BUDGET + 3_000
    assert not {topic for topic in topics if room.used_by(topic) == 0} & over(room, topics)


@given(usage)
def test_below_its_least_share_nobody_is_stopped(used: dict[str, int]) -> None:
    """Even far over the budget a topic below its least share is read, and the least shares are an eighth in all."""
    room, topics = room_of(used), set(used)
    least = BUDGET // (8 * len(topics))
    assert all(used[topic] >= least for topic in over(room, topics))
    assert share(room, len(topics)) >= least


@given(usage)
def test_over_the_budget_somebody_is_stopped(used: dict[str, int]) -> None:
    """Where the whole budget is taken at least one of several topics has too much."""
    room = room_of(used)
    assert len(used) == 1 or room.used() < BUDGET or over(room, set(used))


@given(usage)
def test_nobody_goes_on_who_would_be_stopped_at_once(used: dict[str, int]) -> None:
    """Between being stopped and going on lies half a share."""
    room, topics = room_of(used), set(used)
    assert len(topics) < 2 or not over(room, topics) & eased(room, topics, len(topics))


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A mock cluster with three topics to read and one for dead letters."""
    with MockCluster({"orders": 2, "comments": 1, "likes": 1, "dead-letters": 1}) as made:
        yield made


def fill(kafka: RealKafka, topic: str, count: int, partitions: int = 1) -> None:
    kafka.produce(topic, [Sent(b"x" * SIZE, partition=number % partitions) for number in range(count)])


def keep(side: Desk, *topics: str) -> None:
    """No record of these topics gets an outcome."""
    side.keep |= {(topic, partition, offset) for topic in topics for partition in (0, 1) for offset in range(MANY)}


def finished(side: Desk, topic: str) -> int:
    return sum(record.topic() == topic for record in list(side.finished))


def test_a_topic_that_cannot_leave_does_not_stop_the_others(cluster: MockCluster) -> None:
    """A topic without outcomes is stopped alone, within the budget; the other is read on, and it is when it can leave."""
    kafka = RealKafka(cluster.bootstrap)
    fill(kafka, "orders", MANY, 2)
    with desk(cluster.bootstrap, ["orders", "comments"], "g", budget=BUDGET) as side:
        keep(side, "orders")
        side.until(lambda: side.kafka.counters.pauses, what="the pause")
        most = [0]
        fill(kafka, "comments", 2_000)

        def all_comments() -> bool:
            most[0] = max(most[0], side.room.used())
            return finished(side, "comments") == 2_000

        side.until(all_comments, 60, "the other topic")
        assert finished(side, "orders") == 0
        assert most[0] <= BUDGET + BUDGET // 8
        counters = side.kafka.counters
        side.until(lambda: counters.partitions["orders", 1].no_room, what="the reason")
        assert not counters.partitions["comments", 0].no_room
        side.keep.clear()
        side.until(lambda: finished(side, "orders") == MANY, 60, "the topic that was stopped")


def test_two_topics_that_cannot_leave_do_not_stop_the_third(cluster: MockCluster) -> None:
    """Whoever fills its share is stopped for itself, one after the other."""
    kafka = RealKafka(cluster.bootstrap)
    fill(kafka, "orders", MANY, 2)
    fill(kafka, "likes", MANY)
    with desk(cluster.bootstrap, ["orders", "likes", "comments"], "g", budget=BUDGET) as side:
        keep(side, "orders", "likes")
        side.until(lambda: side.kafka.counters.pauses, what="the pause")
        fill(kafka, "comments", 2_000)
        side.until(lambda: finished(side, "comments") == 2_000, 60, "the third topic")
        assert finished(side, "orders") == finished(side, "likes") == 0


def test_pauses_for_different_reasons_do_not_lift_each_other(cluster: MockCluster) -> None:
    """An order to go on does not lift the stop of a topic, and its end does not lift a pause by order."""
    kafka = RealKafka(cluster.bootstrap)
    with desk(cluster.bootstrap, ["orders", "comments"], "g", budget=BUDGET) as side:
        side.until(lambda: len(side.parts) == 3)
        keep(side, "orders")
        fill(kafka, "orders", MANY, 2)
        side.until(lambda: side.kafka.counters.pauses, what="the pause")
        first, second = (side.parts["orders", number].epoch for number in (0, 1))
        read = len(side.records)
        side.order(Pause("orders", 0, first), Pause("orders", 1, second), Resume("orders", 1, second))
        side.until(lambda: not side.orders)
        fill(kafka, "comments", 50)
        kafka.produce("orders", [Sent(b"late", partition=0)])
        side.until(lambda: finished(side, "comments") == 50, what="the other topic")
        assert len(side.records) == read + 50
        side.keep.clear()
        side.until(lambda: sum(r.partition() == 1 and r.topic() == "orders" for r in list(side.finished)) == MANY // 2)
        assert b"late" not in side.values()
        side.order(Resume("orders", 0, first))
        side.until(lambda: finished(side, "orders") == MANY + 1, what="the partition that was paused by order")


def test_a_pause_of_everything_does_not_last_for_a_topic_that_cannot_leave(cluster: MockCluster) -> None:
    """After a pause of everything the others go on, though the records of one topic stay."""
    kafka = RealKafka(cluster.bootstrap)
    fill(kafka, "orders", MANY, 2)
    with desk(cluster.bootstrap, ["orders", "comments"], "g", budget=BUDGET) as side:
        keep(side, "orders")
        side.until(lambda: side.kafka.counters.pauses == 1, what="the pause of the topic")
        side.room.open = False
        side.until(lambda: side.kafka.counters.pauses == 2, what="the pause of everything")
        fill(kafka, "comments", 500)
        side.room.open = True
        side.until(lambda: finished(side, "comments") == 500, what="the other topic")
