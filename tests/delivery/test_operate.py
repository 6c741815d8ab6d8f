"""What a person does to a running bridge, and holds that wait for one."""

from __future__ import annotations

import pytest

from bridge.delivery import operate
from bridge.delivery.admission import Reason, rewind_token
from bridge.delivery.policy import BrakeLimits, Policy
from bridge.flow import (
    EndReached,
    Event,
    GiveBack,
    GoPast,
    Mapper,
    Outcome,
    Pause,
    PlainRecord,
    Progress,
    Records,
    Resume,
    Sought,
    Start,
)
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


def test_a_reload_leaves_a_record_of_which_something_is_in_a_call_and_maps_the_others() -> None:
    """Its last event goes out as it was mapped; what lay in the same open call goes by the new rules, each once."""
    bench = Bench(Policy(linger=60.0, ordering="none", batch_events=2))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, b"e e e")])
    (first,) = bench.start()
    bench.feed([record(0, partition=1)])
    bench.delivery.batcher.fill(2, bench.now, bench.now_ms)
    operate.reload(bench.delivery, WordRules(2))
    bench.pass_time(60.0)
    later = [event for call in bench.start() for event in call.events]
    assert [event["i"] for event in first.events] == [0, 1]
    assert sorted((event["p"], event["o"], event["i"], event["v"]) for event in later) == [(0, 0, 2, 1), (1, 0, 0, 2)]
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 2}
    bench.conserved()


def test_a_reload_keeps_two_partitions_of_one_open_call_apart() -> None:
    """Each gets its own records back, to be mapped anew by its own rules."""
    bench = Bench(Policy(linger=60.0))
    for partition in range(2):
        bench.assign(partition)
        bench.feed([record(offset, key=b"a", partition=partition) for offset in range(partition, 3)])
    assert bench.start() == []
    operate.reload(bench.delivery, WordRules(2))
    assert [[each.offset() for each in bench.part(n).lanes.unsent] for n in range(2)] == [[0, 1, 2], [1, 2]]
    bench.pass_time(60.0)
    (call,) = bench.start()
    assert sorted((event["p"], event["o"]) for event in call.events) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]
    assert {event["v"] for event in call.events} == {2}


@pytest.mark.parametrize(
    ("words", "outcomes"),
    [
        ([b"d"] * 4, {Outcome.DEAD_LETTERED: 2, Outcome.DELIVERED: 2}),
        ([b"d e"] * 4, {Outcome.DEAD_LETTERED: 3, Outcome.DELIVERED: 1}),
        ([b"ex"] * 4, {Outcome.DEAD_LETTERED: 4}),
    ],
)
def test_a_reload_maps_anew_what_the_brake_kept_back_and_no_rule_could_map(
    words: list[bytes], outcomes: dict[Outcome, int]
) -> None:
    """What the API refused, and a record of which other events live, keep their dead letters."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)))
    bench.assign()
    bench.feed([record(offset, each) for offset, each in enumerate(words)])
    for call in bench.start():
        bench.answer(call, results(*["invalid" if event["w"] == "ex" else "ok" for event in call.events]))
    bench.write_dead_letters()
    assert Reason.BRAKE in bench.delivery.holds.on(SCOPE)
    operate.reload(bench.delivery, WordRules(2, mended=True))
    bench.settle()
    assert {each: n for each, n in bench.outcomes().items() if each is not Outcome.RELEASED} == outcomes
    bench.conserved()


def test_a_resume_sends_at_once_and_lifts_nothing_elsewhere() -> None:
    """What waited goes out in the same turn; of a partition that is not here nothing was lifted."""
    bench = Bench(Policy(linger=0.0, ordering="partition"))
    bench.assign(0)
    bench.assign(1, start=Start(0, hold="retention_gap"))
    bench.feed([record(0, partition=1)])
    assert bench.start() == []
    assert operate.resume(bench.delivery, (TOPIC, 9)) == []
    assert operate.resume(bench.delivery, SCOPE) == []
    assert bench.delivery.holds.on((TOPIC, 1))
    assert operate.resume(bench.delivery, (TOPIC, 1)) == [Reason.RETENTION_GAP]
    assert [call.offsets for call in bench.start()] == [[0]]


def test_what_cannot_be_done_is_declined_with_its_place_and_the_way_on() -> None:
    """Topic, partition and offset are those that were named."""
    bench = Bench(Policy(linger=0.0, batch_events=1))
    bench.assign(3)
    bench.feed([record(0, partition=3), record(1, b"d", partition=3)])
    bench.start()
    bench.collect()
    scope = (TOPIC, 3)

    def declined(*args: int) -> str:
        with pytest.raises(operate.Declined) as found:
            if len(args) == 1:
                operate.skip(bench.delivery, scope, args[0], "", bench.now_ms)
            else:
                operate.go_past(bench.delivery, scope, *args)
        return str(found.value)

    assert declined(7) == "t:3:7 is not unfinished here: nothing to skip"
    assert declined(0) == "t:3:0 is in a call right now: ask again when it was answered"
    assert declined(1) == "t:3:1 is on its way to the dead-letter topic already: nothing to skip"
    assert declined(1, 5).startswith(
        "1 records of t:3 before offset 1 have no outcome yet, the first at 0: wait for them"
    )
    assert declined(0, 5) == "t:3 is now read from offset 2 on: run the command again"
    assert declined(0, 0) == "t:3 is now read from offset 2 on: run the command again"
    scope = (TOPIC, 8)
    assert declined(0, 5) == "t:8 is not assigned to this process"
    assert declined(0) == "t:8:0 is not unfinished here: nothing to skip"


def test_one_goes_past_from_where_the_reader_stands_and_at_least_by_one() -> None:
    """The next offset to be read is the first that may be passed."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    bench.settle()
    with pytest.raises(operate.Declined, match="is now read from offset 2 on"):
        operate.go_past(bench.delivery, SCOPE, 2, 2)
    operate.go_past(bench.delivery, SCOPE, 2, 3)
    assert bench.collect() == [GoPast(TOPIC, 0, 1, 2, 3)]


