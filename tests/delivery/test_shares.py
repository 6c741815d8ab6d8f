"""How many unsent records are enough, where a topic's cannot leave."""

from __future__ import annotations

import pytest

from bridge.delivery.policy import Policy
from bridge.flow import Assigned, Lost, Pause, PlainRecord, Records, Resume, SendLimitCommitted, Start
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


def test_a_topic_that_is_gone_has_no_share_and_what_it_had_unsent_stops_nobody() -> None:
    """Its records are no longer ours to send; the topic that is left is alone, and what waits there is enough by itself."""
    bench = Bench(Policy(linger=0.0, ordering="partition"))
    for topic in (TOPIC, OTHER):
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
    hand_over(bench, OTHER, 0, 2_500)
    bench.delivery.orders(bench.now)
    assert not bench.room.open
    bench.take(Lost(((OTHER, 0),)))
    bench.delivery.orders(bench.now)
    assert bench.room.open
    hand_over(bench, TOPIC, 0, 5_000)
    assert bench.start()
    bench.delivery.orders(bench.now)
    assert not bench.room.open


def test_every_topic_is_stopped_by_what_may_be_sent() -> None:
    """Where no call is free for them, unsent records of any topic are enough."""
    bench = Bench(Policy(linger=0.0, ordering="partition"))
    for topic in (TOPIC, OTHER):
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
        hand_over(bench, topic, 0, 2_500)
    bench.delivery.orders(bench.now)
    assert not bench.room.open


@pytest.mark.parametrize(("in_flight", "enough"), [(16, 2_000), (64, 3_200)])
def test_reading_stops_where_every_call_stays_busy_and_goes_on_at_half_of_that(in_flight: int, enough: int) -> None:
    """Half of what all calls take, two thousand records at least, wait unsent; not one more is read."""
    bench = Bench(Policy(linger=0.0, initial_in_flight=in_flight, max_in_flight=in_flight))
    bench.take(Assigned(TOPIC, 0, 1, Start(0)))
    read = 0

    def open_at(count: int) -> bool:
        nonlocal read
        if count > read:
            records = [PlainRecord(TOPIC, 0, offset, b"e") for offset in range(read, count)]
            bench.room.take(TOPIC, 401 * len(records), len(records))
            bench.take(Records(TOPIC, 0, 1, list(records)))
            read = count
        bench.delivery.orders(bench.now)
        return bench.room.open

    assert open_at(enough - 1)
    assert not open_at(enough)
    for left in (enough - 1, enough // 2):
        while len(bench.delivery.parts[TOPIC, 0].lanes.unsent) > left:
            bench.delivery.parts[TOPIC, 0].lanes.unsent.popleft()
        assert not open_at(0)
    bench.delivery.parts[TOPIC, 0].lanes.unsent.popleft()
    assert open_at(0)
    assert open_at(read + enough // 2)


def test_of_what_waits_for_its_partition_a_topic_counts_with_its_share() -> None:
    """Two topics: of a thousand records that are half of enough each counts with five hundred, the rest is beyond it."""
    bench = Bench(Policy(linger=0.0, ordering="partition", batch_events=1))
    for topic in (TOPIC, OTHER):
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
    hand_over(bench, TOPIC, 0, 5_000)
    assert bench.start()
    hand_over(bench, OTHER, 0, 1_499 + 1)
    bench.delivery.orders(bench.now)
    assert not bench.room.open
    bench.delivery.parts[OTHER, 0].lanes.unsent.pop()
    bench.delivery.orders(bench.now)
    assert not bench.room.open, "it goes on at half of enough"
    while len(bench.delivery.parts[OTHER, 0].lanes.unsent) > 499:
        bench.delivery.parts[OTHER, 0].lanes.unsent.pop()
    bench.delivery.orders(bench.now)
    assert bench.room.open
    # Shut again, and then exactly half of enough waits for its partition: half of that is its share.
    hand_over(bench, OTHER, 1_500, 1_500)
    bench.delivery.orders(bench.now)
    assert not bench.room.open
    bench.delivery.parts[OTHER, 0].lanes.unsent.clear()
    while len(bench.delivery.parts[TOPIC, 0].lanes.unsent) > 1_000:
        bench.delivery.parts[TOPIC, 0].lanes.unsent.pop()
    bench.delivery.orders(bench.now)
    assert bench.room.open


@pytest.mark.parametrize(("others", "is_open"), [(1_990, False), (1_989, True)])
def test_a_topic_that_waits_with_less_than_its_share_counts_with_all_of_it(others: int, is_open: bool) -> None:
    """Ten that wait for their partition's call and what may be sent are two thousand together."""
    bench = Bench(Policy(linger=0.0, ordering="partition", batch_events=1, initial_in_flight=1, max_in_flight=1))
    for topic in (TOPIC, OTHER):
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
    hand_over(bench, TOPIC, 0, 11)
    assert bench.start()
    hand_over(bench, OTHER, 0, others)
    bench.delivery.orders(bench.now)
    assert bench.room.open is is_open


def test_what_is_left_to_fill_is_looked_at_again_at_once() -> None:
    """Where fewer calls are started than there is to send, the next look is now; where none may go, an answer comes first."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=2, max_in_flight=2))
    bench.assign()
    bench.feed([PlainRecord(TOPIC, 0, offset, b"e") for offset in range(5)])
    assert len(bench.delivery.starts(bench.now, bench.now_ms, 1)) == 1
    bench.delivery.orders(bench.now)
    assert bench.delivery.wake_at(bench.now) == bench.now
    assert len(bench.delivery.starts(bench.now, bench.now_ms, 1)) == 1
    assert bench.delivery.wake_at(bench.now) is None


def test_beside_a_record_that_keeps_failing_a_batch_is_let_in_once_until_something_is_accepted() -> None:
    """Exactly a batch beyond the span; what was accepted in the moment of the last time lets in no other."""
    bench = Bench(Policy(linger=0.0, span=5, batch_events=5))
    bench.take(Assigned(TOPIC, 0, 1, Start(0)))
    part, reading = bench.part(), bench.delivery.reading

    def paused() -> bool | None:
        bench.pass_time(1.0)
        told = [isinstance(order, Pause) for order in bench.collect() if isinstance(order, (Pause, Resume))]
        return told[-1] if told else None

    def read(first: int, count: int) -> bool | None:
        for offset in range(first, first + count):
            hand_over(bench, TOPIC, offset, 1)
        return paused()

    assert read(0, 5) is True
    reading.let_in(part, 50.0, 100.0)
    assert paused() is False
    assert read(5, 4) is None
    assert read(9, 1) is True
    reading.let_in(part, 100.0, 130.0)
    assert paused() is None
    reading.let_in(part, 100.5, 140.0)
    assert paused() is False
    assert read(10, 4) is None
    assert read(14, 1) is True


def test_each_topic_that_waits_counts_with_its_own_share() -> None:
    """Two that wait with thousands are half of enough: where reading stopped it stays stopped, with a record less it goes on."""
    bench = Bench(Policy(linger=0.0, ordering="partition", batch_events=1))
    for topic in (TOPIC, OTHER):
        bench.take(Assigned(topic, 0, 1, Start(0)), SendLimitCommitted(topic, 0, 1, FAR))
        hand_over(bench, topic, 0, 3_000)
    assert bench.start()
    bench.room.open = False
    bench.delivery.orders(bench.now)
    assert not bench.room.open
    while len(bench.delivery.parts[OTHER, 0].lanes.unsent) > 499:
        bench.delivery.parts[OTHER, 0].lanes.unsent.pop()
    bench.delivery.orders(bench.now)
    assert bench.room.open
