"""A record that keeps failing: told `stuck` only where something proves that it is the record, never in an outage."""

from __future__ import annotations

from random import Random

import pytest

from bridge.delivery.policy import Ordering, Policy
from bridge.flow import DeadLetter, Outcome, Pause, Resume
from tests.delivery.bench import Bench, Call, dead_offsets, record, reply, results

QUICK = {"linger": 0.0, "stuck_attempts": 8, "stuck_seconds": 60.0, "retry_floor": 100.0}


def answer(bench: Bench, call: Call) -> None:
    """An API that fails on the whole call when the word `eS` is in it."""
    bad = any(event["w"] == "eS" for event in call.events)
    bench.answer(call, reply(500) if bad else results(*["ok"] * len(call.events)))


class Reading:
    """A topic with a backlog: records are read while the partition is not paused."""

    def __init__(self, bench: Bench, poison: int = 0) -> None:
        self.bench = bench
        self.poison = poison
        self.next = 0
        self.paused = False
        self.letters: list[DeadLetter] = []

    def turn(self, *, outage: bool = False) -> None:
        bench = self.bench
        if not self.paused:
            run = [
                record(offset, b"eS" if offset == self.poison else b"e") for offset in range(self.next, self.next + 5)
            ]
            bench.feed(run)
            self.next += 5
        for call in bench.start():
            if outage:
                bench.answer(call, reply(503))
            else:
                answer(bench, call)
        for order in bench.collect():
            if isinstance(order, (Pause, Resume)):
                self.paused = isinstance(order, Pause)
            elif isinstance(order, DeadLetter):
                self.letters.append(order)
        bench.pass_time(1.0)


def test_a_record_that_stopped_its_partition_is_told_by_what_is_let_in_beside_it() -> None:
    """Over the span nothing else would go out: a batch at a time is read on, and proves that it is the record."""
    bench = Bench(Policy(**QUICK, span=50, batch_events=5))  # type: ignore[arg-type]
    bench.assign()
    reading = Reading(bench)
    for _ in range(1_000):
        reading.turn()
        if reading.letters:
            break
    assert dead_offsets(reading.letters) == [0]
    assert dict(reading.letters[0].headers)["bridge.class"] == b"stuck"
    assert reading.next <= 50 + 10 * 8 * 5, "no more is let in than is needed"


def test_in_an_outage_one_batch_is_let_in_and_nothing_is_given_up() -> None:
    """Where nothing is accepted nothing is proven, however long it lasts: the partition stands still."""
    bench = Bench(Policy(**QUICK, span=50, batch_events=5))  # type: ignore[arg-type]
    bench.assign()
    reading = Reading(bench, poison=-1)
    for _ in range(3_000):
        reading.turn(outage=True)
    assert reading.paused
    assert reading.next <= 50 + 3 * 5
    assert reading.letters == []
    for _ in range(100):
        reading.turn()
    assert bench.outcomes()[Outcome.DELIVERED] > 50


@pytest.mark.parametrize("ordering", ["none", "key", "partition"])
def test_alone_in_work_a_batch_is_taken_apart_and_the_record_stays_and_is_told(ordering: Ordering) -> None:
    """In an idle topic the others of the batch go out as order lets them; without proof the culprit is not given up."""
    bench = Bench(Policy(**QUICK, ordering=ordering, batch_events=8))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(offset, b"eS" if offset == 5 else b"e", key=b"k%d" % offset) for offset in range(8)])
    for _ in range(3_000):
        for call in bench.start():
            answer(bench, call)
        bench.pass_time(1.0)
    assert not [order for order in bench.collect() if isinstance(order, DeadLetter)]
    assert bench.outcomes() == {Outcome.DELIVERED: 5 if ordering == "partition" else 7}
    told = [entry.facts for entry in bench.delivery.journal.take() if entry.event == "record_failing"]
    assert {(line["topic"], line["partition"], line["offset"]) for line in told} == {("t", 0, 5)}
    assert 10 < len(told) <= 3_000 / 60, "told again and again, but once a minute at most"
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 8}


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_an_api_that_fails_now_and_then_has_only_the_culprit_given_up(seed: int) -> None:
    """While a stuck batch is taken apart, an unlucky call of the innocent is no proof against them."""
    rng = Random(seed)
    bench = Bench(Policy(**QUICK, batch_events=20))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(offset, b"eS" if offset == 7 else b"e", key=b"k%d" % offset) for offset in range(20)])
    letters = []
    for number in range(3_000):
        bench.feed([record(100 + number, key=b"n%d" % number)])
        for call in bench.start():
            if rng.random() < 0.3:
                bench.answer(call, reply(503))
            else:
                answer(bench, call)
        letters += bench.write_dead_letters()
        bench.pass_time(1.0)
    assert dead_offsets(letters) == [7]


def test_an_outage_in_the_middle_of_the_search_gives_up_nobody() -> None:
    """A batch that is being taken apart when the API goes away waits for it as everything does."""
    bench = Bench(Policy(**QUICK, batch_events=8))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(offset, b"eS" if offset == 3 else b"e", key=b"k%d" % offset) for offset in range(8)])
    number = 100
    while not any(len(call.events) < 8 for call in bench.calls.values()):
        number += 1
        bench.feed([record(number, key=b"n%d" % number)])
        for call in bench.start():
            if len(call.events) == 4:
                break
            answer(bench, call)
        else:
            bench.pass_time(1.0)
    for _ in range(500):
        for call in [*bench.calls.values(), *bench.start()]:
            if call.number in bench.calls:
                bench.answer(call, reply(503))
        bench.pass_time(31.0)
    assert bench.write_dead_letters() == []
