"""Records that the client delivers a second time."""

from __future__ import annotations

from bridge.flow import Outcome
from tests.delivery.bench import Bench, record


def test_a_record_that_comes_twice_counts_once() -> None:
    """What is in work or finished already is dropped when it is read again: not sent, not counted, no room taken."""
    bench = Bench()
    bench.assign()
    bench.feed([record(offset) for offset in range(3)])
    (first,) = bench.start()
    bench.feed([record(offset) for offset in range(4)])
    (second,) = bench.start()
    assert (first.offsets, second.offsets) == ([0, 1, 2], [3])
    bench.accept(first)
    bench.feed([record(offset) for offset in range(3)])
    bench.accept(second)
    assert bench.start() == []
    tally = bench.delivery.counters.topic("t")
    assert (tally.consumed, tally.finished[Outcome.DELIVERED]) == (4, 4)
    assert bench.room.taken_bytes == bench.room.freed_bytes
