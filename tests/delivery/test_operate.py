"""What a person does to a running bridge, and holds that wait for one."""

from __future__ import annotations

import pytest

from bridge.delivery import operate
from bridge.delivery.admission import Reason, rewind_token
from bridge.delivery.policy import BrakeLimits, Policy
from bridge.flow import EndReached, GiveBack, GoPast, Outcome, Pause, PlainRecord, Records, Resume, Sought, Start
from tests.delivery.bench import EPOCH_MS, TOPIC, Bench, dead_offsets, record, refused, reply, results
from tests.delivery.words import WordRules

SCOPE = (TOPIC, 0)
HOUR_MS = 3_600_000


def halted() -> Bench:
    """A bench whose partition halts at offset 1, with unsent records behind."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1, b"h"), record(2), record(3)])
    (call,) = bench.start()
    bench.accept(call)
    return bench


def test_a_halt_stops_at_that_record_and_gives_back_the_rest() -> None:
    """Nothing behind is sent; reading stops, and what was read is given back but the record itself."""
    bench = halted()
    orders = bench.collect()
    assert Pause(TOPIC, 0, 1) in orders
    assert GiveBack(TOPIC, 0, 1, 2) in orders
    assert bench.start() == []
    assert bench.part().ledger.watermark == 1
    bench.conserved()


def test_mended_rules_lift_a_halt() -> None:
    """A reload maps the halted record again; what was given back is read again, in order."""
    bench = halted()
    bench.collect()
    operate.reload(bench.delivery, WordRules(2, mended=True))
    (call,) = bench.start()
    assert call.offsets == [1]
    bench.accept(call)
    bench.settle()
    assert Resume(TOPIC, 0, 1) in bench.orders
    assert bench.progress().watermark == 4


def test_a_halted_record_can_be_skipped() -> None:
    """It goes to the dead-letter topic with the reason, and the partition goes on behind it."""
    bench = halted()
    bench.collect()
    operate.skip(bench.delivery, SCOPE, 1, "a test order", bench.now_ms)
    (letter,) = bench.write_dead_letters()
    headers = dict(letter.headers)
    assert (headers["bridge.class"], headers["bridge.message"]) == (b"skipped_by_operator", b"a test order")
    bench.settle()
    assert bench.progress().watermark == 4


def test_what_was_given_back_and_cannot_be_read_again_is_gone_past() -> None:
    """It waits for nobody: what is before it has to end, what is behind it goes on."""
    bench = halted()
    bench.collect()
    with pytest.raises(operate.Declined, match="before offset 2 have no outcome yet, the first at 1"):
        operate.go_past(bench.delivery, SCOPE, 2, 3)
    operate.skip(bench.delivery, SCOPE, 1, "a test order", bench.now_ms)
    bench.write_dead_letters()
    bench.take(Sought(TOPIC, 0, 1, 2))
    for first in (1, 2):
        # Where the reader stands: what was between the last record and the next may be compacted away.
        operate.go_past(bench.delivery, SCOPE, first, 3)
        assert GoPast(TOPIC, 0, 1, first, 3) in bench.collect()
    bench.take(EndReached(TOPIC, 0, 1, 3))
    assert bench.part().ledger.watermark == 3
    bench.feed([record(3)])
    (call,) = bench.start()
    assert call.offsets == [3]
    with pytest.raises(operate.Declined, match="before offset 4 have no outcome"):
        operate.go_past(bench.delivery, SCOPE, 4, 5)
    bench.accept(call)
    bench.collect()
    with pytest.raises(operate.Declined, match="is now read from offset 4 on"):
        operate.go_past(bench.delivery, SCOPE, 3, 5)
    bench.settle()
    assert bench.progress().watermark == 4
    bench.conserved()


def test_a_skip_of_what_is_already_on_its_way_is_declined() -> None:
    """A record whose dead letter is being written, or that is in a call, is not skipped; the message says why."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, b"d"), record(1)])
    bench.start()
    bench.collect()
    with pytest.raises(operate.Declined, match="dead-letter topic already"):
        operate.skip(bench.delivery, SCOPE, 0, "", bench.now_ms)
    with pytest.raises(operate.Declined, match="in a call"):
        operate.skip(bench.delivery, SCOPE, 1, "", bench.now_ms)
    with pytest.raises(operate.Declined, match="not unfinished"):
        operate.skip(bench.delivery, SCOPE, 7, "", bench.now_ms)


