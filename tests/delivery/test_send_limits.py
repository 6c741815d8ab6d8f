"""What holds do to the 24 h clock, to the probes and to what commits call handed over."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.delivery import operate
from bridge.delivery.policy import Backoff, Policy
from bridge.flow import Assigned, CommitSendLimit, Drained, Outcome, Progress, SendLimitCommitted, Start
from bridge.offsets.commits import Committer, Pace, decode
from tests.delivery.bench import EPOCH_MS, FAR, TOPIC, Bench, Call, record, refused, reply, results

HTML = b"<html>refused by the proxy</html>"
NAME = (TOPIC, 0)
HOUR = 3_600.0
DAY = 24 * HOUR


def page(status: int = 403) -> Any:
    return reply(status, HTML)


def _covers(bench: Bench) -> list[int | None]:
    bench.collect()
    return [order.last for order in bench.orders if isinstance(order, CommitSendLimit)]


def _one_each(calls: int) -> Bench:
    """A bench with one event a call and some calls on their way."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=calls, max_in_flight=calls))
    bench.assign()
    bench.feed([record(offset) for offset in range(10)])
    return bench


@pytest.mark.parametrize("status", [401, 403, 404, 302, 407, 429])
def test_behind_a_page_the_24_hours_run(status: int) -> None:
    """A box that refuses the answer may have handed on the call: a day later the event is not sent again."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, page(status))
    bench.pass_time(DAY)
    assert bench.start() == []
    (letter,) = bench.write_dead_letters()
    assert dict(letter.headers)["bridge.class"] == b"dedupe_expired"


@pytest.mark.parametrize(
    "answer",
    [
        refused(401),
        refused(403),
        refused(404),
        refused(429),
        reply(0, error="dns", applied=False),
        reply(0, error="tls", applied=False),
        reply(0, error="proxy", applied=False),
        reply(0, error="connect", applied=False),
    ],
)
def test_behind_suprsends_own_refusal_and_where_nothing_was_sent_they_do_not(answer: Any) -> None:
    """Days of it dead-letter nothing, and everything goes out once it is mended."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    for _ in range(4):
        for call in bench.start():
            bench.answer(call, answer)
        bench.pass_time(DAY)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


def test_a_whole_refusal_that_is_split_starts_no_clock_either() -> None:
    """A call refused with 400 in SuprSend's words was not applied: its halves wait through days of 401."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.answer(call, refused(400))
    for _ in range(3):
        for half in bench.start():
            bench.answer(half, refused(401))
        bench.pass_time(DAY)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 2}


def test_one_attempt_that_may_have_been_applied_keeps_the_clock_running() -> None:
    """A time-out, then days of 401: the first attempt counts."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, reply(0, error="timeout"))
    bench.pass_time(60.0)
    (again,) = bench.start()
    bench.answer(again, refused(401))
    bench.pass_time(DAY)
    assert bench.start() == []
    assert len(bench.write_dead_letters()) == 1


def test_probes_behind_pages_take_what_went_out_least_tried_first() -> None:
    """Of ten records three are on their way; in hours of probes the others stay where they are, but one an hour."""
    bench = _one_each(3)
    for call in bench.start():
        bench.answer(call, page())
    sent: list[int] = []
    for _ in range(100):
        bench.pass_time(30.0)
        for call in bench.start():
            sent += call.offsets
            bench.answer(call, page())
    assert set(sent) == {0, 1, 2}
    assert sent[:6] == [0, 1, 2, 0, 1, 2]
    for _ in range(200):
        bench.pass_time(30.0)
        for call in bench.start():
            sent += call.offsets
            bench.answer(call, page())
    assert len(set(sent)) == 3 + 2
    bench.pass_time(30.0)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 10}


