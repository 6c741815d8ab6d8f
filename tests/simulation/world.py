"""One run: a group of members, their Kafka and their SuprSend, and everything that happens to them, by the seed."""

from __future__ import annotations

from itertools import count

from bridge.delivery import operate
from bridge.flow import DeadLetter, DeadLetterWritten
from tests.delivery.words import WordRules
from tests.simulation.consumer import Crash
from tests.simulation.faults import Case, Faults, Violation
from tests.simulation.kafka import TOPIC, Kafka
from tests.simulation.member import Member
from tests.simulation.scenario import HOUR, STUCK, scenario
from tests.simulation.suprsend import SuprSend
from tests.simulation.truth import Rec, Track, Truth

WALL_MS = 1_700_000_000_000
PAUSES = (0.0, 0.001, 0.005, 0.02, 0.02, 0.05, 0.1, 0.3, 1.0)
CALM_ROUNDS = 1_500
BACKLOG = 60


class World:
    """Everything of one run. `run` plays it to its end, or raises `Violation`."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.faults = Faults(case)
        self.rng = self.faults.rng
        self.scenario = scenario(self.rng)
        self.skew_ms = 0 if any(word[0] == "t" for say in self.scenario.words for word in say.split()) else 1_200_000
        self.now = 1_000.0
        self.truth = Truth(self.scenario.policy, self.scenario.partitions)
        self.kafka = Kafka(self.scenario, self.faults, self.truth)
        self.suprsend = SuprSend(self.faults, self.truth, self.scenario.trouble)
        self.epochs = count(1)
        self.tracks: dict[int, Track] = {}
        self.names = count(1)
        self.members: list[Member] = []
        self.absent: list[float] = []
        """When members that are gone start again."""
        self.version = 1
        self.mended = False
        self.letters: dict[tuple[int, int], tuple[Rec, list[int], Track | None]] = {}
        self.letters_fail_until = 0.0
        self.steps = 0
        for _ in range(self.scenario.members):
            self._start_member()

    @property
    def now_ms(self) -> int:
        return WALL_MS + int(self.now * 1000)

    def _rules(self) -> WordRules:
        return WordRules(self.version, mended=self.mended)

    def _start_member(self) -> None:
        member = Member(self, next(self.names), self._rules())
        self.members.append(member)
        self.kafka.join(member)

    def run(self) -> Faults:
        """Play the run: chaos, then calm until everything has come to its end."""
        try:
            for _ in range(self.case.steps):
                self.step()
            self._calm()
        except Violation:
            raise
        except Exception as error:
            message = f"error: {type(error).__name__}: {error}"
            raise Violation(message) from error
        return self.faults

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.truth.now_ms = self.now_ms

    # one step

    def step(self) -> None:
        """Something happens."""
        rng = self.rng
        self.steps += 1
        self._pass(rng.choice(PAUSES))
        chance = rng.random()
        if chance < 0.09:
            number = rng.below(self.scenario.partitions)
            if self.kafka.logs[number].end - self.truth.committed[number] < BACKLOG:
                self.kafka.produce(number, self.now_ms, rng.choice((1, 2, 8, 16)), self.scenario.words)
        elif chance < 0.33:
            self._turn(rng.choice(self.members) if self.members else None, kafka=True)
        elif chance < 0.60:
            self._turn(rng.choice(self.members) if self.members else None, kafka=False)
        elif chance < 0.86:
            self._answer_calls(rng.choice((1, 2, 3, 6, 12)))
        elif chance < 0.965:
            self._broker()
        else:
            self._disturb()
        if self.absent and self.absent[0] <= self.now:
            self.absent.pop(0)
            self._start_member()

    def _turn(self, member: Member | None, *, kafka: bool) -> None:
        if member is None or not member.alive or self.now < member.frozen_until:
            return
        try:
            if kafka:
                member.kafka_turn()
            else:
                member.delivery_turn()
        except Crash:
            self._crash(member)
        if member.stopped and member.alive:
            self._gone(member)
            self.kafka.leave(member)

    def _answer_calls(self, n: int) -> None:
        calls = self.suprsend.calls
        self.suprsend.apply_late(self.now, self.now_ms)
        for _ in range(min(n, len(calls))):
            index = self.rng.below(len(calls))
            calls[index], calls[-1] = calls[-1], calls[index]
            answer = self.suprsend.answer(calls.pop(), self.now, self.now_ms)
            member = answer.call.member
            if member.alive:
                member.replies.append(answer)

    def _broker(self) -> None:
        """The coordinator and the dead-letter topic do some of their work."""
        requests = self.kafka.requests
        while requests:
            self.kafka.take(requests.popleft())
        for member in self.members:
            if member.letters:
                self._write_letters(member)
        self.kafka.hand_out()

    def _write_letters(self, member: Member) -> None:
        faults = self.faults
        while member.letters:
            letter = member.letters.popleft()
            down = self.now < self.letters_fail_until
            if down and faults.take("dead letter: topic down"):
                member.reports.append(DeadLetterWritten(letter.ticket, "unwritable"))
                continue
            if faults.hit("dead letter: refused", 0.1):
                member.reports.append(DeadLetterWritten(letter.ticket, "message timed out"))
                continue
            rec, items, _ = self.letters[member.name, letter.ticket]
            cause = dict(letter.headers)["bridge.class"].decode()
            for item in items:
                self.truth.dead_lettered(rec, item, cause, self.now_ms)
            lost = faults.hit("dead letter: written, report lost", 0.05)
            member.reports.append(DeadLetterWritten(letter.ticket, "broker gone" if lost else None))

    def letter_ordered(self, member: Member, letter: DeadLetter) -> None:
        """A dead letter is on its way: the lane need not wait for it."""
        record = letter.record
        rec = self.truth.by_offset[record.partition()][record.offset()]
        headers = dict(letter.headers)
        if "bridge.item" in headers:
            items = [int(headers["bridge.item"])]
        elif "bridge.idempotency_key" in headers:
            items = [self._item_of(rec, headers["bridge.idempotency_key"].decode())]
        else:
            items = [item for item in range(len(rec.words)) if rec.open >> item & 1]
        track = member.tracks.get(rec.partition)
        self.letters[member.name, letter.ticket] = (rec, items, track)
        if track is not None:
            for item in items:
                self.truth.out_of_order_queue(track, rec, item)

    def _item_of(self, rec: Rec, key: str) -> int:
        for item, known in rec.keys.items():
            if known == key:
                return item
        made = WordRules(mended=True).for_topic(TOPIC)(rec.record)
        for item, event in enumerate(made):
            if getattr(event, "key", None) == key:
                return item
        message = f"I4 a dead letter of {rec} names the unknown key {key}"
        raise Violation(message)

    def letter_learned(self, member: Member, ticket: int) -> None:
        """The member is told that a dead letter was acknowledged."""
        rec, items, track = self.letters[member.name, ticket]
        if track is not None and member.tracks.get(rec.partition) is track:
            for item in items:
                self.truth.told(track, rec, item)

    # what goes wrong beside calls, commits and dead letters

    def _disturb(self) -> None:
        rng, faults = self.rng, self.faults
        member = rng.choice(self.members) if self.members else None
        chance = rng.random()
        if member is None:
            return
        if chance < 0.06 and faults.take("crash: at any time"):
            self._crash(member)
        elif chance < 0.10 and faults.take("stop: SIGTERM"):
            member.stop()
        elif chance < 0.16 and faults.take("zombie: frozen beyond its session"):
            self._freeze(member)
        elif chance < 0.30 and faults.take("rebalance"):
            self.kafka.rebalance()
        elif chance < 0.36 and faults.take("api: a bad mood"):
            self.suprsend.mood = rng.choice(("outage", "setup", "unreadable", "timeouts", "throttling"))
            self.suprsend.mood_until = self.now + rng.choice((0.3, 1.0, 6.0))
        elif chance < 0.42 and faults.take("dead letter: outage"):
            self.letters_fail_until = self.now + rng.choice((0.5, 5.0))
        elif chance < 0.50:
            self.kafka.compact()
        elif chance < 0.62:
            self._operate(member)
        elif chance < 0.64 and faults.take("clock: hours pass"):
            self._hours_pass(rng.choice((0.5, 5.0, 30.0)) * HOUR)
        elif chance < 0.66 and faults.take("crash: all, back after days"):
            self._blackout()
        elif chance < 0.72 and faults.take("clock: seconds pass"):
            self._pass(rng.choice((3.0, 12.0, 40.0)))

    def _operate(self, member: Member) -> None:
        rng, faults = self.rng, self.faults
        chance = rng.random()
        parts = list(member.delivery.parts)
        if chance < 0.35 and faults.take("reload"):
            self.version += 1
            self.mended = self.mended or rng.random() < 0.2
            member.wake_at = 0.0
            operate.reload(member.delivery, self._rules())
        elif chance < 0.5 and parts and faults.take("operator: pause"):
            member.wake_at = 0.0
            operate.pause(member.delivery, rng.choice(parts), "because", self.now_ms)
        elif chance < 0.65 and parts:
            self._skip(member)
        else:
            member.resume_everything()

    def _skip(self, member: Member) -> None:
        part = self.rng.choice(list(member.delivery.parts.values()))
        offset = next((offset for offset, record in part.ledger.unfinished.items() if record is not None), None)
        track = member.tracks.get(part.name[1])
        if offset is None or track is None or not self.faults.take("operator: skip"):
            return
        rec = self.truth.by_offset[part.name[1]][offset]
        try:
            operate.skip(member.delivery, part.name, offset, "not wanted", self.now_ms)
        except operate.Declined:
            return
        rec.skipped = True
        member.wake_at = 0.0
        for item in range(len(rec.words)):
            self.truth.out_of_order_queue(track, rec, item)

    def _gone(self, member: Member) -> None:
        member.alive = False
        self.members.remove(member)
        self.absent.append(self.now + self.rng.choice((0.1, 2.0, 30.0)))
        self.absent.sort()

    def _crash(self, member: Member) -> None:
        """Killed: what it sent is still on its way; its session times out, or the newcomer takes its place."""
        self._gone(member)
        self.kafka.leave(member)
        if self.rng.random() < 0.5:
            # The connection broke: some of what was sent never arrives.
            self.suprsend.calls = [
                call for call in self.suprsend.calls if call.member is not member or self.rng.random() < 0.5
            ]

    def _freeze(self, member: Member) -> None:
        """Stopped (SIGSTOP) for longer than its session: the group goes on without it, then it wakes up."""
        member.frozen_until = self.now + self.rng.choice((0.2, 2.0, 10.0))
        member.kicked = True
        self.kafka.leave(member)

    def _hours_pass(self, seconds: float) -> None:
        """Nothing happens for long, but what is under way ends within its deadline."""
        for _ in range(8):
            self._pass(0.2)
            self._answer_calls(len(self.suprsend.calls))
            self._broker()
            for member in list(self.members):
                member.frozen_until = 0.0
                self._turn(member, kafka=False)
                self._turn(member, kafka=True)
        self._answer_calls(len(self.suprsend.calls))
        self.suprsend.apply_late(self.now, self.now_ms, everything=True)
        self._pass(seconds)

    def _blackout(self) -> None:
        """All processes die at once and come back after hours or days."""
        for member in list(self.members):
            self._crash(member)
        self._answer_calls(len(self.suprsend.calls))
        self.suprsend.apply_late(self.now, self.now_ms, everything=True)
        self.kafka.requests.clear()
        if self.rng.random() < 0.3 and self.faults.take("kafka: group set back"):
            self.kafka.reset(self.rng.below(self.scenario.partitions))
        if self.rng.random() < 0.3 and self.faults.take("kafka: retention overtakes the group"):
            self.kafka.expire(self.rng.below(self.scenario.partitions))
        self._pass(self.rng.choice((1.0, 10.0, 22.5, 23.5, 30.0, 100.0)) * HOUR)
        self.absent = [self.now] * len(self.absent)

    # the end

    def _calm(self) -> None:
        """No more faults: within a bound everything is delivered and committed."""
        self.faults.calm = True
        self.suprsend.mood = None
        self.mended = True
        self.version += 1
        for member in self.members:
            member.wake_at = 0.0
            operate.reload(member.delivery, self._rules())
        for number in range(CALM_ROUNDS):
            self._pass(0.2 if number % 4 else 2.0)
            while self.absent:
                self.absent.pop()
                self._start_member()
            if STUCK in self.scenario.words and number % 8 == 0 and self._any_stuck():
                for partition in range(self.scenario.partitions):
                    self.kafka.produce(partition, self.now_ms, 1, ("e",))
            self._answer_calls(len(self.suprsend.calls))
            self._broker()
            for member in list(self.members):
                if number % 10 == 9:
                    member.resume_everything()
                self._turn(member, kafka=False)
                self._turn(member, kafka=True)
            if number % 4 == 3 and self._quiet():
                break
        for member in self.members:
            member.check()
        self.truth.final([log.end for log in self.kafka.logs], self.now_ms)

    def _any_stuck(self) -> bool:
        """Whether traffic has to go on, so that it shows which records are stuck."""
        truth = self.truth
        return any(
            STUCK in rec.words
            for number, log in enumerate(self.kafka.logs)
            for rec in truth.between(number, truth.committed[number], log.end)
        )

    def _quiet(self) -> bool:
        return (
            not self.suprsend.calls
            and not self.kafka.requests
            and not any(member.stopping for member in self.members)
            and all(self.truth.committed[n] == log.end for n, log in enumerate(self.kafka.logs))
        )


def play(case: Case) -> Faults:
    """Run one case to its end; raises `Violation`."""
    return World(case).run()
