"""Where an assigned partition is read from, decided from what Kafka has of it. Pure; a table in prose:

| committed | and | start |
|---|---|---|
| nothing, on no partition of the topic | no mark | `start_from`; committed at once |
| nothing, on some | no mark | the beginning (the partition was added); committed at once |
| nothing | this process had committed there: the topic was made anew | the beginning, whatever mark the old one left |
| nothing | a mark: the offsets expired or were deleted | not beyond the mark; held as `rewind` where it is below |
| ours | the note speaks of offsets beyond the end: the log was cut off | there, with what it says of those below |
| ours | | there, with its note |
| not ours (no note) | at or below the mark, or no mark though the topic's group is ours | there, held as `rewind` |
| not ours | else | there: the group is new to us, or somebody skipped ahead |
| below the beginning | | the beginning; the gap is counted, and held as `retention_gap` unless the settings say go on |
| nothing | a mark that ends before the beginning | the same: the gap begins behind the mark |
| beyond the end | the topic was recreated or truncated | the beginning, held as `rewind` |

The mark is the highest offset known to be delivered, from the shadow group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, NamedTuple

from bridge.delivery.note import Note, decode, runs_of
from bridge.flow import Start, TopicPartition

StartFrom = Literal["latest", "earliest"] | int
"""Where a new group begins; an int is a time in milliseconds since 1970."""

OnGap = Literal["hold", "continue"]

_MOST_CODED = 200_000

HOUR_MS = 3_600_000
AGES: dict[int, str] = {
    30 * 24 * HOUR_MS: "30 days",
    7 * 24 * HOUR_MS: "7 days",
    24 * HOUR_MS: "24 hours",
    HOUR_MS: "an hour",
}
"""The ages that are asked for where something would go out again, oldest first. A day is how long keys are known."""


class Committed(NamedTuple):
    """A committed offset and the metadata beside it."""

    offset: int
    metadata: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What Kafka says of one partition. `low` and `high` are its first offset and the one behind its last record.

    `at_time` is the first offset at or after the time of `start_from`, None where there is none or none is asked for.
    `before` is what this process committed there earlier, whatever Kafka has of it now; with `fresh` not long ago.
    """

    name: TopicPartition
    committed: Committed | None
    low: int
    high: int
    at_time: int | None = None
    mark: int | None = None
    before: int | None = None
    fresh: bool = False

    @property
    def remade(self) -> bool:
        """Whether the topic was deleted and made anew, if Kafka has no commit: that went with the old one.

        Commits of a group go for other reasons only when it had no members for days, and then the log is not shorter.
        """
        return self.before is not None and (self.fresh or self.high < self.before)

    @property
    def delivered(self) -> int | None:
        """The highest offset known to be delivered, if Kafka has no commit of ours."""
        known = [each for each in (self.mark, None if self.before is None else self.before - 1) if each is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class Group:
    """What is known of the group on the partition's topic: whether any commit is there, and any with our note."""

    has_commits: bool
    is_ours: bool


class Resolved(NamedTuple):
    """A start. `runs` codes its finished offsets for the next commit; `fresh`: commit it at once.

    `lost` are offsets without an outcome that Kafka has deleted; they are lost whether it is held or not. `doubtful`:
    the end may be told too low by a leader that is new; ask again before it is believed. `remade`: marks of the topic
    are of one that is gone.
    """

    start: Start
    runs: str
    fresh: bool
    lost: int = 0
    doubtful: bool = False
    remade: bool = False


def group_of(committed: Mapping[int, Committed]) -> Group:
    """What the commits of all partitions of a topic say of the group."""
    ours = any(_note_of(each) is not None for each in committed.values())
    return Group(has_commits=bool(committed), is_ours=ours)


def _note_of(committed: Committed) -> Note | None:
    """What we noted for exactly this commit; None where somebody else made it, or carried the note to it."""
    note = decode(committed.metadata, committed.offset)
    return note if note is not None and note.fits else None


def resolve(known: Known, group: Group, start_from: StartFrom, on_gap: OnGap) -> Resolved:
    """Decide where to begin. Total."""
    committed = known.committed
    if committed is None:
        return _without_commit(known, group, start_from, on_gap)
    note = _note_of(committed)
    if committed.offset > known.high:
        return _beyond_the_end(known, committed.offset)
    if note is None and _rewound(known, group, committed.offset):
        why = f"the committed offset {committed.offset} was set by somebody else"
        return _rewind(known, committed.offset, why)
    if note is not None and max(note.delivered, note.bound) >= known.high:
        cut_off = _cut_off(note, committed.offset, known.high)
        return _go_on(known, committed, cut_off, on_gap)._replace(fresh=True, doubtful=True)
    return _go_on(known, committed, note, on_gap)


def _go_on(known: Known, committed: Committed, note: Note | None, on_gap: OnGap) -> Resolved:
    if committed.offset < known.low:
        return _gap(known, committed, note, on_gap)
    if note is None:
        return Resolved(Start(committed.offset), "", fresh=True)
    start = Start(committed.offset, note.delivered, note.unfinished, note.bound, note.at_ms, note.steps)
    return Resolved(start, note.runs, fresh=False)


def _without_commit(known: Known, group: Group, start_from: StartFrom, on_gap: OnGap) -> Resolved:
    if known.remade:
        return Resolved(Start(known.low), "", fresh=True, remade=True)
    wanted = known.low if group.has_commits else _wanted(known, start_from)
    delivered = known.delivered
    if delivered is None:
        return Resolved(Start(wanted), "", fresh=True)
    if delivered < known.low - 1:
        return _overtaken(known, delivered + 1, on_gap)
    offset = max(known.low, min(wanted, delivered + 1))
    if offset <= delivered:
        shorter = " and the log ends before what was delivered" if delivered >= known.high else ""
        return _rewind(known, offset, f"the group's committed offset is gone{shorter}")
    return Resolved(Start(offset), "", fresh=True)


def _wanted(known: Known, start_from: StartFrom) -> int:
    if start_from == "earliest":
        return known.low
    if start_from == "latest" or known.at_time is None:
        return known.high
    return known.at_time


def _rewound(known: Known, group: Group, offset: int) -> bool:
    if known.mark is None:
        return group.is_ours
    return offset <= known.mark


def _rewind(known: Known, asked: int, why: str) -> Resolved:
    """Held at the offset that somebody asked for, or at the beginning where that is deleted already.

    Deleted records above the mark are lost. Where no mark is known they may all have been delivered.
    """
    offset, delivered = max(asked, known.low), known.delivered
    text = f"{known.name[0]}[{known.name[1]}]: {why}"
    lost = 0 if delivered is None else max(0, offset - max(asked, delivered + 1))
    if asked < offset:
        undelivered = f" ({lost} records that were not delivered among it)" if lost else ""
        text += f", and Kafka has deleted what was before {offset}{undelivered}"
    if delivered is not None and delivered >= offset:
        text += f"; {delivered + 1 - offset} records from offset {offset} on, already delivered, would go out again"
    else:
        text += f"; records from offset {offset} on may have been delivered before and would go out again"
    return Resolved(Start(offset, hold="rewind", detail=text), "", fresh=True, lost=lost)


def age_of(offset: int, at_age: Mapping[int, int]) -> str:
    """How old the records from an offset on are. `at_age`: by age in milliseconds the first offset that is younger.

    An age without such an offset is one that all records have passed.
    """
    older = [text for age, text in AGES.items() if not 0 <= at_age.get(age, 0) <= offset and age in at_age]
    if not older:
        return "; all of them younger than an hour: SuprSend still knows their keys"
    known = "" if older[0] == "an hour" else ", and SuprSend knows a key for 24 hours"
    return f"; the oldest is over {older[0]} old{known}"


def _beyond_the_end(known: Known, offset: int) -> Resolved:
    why = f"the committed offset {offset} is beyond the end {known.high}: the topic was recreated or truncated"
    return _rewind(known, known.low, why)._replace(doubtful=True)


def _cut_off(note: Note, offset: int, high: int) -> Note:
    """The log ends below what the note speaks of: offsets from its end on will be those of other records."""
    last = high - 1
    delivered = min(note.delivered, last)
    unfinished = tuple((first, min(end, last)) for first, end in note.unfinished if first <= last)
    runs = _coded(offset, unfinished, delivered) if delivered >= offset else ""
    if not runs:
        delivered, unfinished = -1, ()
    below = sum(end < last for end, _ in note.steps)
    steps = tuple((min(end, last), since) for end, since in note.steps[: below + 1])
    return Note(min(note.bound, last), note.at_ms, delivered, unfinished, runs, steps)


def _gap(known: Known, committed: Committed, note: Note | None, on_gap: OnGap) -> Resolved:
    low = known.low
    finished = 0 if note is None else _finished_below(committed.offset, low, note)
    found = _overtaken(known, committed.offset, on_gap, finished)
    if note is None or note.delivered < low:
        if note is not None and note.bound >= low:
            found = found._replace(start=replace(found.start, bound=note.bound, bound_at=note.at_ms, steps=note.steps))
        return found
    unfinished = tuple((max(first, low), last) for first, last in note.unfinished if last >= low)
    hold, text = found.start.hold, found.start.detail
    start = Start(low, note.delivered, unfinished, note.bound, note.at_ms, note.steps, hold, text)
    return found._replace(start=start, runs=_coded(low, unfinished, note.delivered))


def _overtaken(known: Known, first: int, on_gap: OnGap, finished: int = 0) -> Resolved:
    """Retention was quicker: of what was before the beginning all from `first` on was unread, save `finished` records."""
    low = known.low
    lost = low - first - finished
    text = (
        f"{known.name[0]}[{known.name[1]}]: Kafka deleted {lost} records before they were read "
        f"(offsets {first} to {low - 1})"
    )
    hold = "retention_gap" if on_gap == "hold" and lost else None
    return Resolved(Start(low, hold=hold, detail=text), "", fresh=True, lost=lost)


def _finished_below(offset: int, low: int, note: Note) -> int:
    end = min(low, note.delivered + 1)
    unfinished = sum(max(0, min(last, end - 1) - first + 1) for first, last in note.unfinished if first < end)
    return max(0, end - offset - unfinished)


def _coded(low: int, unfinished: tuple[tuple[int, int], ...], delivered: int) -> str:
    """Code the ranges anew from `low` on; nothing counts as finished where they are absurdly long (not our writing)."""
    if sum(last - first + 1 for first, last in unfinished) > _MOST_CODED:
        return ""
    offsets = chain.from_iterable(range(first, last + 1) for first, last in unfinished)
    return runs_of(low, offsets, delivered)
