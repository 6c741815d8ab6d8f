"""Dead letters: acknowledged before the record is finished, gated by the brake, written again when they fail."""

from __future__ import annotations

import time
from math import nextafter

import pytest

from bridge.delivery import operate
from bridge.delivery.admission import Reason
from bridge.delivery.dead_letter_headers import Rejected
from bridge.delivery.policy import BrakeLimits, Policy
from bridge.flow import DeadLetter, DeadLetterWritten, Drained, Outcome, Stage
from tests.delivery.bench import TOPIC, Bench, dead_offsets, record, refused, reply, results
from tests.delivery.words import WordRules

SCOPE = (TOPIC, 0)


def letters(bench: Bench) -> list[DeadLetter]:
    return [order for order in bench.collect() if isinstance(order, DeadLetter)]


def test_a_record_is_finished_only_when_its_dead_letter_is_acknowledged() -> None:
    """Before the acknowledgement the watermark does not pass it."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, b"d"), record(1)])
    (call,) = bench.start()
    bench.accept(call)
    (letter,) = letters(bench)
    assert bench.part().ledger.watermark == 0
    bench.take(DeadLetterWritten(letter.ticket + 1, None))
    assert bench.part().ledger.watermark == 0
    for _ in ("acknowledged", "again, which says nothing new"):
        bench.take(DeadLetterWritten(letter.ticket, None))
        assert bench.part().ledger.watermark == 2
        assert bench.outcomes() == {Outcome.DELIVERED: 1, Outcome.DEAD_LETTERED: 1}
    assert bench.delivery.counters.topic(TOPIC).dead_letters == {"mapping": 1}
    assert bench.delivery.counters.events == {("words", "said", "accepted"): 1}


def test_a_failed_write_holds_the_partition_and_is_tried_again() -> None:
    """An unwritable topic holds its partition, alone; the same letter is written again and heals the hold."""
    bench = Bench()
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, b"d"), record(1, b"d")])
    bench.start()
    bench.write_dead_letters("unwritable")
    assert Reason.DEAD_LETTER_TOPIC in bench.delivery.holds.on(SCOPE)
    assert not bench.delivery.holds.on((TOPIC, 1))
    bench.feed([record(2)])
    assert bench.start() == []
    bench.pass_time(31.0)
    bench.start()
    again = bench.write_dead_letters()
    assert dead_offsets(again) == [0, 1]
    bench.settle()
    assert not bench.delivery.holds.on(SCOPE)
    assert bench.outcomes()[Outcome.DEAD_LETTERED] == 2
    assert bench.outcomes()[Outcome.DELIVERED] == 1


def _acknowledging(count: int, *, failed_before: bool) -> float:
    """CPU seconds of the delivery thread for so many acknowledgements at once."""
    bench = Bench(Policy(linger=0.0, span=1 << 30, brake=BrakeLimits(row=1 << 30, ratio=2.0)))
    bench.assign()
    bench.feed([record(offset, b"d") for offset in range(count)])
    while bench.delivery.batcher.has_more() or bench.part().lanes.unsent:
        bench.start()
    if failed_before:
        bench.write_dead_letters("unwritable")
        bench.pass_time(60.0)
        bench.start()
    written = [DeadLetterWritten(letter.ticket, None) for letter in [*bench.letters, *letters(bench)]]
    assert len(written) == count
    begun = time.thread_time()
    bench.take(*written)
    took = time.thread_time() - begun
    assert bench.outcomes() == {Outcome.DEAD_LETTERED: count}
    assert not bench.delivery.holds.on(SCOPE)
    return took


@pytest.mark.parametrize("failed_before", [False, True], ids=["at first", "after they failed"])
def test_an_acknowledgement_costs_the_same_however_many_there_are(*, failed_before: bool) -> None:
    """8,000 at once take 8 times as long as 1,000 (some 40 ms), not 64 times (seconds), also where all had failed before."""
    few = min(_acknowledging(1_000, failed_before=failed_before) for _ in range(3))
    many = min(_acknowledging(8_000, failed_before=failed_before) for _ in range(3))
    assert many < 24 * few
    assert many < 0.4


NEVER_BRAKED = BrakeLimits(row=10_000, ratio=1.0)


def fail(bench: Bench, *letters_of: DeadLetter) -> None:
    bench.take(*[DeadLetterWritten(letter.ticket, "down") for letter in letters_of])


def test_a_write_that_failed_is_told_each_time_and_made_again_when_it_is_due() -> None:
    """Not before its time, and then once; the line says how often it failed by now."""
    bench = Bench()
    bench.assign(2)
    bench.feed([record(7, b"d", partition=2)])
    bench.start()
    bench.write_dead_letters("down")
    for failures in (1, 2, 3):
        (line,) = (each for each in bench.delivery.journal.take() if each.event == "dead_letter_failed")
        told = {"failures": failures, "message": "down", "topic": TOPIC, "partition": 2, "offset": 7}
        assert (line.level, line.facts) == ("error", told)
        assert bench.delivery.counters.dead_letter_failures == failures
        due = bench.delivery.dead_letters.next_at()
        assert due is not None
        bench.now = nextafter(due, 0.0)
        bench.start()
        assert bench.write_dead_letters() == []
        bench.now = due
        bench.start()
        assert dead_offsets(bench.write_dead_letters("down")) == [7]
    assert bench.outcomes() == {}


def test_writes_that_fail_are_spread_over_a_second_and_over_half_a_minute_in_the_end() -> None:
    """A topic that cannot be written is not asked by all letters at once, nor for ever longer apart."""
    bench = Bench(Policy(linger=0.0, brake=NEVER_BRAKED))
    bench.assign()
    bench.feed([record(offset, b"d") for offset in range(300)])
    bench.start()
    for most in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        bench.write_dead_letters("down")
        waits = [entry[0] - bench.now for entry in bench.delivery.dead_letters.failed]
        assert len(waits) == 300
        assert 0.0 <= min(waits) < 0.1 * most
        assert 0.9 * most < max(waits) <= most
        bench.pass_time(most)
        bench.start()


def test_a_hold_is_lifted_when_nothing_of_its_partition_fails_any_more() -> None:
    """One letter that is written heals nothing while another is not, or is on its way again; other partitions do not count."""
    bench = Bench()
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, b"d"), record(1, b"d"), record(2, b"d")])
    bench.feed([record(0, b"d", partition=1)])
    bench.start()
    bench.write_dead_letters("down")
    bench.pass_time(31.0)
    bench.start()
    zeroth, first, second, other = sorted(
        bench.letters + letters(bench), key=lambda each: (each.record.partition(), each.record.offset())
    )
    bench.letters = []
    bench.take(DeadLetterWritten(zeroth.ticket, None))
    assert Reason.DEAD_LETTER_TOPIC in bench.delivery.holds.on(SCOPE), "two are on their way, and have failed before"
    fail(bench, second, other)
    bench.take(DeadLetterWritten(first.ticket, None))
    assert Reason.DEAD_LETTER_TOPIC in bench.delivery.holds.on(SCOPE), "one waits to be written again"
    bench.pass_time(31.0)
    bench.start()
    again = {each.record.partition(): each for each in bench.letters + letters(bench)}
    bench.letters = []
    bench.take(DeadLetterWritten(again[0].ticket, None))
    assert not bench.delivery.holds.on(SCOPE)
    assert Reason.DEAD_LETTER_TOPIC in bench.delivery.holds.on((TOPIC, 1))


def test_letters_that_could_not_be_written_go_with_their_partition_alone() -> None:
    """The next owner decides anew on what was lost; the others' are written again."""
    bench = Bench()
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, b"d")])
    bench.feed([record(5, b"d", partition=1)])
    bench.start()
    bench.write_dead_letters("down")
    bench.lose(0)
    bench.pass_time(31.0)
    bench.start()
    assert dead_offsets(bench.write_dead_letters()) == [5]
    assert bench.outcomes()[Outcome.DEAD_LETTERED] == 1


