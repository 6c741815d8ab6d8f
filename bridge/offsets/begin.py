"""Where an assigned partition is read from, decided from what Kafka has of it. Pure; a table in prose:

| committed | and | start |
|---|---|---|
| nothing, on no partition of the topic | no mark | `start_from`; committed at once |
| nothing, on some | no mark, and the partition is newer than the group | the beginning (it was added); committed at once |
| nothing, on some | no mark, and the partition is as old as the group | the first record since the group began there |
| nothing, on some | no mark, and no commit says since when the group reads | the beginning |
| nothing | this process had committed there: the topic was made anew | the beginning, whatever mark the old one left |
| nothing | a mark: the offsets expired or were deleted | not beyond the mark; held as `rewind` where it is below |
| ours, beyond where the log was cut off | the metadata speaks of records there | the cut, held as `rewind`; what is deleted behind it is lost |
| the same | the topic may be another one | the beginning, held as `rewind`; what is deleted behind the cut is lost |
| ours, beyond where the log was cut off | the metadata speaks of none there | the cut: what was only reached may be another's |
| ours, below where the log was cut off | the metadata speaks of records beyond it | there, with what it says of those below |
| ours | the metadata speaks of offsets beyond the end: the log was cut off | the same |
| ours | | there, with its metadata |
| of another cluster | `kafka.moved_from` names it | there; its metadata does not count |
| of another cluster | else | there, held as `rewind`: keys begin with the cluster's id, so repeats would notify |
| not ours (no metadata, or one of another commit or topic) | at or below the mark, or no mark though the topic's group is ours | there, held as `rewind` |
| not ours | else | there: the group is new to us, or somebody skipped ahead |
| below the beginning | | the beginning; the gap is counted, and held as `retention_gap` unless the settings say go on |
| nothing | a mark that ends before the beginning | the same: the gap begins behind the mark |
| beyond the end | the topic was recreated or truncated | the beginning, held as `rewind` |

The mark is the highest offset known to be delivered, from the shadow group. Where the log was cut off is told by the
broker, as the end of the leader epoch that the commit bears: no record from there on is one that the commit speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from bridge.flow import Start, TopicPartition
from bridge.offsets.commits import (
    FOREIGN,
    UNKNOWN,
    Began,
    Claim,
    CommitMetadata,
    Origin,
    claim_of,
    decode,
    runs_of,
)

StartFrom = Literal["latest", "earliest"] | int
"""Where a new group begins; an int is a time in milliseconds since 1970."""

OnGap = Literal["hold", "continue"]

HOUR_MS = 3_600_000
AGES: dict[int, str] = {
    30 * 24 * HOUR_MS: "30 days",
    7 * 24 * HOUR_MS: "7 days",
    24 * HOUR_MS: "24 hours",
    HOUR_MS: "an hour",
}
"""The ages that are asked for where something would go out again, oldest first. A day is how long keys are known."""


class Committed(NamedTuple):
    """A committed offset, the metadata beside it, and the leader epoch of the newest record read, -1 where unknown."""

    offset: int
    metadata: str | None
    epoch: int = -1


@dataclass(frozen=True, slots=True)
class Known:
    """What Kafka says of one partition. `low` and `high` are its first offset and the one behind its last record.

    `since` is the first offset at or after the time at which the group begins with the topic (of `start_from`, or as its
    commits say), None where there is none or none is asked for. `before` is what this process committed there earlier,
    whatever Kafka has of it now; with `fresh` not long ago. `epoch_end`
    is the offset at which the log has left the commit's leader epoch, -1 where it never had that epoch, None where
    nobody can tell.
    """

    name: TopicPartition
    committed: Committed | None
    low: int
    high: int
    since: int | None = None
    mark: int | None = None
    before: int | None = None
    fresh: bool = False
    epoch_end: int | None = None
    origin: Origin = UNKNOWN
    """The cluster and the topic as they are now."""
    cluster_id: str = ""
    moved_from: int = 0
    """The digest of the cluster that the group was moved from; 0 if it was not."""

    @property
    def place(self) -> str:
        """The partition, as texts name it."""
        topic, partition = self.name
        return f"{topic}[{partition}]"

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
    """What is known of the group on the partition's topic: whether any commit is there, any with our metadata, and `began`."""

    has_commits: bool
    is_ours: bool
    began: Began | None = None
    """Since when the group reads the topic; None where no commit says so."""


