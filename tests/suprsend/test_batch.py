from __future__ import annotations

import itertools
import json

from hypothesis import given, strategies as st

from bridge.suprsend.sending import Bounds, batches, join

bodies = st.lists(st.integers(1, 60).map(lambda size: b"1" * size), max_size=60)


@given(bodies, st.integers(1, 12), st.integers(3, 120))
def test_batches_lose_nothing_and_keep_bounds(events: list[bytes], max_events: int, max_bytes: int) -> None:
    """Every event is in exactly one batch, in order; only an event that fits nowhere exceeds the bytes, alone."""
    found = list(batches(events, Bounds(max_events, max_bytes)))
    assert [body for batch in found for body in batch] == events
    for batch in found:
        assert 1 <= len(batch) <= max_events
        assert len(join(batch)) <= max_bytes or len(batch) == 1
        assert len(json.loads(join(batch))) == len(batch)


@given(bodies, st.integers(1, 12), st.integers(3, 120))
def test_batches_are_full(events: list[bytes], max_events: int, max_bytes: int) -> None:
    """No batch ends while the next event would still have fitted, the brackets and commas counted."""
    found = list(batches(events, Bounds(max_events, max_bytes)))
    for batch, following in itertools.pairwise(found):
        grown = [*batch, following[0]]
        assert len(grown) > max_events or len(join(grown)) > max_bytes


def test_the_real_body_is_counted() -> None:
    """99 events of together 816,938 bytes and one of 2,165 make 819,103: with brackets and commas 819,204, too many."""
    events = [b"1" * 8_252] * 98 + [b"1" * 8_242] + [b"1" * 2_165]
    assert sum(map(len, events)) == 819_103
    assert [len(batch) for batch in batches(events)] == [99, 1]
    events[-1] = b"1" * 2_161
    assert [len(batch) for batch in batches(events)] == [100]
    assert len(join(events)) == 819_200
