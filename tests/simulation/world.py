"""One run: a group of members, their Kafka and their SuprSend, and everything that happens to them, by the seed."""

from __future__ import annotations

from itertools import count

from bridge.delivery import operate
from tests.simulation.consumer import Crash
from tests.simulation.damage import Damage
from tests.simulation.faults import Case, Faults, Violation
from tests.simulation.group import Kafka
from tests.simulation.letters import Letters
from tests.simulation.member import Member
from tests.simulation.pauses import PauseOracle
from tests.simulation.records import STUCK, Track
from tests.simulation.rules import Memo, SimRules
from tests.simulation.scenario import HOUR, scenario
from tests.simulation.suprsend import SuprSend
from tests.simulation.trouble import Trouble
from tests.simulation.truth import Truth

WALL_MS = 1_700_000_000_000
PAUSES = (0.0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 4.0)
ROUNDS_WITHOUT_FAULTS = 1_500
BACKLOG = 60


class World:
    """Everything of one run. `run` plays it to its end, or raises `Violation`."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.faults = Faults(case)
        self.rng = self.faults.rng
        self.scenario = scenario(self.rng, unsafe_topic="kafka: log cut off" in case.often)
        timed = any(word[0] == "t" for say in self.scenario.words for word in say.split())
        self.skew_ms = 0 if timed else 1_200_000
        self.now = 1_000.0
        self.now_ms = 0
        self.truth = Truth(self.scenario)
        self.advance_clock(0.0)
        self.kafka = Kafka(self.scenario, self.faults, self.truth)
        self.suprsend = SuprSend(self.faults, self.truth, self.scenario.strength.call)
        self.letters = Letters(self)
        self.pause_oracle = PauseOracle()
        self.damage = Damage(self)
        self.trouble = Trouble(self)
        self.epochs = count(1)
        self.tracks: dict[int, Track] = {}
        self.names = count(1)
        self.members: list[Member] = []
        self.absent: list[float] = []
        """When members that are gone start again."""
        self.version = 1
        self.repaired = False
        self.steps = 0
        self._memo: Memo = {}
        self._begin_with_history()
        for _ in range(self.scenario.members):
            self._start_member()

    def rules(self) -> SimRules:
        """The rules that are in force."""
        return SimRules(self._memo, self.version, repaired=self.repaired)

    def _begin_with_history(self) -> None:
        """Records are there before anybody reads them, and now and then a leader is not there at the first start."""
        for number, log in enumerate(self.kafka.logs):
            if self.rng.random() < 0.5:
                self.kafka.produce(number, self.now_ms, 5)
            if self.rng.random() < 0.2 and self.faults.take("kafka: a leader is missing at the first start"):
                log.led_from = self.now + self.rng.choice((0.5, 5.0, 60.0))
        self.advance_clock(1.0)

    def _start_member(self) -> None:
        member = Member(self, next(self.names), self.rules())
        self.members.append(member)
        self.kafka.join(member)

    def run(self) -> Faults:
        """Play the run: chaos, then calm until everything has come to its end."""
        try:
            step = self.step
            for _ in range(self.case.steps):
                step()
            self._finish()
        except Violation:
            raise
        except Exception as error:
            message = f"error: {type(error).__name__}: {error}"
            raise Violation(message) from error
        return self.faults

    def advance_clock(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.now_ms = self.truth.now_ms = WALL_MS + int(self.now * 1000)

    # one step

    def step(self) -> None:
        """Something happens."""
        rng = self.rng
        self.steps += 1
        chance = rng.random()
        self.advance_clock(PAUSES[int(chance * 9000) % 9])
        if chance < 0.10:
            self._produce()
        elif chance < 0.30:
            self._kafka_turn(rng.choice(self.members) if self.members else None)
        elif chance < 0.52:
            self._delivery_turn(rng.choice(self.members) if self.members else None)
        elif chance < 0.79:
            if self.suprsend.calls or self.suprsend.late:
                self.answer_calls(rng.choice((1, 2, 3, 6, 12)))
        elif chance < 0.93:
            self.broker()
        else:
            self.trouble.happens()
        if self.absent and self.absent[0] <= self.now:
            self.absent.pop(0)
            self._start_member()

    def _produce(self) -> None:
        rng, kafka = self.rng, self.kafka
        number = rng.below(len(kafka.logs))
        log = kafka.logs[number]
        if log.end - self.truth.committed[number] < BACKLOG and not log.quiet and not kafka.away:
            kafka.produce(number, self.now_ms, rng.choice((1, 2, 8, 16)))

    def _kafka_turn(self, member: Member | None) -> None:
        if member is None or self.now < member.frozen_until or self.now < member.poll_stopped_until:
            return
        try:
            member.kafka_turn()
        except Crash:
            self.crash(member)
        if member.stopped and member.alive:
            self.gone(member)
            self.kafka.leave(member)

    def _delivery_turn(self, member: Member | None) -> None:
        if member is None or self.now < member.frozen_until:
            return
        if not member.intake and not member.replies and self.now < member.wake_at:
            return
        try:
            member.delivery_turn()
        except Crash:
            self.crash(member)

    def answer_calls(self, n: int) -> None:
        """Some calls end, in any order."""
        suprsend = self.suprsend
        calls = suprsend.calls
        if suprsend.late:
            suprsend.apply_late(self.now, self.now_ms)
        for _ in range(min(n, len(calls))):
            index = self.rng.below(len(calls))
            calls[index], calls[-1] = calls[-1], calls[index]
            answer = suprsend.answer(calls.pop(), self.now, self.now_ms)
            member = answer.call.member
            if member.alive:
                member.replies.append(answer)

    def broker(self) -> None:
        """The coordinator and the dead-letter topic do some of their work."""
        kafka = self.kafka
        if kafka.away:
            return
        if kafka.late:
            kafka.answer_late()
        requests = kafka.requests
        while requests:
            kafka.take(requests.popleft())
        for member in self.members:
            if member.letters:
                self.letters.write(member)
        kafka.hand_out()

    # processes end

    def gone(self, member: Member) -> None:
        """The process is no more; another one starts in its place after a while."""
        member.alive = False
        self.members.remove(member)
        self.absent.append(self.now + self.rng.choice((0.1, 2.0, 30.0)))
        self.absent.sort()

    def crash(self, member: Member) -> None:
        """Killed: what it sent is still on its way; its session times out, or the newcomer takes its place."""
        self.gone(member)
        self.letters.outlive(member)
        self.kafka.leave(member)
        if self.rng.random() < 0.5:
            # The connection broke: some of what was sent never arrives.
            self.suprsend.calls = [
                call for call in self.suprsend.calls if call.member is not member or self.rng.random() < 0.5
            ]

    def hours_pass(self, seconds: float, rounds: int = 8) -> None:
        """Nothing happens for long, but what is under way ends within its deadline."""
        for _ in range(rounds):
            self.advance_clock(0.2)
            self.answer_calls(len(self.suprsend.calls))
            self.broker()
            for member in list(self.members):
                member.frozen_until = member.poll_stopped_until = 0.0
                self._turns(member)
        self.end_calls()
        self.advance_clock(seconds)

    def end_calls(self) -> None:
        """Whatever is on its way arrives."""
        self.answer_calls(len(self.suprsend.calls))
        self.suprsend.apply_late(self.now, self.now_ms, everything=True)

    def blackout(self) -> None:
        """All processes die at once and come back after hours or days; somebody may touch the group meanwhile."""
        if (
            self.scenario.pauses
            and self.members
            and self.rng.random() < 0.5
            and self.faults.take("operator: pause before all die")
        ):
            self.members[0].pauses.say(None, paused=True)
        for member in list(self.members):
            self.crash(member)
        self.end_calls()
        kafka, rng = self.kafka, self.rng
        kafka.requests.clear()
        number = rng.below(len(kafka.logs))
        chance = rng.random()
        if chance < 0.4:
            kafka.reset(number)
        elif chance < 0.7:
            kafka.expire(number)
        elif self.scenario.unsafe_topic:
            kafka.cut(number, ())
        self.damage.go_past_offline()
        self.advance_clock(rng.choice((0.01, 1.0, 10.0, 22.5, 23.5, 30.0, 100.0)) * HOUR)
        self.absent = [self.now] * len(self.absent)

    # the end

    def _turns(self, member: Member) -> None:
        self._delivery_turn(member)
        if member.alive:
            self._kafka_turn(member)

    def _finish(self) -> None:
        """No more faults: within a send limit everything is delivered and committed."""
        self.faults.over = True
        self.trouble.ends()
        self.repaired = True
        self.version += 1
        for member in self.members:
            member.wake_at = 0.0
            operate.reload(member.delivery, self.rules())
        for number in range(ROUNDS_WITHOUT_FAULTS):
            self.advance_clock(0.2 if number % 4 else 2.0)
            self._round_without_faults(number)
            if number % 4 == 3 and self._all_committed():
                break
        for member in self.members:
            member.check()
        self.truth.final([log.end for log in self.kafka.logs], self.now_ms)

    def _round_without_faults(self, number: int) -> None:
        while self.absent:
            self.absent.pop()
            self._start_member()
        if STUCK in self.scenario.words and number % 8 == 0 and self._any_stuck():
            for partition, log in enumerate(self.kafka.logs):
                if not log.quiet:
                    self.kafka.produce(partition, self.now_ms, 1, (b"e",))
        self.answer_calls(len(self.suprsend.calls))
        self.broker()
        for member in list(self.members):
            if number % 10 == 9:
                member.pauses.say(None, paused=False)
                member.resume_everything()
                self.damage.go_past(member)
            self._turns(member)

    def _any_stuck(self) -> bool:
        """Whether traffic has to go on, so that it shows which records are stuck."""
        truth = self.truth
        return any(
            STUCK in rec.words
            for number, log in enumerate(self.kafka.logs)
            for rec in truth.between(number, truth.committed[number], log.end)
        )

    def _all_committed(self) -> bool:
        return (
            not self.suprsend.calls
            and not self.kafka.requests
            and not any(member.stopping for member in self.members)
            and all(self.truth.committed[n] == log.end for n, log in enumerate(self.kafka.logs))
        )


def play(case: Case) -> Faults:
    """Run one case to its end; raises `Violation`."""
    return World(case).run()