class _Silent(WordRules):
    """What failed is of no interest any more: only events are left."""

    def mapper(self, topic: str) -> Mapper:
        words = super().mapper(topic)
        return lambda each: [made for made in words(each) if isinstance(made, Event)]


@pytest.mark.parametrize("word", [b"h e", b"e h"])
def test_a_record_that_halted_and_becomes_fewer_things_ends_with_those(word: bytes) -> None:
    """What it was to become before is forgotten with the rules that said so."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1, word)])
    bench.start()
    assert [hold.offset for hold in bench.delivery.holds.all()] == [1]
    operate.reload(bench.delivery, _Silent(2))
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 2}
    bench.conserved()


def test_a_halt_in_a_lane_that_waited_stops_there() -> None:
    """Behind the call that kept the lane busy the next record halts: nothing behind it goes, and the first halt counts."""
    bench = Bench(Policy(linger=0.0, batch_events=3))
    bench.assign()
    bench.feed([record(0, key=b"a")])
    (call,) = bench.start()
    bench.feed([record(offset, word, key=b"a") for offset, word in enumerate([b"e", b"h", b"e", b"h", b"e"], 1)])
    assert bench.start() == []
    bench.accept(call)
    assert [call.offsets for call in bench.start()] == [[1]]
    assert [(hold.reason, hold.offset) for hold in bench.delivery.holds.all()] == [(Reason.HALT, 2)]
    bench.accept(*bench.calls.values())
    assert bench.start() == []
    operate.reload(bench.delivery, WordRules(2, mended=True))
    bench.settle()
    assert bench.outcomes()[Outcome.DELIVERED] == 6


def test_behind_the_record_at_which_the_brake_holds_nothing_is_looked_at() -> None:
    """What no rule wants behind it ends when the brake is released, once."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=2)))
    bench.assign()
    bench.feed([record(0, b""), record(1, b"d"), record(2, b"d"), record(3, b""), record(4)])
    assert bench.start() == []
    assert bench.outcomes() == {Outcome.FILTERED: 1}
    operate.resume(bench.delivery, SCOPE)
    bench.settle()
    finished = {each: n for each, n in bench.outcomes().items() if each is not Outcome.RELEASED}
    assert finished == {Outcome.FILTERED: 2, Outcome.DEAD_LETTERED: 2, Outcome.DELIVERED: 1}
    bench.conserved()


