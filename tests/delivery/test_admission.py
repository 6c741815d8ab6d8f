"""What answers say of the API as a whole: when calls go on, slow down, or stop."""

from __future__ import annotations

import pytest

from bridge.delivery.policy import Policy
from bridge.flow import Outcome
from tests.delivery.bench import Bench, record, reply, results


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


def test_several_events_that_all_fail_together_slow_the_calls_down() -> None:
    """A whole batch of failed results may mean an overload behind the API: half as many calls side by side."""
    bench = fed(10, batch_events=5)
    first, _ = bench.start()
    bench.answer(first, results(*["transient"] * 5))
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