def test_a_skip_takes_a_record_out_of_the_half_that_waits_for_another() -> None:
    """After a split the record is never sent again, and its lane stays with the half that is out."""
    bench = Bench()
    bench.assign()
    bench.feed([record(offset, key=b"a") for offset in range(4)])
    (whole,) = bench.start()
    bench.answer(whole, reply(400, b'{"status":"error","error":{"type":"validation_error","message":"bad"}}'))
    (first,) = bench.start()
    assert first.offsets == [0, 1]
    operate.skip(bench.delivery, SCOPE, 3, "not wanted", bench.now_ms)
    bench.feed([record(4, key=b"a")])
    bench.write_dead_letters()
    assert bench.start() == []
    bench.accept(first)
    (second,) = bench.start()
    assert second.offsets == [2]
    bench.accept(second)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 4, Outcome.DEAD_LETTERED: 1}
    assert bench.progress().watermark == 5


def test_a_skip_of_a_record_of_which_something_was_delivered_is_about_the_rest() -> None:
    """Each letter names its item and event: a letter about all would have what was delivered sent once more."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=1)))
    bench.assign()
    bench.feed([record(0, b"d e1 e2 e3")])
    (call,) = bench.start()
    bench.answer(call, results("ok", "invalid", "transient"))
    operate.skip(bench.delivery, SCOPE, 0, "give up", bench.now_ms)
    letters = [dict(letter.headers) for letter in bench.write_dead_letters()]
    assert sorted((each["bridge.item"], each["bridge.stage"]) for each in letters) == [
        (b"0", b"map"),
        (b"2", b"deliver"),
        (b"3", b"deliver"),
    ]
    assert {each["bridge.class"] for each in letters} == {b"skipped_by_operator"}
    assert {each["bridge.rule"] for each in letters} == {b"words"}
    bench.settle()
    assert bench.outcomes() == {Outcome.DEAD_LETTERED: 1}
    bench.conserved()


def test_a_skip_replaces_a_dead_letter_that_cannot_be_written() -> None:
    """The failed letter is forgotten: the record ends once."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, b"d")])
    bench.start()
    bench.write_dead_letters("down")
    operate.skip(bench.delivery, SCOPE, 0, "give up", bench.now_ms)
    bench.write_dead_letters()
    bench.settle()
    assert bench.outcomes() == {Outcome.DEAD_LETTERED: 1}


def test_records_behind_a_give_back_wait_for_it() -> None:
    """What was read before the reader went back is dropped, so that order holds after the hold."""
    bench = Bench()
    bench.assign()
    bench.say(0, paused=True)
    bench.feed([record(0, key=b"a"), record(1, key=b"a")])
    bench.collect()
    assert GiveBack(TOPIC, 0, 1, 0) in bench.orders
    bench.say(0, paused=False)
    bench.feed([record(2, key=b"a")])
    assert bench.start() == []
    bench.take(Sought(TOPIC, 0, 1, 0))
    bench.feed([record(0, key=b"a"), record(1, key=b"a"), record(2, key=b"a")])
    (call,) = bench.start()
    assert call.offsets == [0, 1, 2]
    bench.conserved()


