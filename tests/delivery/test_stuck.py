"""A record that keeps failing: told `stuck` only where something proves that it is the record, never in an outage."""

from __future__ import annotations

from math import ceil
from random import Random

import pytest

from bridge.delivery.policy import Backoff, Ordering, Policy
from bridge.flow import DeadLetter, Outcome, Pause, Resume
from tests.delivery.bench import Bench, Call, dead_offsets, record, refused, reply, results

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


def _alone(**more: object) -> Bench:
    """A record that always fails, with a backoff of nothing: it is tried again whenever somebody looks."""
    bench = Bench(Policy(**({"linger": 0.0, "batch_events": 1, "backoff": Backoff(0.0, 0.0)} | more)))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(0, b"eS", key=b"bad")])
    return bench


def _given_up(bench: Bench, every: float, *, most: int = 60) -> tuple[int, float] | None:
    """Try it so often, with something accepted beside each attempt: at which it is given up, and how long after the first."""
    begun = bench.now
    for number in range(1, most + 1):
        bench.feed([record(number, key=b"n%d" % number)])
        bad, good = sorted(bench.start(), key=lambda call: call.offsets)
        bench.pass_time(0.25)
        bench.accept(good)
        bench.answer(bad, results("transient"))
        if dead_offsets(bench.write_dead_letters()) == [0]:
            return number, bench.now - begun - 0.25
        bench.pass_time(every - 0.25)
    return None


@pytest.mark.parametrize(
    ("every", "attempts", "seconds"), [(50.0, 20, 950.0), (31.0, 21, 620.0), (30.0, 21, 600.0), (29.0, 22, 609.0)]
)
def test_twenty_proofs_over_ten_minutes_make_a_record_stuck(every: float, attempts: int, seconds: float) -> None:
    """Neither twenty attempts in less than ten minutes nor ten minutes of fewer are enough, and no more is asked for."""
    assert _given_up(_alone(), every) == (attempts, seconds)


@pytest.mark.parametrize("seconds", [0.0, 10.0, 45.0, 300.0])
def test_the_time_that_the_settings_ask_for_has_to_pass(seconds: float) -> None:
    """`delivery.stuck.seconds` counts from the first proof; of two attempts in all where it is 0."""
    attempts = 1 + max(1, ceil(seconds / 10.0))
    found = _given_up(_alone(stuck_attempts=2, stuck_seconds=seconds), 10.0)
    assert found == (attempts, (attempts - 1) * 10.0)


def test_what_was_accepted_in_the_moment_of_the_attempt_before_is_no_proof() -> None:
    """Proof is what was accepted since then: where that is all there is, the record is given up never."""
    bench = _alone(stuck_attempts=2, stuck_seconds=0.0)
    for number in range(1, 100):
        bench.feed([record(number, key=b"n%d" % number)])
        bad, good = sorted(bench.start(), key=lambda call: call.offsets)
        bench.answer(bad, results("transient"))
        bench.accept(good)
        bench.pass_time(60.0)
        for call in bench.start():
            bench.answer(call, results("transient"))
        assert bench.write_dead_letters() == []
        bench.pass_time(60.0)


def test_a_record_that_fails_is_told_from_its_twentieth_attempt_on_once_a_minute() -> None:
    """Each line says how often it was tried, how often something was accepted beside it, and for how many seconds."""
    bench = _alone(stuck_seconds=1_000.0)
    assert _given_up(bench, 10.0, most=40) is None
    told = [entry.facts for entry in bench.delivery.journal.take() if entry.event == "record_failing"]
    assert [(line["attempts"], line["accepted_beside"], line["seconds"]) for line in told] == [
        (20, 20, 190.2),
        (26, 26, 250.2),
        (32, 32, 310.2),
        (38, 38, 370.2),
    ]
    assert {(line["offset"], line["code"]) for line in told} == {(0, "transient")}


