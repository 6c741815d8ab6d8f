"""Runs of records that go through the core together: they end as they would one by one."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from bridge.delivery.batch import Batch
from bridge.delivery.policy import Policy
from bridge.flow import RECORD_OVERHEAD, Outcome, Start
from tests.delivery.bench import TOPIC, Bench, record


def finished(bench: Bench) -> dict[Outcome, int]:
    return {outcome: n for outcome, n in bench.delivery.counters.topic(TOPIC).finished.items() if n}


def test_a_run_of_plain_records_goes_out_and_ends_as_a_whole() -> None:
    """A hundred records with lanes of their own fill one call; its answer ends them and frees lanes and bytes."""
    bench = Bench(Policy(linger=0.0))
    bench.assign()
    bench.feed([record(offset, b"e", key=b"%d" % offset) for offset in range(100)])
    (call,) = bench.start()
    batch: Batch = bench.delivery.calls.in_flight[call.number]
    assert call.offsets == list(range(100))
    assert [len(run.offsets) for run in batch.runs] == [100]
    assert len(bench.part().lanes.busy) == 100
    bench.accept(call)
    assert bench.part().lanes.busy == {}
    assert bench.part().ledger.watermark == 100
    assert finished(bench) == {Outcome.DELIVERED: 100}
    assert bench.delivery.counters.events.total() == 100
    assert bench.room.taken_bytes == bench.room.freed_bytes


def test_what_no_rule_wants_is_left_out_of_a_run_and_its_call_is_full() -> None:
    """Unwanted records between wanted ones end as filtered; those behind the last that fits stay unread."""
    bench = Bench(Policy(linger=0.0, batch_events=10))
    bench.assign()
    bench.feed([record(offset, b"" if offset % 3 == 0 else b"e", key=b"%d" % offset) for offset in range(30)])
    first, second = bench.start()
    assert first.offsets == [offset for offset in range(15) if offset % 3]
    assert second.offsets == [offset for offset in range(15, 30) if offset % 3]
    assert finished(bench) == {Outcome.FILTERED: 10}
    bench.accept(second)
    bench.accept(first)
    assert bench.part().ledger.watermark == 30
    assert finished(bench) == {Outcome.FILTERED: 10, Outcome.DELIVERED: 20}
    assert bench.room.taken_bytes == bench.room.freed_bytes


def test_a_lane_that_waits_is_woken_by_the_end_of_a_run() -> None:
    """A record whose key is in flight goes out when the whole call that holds the key was accepted."""
    bench = Bench(Policy(linger=0.0, batch_events=4))
    bench.assign()
    bench.feed([record(offset, b"e", key=b"%d" % offset) for offset in range(4)])
    (first,) = bench.start()
    bench.feed([record(4, b"e", key=b"2"), record(5, b"e", key=b"new")])
    (second,) = bench.start()
    assert second.offsets == [5]
    bench.accept(first)
    (third,) = bench.start()
    assert third.offsets == [4]


def test_records_above_the_bound_stay_behind() -> None:
    """Of a run only what a commit covers goes out."""
    bench = Bench(Policy(linger=0.0))
    bench.assign(send_limit=6)
    bench.feed([record(offset, b"e", key=b"%d" % offset) for offset in range(10)])
    (call,) = bench.start()
    assert call.offsets == list(range(7))
    assert [each.offset() for each in bench.part().lanes.unsent] == [7, 8, 9]


def test_what_an_earlier_owner_may_have_sent_is_guarded_record_by_record() -> None:
    """A run that begins at or below the send limit of the start knows that its batch is guarded."""
    bench = Bench(Policy(linger=0.0))
    bench.assign(start=Start(0, send_limit=2, send_limit_at=bench.now_ms))
    bench.feed([record(offset, b"e", key=b"%d" % offset) for offset in range(6)])
    (call,) = bench.start()
    assert call.offsets == list(range(6))
    assert bench.delivery.calls.in_flight[call.number].guarded


def test_an_answer_after_the_loss_of_the_partition_ends_nothing() -> None:
    """The whole run of a partition that was lost counts as late."""
    bench = Bench(Policy(linger=0.0))
    bench.assign()
    bench.feed([record(offset, b"e", key=b"%d" % offset) for offset in range(5)])
    (call,) = bench.start()
    bench.lose(0)
    bench.accept(call)
    assert bench.delivery.counters.late_results == 5
    assert finished(bench) == {Outcome.RELEASED: 5}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([b"e", b"e", b"e", b"", b"e e", b"s"]), st.sampled_from([None, b"a", b"b", b"c"])),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 12),
    st.integers(60, 4_000),
)
def test_whatever_becomes_of_them_nothing_is_lost_or_sent_twice(
    made: list[tuple[bytes, bytes | None]], batch: int, most_bytes: int
) -> None:
    """Any mixture of records, at any size of a call, ends with every event sent once, in order per key."""
    bench = Bench(Policy(linger=0.0, batch_events=batch, batch_bytes=most_bytes))
    bench.assign()
    bench.feed([record(offset, value, key=key) for offset, (value, key) in enumerate(made)])
    sent: list[int] = []
    for _ in range(500):
        for call in bench.start():
            assert len(call.events) <= batch
            assert len(call.body) <= most_bytes or len(call.events) == 1
            sent += call.offsets
        if not bench.calls:
            break
        bench.accept(next(iter(bench.calls.values())))
    assert sorted(sent) == [offset for offset, (value, _) in enumerate(made) for word in value.split() if word != b"s"]
    for lane in (b"a", b"b", b"c"):
        of_lane = [offset for offset in sent if made[offset][1] == lane]
        assert of_lane == sorted(of_lane)
    assert bench.part().ledger.watermark == len(made)
    assert bench.part().lanes.busy == {}
    assert bench.room.taken_bytes == bench.room.freed_bytes
    assert sum(len(value) + RECORD_OVERHEAD for value, _ in made) == bench.room.freed_bytes


def test_looking_at_a_batch_changes_nothing() -> None:
    """Whoever asks for the events of a call one by one leaves its runs, and its bytes, as they are."""
    bench = Bench(Policy(linger=0.0))
    bench.assign()
    bench.feed([record(offset, b"e", key=b"%d" % offset) for offset in range(3)])
    (call,) = bench.start()
    batch = bench.delivery.calls.in_flight[call.number]
    (run,) = batch.runs
    assert batch.keys() == [event.key for event in run.events()]
    assert len(run.events()) == batch.count == 3
    assert batch.runs == [run]
    assert batch.body() == call.body
    bench.accept(call)
    assert bench.part().ledger.watermark == 3
