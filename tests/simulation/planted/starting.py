"""Where an assigned partition begins."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from bridge.flow import Start
from bridge.offsets import begin
from tests.simulation import reading
from tests.simulation.planted.table import instead, planted

RIGHT = begin.resolve


@planted
def added_partition_begins_at_its_end() -> AbstractContextManager[Any]:
    """`start_from` counts for a partition that was added later, too: what was in it before is lost."""

    def without_commit(known: Any, group: Any, start_from: Any, on_gap: Any) -> Any:
        return begin.Resolved(Start(begin._wanted(known, start_from)), "", fresh=True)

    return instead(begin, "_without_commit", without_commit)


@planted
def beyond_the_end_is_the_end() -> AbstractContextManager[Any]:
    """A topic that was made anew is read from where the old one was."""

    def beyond(known: Any, offset: int) -> Any:
        return begin.Resolved(Start(known.high), "", fresh=True, doubtful=True)

    return instead(begin, "_beyond_the_end", beyond)


@planted
def first_word_of_an_end_is_believed() -> AbstractContextManager[Any]:
    """A leader that is new tells the end too low, and the topic counts as cut off."""
    return instead(reading, "resolve", lambda *known: RIGHT(*known)._replace(doubtful=False))


@planted
def note_of_a_log_that_was_cut() -> AbstractContextManager[Any]:
    """What was finished beyond the end counts for the records that come there."""

    return instead(begin, "_cut_off", lambda note, offset, high: note)


@planted
def deleted_records_not_counted() -> AbstractContextManager[Any]:
    """Retention overtakes the group, and nobody says what it took."""
    return instead(reading, "resolve", lambda *known: RIGHT(*known)._replace(lost=0))


@planted
def gap_forgets_what_is_finished() -> AbstractContextManager[Any]:
    """Behind a gap everything is new."""
    right = begin._gap

    def gap(*args: Any) -> Any:
        found = right(*args)
        return found._replace(start=Start(found.start.offset, hold=found.start.hold, detail="gap"), runs="")

    return instead(begin, "_gap", gap)


@planted
def gone_commit_begins_anew() -> AbstractContextManager[Any]:
    """A committed offset that is gone is a first start, whatever the mark says."""

    def without_commit(known: Any, group: Any, start_from: Any, on_gap: Any) -> Any:
        return begin.Resolved(Start(known.low), "", fresh=True)

    return instead(begin, "_without_commit", without_commit)


@planted
def cut_logs_are_not_noticed() -> AbstractContextManager[Any]:
    """The end of the commit's leader epoch is not asked for: a log that grew again is taken for the old one."""
    return instead(reading, "resolve", lambda known, *more: RIGHT(replace(known, epoch_end=None), *more))


@planted
def only_the_committed_offset_is_checked() -> AbstractContextManager[Any]:
    """Where the cut is above the commit, runs and send limits above it are believed."""
    right = begin._checked

    def checked(known: Any, committed: Any, note: Any, on_gap: Any) -> Any:
        if known.epoch_end >= committed.offset:
            return begin._go_on(known, committed, note, on_gap)
        return right(known, committed, note, on_gap)

    return instead(begin, "_checked", checked)


@planted
def bound_above_the_cut_is_kept() -> AbstractContextManager[Any]:
    """What may have been sent under offsets that are gone makes new records too old to be sent."""
    right = begin._cut_off

    def cut_off(note: Any, offset: int, high: int) -> Any:
        return replace(right(note, offset, high), send_limit=note.send_limit, steps=note.steps)

    return instead(begin, "_cut_off", cut_off)


@planted
def commit_beyond_the_cut_is_gone_on_from() -> AbstractContextManager[Any]:
    """New records below the committed offset are passed over."""

    def cut_below(known: Any, committed: Any, note: Any, end: int) -> Any:
        offset = min(committed.offset, known.high)
        return begin.Resolved(Start(offset), "", fresh=True)

    return instead(begin, "_cut_below", cut_below)


@planted
def deleted_behind_a_cut_is_not_counted() -> AbstractContextManager[Any]:
    """What came behind a cut and was deleted before anybody read it is told of nowhere."""
    right = begin._cut_below
    return instead(begin, "_cut_below", lambda *known: right(*known)._replace(lost=0))


@planted
def sibling_that_began_makes_a_partition_an_added_one() -> AbstractContextManager[Any]:
    """A partition that begins a moment later than its siblings is read from its beginning: all its history is sent."""

    def first(known: Any, group: Any, start_from: Any) -> int:
        return known.low if group.has_commits else begin._wanted(known, start_from)

    return instead(begin, "_first", first)


@planted
def late_start_begins_at_the_end() -> AbstractContextManager[Any]:
    """What came since the group's first start is passed over where a partition begins later."""
    right = begin._first

    def first(known: Any, group: Any, start_from: Any) -> int:
        return right(replace(known, since=None), group, start_from)

    return instead(begin, "_first", first)