def test_a_new_probe_goes_on_the_hour() -> None:
    """It is due then, counted from the first look or the new one before, gets covered, and is the probe after that."""
    bench = _one_each(3)
    for call in bench.start():
        bench.answer(call, page())
    assert bench.start() == []
    bench.pass_time(30.0)
    begun = bench.now
    new: dict[int, float] = {}
    for _ in range(6 * 60 * 3):
        for call in bench.start():
            new.setdefault(call.offsets[0], bench.now - begun)
            bench.answer(call, page())
        bench.pass_time(10.0)
    assert {offset: at for offset, at in new.items() if offset > 2} == {3: 3_630.0, 4: 7_260.0}


def test_right_behind_a_hold_what_is_covered_goes_before_what_is_new_as_the_retry_budget_allows() -> None:
    """One had a page, one a 503: both are covered; the second asks the budget, the new ones wait for the commit."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=3, max_in_flight=3, retry_share=0.0))
    bench.assign()
    bench.feed([record(offset) for offset in range(10)])
    first, second, third = bench.start()
    for call, answered in ((first, page()), (second, page(503)), (third, page())):
        bench.answer(call, answered)
    bench.collect()
    bench.pass_time(60.0)
    (probe,) = bench.start()
    assert probe.offsets == [0]
    for _ in range(10):
        bench.delivery.admission.budget.retried(bench.now)
    bench.accept(probe)
    bench.delivery.orders(bench.now).clear()
    assert [call.offsets for call in bench.start_once()] == [[2]]
    bench.pass_time(0.001)
    assert [call.offsets for call in bench.start_once()] == [[1]]
    assert bench.start_once() == []


def test_the_halves_of_a_call_that_is_refused_right_behind_a_hold_go_at_once() -> None:
    """What is covered waits for no clock."""
    bench = Bench(Policy(linger=0.0, batch_events=4, initial_in_flight=2, max_in_flight=2))
    bench.assign()
    bench.feed([record(offset) for offset in range(16)])
    first, second = bench.start()
    bench.answer(first, page())
    bench.answer(second, page())
    bench.collect()
    bench.pass_time(30.0)
    (probe,) = bench.start()
    bench.accept(probe)
    bench.delivery.orders(bench.now).clear()
    (again,) = bench.start_once()
    bench.answer(again, refused(400))
    (half,) = bench.start_once()
    assert half.offsets == again.offsets[:2]


def test_what_only_a_commit_lets_go_is_not_looked_at_all_the_time() -> None:
    """Right behind a hold a batch is due and not covered: nothing wakes for it before the commit comes."""
    bench = _one_each(3)
    first, second, third = bench.start()
    bench.answer(third, refused(401))
    bench.delivery.orders(bench.now).clear()
    bench.accept(first)
    bench.accept(second)
    bench.delivery.orders(bench.now)
    bench.delivery.orders(bench.now).clear()
    assert bench.start_once() == []
    at = bench.delivery.wake_at(bench.now)
    assert at is None or at > bench.now


@pytest.mark.parametrize("held", [False, True], ids=["outage", "hold"])
def test_a_probe_takes_nothing_before_it_is_due(held: bool) -> None:
    """What failed waits out its back-off, also where nothing else is there to probe with; then it goes."""
    backoff = Backoff(1_000.0, 1_000.0)
    bench = Bench(Policy(linger=0.0, batch_events=1, breaker_failures=2, backoff=backoff))
    bench.assign()
    bench.feed([record(0), record(1)])
    for call in bench.start():
        bench.answer(call, reply(503))
    if held:
        bench.delivery.admission.hold_setup("a test says so", bench.now, bench.now_ms)
    bench.collect()
    at = min(entry[0] for entry in bench.delivery.calls.resting)
    assert at > bench.now + 40.0
    bench.pass_time(40.0)
    assert bench.start() == []
    bench.now = at
    assert len(bench.start()) == 1


def test_in_an_outage_the_least_tried_of_those_that_may_go_probes() -> None:
    """Each has its turn, whichever failed first; what no commit covers again lets the next one go."""
    bench = Bench(Policy(linger=0.0, batch_events=1, breaker_failures=3, backoff=Backoff(0.0, 0.0)))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0), record(1)])
    bench.feed([record(7, partition=1)])
    for call in bench.start():
        bench.answer(call, reply(503))
    probed = []
    for _ in range(6):
        bench.pass_time(31.0)
        (probe,) = bench.start()
        probed.append((probe.events[0]["p"], probe.events[0]["o"]))
        bench.answer(probe, reply(503))
    assert len(set(probed[:3])) == 3
    assert probed[:3] == probed[3:]
    # Right behind a hold of everything, before the commit that covers it again.
    uncovered = {(0, 0): 0, (0, 1): 0}
    bench.part(0).send_limit = -1
    bench.delivery.calls.probes.lowered.add(bench.part(0))
    for _ in range(2):
        bench.pass_time(31.0)
        (probe,) = bench.start_once()
        assert (probe.events[0]["p"], probe.events[0]["o"]) not in uncovered
        bench.answer(probe, reply(503))


def test_while_a_batch_fills_no_more_is_covered_for_a_probe() -> None:
    """One event lingers for others: it will be the probe, so that nothing behind it is called handed over."""
    bench = Bench(Policy(linger=10.0, batch_events=3))
    bench.assign()
    bench.feed([record(offset) for offset in range(3)])
    (call,) = bench.start()
    bench.answer(call, refused(401))
    bench.collect()
    bench.lose(0)
    bench.take(Assigned(TOPIC, 1, 2, Start(0)))
    bench.pass_time(30.0)
    bench.feed([record(offset, b"" if 0 < offset < 3 else b"e", partition=1) for offset in range(9)], epoch=2)
    for _ in range(5):
        assert bench.start() == []
        bench.pass_time(1.0)
    covers = [order.last for order in bench.orders if isinstance(order, CommitSendLimit) and order.partition == 1]
    assert covers == [2]
    bench.pass_time(5.0)
    assert [call.offsets for call in bench.start()] == [[0]]


def test_where_nothing_that_went_out_is_left_a_new_probe_goes() -> None:
    """What was in flight has become too old to be repeated: the hold does not wait for an hour then."""
    bench = _one_each(2)
    for call in bench.start():
        bench.answer(call, page())
    bench.pass_time(DAY)
    assert [call.offsets for call in bench.start()] == [[2]]
    assert len(bench.write_dead_letters()) == 2


def test_a_probe_that_shows_the_set_up_is_right_lets_everything_go_on() -> None:
    """Behind the hold each batch waits for the commit that covers it, and then goes."""
    bench = _one_each(3)
    for call in bench.start():
        bench.answer(call, refused(401))
    bench.collect()
    bench.pass_time(30.0)
    (probe,) = bench.start()
    bench.accept(probe)
    assert not bench.delivery.holds.all()
    (order,) = [order for order in bench.delivery.orders(bench.now) if isinstance(order, CommitSendLimit)]
    assert order.last is None
    assert bench.delivery.starts(bench.now, bench.now_ms) == []
    bench.take(SendLimitCommitted(*NAME, 1, FAR, order.number))
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 10}


def test_at_the_start_of_a_hold_the_bound_goes_back_to_what_may_have_been_applied() -> None:
    """Own refusals leave nothing, a page leaves its record; a call that is still out counts until it is answered."""
    bench = _one_each(3)
    first, second, third = bench.start()
    bench.answer(first, refused(401))
    assert _covers(bench) == [2]
    bench.answer(third, refused(401))
    assert _covers(bench)[1:] == [1]
    bench.answer(second, refused(401))
    assert _covers(bench)[2:] == [-1]


def test_behind_a_refused_probe_the_bound_goes_back_again() -> None:
    """Each probe is covered while it is out, and no longer."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    for _ in range(3):
        for call in bench.start():
            bench.answer(call, refused(401))
        bench.collect()
        bench.pass_time(30.0)
    assert _covers(bench) == [-1, 1, -1, 1, -1]