class Resolved(NamedTuple):
    """A start. `runs` codes its finished offsets for the next commit; `fresh`: commit it at once.

    `lost` are offsets without an outcome that Kafka has deleted; they are lost whether it is held or not. `doubtful`:
    the end may be told too low by a leader that is new; ask again before it is believed. `remade`: marks of the partition
    are of a log that is gone.
    """

    start: Start
    runs: str
    fresh: bool
    lost: int = 0
    doubtful: bool = False
    remade: bool = False
    began: Began | None = None
    """What every commit of the topic says of the group's beginning there."""
    unread: int = 0
    """Offsets before the start of which nothing is known: no commit and no mark says that they were ever read."""
    foreign: str | None = None
    """Why the metadata of the commit does not count, where it has one that is not ours."""


def group_of(committed: Mapping[int, Committed], here: Origin = UNKNOWN) -> Group:
    """What the commits of all partitions of a topic say of the group; `here` is what is known of the topic now."""
    ours = [metadata for each in committed.values() if (metadata := own_metadata(each, here)) is not None]
    told = [metadata.began for metadata in ours if metadata.began is not None]
    return Group(has_commits=bool(committed), is_ours=bool(ours), began=min(told, default=None))


def begins(start_from: StartFrom, now_ms: int, partitions: int) -> Began:
    """When a group that is new to a topic begins there: what is older than that it has never been asked to send."""
    if isinstance(start_from, int):
        return Began(start_from, partitions)
    return Began(now_ms if start_from == "latest" else 0, partitions)


def since_when(name: TopicPartition, began: Began | None) -> int | None:
    """The time whose offset has to be known to begin a partition that has no commit; None where none has to be."""
    return None if began is None or _is_added(name, began) or began.at_ms <= 0 else began.at_ms


def _is_added(name: TopicPartition, began: Began) -> bool:
    return name[1] >= began.partitions


def own_metadata(committed: Committed, here: Origin = UNKNOWN) -> CommitMetadata | None:
    """What we committed for exactly this commit; None where somebody else made it, or carried the metadata to it."""
    metadata = decode(committed.metadata, committed.offset)
    return metadata if claim_of(metadata, here) is Claim.OURS else None


def resolve(known: Known, group: Group, start_from: StartFrom, on_gap: OnGap) -> Resolved:
    """Decide where to begin. Total."""
    committed = known.committed
    if committed is None:
        return _without_commit(known, group, start_from, on_gap)
    metadata = decode(committed.metadata, committed.offset)
    claim = claim_of(metadata, known.origin)
    if claim is Claim.CLUSTER:
        moved = metadata is not None and metadata.origin.cluster == known.moved_from and committed.offset <= known.high
        found = _moved(known, committed, on_gap) if moved else _of_another_cluster(known, committed.offset)
    else:
        found = _of_this_cluster(known, committed, metadata if claim is Claim.OURS else None, group, on_gap)
    return found._replace(foreign=FOREIGN.get(claim))


def _of_this_cluster(
    known: Known, committed: Committed, metadata: CommitMetadata | None, group: Group, on_gap: OnGap
) -> Resolved:
    if metadata is not None and known.epoch_end is not None:
        return _checked(known, committed, metadata, on_gap)
    if committed.offset > known.high:
        return _beyond_the_end(known, committed.offset)
    if metadata is None and _rewound(known, group, committed.offset):
        why = f"the committed offset {committed.offset} was set by somebody else"
        return _rewind(known, committed.offset, why)
    if metadata is not None and max(metadata.delivered, metadata.send_limit) >= known.high:
        cut_off = _cut_off(metadata, committed.offset, known.high)
        return _go_on(known, committed, cut_off, on_gap)._replace(fresh=True, doubtful=True)
    return _go_on(known, committed, metadata, on_gap)


def _moved(known: Known, committed: Committed, on_gap: OnGap) -> Resolved:
    """Somebody said before that the group comes from there: it goes on, and marks that came with it do not count."""
    return _go_on(known, committed, None, on_gap)._replace(remade=True)


