"""The offsets of one partition: which have an outcome, what may be committed, what the next owner skips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.flow import PlainRecord, Record, Start
from bridge.offsets.commits import decode, runs_of, text_of
from bridge.offsets.ledger import Ledger
from tests.delivery.bench import record


def offsets_of(records: Sequence[Record]) -> list[int]:
    return [each.offset() for each in records]


def records_of(*offsets: int) -> list[PlainRecord]:
    return [record(offset) for offset in offsets]


def next_start(ledger: Ledger) -> Start:
    """What the next owner learns from a commit of this moment."""
    runs = ledger.runs()
    watermark = ledger.watermark
    text = text_of(
        at_ms=1, send_limit=ledger.newest, delivered=ledger.top if runs else -1, runs=runs, committed=watermark
    )
    note = decode(text, watermark)
    assert note is not None
    return Start(watermark, note.delivered, note.unfinished, note.send_limit, note.at_ms)


class LedgerMachine(RuleBasedStateMachine):
    """A log with gaps, read by one owner after another; `done` is the truth about which records have an outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[int] = []
        self.done: set[int] = set()
        self.held: set[int] = set()
        self.position = 0
        self.lowest = 0

    @initialize(base=st.integers(0, 1_000), gaps=st.lists(st.integers(1, 4), min_size=1, max_size=60))
    def begin(self, base: int, gaps: list[int]) -> None:
        offset = base
        for gap in gaps:
            self.log.append(offset)
            offset += gap
        self.tail = offset
        self.ledger = Ledger(Start(base))
        self.lowest = base

    def read(self, offsets: list[int]) -> None:
        wanted = offsets_of(self.ledger.accept(records_of(*offsets)))
        assert wanted == [offset for offset in offsets if offset not in self.done and offset not in self.held]
        self.held.update(wanted)

    @rule(n=st.integers(1, 8))
    def read_on(self, n: int) -> None:
        """The reader goes on; what an earlier owner finished is left out, the rest is wanted."""
        run = self.log[self.position : self.position + n]
        self.position += len(run)
        if run:
            self.read(run)

    @rule(back=st.integers(1, 12), n=st.integers(1, 8))
    def read_twice(self, back: int, n: int) -> None:
        """Records that are delivered again are dropped."""
        first = max(0, self.position - back)
        run = self.log[first : min(self.position, first + n)]
        if run and self.ledger.given is None:
            assert list(self.ledger.accept(records_of(*run))) == []

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish_one(self, data: Any) -> None:
        offset = data.draw(st.sampled_from(sorted(self.held)))
        self.ledger.finish([offset])
        self.held.discard(offset)
        self.done.add(offset)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: Any) -> None:
        """Unsent records are given back and read again, up to where the reader was."""
        first = data.draw(st.sampled_from(sorted(self.held)))
        given = [offset for offset in sorted(self.held) if offset >= first]
        self.ledger.give_back(given)
        self.held -= set(given)
        lowest = self.ledger.given
        assert lowest is not None
        assert lowest <= first
        self.position = self.index_of(lowest)

    def index_of(self, offset: int) -> int:
        return next((i for i, each in enumerate(self.log) if each >= offset), len(self.log))

    @rule(data=st.data())
    def compact(self, data: Any) -> None:
        """A record that is still to be read (again) vanishes from the log."""
        ahead = [offset for offset in self.log[self.position :] if offset not in self.held]
        if ahead:
            gone = data.draw(st.sampled_from(ahead))
            self.log.remove(gone)

    @precondition(lambda self: self.position == len(self.log))
    @rule()
    def reach_the_end(self) -> None:
        """With nothing unfinished, what may be committed is the end that was reached."""
        self.ledger.end(self.tail)
        assert self.ledger.given is None
        if not self.held:
            assert self.ledger.watermark == self.tail

    @rule()
    def hand_over(self) -> None:
        """The next owner reads from the commit on and gets exactly the unfinished."""
        start = next_start(self.ledger)
        self.ledger = Ledger(start)
        self.held.clear()
        self.position = self.index_of(start.offset)
        assert all(offset in self.done for offset in self.log[: self.position])

    @invariant()
    def the_watermark_is_safe(self) -> None:
        """It never passes an unfinished offset and never goes back."""
        if not self.log:
            return
        watermark = self.ledger.watermark
        unfinished = [offset for offset in self.log if offset not in self.done]
        assert watermark <= (unfinished[0] if unfinished else self.tail)
        assert watermark >= self.lowest
        self.lowest = watermark


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_the_span_counts_what_lies_between_the_watermark_and_the_newest() -> None:
    """One stuck record with thousands finished behind it is a span of thousands, and of none once it ends."""
    ledger = Ledger(Start(0))
    assert ledger.span() == 0
    ledger.accept(records_of(0))
    ledger.accept(records_of(*range(1, 5_001)))
    ledger.finish(range(1, 5_001))
    assert (ledger.span(), ledger.above()) == (5_001, 5_000)
    ledger.finish([0])
    assert (ledger.span(), ledger.above()) == (0, 0)


