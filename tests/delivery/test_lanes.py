"""Records through the core in any order of events: order per key, nothing lost, everything counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.delivery import operate
from bridge.delivery.policy import Backoff, BrakeLimits, Ordering, Policy
from bridge.flow import DeadLetter, DeadLetterWritten, Outcome
from tests.delivery.bench import Bench, Call, record, refused, reply, results
from tests.delivery.words import WordRules

WORDS = [b"e", b"e", b"e", b"e e", b"e e e", b"ex", b"d", b"s", b"", b"e d", b"h"]
KEYS = [b"a", b"b", None]


class CoreMachine(RuleBasedStateMachine):
    """One partition of one process, answered in every way; `sent` and `done` are kept from outside."""

    @initialize(
        ordering=st.sampled_from(["key", "partition", "none"]),
        strict=st.booleans(),
        batch=st.sampled_from([1, 2, 5]),
        linger=st.sampled_from([0.0, 1.5]),
    )
    def begin(self, ordering: Ordering, strict: bool, batch: int, linger: float) -> None:
        self.policy = Policy(
            ordering=ordering,
            strict_order=strict,
            linger=linger,
            batch_events=batch,
            backoff=Backoff(0.1, 1.0),
            retry_floor=100.0,
            breaker_failures=10**6,
            brake=BrakeLimits(row=10**6, window=10**6),
        )
        self.bench = Bench(self.policy)
        self.bench.assign()
        self.next = 0
        self.version = 1
        self.waiting: dict[bytes, list[tuple[int, int]]] = {}
        self.lane_of: dict[int, bytes | None] = {}
        self.letters: list[DeadLetter] = []

    @rule(values=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(KEYS)), min_size=1, max_size=6))
    def feed(self, values: list[tuple[bytes, bytes | None]]) -> None:
        run = []
        for value, key in values:
            run.append(record(self.next, value, key=key))
            lane = {"key": key, "partition": b"all", "none": None}[self.policy.ordering]
            self.lane_of[self.next] = lane
            if lane is not None:
                for item, word in enumerate(value.split()):
                    if word.startswith(b"e"):
                        self.waiting.setdefault(lane, []).append((self.next, item))
            self.next += 1
        self.bench.feed(run)

    @rule()
    def start(self) -> None:
        """Whatever starts has every earlier unanswered event of its lanes with it."""
        for call in self.bench.start():
            places = [(event["o"], event["i"]) for event in call.events]
            for offset, item in places:
                lane = self.lane_of[offset]
                if lane is not None:
                    earlier = [place for place in self.waiting[lane] if place < (offset, item)]
                    assert set(earlier) <= set(places), f"{places} before {earlier}"
                    if self.policy.strict_order:
                        assert len({o for o, _ in places if self.lane_of[o] == lane}) == 1

    def ended(self, offset: int, item: int) -> None:
        lane = self.lane_of[offset]
        if lane is not None:
            self.waiting[lane].remove((offset, item))

    @precondition(lambda self: self.bench.calls)
    @rule(data=st.data())
    def answer(self, data: Any) -> None:
        call: Call = data.draw(st.sampled_from(sorted(self.bench.calls.values(), key=lambda call: call.number)))
        kind = data.draw(st.sampled_from(["well", "well", "mixed", "failed", "whole", "wrong"]))
        poisoned = [event["w"] == "ex" for event in call.events]
        if kind == "failed":
            self.bench.answer(call, data.draw(st.sampled_from([reply(500), reply(0, error="timeout"), reply(429)])))
        elif kind == "wrong":
            self.bench.answer(call, results(*["ok"] * (len(call.events) + 1)))
        elif kind == "whole" and any(poisoned):
            self.bench.answer(call, refused())
            if len(call.events) == 1:
                self.ended(call.events[0]["o"], call.events[0]["i"])
        else:
            words = ["invalid" if bad else "ok" for bad in poisoned]
            if kind == "mixed":
                words = [data.draw(st.sampled_from([word, "transient"])) for word in words]
            for event, word in zip(call.events, words, strict=True):
                if word != "transient":
                    self.ended(event["o"], event["i"])
            self.bench.answer(call, results(*words))
        self.bench.pass_time(2.0)

    @rule(fails=st.booleans())
    def write_dead_letters(self, fails: bool) -> None:
        new = [order for order in self.bench.collect() if isinstance(order, DeadLetter)]
        self.bench.take(*[DeadLetterWritten(letter.ticket, "down" if fails else None) for letter in new])
        if not fails:
            self.letters += new
        self.bench.pass_time(1.0)

    @rule()
    def reload(self) -> None:
        self.version += 1
        operate.reload(self.bench.delivery, WordRules(self.version))

    @rule(seconds=st.sampled_from([0.01, 1.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        self.bench.pass_time(seconds)

    @invariant()
    def everything_is_counted(self) -> None:
        if hasattr(self, "bench"):
            self.bench.conserved()

    def teardown(self) -> None:
        """Once the rules are mended and all goes well, every record ends and the watermark is at the end."""
        if not hasattr(self, "bench"):
            return
        operate.reload(self.bench.delivery, WordRules(99, mended=True))
        for call in list(self.bench.calls.values()):
            self.bench.answer(call, reply(500))
        self.bench.settle(lambda event: "invalid" if event["w"] == "ex" else "ok")
        self.bench.conserved()
        finished = self.bench.outcomes()
        assert sum(n for outcome, n in finished.items() if outcome is not Outcome.RELEASED) == self.next
        if self.next:
            assert self.bench.progress().watermark == self.next


TestCore = CoreMachine.TestCase
TestCore.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("ordering", ["key", "partition"])
def test_a_failed_record_holds_only_its_own_lane(ordering: Ordering) -> None:
    """Successors of the same key wait for the retry; under `partition`, everybody does."""
    bench = Bench(Policy(linger=0.0, ordering=ordering, batch_events=1))
    bench.assign()
    bench.feed([record(0, key=b"a")])
    (first,) = bench.start()
    bench.feed([record(1, key=b"a"), record(2, key=b"b")])
    bench.answer(first, reply(503))
    started = [call.offsets for call in bench.start()]
    assert started == ([[2]] if ordering == "key" else [])


def test_records_of_one_lane_share_a_call_in_order() -> None:
    """Two records of a key may go in one call; with strict order they may not."""
    for strict, expected in ((False, [[0, 1]]), (True, [[0]])):
        bench = Bench(Policy(linger=0.0, strict_order=strict))
        bench.assign()
        bench.feed([record(0, key=b"a"), record(1, key=b"a")])
        assert [call.offsets for call in bench.start()] == expected


def test_records_of_one_partition_share_a_call_in_order() -> None:
    """Under `ordering: partition` what comes within the linger joins the call, in offset order, until it is full."""
    bench = Bench(Policy(linger=0.02, ordering="partition", batch_events=5))
    bench.assign()
    for offset in range(7):
        bench.feed([record(offset, key=b"%d" % offset)])
        assert [call.offsets for call in bench.start()] == ([[0, 1, 2, 3, 4]] if offset == 4 else [])
    bench.pass_time(1.0)
    assert bench.start() == [], "the lane's next call waits for the answer"
    bench.accept(*bench.calls.values())
    assert [call.offsets for call in bench.start()] == [[5, 6]], "they have waited long enough"


def test_strict_order_puts_one_record_of_a_partition_into_a_call() -> None:
    """Under `ordering: partition` with `strict_order` nothing joins, and nothing is taken before the answer."""
    bench = Bench(Policy(linger=0.02, ordering="partition", strict_order=True))
    bench.assign()
    bench.feed([record(0)])
    bench.start()
    bench.feed([record(1)])
    bench.pass_time(0.02)
    assert [call.offsets for call in bench.start()] == [[0]]
    bench.pass_time(1.0)
    assert bench.start() == []


def test_null_keys_carry_no_order() -> None:
    """Records without a key go out side by side."""
    bench = Bench(Policy(linger=0.0, batch_events=1))
    bench.assign()
    bench.feed([record(0), record(1), record(2)])
    assert len(bench.start()) == 3


def test_strict_order_lets_records_without_a_key_share_a_call() -> None:
    """No two of them are of one lane."""
    bench = Bench(Policy(linger=0.0, strict_order=True))
    bench.assign()
    bench.feed([record(0), record(1), record(2, key=b"a"), record(3), record(4, key=b"a")])
    assert [call.offsets for call in bench.start()] == [[0, 1, 2, 3]]


def test_a_refused_lane_mate_counts_as_a_break_of_order() -> None:
    """An earlier record failed, a later one of the same key was accepted in the same call: that is counted."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, key=b"a")])
    (call,) = bench.start()
    bench.answer(call, results("transient", "ok"))
    assert bench.delivery.counters.order_breaks == 1