def test_a_record_that_halts_and_is_too_old_to_repeat_is_held_by_its_rule() -> None:
    """Of several reasons at one record the rule's goes first; at an earlier one the earlier."""
    old = EPOCH_MS + 100_000 - 30 * HOUR_MS
    for words, expected in ((b"e h", (Reason.HALT, 1)), (b"e", (Reason.DEDUPE_EXPIRED, 1))):
        bench = Bench(Policy(linger=0.0, on_dedupe_expired="hold"))
        bench.assign(start=Start(0, send_limit=9, send_limit_at=old, steps=((0, old + 20 * HOUR_MS), (9, old))))
        bench.feed([record(0), record(1, words), record(2, b"h")])
        assert [call.offsets for call in bench.start()] == [[0]]
        assert [(hold.reason, hold.offset) for hold in bench.delivery.holds.all()] == [expected]


def test_no_more_batches_are_filled_than_calls_may_go() -> None:
    """What has no call yet stays raw, so that a reload, a hold or a revoke costs nothing."""
    bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=2, max_in_flight=2))
    bench.assign()
    bench.feed([record(offset) for offset in range(6)])
    assert len(bench.start()) == 2
    assert len(bench.part().lanes.unsent) == 4
    bench.accept(next(iter(bench.calls.values())))
    bench.start()
    assert len(bench.part().lanes.unsent) == 3


@pytest.mark.parametrize("split", [False, True])
def test_where_a_person_decides_on_one_partition_the_others_of_the_call_go_on(split: bool) -> None:
    """Of a call whose repeat is too late in two partitions one is resumed: it goes, unless halves keep an order."""
    bench = Bench(Policy(linger=0.0, on_dedupe_expired="hold"))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0)])
    bench.feed([record(offset, partition=1) for offset in range(3)])
    (call,) = bench.start()
    if split:
        bench.answer(call, refused(400))
        (call,) = bench.start()
    bench.answer(call, reply(0, error="timeout"))
    bench.pass_time(24 * 3_600.0)
    assert bench.start() == []
    operate.resume(bench.delivery, (TOPIC, 1))
    bench.pass_time(29.0)
    assert bench.start() == []
    bench.pass_time(1.0)
    assert [[event["p"] for event in call.events] for call in bench.start()] == ([] if split else [[1, 1, 1]])
    for each in list(bench.calls.values()):
        bench.accept(each)
    operate.resume(bench.delivery, SCOPE)
    bench.pass_time(30.0)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 4}
    bench.conserved()


def test_the_last_record_of_an_earlier_owner_is_asked_about_alone() -> None:
    """The very record at its send limit may be too old; the one behind it is not."""
    bench = Bench(Policy(linger=0.0, on_dedupe_expired="hold"))
    bench.assign(start=Start(0, send_limit=0, send_limit_at=bench.now_ms - 30 * HOUR_MS))
    bench.feed([record(0), record(1)])
    assert bench.start() == []
    assert [(hold.reason, hold.offset) for hold in bench.delivery.holds.all()] == [(Reason.DEDUPE_EXPIRED, 0)]


@pytest.mark.parametrize(("records", "paused"), [(9, False), (10, True)])
def test_reading_stops_at_the_span_and_goes_on_at_half_of_it(records: int, paused: bool) -> None:
    """Ten records between the watermark and the newest are as many as a span of ten allows."""
    bench = Bench(Policy(linger=0.0, span=10, batch_events=1, initial_in_flight=16))
    bench.assign()
    for offset in range(records):
        bench.feed([record(offset)])
    assert (Pause(TOPIC, 0, 1) in bench.collect()) is paused
    calls = bench.start()
    for number, call in enumerate(calls[:5], 1):
        bench.accept(call)
        bench.pass_time(1.0)
        assert (Resume(TOPIC, 0, 1) in bench.collect()) is (paused and records - number == 5)


def test_reading_stops_where_the_metadata_is_full_and_goes_on_at_half_of_it() -> None:
    """What is finished above the watermark has its room in the commit, to the last byte."""

    def stopped(room: int) -> tuple[bool, bool]:
        bench = Bench(Policy(linger=0.0, batch_events=1, initial_in_flight=16, metadata_bytes=room))
        bench.assign()
        bench.feed([record(offset) for offset in range(9)])
        calls = bench.start()
        for call in (calls[1], calls[3], calls[5], calls[7]):
            bench.accept(call)
        bench.pass_time(1.0)
        stops = Pause(TOPIC, 0, 1) in bench.collect()
        assert len(bench.progress().finished) == 15, bench.progress()
        for call in (calls[0], calls[2]):
            bench.accept(call)
        bench.pass_time(1.0)
        goes_on = Resume(TOPIC, 0, 1) in bench.collect()
        assert len(bench.progress().finished) == 7
        return stops, goes_on

    assert [stopped(room) for room in (13, 14, 15)] == [(True, False), (True, True), (False, False)]