def test_a_page_stays_covered_and_what_is_finished_needs_no_cover() -> None:
    """One was accepted, one got a page, one was refused: the page's record is the newest that may have been applied."""
    bench = _one_each(3)
    first, second, third = bench.start()
    bench.accept(third)
    bench.answer(first, page())
    bench.answer(second, refused(401))
    assert _covers(bench)[-1] == 0
    assert bench.progress().delivered == 2


def test_a_probe_waits_for_the_commit_that_covers_it() -> None:
    """A refused batch goes out again only when a commit says that it may have been handed over."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.answer(call, refused(401))
    orders = [order for order in bench.delivery.orders(bench.now) if isinstance(order, CommitSendLimit)]
    assert [order.last for order in orders] == [-1]
    bench.delivery.orders(bench.now).clear()
    bench.pass_time(30.0)
    assert bench.delivery.starts(bench.now, bench.now_ms) == []
    (cover,) = [order for order in bench.delivery.orders(bench.now) if isinstance(order, CommitSendLimit)]
    assert cover.last == 1
    bench.take(SendLimitCommitted(*NAME, 1, 1, cover.number - 1))
    assert bench.delivery.starts(bench.now, bench.now_ms) == []
    bench.take(SendLimitCommitted(*NAME, 1, 1, cover.number))
    assert len(bench.delivery.starts(bench.now, bench.now_ms)) == 1


def test_a_partition_that_comes_during_a_hold_is_covered_no_further_than_it_was() -> None:
    """What an earlier owner may have handed over stays so; what is read meanwhile is not called handed over."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, refused(401))
    bench.collect()
    bench.take(Assigned(TOPIC, 1, 2, Start(5, send_limit=7, send_limit_at=EPOCH_MS)))
    (order,) = [order for order in bench.collect() if isinstance(order, CommitSendLimit)]
    assert order == CommitSendLimit(TOPIC, 1, 2, 1, 7)


