"""The storm guard: too many events of one rule for one person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from bridge.delivery import operate
from bridge.delivery.admission import Reason
from bridge.delivery.guards import StormGuard
from bridge.delivery.policy import Policy, StormLimits
from bridge.flow import Event, Outcome, PlainRecord
from bridge.service.wiring import policy_of
from bridge.settings.model import Settings
from tests.delivery.bench import EPOCH_MS, TOPIC, Bench
from tests.delivery.words import WordRules

HOUR = 3_600_000


def event(n: int, who: str = "ann", rule: str = "r") -> Event:
    return Event(rule, "ev", who, f"k{n}", b"{}", None)


def test_the_limit_is_per_rule_recipient_and_span() -> None:
    """Three within an hour may go, the fourth not; another person, another rule and an hour later do not care."""
    guard = StormGuard(StormLimits(3, HOUR))
    assert [guard.admits(event(n), n) for n in range(4)] == [True, True, True, False]
    assert guard.admits(event(10, "bob"), 5)
    assert guard.admits(event(11, rule="other"), 5)
    assert not guard.admits(event(12), HOUR - 1)
    assert guard.admits(event(13), HOUR)
    assert not guard.admits(event(14), HOUR)


def test_what_was_let_through_is_let_through_again() -> None:
    """A record that is read and mapped again after a reload, or when given back, is not counted twice."""
    guard = StormGuard(StormLimits(2, HOUR))
    for _ in range(3):
        assert guard.admits(event(1), 1)
        assert guard.admits(event(2), 2)
        assert not guard.admits(event(3), 3)


def test_a_catch_up_is_no_storm() -> None:
    """Records that are far apart in their own time pass, however fast they are read."""
    guard = StormGuard(StormLimits(1, HOUR))
    assert all(guard.admits(event(n), n * HOUR) for n in range(1_000))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 100)), max_size=200), st.integers(1, 5))
def test_memory_is_bounded_and_no_span_has_too_many(arrivals: list[tuple[int, int]], limit: int) -> None:
    """Whatever the order, in no span that ends at an admitted event more than the limit were admitted before it."""
    guard = StormGuard(StormLimits(limit, 10), most=5)
    free = StormGuard(StormLimits(limit, 10))
    admitted: dict[int, list[int]] = {}
    for number, (who, at) in enumerate(arrivals):
        guard.admits(event(number, f"p{who}"), at)
        assert sum(map(len, guard._seen.values())) == guard._kept
        assert guard._kept <= 5 or len(guard._seen) == 1
        mine = admitted.setdefault(who, [])
        if free.admits(event(number, f"p{who}"), at):
            assert sum(at - 10 < other <= at for other in mine if other > max(mine) - 20) < limit
            mine.append(at)


def _bench(action: str, events: int = 3) -> Bench:
    bench = Bench(Policy(linger=0.0, storm=StormLimits(events, HOUR, action)))  # type: ignore[arg-type]
    bench.assign()
    return bench


def _records(*spans: tuple[int, int]) -> list[PlainRecord]:
    return [PlainRecord(TOPIC, 0, offset, b"e", timestamp=EPOCH_MS + at) for offset, at in spans]


def test_a_storm_goes_to_the_dead_letter_topic_as_such() -> None:
    """Above the limit an event becomes a dead letter of class storm, never sent; what comes an hour later is sent."""
    bench = _bench("dead_letter")
    bench.feed(_records(*((n, n) for n in range(6)), (6, HOUR + 100)))
    sent = [offset for call in bench.start() for offset in call.offsets]
    assert sent == [0, 1, 2, 6]
    letters = bench.write_dead_letters()
    assert [letter.record.offset() for letter in letters] == [3, 4, 5]
    headers = dict(letters[0].headers)
    assert (headers["bridge.class"], headers["bridge.stage"], headers["bridge.rule"]) == (
        b"storm",
        b"deliver",
        b"words",
    )
    assert headers["bridge.item"] == b"0"
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 4, Outcome.DEAD_LETTERED: 3}
    bench.conserved()


@pytest.mark.parametrize("ahead", [HOUR * 12, EPOCH_MS * 999, (1 << 63) - 1 - EPOCH_MS])
def test_a_record_of_the_future_does_not_switch_the_guard_off(ahead: int) -> None:
    """A producer whose clock is ahead, or that counts in microseconds: the records beside it are counted as ever."""
    bench = _bench("dead_letter")
    bench.feed(_records(*((2 * n, n) for n in range(3))))
    bench.feed(_records((6, ahead), *((7 + n, 3 + n) for n in range(6))))
    bench.start()
    letters = {letter.record.offset() for letter in bench.write_dead_letters()}
    assert letters >= {10, 11, 12}


def test_a_storm_can_hold_instead_until_a_person_says_go_on() -> None:
    """With `hold` the partition stops at that record, nothing is lost, and resume counts anew."""
    bench = _bench("hold", events=2)
    bench.feed(_records(*((n, n) for n in range(5))))
    for call in bench.start():
        bench.accept(call)
    bench.collect()
    (hold,) = bench.delivery.holds.all()
    assert (hold.reason, hold.offset) == (Reason.STORM, 2)
    assert not bench.start()
    assert operate.resume(bench.delivery, (TOPIC, 0)) == [Reason.STORM]
    for _ in range(3):
        bench.collect()
        bench.read_again()
        for call in bench.start():
            bench.accept(call)
        if bench.delivery.holds.all():
            assert [hold.offset for hold in bench.delivery.holds.all()] == [4], "it counts anew, and holds anew"
            operate.resume(bench.delivery, (TOPIC, 0))
    bench.settle()
    assert bench.outcomes()[Outcome.DELIVERED] == 5
    bench.conserved()


def test_a_fan_out_loses_only_what_is_too_much() -> None:
    """Of a record with several events for one person the first ones go out, the others are dead-lettered."""
    bench = _bench("dead_letter", events=2)
    bench.feed([PlainRecord(TOPIC, 0, 0, b"e e e", timestamp=EPOCH_MS)])
    (call,) = bench.start()
    assert len(call.events) == 2
    bench.accept(call)
    (letter,) = bench.write_dead_letters()
    assert dict(letter.headers)["bridge.item"] == b"2"
    bench.settle()
    assert bench.outcomes() == {Outcome.DEAD_LETTERED: 1}


@pytest.mark.parametrize("storm", [None, StormLimits(1_000, HOUR)])
def test_without_a_storm_everything_goes_its_way(storm: StormLimits | None) -> None:
    """The guard changes nothing while nobody gets too much."""
    bench = Bench(Policy(linger=0.0, storm=storm))
    bench.assign()
    bench.feed(_records(*((n, n) for n in range(50))))
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 50}


def test_the_settings_switch_it_on() -> None:
    """`delivery.storm` becomes the limits that the guard goes by; without it there is no guard, and all is as by default."""
    base: dict[str, Any] = {
        "kafka": {"bootstrap_servers": ("b:1",), "topics": ("t",), "group_id": "g", "dead_letter_topic": "d"},
        "suprsend": {"workspace_key": "a-workspace-key-of-20-chars", "workspace_secret": "a-secret-of-the-workspace"},
    }
    assert policy_of(Settings.model_validate(base)) == Policy(), "what nobody chose is said in two places"
    chosen = base | {"delivery": {"storm": {"events": 20, "per": "1h", "action": "hold"}}}
    assert policy_of(Settings.model_validate(chosen)).storm == StormLimits(20, HOUR, "hold")


def test_what_waits_in_front_of_the_record_that_holds_is_not_given_back() -> None:
    """A reload takes a record out of its open call again, before the one that holds: they go out in their order."""
    policy = Policy(linger=60.0, ordering="partition", storm=StormLimits(1, HOUR, "hold"))
    bench = Bench(policy)
    bench.assign()
    bench.feed(_records((0, 0), (1, 1), (2, 2)))
    assert bench.start() == []
    assert [hold.offset for hold in bench.delivery.holds.all()] == [1]
    operate.reload(bench.delivery, WordRules(2))
    bench.collect()
    assert operate.resume(bench.delivery, (TOPIC, 0)) == [Reason.STORM]
    sent: list[int] = []
    for _ in range(6):
        bench.collect()
        bench.read_again()
        bench.pass_time(60.0)
        for call in bench.start():
            sent += call.offsets
            bench.accept(call)
        if bench.delivery.holds.all():
            operate.resume(bench.delivery, (TOPIC, 0))
    bench.settle()
    assert sent == [0, 1, 2]
    bench.conserved()


@pytest.mark.parametrize(
    ("stamps", "sent"),
    [
        ((0, EPOCH_MS + 100_000), [0, 1]),
        ((-1, EPOCH_MS + 100_000), [0]),
        ((EPOCH_MS + 100_000 + 24 * HOUR, EPOCH_MS + 100_000), [0, 1]),
        ((EPOCH_MS + 100_000 + 24 * HOUR + 1, EPOCH_MS + 100_000), [0]),
    ],
)
def test_a_time_is_taken_for_none_where_there_is_none_or_it_is_more_than_a_day_ahead(
    stamps: tuple[int, int], sent: list[int]
) -> None:
    """Then the clock counts, so that both are of one hour; 1970 and a day ahead are times like any other."""
    bench = _bench("dead_letter", events=1)
    assert bench.now_ms == EPOCH_MS + 100_000
    bench.feed([PlainRecord(TOPIC, 0, offset, b"e", timestamp=at) for offset, at in enumerate(stamps)])
    assert [offset for call in bench.start() for offset in call.offsets] == sent


@pytest.mark.parametrize(("word", "storms"), [(b"t0", 1), (b"t-1", 0)])
def test_what_nobody_wants_any_more_counts_for_no_storm_and_what_goes_out_does(word: bytes, storms: int) -> None:
    """An event may go out in the very millisecond in which it expires."""
    bench = _bench("dead_letter", events=1)
    bench.feed([PlainRecord(TOPIC, 0, offset, word, timestamp=bench.now_ms) for offset in range(2)])
    bench.start()
    assert len(bench.write_dead_letters()) == storms
    assert bench.outcomes().get(Outcome.EXPIRED, 0) == 2 - 2 * storms


def test_a_hold_for_a_storm_says_how_many_are_too_many_and_another_reason_goes_first() -> None:
    """The record that holds also halts: the rule's word on it counts, and no event of it was sent."""
    bench = _bench("hold", events=2)
    bench.feed([PlainRecord(TOPIC, 0, offset, b"e", timestamp=EPOCH_MS) for offset in range(3)])
    bench.start()
    (hold,) = bench.delivery.holds.all()
    assert hold.detail == "rule words: more than 2 events for one recipient in 3600 s"
    bench = _bench("hold", events=1)
    bench.feed([PlainRecord(TOPIC, 0, 0, b"e"), PlainRecord(TOPIC, 0, 1, b"e h"), PlainRecord(TOPIC, 0, 2, b"e e e")])
    assert [call.offsets for call in bench.start()] == [[0]]
    assert [(hold.reason, hold.offset) for hold in bench.delivery.holds.all()] == [(Reason.HALT, 1)]