def test_what_ended_is_told_ten_times_a_second_or_as_soon_as_it_is_much() -> None:
    """By default after a tenth of a second; at once where so many records ended as the policy says."""
    bench = Bench(Policy(linger=0.0, batch_events=1, progress_records=3))
    bench.assign()
    bench.feed([record(offset) for offset in range(9)])
    bench.pass_time(1.0)
    bench.collect()
    calls = bench.start()

    def told() -> int | None:
        found = [order for order in bench.collect() if isinstance(order, Progress)]
        assert all((order.delivered, order.finished) == (-1, "") for order in found), "nothing is finished above"
        return found[0].watermark if found else None

    bench.accept(calls[0])
    bench.accept(calls[1])
    assert told() is None
    at = bench.delivery.wake_at(bench.now)
    assert at == pytest.approx(bench.now + 0.1)
    bench.accept(calls[2])
    assert told() == 3
    bench.accept(calls[3])
    assert told() is None
    bench.now = bench.delivery.reading.next_at() or 0.0
    assert told() == 4


def test_what_is_given_back_is_as_old_as_the_first_of_it() -> None:
    """While it is not read again its time is told: that of the oldest record without an outcome."""
    bench = Bench()
    bench.assign()
    bench.say(0, paused=True)
    bench.feed([PlainRecord(TOPIC, 0, offset, b"e", timestamp=EPOCH_MS + offset) for offset in range(3)])
    bench.collect()
    assert GiveBack(TOPIC, 0, 1, 0) in bench.orders
    assert bench.part().ledger.oldest_ms() == EPOCH_MS


@pytest.mark.parametrize("late_ms", [0, 1])
@pytest.mark.parametrize("own", [True, False])
def test_a_repeat_goes_until_twenty_three_hours_and_not_a_moment_longer(own: bool, late_ms: int) -> None:
    """Counted from its first attempt that may have been applied, by this process or an earlier owner."""
    bench = Bench()
    first_ms = bench.now_ms
    bench.assign(start=Start(0) if own else Start(0, send_limit=0, send_limit_at=first_ms))
    if own:
        bench.feed([record(0)])
        (call,) = bench.start()
        bench.answer(call, reply(0, error="timeout"))
    bench.pass_time(23 * 3_600.0 + late_ms / 1_000)
    assert bench.now_ms - first_ms == 23 * HOUR_MS + late_ms
    if not own:
        bench.feed([record(0)])
    assert len(bench.start()) == 1 - late_ms
    assert len(bench.write_dead_letters()) == late_ms


@pytest.mark.parametrize("old", ["expired", "late"])
def test_what_may_not_go_out_any_more_takes_no_room_in_a_call(old: str) -> None:
    """The call is full of what goes out."""
    bench = Bench(Policy(linger=0.0, batch_events=2))
    at = bench.now_ms - 30 * HOUR_MS
    bench.assign(start=Start(0, send_limit=0, send_limit_at=at) if old == "late" else Start(0))
    bench.feed([record(0, b"t5" if old == "expired" else b"e"), record(1), record(2)])
    assert [call.offsets for call in bench.start()] == [[1, 2]]
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 2, Outcome.EXPIRED if old == "expired" else Outcome.DEAD_LETTERED: 1}


def test_what_was_refused_for_the_set_up_goes_at_once_when_that_is_right() -> None:
    """It waited for no back-off of its own."""
    bench = Bench(Policy(linger=0.0, batch_events=1))
    bench.assign()
    bench.feed([record(0), record(1)])
    first, second = bench.start()
    bench.answer(first, refused(401))
    bench.accept(second)
    assert [call.offsets for call in bench.start()] == [[0]]


def test_a_pause_that_is_said_again_is_no_news() -> None:
    """The book is read again and again: who watches the holds is told once that it began."""
    bench = Bench()
    bench.assign()
    assert not bench.delivery.kafka.joined, "nobody said so yet"
    bench.say(0, paused=True)
    assert [began for _, began in bench.delivery.holds.news()] == [True]
    operate.keep_to_pauses(bench.delivery, bench.delivery.pauses)
    assert bench.delivery.holds.news() == []
