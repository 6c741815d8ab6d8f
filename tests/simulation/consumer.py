"""The thread of a member that owns the consumer: commits, gives partitions up and gets them, in small steps.

It is the least that stands for `bridge.kafka`, which needs a real client: the decisions are the real `Committer`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bridge.flow import (
    Budget,
    CommitSendLimit,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    GiveBack,
    GoPast,
    Intake,
    Lost,
    Order,
    Pause,
    Progress,
    Resume,
    Revoking,
)
from bridge.offsets.commits import Commit, Committer, Pace
from tests.simulation.group import TOO_LONG, Answer, Request
from tests.simulation.log import TOPIC, Issued
from tests.simulation.pauses import Pauses
from tests.simulation.reading import Reader
from tests.simulation.records import Track
from tests.simulation.shadow import Shadow

if TYPE_CHECKING:
    from tests.simulation.world import World

DRAIN = 2.0
LATE = 0.25
RARE = 8.0
"""How much likelier a process dies at points that it seldom passes."""


class Crash(Exception):  # noqa: N818 (no error: the process is killed)
    """The process is killed here."""


class Consumer:
    """One process of the group, as far as Kafka sees it. `intake` and `orders` lead to its other thread and back."""

    pauses: Pauses

    def __init__(self, world: World, name: int) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        self.poll_stopped_until = 0.0
        """The thread that owns the consumer is stopped, the other goes on."""
        self.skew_ms = world.rng.randrange(-world.skew_ms, world.skew_ms + 1) if world.skew_ms else 0
        self.day_behind = False
        """Its clock was once more than a day behind that of the producers."""
        self.generation = world.kafka.generation
        self.room = Budget(world.scenario.room)
        self.committer = Committer(Pace())
        self.shadow = Shadow(world)
        self.reader = Reader(self)
        self.readings = self.reader.readings
        self.tracks: dict[int, Track] = {}
        """The assignments that the delivery thread knows of, by partition."""
        self.intake: deque[Intake] = deque()
        self.orders: deque[tuple[Order, int]] = deque()
        self.commit_answers: deque[Answer] = deque()
        self.letters: deque[DeadLetter] = deque()
        self.reports: deque[DeadLetterWritten] = deque()
        self.to_give_up: set[int] = set()
        self.revoking: set[int] | None = None
        self.deadline = 0.0
        self.drained: dict[int, Drained] = {}
        self.kicked = False
        self.stopping = False
        self._crashes = world.scenario.strength.crash

    # what the group does to it

    @property
    def reachable(self) -> bool:
        now = self.world.now
        return self.alive and not self.kicked and not self.stopping and now >= self.frozen_until

    def asked_to_give_up(self, number: int) -> None:
        self.to_give_up.add(number)

    def assigned(self, number: int) -> None:
        self.reader.new[number] = self.world.now
        self.generation = self.world.kafka.generation

    @property
    def now_ms(self) -> int:
        return self.world.now_ms + self.skew_ms

    def maybe_crash(self, where: str, times: float = 1.0) -> None:
        if self._crashes and self.world.rng.random() < self._crashes * times:
            self.die(where)

    def die(self, where: str) -> None:
        """Killed there, unless that fault is switched off."""
        if self.world.faults.take(f"crash: {where}"):
            raise Crash

    # the Kafka thread

    def kafka_turn(self) -> None:
        """One turn of the thread that owns the consumer."""
        world, reader = self.world, self.reader
        if self.kicked:
            self.lose_everything()
            return
        if self.commit_answers or self.reports:
            self._take_answers()
        if self.orders and (self.revoking is not None or world.rng.random() < 0.6):
            self._serve()
        if self.revoking is not None:
            self._revoke()
            return
        if self.to_give_up:
            self._give_up(self.to_give_up)
            if self.revoking is not None:
                return
        self.pauses.turn()
        if reader.new:
            reader.begin_new()
        reader.check_due()
        reader.seek_due()
        if not self.room.full():
            reader.read()
        self._commit()
        self.shadow.write_due(self.committer.marks)

    def _take_answers(self) -> None:
        now = self.world.now
        while self.commit_answers:
            answer = self.commit_answers.popleft()
            commit = self.committer.asked((TOPIC, answer.partition), answer.offset, answer.metadata)
            if commit is None:
                continue
            if answer.error == TOO_LONG and commit.metadata:
                if self.committer.too_long(commit) and not self.committer.room:
                    for number in self.readings:
                        self.shadow.forget(number)
                continue
            if answer.error is not None:
                self.committer.refused(commit, now)
                continue
            self.reader.earlier[commit.partition], self.reader.committed_at = commit.offset, now
            bounded = self.committer.acknowledged(commit)
            if bounded is not None:
                self.intake.append(bounded)
        self.maybe_crash("after a commit's acknowledgement")
        while self.reports:
            self.intake.append(self.reports.popleft())

    def _serve(self) -> None:
        """Carry out the orders of the delivery thread."""
        while self.orders:
            order, sequence = self.orders.popleft()
            if isinstance(order, DeadLetter):
                self.letters.append(order)
            elif isinstance(order, Drained):
                self._progress(order.progress, sequence)
                reading = self.readings.get(order.progress.partition)
                if reading is not None and reading.track.epoch == order.progress.epoch:
                    self.drained[order.progress.partition] = order
            elif isinstance(order, Progress):
                self._progress(order, sequence)
            elif isinstance(order, CommitSendLimit):
                self.committer.cover(order)
            else:
                self._control(order)

    def _progress(self, progress: Progress, sequence: int) -> None:
        reading = self.readings.get(progress.partition)
        self.committer.progress(progress)
        if reading is not None and reading.track.epoch == progress.epoch:
            reading.sequence = sequence

    def _control(self, order: Pause | Resume | GiveBack | GoPast) -> None:
        number = order.partition
        reading = self.readings.get(number)
        if reading is None or reading.track.epoch != order.epoch:
            return
        if isinstance(order, Pause):
            if not reading.paused:
                self.reader.pause(number)
        elif isinstance(order, Resume):
            if reading.held:
                reading.held = False
                self.committer.release((TOPIC, number), order.epoch)
                self.shadow.forget(number)
            self.reader.resume(number)
        elif isinstance(order, GoPast):
            self.reader.go_past(number, order.first, order.to)
        else:
            self.reader.give_back(number, order.offset)

    # commits

    def _commit(self) -> None:
        """Commit what is due."""
        world, committer = self.world, self.committer
        wait = committer.wait(world.now)
        if wait is None or wait > 0:
            return
        commits = committer.due(world.now, self.now_ms)
        if world.faults.hit("commit: not sent", world.scenario.strength.commit / 4):
            for commit in commits:
                committer.refused(commit, world.now)
        else:
            self._request(commits)
        self.maybe_crash("after a commit was sent")

    def _request(self, commits: list[Commit]) -> None:
        """All that moved goes out in one request."""
        readings = self.readings
        issued = [
            Issued(commit, readings[commit.partition].track, readings[commit.partition].sequence) for commit in commits
        ]
        if issued:
            self.world.kafka.requests.append(Request(self, self.generation, issued))

    def commit_finally(self, handed: Mapping[int, int | None]) -> None:
        """The last commits of partitions before they are given up."""
        now, now_ms = self.world.now, self.now_ms
        found = [
            self.committer.final((TOPIC, number), now, now_ms, newest) for number, newest in sorted(handed.items())
        ]
        self._request([commit for commit in found if commit is not None])

    # partitions go

    def _give_up(self, numbers: set[int]) -> None:
        """In `on_revoke`: what has no start yet goes at once, what is read is drained."""
        self.to_give_up = set()
        for number in numbers:
            self.reader.new.pop(number, None)
        self.world.kafka.given_up(self, numbers - self.readings.keys())
        read = sorted(numbers & self.readings.keys())
        if read:
            self.revoking = set(read)
            self.drained = {}
            self.deadline = self.world.now + DRAIN
            self.intake.append(Revoking(tuple((TOPIC, number) for number in read), self.deadline))
            self.maybe_crash("after a drain began", RARE)

    def _revoke(self) -> None:
        """Still in `on_revoke`: wait for the drain, commit, let go."""
        numbers = self.revoking or set()
        world = self.world
        if not numbers <= self.drained.keys() and world.now < self.deadline + LATE:
            self.maybe_crash("during a drain", RARE)
            return
        self.maybe_crash("between drain and commit", RARE)
        self.commit_finally({number: self._handed(number) for number in numbers})
        self.maybe_crash("between commit and revoke", RARE)
        overdue = tuple((TOPIC, number) for number in sorted(numbers - self.drained.keys()))
        for number in numbers:
            self.reader.forget(number)
        self.committer.forget([(TOPIC, number) for number in numbers])
        if overdue:
            self.intake.append(Lost(overdue))
        self.revoking = None
        self.generation = world.kafka.generation
        world.kafka.given_up(self, numbers)

    def _handed(self, number: int) -> int | None:
        return self.drained[number].handed if number in self.drained else None

    def stop(self) -> None:
        """SIGTERM: give up everything, then leave."""
        self.stopping = True
        self.shadow.write_due(self.committer.marks, now=True)
        self.reader.new.clear()
        self.to_give_up.update(self.readings)

    @property
    def stopped(self) -> bool:
        return self.stopping and not self.readings and self.revoking is None

    def lose_everything(self) -> None:
        """Thrown out of the group, or the client broke: drop everything, commit nothing, join again."""
        lost = tuple((TOPIC, number) for number in sorted(self.readings))
        self.committer.forget(lost)
        for _, number in lost:
            self.reader.forget(number)
        self.commit_answers.clear()
        self.reader.new.clear()
        self.reader.earlier.clear()
        self.to_give_up.clear()
        self.revoking = None
        if lost:
            self.intake.append(Lost(lost))
        self.kicked = False
        if not self.stopping:
            self.world.kafka.join(self)
