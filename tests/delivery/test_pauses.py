"""The book of pauses, and what the core makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.delivery import operate
from bridge.delivery.admission import Reason
from bridge.delivery.pauses import BLANK, Aim, Book, Page, Said, aim_text, covers, read_page
from bridge.flow import Assigned, Drained, Outcome, Pause, Resume, Start
from tests.delivery.bench import TOPIC, Bench, record, refused, reply

ALL: Aim = (TOPIC, None)


def said(*words: tuple[int | None, bool]) -> Book:
    """A book after words about partitions, or with None about the topic."""
    book = Book()
    for partition, paused in words:
        book = book.saying([(TOPIC, partition)], 5, "", paused=paused)
    return book


@pytest.mark.parametrize(
    ("words", "paused"),
    [
        ([], ()),
        ([(1, True)], (1,)),
        ([(1, True), (1, False)], ()),
        ([(None, True)], (0, 1, 2, 99)),
        ([(None, True), (1, False)], (0, 2, 99)),
        ([(None, True), (1, False), (1, True)], (0, 1, 2, 99)),
        ([(None, True), (1, False), (None, True)], (0, 1, 2, 99)),
        ([(1, True), (None, False)], ()),
        ([(1, True), (None, True), (None, False)], ()),
        ([(None, True), (None, False), (2, True)], (2,)),
    ],
)
def test_the_later_word_counts_of_a_partition_or_of_its_topic(
    words: list[tuple[int | None, bool]], paused: tuple[int, ...]
) -> None:
    """A topic's pause covers partitions that nobody has seen; resuming one partition leaves it for the others."""
    book = said(*words)
    assert tuple(each for each in (0, 1, 2, 99) if book.paused((TOPIC, each))) == paused
    assert book.paused(("another", 0)) is None


def test_what_a_commit_says_is_kept_as_it_is() -> None:
    """Golden: version, then serial, word and time of the partition and of the topic; no reason, no name of a person."""
    book = Book().saying([ALL], 1_764_515_181_000, "the shop sends twice", paused=True)
    book = book.saying([(TOPIC, 1)], 1_764_515_190_000, "mended", paused=False)
    assert book.page((TOPIC, 0)).text() == "p1;;1,p,1764515181000"
    assert book.page((TOPIC, 1)).text() == "p1;2,r,1764515190000;1,p,1764515181000"
    assert read_page(book.page((TOPIC, 1)).text()) == book.page((TOPIC, 1))
    assert read_page("p1;2,r,5;1,p,4;what a later version adds") == Page(Said(2, False, 5), Said(1, True, 4))


@pytest.mark.parametrize(
    "text", [None, "", "p1;", "p2;;1,p,5", "b1;5;6;7;", "p1;x;y", "p1;1,q,5;", "p1;1,p,-5;", "p1;١,p,5;"]
)
def test_what_is_not_ours_says_nothing(text: str | None) -> None:
    """Metadata of other tools and versions is no word of anybody."""
    assert read_page(text) == BLANK


def _pages(book: Book, *partitions: int) -> dict[tuple[str, int], Page]:
    return {(TOPIC, each): book.page((TOPIC, each)) for each in partitions}


def test_nothing_but_a_word_lifts_a_pause() -> None:
    """A commit that is gone, or was set by another tool, leaves the pause as it is, and is written again."""
    book = said((None, True), (1, False))
    for gone in ({(TOPIC, each): BLANK for each in range(4)}, {}):
        assert book.with_pages(gone) == book
    assert book.lacking({(TOPIC, each): BLANK for each in range(4)}) == _pages(book, 0, 1, 2, 3)
    assert book.lacking(_pages(book, 0, 1, 2, 3)) == {}
    assert said((1, True)).lacking({(TOPIC, 0): BLANK}) == {}


def test_a_late_repetition_of_something_older_is_mended() -> None:
    """Who writes a pause again just when another process resumes it does not bring it back."""
    paused = said((1, True))
    resumed = paused.saying([(TOPIC, 1)], 6, "", paused=False)
    late = _pages(paused, 1)
    assert resumed.with_pages(late).paused((TOPIC, 1)) is None
    assert resumed.lacking(late) == _pages(resumed, 1)


def test_of_two_who_speak_at_once_the_one_counts_whom_kafka_took_last() -> None:
    """Both knew the same before; each process that reads the group afterwards has the same book."""
    one, other = said((1, True), (1, False)), said((1, True), (1, True))
    taken_last = _pages(other, 1)
    assert one.with_pages(taken_last) == other.with_pages(taken_last) == other