def test_a_probe_comes_of_later_records_where_no_rule_wants_the_first() -> None:
    """What went out went to another process, and what was covered for a probe is filtered: more is covered then."""
    bench = Bench(Policy(linger=0.0, batch_events=2))
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, refused(401))
    bench.collect()
    bench.lose(0)
    bench.take(Assigned(TOPIC, 1, 2, Start(0)))
    bench.feed([record(0, b"", partition=1)], epoch=2)
    bench.pass_time(30.0)
    assert bench.start() == []
    bench.feed([record(offset, b"e" if offset > 5 else b"", partition=1) for offset in range(1, 10)], epoch=2)
    sent: list[Call] = []
    while not sent and bench.now < 200.0:
        sent = bench.start()
        bench.pass_time(1.0)
    assert [call.offsets for call in sent] == [[6]]
    covers = [order.last for order in bench.orders if isinstance(order, CommitSendLimit) and order.partition == 1]
    assert covers == [0, 2, 4, 6]


def test_the_only_record_there_is_becomes_the_probe() -> None:
    """Nothing that went out is left, and of the partition that came one record was read: it is covered, and goes."""
    bench = Bench(Policy(linger=0.0, batch_events=2))
    bench.assign()
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, refused(401))
    bench.collect()
    bench.lose(0)
    bench.take(Assigned(TOPIC, 1, 2, Start(0)))
    bench.pass_time(30.0)
    bench.feed([record(0, partition=1)], epoch=2)
    bench.delivery.starts(bench.now, bench.now_ms)
    first = [order.last for order in bench.delivery.orders(bench.now) if isinstance(order, CommitSendLimit)]
    bench.delivery.orders(bench.now).clear()
    assert first[-1] == 0
    bench.delivery.calls.probes.moved = True
    assert not [order for order in bench.delivery.orders(bench.now) if isinstance(order, CommitSendLimit)]


