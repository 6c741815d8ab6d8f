"""What answers say of the API as a whole: when calls go on, slow down, or stop."""

from __future__ import annotations

import pytest

from bridge.delivery.admission import Closed, Reason
from bridge.delivery.policy import Backoff, Policy
from bridge.flow import Outcome, PlainRecord, Reply
from tests.delivery.bench import TOPIC, Bench, record, refused, reply, results


def fed(events: int, **more: object) -> Bench:
    """Records of one partition, each with a lane of its own."""
    bench = Bench(Policy(linger=0.0, **({"retry_floor": 1_000.0} | more)))  # type: ignore[arg-type]
    bench.assign()
    bench.feed([record(offset) for offset in range(events)])
    return bench


def test_a_call_whose_every_event_fails_by_its_own_result_stops_nothing() -> None:
    """Results per event prove that the API is up: however many in a row, the breaker stays closed."""
    bench = fed(40, batch_events=1, breaker_failures=3, retry_floor=1.0)
    for _ in range(3):
        for call in bench.start():
            bench.answer(call, results("transient"))
        bench.pass_time(60.0)
    assert not bench.delivery.admission.breaker.open
    assert bench.delivery.admission.limit.value == 16, "one event that fails alone says nothing of the API's load"
    bench.feed([record(100)])
    for _ in range(5):
        bench.pass_time(60.0)
        for call in bench.start():
            bench.answer(call, results("ok" if call.offsets == [100] else "transient"))
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


@pytest.mark.parametrize("events", [2, 5])
def test_several_events_that_all_fail_together_slow_the_calls_down(events: int) -> None:
    """A whole batch of failed results may mean an overload behind the API: half as many calls side by side."""
    bench = fed(10, batch_events=events)
    first, *_ = bench.start()
    bench.answer(first, results(*["transient"] * events))
    assert bench.delivery.admission.limit.value == 8
    assert not bench.delivery.admission.breaker.open


def test_such_an_answer_closes_an_open_breaker() -> None:
    """The probe of an open breaker that gets results, though bad ones, has reached the API."""
    bench = fed(5, batch_events=1, breaker_failures=5)
    for call in bench.start():
        bench.answer(call, reply(503))
    assert bench.delivery.admission.breaker.open
    bench.pass_time(60.0)
    (probe,) = bench.start()
    bench.answer(probe, results("transient"))
    assert not bench.delivery.admission.breaker.open
    bench.pass_time(60.0)
    assert len(bench.start()) == 5


def test_such_an_answer_lifts_a_hold_for_credentials() -> None:
    """Whoever is told of each event has the right keys."""
    bench = fed(1)
    (call,) = bench.start()
    bench.answer(call, reply(401))
    bench.pass_time(30.0)
    (probe,) = bench.start()
    bench.answer(probe, results("transient"))
    assert not bench.delivery.holds.all()


def test_such_an_answer_is_no_success_that_makes_others_stuck() -> None:
    """While every event fails by its own result it may be an outage behind the API: nothing is given up."""
    bench = fed(6, batch_events=3, stuck_attempts=2, stuck_seconds=1.0)
    for _ in range(100):
        for call in bench.start():
            bench.answer(call, results(*["transient"] * len(call.events)))
        bench.pass_time(31.0)
    assert bench.write_dead_letters() == []
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 6}


@pytest.mark.parametrize("seconds", [0.0, 100.0])
def test_quiet_that_is_asked_for_is_kept(seconds: float) -> None:
    """`Retry-After` beside results per event counts as it does beside any other answer."""
    bench = fed(2, batch_events=2)
    (call,) = bench.start()
    bench.answer(call, results("transient", "transient")._replace(retry_after="90"))
    bench.pass_time(60.0)
    assert bench.start() == []
    bench.pass_time(seconds)
    assert len(bench.start()) == (1 if seconds else 0)


def test_a_later_wish_for_less_quiet_takes_back_none() -> None:
    """Two calls are out; one is told to come back in two minutes, then the other at once: nothing goes for two minutes."""
    bench = fed(3, batch_events=1)
    first, second, third = bench.start()
    bench.answer(first, reply(429)._replace(retry_after="120"))
    bench.answer(second, reply(503)._replace(retry_after="1"))
    bench.answer(third, reply(429))
    bench.pass_time(119.9)
    assert bench.start() == []
    bench.pass_time(0.1)
    assert len(bench.start()) > 0


def test_events_per_second_are_kept_to_and_waited_for() -> None:
    """A second's events go at once, then one after the other at that rate; `wake_at` says when, and why nothing goes."""
    bench = fed(40, batch_events=1, rate_limit=10.0)
    assert len(bench.start()) == 10
    bench.collect()
    times: list[float] = []
    while len(times) < 10:
        at = bench.delivery.wake_at(bench.now)
        assert at is not None
        assert bench.delivery.calls.closed is not None
        assert bench.delivery.calls.closed.reason == "rate_limit"
        bench.now = at
        for call in bench.start():
            times.append(bench.now - 100.0)
            bench.accept(call)
        bench.collect()
    assert times == pytest.approx([0.0 + each / 10 for each in range(10)], abs=0.01)