def test_clocks_decide_nothing() -> None:
    """A resume by a clock that is a year behind ends a pause by one that is right."""
    book = Book().saying([ALL], 1_764_515_181_000, "", paused=True).saying([ALL], 5, "", paused=False)
    assert book.paused((TOPIC, 0)) is None


def test_a_commits_offset_is_the_highest_serial_on_its_page() -> None:
    """Who looks at the group with other tools sees it grow with what is said, from 0 where nothing was."""
    book = said((None, True), (1, False), (2, True))
    assert [book.page((TOPIC, each)).serial for each in (0, 1, 2)] == [1, 2, 3]
    assert Book().page((TOPIC, 0)).serial == BLANK.serial == 0


def test_serials_of_another_topic_do_not_count() -> None:
    """A topic's first word has serial 1, however much was said of others."""
    book = said((1, True), (1, False), (None, True)).saying([("another", 4)], 5, "", paused=True)
    assert book.page(("another", 4)) == Page(Said(1, True, 5), None)


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        ([], False),
        ([(0, True)], False),
        ([(None, True)], True),
        ([(None, True), (0, True)], False),
        ([(None, False)], False),
    ],
)
def test_a_pause_is_the_topics_where_its_word_counts(words: list[tuple[int | None, bool]], whole: bool) -> None:
    """Whoever would resume just the partition is told that the topic is paused; not where nothing is."""
    assert said(*words).whole((TOPIC, 0)) is whole


def test_only_pauses_are_kept_alive_in_kafka() -> None:
    """A partition that nobody paused, or that was resumed with nothing paused behind it, needs no commit again and again."""
    names = [(TOPIC, each) for each in range(3)]
    assert said((1, True)).to_keep(names) == _pages(said((1, True)), 1)
    assert said((1, True), (1, False)).to_keep(names) == {}
    topic = said((None, True), (1, False))
    assert topic.to_keep(names) == _pages(topic, 0, 1, 2)


@pytest.mark.parametrize(("aim", "text", "covered"), [((TOPIC, None), "t", (0, 1)), ((TOPIC, 1), "t:1", (1,))])
def test_what_somebody_speaks_of(aim: Aim, text: str, covered: tuple[int, ...]) -> None:
    """A topic with all its partitions, or one of them; as a person writes it."""
    assert aim_text(aim) == text
    assert tuple(each for each in (0, 1) if covers(aim, (TOPIC, each))) == covered
    assert not covers(aim, ("another", 1))


def test_the_reason_stays_with_the_process_that_was_told() -> None:
    """It is shown there for as long as the word counts, though Kafka does not have it."""
    book = Book().saying([ALL], 5, "the shop sends twice", paused=True)
    again = book.with_pages({name: read_page(page.text()) for name, page in _pages(book, 0, 1).items()})
    found = again.paused((TOPIC, 1))
    assert found is not None
    assert found.reason == "the shop sends twice"


WORDS = st.lists(st.tuples(st.sampled_from([None, 0, 1, 2]), st.booleans()), max_size=6)


@given(WORDS, WORDS, st.sets(st.integers(0, 3)))
def test_books_that_read_the_same_pages_say_the_same_of_them(
    first: list[tuple[int | None, bool]], later: list[tuple[int | None, bool]], read: set[int]
) -> None:
    """Whatever an older process knew, after reading all pages of a book that has gone on it says the same."""
    old = said(*first)
    new = said(*first, *later)
    found = old.with_pages(_pages(new, 0, 1, 2, 3))
    assert all((found.paused((TOPIC, n)) is None) is (new.paused((TOPIC, n)) is None) for n in range(5))
    # And to read something older changes nothing.
    assert new.with_pages(_pages(old, *read)) == new


# what the core makes of it


def test_a_paused_partition_hands_nothing_over_from_its_beginning() -> None:
    """A pause that is known when the partition comes holds it before its first record; resume lets it go on."""
    bench = Bench()
    bench.say(None, paused=True)
    bench.take(Assigned(TOPIC, 0, 1, Start(0), paused=True))
    bench.assign(1)
    bench.feed([record(0, partition=1), record(1, partition=1)])
    assert bench.start() == []
    bench.pass_time(1.0)
    assert Pause(TOPIC, 0, 1) not in bench.collect(), "it began paused"
    bench.say(1, paused=False)
    bench.say(0, paused=False)
    bench.pass_time(1.0)
    orders = bench.collect()
    assert Resume(TOPIC, 0, 1) in orders
    assert Resume(TOPIC, 1, 1) in orders


