"""Offsets, notes and the guard of 24 hours."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from bridge.delivery.calls import Calls
from bridge.delivery.core import Delivery
from bridge.delivery.guards import Repeats
from bridge.flow import SendLimitCommitted
from bridge.offsets import begin, commits
from bridge.offsets.commits import Commit, Committer, HandedSince, Origin
from bridge.offsets.ledger import Ledger
from tests.simulation.planted.table import instead, planted

RIGHT_RUNS = Ledger.runs
RIGHT_START = Calls._start
RIGHT_BOUNDED = commits._bounded


@planted
def watermark_one_too_high() -> AbstractContextManager[Any]:
    """The commit steps over the oldest unfinished record."""
    right = Ledger.__dict__["watermark"].fget
    return instead(Ledger, "watermark", property(lambda self: right(self) + (1 if self.unfinished else 0)))


@planted
def newest_is_committed() -> AbstractContextManager[Any]:
    """The newest finished record is committed, as if all before it were finished."""
    return instead(
        Ledger, "watermark", property(lambda self: max(self.top + 1, next(iter(self.unfinished), self.next)))
    )


@planted
def epoch_not_looked_at() -> AbstractContextManager[Any]:
    """What an earlier assignment finished is committed in the present one."""
    return instead(Committer, "_of", lambda self, name, epoch: self._parts.get(name))


@planted
def commit_without_metadata() -> AbstractContextManager[Any]:
    """An offset is stored without its note."""
    right = Committer._issue

    def issue(self: Committer, *args: Any) -> Commit:
        return right(self, *args)._replace(metadata="")

    return instead(Committer, "_issue", issue)


@planted
def finished_set_forgotten() -> AbstractContextManager[Any]:
    """What is finished above the watermark is not in the note."""
    return instead(Ledger, "runs", lambda self: "")


@planted
def finished_set_of_the_earlier_owner_forgotten() -> AbstractContextManager[Any]:
    """The note leaves out what the earlier owner had finished and nobody has read again yet."""
    right = Ledger.runs
    return instead(Ledger, "runs", lambda self: right(self) if self.unfinished else "")


@planted
def unread_counts_as_finished() -> AbstractContextManager[Any]:
    """What the earlier owner left unfinished and nobody has read again yet is called finished."""

    def runs(self: Any) -> str:
        self._skip, skip = False, self._skip
        try:
            return RIGHT_RUNS(self)
        finally:
            self._skip = skip

    return instead(Ledger, "runs", runs)


@planted
def last_of_a_range_skipped() -> AbstractContextManager[Any]:
    """The last unfinished record of each range in the note counts as finished."""

    def finished(self: Any, offset: int) -> bool:
        begun = self._start
        if not begun.offset <= offset <= begun.delivered:
            return bool(offset < begun.offset)
        return not any(first <= offset < last for first, last in begun.unfinished)

    return instead(Ledger, "_finished_before", finished)


@planted
def bound_after_the_send() -> AbstractContextManager[Any]:
    """Records go out before a commit says that they may have."""
    right = Delivery._assigned

    def assigned(self: Any, item: Any, *args: Any) -> None:
        right(self, item, *args)
        self.parts[item.topic, item.partition].send_limit = 1 << 60

    return instead(Delivery, "_assigned", assigned)


@planted
def bound_of_the_earlier_owner_forgotten() -> AbstractContextManager[Any]:
    """A clean stop says of nothing that it was handed over."""
    right = Committer.final
    return instead(Committer, "final", lambda self, name, now, now_ms, handed: right(self, name, now, now_ms, -1))


@planted
def clock_of_the_newest_commit() -> AbstractContextManager[Any]:
    """The note's time is that of each commit, not of the first that covered the oldest unfinished record."""
    return instead(HandedSince, "told", lambda self, offset, send_limit, now_ms: ((send_limit, now_ms),))


@planted
def guard_of_24_hours_off() -> AbstractContextManager[Any]:
    """What SuprSend has forgotten is sent again."""
    return instead(Repeats, "too_late", lambda self, run, first_ms, now_ms: [])


@planted
def offset_goes_back_by_one() -> AbstractContextManager[Any]:
    """Each commit is one short, and the first of an assignment goes back."""
    right = Committer._issue

    def issue(self: Committer, *args: Any) -> Commit:
        made = right(self, *args)
        return made._replace(offset=max(0, made.offset - 1))

    return instead(Committer, "_issue", issue)


@planted
def clock_of_the_latest_attempt() -> AbstractContextManager[Any]:
    """The guard of 24 hours runs from the newest attempt, not from the first."""

    def begin(self: Any, batch: Any, now: float, now_ms: int) -> Any:
        batch.first_ms = None
        return RIGHT_START(self, batch, now, now_ms)

    return instead(Calls, "_start", begin)