def _of_another_cluster(known: Known, committed: int) -> Resolved:
    """Whatever carried it translated to the low side, if at all: from there on records were sent from the other cluster.

    The count is no part of the detail, which the token is made of: it grows.
    """
    offset = max(known.low, committed if committed <= known.high else known.low)
    text = (
        f"{known.place}: the offset {committed} was committed in another cluster; this one's id is "
        f"{known.cluster_id or 'not known'}. Records from offset {offset} on may have been sent from there already and "
        "would notify again: keys begin with the cluster's id, unless delivery.namespace says otherwise. Who moved the "
        "group here on purpose sets kafka.moved_from to the other cluster's id"
    )
    count = f"; {known.high - offset} records from there to the end, as of now"
    return Resolved(Start(offset, hold="rewind", detail=text, age=count), "", fresh=True, remade=True)


def _checked(known: Known, committed: Committed, metadata: CommitMetadata, on_gap: OnGap) -> Resolved:
    """The broker has told where its log leaves the commit's leader epoch: what lies behind that was read of no log of now.

    An offset that was reached behind the last record read (markers, what was rolled back) may be of a newer epoch than
    that record: where only such offsets lie beyond, nothing was cut, or nothing that was read; it is read from there.
    """
    end = known.epoch_end
    assert end is not None
    spoken = max(metadata.delivered, metadata.send_limit) + 1
    if end >= max(committed.offset, spoken):
        return _go_on(known, committed, metadata, on_gap)
    if end < min(committed.offset, spoken):
        return _cut_below(known, committed, metadata, end)
    kept = committed._replace(offset=min(committed.offset, end))
    return _go_on(known, kept, _cut_off(metadata, kept.offset, end), on_gap)._replace(fresh=True, remade=end < spoken)


def _cut_below(known: Known, committed: Committed, metadata: CommitMetadata, end: int) -> Resolved:
    """The log was cut off below the commit, and has perhaps grown past it again; or it is another one by now.

    Only where the topic is surely the same is what lies before the cut surely what was read.
    """
    offset, epoch, first = committed.offset, committed.epoch, max(end, known.low)
    # Cut off or made anew: nobody has read what lies behind the end of that epoch, so that it is lost where it is deleted.
    lost = first - max(end, 0)
    span = f"(offsets {first - lost} to {first - 1})"
    deleted = f"; of its new records Kafka has deleted {lost} before they were read {span}" if lost else ""
    if end < 0:
        why = f"the broker's log never had the leader epoch {epoch} of the committed offset {offset}: the topic was made anew"
        return _rewind(known, known.low, f"{why}{deleted}")._replace(lost=lost)
    why = f"the committed offset is {offset}, and the broker's log of then (leader epoch {epoch}) ends at {end}"
    if not metadata.origin.topic or metadata.origin.topic != known.origin.topic:
        why = f"{why}: it was cut off, or the topic was made anew{deleted}"
        return _rewind(known, known.low, why)._replace(lost=lost)
    text = (
        f"{known.place}: {why}: it was cut off there, and records that Kafka had acknowledged are gone"
        f"{deleted}; those from offset {first} on are new and were not sent"
    )
    # How many there are is no part of the detail, which the token is made of: it grows.
    count = f"; {max(0, known.high - first)} offsets from there to the end, as of now"
    return Resolved(Start(first, hold="rewind", detail=text, age=count), "", fresh=True, lost=lost)


def _go_on(known: Known, committed: Committed, metadata: CommitMetadata | None, on_gap: OnGap) -> Resolved:
    if committed.offset < known.low:
        return _gap(known, committed, metadata, on_gap)
    if metadata is None:
        return Resolved(Start(committed.offset), "", fresh=True)
    start = Start(
        committed.offset,
        metadata.delivered,
        metadata.unfinished,
        metadata.send_limit,
        metadata.at_ms,
        metadata.steps,
        committed.epoch,
    )
    return Resolved(start, metadata.runs, fresh=False)


def _without_commit(known: Known, group: Group, start_from: StartFrom, on_gap: OnGap) -> Resolved:
    if known.remade:
        return Resolved(Start(known.low), "", fresh=True, remade=True)
    wanted = _first(known, group, start_from)
    delivered = known.delivered
    if delivered is None:
        return Resolved(Start(wanted), "", fresh=True, unread=max(0, wanted - known.low))
    if delivered < known.low - 1:
        return _overtaken(known, delivered + 1, on_gap)
    offset = max(known.low, min(wanted, delivered + 1))
    if offset <= delivered:
        shorter = " and the log ends before what was delivered" if delivered >= known.high else ""
        return _rewind(known, offset, f"the group's committed offset is gone{shorter}")
    return Resolved(Start(offset), "", fresh=True)


