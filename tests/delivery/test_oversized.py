"""Calls that something on the way finds too large."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.delivery import operate
from bridge.delivery.admission import Reason
from bridge.delivery.policy import Policy
from bridge.flow import Outcome, Reply, Start
from tests.delivery.bench import EPOCH_MS, TOPIC, Bench, Call, dead_offsets, record, refused, reply, results

HTML = b"<html><head><title>413 Request Entity Too Large</title></head></html>"
SCOPE = (TOPIC, 0)


def _box(limit: int, call: Call) -> Reply:
    """A box in front of an API that accepts everything."""
    return reply(413, HTML) if len(call.body) > limit else results(*["ok"] * len(call.events))


def _pass(bench: Bench, limit: int, rounds: int = 30) -> list[list[int]]:
    sent = []
    for _ in range(rounds):
        for call in bench.start():
            sent.append(call.offsets)
            bench.answer(call, _box(limit, call))
        bench.pass_time(1.0)
    return sent


def test_a_page_with_413_halves_a_batch_until_it_passes_and_nothing_is_dead_lettered() -> None:
    """Each event goes out in a smaller call; nothing is held, no dead letter is written."""
    bench = Bench()
    bench.assign()
    bench.feed([record(offset) for offset in range(8)])
    sent = _pass(bench, limit=500)
    assert sent[0] == list(range(8))
    assert max(map(len, sent[-2:])) < 8
    assert bench.write_dead_letters() == []
    assert not bench.delivery.holds.all()
    assert bench.outcomes() == {Outcome.DELIVERED: 8}


def test_one_event_that_is_too_large_for_a_box_holds_its_partition_alone() -> None:
    """The events of other partitions in the same batch go out; the hold names status, size and settings, and heals."""
    bench = Bench(Policy(linger=0.0, probe_interval=30.0))
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, key=b"a"), record(1, key=b"b"), record(2, key=b"a")])
    bench.feed([record(offset, key=b"a", partition=1) for offset in range(3)])
    culprit: set[tuple[int, int]] = {(0, 0)}
    seen: list[Any] = []

    def box(call: Call) -> Reply:
        places = {(event["p"], event["o"]) for event in call.events}
        seen.append(places)
        return reply(413, HTML) if places & culprit else results(*["ok"] * len(call.events))

    for _ in range(20):
        for call in bench.start():
            bench.answer(call, box(call))
        bench.collect()
        bench.pass_time(1.0)
    (hold,) = bench.delivery.holds.all()
    assert (hold.reason, hold.scope, hold.offset) == (Reason.OVERSIZED, SCOPE, 0)
    for word in ("413", "bytes", "delivery.batch_bytes", "suprsend.max_event_bytes", "a page"):
        assert word in hold.detail
    assert bench.outcomes() == {Outcome.DELIVERED: 4}
    assert not bench.delivery.admission.closed(0, bench.now)
    assert bench.write_dead_letters() == []
    culprit.clear()
    bench.pass_time(30.0)
    bench.settle()
    assert not bench.delivery.holds.all()
    assert bench.outcomes()[Outcome.DELIVERED] == 6


def test_what_gets_through_and_fails_holds_its_partition_no_more() -> None:
    """SuprSend's own word on the event shows that nothing on the way minds its size: the others go on, it is stuck."""
    bench = Bench(Policy(linger=0.0, stuck_attempts=5, stuck_seconds=20.0))
    bench.assign()
    bench.feed([record(0, key=b"a")])
    (call,) = bench.start()
    bench.answer(call, reply(413, HTML))
    assert Reason.OVERSIZED in bench.delivery.holds.on(SCOPE)
    for offset in range(1, 60):
        bench.feed([record(offset, key=b"b")])
        for call in bench.start():
            bench.answer(call, results(*["transient" if each == 0 else "ok" for each in call.offsets]))
        bench.pass_time(10.0)
    assert not bench.delivery.holds.all()
    assert dead_offsets(bench.write_dead_letters()) == [0]
    assert bench.outcomes() == {Outcome.DELIVERED: 59, Outcome.DEAD_LETTERED: 1}


def test_a_skip_is_the_way_past_what_is_too_large() -> None:
    """The record becomes a dead letter because a person says so, and its partition goes on."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    for _ in range(4):
        for call in bench.start():
            bench.answer(call, reply(413, HTML) if 0 in call.offsets else results("ok"))
        bench.pass_time(0.1)
    assert Reason.OVERSIZED in bench.delivery.holds.on(SCOPE)
    operate.skip(bench.delivery, SCOPE, 0, "too large for the proxy", bench.now_ms)
    assert dead_offsets(bench.write_dead_letters()) == [0]
    assert not bench.delivery.holds.all()
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1, Outcome.DEAD_LETTERED: 1}


@pytest.mark.parametrize("expired", ["dead_letter", "hold"])
def test_what_is_too_large_is_never_a_dead_letter_by_itself(expired: Any) -> None:
    """After a day behind a box, which may have handed it on, a person decides: it is not sent and not put aside."""
    bench = Bench(Policy(linger=0.0, on_dedupe_expired=expired))
    bench.assign()
    bench.feed([record(0)])
    for _ in range(50):
        for call in bench.start():
            bench.answer(call, reply(413, HTML))
        bench.pass_time(3_600.0)
    assert bench.write_dead_letters() == []
    assert {hold.reason for hold in bench.delivery.holds.all()} == {Reason.OVERSIZED, Reason.DEDUPE_EXPIRED}
    assert bench.start() == []
    operate.resume(bench.delivery, SCOPE)
    bench.pass_time(60.0)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 1}


def test_suprsends_own_413_of_one_event_is_a_dead_letter() -> None:
    """SuprSend itself says that the event is too large: class `too_large`, no hold."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    for _ in range(4):
        for call in bench.start():
            bench.answer(call, refused(413) if 1 in call.offsets else results("ok"))
    (letter,) = bench.write_dead_letters()
    assert (letter.record.offset(), dict(letter.headers)["bridge.class"]) == (1, b"too_large")
    assert not bench.delivery.holds.all()


def test_a_box_that_takes_no_large_call_does_not_lift_a_hold_of_everything() -> None:
    """A page says nothing of whether the set-up was mended."""
    bench = Bench()
    bench.assign(start=Start(0, send_limit=0, send_limit_at=EPOCH_MS + int(bench.now * 1000)))
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.answer(call, reply(403, HTML))
    bench.pass_time(60.0)
    (probe,) = bench.start()
    bench.answer(probe, reply(413, HTML))
    assert Reason.SETUP in bench.delivery.holds.on(None)
