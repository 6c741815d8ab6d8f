"""The way past what cannot be read, offline: the commit is rewritten, and what is finished stays finished."""

from __future__ import annotations

import random

from bridge.offsets.commits import MAX_BYTES, Began, Origin, decode, runs_of, text_of
from bridge.offsets.go_past import Stand, passed

ORIGIN = Origin(7, 9)


def _stand(committed: int, finished: set[int], *, send_limit: int, steps: tuple[tuple[int, int], ...] = ()) -> Stand:
    delivered = max(finished, default=-1)
    unfinished = [offset for offset in range(committed, delivered) if offset not in finished]
    text = text_of(
        at_ms=steps[0][1] if steps else 1_000,
        send_limit=send_limit,
        delivered=delivered,
        runs=runs_of(committed, unfinished, delivered) if delivered >= committed else "",
        committed=committed,
        steps=steps,
        origin=ORIGIN,
        began=Began(3, 4),
    )
    note = decode(text, committed)
    assert note is not None
    return Stand(committed, note)


def test_what_is_finished_stays_so_and_the_rest_of_the_note_is_kept() -> None:
    """Behind the new offset the same offsets are finished; send limit, times, origin and beginning are those of before."""
    stand = _stand(10, {11, 12, 20, 22, 23, 30}, send_limit=40, steps=((15, 1_000), (25, 61_000), (40, 121_000)))
    note = decode(passed(stand, 21), 21)
    assert note is not None
    assert note.fits
    after = Stand(21, note)
    assert [offset for offset in range(21, 45) if after.finished(offset)] == [22, 23, 30]
    assert (note.send_limit, note.origin, note.began) == (40, ORIGIN, Began(3, 4))
    assert note.steps == ((25, 61_000), (40, 121_000))
    assert note.at_ms == 61_000
    there = decode(passed(stand, 25), 25)
    assert there is not None
    assert there.steps == ((25, 61_000), (40, 121_000)), "the step that ends there is that of a record to be read"
    beyond = decode(passed(stand, 31), 31)
    assert beyond is not None
    assert beyond.delivered == -1, "nothing is finished above it"


def test_at_most_so_many_are_lost_as_have_no_outcome() -> None:
    """What an earlier owner finished is not lost, though it cannot be read any more."""
    stand = _stand(10, {11, 12, 20}, send_limit=20)
    assert stand.lost(10, 13) == 1
    assert stand.lost(11, 13) == 0
    assert stand.lost(19, 25) == 5
    assert stand.lost(30, 34) == 4


def test_any_note_passes_any_stretch() -> None:
    """For random notes and stretches: no finished offset is forgotten, none is invented, and it fits."""
    rng = random.Random(7)
    for _ in range(2_000):
        committed = rng.randrange(50)
        finished = {committed + 1 + rng.randrange(60) for _ in range(rng.randrange(20))}
        stand = _stand(committed, finished, send_limit=rng.randrange(120))
        to = committed + 1 + rng.randrange(90)
        text = passed(stand, to)
        note = decode(text, to)
        assert note is not None
        assert note.fits
        assert len(text) <= MAX_BYTES
        after = Stand(to, note)
        assert {offset for offset in range(to, 200) if after.finished(offset)} == {
            each for each in finished if each >= to
        }
        assert stand.lost(committed, to) == sum(1 for offset in range(committed, to) if offset not in finished)


def test_a_log_that_was_cut_off_below_what_a_commit_speaks_of_is_another_one() -> None:
    """Where the commit's leader epoch ended before any offset it speaks of, what it calls finished is not to be believed."""
    stand = _stand(10, {12, 15}, send_limit=20)
    assert stand.cut(9)
    assert stand.cut(20)
    assert not stand.cut(21)
    assert not stand.cut(100)
    finished_last = _stand(10, {12, 15}, send_limit=11)
    assert finished_last.cut(15)
    assert not finished_last.cut(16)
    assert not _stand(10, set(), send_limit=9).cut(10)
