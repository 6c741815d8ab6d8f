"""The thread of a member that owns the consumer: reads, commits, gives partitions up and gets them, in small steps.

It is the least that stands for `bridge.kafka`, which needs a real client: the decisions are the real `Committer`'s and
`resolve`'s.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bridge.delivery.commits import Commit, Committer, Pace
from bridge.delivery.start import Group, Known, group_of, resolve
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Bounded,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    EndReached,
    GiveBack,
    Intake,
    Lost,
    Order,
    Pause,
    Progress,
    Records,
    Resume,
    Revoking,
    Room,
    Sought,
)
from tests.simulation.faults import Violation
from tests.simulation.kafka import TOPIC, Request, Told
from tests.simulation.truth import Rec, Track

if TYPE_CHECKING:
    from tests.simulation.world import World

DRAIN = 2.0
LATE = 0.25
CRASHES = 0.0006


class Crash(Exception):  # noqa: N818 (no error: the process is killed)
    """The process is killed here."""


class Reading:
    """A partition that is read."""

    __slots__ = ("end_told", "held", "paused", "position", "seek", "sequence", "track")

    def __init__(self, track: Track, position: int, *, held: bool) -> None:
        self.track = track
        self.position = position
        self.held = held
        self.paused = False
        self.seek: int | None = None
        self.sequence = 0
        """The state of the truth at the last `Progress` that the committer was told of."""
        self.end_told = -1


class Consumer:
    """One process of the group, as far as Kafka sees it. `intake` and `orders` lead to its other thread and back."""

    def __init__(self, world: World, name: int) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        self.skew_ms = world.rng.randrange(-world.skew_ms, world.skew_ms + 1) if world.skew_ms else 0
        self.generation = world.kafka.generation
        self.room = Room(world.scenario.room)
        self.committer = Committer(Pace())
        self.readings: dict[int, Reading] = {}
        self.tracks: dict[int, Track] = {}
        """The assignments that the delivery thread knows of, by partition."""
        self.intake: deque[Intake] = deque()
        self.orders: deque[tuple[Order, int]] = deque()
        self.commit_answers: deque[tuple[Request, str | None]] = deque()
        self.letters: deque[DeadLetter] = deque()
        self.reports: deque[DeadLetterWritten] = deque()
        self.new: set[int] = set()
        self.to_give_up: set[int] = set()
        self.revoking: set[int] | None = None
        self.deadline = 0.0
        self.drained: dict[int, Drained] = {}
        self.kicked = False
        self.stopping = False

    # what the group does to it

    @property
    def reachable(self) -> bool:
        return self.alive and not self.kicked and not self.stopping and self.world.now >= self.frozen_until

    def position(self, number: int) -> int:
        reading = self.readings.get(number)
        return -1 if reading is None or not self.alive else reading.position

    def asked_to_give_up(self, numbers: list[int]) -> None:
        self.to_give_up.update(numbers)

    def assigned(self, number: int) -> None:
        self.new.add(number)
        self.generation = self.world.kafka.generation

    @property
    def now_ms(self) -> int:
        return self.world.now_ms + self.skew_ms

    def maybe_crash(self, where: str) -> None:
        if self.world.rng.random() < CRASHES and self.world.faults.take(f"crash: {where}"):
            raise Crash

    # the Kafka thread

    def kafka_turn(self) -> None:
        """One turn of the thread that owns the consumer."""
        world = self.world
        if self.kicked:
            self._lost_everything()
            return
        self._take_answers()
        if self.revoking is not None or world.rng.random() < 0.6:
            self._serve()
        if self.revoking is not None:
            self._revoke()
            return
        if self.to_give_up:
            self._begin_revoke(self.to_give_up & self.readings.keys())
            self.new -= self.to_give_up
            world.kafka.given_up(self, self.to_give_up - self.readings.keys())
            self.to_give_up = set()
            if self.revoking is not None:
                return
        if self.new:
            self._begin_new()
        self._seek()
        if not self.room.full():
            self._read()
        self.commit()

    def _take_answers(self) -> None:
        now = self.world.now
        while self.commit_answers:
            request, error = self.commit_answers.popleft()
            for told in request.commits:
                name = (TOPIC, told.commit.partition)
                if error is not None:
                    self.committer.failed(name, now, told.commit.offset, told.commit.metadata)
                    continue
                bounded = self.committer.acknowledged(name, told.commit.offset, told.commit.metadata)
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
                continue
            if isinstance(order, Drained):
                progress = order.progress
            elif isinstance(order, Progress):
                progress = order
            else:
                self._control(order)
                continue
            reading = self.readings.get(progress.partition)
            if reading is None or reading.track.epoch != progress.epoch:
                self.committer.progress(progress)
                continue
            self.committer.progress(progress)
            reading.sequence = sequence
            if isinstance(order, Drained):
                self.drained[progress.partition] = order

    def _control(self, order: Order) -> None:
        if not isinstance(order, (Pause, Resume, GiveBack)):
            return
        reading = self.readings.get(order.partition)
        if reading is None or reading.track.epoch != order.epoch:
            return
        if isinstance(order, Pause):
            reading.paused = True
        elif isinstance(order, Resume):
            if reading.held:
                reading.held = False
                self.committer.release((TOPIC, order.partition), order.epoch)
            reading.paused = False
        else:
            reading.seek = order.offset if reading.seek is None else min(order.offset, reading.seek)

    def _seek(self) -> None:
        for number, reading in self.readings.items():
            if reading.seek is not None and not self.world.faults.hit("kafka: seek refused", 0.2):
                reading.position = reading.seek
                reading.end_told = -1
                self.intake.append(Sought(TOPIC, number, reading.track.epoch, reading.seek))
                reading.seek = None

    def _begin_new(self) -> None:
        world = self.world
        logs = world.kafka.logs
        commits = {number: log.committed for number, log in enumerate(logs) if log.committed is not None}
        for number in sorted(self.new):
            log = logs[number]
            known = Known((TOPIC, number), log.committed, log.low, log.end, mark=log.mark)
            group: Group = group_of(commits)
            resolved = resolve(known, group, "earliest", "hold")
            start = resolved.start
            self._check_lost(number, resolved.lost)
            base = set() if start.hold == "rewind" else world.kafka.known_finished(number)
            epoch = next(world.epochs)
            track = Track(number, epoch, start.offset, base)
            track.rewound = log.committed is not None and not log.committed.metadata
            self.readings[number] = Reading(track, start.offset, held=start.hold is not None)
            name = (TOPIC, number)
            self.committer.assigned(name, epoch, start, runs=resolved.runs, fresh=resolved.fresh)
            world.tracks[epoch] = track
            self.intake.append(Assigned(*name, epoch, start))
            if start.bound >= 0:
                self.intake.append(Bounded(*name, epoch, start.bound))
        self.new.clear()

    def _check_lost(self, number: int, counted: int) -> None:
        """What Kafka deleted before it had an outcome is counted."""
        low = self.world.kafka.logs[number].low
        truth, committed = self.world.truth, self.world.kafka.logs[number].committed
        if committed is None or not committed.metadata:
            return
        gap = truth.between(number, committed.offset, low - 1)
        lost = [rec for rec in gap if rec.deleted and rec.open and not rec.expires]
        if len(lost) > counted:
            message = f"lost: retention took {lost}, {counted} are counted"
            raise Violation(message)

    def _read(self) -> None:
        world = self.world
        rng = world.rng
        for number, reading in self.readings.items():
            if reading.held or reading.paused or reading.seek is not None or rng.random() < 0.3:
                continue
            recs = world.kafka.fetch(number, reading.position, rng.choice((1, 3, 10, 30)))
            if recs:
                self._hand_over(number, reading, recs)
                reading.position = recs[-1].offset + 1
                if world.faults.hit("kafka: delivered twice", 0.01):
                    self._hand_over(number, reading, recs)
            elif reading.end_told != world.kafka.logs[number].end:
                end = reading.end_told = reading.position = world.kafka.logs[number].end
                self.committer.end((TOPIC, number), end)
                self.intake.append(EndReached(TOPIC, number, reading.track.epoch, end))

    def _hand_over(self, number: int, reading: Reading, recs: list[Rec]) -> None:
        self.world.truth.fetched(recs)
        self.room.taken_bytes += sum(len(rec.record) + RECORD_OVERHEAD for rec in recs)
        self.committer.read((TOPIC, number), recs[-1].offset)
        self.intake.append(Records(TOPIC, number, reading.track.epoch, [rec.record for rec in recs]))

    def commit(self) -> None:
        """Commit what is due."""
        world = self.world
        wait = self.committer.wait(world.now)
        if wait is not None and wait <= 0:
            commits = self.committer.due(world.now, self.now_ms)
            if world.faults.hit("commit: not sent", 0.01):
                for commit in commits:
                    self.committer.failed(commit.name, world.now, commit.offset, commit.metadata)
            else:
                self._request(commits)
        self.maybe_crash("after a commit was sent")

    def _request(self, commits: list[Commit]) -> None:
        for moved in (True, False):
            told = [
                Told(commit, self.readings[commit.partition].track, self.readings[commit.partition].sequence)
                for commit in commits
                if commit.moved is moved
            ]
            if told:
                self.world.kafka.requests.append(Request(self, self.generation, told))

    def _begin_revoke(self, numbers: set[int]) -> None:
        if numbers:
            self.revoking = set(numbers)
            self.drained = {}
            self.deadline = self.world.now + DRAIN
            self.intake.append(Revoking(tuple((TOPIC, number) for number in sorted(numbers)), self.deadline))

    def _revoke(self) -> None:
        """Inside `on_revoke`: wait for the drain, commit, let go."""
        numbers = self.revoking or set()
        if not numbers <= self.drained.keys() and self.world.now < self.deadline + LATE:
            return
        self.maybe_crash("between drain and commit")
        final = []
        for number in sorted(numbers):
            handed = self.drained[number].handed if number in self.drained else None
            commit = self.committer.final((TOPIC, number), self.now_ms, handed)
            if commit is not None:
                final.append(commit)
        self._request(final)
        self.maybe_crash("between commit and revoke")
        overdue = tuple((TOPIC, number) for number in sorted(numbers - self.drained.keys()))
        for number in numbers:
            del self.readings[number]
        self.committer.forget([(TOPIC, number) for number in numbers])
        if overdue:
            self.intake.append(Lost(overdue))
        self.revoking = None
        self.generation = self.world.kafka.generation
        self.world.kafka.given_up(self, numbers)

    def stop(self) -> None:
        """SIGTERM: give up everything, then leave."""
        self.stopping = True
        self.new.clear()
        self.to_give_up.update(self.readings)

    @property
    def stopped(self) -> bool:
        return self.stopping and not self.readings and self.revoking is None

    def _lost_everything(self) -> None:
        """It was thrown out of the group while it did not run: `on_lost`, then it joins again."""
        lost = tuple((TOPIC, number) for number in self.readings)
        self.committer.forget(lost)
        self.readings.clear()
        self.commit_answers.clear()
        self.new.clear()
        self.to_give_up.clear()
        self.revoking = None
        if lost:
            self.intake.append(Lost(lost))
        self.kicked = False
        if not self.stopping:
            self.world.kafka.join(self)
