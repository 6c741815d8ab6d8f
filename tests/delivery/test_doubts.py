"""Answers after which it is not clear whether a repeat would help."""

from __future__ import annotations

from bridge.flow import Outcome
from tests.delivery.bench import Bench, Call, dead_offsets, record, reply, result

DUPLICATE = {"type": "db_error_code", "message": "db_integrity_violation pq: duplicate key value violates it"}


def _doubtful() -> dict[str, object]:
    return {"status": "error", "status_code": 400, "error": DUPLICATE}


def _mixed(call: Call, doubtful: set[int]) -> object:
    records = [_doubtful() if offset in doubtful else result("ok") for offset in call.offsets]
    return {"status": "success", "records": records}


def _answer_all(bench: Bench, doubtful: set[int], rounds: int) -> list[list[int]]:
    calls = []
    for _ in range(rounds):
        for call in bench.start():
            calls.append(call.offsets)
            bench.answer(call, reply(207, _mixed(call, doubtful)))
        bench.pass_time(60.0)
    return calls


def test_a_doubtful_result_is_sent_again_with_the_same_key_three_times_and_is_a_dead_letter_then() -> None:
    """The others of its call are done at once; its letter is of class `invalid` and tells SuprSend's words."""
    bench = Bench()
    bench.assign()
    bench.feed([record(offset) for offset in range(4)])
    calls = _answer_all(bench, {2}, 5)
    assert calls == [[0, 1, 2, 3], [2], [2]]
    (letter,) = bench.write_dead_letters()
    headers = dict(letter.headers)
    assert (letter.record.offset(), headers["bridge.class"]) == (2, b"invalid")
    assert b"duplicate key value" in headers["bridge.message"]
    assert bench.outcomes() == {Outcome.DELIVERED: 3, Outcome.DEAD_LETTERED: 1}


def test_a_doubtful_result_that_passes_is_delivered() -> None:
    """A second try that is accepted ends it."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    _answer_all(bench, {0}, 2)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


def test_a_call_that_is_doubtful_as_a_whole_is_split_after_three_times() -> None:
    """Only the culprit ends in the dead-letter topic."""
    bench = Bench()
    bench.assign()
    bench.feed([record(offset) for offset in range(4)])
    for _ in range(20):
        for call in bench.start():
            whole = {"status": "error", "error": DUPLICATE}
            bench.answer(call, reply(400, whole) if 1 in call.offsets else reply(207, _mixed(call, set())))
        bench.pass_time(60.0)
    assert dead_offsets(bench.write_dead_letters()) == [1]
    assert bench.outcomes() == {Outcome.DELIVERED: 3, Outcome.DEAD_LETTERED: 1}


def test_an_outage_before_does_not_count() -> None:
    """Tries that failed for another reason leave an event its three."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    for _ in range(5):
        for call in bench.start():
            bench.answer(call, reply(503))
        bench.pass_time(60.0)
    assert _answer_all(bench, {0}, 5) == [[0], [0], [0]]
