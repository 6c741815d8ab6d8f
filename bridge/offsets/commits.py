"""What to commit and when: the watermark of every partition, with the metadata that travels beside it. Pure.

The Kafka thread tells what was read and what the delivery thread finished, asks `due` and reports what became of each
commit. A commit goes out every 100 ms or 5,000 offsets, and at once when records were read that no acknowledged commit
covers: only what is covered (`send_limit`) may be handed to the API. One request carries all that moved. Several may be on
their way, at most one for a partition, and each partition goes on by its own answer, or without one after a while: what
becomes of one never waits for another. Nothing here looks at partitions that did not move.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from bridge.flow import CommitSendLimit, Progress, SendLimitCommitted, Start, TopicPartition
from bridge.offsets.commit_metadata import MAX_BYTES, UNKNOWN, Began, HandedSince, Origin, text_of

_LEAST_ROOM = 125
"""Less than the fields and the facts of metadata take: where these are refused, none is written."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to commit; seconds and offsets."""

    interval: float = 0.1
    records: int = 5_000
    least: float = 0.010
    """Between two requests in any case: half of the linger that hides them."""
    answer: float = 90.0
    """After which a commit without an answer counts as failed. Kafka's client gives up earlier."""
    retry: float = 0.1
    retry_most: float = 1.0


class Commit(NamedTuple):
    """One offset to commit. `leader_epoch` is that of the newest offset that it speaks of, -1 if unknown."""

    topic: str
    partition: int
    epoch: int
    offset: int
    metadata: str
    send_limit: int
    leader_epoch: int
    room: int
    """What the metadata was allowed to take."""
    number: int = 0
    """Of the last `CommitSendLimit` that it goes by."""

    @property
    def name(self) -> TopicPartition:
        """The topic and partition."""
        return self.topic, self.partition


State = tuple[int, int, str, int, int]
"""Offset, delivered, runs, send limit: what a commit says; and the number of the `CommitSendLimit` it goes by."""


@dataclass(slots=True)
class _Part:
    epoch: int
    offset: int
    delivered: int
    runs: str
    send_limit: int
    """The newest offset that may have been handed over: of an earlier owner, or read in this assignment."""
    limit: int
    """The highest offset that may be committed: behind the newest record read, or an end that was reached."""
    held: bool
    acknowledged: State | None
    issued: State | None
    leader_epoch: int
    """Of the offset `spoken`; -1 if unknown."""
    spoken: int
    """The newest offset that commits speak of: of an earlier owner, read, or gone past."""
    began: Began | None
    retry: float
    covered: HandedSince = field(default_factory=HandedSince)
    under_way: bool = False
    resting: bool = False
    """After a refusal, for a while."""
    newest: int = -1
    """The newest offset read."""
    cover: int | None = None
    """While it is held, or everything: the newest offset that may be called handed over."""
    number: int = 0

    @property
    def state(self) -> State:
        return self.offset, self.delivered, self.runs, self.send_limit, self.number