def test_what_is_finished_above_the_watermark_is_counted_without_gaps() -> None:
    """What compaction took out of a run is no record that a restart must not send again."""
    ledger = Ledger(Start(0))
    assert ledger.above() == 0
    ledger.accept(records_of(0, 4, 8))
    ledger.finish([8])
    assert (ledger.watermark, ledger.above()) == (0, 1)
    ledger.finish([0])
    assert (ledger.watermark, ledger.above()) == (4, 1)
    ledger.finish([4])
    assert (ledger.watermark, ledger.above()) == (9, 0)


def test_the_oldest_is_what_holds_the_watermark() -> None:
    """The record whose age is the lag keeps its age when it was given back."""
    ledger = Ledger(Start(3))
    assert ledger.oldest_ms() is None
    ledger.accept([PlainRecord("t", 0, 3, b"", timestamp=0), PlainRecord("t", 0, 4, b"", timestamp=-1)])
    assert ledger.oldest_ms() == 0
    ledger.finish([3])
    assert ledger.oldest_ms() is None, "nobody knows"
    ledger.finish([4])
    ledger.accept([PlainRecord("t", 0, 5, b"", timestamp=500), PlainRecord("t", 0, 6, b"", timestamp=600)])
    assert ledger.oldest_ms() == 500
    ledger.give_back([5, 6], 500)
    assert ledger.oldest_ms() == 500
    assert ledger.watermark == 5
    ledger.give_back([6])
    assert ledger.oldest_ms() == 500
    unknown = Ledger(Start(3))
    unknown.accept(records_of(5))
    unknown.give_back([5])
    assert unknown.oldest_ms() is None


EARLIER = Start(5, delivered=12, unfinished=((6, 8), (10, 10)))


def test_what_an_earlier_owner_finished_is_left_out() -> None:
    """From its commit on up to the last that it delivered: each offset that it did not leave unfinished."""
    assert offsets_of(Ledger(EARLIER).accept(records_of(*range(4, 15)))) == [6, 7, 8, 10, 13, 14]
    assert offsets_of(Ledger(Start(5, delivered=5)).accept(records_of(5, 6))) == [6]
    assert offsets_of(Ledger(Start(5)).accept(records_of(4, 5, 5))) == [5]


def test_what_is_behind_all_that_an_earlier_owner_finished_is_no_reading_again() -> None:
    """Until the last that it delivered was read, the watermark cannot move past it."""
    ledger = Ledger(EARLIER)
    ledger.accept(records_of(*range(5, 12)))
    assert ledger.rereading
    ledger.accept(records_of(12))
    assert not ledger.rereading


@pytest.mark.parametrize(("end", "wanted"), [(12, []), (13, [12])])
def test_an_end_before_the_last_that_an_earlier_owner_finished_forgets_none_of_it(end: int, wanted: list[int]) -> None:
    """The reader stands before that record: it still has its outcome when it comes."""
    ledger = Ledger(EARLIER)
    ledger.end(end)
    assert offsets_of(ledger.accept(records_of(12))) == wanted


def test_what_is_unfinished_and_not_read_again_yet_goes_to_the_next_owner() -> None:
    """Of the earlier owner's ranges just what lies behind the newest record read is added."""
    ledger = Ledger(EARLIER)
    ledger.accept(records_of(5, 6, 7))
    ledger.finish([6])
    assert ledger.runs() == runs_of(7, [7, 8, 10], 12)
    ledger.accept(records_of(8))
    ledger.finish([8])
    assert ledger.runs() == runs_of(7, [7, 10], 12)


def test_a_run_of_new_records_is_handed_on_as_it_is() -> None:
    """Nearly every run is: none of it is copied or looked at one by one."""
    ledger = Ledger(Start(0))
    run = records_of(0, 1, 3)
    assert ledger.accept(run) is run


def test_a_run_with_a_record_twice_or_with_older_ones_wants_each_once() -> None:
    """Whatever the order in which librdkafka delivers what it delivers again."""
    ledger = Ledger(Start(0))
    assert offsets_of(ledger.accept(records_of(0, 1, 1, 2, 1, 2, 3))) == [0, 1, 2, 3]
    ledger.finish([0, 1, 2, 3])
    assert offsets_of(ledger.accept(records_of(3, 4))) == [4]
    assert offsets_of(ledger.accept(records_of(5, 3, 6))) == [5, 6]
    assert offsets_of(ledger.accept(records_of(7, 7))) == [7]
    assert ledger.watermark == 4


@pytest.mark.parametrize(("again", "watermark"), [(3, 3), (4, 4), (5, 5), (6, 6)])
def test_what_does_not_come_again_has_been_deleted(again: int, watermark: int) -> None:
    """Of what was given back, all that lies before what the reader brings first; none of what comes is lost."""
    ledger = Ledger(Start(3))
    ledger.accept(records_of(3, 4, 5))
    ledger.give_back([3, 4, 5])
    assert (ledger.watermark, ledger.given) == (3, 3)
    assert offsets_of(ledger.accept(records_of(again))) == [again]
    assert ledger.watermark == watermark
    assert ledger.given == (again + 1 if again < 5 else None)


def test_a_partition_that_nothing_was_read_of_stands_before_its_first_offset() -> None:
    """What a hold lets go on by consent ends with the newest record read."""
    assert Ledger(Start(7)).newest == 6
