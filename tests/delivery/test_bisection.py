"""A batch that is refused as a whole: exactly the culprits are dead-lettered, in few calls."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

from hypothesis import given, settings, strategies as st

from bridge.delivery.policy import BrakeLimits, Policy
from bridge.flow import DeadLetter, Outcome
from tests.delivery.bench import Bench, Call, dead_offsets, record, refused, results

NO_BRAKE = Policy(linger=0.0, brake=BrakeLimits(row=10**6, window=10**6))


def refuse_poison(bench: Bench) -> int:
    """Answer until nothing is in work: a call with a culprit in it is refused as a whole. Returns the number of calls."""
    calls = 0
    for _ in range(2_000):
        started = bench.start()
        calls += len(started)
        for call in started:
            poisoned = any(event["w"] == "ex" for event in call.events)
            bench.answer(call, refused() if poisoned else results(*["ok"] * len(call.events)))
        bench.write_dead_letters()
        if not bench.in_work():
            return calls
    raise AssertionError("it does not end")


@settings(max_examples=120, deadline=None)
@given(st.integers(2, 100).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=8))))
def test_exactly_the_culprits_are_dead_lettered_in_few_calls(batch: tuple[int, set[int]]) -> None:
    """k culprits in n cost at most 2k·⌈log₂ n⌉ extra calls, are dead-lettered, and nothing else is."""
    n, culprits = batch
    bench = Bench(NO_BRAKE)
    bench.assign()
    bench.feed([record(offset, b"ex" if offset in culprits else b"e") for offset in range(n)])
    calls = refuse_poison(bench)
    letters = [order for order in bench.orders if isinstance(order, DeadLetter)]
    assert sorted(dead_offsets(letters)) == sorted(culprits)
    assert calls - 1 <= 2 * len(culprits) * ceil(log2(n))
    assert bench.outcomes().get(Outcome.DELIVERED, 0) == n - len(culprits)
    bench.conserved()


def test_the_halves_go_one_after_the_other() -> None:
    """While a half is out, the other half and the lane's successors wait."""
    bench = Bench(NO_BRAKE)
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, key=b"a"), record(2, b"ex", key=b"b"), record(3, key=b"a")])
    (whole,) = bench.start()
    bench.feed([record(4, key=b"a"), record(5, key=b"c")])
    bench.answer(whole, refused())
    first, other = sorted(bench.start(), key=lambda call: call.offsets)
    assert (first.offsets, other.offsets) == ([0, 1], [5])
    bench.accept(first)
    (second,) = bench.start()
    assert second.offsets == [2, 3]
    bench.answer(second, refused())
    (poison,) = bench.start()
    assert poison.offsets == [2]
    bench.answer(poison, refused())
    (last,) = bench.start()
    assert last.offsets == [3]
    bench.accept(last)
    (after,) = bench.start()
    assert after.offsets == [4]


def test_a_status_of_a_proxy_is_not_bisected() -> None:
    """A page instead of SuprSend's error holds everything; nothing is dead-lettered."""
    bench = Bench(NO_BRAKE)
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.answer(call, refused()._replace(body=b"<html>Blocked</html>"))
    assert bench.write_dead_letters() == []
    assert bench.delivery.holds.everything()


def body_of(call: Call, offset: int) -> Any:
    return next(event for event in call.events if event["o"] == offset)


def test_the_bytes_of_an_event_stay_through_a_bisection() -> None:
    """An event has the same key and body alone as in the batch."""
    bench = Bench(NO_BRAKE)
    bench.assign()
    bench.feed([record(0), record(1, b"ex")])
    (whole,) = bench.start()
    bench.answer(whole, refused())
    (first,) = bench.start()
    assert body_of(first, 0) == body_of(whole, 0)
    assert first.body.strip(b"[]") in whole.body