def test_of_a_fan_out_that_is_held_nothing_is_sent() -> None:
    """The first event would be one of those allowed: the record waits as a whole, and goes out as a whole."""
    bench = _bench("hold", events=2)
    bench.feed(
        [PlainRecord(TOPIC, 0, 0, b"e", timestamp=EPOCH_MS), PlainRecord(TOPIC, 0, 1, b"e e e", timestamp=EPOCH_MS)]
    )
    assert [call.offsets for call in bench.start()] == [[0]]
    assert [(hold.reason, hold.offset) for hold in bench.delivery.holds.all()] == [(Reason.STORM, 1)]


def test_whoever_was_not_heard_of_for_longest_is_forgotten_first() -> None:
    """Two are remembered: the third makes the first one new; one person alone is remembered whatever the room."""
    guard = StormGuard(StormLimits(1, HOUR), most=2)
    for _ in range(2):
        assert all(guard.admits(event(n, who), 0) for n, who in enumerate(("ann", "bob", "cid")))
        assert [guard.admits(event(n, who), 0) for n, who in ((10, "cid"), (11, "bob"), (12, "ann"))] == [
            False,
            False,
            True,
        ]
        guard.reset()
    alone = StormGuard(StormLimits(10, HOUR), most=5)
    assert sum(alone.admits(event(n), n) for n in range(20)) == 10


@pytest.mark.parametrize(("later", "remembered"), [(2 * HOUR - 1, True), (2 * HOUR, False)])
def test_what_is_twice_the_span_behind_matters_no_more(later: int, remembered: bool) -> None:
    """So far apart partitions may be read; what lies behind that is counted anew."""
    guard = StormGuard(StormLimits(1, HOUR))
    assert guard.admits(event(0), 0)
    assert guard.admits(event(1), later)
    assert guard.admits(event(2), 1) is not remembered
