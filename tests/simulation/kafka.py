"""A simulated Kafka: one topic with gaps, one group in each protocol, commits that fail, a dead-letter topic."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from bridge.delivery.commits import Commit
from bridge.delivery.start import Committed
from bridge.flow import PlainRecord
from tests.simulation.faults import Faults
from tests.simulation.scenario import Scenario
from tests.simulation.truth import Rec, Track, Truth, finished_runs

if TYPE_CHECKING:
    from tests.simulation.consumer import Consumer

TOPIC = "t"


@dataclass(slots=True)
class Told:
    """A commit and what it says: everything that was settled in `track` by `sequence`."""

    commit: Commit
    track: Track
    sequence: int


@dataclass(slots=True)
class Request:
    """A commit request of a member on its way to the coordinator."""

    member: Consumer
    generation: int
    commits: list[Told]


@dataclass(slots=True)
class Log:
    """One partition."""

    low: int = 0
    end: int = 0
    committed: Committed | None = None
    told: Told | None = None
    mark: int | None = None
    """The highest delivered offset, as the shadow group keeps it."""
    owner: Consumer | None = None
    target: Consumer | None = None


@dataclass(slots=True)
class Kafka:
    """The cluster and the group's coordinator."""

    scenario: Scenario
    faults: Faults
    truth: Truth
    logs: list[Log] = field(default_factory=list)
    members: list[Consumer] = field(default_factory=list)
    generation: int = 1
    barrier: bool = False
    """Eager: nobody gets anything before all have given up everything."""
    requests: deque[Request] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.logs = [Log() for _ in range(self.scenario.partitions)]

    def produce(self, number: int, now_ms: int, n: int, words: Sequence[str]) -> None:
        """Append records to a partition; offsets of markers and of compacted records are left out."""
        rng, faults, scenario = self.faults.rng, self.faults, self.scenario
        log = self.logs[number]
        for _ in range(n):
            if faults.hit("kafka: gap", 0.1):
                log.end += rng.randrange(1, 4)
            key = b"k%d" % rng.below(scenario.keys) if rng.random() < 0.9 else None
            value = rng.choice(words).encode() or (None if rng.random() < 0.5 else b"")
            record = PlainRecord(TOPIC, number, log.end, value, key=key, timestamp=now_ms)
            lane = {"key": key, "partition": b"all", "none": None}[scenario.policy.ordering]
            self.truth.produced(Rec(record, lane))
            log.end += 1
        if faults.hit("kafka: transaction marker", 0.15):
            log.end += 1

    def compact(self) -> None:
        """Records that are still to be read vanish."""
        number = self.faults.rng.below(len(self.logs))
        log = self.logs[number]
        position = max([self.truth.committed[number], *(m.position(number) for m in self.members)])
        recs = self.truth.between(number, position, log.end)
        for rec in recs[:: self.faults.rng.choice((1, 2, 3))][:5]:
            if not rec.gone and self.faults.take("kafka: compacted"):
                rec.gone = True

    def expire(self, number: int) -> None:
        """Retention overtakes the group: the oldest records are deleted, read or not."""
        log = self.logs[number]
        behind = log.end - self.truth.committed[number]
        if behind > 1 and log.committed is not None and log.committed.metadata:
            log.low = self.truth.committed[number] + 1 + self.faults.rng.below(behind)
            for rec in self.truth.between(number, 0, log.low - 1):
                rec.deleted = rec.deleted or not rec.gone
                rec.gone = True

    def fetch(self, number: int, position: int, n: int) -> list[Rec]:
        """The next records at or after a position."""
        found = self.truth.between(number, position, self.logs[number].end)
        return list(islice((rec for rec in found if not rec.gone), n))

    # the group

    def join(self, member: Consumer) -> None:
        self.members.append(member)
        self.rebalance()

    def leave(self, member: Consumer) -> None:
        """It left, or its session timed out: whatever it owned is free."""
        if member in self.members:
            self.members.remove(member)
        for log in self.logs:
            if log.owner is member:
                log.owner = None
        self.rebalance()

    def rebalance(self) -> None:
        """Decide anew who reads what, as sticky as the protocol is."""
        rng = self.faults.rng
        self.generation += 1
        members = self.members
        if not members:
            for log in self.logs:
                log.target = None
            return
        eager = self.scenario.protocol == "eager"
        order = rng.sample(members, len(members))
        for index, log in enumerate(self.logs):
            stays = not eager and log.owner in members and rng.random() < 0.5
            log.target = log.owner if stays else order[index % len(order)]
        self.barrier = eager
        if eager:
            for member in members:
                member.asked_to_give_up([n for n, log in enumerate(self.logs) if log.owner is member])
        else:
            for member in members:
                member.asked_to_give_up(
                    [n for n, log in enumerate(self.logs) if log.owner is member and log.target is not member]
                )

    def given_up(self, member: Consumer, numbers: Iterable[int]) -> None:
        """A member let go of partitions; its commits on the same connection come first."""
        for request in [request for request in self.requests if request.member is member]:
            self.requests.remove(request)
            self.take(request)
        for number in numbers:
            if self.logs[number].owner is member:
                self.logs[number].owner = None

    def hand_out(self) -> None:
        """Partitions that nobody owns go to whom they are meant for."""
        if self.barrier:
            if any(log.owner is not None for log in self.logs):
                return
            self.barrier = False
        for number, log in enumerate(self.logs):
            if log.owner is None and log.target is not None and log.target.reachable:
                log.owner = log.target
                log.owner.assigned(number)

    # commits

    def take(self, request: Request) -> None:
        """The coordinator takes a commit request, or refuses it, or its answer gets lost."""
        member, faults = request.member, self.faults
        error: str | None = None
        if member not in self.members:
            error = "UNKNOWN_MEMBER_ID"
        elif (
            request.generation < self.generation
            and self.scenario.protocol != "consumer"
            and faults.hit("commit: ILLEGAL_GENERATION", 0.7)
        ):
            error = "ILLEGAL_GENERATION"
        elif faults.hit("commit: refused", 0.06):
            error = faults.rng.choice(("REBALANCE_IN_PROGRESS", "STALE_MEMBER_EPOCH", "NOT_COORDINATOR"))
        if error is None:
            for told in request.commits:
                self._store(told)
            if faults.hit("commit: answer lost", 0.05):
                error = "REQUEST_TIMED_OUT"
        if member.alive:
            member.commit_answers.append((request, error))

    def _store(self, told: Told) -> None:
        commit = told.commit
        log = self.logs[commit.partition]
        self.truth.commit(commit.partition, commit.offset, commit.metadata, self.truth.now_ms, log.end)
        log.committed = Committed(commit.offset, commit.metadata)
        log.told = told
        delivered = int(commit.metadata.split(";")[3]) if commit.metadata else -1
        log.mark = max(commit.offset - 1, delivered, -1 if log.mark is None else log.mark)

    def reset(self, number: int) -> None:
        """Somebody sets the group back on a partition: a commit without a note."""
        log = self.logs[number]
        if log.committed is not None and log.committed.offset > 0:
            offset = self.faults.rng.below(log.committed.offset)
            log.committed, log.told = Committed(offset, ""), None
            self.truth.reset(number, offset)

    def known_finished(self, number: int) -> set[int]:
        """What the commit in force has to say is finished, and what else it says (what expired, say)."""
        told = self.logs[number].told
        if told is None:
            return set()
        done = told.track.done_by(told.sequence)
        delivered, runs = told.commit.metadata.split(";")[3:]
        for first, last in finished_runs(told.commit.offset, runs, int(delivered)):
            done.update(range(first, last + 1))
        return done
