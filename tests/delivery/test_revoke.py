"""A partition is taken away: drain, then fence; what comes later is not counted."""

from __future__ import annotations

import pytest

from bridge.delivery.admission import Reason
from bridge.delivery.policy import BrakeLimits, Policy
from bridge.flow import DeadLetter, DeadLetterWritten, Drained, Lost, Order, Outcome, Start
from tests.delivery.bench import TOPIC, Bench, record, reply, results


def drained(orders: list[Order]) -> list[Drained]:
    return [order for order in orders if isinstance(order, Drained)]


def test_a_drain_waits_for_what_was_handed_over() -> None:
    """`Drained` comes when the last call of the partition was answered, and says what may be committed."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.revoke(0)
    assert drained(bench.collect()) == []
    bench.accept(call)
    (done,) = drained(bench.collect())
    assert (done.progress.watermark, done.handed) == (2, 1)
    assert bench.delivery.parts == {}
    bench.conserved()


def test_what_is_above_the_highest_handed_over_is_released() -> None:
    """Unsent records above the highest that was handed over are not sent; those below are, without linger."""
    bench = Bench(Policy(linger=60.0, batch_events=2, initial_in_flight=1))
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, key=b"b"), record(2, key=b"a"), record(3, key=b"c")])
    (call,) = bench.start()
    bench.revoke(0)
    bench.accept(call)
    bench.start()
    (done,) = drained(bench.collect())
    assert done.progress.watermark == 2
    assert bench.outcomes() == {Outcome.DELIVERED: 2, Outcome.RELEASED: 2}


def test_unsent_below_the_highest_handed_over_is_sent() -> None:
    """What waits for its lane below the highest handed-over offset still goes out, so that no gap is left."""
    bench = Bench(Policy(linger=60.0, batch_events=1))
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, key=b"a"), record(2, key=b"b")])
    first, third = bench.start()
    assert (first.offsets, third.offsets) == ([0], [2])
    bench.revoke(0)
    bench.accept(third)
    assert drained(bench.collect()) == []
    bench.accept(first)
    (second,) = bench.start()
    assert second.offsets == [1]
    bench.accept(second)
    (done,) = drained(bench.collect())
    assert done.progress.watermark == 3


@pytest.mark.parametrize("letter", ["on its way", "failed", "kept back by the brake"])
def test_unsent_below_a_refused_record_is_sent(letter: str) -> None:
    """A refused record counts as handed over, whatever became of its dead letter: what is below it goes out."""
    row = 1 if "brake" in letter else 50
    bench = Bench(Policy(linger=60.0, batch_events=1, brake=BrakeLimits(row=row)))
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, key=b"a"), record(2, key=b"b"), record(3, key=b"a")])
    first, refused = bench.start()
    bench.answer(refused, results("invalid"))
    if letter == "failed":
        bench.write_dead_letters("down")
        bench.delivery.holds.lift((TOPIC, 0), Reason.DEAD_LETTER_TOPIC)
    bench.delivery.holds.lift((TOPIC, 0), Reason.BRAKE)
    bench.revoke(0)
    bench.accept(first)
    assert [call.offsets for call in bench.start()] == [[1]]
    bench.accept(*bench.calls.values())
    bench.pass_time(5.0)
    bench.start()
    bench.write_dead_letters()
    bench.collect()
    (done,) = drained(bench.orders)
    assert (done.progress.watermark, done.handed) == ((2, 2) if row == 1 else (3, 2))


def test_the_deadline_ends_a_drain() -> None:
    """At its deadline a drain ends with what is finished; the answer that comes later is counted and dropped."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.revoke(0, within=10.0)
    bench.collect()
    assert bench.delivery.wake_at(bench.now) == bench.now + 10.0
    bench.pass_time(10.0)
    (done,) = drained(bench.collect())
    assert (done.progress.watermark, done.handed) == (0, 1)
    bench.accept(call)
    assert bench.delivery.counters.late_results == 2
    assert bench.outcomes() == {Outcome.RELEASED: 2}
    bench.conserved()


def test_a_drain_does_not_wait_for_an_outage() -> None:
    """While the breaker is open nothing more can be sent: the drain ends at once."""
    bench = Bench(Policy(linger=0.0, batch_events=1, breaker_failures=2))
    bench.assign()
    bench.feed([record(0), record(1)])
    for call in bench.start():
        bench.answer(call, reply(503))
    bench.revoke(0)
    bench.start()
    (done,) = drained(bench.collect())
    assert done.progress.watermark == 0


def test_a_drain_does_not_wait_for_a_hold() -> None:
    """What a hold keeps back can only be released."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1, b"h"), record(2)])
    (call,) = bench.start()
    bench.accept(call)
    bench.revoke(0)
    assert len(drained(bench.collect())) == 1


def test_a_drain_waits_for_dead_letters_on_their_way() -> None:
    """A dead letter that is with the producer is waited for, then its record counts as finished."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, b"d")])
    bench.start()
    bench.revoke(0)
    assert drained(bench.orders + bench.collect()) == []
    (ticket,) = [order.ticket for order in bench.orders if isinstance(order, DeadLetter)]
    bench.take(DeadLetterWritten(ticket, None))
    (done,) = drained(bench.collect())
    assert done.progress.watermark == 1


