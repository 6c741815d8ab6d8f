"""When a partition counts as unreadable, and what of it is taken in behind an error."""

from __future__ import annotations

from bridge.kafka.client.partition_state import PartitionState
from bridge.kafka.client.unreadable import SILENCE, Unreadable
from bridge.kafka.errors import Unread

NAME = ("orders", 3)
BAD, OTHER = -199, -170


def _failed(all_: Unreadable, code: int = BAD, at: int = 5, named: int = 5, now: float = 0.0) -> bool:
    return all_.failed(NAME, code, named, Unread(at, "unreadable", "words", "advice"), now, sure=False)


def test_the_same_error_three_times_without_a_record_between_is_told_once() -> None:
    """Told at the third, whatever other errors lie between; a record begins the count anew."""
    parts = Unreadable()
    assert not _failed(parts)
    assert not _failed(parts, OTHER)
    assert not _failed(parts)
    assert parts.told() == {}
    assert _failed(parts)
    assert not _failed(parts)
    assert parts.told()[NAME].message == "words"
    assert parts.came(NAME, 5, 5) == 0
    assert parts.over(NAME) is not None
    assert not _failed(parts)
    assert parts.told() == {}


def test_behind_an_error_only_what_was_expected_is_taken_in() -> None:
    """The next record is; so is the one right behind what the errors named, with a count; anything else is astray."""
    parts = Unreadable()
    _failed(parts)
    assert parts.came(NAME, 5, 5) == 0
    assert parts.came(NAME, 6, 5) == 1
    assert parts.came(NAME, 144_115_195_091_684_032, 5) is None
    _failed(parts, named=144_115_195_091_684_031)
    assert parts.came(NAME, 144_115_195_091_684_032, 5) is None
    _failed(parts, named=6)
    assert parts.came(NAME, 7, 5) == 2
    parts.placed(NAME)
    assert parts.came(NAME, 9, 5) == 0, "a gap, behind a reader that was placed anew"


def test_it_is_tried_again_every_five_seconds_and_silence_is_left_alone() -> None:
    """One that was told of is tried again; of one that gave a single error soon; one of which nothing comes never."""
    parts = Unreadable()
    _failed(parts, now=100.0)
    assert parts.due(100.5) == []
    assert parts.due(101.0) == [NAME]
    for _ in range(2):
        _failed(parts, now=102.0)
    assert parts.due(106.9) == []
    assert parts.due(107.0) == [NAME]
    parts.over(NAME)
    assert parts.failed(NAME, SILENCE, 5, Unread(5, "unreadable", "nothing", ""), 0.0, sure=True)
    assert parts.due(1e9) == []


def test_the_epoch_of_a_position_is_that_of_the_newest_offset_that_is_known() -> None:
    """Reading what lies below makes it no older, and behind what nobody can read there is none until a record comes."""
    reading = PartitionState(NAME, 1, position=5, newest=12)
    reading.read(6, 1)
    assert (reading.position, reading.newest, reading.leader_epoch) == (7, 12, -1)
    reading.read(12, 2)
    assert reading.part().leader_epoch == 2
    reading.past(13)
    assert (reading.position, reading.leader_epoch) == (13, 2)
    reading.past(20)
    assert (reading.position, reading.newest, reading.leader_epoch) == (20, 19, -1)
    reading.read(20, 3)
    assert (reading.newest, reading.leader_epoch) == (20, 3)