def _first(known: Known, group: Group, start_from: StartFrom) -> int:
    """Where a partition begins of which nothing was delivered.

    One that was there when the group began with the topic begins at that time: nothing from before is sent, and at the
    end that was seen first at the latest: whatever their timestamps say, the records behind it are the group's.
    """
    began = group.began
    if began is None:
        return known.low if group.has_commits else _wanted(known, start_from)
    if since_when(known.name, began) is None:
        return known.low
    return max(known.low, known.high if known.since is None else min(known.since, known.high))


def _wanted(known: Known, start_from: StartFrom) -> int:
    if start_from == "earliest":
        return known.low
    if start_from == "latest" or known.since is None:
        return known.high
    return known.since


def _rewound(known: Known, group: Group, offset: int) -> bool:
    if known.mark is None:
        return group.is_ours
    return offset <= known.mark


def _rewind(known: Known, asked: int, why: str) -> Resolved:
    """Held at the offset that somebody asked for, or at the beginning where that is deleted already.

    Deleted records above the mark are lost. Where no mark is known they may all have been delivered.
    """
    offset, delivered = max(asked, known.low), known.delivered
    text = f"{known.place}: {why}"
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
    older = [text for age, text in AGES.items() if age in at_age and not 0 <= at_age[age] <= offset]
    if not older:
        return "; all of them younger than an hour: SuprSend still knows their keys"
    known = "" if older[0] == "an hour" else ", and SuprSend knows a key for 24 hours"
    return f"; the oldest is over {older[0]} old{known}"


def _beyond_the_end(known: Known, offset: int) -> Resolved:
    why = f"the committed offset {offset} is beyond the end {known.high}: the topic was recreated or truncated"
    return _rewind(known, known.low, why)._replace(doubtful=True)


def _cut_off(metadata: CommitMetadata, offset: int, high: int) -> CommitMetadata:
    """The log ends below what the metadata speaks of: offsets from its end on will be those of other records."""
    last = high - 1
    delivered = min(metadata.delivered, last)
    unfinished = tuple((first, min(end, last)) for first, end in metadata.unfinished if first <= last)
    runs = runs_of(offset, (), delivered, unfinished)
    if not runs:
        delivered, unfinished = -1, ()
    below = sum(end < last for end, _ in metadata.steps)
    steps = tuple((min(end, last), since) for end, since in metadata.steps[: below + 1])
    return replace(
        metadata,
        send_limit=min(metadata.send_limit, last),
        delivered=delivered,
        unfinished=unfinished,
        runs=runs,
        steps=steps,
    )


def _gap(known: Known, committed: Committed, metadata: CommitMetadata | None, on_gap: OnGap) -> Resolved:
    low = known.low
    finished = 0 if metadata is None else _finished_below(committed.offset, low, metadata)
    found = _overtaken(known, committed.offset, on_gap, finished)
    if metadata is None or metadata.delivered < low:
        if metadata is not None and metadata.send_limit >= low:
            bounded = replace(
                found.start, send_limit=metadata.send_limit, send_limit_at=metadata.at_ms, steps=metadata.steps
            )
            found = found._replace(start=replace(bounded, leader_epoch=committed.epoch))
        return found
    unfinished = tuple((max(first, low), last) for first, last in metadata.unfinished if last >= low)
    hold, text = found.start.hold, found.start.detail
    start = Start(
        low, metadata.delivered, unfinished, metadata.send_limit, metadata.at_ms, metadata.steps, hold=hold, detail=text
    )
    start = replace(start, leader_epoch=committed.epoch)
    return found._replace(start=start, runs=runs_of(low, (), metadata.delivered, unfinished))


def _overtaken(known: Known, first: int, on_gap: OnGap, finished: int = 0) -> Resolved:
    """Retention was quicker: of what was before the beginning all from `first` on was unread, save `finished` records."""
    low = known.low
    lost = low - first - finished
    text = f"{known.place}: Kafka deleted {lost} records before they were read (offsets {first} to {low - 1})"
    hold = "retention_gap" if on_gap == "hold" and lost else None
    return Resolved(Start(low, hold=hold, detail=text), "", fresh=True, lost=lost)


def _finished_below(offset: int, low: int, metadata: CommitMetadata) -> int:
    end = min(low, metadata.delivered + 1)
    unfinished = sum(max(0, min(last + 1, end) - first) for first, last in metadata.unfinished)
    return max(0, end - offset - unfinished)