def test_results_after_a_loss_are_fenced() -> None:
    """A lost partition counts nothing any more; its next assignment is not touched by late answers."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.lose(0)
    bench.assign(epoch=2)
    bench.feed([record(0)], epoch=2)
    bench.accept(call)
    assert bench.in_work() == 1
    assert bench.part().ledger.watermark == 0
    bench.conserved()


def test_records_of_an_earlier_epoch_are_dropped() -> None:
    """What was read for an earlier assignment is not taken in."""
    bench = Bench()
    bench.assign(epoch=2)
    bench.feed([record(0)], epoch=1)
    assert bench.in_work() == 0
    bench.conserved()


def test_a_loss_in_the_middle_of_a_drain() -> None:
    """The partition is lost, or assigned again, while it drains: the drain is over, the new assignment lives."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    bench.start()
    bench.revoke(0)
    bench.take(Lost(((TOPIC, 0),)))
    assert drained(bench.collect()) == []
    bench.assign(epoch=2)
    bench.collect()
    assert bench.part().epoch == 2
    bench.revoke(0)
    bench.assign(epoch=3)
    bench.collect()
    assert bench.part().epoch == 3


def test_a_clean_handover_keeps_the_bound_of_the_earlier_owner() -> None:
    """What an earlier owner may have handed over counts as handed over still, though it did not come up here."""
    bench = Bench()
    bench.assign(start=Start(5, send_limit=40, send_limit_at=1))
    bench.revoke(0)
    (done,) = drained(bench.collect())
    assert done.handed == 40


def test_a_record_that_is_half_delivered_counts_as_handed_over() -> None:
    """One of its events was accepted: the next owner has to know that the record may be a repeat."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=1))
    bench.assign()
    bench.feed([record(0, b"e e", key=b"a"), record(1, key=b"b")])
    (first,) = bench.start()
    bench.accept(first)
    bench.revoke(0, within=1.0)
    bench.pass_time(1.0)
    (done,) = drained(bench.collect())
    assert (done.progress.watermark, done.handed) == (0, 0)


@pytest.mark.parametrize(("room", "handed"), [(3, 0), (2, 1)])
def test_finished_above_the_watermark_goes_with_the_drain(room: int, handed: int) -> None:
    """The drain's progress carries it; where the commit has no room for all of it, it counts as handed over."""
    bench = Bench(Policy(linger=0.0, batch_events=1, metadata_bytes=room))
    bench.assign()
    bench.feed([record(0), record(1)])
    first, second = bench.start()
    bench.accept(second)
    bench.answer(first, results("transient"))
    bench.revoke(0, within=1.0)
    bench.pass_time(1.0)
    (done,) = drained(bench.collect())
    assert (done.progress.watermark, done.progress.delivered, done.progress.finished) == (0, 1, "1,1")
    assert done.handed == handed


def test_an_emptied_flight_is_no_call() -> None:
    """A full batch whose records were all released is not sent as an empty call."""
    bench = Bench(Policy(linger=0.0, batch_events=2, initial_in_flight=1))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0), record(1)])
    (first,) = bench.start()
    bench.feed([record(0, partition=1), record(1, partition=1)])
    bench.delivery.batcher.fill(1, bench.now, bench.now_ms)
    bench.revoke(1)
    bench.accept(first)
    assert bench.start() == []
    bench.conserved()


@pytest.mark.parametrize(("seconds", "ends"), [("1", False), ("2", True)])
def test_a_drain_does_not_wait_for_a_quiet_of_more_than_a_second(seconds: str, ends: bool) -> None:
    """What SuprSend asked for silences a process that has to go: it waits no longer than for a moment."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, reply(429)._replace(retry_after=seconds))
    bench.revoke(0)
    bench.start()
    assert bool(drained(bench.collect())) is ends


def test_a_revoke_and_a_loss_are_told_with_their_seconds_and_what_was_released() -> None:
    """To the millisecond, from the moment the partition was asked for; a loss takes no time."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=1, max_in_flight=1))
    for partition in range(2):
        bench.assign(partition)
        bench.feed([record(offset, partition=partition) for offset in range(3)])
    (call,) = bench.start()
    bench.revoke(0)
    bench.lose(1)
    bench.pass_time(0.0625)
    bench.accept(call)
    bench.collect()
    told = {entry.event: entry.facts for entry in bench.delivery.journal.take() if entry.event in ("revoked", "lost")}
    assert (told["revoked"]["seconds"], told["revoked"]["offset"], told["revoked"]["released"]) == (0.062, 1, 2)
    assert (told["lost"]["partition"], told["lost"]["offset"], told["lost"]["released"]) == (1, 0, 3)


def test_a_partition_that_is_not_here_is_neither_drained_nor_lost() -> None:
    """It may have gone before the word came."""
    bench = Bench()
    bench.assign()
    bench.revoke(7)
    bench.lose(8)
    assert drained(bench.collect()) == []
    assert set(bench.delivery.parts) == {(TOPIC, 0)}


def test_a_drain_takes_nothing_of_the_other_partitions_of_an_open_call() -> None:
    """What was not handed over leaves it, of the partition that goes alone."""
    bench = Bench(Policy(linger=60.0))
    for partition in range(2):
        bench.assign(partition)
        bench.feed([record(offset, partition=partition) for offset in range(2)])
    assert bench.start() == []
    bench.revoke(0)
    (call,) = bench.start()
    assert [(event["p"], event["o"]) for event in call.events] == [(1, 0), (1, 1)]
    assert len(drained(bench.collect())) == 1


def test_a_drain_ends_with_a_loss_though_a_call_is_out() -> None:
    """Nobody waits for it any more: what is read of others lingers as ever, and nothing wakes at its deadline."""
    bench = Bench(Policy(linger=5.0, batch_events=1))
    bench.assign(0)
    bench.feed([record(0)])
    assert len(bench.start()) == 1
    bench.revoke(0)
    bench.lose(0)
    bench.collect()
    assert bench.delivery.wake_at(bench.now) is None
    assert not bench.delivery.drains.any()