def test_what_was_compacted_away_during_a_hold_does_not_hold_the_watermark() -> None:
    """A record that was given back and does not come again has vanished from the topic."""
    bench = Bench()
    bench.assign()
    bench.say(0, paused=True)
    bench.feed([record(0), record(1), record(2)])
    bench.collect()
    bench.say(0, paused=False)
    bench.take(Sought(TOPIC, 0, 1, 0))
    bench.feed([record(2)])
    (call,) = bench.start()
    bench.accept(call)
    bench.pass_time(1.0)
    bench.collect()
    assert bench.progress().watermark == 3


def test_what_was_given_back_is_read_whatever_the_span() -> None:
    """A hold over more records than half a span ends in reading, not in a pause for ever."""
    bench = Bench(Policy(linger=0.0, span=10))
    bench.assign()
    bench.say(0, paused=True)
    bench.feed([record(offset) for offset in range(12)])
    bench.collect()
    bench.say(0, paused=False)
    bench.pass_time(1.0)
    assert Resume(TOPIC, 0, 1) in bench.collect()


def test_a_long_note_of_the_earlier_owner_does_not_stop_the_reading() -> None:
    """What has to be read again so that the note shrinks is read, however long the note is."""
    unfinished = tuple((offset, offset) for offset in range(0, 400, 2))
    bench = Bench(Policy(linger=0.0, metadata_bytes=100))
    bench.assign(start=Start(0, delivered=400, unfinished=unfinished))
    bench.pass_time(1.0)
    assert not any(isinstance(order, Pause) for order in bench.collect())
    bench.feed([record(offset) for offset in range(401)])
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 200}
    assert bench.progress().watermark == 401


def test_the_note_of_the_earlier_owner_survives_a_quick_handover() -> None:
    """Assigned and revoked again before a record was read: what the note says is finished stays so."""
    bench = Bench()
    bench.assign(start=Start(0, delivered=9, unfinished=((0, 0), (5, 6))))
    bench.revoke(0)
    bench.collect()
    progress = bench.progress()
    assert (progress.watermark, progress.delivered, progress.finished) == (0, 9, "1,4,2,3")


def test_records_that_were_finished_before_move_the_watermark() -> None:
    """Reading only what the note calls finished is progress, too."""
    bench = Bench()
    bench.assign(start=Start(0, delivered=3, unfinished=((0, 0),)))
    bench.feed([record(0)])
    bench.settle()
    bench.feed([record(1), record(2), record(3)])
    bench.pass_time(1.0)
    bench.collect()
    assert bench.progress().watermark == 4
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


@pytest.mark.parametrize("hours", [22, 24])
def test_what_suprsend_may_have_forgotten_is_not_sent_again(hours: int) -> None:
    """Below the send limit of an earlier owner: 22 hours later it is sent, 24 hours later it is dead-lettered."""
    bench = Bench()
    bench.assign(start=Start(0, send_limit=0, send_limit_at=EPOCH_MS + int(bench.now * 1000) - hours * HOUR_MS))
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    assert call.offsets == ([0, 1] if hours == 22 else [1])
    letters = bench.write_dead_letters()
    assert [dict(letter.headers)["bridge.class"] for letter in letters] == ([] if hours == 22 else [b"dedupe_expired"])


def test_each_record_of_an_earlier_owner_has_its_own_time() -> None:
    """An old unfinished record does not make the newer ones behind it expire."""
    bench = Bench()
    now_ms = EPOCH_MS + int(bench.now * 1000)
    old, new = now_ms - 30 * HOUR_MS, now_ms - 2 * HOUR_MS
    bench.assign(start=Start(0, send_limit=2, send_limit_at=old, steps=((0, old), (2, new))))
    bench.feed([record(0), record(1), record(2), record(3)])
    (call,) = bench.start()
    assert call.offsets == [1, 2, 3]
    (letter,) = bench.write_dead_letters()
    assert dict(letter.headers)["bridge.first_attempt"] == str(old).encode()
    bench.answer(call, reply(401))
    bench.pass_time(22 * 3_600.0)
    (again,) = bench.start()
    assert again.offsets == [3]
    assert dead_offsets(bench.write_dead_letters()) == [1, 2]


