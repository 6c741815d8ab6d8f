"""What an answer means for each event of a call."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from bridge.delivery.policy import Policy
from bridge.flow import Outcome, Reply
from tests.delivery.bench import Bench, dead_offsets, record, refused, reply, result, results


def fed(n: int, policy: Policy | None = None) -> Bench:
    bench = Bench(policy)
    bench.assign()
    bench.feed([record(offset) for offset in range(n)])
    return bench


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["ok", "ok", "invalid", "transient"]), min_size=8, max_size=8), max_size=6))
def test_what_was_accepted_or_refused_is_never_sent_again(answers: list[list[str]]) -> None:
    """Of a mixed answer only what failed as transient goes out again, and each event ends once."""
    bench = fed(8)
    left = set(range(8))
    refusals: set[int] = set()
    for answer in answers:
        bench.pass_time(60.0)
        for call in bench.start():
            assert set(call.offsets) == left
            words = answer[: len(call.events)]
            for offset, word in zip(call.offsets, words, strict=True):
                if word != "transient":
                    left.discard(offset)
                if word == "invalid":
                    refusals.add(offset)
            bench.answer(call, results(*words))
    bench.settle()
    assert bench.outcomes().get(Outcome.DEAD_LETTERED, 0) == len(refusals)
    assert bench.outcomes().get(Outcome.DELIVERED, 0) == 8 - len(refusals)
    assert bench.progress().watermark == 8


@pytest.mark.parametrize(
    "answer",
    [
        results("ok", "ok"),
        results("ok", "ok", "ok", "ok"),
        reply(200, b""),
        reply(200, b"<html></html>"),
        reply(207, {"status": "success", "records": "no list"}),
        reply(
            207, {"status": "success", "records": [result("ok"), result("ok"), {"status": "success"}]}, error="reset"
        ),
        reply(500),
        reply(503, b"<html></html>"),
        reply(408),
        reply(425),
        reply(0, error="timeout"),
        reply(0, error="reset"),
        reply(0, error="connect", applied=False),
    ],
)
def test_whatever_is_no_clear_answer_is_sent_again_with_the_same_bytes(answer: Reply) -> None:
    """A wrong count, a page, a cut, a timeout: nothing counts as accepted, and the same body goes out again."""
    bench = fed(3)
    (call,) = bench.start()
    bench.answer(call, answer)
    assert bench.outcomes() == {}
    bench.pass_time(60.0)
    (again,) = bench.start()
    assert again.body == call.body
    bench.accept(again)
    assert bench.outcomes() == {Outcome.DELIVERED: 3}


def test_a_malformed_record_is_unknown_while_its_neighbours_count() -> None:
    """In a readable answer, what is not as documented goes again; the accepted are finished."""
    bench = fed(3)
    (call,) = bench.start()
    body = {"status": "success", "records": [result("ok"), {"status": "success"}, result("ok")]}
    bench.answer(call, reply(207, body))
    assert bench.outcomes() == {Outcome.DELIVERED: 2}
    bench.pass_time(60.0)
    (again,) = bench.start()
    assert again.offsets == [1]


@pytest.mark.parametrize(
    "answer", [reply(401), reply(403), reply(404), reply(302), reply(0, error="tls", applied=False)]
)
def test_a_setup_error_holds_everything_and_heals_by_a_probe(answer: Reply) -> None:
    """Nothing is dead-lettered or dropped; one call probes now and then, and its success lifts the hold."""
    bench = fed(3, Policy(linger=0.0, batch_events=1))
    first, *others = bench.start()
    bench.answer(first, answer)
    for call in others:
        bench.answer(call, answer)
    assert bench.delivery.holds.everything()
    assert bench.start() == []
    bench.pass_time(30.0)
    (probe,) = bench.start()
    bench.answer(probe, answer)
    assert bench.start() == []
    bench.pass_time(30.0)
    (probe,) = bench.start()
    bench.accept(probe)
    assert not bench.delivery.holds.everything()
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 3}
    assert bench.delivery.counters.events_ended("dedupe_expired") == 0


def test_a_throttled_probe_waits_as_long_as_a_failed_one() -> None:
    """While held, a 429 is no reason to probe again at once."""
    bench = fed(4, Policy(linger=0.0, batch_events=1))
    for call in bench.start():
        bench.answer(call, reply(401))
    bench.pass_time(30.0)
    (probe,) = bench.start()
    bench.answer(probe, reply(429))
    assert bench.start() == []
    bench.pass_time(30.0)
    assert len(bench.start()) == 1


def test_retry_after_silences_every_call() -> None:
    """No call goes out before `Retry-After`, whatever waits."""
    bench = fed(2, Policy(linger=0.0, batch_events=1))
    first, second = bench.start()
    bench.answer(first, reply(429)._replace(retry_after="120"))
    bench.accept(second)
    bench.feed([record(2)])
    bench.pass_time(119.0)
    assert bench.start() == []
    bench.pass_time(1.5)
    assert len(bench.start()) == 2


def test_unreadable_answers_in_a_row_hold_and_name_the_shape() -> None:
    """Ten 2xx answers in a row that nobody can read stop the sending; a readable one heals."""
    bench = fed(10, Policy(linger=0.0, batch_events=1, max_in_flight=10))
    for call in bench.start():
        bench.answer(call, reply(200, b"<html></html>"))
    (hold,) = bench.delivery.holds.all()
    assert "page instead of JSON" in hold.detail
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 10}


def test_one_that_always_fails_is_found_while_the_others_go_on() -> None:
    """A batch that keeps failing at a healthy API is taken apart; the culprit alone is dead-lettered as stuck."""
    policy = Policy(linger=0.0, batch_events=4, stuck_attempts=3, stuck_seconds=30.0, retry_floor=100.0)
    bench = Bench(policy)
    bench.assign()
    bench.feed([record(offset, b"eS" if offset == 2 else b"e") for offset in range(4)])
    letters = []
    for number in range(400):
        bench.feed([record(100 + number)])
        for call in bench.start():
            stuck = any(event["w"] == "eS" for event in call.events)
            bench.answer(call, reply(500) if stuck else results(*["ok"] * len(call.events)))
        letters += bench.write_dead_letters()
        bench.pass_time(1.0)
    assert dead_offsets(letters) == [2]
    assert dict(letters[0].headers)["bridge.class"] == b"stuck"
    assert bench.in_work() <= 1


def test_one_that_always_fails_does_not_keep_the_breaker_open() -> None:
    """The probe of an open breaker is not always the one call that cannot succeed."""
    bench = Bench(Policy(linger=0.0, batch_events=1, breaker_failures=3, retry_floor=100.0))
    bench.assign()
    bench.feed([record(0, b"eS")])
    for _ in range(6):
        for call in bench.start():
            bench.answer(call, reply(500))
        bench.pass_time(40.0)
    assert bench.delivery.admission.breaker.open
    bench.feed([record(1)])
    for _ in range(4):
        for call in bench.start():
            bench.answer(call, reply(500) if call.offsets == [0] else results("ok"))
        bench.pass_time(40.0)
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


def test_an_outage_makes_nothing_stuck() -> None:
    """While nothing succeeds, failed attempts do not count, however many."""
    bench = fed(3, Policy(linger=0.0, stuck_attempts=2, stuck_seconds=1.0, retry_floor=100.0))
    for _ in range(200):
        for call in bench.start():
            bench.answer(call, reply(503))
        bench.pass_time(31.0)
    assert bench.write_dead_letters() == []
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 3}


def test_an_answer_to_an_unknown_call_is_ignored() -> None:
    """A number that is not out changes nothing."""
    bench = fed(1)
    (call,) = bench.start()
    bench.accept(call)
    bench.delivery.answered(call.number, refused(), bench.now, bench.now_ms)
    bench.delivery.answered(99, refused(), bench.now, bench.now_ms)
    assert bench.outcomes() == {Outcome.DELIVERED: 1}