def test_no_more_calls_are_out_than_the_limit() -> None:
    """As many as the policy begins with; the next goes when one was answered."""
    bench = fed(10, batch_events=1, initial_in_flight=3, max_in_flight=3)
    calls = bench.start()
    assert len(calls) == 3
    assert bench.start() == []
    assert bench.delivery.calls.closed == Closed("in_flight", None)
    bench.accept(calls[0])
    assert len(bench.start()) == 1


@pytest.mark.parametrize(
    ("between", "held"),
    [(results("ok"), False), (reply(500), True), (refused(400), True)],
)
def test_only_a_2xx_that_can_be_read_ends_a_row_of_those_that_cannot(between: Reply, held: bool) -> None:
    """An error in between says nothing of them: with ten in all everything is held, unless one of them was read."""
    bench = fed(20, batch_events=1, initial_in_flight=20)
    first, *others = bench.start()
    statuses = [200, 299, 204, 207, 201, 200, 200, 200, 200, 200]
    for number, call in enumerate(others[:10]):
        assert not bench.delivery.holds.everything()
        if number == 1:
            bench.answer(first, between)
        bench.answer(call, reply(statuses[number], b"<html></html>"))
    assert (Reason.UNREADABLE in bench.delivery.holds.on(None)) is held


def _waited(bench: Bench, seconds: float) -> dict[str, float]:
    """What is counted over so many seconds, in which somebody looks each second and nothing goes out."""
    assert bench.start() == []
    before = dict(bench.delivery.counters.waited)
    for _ in range(int(seconds)):
        bench.pass_time(1.0)
        bench.delivery.starts(bench.now, bench.now_ms)
    waited = bench.delivery.counters.waited
    return {
        reason: waited[reason] - before.get(reason, 0.0) for reason in waited if waited[reason] != before.get(reason)
    }


LONG = {"backoff": Backoff(1_000.0, 1_000.0)}


@pytest.mark.parametrize(
    ("answered", "policy", "waited"),
    [
        (reply(429)._replace(retry_after="60"), {}, {"retry_after": 4.0}),
        (reply(401), {}, {"hold": 4.0}),
        (reply(503), LONG | {"breaker_failures": 1}, {"breaker": 4.0}),
        (reply(503), LONG, {"backoff": 4.0}),
        (None, {}, {}),
    ],
)
def test_how_long_nothing_could_go_out_is_counted_by_why(
    answered: Reply | None, policy: dict[str, object], waited: dict[str, float]
) -> None:
    """Seconds in which something waits to be sent; a full house of calls, and nothing to send, are no waiting."""
    bench = fed(1 if answered is not None else 2, batch_events=1, initial_in_flight=1, max_in_flight=1, **policy)
    (call,) = bench.start()
    if answered is None:
        assert _waited(bench, 4.0) == {}
        bench.accept(call)
        bench.settle()
    else:
        bench.answer(call, answered)
    assert _waited(bench, 4.0) == waited


def test_what_is_due_and_has_no_retry_left_waits_for_the_budget() -> None:
    """It is told apart from a back-off; what somebody paused waits for nothing."""
    bench = fed(1, retry_floor=0.001, retry_share=0.0, backoff=Backoff(0.0, 0.0))
    (call,) = bench.start()
    for _ in range(11):
        bench.delivery.admission.budget.retried(bench.now)
    bench.answer(call, reply(503))
    assert _waited(bench, 4.0) == {"budget": 4.0}
    assert bench.delivery.calls.next_at(bench.now) == pytest.approx(100.0 + 1_000.0, abs=0.01)
    bench.say(0, paused=True)
    bench.delivery.admission.budget.tokens.add(5.0, bench.now)
    assert _waited(bench, 4.0) == {}


def test_a_retry_goes_when_it_is_due_and_the_budget_has_one() -> None:
    """Not a moment before; with nothing left in the budget it waits, and a first attempt goes all the same."""
    bench = fed(2, batch_events=1, retry_share=0.0, retry_floor=1.0, initial_in_flight=1, max_in_flight=1)
    (call,) = bench.start()
    bench.answer(call, reply(503))
    (again,) = bench.start()
    assert again.offsets == [1]
    at = bench.delivery.calls.resting[0][0]
    bench.accept(again)
    bench.now = at - 0.01
    assert bench.start() == []
    bench.collect()
    assert bench.delivery.wake_at(bench.now) == at
    for _ in range(10):
        bench.delivery.admission.budget.retried(at)
    bench.now = at
    assert bench.start() == []
    wake = bench.delivery.wake_at(bench.now)
    assert wake is not None
    assert at < wake < at + 0.01
    bench.now = wake
    assert [call.offsets for call in bench.start()] == [[0]]


