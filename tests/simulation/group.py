"""The group's coordinator: who reads what, in each protocol, and commits that are taken, refused or not answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bridge.offsets.begin import Committed
from bridge.offsets.commits import MAX_BYTES, Commit, Origin, runs_of, text_of
from tests.simulation.faults import Faults
from tests.simulation.log import NEVER, Issued, Log, Topic
from tests.simulation.scenario import Scenario
from tests.simulation.truth import Truth, finished_runs

if TYPE_CHECKING:
    from tests.simulation.consumer import Consumer
    from tests.simulation.reading import Reading

TOO_LONG = "OFFSET_METADATA_TOO_LARGE"
RETRIED = ("REBALANCE_IN_PROGRESS", "STALE_MEMBER_EPOCH", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS")


@dataclass(slots=True)
class Request:
    """A commit request of a member on its way to the coordinator."""

    member: Consumer
    generation: int
    commits: list[Issued]


class Answer(NamedTuple):
    """What is said of one partition of a commit."""

    partition: int
    offset: int
    metadata: str | None
    error: str | None


NOT_COMMITTED = -1001
"""The offset that a client's answer has for a partition of which nothing was committed."""
HERE = Origin(cluster=1, topic=1)
ELSEWHERE = Origin(cluster=2, topic=2)


class Kafka(Topic):
    """The cluster: one topic, one group."""

    def __init__(self, scenario: Scenario, faults: Faults, truth: Truth) -> None:
        super().__init__(scenario, faults, truth)
        self.members: list[Consumer] = []
        self.generation = 1
        self.barrier = False
        """Eager: nobody gets anything before all have given up everything."""
        self.requests: deque[Request] = deque()
        self.paused: dict[int, str] = {}
        """The metadata of the commits in the group of the pauses, by partition."""
        self.late: list[tuple[Consumer, list[Answer]]] = []

    # who reads what

    def join(self, member: Consumer) -> None:
        """A member under a new name: what it asked for under an earlier one is not taken any more, nor answered."""
        self.requests = deque(request for request in self.requests if request.member is not member)
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

    def add_partition(self) -> None:
        """The topic gets one more, and something is in it before anybody reads it."""
        self.logs.append(Log())
        self.truth.add_partition()
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
        for number, log in enumerate(self.logs):
            if log.owner is not None and (eager or log.target is not log.owner):
                log.owner.asked_to_give_up(number)

    def given_up(self, member: Consumer, numbers: Iterable[int]) -> None:
        """A member let go of partitions; its commits on the same connection come first."""
        self.flush(member)
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

    def flush(self, member: Consumer) -> None:
        """Take in what a member asked for before."""
        for request in [request for request in self.requests if request.member is member]:
            self.requests.remove(request)
            self.take(request)

    def take(self, request: Request) -> None:
        """The coordinator takes a commit request, or refuses it, or its answer gets lost."""
        member, faults = request.member, self.faults
        error = self._refusal(request)
        taken = request.commits
        if error is None:
            limit = self.scenario.note_limit
            taken = [
                issued
                for issued in request.commits
                if len(issued.commit.metadata) <= limit or not faults.take(f"commit: {TOO_LONG}")
            ]
            for issued in taken:
                self._store(issued)
            if faults.hit("commit: answer lost", self.scenario.strength.commit / 2):
                error = "REQUEST_TIMED_OUT"
        answers = [_answer(issued.commit, error if issued in taken else TOO_LONG) for issued in request.commits]
        if faults.hit("commit: answer about what was not committed", self.scenario.strength.commit / 4):
            answers.append(Answer(faults.rng.below(len(self.logs)), NOT_COMMITTED, None, None))
        if len(answers) > 1 and faults.hit("commit: answers apart", self.scenario.strength.commit):
            # Each by itself, in any order, some of them much later.
            late = [answer for answer in answers if faults.rng.random() < 0.5]
            self.late += [(member, [answer]) for answer in late]
            answers = faults.rng.sample(answers, len(answers))
            answers = [answer for answer in answers if answer not in late]
        if faults.hit("commit: answer late", self.scenario.strength.commit / 2):
            self.late.append((member, answers))
        elif member.alive:
            member.commit_answers += answers

    def answer_late(self) -> None:
        """Answers that took their time arrive, whatever has become of the assignment."""
        late, self.late = self.late, []
        for member, answers in late:
            if not self.faults.over and self.faults.rng.random() < 0.9:
                self.late.append((member, answers))
            elif member.alive:
                member.commit_answers += answers

    def _refusal(self, request: Request) -> str | None:
        faults = self.faults
        if request.member not in self.members:
            return "UNKNOWN_MEMBER_ID"
        if (
            request.generation < self.generation
            and self.scenario.protocol != "consumer"
            and faults.hit("commit: ILLEGAL_GENERATION", 0.7)
        ):
            return "ILLEGAL_GENERATION"
        if faults.hit("commit: refused", self.scenario.strength.commit):
            return faults.rng.choice(RETRIED)
        return None

    def _store(self, issued: Issued) -> None:
        commit = issued.commit
        log = self.logs[commit.partition]
        back_to = _end_of_its_epoch(log)
        log.committed = Committed(commit.offset, commit.metadata, commit.leader_epoch)
        log.issued = issued
        if issued.track.incarnation == self.truth.incarnation[commit.partition]:
            self.truth.commit(commit, self.truth.now_ms, log.end, back_to)
            log.quiet, log.cut_at, log.set_back = False, NEVER, log.set_back and issued.track.rewound
        else:
            # Kafka does not know that the commit speaks of a log that is no more; below the cut it speaks of this one.
            log.cut_at = log.cut_since(issued.track.incarnation)
            self.truth.covered(commit.partition, min(commit.send_limit, log.cut_at - 1))

    def known_finished(self, number: int) -> set[int]:
        """What the commit in force has to say is finished, and what else it says (what expired, say)."""
        issued = self.logs[number].issued
        if issued is None:
            return set()
        commit = issued.commit
        done = issued.track.done_by(issued.sequence)
        if commit.room < MAX_BYTES:
            # There is not the room to tell all that is finished above it.
            done = {offset for offset in done if offset < commit.offset}
        if not commit.metadata:
            return done
        delivered, runs = commit.metadata.split(";")[3:]
        for first, last in finished_runs(issued.commit.offset, runs, int(delivered)):
            done.update(range(first, last + 1))
        end = self.logs[number].cut_at
        return {offset for offset in done if offset < end}

    # what others do to the group

    def reset(self, number: int) -> None:
        """Somebody sets the group to another offset: a commit without a note; or the commit is gone."""
        log, rng = self.logs[number], self.faults.rng
        if log.committed is None or log.quiet:
            return
        chance = rng.random()
        if chance < 0.35 and self.faults.take("kafka: committed offset gone"):
            log.committed, log.issued = None, None
            self.truth.reset(number, log.low)
            log.set_back = log.mark is not None and log.mark >= log.low and self.scenario.shadow != "refused"
            if not log.set_back:
                # Nothing is left that could tell: it begins anew.
                self.truth.consent(number)
            self._forget()
        elif chance < 0.55 and self.faults.take("kafka: group set ahead"):
            offset = log.committed.offset + rng.below(log.end - log.committed.offset + 1)
            for rec in self.truth.between(number, 0, offset - 1):
                rec.gone = True
            self._set(log, number, offset, self._older_note(log, offset))
        elif chance < 0.7 and self.faults.take("kafka: group carried from another cluster"):
            self._carry(log, number)
        elif log.committed.offset > log.low and self.faults.take("kafka: group set back"):
            offset = log.low + rng.below(log.committed.offset - log.low)
            self._set(log, number, offset, self._older_note(log, offset))

    def _older_note(self, log: Log, offset: int) -> str:
        """What a tool leaves beside an offset: nothing; or what stood beside another commit, which means nothing here."""
        if self.faults.rng.random() < 0.5 or not self.faults.take("kafka: metadata of another commit"):
            return ""
        return _all_finished(HERE, offset + 1, log.end + 1, self.truth.now_ms)

    def _carry(self, log: Log, number: int) -> None:
        """The offset on the low side, as MirrorMaker translates it, beside the note of the other cluster's commit.

        By chance the offset may be the same there.
        """
        assert log.committed is not None
        offset = log.low + self.faults.rng.below(log.committed.offset - log.low + 1)
        written_for = offset + self.faults.rng.choice((0, 3))
        self._set(log, number, offset, _all_finished(ELSEWHERE, written_for, log.end, self.truth.now_ms))

    def _noticed(self, log: Log) -> bool:
        """Whether anything is left that tells of a reset: a mark beyond it, or without marks another partition's note.

        Marks are written every ten seconds: what was delivered after the last one may go out again unnoticed.
        """
        if log.committed is not None and is_carried(log.committed):
            return True
        if log.mark is not None and self.scenario.shadow != "refused":
            return log.committed is not None and log.committed.offset <= log.mark
        return any(other.committed is not None and is_ours(other.committed) for other in self.logs)

    def _set(self, log: Log, number: int, offset: int, metadata: str = "") -> None:
        log.committed, log.issued = Committed(offset, metadata), None
        self.truth.reset(number, offset)
        log.set_back = True
        self._forget()

    def cut(self, number: int, readings: Sequence[Reading]) -> None:
        """As `Topic.cut`: the note of a topic that is made anew may be the last that told of a reset."""
        super().cut(number, readings)
        self._forget()

    def _forget(self) -> None:
        """With the last note that goes, nothing tells any more of what was set before either."""
        for number, log in enumerate(self.logs):
            if log.set_back and log.committed is not None and not self._noticed(log):
                log.set_back = False
                self.truth.consent(number)


