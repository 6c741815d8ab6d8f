"""What to commit and when: the watermark of every partition, with the note that travels beside it. Pure.

The Kafka thread tells what was read and what the delivery thread finished, asks `due` and reports what became of each
commit. A commit goes out every 100 ms or 5,000 offsets, and at once when records were read that no acknowledged commit
covers: only what is covered (`bound`) may be handed to the API. One round is outstanding at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.delivery.coverage import Coverage
from bridge.delivery.note import Began, text_of
from bridge.flow import Bounded, Cover, Progress, Start, TopicPartition


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to commit; seconds and offsets."""

    interval: float = 0.1
    records: int = 5_000
    least: float = 0.010
    """Between two rounds in any case: half of the linger that hides them."""
    answer: float = 90.0
    """After which a round without an answer counts as failed."""
    retry: float = 0.1
    retry_most: float = 1.0


class Commit(NamedTuple):
    """One offset to commit. `moved` says that it is beyond what was stored before in this assignment."""

    topic: str
    partition: int
    epoch: int
    offset: int
    metadata: str
    bound: int
    moved: bool
    number: int = 0
    """Of the last `Cover` that it goes by."""

    @property
    def name(self) -> TopicPartition:
        """The topic and partition."""
        return self.topic, self.partition


State = tuple[int, int, str, int, int]
"""Offset, delivered, runs, bound: what a commit says; and the number of the `Cover` it goes by."""


@dataclass(slots=True)
class _Part:
    epoch: int
    offset: int
    delivered: int
    runs: str
    bound: int
    """The newest offset that may have been handed over: of an earlier owner, or read in this assignment."""
    limit: int
    """The highest offset that may be committed: behind the newest record read, or an end that was reached."""
    stored: int
    held: bool
    acknowledged: State | None
    issued: State | None
    began: Began | None
    covered: Coverage = field(default_factory=Coverage)
    newest: int = -1
    """The newest offset read."""
    cover: int | None = None
    """While everything is held: the newest offset that may be called handed over."""
    number: int = 0

    @property
    def state(self) -> State:
        return self.offset, self.delivered, self.runs, self.bound, self.number