def test_a_skip_of_a_record_whose_letter_fails_leaves_the_others_to_be_written() -> None:
    """The record's own letter is made anew, and fails for the first time; those beside it and in other partitions stay."""
    bench = Bench()
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, b"d"), record(1, b"d")])
    bench.feed([record(5, b"d", partition=1)])
    bench.start()
    bench.write_dead_letters("down")
    bench.delivery.journal.take()
    operate.skip(bench.delivery, SCOPE, 0, "the shop knows", bench.now_ms)
    assert dead_offsets(bench.write_dead_letters("down")) == [0]
    lines = bench.delivery.journal.take()
    assert [each.facts["failures"] for each in lines if each.event == "dead_letter_failed"] == [1]
    bench.pass_time(31.0)
    bench.start()
    assert sorted(dead_offsets(bench.write_dead_letters())) == [0, 1, 5]
    assert not bench.delivery.holds.on(SCOPE), "nothing of it is troubled any more"


def test_a_letter_that_was_kept_back_fails_for_the_first_time_after_the_resume() -> None:
    """The line counts writes of the letter, and it was never written before."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=1)))
    bench.assign()
    bench.feed([record(0, b"d")])
    bench.start()
    operate.resume(bench.delivery, SCOPE)
    bench.write_dead_letters("down")
    (line,) = (each for each in bench.delivery.journal.take() if each.event == "dead_letter_failed")
    assert line.facts["failures"] == 1


def test_a_drain_tells_what_was_refused_of_its_own_partition() -> None:
    """Events that the brake keeps back were handed over: the next owner takes them for attempted, and nothing beyond."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=1)))
    for partition in (0, 1):
        bench.assign(partition)
        bench.feed([record(offset + 10 * partition, partition=partition) for offset in range(4)])
    (call,) = bench.start()
    bench.answer(call, results(*["invalid"] * 8))
    bench.revoke(0, 1)
    bench.pass_time(11.0)
    bench.collect()
    drained = {order.progress.partition: order.handed for order in bench.orders if isinstance(order, Drained)}
    assert drained == {0: 3, 1: 13}