def _end_of_its_epoch(log: Log) -> int:
    """Where the log leaves the leader epoch of the commit in force; `NEVER` where the commit is not ours, or has none."""
    committed = log.committed
    if committed is None or committed.epoch < 0 or not is_ours(committed):
        return NEVER
    return log.end_of(committed.epoch)


def _answer(commit: Commit, error: str | None) -> Answer:
    return Answer(commit.partition, commit.offset, commit.metadata, error)


def _all_finished(origin: Origin, committed: int, last: int, now_ms: int) -> str:
    """A note that calls everything from its commit on finished."""
    runs = runs_of(committed, (), last)
    return text_of(at_ms=now_ms, send_limit=last, delivered=last, runs=runs, committed=committed, origin=origin)


def is_carried(committed: Committed) -> bool:
    """Whether it says that it was made in the other cluster; read anew here."""
    return fact(committed.metadata, 2) == ELSEWHERE.cluster


def is_ours(committed: Committed) -> bool:
    """Whether it bears a note that was written for it, here."""
    return bool(committed.metadata) and not is_carried(committed) and fact(committed.metadata, 1) == committed.offset


def fact(metadata: str | None, kind: int) -> int | None:
    """What a note says of itself, read without the real decoder."""
    numbers = [int(length, 36) for length in (metadata or "").split(";")[-1].split(",") if length]
    return next((number & ((1 << 64) - 1) for number in numbers if number >> 64 == 16 + kind), None)