def test_who_prefers_a_repeat_to_a_loss_can_say_so() -> None:
    """With `on_dedupe_expired: send` an expired repeat goes out, in the core as in a call, and nothing is held."""
    bench = Bench(Policy(linger=0.0, on_dedupe_expired="send"))
    bench.assign(start=Start(0, send_limit=0, send_limit_at=EPOCH_MS + int(bench.now * 1000) - 99 * HOUR_MS))
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    assert call.offsets == [0, 1]
    bench.answer(call, reply(0, error="timeout"))
    bench.pass_time(99 * 3_600.0)
    (again,) = bench.start()
    assert again.body == call.body
    bench.accept(again)
    assert bench.write_dead_letters() == []
    assert not bench.delivery.holds.all()
    assert bench.outcomes() == {Outcome.DELIVERED: 2}


def test_the_guard_holds_while_nothing_can_be_sent() -> None:
    """A record of an earlier owner that waits in a call for a day, never applied here, is not sent after it."""
    bench = Bench()
    bench.assign(start=Start(0, send_limit=0, send_limit_at=EPOCH_MS + int(bench.now * 1000) - 10 * HOUR_MS))
    bench.feed([record(0)])
    (call,) = bench.start()
    bench.answer(call, reply(401))
    bench.pass_time(20 * 3_600.0)
    assert bench.start() == []
    assert len(bench.write_dead_letters()) == 1


def test_a_hold_by_the_guard_waits_for_a_person() -> None:
    """With `on_dedupe_expired: hold` an expired repeat is held, in the core as in a call, until it is resumed."""
    bench = Bench(Policy(linger=0.0, on_dedupe_expired="hold"))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0), record(1)])
    bench.feed([record(0, partition=1)])
    (call,) = bench.start()
    bench.answer(call, reply(0, error="timeout"))
    bench.pass_time(24 * 3_600.0)
    assert bench.start() == []
    assert Reason.DEDUPE_EXPIRED in bench.delivery.holds.on(SCOPE)
    assert bench.write_dead_letters() == []
    operate.resume(bench.delivery, SCOPE)
    operate.resume(bench.delivery, (TOPIC, 1))
    bench.pass_time(60.0)
    assert sorted(offset for call in bench.start() for offset in call.offsets) == [0, 0, 1]


def test_setup_refusals_do_not_start_the_clock() -> None:
    """Days of SuprSend's own 401 dead-letter nothing: what was never applied may go out."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    for _ in range(5):
        (call,) = bench.start()
        bench.answer(call, refused(401))
        bench.pass_time(24 * 3_600.0)
    assert bench.write_dead_letters() == []
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


def test_a_reload_keeps_the_order_of_a_lane() -> None:
    """A record of which something has ended keeps its place, and so does all before it in its lane."""
    bench = Bench(Policy(linger=60.0))
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, b"e s", key=b"a"), record(2, key=b"a")])
    assert bench.start() == []
    operate.reload(bench.delivery, WordRules(2))
    bench.pass_time(60.0)
    (call,) = bench.start()
    assert call.offsets == [0, 1, 2]


def test_a_reload_leaves_what_was_handed_over_as_it_was() -> None:
    """A call that failed goes out again with its own bytes; what was unsent has the new rules'."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=1))
    bench.assign()
    bench.feed([record(0, key=b"a"), record(1, key=b"a")])
    (call,) = bench.start()
    bench.answer(call, reply(503))
    operate.reload(bench.delivery, WordRules(2))
    bench.pass_time(60.0)
    (again,) = bench.start()
    assert again.body == call.body
    bench.accept(again)
    (later,) = bench.start()
    assert later.events[0]["v"] == 2