@pytest.mark.parametrize(("attempts", "each"), [(20, 5), (6, 5), (5, 5), (4, 4), (2, 2)])
def test_each_part_of_a_stuck_batch_fails_five_times_by_itself_before_it_is_given_up(attempts: int, each: int) -> None:
    """The batch is taken apart after all attempts; what fails alone is blamed after five, or all where those are fewer."""
    policy = {"stuck_attempts": attempts, "stuck_seconds": 0.0, "backoff": Backoff(0.0, 0.0)}
    bench = Bench(Policy(**QUICK | policy, batch_events=4))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(offset, b"eS" if offset == 2 else b"e") for offset in range(4)])
    tried: list[list[int]] = []
    letters: list[DeadLetter] = []
    for number in range(10, 60):
        bench.feed([record(number)])
        for call in bench.start():
            bench.pass_time(1.0)
            if call.offsets[0] < 4:
                tried.append(call.offsets)
            answer(bench, call)
        letters += bench.write_dead_letters()
    # Of the first attempt nothing was accepted before.
    assert tried == [[0, 1, 2, 3]] * (1 + attempts) + [[0, 1]] + [[2, 3]] * each + [[2]] * each + [[3]]
    assert dead_offsets(letters) == [2]


def _tried_alone(bench: Bench, accepts: set[int] | None = None, *, rounds: int = 100) -> list[list[int]]:
    """What goes out where nothing else does, an hour apart; each call with an event that is not accepted fails."""
    tried: list[list[int]] = []
    for _ in range(rounds):
        for call in bench.start():
            tried.append(call.offsets)
            well = accepts is None or set(call.offsets) <= accepts
            bench.answer(call, results(*["ok"] * len(call.offsets)) if well else reply(500))
        bench.pass_time(3_600.0)
    return tried


def _idle(records: int, **more: object) -> Bench:
    policy = {"linger": 0.0, "stuck_attempts": 4, "on_dedupe_expired": "send"} | more
    bench = Bench(Policy(**policy))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(offset, key=b"k%d" % offset) for offset in range(records)])
    return bench


def test_in_an_idle_topic_a_batch_is_taken_apart_behind_as_many_attempts_as_make_stuck() -> None:
    """Four attempts of the whole, then each half by itself; the half that passes is delivered at once."""
    bench = _idle(2)
    tried = _tried_alone(bench, {1}, rounds=8)
    assert tried[:4] == [[0, 1]] * 4
    assert sorted(tried[4:6]) == [[0], [1]]
    assert tried[6:] == [[0]] * (len(tried) - 6)
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("ordering", ["key", "partition"])
def test_whatever_was_taken_apart_in_an_outage_goes_out_once_behind_it(ordering: Ordering, split: bool) -> None:
    """Halves of halves, those that wait for one another included: none is forgotten, none is sent by two of them."""
    bench = _idle(8, ordering=ordering)
    if split:
        (whole,) = bench.start()
        bench.answer(whole, refused())
    assert {tuple(offsets) for offsets in _tried_alone(bench, set())} >= {(0, 1, 2, 3)}
    sent = _tried_alone(bench, rounds=10)
    assert sorted(offset for offsets in sent for offset in offsets) == list(range(8))
    assert bench.outcomes() == {Outcome.DELIVERED: 8}
    bench.conserved()


def test_a_part_of_a_stuck_batch_begins_anew_with_its_attempts() -> None:
    """It is told as failing only after as many attempts of its own, and waits no longer than after a first one."""
    bench = Bench(Policy(**QUICK | {"stuck_attempts": 6, "stuck_seconds": 0.0}, backoff=Backoff(0.0, 0.0)))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(0, b"eS"), record(1)])
    number, alone = 9, 0
    while not alone:
        number += 1
        bench.feed([record(number)])
        for call in bench.start():
            bench.pass_time(1.0)
            alone += call.offsets == [0]
            answer(bench, call)
    told = [entry for entry in bench.delivery.journal.take() if entry.event == "record_failing"]
    assert told == []
    for attempt in range(2, 7):
        (call,) = bench.start()
        assert call.offsets == [0]
        bench.answer(call, reply(500))
        told = [entry for entry in bench.delivery.journal.take() if entry.event == "record_failing"]
        assert len(told) == (attempt == 6)
