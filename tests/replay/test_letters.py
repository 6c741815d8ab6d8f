"""Dead letters read back: what is in them, what they become under today's rules, and with which key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from bridge.delivery.dead_letter_headers import UNREADABLE_HEADERS, Rejected, dead_letter_headers, skipped_headers
from bridge.flow import UNREADABLE, Event, Fault, Headers, Mapped, PlainRecord, Record, Stage
from bridge.replay.idempotency_keys import rekeyed, renewed
from bridge.replay.letter import Letter, RecordPlace, ReplayMark, Result, again, mark_headers, read
from bridge.replay.plan import Limits, Rules, planned
from bridge.replay.progress import Open
from bridge.replay.replay import Replay
from bridge.replay.wanted import Wanted
from bridge.rules.map.key import derived_insert_id
from bridge.suprsend.event import event_body
from tests.by_record import partition

NOW = 1_700_000_000_000
HOUR = 3_600_000
LIMITS = Limits(23 * HOUR)


def event(item: int = 0, *, rule: str = "r", key: str = "", expires: int | None = None) -> Event:
    made = key or f"key-{rule}-{item}"
    body = event_body(
        insert_id=derived_insert_id(made), time_ms=NOW, name="ev", env="e", distinct_id=f"p{item}",
        properties={"n": 1e-07, "deep": {"a": 1, "$idempotency_key": made}}, key=made, tenant="t",
    )  # fmt: skip
    return Event(rule, "ev", f"p{item}", made, body, expires)


def fault(
    item: int | None = None, *, rule: str | None = "r", stage: Stage = Stage.MAP, on_error: Any = "dead_letter"
) -> Fault:
    return Fault(rule, stage, "wrong_type", "no", item, on_error)


def rules(*mapped: Event | Fault, names: tuple[str, ...] = ("r",)) -> Rules:
    return Rules(lambda record: mapped, frozenset(names), "today")


class Kept:
    """Implements `replay.replay.Box`: keeps the new letters."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def original(self, found: Letter) -> Letter:
        return found

    def write(self, found: Letter, headers: Headers, *, mark: bool) -> None:
        new = read(PlainRecord("dead", 0, 8, None if mark else found.record.value(), headers=headers))
        assert isinstance(new, ReplayMark if mark else Letter)
        if isinstance(new, Letter):
            self.letters.append(new)

    def settle(self, letters: Sequence[Letter]) -> None:
        pass


def source(value: bytes | None = b"v", headers: Any = None) -> PlainRecord:
    return PlainRecord("orders", 3, 42, value, key=b"k", timestamp=NOW - HOUR, headers=headers)


def letter(
    cause: str = "mapping",
    stage: Stage = Stage.MAP,
    *,
    mapped: Mapped = (),
    of: Event | None = None,
    headers: Any = None,
    **more: Any,
) -> Letter:
    """A letter as the bridge writes it, read back."""

    def mapper(_: Record) -> Mapped:
        return mapped

    part = partition(("orders", 3), mapper)
    rejected = Rejected(
        part,
        source(headers=headers),
        **({"rule": "r", "message": "m"} | more),
        stage=stage,
        cause=cause,
        code="c",
        event=of,
    )
    written = dead_letter_headers(rejected, version="1", rules_hash="h")
    found = read(PlainRecord("dead", 0, 7, b"v", key=b"k", headers=[*(headers or ()), *written]))
    assert isinstance(found, Letter)
    return found


def test_a_letter_gives_back_the_original_and_the_reason() -> None:
    """Everything that the bridge says of a dead letter is read back, and the record is the one that was read."""
    mine = [("trace", b"\x00"), ("nothing", None)]
    found = letter(
        "invalid",
        Stage.DELIVER,
        of=event(1),
        mapped=(event(0), event(1)),
        headers=mine,
        attempts=3,
        first_ms=5,
        last_ms=9,
    )
    assert (found.rule, found.item, found.event, found.key) == ("r", 1, "ev", "key-r-1")
    assert (found.stage, found.cause, found.code, found.message) == ("deliver", "invalid", "c", "m")
    assert (found.attempts, found.first_ms, found.last_ms, found.replays) == (3, 5, 9, 0)
    record = found.record
    assert (record.topic(), record.partition(), record.offset(), record.timestamp()[1]) == ("orders", 3, 42, NOW - HOUR)
    assert (record.key(), record.value(), record.headers()) == (b"k", b"v", mine)