def test_what_nobody_wants_any_more_is_not_sent() -> None:
    """`max_age` is looked at before every attempt, not only when mapped."""
    bench = Bench()
    bench.assign()
    stamp = bench.now_ms
    late = PlainRecord(TOPIC, 0, 0, b"t5000", timestamp=stamp)
    bench.room.take(TOPIC, len(late) + 400, 1)
    bench.take(Records(TOPIC, 0, 1, [late]))
    (call,) = bench.start()
    bench.answer(call, reply(503))
    bench.pass_time(6.0)
    assert bench.start() == []
    assert bench.outcomes() == {Outcome.EXPIRED: 1}


def test_consent_is_for_what_was_there() -> None:
    """Who resumes an expired hold lets those records go again, not every later one for as long as the process lives."""
    bench = Bench(Policy(linger=0.0, on_dedupe_expired="hold"))
    bench.assign()
    for offset in (0, 1):
        bench.feed([record(offset)])
        (call,) = bench.start()
        bench.answer(call, reply(0, error="timeout"))
        bench.pass_time(24 * 3_600.0)
        assert bench.start() == []
        assert Reason.DEDUPE_EXPIRED in bench.delivery.holds.on(SCOPE)
        operate.resume(bench.delivery, SCOPE)
        bench.pass_time(60.0)
        (call,) = bench.start()
        bench.accept(call)


def test_a_rewind_waits_for_its_token() -> None:
    """A partition that was set back sends nothing before the token that stands for its offsets is given."""
    bench = Bench()
    bench.assign(start=Start(5, hold="rewind", detail="94 records from offset 5 on"))
    bench.feed([record(5)])
    assert bench.start() == []
    (hold,) = bench.delivery.holds.all()
    assert hold.token is not None
    with pytest.raises(operate.Declined, match="token"):
        operate.accept_rewind(bench.delivery, "another")
    assert operate.accept_rewind(bench.delivery, hold.token) == SCOPE
    assert [call.offsets for call in bench.start()] == [[5]]
    bench.lose(0)
    bench.assign(epoch=2, start=Start(5, hold="rewind", detail="94 records from offset 5 on"))
    assert bench.delivery.holds.all()[0].token == hold.token
    bench.lose(0)
    bench.assign(epoch=3, start=Start(6, hold="rewind", detail="93 records from offset 6 on"))
    assert bench.delivery.holds.all()[0].token != hold.token


def test_a_rewind_that_the_settings_accept_does_not_hold() -> None:
    """`delivery.accept_rewind` lets exactly the offsets of its tokens out; any other rewind holds as ever."""
    detail = "94 records from offset 5 on"
    token = rewind_token(SCOPE, 5, detail)
    bench = Bench(Policy(linger=0.0, accepted_rewinds=frozenset({"0123456789", token})))
    bench.assign(start=Start(5, hold="rewind", detail=detail))
    assert not bench.delivery.holds.all()
    assert any(isinstance(order, Resume) for order in bench.collect()), "the Kafka thread began held"
    told = [entry for entry in bench.delivery.journal.take() if entry.event == "rewind"]
    assert [(entry.level, entry.facts["accepted"]) for entry in told] == [("warning", True)]
    bench.feed([record(5)])
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1}
    bench.lose(0)
    bench.assign(epoch=2, start=Start(4, hold="rewind", detail=detail))
    assert [hold.reason for hold in bench.delivery.holds.all()] == [Reason.REWIND]
    bench.pass_time(1.0)
    assert not any(isinstance(order, Resume) for order in bench.collect())


def test_another_workspace_holds_everything_and_is_not_even_probed() -> None:
    """While the secrets name another workspace nothing goes out; with the old one again it goes on by itself."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0)])
    operate.keep_to_workspace(bench.delivery, "one", "two", bench.now_ms)
    operate.keep_to_workspace(bench.delivery, "one", "two", bench.now_ms)
    bench.pass_time(3_600.0)
    assert bench.start() == []
    assert [(hold.reason, hold.scope) for hold in bench.delivery.holds.all()] == [(Reason.WORKSPACE, None)]
    operate.keep_to_workspace(bench.delivery, "one", None, bench.now_ms)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1}