@planted
def any_answer_acknowledges() -> AbstractContextManager[Any]:
    """The answer to another commit of a partition, or to none, is taken for that of the one under way."""

    def asked(self: Any, name: Any, offset: int, metadata: str | None) -> Commit | None:
        found = self._under_way.get(name)
        return None if found is None else found[0]

    return instead(Committer, "asked", asked)


@planted
def late_answer_acknowledges() -> AbstractContextManager[Any]:
    """The answer to a commit of an earlier assignment lets the present one hand over what was read since."""
    right = Committer.acknowledged

    def acknowledged(self: Any, commit: Commit) -> SendLimitCommitted | None:
        part = self._parts.get(commit.name)
        found = right(self, commit)
        if found is None and part is not None and part.epoch != commit.epoch:
            return SendLimitCommitted(*commit.name, part.epoch, part.send_limit)
        return found

    return instead(Committer, "acknowledged", acknowledged)


@planted
def refused_commit_forgotten() -> AbstractContextManager[Any]:
    """A commit that was refused is not made again."""
    return instead(Committer, "refused", lambda self, commit, now: self._answered(commit))


@planted
def refused_partition_rests_for_ever() -> AbstractContextManager[Any]:
    """What was refused once is never due again."""
    return instead(Committer, "_rest_no_longer", lambda self, now: None)


@planted
def metadata_of_another_commit_believed() -> AbstractContextManager[Any]:
    """What a note says is believed beside any offset."""
    right = commits.claim_of
    return instead(begin, "claim_of", lambda note, here: right(note and replace(note, fits=True), here))


@planted
def runs_of_another_cluster_believed() -> AbstractContextManager[Any]:
    """What was finished in another cluster counts as finished in this one."""
    right = commits.claim_of
    return instead(begin, "claim_of", lambda note, here: right(note, Origin()))


@planted
def cut_runs_are_called_finished() -> AbstractContextManager[Any]:
    """Where runs do not fit, what is left out counts as finished."""

    def bounded(lengths: list[int], room: int) -> str:
        text = RIGHT_BOUNDED(lengths, room)
        if text == RIGHT_BOUNDED(lengths, 1 << 30):
            return text
        *before, left, _ = text.split(",")
        return ",".join([*before, "0", left])

    return instead(commits, "_bounded", bounded)


@planted
def held_partition_commits() -> AbstractContextManager[Any]:
    """A partition that starts held commits at once, over what somebody set."""
    right = Committer.assigned

    def assigned(self: Any, name: Any, *args: Any, **more: Any) -> None:
        right(self, name, *args, **more)
        part = self._parts[name]
        if part.held:
            self.release(name, part.epoch)

    return instead(Committer, "assigned", assigned)


@planted
def steps_one_record_off() -> AbstractContextManager[Any]:
    """The time of the newest records counts for all that the commit covers."""
    right = HandedSince.told

    def told(self: Any, offset: int, send_limit: int, now_ms: int) -> Any:
        steps = right(self, offset, send_limit, now_ms)
        return ((send_limit, steps[-1][1]),) if steps else steps

    return instead(HandedSince, "told", told)


@planted
def end_is_not_committed() -> AbstractContextManager[Any]:
    """The offset behind markers is not committed: lag never ends."""
    return instead(Ledger, "end", lambda self, offset: None)


@planted
def end_is_computed() -> AbstractContextManager[Any]:
    """The end that was reached is committed though records before it are unfinished."""
    right = Ledger.__dict__["watermark"].fget

    def watermark(self: Any) -> Any:
        return self.next if self.next > self.newest + 1 else right(self)

    return instead(Ledger, "watermark", property(watermark))


@planted
def epoch_of_what_is_read_whatever_the_note_speaks_of() -> AbstractContextManager[Any]:
    """A commit speaks of offsets of a newer leader epoch than it bears: the log seems to be cut off before them."""
    right = Committer.read

    def read(self: Any, name: Any, newest: int, leader_epoch: int = -1) -> None:
        right(self, name, newest, leader_epoch)
        part = self._parts.get(name)
        if part is not None:
            part.leader_epoch = max(part.leader_epoch, leader_epoch)

    return instead(Committer, "read", read)


@planted
def turn_never_comes() -> AbstractContextManager[Any]:
    """What moved and presses nobody is never committed."""
    return instead(Committer, "_next_turn", lambda self: None)


@planted
def one_turn_at_a_time() -> AbstractContextManager[Any]:
    """Of several partitions that wait for their interval one is remembered."""
    right = Committer._mark

    def mark(self: Any, name: Any, part: Any) -> None:
        right(self, name, part)
        del self._turns[1:]

    return instead(Committer, "_mark", mark)