def test_a_pause_survives_that_the_partition_goes_and_comes() -> None:
    """Neither a revoke nor a loss ends it."""
    bench = Bench()
    bench.assign()
    bench.say(0, paused=True)
    bench.lose(0)
    assert bench.delivery.holds.all() == ()
    bench.assign(epoch=2)
    (hold,) = bench.delivery.holds.all()
    assert (hold.reason, hold.since, hold.whole) == (Reason.OPERATOR, bench.now_ms, False)


def test_a_partition_that_went_on_before_it_was_assigned_is_told_to() -> None:
    """The Kafka side began it paused, and by the time that this is heard somebody has resumed it."""
    bench = Bench()
    bench.take(Assigned(TOPIC, 0, 1, Start(0), paused=True))
    bench.pass_time(1.0)
    assert Resume(TOPIC, 0, 1) in bench.collect()


def test_a_pause_hides_no_other_hold_and_lifts_none() -> None:
    """A rewound partition that is paused, assigned anew and resumed is still held as rewound."""
    bench = Bench()
    bench.say(None, paused=True)
    rewound = Start(3, hold="rewind", detail="set back")
    bench.take(Assigned(TOPIC, 0, 1, rewound, paused=True))
    assert {hold.reason for hold in bench.delivery.holds.all()} == {Reason.REWIND, Reason.OPERATOR}
    bench.say(None, paused=False)
    bench.pass_time(1.0)
    assert Resume(TOPIC, 0, 1) not in bench.collect()
    assert [hold.reason for hold in bench.delivery.holds.all()] == [Reason.REWIND]


def test_resume_ends_a_pause_and_leaves_what_else_holds() -> None:
    """What waits for a person's consent beside the pause still waits for it."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0, b"h"), record(1)])
    bench.start()
    bench.say(0, paused=True)
    assert operate.resume(bench.delivery, (TOPIC, 0)) == [Reason.HALT]
    assert [hold.reason for hold in bench.delivery.holds.all()] == [Reason.OPERATOR]


def test_what_waits_to_be_tried_again_waits_for_the_resume() -> None:
    """After an outage nothing of a paused partition goes out, and everything of the others in the same call does."""
    bench = Bench()
    bench.assign(0)
    bench.assign(1)
    bench.feed([record(0, key=b"a"), record(1, key=b"b")])
    bench.feed([record(0, key=b"c", partition=1)])
    (call,) = bench.start()
    bench.answer(call, reply(503))
    bench.say(0, paused=True)
    bench.pass_time(60.0)
    (again,) = bench.start()
    assert [event["p"] for event in again.events] == [1]
    bench.accept(again)
    bench.pass_time(3_600.0)
    assert bench.start() == []
    bench.conserved()
    bench.say(0, paused=False)
    (last,) = bench.start()
    assert last.offsets == [0, 1]
    bench.accept(last)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 3}


def test_the_halves_of_a_split_call_wait_too_and_do_not_hold_the_others() -> None:
    """A refused call is halved: the paused partition's events are taken out of both halves."""
    bench = Bench()
    bench.assign(0)
    bench.assign(1)
    for n in range(2):
        bench.feed([record(2 * n + each, key=b"a") for each in range(2)])
        bench.feed([record(2 * n + each, key=b"b", partition=1) for each in range(2)])
    (call,) = bench.start()
    bench.answer(call, refused())
    bench.say(0, paused=True)
    sent = []
    while calls := bench.start():
        for each in calls:
            sent += [(event["p"], event["o"]) for event in each.events]
            bench.accept(each)
    assert sent == [(1, 0), (1, 1), (1, 2), (1, 3)]
    bench.say(0, paused=False)
    (last,) = bench.start()
    assert last.offsets == [0, 1, 2, 3]
    bench.accept(last)
    bench.settle()
    assert bench.outcomes() == {Outcome.DELIVERED: 8}


def test_a_paused_partition_is_given_up_at_once() -> None:
    """What waits for the resume is no reason to wait in a revoke; it is released, and read again by the next owner."""
    bench = Bench()
    bench.assign()
    bench.feed([record(0), record(1)])
    (call,) = bench.start()
    bench.answer(call, reply(503))
    bench.say(0, paused=True)
    bench.start()
    bench.revoke(0)
    (drained,) = [order for order in bench.collect() if isinstance(order, Drained)]
    assert drained.progress.watermark == 0
    bench.pass_time(3_600.0)
    assert bench.start() == []
    assert bench.delivery.calls.resting == []
    bench.conserved()