def test_the_circuit_is_told_when_it_opens_and_when_it_closes() -> None:
    """Once each, with what failed; the metric of a call counts its status, or what ended it without one."""
    bench = fed(6, batch_events=1, breaker_failures=3, initial_in_flight=4)
    for call, answered in zip(bench.start(), [503, 503, 503, 503], strict=True):
        bench.answer(call, reply(answered))
    bench.pass_time(60.0)
    (probe,) = bench.start()
    bench.answer(probe, reply(0, error="timeout"))
    bench.pass_time(60.0)
    (probe,) = bench.start()
    bench.accept(probe)
    told = [entry for entry in bench.delivery.journal.take() if entry.event.startswith("circuit")]
    assert [(entry.event, entry.facts.get("failures")) for entry in told] == [
        ("circuit_opened", 3),
        ("circuit_closed", None),
    ]
    assert bench.delivery.counters.requests == {"503": 4, "timeout": 1, "207": 1}
    assert bench.delivery.counters.retries == {"transient": 5}


@pytest.mark.parametrize("status", [200, 299, 0])
def test_an_answer_that_cannot_be_read_is_counted_and_told_where_it_claims_success(status: int) -> None:
    """What is no HTTP claims nothing: its retry is told, as of any other trouble."""
    bench = fed(1)
    (call,) = bench.start()
    bench.answer(call, reply(status, b"<html></html>", error=None if status else "protocol"))
    assert bench.delivery.counters.unknown_answers == bool(status)
    told = [entry.event for entry in bench.delivery.journal.take()]
    assert ("answer_unknown" in told) is bool(status)


def test_the_limit_grows_where_all_calls_were_out() -> None:
    """The call that is answered counts among them."""
    bench = fed(20, batch_events=1, initial_in_flight=4, max_in_flight=8)
    calls = bench.start()
    bench.accept(calls[0])
    bench.accept(calls[1])
    bench.accept(calls[2])
    assert bench.delivery.admission.limit.value == 5


def test_how_late_events_are_is_taken_from_the_first_and_the_last_of_a_call() -> None:
    """Half of a call each, the first has the odd one; a record without a time, or of the future, is not late."""
    bench = Bench(Policy(linger=0.0, ordering="none"))
    bench.assign()
    now = bench.now_ms
    stamps = [now - 4_000, now, now, now - 2_000]
    bench.feed([PlainRecord(TOPIC, 0, offset, b"e", timestamp=at) for offset, at in enumerate(stamps)])
    bench.pass_time(0.5)
    (call,) = bench.start()
    bench.accept(call)
    latency, processing = bench.delivery.counters.latency, bench.delivery.counters.processing
    assert (latency.total, sum(latency.counts)) == (2 * 4.5 + 2 * 2.5, 4)
    assert (processing.total, sum(processing.counts)) == (4 * 0.5, 4)
    assert bench.delivery.counters.call_records.total == 4
    assert bench.delivery.counters.body_bytes == len(call.body)
    for offset, at, total in ((4, -1, 14.0), (5, bench.now_ms + 9_000, 14.0), (6, 0, 14.0 + bench.now_ms / 1_000)):
        bench.feed([PlainRecord(TOPIC, 0, offset, b"e", timestamp=at)])
        (call,) = bench.start()
        bench.accept(call)
        assert latency.total == total
    assert sum(latency.counts) == 4 + 2


def test_in_an_outage_one_batch_is_filled_and_nothing_wakes_before_its_answer() -> None:
    """The probe of an open circuit is out: what waits stays raw, and only an answer changes anything."""
    bench = fed(1, batch_events=1, breaker_failures=1, backoff=Backoff(0.0, 0.0))
    (call,) = bench.start()
    bench.answer(call, reply(503))
    bench.feed([record(offset) for offset in range(1, 6)])
    bench.now = bench.delivery.admission.breaker.probe_at
    assert len(bench.start()) == 1
    assert len(bench.part().lanes.unsent) == 4
    bench.collect()
    assert bench.delivery.wake_at(bench.now) is None


def test_while_everything_is_held_the_hold_alone_says_when_to_probe() -> None:
    """An open circuit that would wait for longer does not keep the probe back."""
    bench = fed(2, batch_events=1, breaker_failures=1, probe_interval=1.0)
    first, second = bench.start()
    bench.answer(first, reply(503))
    bench.answer(second, refused(401))
    assert bench.delivery.admission.breaker.probe_at > bench.now + 4.0
    assert bench.start() == []
    bench.pass_time(1.0)
    assert len(bench.start()) == 1


def test_a_hold_that_begins_before_the_first_call_is_probed() -> None:
    """Whatever found that the set-up is wrong."""
    bench = fed(1)
    bench.delivery.admission.hold_setup("the secret is unreadable", bench.now, bench.now_ms)
    assert bench.start() == []
    bench.pass_time(30.0)
    assert len(bench.start()) == 1


def test_a_retry_that_is_accepted_costs_nothing() -> None:
    """The budget has as many left as before it."""
    bench = fed(1, retry_share=0.0, retry_floor=0.0001)
    budget, left = bench.delivery.admission.budget, 0
    for _ in range(5):
        budget.retried(bench.now)
    (call,) = bench.start()
    bench.answer(call, reply(503))
    bench.pass_time(60.0)
    (again,) = bench.start()
    bench.accept(again)
    while budget.wait(bench.now) <= 0:
        budget.retried(bench.now)
        left += 1
    assert left == 6, "five, and what a minute brings"
