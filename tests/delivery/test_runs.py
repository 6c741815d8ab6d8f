"""Runs of records that go through the core together: they end as they would one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings, strategies as st

from bridge.delivery.batch import Batch
from bridge.delivery.policy import Policy
from bridge.flow import RECORD_OVERHEAD, Outcome, PlainRecord, RunMapper, Start
from bridge.jsontext import dumps, loads
from bridge.rules.map.mapping import CompiledMapping, compile_mapping
from bridge.rules.read.load import load_texts
from tests.delivery.bench import TOPIC, Bench, record, reply, results
from tests.delivery.words import WordRules
from tests.rules.given import CONTEXT, rules


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


@pytest.mark.parametrize("short", [0, 1])
def test_a_call_is_filled_to_the_last_byte(short: int) -> None:
    """Two events whose body is just as long as a call may be share one; with a byte less each has its own."""
    probe = Bench(Policy(linger=0.0))
    probe.assign()
    probe.feed([record(0), record(1)])
    (call,) = probe.start()
    bench = Bench(Policy(linger=0.0, batch_bytes=len(call.body) - short))
    bench.assign()
    bench.feed([record(0), record(1), record(2)])
    assert [call.offsets for call in bench.start()] == ([[0], [1], [2]] if short else [[0, 1], [2]])


class Shown(WordRules):
    """Notes how many records it is shown at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[int] = []

    def for_topic(self, topic: str) -> RunMapper:
        right = super().for_topic(topic)

        def mapper(records: Any, *args: Any) -> Any:
            self.runs.append(len(records))
            return right(records, *args)

        return mapper


@pytest.mark.parametrize(("wanted", "most"), [(1, 111), (2, 221), (4, 441), (100_000, 881)])
def test_no_more_records_are_looked_at_than_a_call_may_need(wanted: int, most: int) -> None:
    """A tenth more than it took lately, one, and at most nine for an event: so the first looks are short and the later fit."""
    rules = Shown()
    bench = Bench(Policy(linger=0.0), rules)
    bench.assign()
    bench.feed([record(offset, b"e" if offset % wanted == wanted - 1 else b"") for offset in range(20_000)])
    bench.start()
    assert rules.runs[0] == 111
    assert max(rules.runs) == pytest.approx(most, abs=5)
    second = rules.runs[1] if wanted > 1 else 111
    assert second <= 111 + 0.25 * 110 * min(7.0, wanted - 1) + 5


def test_where_nothing_is_wanted_each_look_is_a_little_longer() -> None:
    """Of three that made nothing the next one learns as if they had made one."""
    rules = Shown()
    bench = Bench(Policy(linger=0.0, batch_events=2), rules)
    bench.assign()
    bench.feed([record(offset, b"") for offset in range(100)])
    bench.start()
    assert rules.runs[:2] == [3, 4]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["e", "o"], Outcome.DELIVERED),
        (["e", "s"], Outcome.SKIPPED),
        (["s", "t-1"], Outcome.EXPIRED),
        (["t-1", "d"], Outcome.DEAD_LETTERED),
        (["e", "d"], Outcome.DEAD_LETTERED),
    ],
)
def test_a_record_ends_with_the_worst_of_its_outcomes(words: list[str], outcome: Outcome, turned: bool) -> None:
    """Whichever comes first: delivered is worse than unwanted, then skipped, expired, dead-lettered."""
    bench = Bench(Policy(linger=0.0))
    bench.assign()
    bench.feed([record(0, " ".join(words[::-1] if turned else words).encode())])
    bench.settle()
    assert finished(bench)[outcome] == 1
    assert sum(finished(bench).values()) == 1


@pytest.mark.parametrize("partitions", [1, 10, 12])
def test_a_call_that_failed_is_told_with_its_first_number_and_ten_of_its_partitions(partitions: int) -> None:
    """Each with its first and last offset; how many more there are is said, and the number stays through its attempts."""
    bench = Bench(Policy(linger=0.0))
    for partition in range(partitions):
        bench.assign(partition)
        bench.feed([record(offset, partition=partition) for offset in (3, 4, 5)])
    numbers, due = [], []
    for _ in range(2):
        (call,) = bench.start()
        numbers.append(call.number)
        bench.answer(call, reply(503))
        due.append(round(bench.delivery.calls.resting[0][0] - bench.now, 2))
        bench.pass_time(60.0)
    lines = [entry.facts for entry in bench.delivery.journal.take() if entry.event == "batch_retried"]
    assert numbers[0] == 1 < numbers[1]
    assert [(line["batch"], line["attempt"]) for line in lines] == [(1, 1), (1, 2)]
    assert [line["in_seconds"] for line in lines] == due
    more = ("and 2 more",) if partitions == 12 else ()
    assert lines[0]["spans"] == (*[f"t:{each}:3-5" for each in range(min(10, partitions))], *more)


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


def _told_all(text: str, kept_bytes: int) -> CompiledMapping:
    """A rule that tells everybody of a record, and how much is kept of what it makes."""
    body = f"for_each: .people[]\ndistinct_id: ${{ $item }}\nproperties: {{text: '{text}', n: '${{ $index }}'}}"
    loaded = load_texts([("a.yaml", rules(body).encode())]).rules
    return compile_mapping(loaded, replace(CONTEXT, kept_bytes=kept_bytes))


@pytest.mark.parametrize("ordering", ["key", "partition", "none"])
def test_of_a_large_fan_out_every_call_and_outcome_is_the_same_whether_bodies_are_kept_or_made_again(
    ordering: Literal["key", "partition", "none"],
) -> None:
    """40 people each, in calls of 7, one refused as transient, a reload on the way: the same bytes and the same end."""
    records = [
        PlainRecord(TOPIC, 0, offset, dumps({"people": [f"u{offset}-{at}" for at in range(40)]}), key=b"%d" % offset)
        for offset in range(4)
    ]
    told: dict[int, list[bytes]] = {}
    for kept in (1 << 30, 500):
        bench = Bench(Policy(linger=0.0, ordering=ordering, batch_events=7), _told_all("first", kept))
        bench.assign()
        bench.feed(records)
        told[kept] = []
        for turn in range(60):
            new = bench.start()
            told[kept] += [call.body for call in new]
            if turn == 1:
                bench.delivery.remap(_told_all("second", kept))
            for call in new:
                verdicts = ["transient" if turn == 0 and at == 3 else "ok" for at in range(len(call.events))]
                bench.answer(call, results(*verdicts))
            bench.pass_time(40.0)
        assert finished(bench) == {Outcome.DELIVERED: 4}
        assert bench.room.taken_bytes == bench.room.freed_bytes
        assert sum(len(loads(body)) for body in told[kept]) > 160
    assert told[500] == told[1 << 30]