def test_a_drain_in_a_hold_says_what_may_have_been_applied_and_no_more() -> None:
    """SIGTERM in days of 401 leaves no clock running for the next process."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.answer(call, refused(401))
    bench.revoke(0)
    (drained,) = [order for order in bench.collect() if isinstance(order, Drained)]
    assert (drained.progress.watermark, drained.handed) == (0, -1)


def test_another_workspace_takes_the_bound_back_too() -> None:
    """Every hold of everything is one: nothing goes out, so nothing is called handed over."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    operate.keep_to_workspace(bench.delivery, "a", "b", bench.now_ms)
    assert _covers(bench) == [-1]
    operate.keep_to_workspace(bench.delivery, "a", None, bench.now_ms)
    assert _covers(bench) == [-1, None]
    bench.settle()


def _committer() -> Committer:
    committer = Committer(Pace(interval=0.0, least=0.0))
    committer.assigned(NAME, 1, Start(0), runs="", fresh=True)
    return committer


def _commit(committer: Committer, now: float, now_ms: int) -> tuple[list[SendLimitCommitted], list[Any]]:
    made = committer.due(now, now_ms)
    answers = [committer.acknowledged(commit) for commit in made]
    return [each for each in answers if each is not None], [decode(each.metadata, each.offset) for each in made]


def test_a_committer_goes_back_and_on_by_order() -> None:
    """The send limit and its time go back, stay while records are read, and move on to all of them."""
    committer = _committer()
    committer.read(NAME, 99)
    bounded, (note,) = _commit(committer, 1.0, 1_000)
    assert bounded == [SendLimitCommitted(*NAME, 1, 99)]
    assert (note.send_limit, note.at_ms) == (99, 1_000)
    committer.cover(CommitSendLimit(*NAME, 1, 1, -1))
    committer.read(NAME, 150)
    bounded, (note,) = _commit(committer, 2.0, 2_000)
    assert bounded == [SendLimitCommitted(*NAME, 1, -1, 1)]
    assert (note.send_limit, note.at_ms) == (-1, 2_000)
    committer.cover(CommitSendLimit(*NAME, 1, 2, 9))
    bounded, (note,) = _commit(committer, 3.0, 90_000_000)
    assert bounded == [SendLimitCommitted(*NAME, 1, 9, 2)]
    assert (note.send_limit, note.at_ms) == (9, 90_000_000)
    committer.cover(CommitSendLimit(*NAME, 1, 3, None))
    bounded, (note,) = _commit(committer, 4.0, 90_001_000)
    assert bounded == [SendLimitCommitted(*NAME, 1, 150, 3)]
    assert note.send_limit == 150


def test_an_order_that_changes_nothing_is_acknowledged_all_the_same() -> None:
    """Who waits for it is answered by a commit of its own; one of another epoch does nothing."""
    committer = _committer()
    committer.read(NAME, 5)
    _commit(committer, 1.0, 1_000)
    committer.cover(CommitSendLimit(*NAME, 9, 1, -1))
    assert _commit(committer, 2.0, 2_000) == ([], [])
    committer.cover(CommitSendLimit(*NAME, 1, 1, 5))
    bounded, _ = _commit(committer, 3.0, 3_000)
    assert bounded == [SendLimitCommitted(*NAME, 1, 5, 1)]


def _calls(bench: Bench) -> list[Call]:
    return list(bench.calls.values())


def test_an_outage_of_an_hour_is_no_hold() -> None:
    """Timeouts open the circuit: commits go on covering what is read, and nothing waits for them."""
    bench = Bench(Policy(linger=0.0, batch_events=1, breaker_failures=2))
    bench.assign()
    bench.feed([record(offset) for offset in range(4)])
    bench.start()
    for call in _calls(bench):
        bench.answer(call, reply(0, error="timeout"))
    assert _covers(bench) == []
    bench.pass_time(60.0)
    (probe,) = bench.start()
    bench.answer(probe, results("ok"))
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 4}