class Committer:
    """Used by the Kafka thread alone. `now` is monotonic seconds, `now_ms` the wall clock in milliseconds."""

    def __init__(self, pace: Pace | None = None, room: int = MAX_BYTES) -> None:
        """`room` is how many bytes of metadata the brokers are known to take."""
        self.room = room
        self._pace = pace or Pace()
        self._parts: dict[TopicPartition, _Part] = {}
        self._ready: set[TopicPartition] = set()
        """What moved and has no commit under way, nor rests after a refusal."""
        self._pressing: set[TopicPartition] = set()
        """Of these what does not wait for the interval."""
        self._uncovered: set[TopicPartition] = set()
        self._behind: set[TopicPartition] = set()
        self._under_way: dict[TopicPartition, tuple[Commit, float]] = {}
        """Each with its time, the oldest first."""
        self._late: dict[TopicPartition, Commit] = {}
        """Under way when their partition was given up: the answer still says what Kafka has."""
        self._rests: list[tuple[float, TopicPartition]] = []
        self._origins: dict[str, Origin] = {}
        self._issued_at = float("-inf")
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
            send_limit=start.send_limit,
            limit=start.offset,
            held=start.hold is not None,
            acknowledged=None,
            issued=None,
            leader_epoch=start.leader_epoch,
            spoken=max(start.delivered, start.send_limit),
            began=began,
            retry=self._pace.retry,
        )
        if start.send_limit >= 0:
            part.covered = HandedSince(start.steps or ((start.send_limit, start.send_limit_at),))
        if not fresh:
            part.acknowledged = part.issued = part.state
        self.forget((name,))
        self._parts[name] = part
        self._stands(name, part)
        self._mark(name, part)

    def located(self, topic: str, origin: Origin) -> None:
        """In which cluster and topic the commits of a topic are made, as far as is known; they say so from now on."""
        self._origins[topic] = origin

    def release(self, name: TopicPartition, epoch: int) -> None:
        """The hold that the partition started with was lifted: from here on it commits."""
        part = self._of(name, epoch)
        if part is not None and part.held:
            part.held = False
            part.acknowledged, part.issued = None, None
            self._stands(name, part)
            self._mark(name, part)

    def read(self, name: TopicPartition, newest: int, leader_epoch: int = -1) -> None:
        """Records up to the offset `newest` were read; `leader_epoch` is the newest one's, -1 if unknown.

        A commit bears no epoch older than that of anything it speaks of: its log would seem to be cut off there.
        """
        part = self._parts.get(name)
        if part is not None:
            part.limit = max(part.limit, newest + 1)
            self._stands(name, part)
            part.newest = max(part.newest, newest)
            if newest >= part.spoken:
                part.spoken, part.leader_epoch = newest, max(part.leader_epoch, leader_epoch)
            if newest > part.send_limit and part.cover is None:
                part.send_limit = newest
                self._mark(name, part)

    def cover(self, order: CommitSendLimit) -> None:
        """From now on the metadata calls offsets up to `order.last` handed over and no more, or all that was read."""
        name = (order.topic, order.partition)
        part = self._of(name, order.epoch)
        if part is None:
            return
        part.cover, part.number = order.last, order.number
        send_limit = max(part.send_limit, part.newest) if order.last is None else order.last
        if send_limit < part.send_limit:
            part.covered.take_back(send_limit)
        part.send_limit = send_limit
        self._mark(name, part)

    def end(self, name: TopicPartition, offset: int) -> None:
        """The reader stands at `offset`, behind markers and gaps: it may be committed."""
        part = self._parts.get(name)
        if part is not None:
            part.limit = max(part.limit, offset)
            self._stands(name, part)

    def past(self, name: TopicPartition, offset: int) -> None:
        """The reader stands at `offset`, behind what nobody can read: nobody knows the leader epoch of the last of it."""
        part = self._parts.get(name)
        if part is not None and offset > part.spoken + 1:
            part.spoken, part.leader_epoch = offset - 1, -1
        self.end(name, offset)

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
        """The commits to make now, in one request, each of them under way until it is answered or forgotten."""
        self._give_up_waiting(now)
        self._rest_no_longer(now)
        if not self._ready or now < self._issue_at():
            return []
        self._issued_at = now
        return [self._issue(name, self._parts[name], now, now_ms) for name in sorted(self._ready)]

    def wait(self, now: float) -> float | None:
        """Seconds until `due` has something to say (0 or less: now); None while nothing is due by time alone."""
        times = [self._issue_at()] if self._ready else []
        if self._rests:
            times.append(self._rests[0][0])
        if self._under_way:
            times.append(next(iter(self._under_way.values()))[1] + self._pace.answer)
        return min(times) - now if times else None

    def _issue_at(self) -> float:
        return self._issued_at + (self._pace.least if self._pressing else self._pace.interval)

    def _give_up_waiting(self, now: float) -> None:
        while self._under_way:
            commit, at = next(iter(self._under_way.values()))
            if now < at + self._pace.answer:
                return
            self.refused(commit, now)

    def _rest_no_longer(self, now: float) -> None:
        while self._rests and self._rests[0][0] <= now:
            name = heappop(self._rests)[1]
            part = self._parts.get(name)
            if part is not None:
                part.resting = False
                self._mark(name, part)

    def behind(self) -> bool:
        """Whether something was read, or reached, that is not committed yet."""
        return bool(self._behind)

    def urgent(self) -> bool:
        """Whether records were read that no commit covers yet: the answer to one under way is awaited for them."""
        return bool(self._uncovered)

    def outstanding(self) -> bool:
        """Whether a commit waits for its answer."""
        return bool(self._under_way)

    def under_way(self) -> tuple[Commit, ...]:
        """The commits that wait for their answers, the oldest first."""
        return tuple(commit for commit, _ in self._under_way.values())

    def asked(self, name: TopicPartition, offset: int, metadata: str | None) -> Commit | None:
        """The commit that an answer speaks of; None where it speaks of none that is under way, and so says nothing.

        It may be of an assignment that is over: `acknowledged` and `refused` change nothing of the present one then.
        """
        under_way = self._under_way.get(name)
        for commit in (under_way[0] if under_way else None, self._late.get(name)):
            if commit is not None and (commit.offset, commit.metadata) == (offset, metadata or ""):
                return commit
        return None

    def acknowledged(self, commit: Commit) -> SendLimitCommitted | None:
        """A commit is in Kafka; returns what may now be handed over, if that is more."""
        part = self._answered(commit)
        if part is None:
            return None
        before = part.acknowledged
        part.acknowledged = part.issued
        part.retry = self._pace.retry
        self._stands(commit.name, part)
        self._mark(commit.name, part)
        if before is not None and before[3] >= commit.send_limit and before[4] == commit.number:
            return None
        return SendLimitCommitted(*commit.name, part.epoch, commit.send_limit, commit.number)

    def refused(self, commit: Commit, now: float) -> None:
        """A commit was refused, or never answered: it is made again, later."""
        part = self._answered(commit)
        if part is None:
            return
        part.issued, part.resting = part.acknowledged, True
        heappush(self._rests, (now + part.retry, commit.name))
        part.retry = min(2 * part.retry, self._pace.retry_most)
        self._mark(commit.name, part)

    def all_refused(self, now: float) -> None:
        """What became of the commits under way cannot be known any more: they are made again."""
        for commit in self.under_way():
            self.refused(commit, now)

    def too_long(self, commit: Commit) -> bool:
        """The brokers take no metadata as long as that of a commit: it is made again, with half the room for it.

        Where not even the facts are taken there is none. True where the room became less by this.
        """
        part = self._answered(commit)
        if part is not None:
            part.issued = part.acknowledged
            self._mark(commit.name, part)
        if commit.room != self.room or not self.room:
            return False
        self.room = self.room // 2 if self.room > _LEAST_ROOM else 0
        if not self.room:
            # What was committed with metadata says more than will be told from now on.
            for name, each in self._parts.items():
                each.issued = None
                self._mark(name, each)
        return True

    def _answered(self, commit: Commit) -> _Part | None:
        """The partition that the answer is for; None where its assignment is over."""
        if self._late.get(commit.name) == commit:
            del self._late[commit.name]
        if self._under_way.get(commit.name, (None,))[0] != commit:
            return None
        del self._under_way[commit.name]
        part = self._parts[commit.name]
        part.under_way = False
        return part

    def final(self, name: TopicPartition, now: float, now_ms: int, handed: int | None) -> Commit | None:
        """The last commit before the partition is given up; None where Kafka has it already.

        `handed` is the newest offset that really was handed to the API, where the drain could tell: the metadata then
        says no more than that. It does not wait for the one under way: Kafka's client sends them in order.
        """
        part = self._parts.get(name)
        if part is None or part.held:
            return None
        if handed is not None:
            part.send_limit = handed
            part.covered.take_back(handed)
        if part.state == part.acknowledged:
            return None
        return self._issue(name, part, now, now_ms)

    def forget(self, names: Iterable[TopicPartition]) -> None:
        """The partitions are not ours any more; answers to their commits change nothing."""
        for name in names:
            self._parts.pop(name, None)
            under_way = self._under_way.pop(name, None)
            if under_way is not None:
                self._late[name] = under_way[0]
            for sets in (self._ready, self._pressing, self._uncovered, self._behind):
                sets.discard(name)

    def committed(self) -> dict[TopicPartition, int]:
        """The offsets that Kafka acknowledged, by partition."""
        return {name: part.acknowledged[0] for name, part in self._parts.items() if part.acknowledged}

    def marks(self) -> dict[TopicPartition, int]:
        """By partition the highest offset whose outcome is in an acknowledged commit.

        Where commits bear no metadata that is the one below the committed offset: a mark above it would make our own commit
        look like somebody else's who went back.
        """
        acknowledged = {name: part.acknowledged for name, part in self._parts.items()}
        return {
            name: max(state[0] - 1, state[1] if self.room else -1)
            for name, state in acknowledged.items()
            if state is not None
        }

    def _of(self, name: TopicPartition, epoch: int) -> _Part | None:
        part = self._parts.get(name)
        return part if part is not None and part.epoch == epoch else None

    def _mark(self, name: TopicPartition, part: _Part) -> None:
        """Keep the sets true after anything that may change what is to be committed of a partition."""
        issued = part.issued
        moved = not part.held and part.state != issued
        uncovered = moved and not part.resting and (issued is None or part.send_limit > issued[3])
        ready = moved and not (part.under_way or part.resting)
        advanced = issued is None or part.offset - issued[0] >= self._pace.records
        for names, belongs in (
            (self._uncovered, uncovered),
            (self._ready, ready),
            (self._pressing, ready and (uncovered or advanced)),
        ):
            (names.add if belongs else names.discard)(name)

    def _stands(self, name: TopicPartition, part: _Part) -> None:
        behind = part.acknowledged is None or part.limit > part.acknowledged[0]
        (self._behind.add if behind else self._behind.discard)(name)

    def _issue(self, name: TopicPartition, part: _Part, now: float, now_ms: int) -> Commit:
        metadata = self._metadata(name[0], part, now_ms) if self.room else ""
        told = (part.send_limit, part.leader_epoch, self.room, part.number)
        commit = Commit(*name, part.epoch, part.offset, metadata, *told)
        part.issued = part.state
        part.under_way = True
        self._under_way.pop(name, None)
        self._under_way[name] = commit, now
        self._mark(name, part)
        return commit

    def _metadata(self, topic: str, part: _Part, now_ms: int) -> str:
        steps = part.covered.told(part.offset, part.send_limit, now_ms)
        return text_of(
            at_ms=steps[0][1] if steps else now_ms,
            send_limit=part.send_limit,
            delivered=part.delivered,
            runs=part.runs,
            committed=part.offset,
            steps=steps,
            origin=self._origins.get(topic, UNKNOWN),
            began=part.began,
            room=self.room,
        )