class Committer:
    """Used by the Kafka thread alone. `now` is monotonic seconds, `now_ms` the wall clock in milliseconds."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._parts: dict[TopicPartition, _Part] = {}
        self._changed: set[TopicPartition] = set()
        self._uncovered: set[TopicPartition] = set()
        self._outstanding: dict[TopicPartition, Commit] = {}
        self._issued_at = float("-inf")
        self._not_before = float("-inf")
        self._retry = self._pace.retry
        self.refused_progress = 0
        """Times that a progress would have gone backwards or beyond what was read; 0 unless there is a bug."""

    def assigned(
        self, name: TopicPartition, epoch: int, start: Start, *, runs: str, fresh: bool, began: Began | None = None
    ) -> None:
        """A partition begins. `runs` is what `start` says of finished offsets, coded; `fresh`: nothing is committed.

        `began` stands in each of its commits. A partition that starts held commits nothing until `release`.
        """
        part = _Part(
            epoch=epoch,
            offset=start.offset,
            delivered=start.delivered,
            runs=runs,
            bound=start.bound,
            limit=start.offset,
            stored=-1 if fresh else start.offset,
            held=start.hold is not None,
            acknowledged=None,
            issued=None,
            began=began,
        )
        if start.bound >= 0:
            part.covered = Coverage(start.steps or ((start.bound, start.bound_at),))
        if not fresh:
            part.acknowledged = part.issued = part.state
        self.forget((name,))
        self._parts[name] = part
        self._mark(name, part)

    def release(self, name: TopicPartition, epoch: int) -> None:
        """The hold that the partition started with was lifted: from here on it commits."""
        part = self._of(name, epoch)
        if part is not None and part.held:
            part.held = False
            part.stored, part.acknowledged, part.issued = -1, None, None
            self._mark(name, part)

    def read(self, name: TopicPartition, newest: int) -> None:
        """Records up to the offset `newest` were read."""
        part = self._parts.get(name)
        if part is not None:
            part.limit = max(part.limit, newest + 1)
            part.newest = max(part.newest, newest)
            if newest > part.bound and part.cover is None:
                part.bound = newest
                self._mark(name, part)

    def cover(self, order: Cover) -> None:
        """From now on the notes call offsets up to `order.last` handed over and no more, or all that was read."""
        name = (order.topic, order.partition)
        part = self._of(name, order.epoch)
        if part is None:
            return
        part.cover, part.number = order.last, order.number
        bound = max(part.bound, part.newest) if order.last is None else order.last
        if bound < part.bound:
            part.covered.take_back(bound)
        part.bound = bound
        self._mark(name, part)

    def end(self, name: TopicPartition, offset: int) -> None:
        """The reader stands at `offset`, behind markers and gaps: it may be committed."""
        part = self._parts.get(name)
        if part is not None:
            part.limit = max(part.limit, offset)

    def progress(self, progress: Progress) -> None:
        """What the delivery thread finished. Fenced by the epoch; never backwards, never beyond what was read."""
        name = (progress.topic, progress.partition)
        part = self._of(name, progress.epoch)
        if part is None:
            return
        if not part.offset <= progress.watermark <= part.limit:
            self.refused_progress += 1
            return
        part.offset, part.delivered, part.runs = progress.watermark, progress.delivered, progress.finished
        self._mark(name, part)

    def due(self, now: float, now_ms: int) -> list[Commit]:
        """The commits to make now, each of them outstanding until `acknowledged`, `failed` or `forget`."""
        wait = self.wait(now)
        if wait is None or wait > 0:
            return []
        if self._outstanding:
            self.fail_all(now)
            return []
        self._issued_at = now
        made = [self._issue(name, self._parts[name], now_ms) for name in sorted(self._changed)]
        self._outstanding = {commit.name: commit for commit in made}
        self._changed.clear()
        self._uncovered.clear()
        return made

    def wait(self, now: float) -> float | None:
        """Seconds until `due` has something to say (0 or less: now); None while nothing is due by time alone."""
        if self._outstanding:
            return self._issued_at + self._pace.answer - now
        if not self._changed:
            return None
        at_once = self._uncovered or any(self._advanced(self._parts[name]) for name in self._changed)
        wait = self._issued_at + (self._pace.least if at_once else self._pace.interval) - now
        return max(wait, self._not_before - now)

    def behind(self) -> bool:
        """Whether something was read, or reached, that is not committed yet."""
        return any(part.acknowledged is None or part.limit > part.acknowledged[0] for part in self._parts.values())

    def urgent(self) -> bool:
        """Whether records were read that no commit covers yet: the answer to an outstanding one is awaited for them."""
        return bool(self._uncovered)

    def outstanding(self) -> bool:
        """Whether a commit waits for its answer."""
        return bool(self._outstanding)

    def acknowledged(self, name: TopicPartition, offset: int, metadata: str | None) -> Bounded | None:
        """A commit of the partition is in Kafka; returns what may now be handed over, if that is more.

        An answer to another commit than the outstanding one (of an earlier assignment) says nothing.
        """
        commit = self._outstanding.get(name)
        part = self._of(name, commit.epoch) if commit else None
        if commit is None or part is None or (commit.offset, commit.metadata) != (offset, metadata):
            return None
        del self._outstanding[name]
        before = part.acknowledged
        part.acknowledged = part.issued
        self._retry = self._pace.retry
        if before is not None and before[3] >= commit.bound and before[4] == commit.number:
            return None
        return Bounded(*name, part.epoch, commit.bound, commit.number)

    def failed(self, name: TopicPartition, now: float, offset: int | None = None, metadata: str | None = None) -> None:
        """A commit of the partition was refused: it is made again, later.

        With the `offset` and `metadata` of the refused commit, one of an earlier assignment says nothing.
        """
        commit = self._outstanding.get(name)
        if commit is not None and (offset is None or (commit.offset, commit.metadata) == (offset, metadata)):
            self._again(name, now)

    def fail_all(self, now: float) -> None:
        """The whole outstanding round was refused, or never answered."""
        for name in list(self._outstanding):
            self._again(name, now)

    def _again(self, name: TopicPartition, now: float) -> None:
        part = self._of(name, self._outstanding.pop(name).epoch)
        if part is None:
            return
        part.issued = part.acknowledged
        self._mark(name, part)
        if now >= self._not_before:
            self._not_before = now + self._retry
            self._retry = min(2 * self._retry, self._pace.retry_most)

    def final(self, name: TopicPartition, now_ms: int, handed: int | None) -> Commit | None:
        """The last commit before the partition is given up; None where Kafka has it already.

        `handed` is the newest offset that really was handed to the API, where the drain could tell: the note then
        says no more than that.
        """
        part = self._parts.get(name)
        if part is None or part.held:
            return None
        if handed is not None:
            part.bound = handed
            part.covered.take_back(handed)
        if part.state == part.acknowledged:
            return None
        return self._issue(name, part, now_ms)

    def forget(self, names: Iterable[TopicPartition]) -> None:
        """The partitions are not ours any more; answers to their commits are ignored."""
        for name in names:
            self._parts.pop(name, None)
            self._outstanding.pop(name, None)
            self._changed.discard(name)
            self._uncovered.discard(name)

    def committed(self) -> dict[TopicPartition, int]:
        """The offsets that Kafka acknowledged, by partition."""
        return {name: part.acknowledged[0] for name, part in self._parts.items() if part.acknowledged}

    def marks(self) -> dict[TopicPartition, int]:
        """By partition the highest offset whose outcome is in an acknowledged commit."""
        acknowledged = {name: part.acknowledged for name, part in self._parts.items()}
        return {name: max(state[0] - 1, state[1]) for name, state in acknowledged.items() if state is not None}

    def _of(self, name: TopicPartition, epoch: int) -> _Part | None:
        part = self._parts.get(name)
        return part if part is not None and part.epoch == epoch else None

    def _mark(self, name: TopicPartition, part: _Part) -> None:
        if part.held or part.state == part.issued:
            self._changed.discard(name)
            self._uncovered.discard(name)
            return
        self._changed.add(name)
        if part.issued is None or part.bound > part.issued[3]:
            self._uncovered.add(name)

    def _advanced(self, part: _Part) -> bool:
        return part.issued is None or part.offset - part.issued[0] >= self._pace.records

    def _issue(self, name: TopicPartition, part: _Part, now_ms: int) -> Commit:
        steps = part.covered.told(part.offset, part.bound, now_ms)
        metadata = text_of(
            at_ms=steps[0][1] if steps else now_ms,
            bound=part.bound,
            delivered=part.delivered,
            runs=part.runs,
            steps=steps,
            committed=part.offset,
            began=part.began,
        )
        moved = part.offset > part.stored
        commit = Commit(*name, part.epoch, part.offset, metadata, part.bound, moved, part.number)
        part.stored = max(part.stored, part.offset)
        part.issued = part.state
        return commit