def _two(calls: int = 2) -> Bench:
    """A bench with two partitions and one event a call."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=calls, max_in_flight=calls))
    for partition in range(2):
        bench.assign(partition)
        bench.feed([record(offset, partition=partition) for offset in range(5)])
    return bench


def _orders(bench: Bench) -> list[CommitSendLimit]:
    """The covers of this moment, which no commit says yet."""
    made = bench.delivery.orders(bench.now)
    covers = [order for order in made if isinstance(order, CommitSendLimit)]
    made.clear()
    return covers


def _accept_all(bench: Bench) -> None:
    while bench.start():
        for call in _calls(bench):
            bench.accept(call)
    bench.pass_time(1.0)
    bench.collect()


def test_a_paused_partition_goes_back_to_what_may_have_been_applied() -> None:
    """What is out counts until it is answered; a page leaves its record, and the other partition nothing to do."""
    bench = _two(4)
    calls = {(call.events[0]["p"], call.events[0]["o"]): call for call in bench.start()}
    assert set(calls) == {(0, 0), (1, 0), (0, 1), (1, 1)}
    bench.say(0, paused=True)
    assert _orders(bench) == [CommitSendLimit(TOPIC, 0, 1, 1, 1)]
    bench.answer(calls[0, 1], refused(429))
    assert _orders(bench) == [CommitSendLimit(TOPIC, 0, 1, 2, 0)]
    bench.answer(calls[0, 0], page(503))
    bench.accept(calls[1, 0])
    assert _orders(bench) == []
    bench.pass_time(60.0)
    bench.accept(calls[1, 1])
    _accept_all(bench)
    assert _covers(bench) == []
    assert bench.progress(1).watermark == 5
    bench.say(0, paused=False)
    bench.settle()
    assert bench.outcomes()[Outcome.DELIVERED] == 10


def test_behind_a_pause_nothing_goes_out_before_a_commit_covers_it() -> None:
    """Neither what was set aside nor what waits, by no commit of before the resume; the other partition goes on."""
    bench = _two()
    for call in bench.start():
        bench.answer(call, refused(429) if call.events[0]["p"] == 0 else results("ok"))
    bench.say(0, paused=True)
    (back,) = _orders(bench)
    bench.pass_time(60.0)
    bench.say(0, paused=False)
    for expected in ([1, 2], [3, 4]):
        calls = bench.start_once()
        assert [(call.events[0]["p"], call.events[0]["o"]) for call in calls] == [(1, each) for each in expected]
        for call in calls:
            bench.accept(call)
    (on,) = _orders(bench)
    assert (back.last, on.last) == (-1, None)
    bench.take(SendLimitCommitted(*NAME, 1, 4, back.number))
    assert bench.start_once() == []
    bench.take(SendLimitCommitted(*NAME, 1, 4, on.number))
    assert [call.offsets for call in bench.start_once()] == [[0]]
    bench.settle()
    assert bench.outcomes()[Outcome.DELIVERED] == 10


def test_of_a_call_of_several_partitions_only_what_is_not_covered_waits() -> None:
    """The events of a partition whose pause was just lifted wait apart; the others of the same call go out."""
    bench = Bench(Policy(linger=0.0, initial_in_flight=1, max_in_flight=1))
    for partition in range(2):
        bench.assign(partition)
        bench.feed([record(0, partition=partition)])
    (call,) = bench.start()
    bench.answer(call, refused(429))
    bench.say(0, paused=True)
    (back,) = _orders(bench)
    bench.take(SendLimitCommitted(*NAME, 1, -1, back.number))
    bench.say(0, paused=False)
    bench.pass_time(60.0)
    (call,) = bench.start_once()
    assert [event["p"] for event in call.events] == [1]
    bench.accept(call)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 2}


def test_behind_a_halt_what_is_in_flights_goes_on_and_stays_covered() -> None:
    """A hold of one partition lets its flights go: the send limit is the last of them, and nothing of what waits behind."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=3, max_in_flight=3))
    bench.assign()
    bench.feed([record(0), record(1), record(2, b"h"), record(3), record(4)])
    first, second = bench.start()
    assert [order.last for order in _orders(bench)] == [1]
    bench.answer(second, refused(429))
    assert _orders(bench) == []
    bench.accept(first)
    bench.pass_time(60.0)
    (again,) = bench.start_once()
    bench.accept(again)
    assert _covers(bench) == []
    bench.pass_time(DAY)
    operate.skip(bench.delivery, NAME, 2, "a test order", bench.now_ms)
    assert len(bench.write_dead_letters()) == 1
    assert _covers(bench) == [None]
    bench.settle()
    assert bench.outcomes()[Outcome.DELIVERED] == 4