def test_what_the_brake_kept_back_is_let_go_partition_by_partition() -> None:
    """Of one rule's records in three: resuming one writes its own, a skip shows its next, a loss forgets its own."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)))
    for partition in (0, 1, 2):
        bench.assign(partition)
        bench.feed([record(offset + 10 * partition, partition=partition) for offset in range(4)])
    (call,) = bench.start()
    bench.answer(call, results(*["invalid"] * 12))
    assert dead_offsets(bench.write_dead_letters()) == [0, 1]
    operate.skip(bench.delivery, (TOPIC, 1), 10, "the shop knows", bench.now_ms)
    assert dead_offsets(bench.write_dead_letters()) == [10]
    assert bench.delivery.holds.on((TOPIC, 1))[Reason.BRAKE].offset == 11
    bench.lose(2)
    operate.resume(bench.delivery, SCOPE)
    assert dead_offsets(bench.write_dead_letters()) == [2, 3]
    assert bench.delivery.holds.on((TOPIC, 1))[Reason.BRAKE].offset == 11
    operate.resume(bench.delivery, (TOPIC, 1))
    assert dead_offsets(bench.write_dead_letters()) == [11, 12, 13]
    assert bench.outcomes()[Outcome.DEAD_LETTERED] == 8


def test_what_is_refused_after_its_partition_went_is_counted_and_not_written() -> None:
    """The answer comes too late: the next owner sends the event again, and decides."""
    bench = Bench()
    bench.assign(0)
    bench.feed([record(0)])
    bench.start()
    part = bench.part()
    bench.lose(0)
    refused = Rejected(part, bench.fed[0], "words", Stage.DELIVER, "invalid", "422", "no")
    before = bench.delivery.counters.late_results
    bench.delivery.dead_letters.refuse(refused, bench.now_ms)
    assert bench.delivery.counters.late_results == before + 1
    bench.delivery.dead_letters.write(refused)
    assert letters(bench) == []


def test_one_event_of_several_is_refused() -> None:
    """The refused event is dead-lettered with its key, the others are delivered; the record has the worst outcome."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, b"e ex e")])
    (call,) = bench.start()
    bench.answer(call, results("ok", "invalid", "ok"))
    (letter,) = bench.write_dead_letters()
    headers = dict(letter.headers)
    assert headers["bridge.idempotency_key"].decode() == call.events[1]["$idempotency_key"]
    assert headers["bridge.class"] == b"invalid"
    assert headers["bridge.code"] == b"422"
    assert headers["bridge.source.offset"] == b"0"
    assert bench.outcomes() == {Outcome.DEAD_LETTERED: 1}
    assert bench.delivery.counters.events["words", "said", "refused"] == 1


