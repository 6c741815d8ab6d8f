"""Finding the first offset that can be read: what is passed is proven, whatever lies between."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from bridge.kafka.tools.read_past import Beyond, Met, ProbeError, beyond

Batch = tuple[int, int, str]
"""First and last offset, and whether it can be read (`sound`), is named by the client (`named`) or not (`silent`)."""


def _log(batches: Sequence[Batch], asked: list[int]) -> Callable[[int], Met]:
    """As a client reads a log of these batches, with gaps between them."""

    def probe(offset: int) -> Met:
        asked.append(offset)
        end = batches[-1][1] + 1
        if offset > end:
            return Met("beyond")
        for first, last, kind in batches:
            if offset > last:
                continue
            if kind == "sound":
                return Met("record", max(offset, first))
            return Met("unreadable", first if kind == "named" else -1, "why", "what to do")
        return Met("end", end)

    return probe


def test_it_ends_at_the_first_offset_that_can_be_read() -> None:
    """A batch of a thousand offsets is passed in some twenty looks; a sound batch behind it is found though more is damaged."""
    asked: list[int] = []
    probe = _log([(0, 4, "sound"), (5, 1_004, "named"), (1_005, 1_005, "sound"), (1_006, 9_000, "named")], asked)
    assert beyond(probe, 5) == Beyond(5, 1_005, "why", "what to do")
    assert len(asked) < 30
    assert beyond(probe, 0) is None
    assert beyond(probe, 1_006) == Beyond(1_006, 9_001, "why", "what to do")


def test_every_offset_that_is_passed_is_unreadable_whatever_the_log() -> None:
    """Readability is not monotone: in a thousand random logs it ends at exactly the first offset that can be read."""
    rng = random.Random(20)
    for _ in range(1_000):
        batches, at = [], 0
        for _ in range(rng.randrange(1, 12)):
            at += rng.choice((0, 0, 0, 1, 5))
            size = rng.choice((1, 1, 2, 7, 40))
            batches.append((at, at + size - 1, rng.choice(("sound", "named", "named", "silent"))))
            at += size
        probe = _log(batches, [])
        sound = [(first, last) for first, last, kind in batches if kind == "sound"]
        start = rng.randrange(at)
        wanted = next((max(first, start) for first, last in sound if last >= start), at)
        found = beyond(probe, start)
        met = probe(start)
        assert (found is None) == (met.kind != "unreadable")
        if found is not None:
            assert found.to == wanted, (batches, start)


def test_what_the_network_says_proves_nothing() -> None:
    """An error that speaks of the network ends the search, wherever it comes."""

    def probe(offset: int) -> Met:
        if offset > 6:
            raise ProbeError("no broker answers")
        return Met("unreadable", 5, "why", "")

    with pytest.raises(ProbeError, match="no broker"):
        beyond(probe, 5)