def test_a_partition_that_is_held_behind_a_hold_of_everything_stays_back() -> None:
    """The probe lifts the hold of everything: what is paused is covered no further, the other partition goes on."""
    bench = _two()
    for call in bench.start():
        bench.answer(call, refused(401))
    bench.say(0, paused=True)
    bench.collect()
    bench.pass_time(30.0)
    _accept_all(bench)
    last = {order.partition: order.last for order in bench.orders if isinstance(order, CommitSendLimit)}
    assert last == {0: -1, 1: None}
    assert bench.progress(1).watermark == 5
    bench.say(0, paused=False)
    bench.settle()
    assert bench.outcomes()[Outcome.DELIVERED] == 10
    assert not bench.delivery.calls.probes.lowered


def test_what_is_read_while_a_partition_is_held_is_not_called_handed_over() -> None:
    """Where nothing was read nothing is to be taken back, and no commit is made for it; what comes later is."""
    bench = Bench()
    bench.say(0, paused=True)
    bench.assign(start=Start(5), send_limit=-1)
    assert _orders(bench) == []
    bench.feed([record(5)])
    assert [order.last for order in _orders(bench)] == [-1]


def test_where_nothing_is_committed_a_hold_takes_nothing_back() -> None:
    """A dry run: no commit follows a resume, and what waits goes out all the same."""
    bench = _two()
    bench.take(SendLimitCommitted(*NAME, 1, 4, -1))
    bench.start()
    bench.say(0, paused=True)
    assert _orders(bench) == []
    bench.say(0, paused=False)
    assert _orders(bench) == []


@pytest.mark.parametrize("hold", ["pause", "halt"])
def test_a_hold_of_days_and_a_kill_put_nothing_aside(hold: str) -> None:
    """What was read and never sent is sent by the next process, however long the partition was held before the kill."""
    committer = _committer()
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=1, max_in_flight=1))
    records = [record(0), record(1, b"h" if hold == "halt" else b"e"), *map(record, range(2, 9))]
    bench.assign()
    committer.read(NAME, 8)
    _commit(committer, 1.0, EPOCH_MS)
    bench.feed(records)
    (call,) = bench.start()
    bench.accept(call)
    bench.start()
    if hold == "pause":
        for call in _calls(bench):
            bench.answer(call, refused(429))
        bench.say(0, paused=True)
    for order in bench.collect():
        if isinstance(order, Progress):
            committer.progress(order)
        elif isinstance(order, CommitSendLimit):
            committer.cover(order)
    (commit,) = committer.due(2.0, EPOCH_MS + 1_000)
    note = decode(commit.metadata, commit.offset)
    assert note is not None
    later = Bench(Policy(linger=0.0))
    later.pass_time(2 * DAY)
    start = Start(commit.offset, note.delivered, note.unfinished, note.send_limit, note.at_ms, note.steps)
    later.assign(start=start)
    later.feed([record(offset) for offset in range(commit.offset, 9)])
    later.settle()
    assert later.outcomes() == {Outcome.DELIVERED: 8}