def test_headers_that_a_record_brought_itself_change_nothing() -> None:
    """A record with `bridge.*` headers of its own cannot make its letter say something else."""
    forged = [
        ("bridge.stage", b"map"),
        ("bridge.rule", b"other"),
        ("bridge.source.topic", b"secret"),
        ("bridge.replays", b"9"),
    ]
    found = letter("decode", Stage.DECODE, headers=forged, rule=None)
    assert (found.rule, found.replays, found.record.topic()) == (None, 0, "orders")
    assert found.record.headers() == forged


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["bridge.stage", "bridge.source.topic", "bridge.source.offset", "bridge.item", "x"]),
            st.none() | st.binary(max_size=30),
        ),
        max_size=9,
    ),
    st.none() | st.binary(max_size=9),
)
def test_reading_is_total(headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
    """Whatever stands in the topic, reading it raises nothing."""
    read(PlainRecord("dead", 0, 0, value, headers=headers))


def test_a_reference_must_lie_in_the_empty_letter_of_its_record() -> None:
    """Too large an original is known by size and digest; a record with a value is never taken for one."""
    facts = [(f"bridge.reference.{name}", b"7") for name in ("topic", "partition", "offset", "bytes", "sha256")]
    written = letter().headers
    as_reference = read(PlainRecord("dead", 0, 7, None, headers=[*facts, *written]))
    assert isinstance(as_reference, Letter)
    assert as_reference.reference is not None
    assert as_reference.reference.size == 7
    with_value = read(PlainRecord("dead", 0, 7, b"v", headers=[*facts, *written]))
    assert isinstance(with_value, Letter)
    assert with_value.reference is None


def test_a_mark_names_its_letter() -> None:
    """What a replay did is noted beside the letter, and is no letter itself."""
    found = letter()
    mark = read(PlainRecord("dead", 0, 9, None, headers=mark_headers(found, Result.ACCEPTED, at_ms=5, version="1")))
    assert mark == ReplayMark(RecordPlace("dead", 0, 7), "accepted", 5)


def test_only_the_item_that_failed_is_sent() -> None:
    """Of a fan-out whose second item failed, the second event of today's rule is sent and nothing else."""
    plan = planned(letter(item=1), rules(event(0), event(1), event(2), event(0, rule="other")), LIMITS, NOW)
    assert [(item, each.recipient) for item, each in plan.events] == [(1, "p1")]
    assert plan.faults == ()


def test_a_letter_of_one_event_is_found_by_its_item_also_where_the_key_changed() -> None:
    """A rule that makes another key today still sends the same item, under the key that it had."""
    found = letter("stuck", Stage.DELIVER, of=event(1), mapped=(event(0), event(1)), first_ms=NOW - HOUR)
    plan = planned(found, rules(event(0, key="n0"), event(1, key="n1")), LIMITS, NOW)
    assert [(each.recipient, each.key) for _, each in plan.events] == [("p1", "key-r-1")]
    assert json.loads(plan.events[0][1].body)["$idempotency_key"] == "key-r-1"


def test_an_event_without_an_item_is_found_by_its_key_or_left() -> None:
    """Where the letter names no item, several events and none with its key: it stays, with the reason."""
    found = letter("stuck", Stage.DELIVER, of=event(1), mapped=(), first_ms=NOW)
    assert found.item is None
    by_key = planned(found, rules(event(0), event(1)), LIMITS, NOW)
    assert [each.recipient for _, each in by_key.events] == ["p1"]
    assert planned(found, rules(event(0, key="a"), event(1, key="b")), LIMITS, NOW).kept is not None


@pytest.mark.parametrize(("cause", "stage"), [("decode", Stage.DECODE), ("unmatched", Stage.UNMATCHED)])
def test_where_no_rule_was_reached_all_rules_of_the_topic_run(cause: str, stage: Stage) -> None:
    """A record that could not be decoded, or that no rule wanted, becomes what all of today's rules make of it."""
    plan = planned(letter(cause, stage, rule=None), rules(event(0), event(0, rule="s")), LIMITS, NOW)
    assert [each.rule for _, each in plan.events] == ["r", "s"]


def test_of_a_topic_that_several_files_read_only_those_that_failed_run() -> None:
    """What another file made of the record went out then: it does not again, nor does its failure become a letter."""
    files = {"r": "orders.yaml", "s": "audit.yaml"}
    unread = Fault(None, Stage.DECODE, "not_json", "no", None, "dead_letter", ("orders.yaml",))
    found = letter("decode", Stage.DECODE, rule=None, files=("orders.yaml",))
    assert found.files == ("orders.yaml",)
    both = replace(rules(event(0), event(0, rule="s"), names=("r", "s")), files=files)
    assert [each.rule for _, each in planned(found, both, LIMITS, NOW).events] == ["r"]
    still = replace(rules(unread, event(0, rule="s"), names=("r", "s")), files=files)
    plan = planned(found, still, LIMITS, NOW)
    assert (plan.events, plan.faults) == ((), (unread,))
    other = planned(letter(rule="s"), still, LIMITS, NOW)
    assert ([each.rule for _, each in other.events], other.faults) == (["s"], ())
    filtered = replace(rules(unread, names=("r", "s")), files=files)
    assert planned(letter(rule="s"), filtered, LIMITS, NOW).faults == ()
    gone = replace(rules(event(0, rule="s"), names=("s",)), files={"s": "audit.yaml"})
    assert planned(found, gone, LIMITS, NOW).kept == "there is no rule file orders.yaml today"
    renewed_headers = again(found, replays=1, files=unread.files)
    new = read(PlainRecord("dead", 0, 9, b"v", headers=renewed_headers))
    assert isinstance(new, Letter)
    assert new.files == ("orders.yaml",)


def test_names_of_files_that_do_not_fit_into_a_header_are_left_out_whole() -> None:
    """Half a list would run too few files, and lose what the others are to send."""
    many = tuple(f"{number:0200}.yaml" for number in range(10))
    assert letter("decode", Stage.DECODE, rule=None, files=many).files == ()
    for size, told in ((1_024, True), (1_025, False)):
        names = ("a.yaml", "b" * (size - len("a.yaml/")))
        assert letter("decode", Stage.DECODE, rule=None, files=names).files == (names if told else ())


def test_a_long_message_is_cut_to_what_a_header_takes() -> None:
    """1,024 bytes of it are kept, and what it has besides is not told."""
    assert letter(message="é" * 512).message == "é" * 512
    assert letter(message="x" + "y" * 1_023 + "z").message == "x" + "y" * 1_023


def test_what_was_never_sent_has_no_attempts() -> None:
    """A record that no call carried says so, and so does one that an operator skipped without a bridge that runs."""
    assert (letter().attempts, letter().item, letter().key) == (0, None, None)
    headers = skipped_headers(source(), "it is damaged", NOW, "1")
    found = read(PlainRecord("dead", 0, 7, b"v", key=b"k", headers=list(headers)))
    assert isinstance(found, Letter)
    assert (found.attempts, found.cause, found.message) == (0, "skipped_by_operator", "it is damaged")
    assert (found.record.offset(), found.record.timestamp()[1], found.last_ms) == (42, NOW - HOUR, NOW)


def test_headers_that_could_not_be_read_are_said_to_be_missing() -> None:
    """Behind all others, of a dead letter as of a record that was skipped; where they could be read nothing says so."""
    for headers, told in ((UNREADABLE, True), ([("trace", b"1")], False)):
        part = partition(("orders", 3), lambda _: ())
        rejected = Rejected(part, source(headers=headers), "r", Stage.MAP, "mapping", "c", "m")
        written = dead_letter_headers(rejected, version="1", rules_hash="h")
        skipped = skipped_headers(source(headers=headers), "it is damaged", NOW, "1")
        assert [UNREADABLE_HEADERS in each for each in (written, skipped)] == [told, told]
        assert [each[-1] == UNREADABLE_HEADERS for each in (written, skipped)] == [told, told]


def test_an_event_that_todays_rules_do_not_make_any_more_has_no_item() -> None:
    """Its letter is found by its key alone; events of other rules and items that failed are counted past."""
    mapped = (event(0, rule="s"), fault(0), event(1), event(2))
    assert letter("invalid", Stage.DELIVER, of=event(2), mapped=mapped).item == 2
    assert letter("invalid", Stage.DELIVER, of=event(1), mapped=mapped).item == 1
    assert letter("invalid", Stage.DELIVER, of=event(5), mapped=mapped).item is None
    others = (fault(0, rule="s"), event(0), event(1))
    assert letter("invalid", Stage.DELIVER, of=event(0), mapped=others).item == 0


def test_what_fails_again_is_a_fault_and_what_nobody_wants_any_more_ends() -> None:
    """Faults of the rule go into new letters; nothing, a skip and too old are ends of their own."""
    assert planned(letter(), rules(fault()), LIMITS, NOW).faults
    assert planned(letter(), rules(fault(on_error="halt")), LIMITS, NOW).faults
    for mapped, end in (
        ((), "filtered"),
        ((fault(on_error="drop"),), "filtered"),
        ((fault(on_error="skip"),), "skipped"),
    ):
        plan = planned(letter(), rules(*mapped), LIMITS, NOW)
        assert (plan.events, plan.faults, plan.quiet) == ((), (), end)
    plan = planned(letter(), rules(event(expires=NOW - 1)), LIMITS, NOW)
    assert (plan.events, plan.quiet) == ((), "expired")


def test_a_rule_that_no_longer_wants_the_record_is_no_failure() -> None:
    """That no rule takes the record is news only for a letter that said so before."""
    unmatched = fault(rule=None, stage=Stage.UNMATCHED)
    assert planned(letter(), rules(unmatched), LIMITS, NOW).faults == ()
    assert planned(letter("unmatched", Stage.UNMATCHED, rule=None), rules(unmatched), LIMITS, NOW).faults


def test_letters_stay_whose_rule_is_gone_or_that_were_replayed_too_often() -> None:
    """Both stay as they are, and why is said."""
    assert "no rule r" in (planned(letter(), rules(names=()), LIMITS, NOW).kept or "")
    often = read(PlainRecord("dead", 0, 7, b"v", headers=again(letter(), replays=10)))
    assert isinstance(often, Letter)
    assert "10 times" in (planned(often, rules(event()), LIMITS, NOW).kept or "")


@pytest.mark.parametrize(
    ("cause", "hours", "sent"),
    [
        ("stuck", 22, True),
        ("stuck", 24, False),
        ("skipped_by_operator", 22, True),
        ("skipped_by_operator", 24, False),
        ("dedupe_expired", 1, False),
        ("storm", 99, True),
        ("invalid", 99, True),
    ],
)
def test_what_may_have_been_sent_too_long_ago_needs_consent(cause: str, hours: int, sent: bool) -> None:
    """An event that may have reached SuprSend is sent again only while its key is surely known, unless allowed."""
    found = letter(cause, Stage.DELIVER, of=event(), mapped=(event(),), first_ms=NOW - hours * HOUR)
    assert (planned(found, rules(event()), LIMITS, NOW).kept is None) is sent
    allowed = planned(found, rules(event()), Limits(23 * HOUR, allow_repeats=True), NOW)
    assert allowed.kept is None
    assert [each.key for _, each in allowed.events] == ["key-r-0.r1" if cause == "invalid" else "key-r-0"]


def test_a_refused_event_gets_a_new_key_each_time() -> None:
    """Class invalid: `<key>.r1`, and `<key>.r2` once that was refused too; others keep theirs."""
    found = letter("invalid", Stage.DELIVER, of=event(), mapped=(event(),), first_ms=1)
    ((_, first),) = planned(found, rules(event()), LIMITS, NOW).events
    assert first.key == "key-r-0.r1"
    headers = again(found, key=first.key, base_key="key-r-0", replays=1)
    second = read(PlainRecord("dead", 0, 8, b"v", headers=headers))
    assert isinstance(second, Letter)
    assert planned(second, rules(event()), LIMITS, NOW).events[0][1].key == "key-r-0.r2"
    ((_, mended),) = planned(letter(item_key="key-r-0", item=0), rules(event(key="other")), LIMITS, NOW).events
    assert mended.key == "key-r-0"
    ((_, whole),) = planned(letter(), rules(event()), LIMITS, NOW).events
    assert whole.key == "key-r-0"


def test_an_item_that_had_no_key_gets_one_that_no_sibling_has() -> None:
    """It failed before it had one, or an older version wrote the letter: today's key may be a sibling's."""
    ((_, first),) = planned(letter(item=0), rules(event()), LIMITS, NOW).events
    assert first.key == "key-r-0.r1001"
    ((_, third),) = planned(letter(item=2), rules(event(0), event(1), event(2)), LIMITS, NOW).events
    assert third.key == "key-r-2.r3001"


def test_where_two_rules_claim_one_key_the_later_event_is_not_sent_with_it() -> None:
    """Rules with one key of their own: what the other one was sent with is not used again."""
    claimed = Fault("s", Stage.MAP, "duplicate_key", "no", None, "dead_letter")
    ((_, made),) = planned(letter(), rules(event(), claimed), LIMITS, NOW).events
    assert made.key == "key-r-0.r1001"


def test_what_is_known_of_an_event_stays_when_its_replay_fails() -> None:
    """A rule that fails as a whole today makes no letter about all items; a key that was refused is not used again."""
    for found in (
        letter(item=1, item_key="mine"),
        letter("invalid", Stage.DELIVER, of=event(1), mapped=(event(0), event(1))),
    ):
        box = Kept()
        replay = Replay(rules(fault()), LIMITS, box, lambda _: [], lambda _: [], lambda: NOW, "1")
        replay.run([found], lambda _: None)
        (new,) = box.letters
        assert (new.stage, new.item, new.item_key, new.replays) == ("map", 1, found.item_key, 1)
        ((_, made),) = planned(new, rules(event(0), event(1, key="other")), LIMITS, NOW).events
        assert made.key == ("mine" if found.item_key else "key-r-1.r2")


def test_a_failed_replay_does_not_make_an_event_forget_that_it_may_have_been_sent() -> None:
    """What is unknown stays unknown when today's rule fails on it: it still needs consent after a day."""
    found = letter("stuck", Stage.DELIVER, of=event(0), mapped=(event(0),), first_ms=NOW - 22 * HOUR)
    box = Kept()
    Replay(rules(fault()), LIMITS, box, lambda _: [], lambda _: [], lambda: NOW, "1").run([found], lambda _: None)
    assert planned(box.letters[0], rules(event(0)), LIMITS, NOW).events[0][1].key == "key-r-0"
    assert planned(box.letters[0], rules(event(0)), LIMITS, NOW + 2 * HOUR).kept is not None


@given(st.text(min_size=1, max_size=255), st.integers(1, 10_001_000))
@example("x" * 250, 999)
@example("x" * 250, 1001)
@example("x" * 251, 1)
@example("x" * 255, 999)
def test_new_keys_are_never_too_long(key: str, times: int) -> None:
    """A key over 250 characters is hashed first, and one that would come out too long; no other is."""
    made = renewed(key, times)
    assert len(made) <= 255
    assert made.endswith(f".r{times}")
    assert made.startswith(key) == (len(key) <= 250 and len(f"{key}.r{times}") <= 255)


def test_only_key_and_insert_id_of_a_body_change() -> None:
    """Every other byte stays: numbers as they were written, an inner key of the same name, the tenant."""
    before = event()
    after = rekeyed(before, 'new"é')
    old, new = json.loads(before.body), json.loads(after.body)
    assert new == old | {"$idempotency_key": 'new"é', "$insert_id": derived_insert_id('new"é')}
    assert b"1e-7" in after.body or b"1e-07" in after.body
    assert rekeyed(after, before.key).body == before.body


def test_filters_join_with_and() -> None:
    """Each filter narrows; a record without a time is in no span of time."""
    found = letter()
    assert Wanted().has(found)
    assert Wanted(frozenset({"r"}), frozenset({"mapping"}), frozenset({"c"}), frozenset({"orders"})).has(found)
    assert not Wanted(rules=frozenset({"s"})).has(found)
    assert Wanted(since=NOW - HOUR, until=NOW - HOUR + 1).has(found)
    assert not Wanted(until=NOW - HOUR).has(found)
    timeless = Letter(found.place, PlainRecord("orders", 0, 0, b""), [], "map", "mapping", "c", "m")
    assert not Wanted(since=0).has(timeless)
    assert not Wanted(until=NOW).has(timeless)


@given(st.permutations(list(range(0, 40, 2))), st.integers(0, 20))
def test_progress_is_the_lowest_open_letter(order: list[int], done: int) -> None:
    """Whatever the order in which letters are done, nothing open is ever below what is committed."""
    still = Open({0: 100, 1: 5}, {0: range(0, 40, 2)})
    left = set(order)
    for offset in order[:done]:
        still.done(0, offset)
        left.discard(offset)
        assert still.watermarks() == {0: min(left, default=100), 1: 5}


def test_the_guard_against_loops_counts_from_letter_to_letter() -> None:
    """A letter of a letter of a letter knows how often it was replayed."""
    found = letter()
    for times in range(1, 4):
        headers = again(found, replays=found.replays + 1)
        new = read(PlainRecord("dead", 0, times, b"v", headers=headers))
        assert isinstance(new, Letter)
        found = new
        assert found.replays == times
        assert found.record.headers() == []