def test_nothing_goes_out_before_its_bound_is_acknowledged() -> None:
    """Records wait for the commit that says they may have been handed over."""
    bench = Bench()
    bench.assign(send_limit=0)
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    assert call.offsets == [0]


def test_a_batch_is_filled_round_robin() -> None:
    """A partition with a backlog does not keep the others from a call."""
    bench = Bench(Policy(linger=0.0, batch_events=4, initial_in_flight=2))
    for partition in (0, 1):
        bench.assign(partition)
    bench.feed([record(offset) for offset in range(100)])
    bench.feed([record(0, partition=1)])
    calls = bench.start()
    assert any(event["p"] == 1 for call in calls for event in call.events)


def test_the_linger_sends_what_is_not_full() -> None:
    """A batch that is not full goes out when it is as old as the linger; `wake_at` says when."""
    bench = Bench(Policy(linger=0.02))
    bench.assign()
    bench.feed([record(0)])
    assert bench.start() == []
    bench.collect()
    at = bench.delivery.wake_at(bench.now)
    assert at is not None
    assert at - bench.now == pytest.approx(0.02)
    bench.now = at
    assert len(bench.start()) == 1


def test_a_body_keeps_to_its_bytes() -> None:
    """A call's body, brackets and commas included, is not over the limit; an event that does not fit goes next."""
    bench = Bench(Policy(linger=0.0, batch_bytes=400))
    bench.assign()
    bench.feed([record(offset) for offset in range(20)])
    calls = bench.start()
    assert len(calls) >= 5
    assert all(len(call.body) <= 400 for call in calls)
    assert sorted(offset for call in calls for offset in call.offsets) == list(range(20))