def test_the_brake_gates_the_write() -> None:
    """After too many refusals in a row nothing more is dead-lettered; the rest waits, unread."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=10)))
    bench.assign()
    bench.feed([record(offset, b"d") for offset in range(500)])
    bench.start()
    assert dead_offsets(bench.write_dead_letters()) == list(range(9))
    assert Reason.BRAKE in bench.delivery.holds.on(SCOPE)
    assert bench.part().ledger.watermark == 9
    assert bench.in_work() <= 1


def test_an_api_that_refuses_everything_is_braked() -> None:
    """At most 200 dead letters come of an API that calls everything invalid."""
    bench = Bench(Policy(linger=0.0, batch_events=100))
    bench.assign()
    written = 0
    for round_ in range(20):
        bench.feed([record(round_ * 100 + offset) for offset in range(100)])
        for call in bench.start():
            bench.answer(call, results(*["invalid"] * len(call.events)))
        written += len(bench.write_dead_letters())
        bench.pass_time(1.0)
    assert 0 < written <= 200


def test_mended_rules_map_again_what_the_brake_kept_back() -> None:
    """After a reload with better rules what was kept back is delivered, each record once."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)))
    bench.assign()
    bench.feed([record(offset, b"d" if offset % 2 else b"d e d", key=b"k") for offset in range(6)])
    bench.start()
    written = len(bench.write_dead_letters())
    operate.reload(bench.delivery, WordRules(2, mended=True))
    bench.settle()
    bench.conserved()
    assert written <= 2
    assert bench.progress().watermark == 6
    assert sum(n for outcome, n in bench.outcomes().items() if outcome is not Outcome.RELEASED) == 6


def test_a_resume_writes_what_the_brake_kept_back() -> None:
    """An operator who lets it go on gets the dead letters, and counting begins anew."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)))
    bench.assign()
    bench.feed([record(offset, b"d") for offset in range(4)])
    bench.start()
    assert dead_offsets(bench.write_dead_letters()) == [0, 1]
    assert operate.resume(bench.delivery, SCOPE) == [Reason.BRAKE]
    bench.settle()
    assert bench.outcomes()[Outcome.DEAD_LETTERED] == 4


def test_a_fenced_partition_writes_no_dead_letter() -> None:
    """What is decided after the partition is gone is the next owner's to decide."""
    bench = Bench(Policy(linger=0.0, stuck_attempts=1, stuck_seconds=0.0))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.lose(0)
    bench.feed([record(0, partition=1)])
    (other,) = bench.start()
    bench.accept(other)
    bench.answer(call, results("transient"))
    assert letters(bench) == []


def test_a_skip_goes_from_one_record_that_the_brake_kept_back_to_the_next() -> None:
    """Who skips the record that the brake holds is shown the next one; none of them is forgotten."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)))
    bench.assign()
    bench.feed([record(offset) for offset in range(6)])
    (call,) = bench.start()
    bench.answer(call, results(*["invalid"] * 6))
    assert dead_offsets(bench.write_dead_letters()) == [0, 1]
    for offset in (2, 3, 4, 5):
        assert bench.delivery.holds.on(SCOPE)[Reason.BRAKE].offset == offset
        operate.skip(bench.delivery, SCOPE, offset, "the shop knows", bench.now_ms)
        (letter,) = bench.write_dead_letters()
        assert dict(letter.headers)["bridge.class"] == b"skipped_by_operator"
    assert not bench.delivery.holds.on(SCOPE)
    bench.settle()
    assert bench.outcomes() == {Outcome.DEAD_LETTERED: 6}


@pytest.mark.parametrize(("before", "attempts"), [(0, b"1"), (2, b"2")])
def test_a_letter_says_how_often_its_event_may_have_been_applied(before: int, attempts: bytes) -> None:
    """SuprSend's own refusal applied nothing; it is one attempt where it was the only one."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    for _ in range(before):
        (call,) = bench.start()
        bench.answer(call, reply(503))
        bench.pass_time(60.0)
    (call,) = bench.start()
    bench.answer(call, refused(400))
    (letter,) = bench.write_dead_letters()
    assert dict(letter.headers)["bridge.attempts"] == attempts
