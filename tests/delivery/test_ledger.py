"""The offsets of one partition: which have an outcome, what may be committed, what the next owner skips."""

from __future__ import annotations

from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.flow import PlainRecord, Start
from bridge.offsets.commits import decode, text_of
from bridge.offsets.ledger import Ledger
from tests.delivery.bench import record


def finish(ledger: Ledger, offset: int) -> None:
    """End one record as `Finish` does."""
    del ledger.unfinished[offset]
    ledger.top = max(ledger.top, offset)


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
        wanted = [each.offset() for each in self.ledger.accept([record(offset) for offset in offsets])]
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
            assert list(self.ledger.accept([record(offset) for offset in run])) == []

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish_one(self, data: Any) -> None:
        offset = data.draw(st.sampled_from(sorted(self.held)))
        finish(self.ledger, offset)
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
    ledger.accept([record(0)])
    ledger.accept([record(offset) for offset in range(1, 5_001)])
    for offset in range(1, 5_001):
        finish(ledger, offset)
    assert 5_000 <= ledger.span() <= 5_001
    finish(ledger, 0)
    assert ledger.span() == 0


def test_the_oldest_is_what_holds_the_watermark() -> None:
    """The record whose age is the lag keeps its age when it was given back."""
    ledger = Ledger(Start(3))
    assert ledger.oldest_ms() is None
    ledger.accept([PlainRecord("t", 0, 5, b"", timestamp=500), PlainRecord("t", 0, 6, b"", timestamp=600)])
    assert ledger.oldest_ms() == 500
    ledger.give_back([5, 6], 500)
    assert ledger.oldest_ms() == 500
    assert ledger.watermark == 5
