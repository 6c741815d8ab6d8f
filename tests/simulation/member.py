"""One bridge process: the real core, between the thread that owns the consumer and the one that owns HTTP.

A crash may fall between any two turns of the two, and in the middle of each.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, cast

from bridge.delivery import operate
from bridge.delivery.admission import KINDS, Reason
from bridge.delivery.core import Delivery
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    Intake,
    Lost,
    Order,
    Records,
    Revoking,
)
from bridge.suprsend.answers import make_judge
from tests.simulation.consumer import Consumer
from tests.simulation.faults import Violation
from tests.simulation.log import TOPIC
from tests.simulation.pauses import Pauses
from tests.simulation.records import Produced, Track
from tests.simulation.rules import SimRules
from tests.simulation.suprsend import QUIET, Answer, Call

if TYPE_CHECKING:
    from tests.simulation.world import World

JUDGE = make_judge()
TURN_CALLS = (1, 2, 4, 4, 1_000_000)
"""Calls that one look may start; the road asks for four."""


def _by_partition(order: Order) -> int:
    """The core keeps no order between partitions; a run has to have one to replay exactly."""
    if isinstance(order, DeadLetter):
        return -1
    return order.progress.partition if isinstance(order, Drained) else order.partition


class Member(Consumer):
    """A process of the group, with its delivery thread."""

    def __init__(self, world: World, name: int, rules: SimRules) -> None:
        super().__init__(world, name)
        self.delivery = Delivery(
            world.scenario.policy, rules, JUDGE, self.room, Random(world.rng.random()), world.now, version="1"
        )
        self.pauses = Pauses(world, self)
        self.pauses_taken_at = float("-inf")
        """When that was read which the delivery thread knows of the pauses."""
        self.replies: deque[Answer] = deque()
        self.drain_until: dict[int, float] = {}
        self.quiet_until = 0.0
        """Before that no call may go out: an answer asked for it."""
        self.wake_at = 0.0
        """When the delivery thread has to look again though nothing was handed to it."""
        self.foreign = False
        """The secrets name another workspace."""
        self._turns = 0

    def delivery_turn(self) -> None:
        """One turn of the thread that owns HTTP."""
        world = self.world
        delivery = self.delivery
        now, now_ms = world.now, self.now_ms
        if not self.intake and not self.replies and now < self.wake_at:
            return
        self.pauses_taken_at = max(self.pauses_taken_at, self.pauses.take_in())
        if self.intake:
            items = list(self.intake)
            if len(items) > 1 and world.rng.random() < 0.25:
                items = items[: world.rng.randrange(1, len(items))]
            for item in items:
                self.intake.popleft()
                self._record_intake(item)
            delivery.take(items, now, now_ms)
            self.maybe_crash("after records were taken")
        while self.replies:
            answer = self.replies.popleft()
            delivery.answered(answer.call.number, answer.reply, now, now_ms)
            self.quiet_until = max(self.quiet_until, now + QUIET.get(answer.reply.retry_after or "", 0.0))
            self._learn(answer)
        self.maybe_crash("after answers")
        calls = delivery.starts(now, now_ms, world.rng.choice(TURN_CALLS))
        made = delivery.orders(now)
        orders = sorted(made, key=_by_partition) if len(made) > 1 else list(made)
        made.clear()
        for order in orders:
            if isinstance(order, DeadLetter):
                world.letters.ordered(self, order)
        for number, body in calls:
            self._send(number, body)
        self.maybe_crash("after calls were started")
        if orders:
            self._pass_on(orders)
        at = delivery.wake_at(now)
        self.wake_at = float("inf") if at is None else at
        self._turns += 1
        if not self._turns & 31:
            self.check()

    def _record_intake(self, item: Intake) -> None:
        """Keep the truth's books for what the delivery thread is told."""
        world = self.world
        if isinstance(item, Records):
            track = self.tracks.get(item.partition)
            if track is not None and track.epoch == item.epoch:
                world.truth.handed(track, [cast("Produced", record).rec for record in item.records])
        elif isinstance(item, Assigned):
            self.tracks[item.partition] = world.tracks[item.epoch]
        elif isinstance(item, Revoking):
            self.drain_until.update((number, item.deadline) for _, number in item.partitions)
        elif isinstance(item, Lost):
            for _, number in item.partitions:
                self.tracks.pop(number, None)
        elif isinstance(item, DeadLetterWritten) and item.error is None:
            world.letters.learned(self, item.ticket)

    def _learn(self, answer: Answer) -> None:
        """The member knows now what a well-formed answer said."""
        truth = self.world.truth
        call = answer.call
        for index in answer.accepted:
            rec, item, _ = call.events[index]
            track = call.tracks[rec.partition]
            if self.tracks.get(rec.partition) is track:
                truth.learned(track, rec, item)
        for index in answer.refused:
            rec, item, _ = call.events[index]
            truth.leave_lane(call.tracks[rec.partition], rec, item)

    def _send(self, number: int, body: bytes) -> None:
        world = self.world
        truth = world.truth
        if self.foreign:
            message = "workspace: a call goes out to another workspace"
            raise Violation(message)
        if world.now < self.quiet_until:
            message = f"quiet: a call goes out, and none was to before {self.quiet_until}"
            raise Violation(message)
        events = truth.read(body)
        texts = body[2:-2].split(b"},{")
        by_partition: dict[int, list[int]] = {}
        for index, event in enumerate(events):
            by_partition.setdefault(event.rec.partition, []).append(index)
        for partition, indices in by_partition.items():
            track = self.tracks.get(partition)
            since = world.pause_oracle.since(partition)
            if since is not None and track is not None and max(self.pauses_taken_at, track.assigned_at) > since:
                message = f"pause: {partition} is paused since {since}, which is known, and a call has something of it"
                raise Violation(message)
            truth.started(track, [events[i] for i in indices], world.now_ms, [texts[i] for i in indices])
        tracks = {partition: self.tracks[partition] for partition in by_partition}
        world.suprsend.calls.append(Call(self, number, events, tracks))

    def _pass_on(self, orders: list[Order]) -> None:
        sequence = self.world.truth.sequence
        for order in orders:
            if isinstance(order, Drained):
                number = order.progress.partition
                self._check_drained(self.tracks.pop(number, None), self.drain_until.get(number, 0.0))
            self.orders.append((order, sequence))

    def _check_drained(self, track: Track | None, until: float) -> None:
        """Before its deadline a drain has waited for every call."""
        if self.world.now >= until or track is None:
            return
        out = [*self.world.suprsend.calls, *(answer.call for answer in self.replies)]
        if any(call.member is self and track in call.tracks.values() for call in out):
            message = f"drain: {track.partition} counts as drained while a call of it is out"
            raise Violation(message)

    # checks

    def check(self) -> None:
        """Conservation: what was consumed has an outcome or is in work; the same for the bytes of the room."""
        delivery = self.delivery
        in_work = [
            record
            for part in delivery.parts.values()
            for record in part.ledger.unfinished.values()
            if record is not None
        ]
        tally = delivery.counters.topic(TOPIC)
        if tally.consumed != sum(tally.finished.values()) + len(in_work):
            message = f"conservation: {tally.consumed} consumed, {tally.finished} finished, {len(in_work)} in work"
            raise Violation(message)
        queued = [record for item in self.intake if isinstance(item, Records) for record in item.records]
        held = sum(len(record) + RECORD_OVERHEAD for record in [*in_work, *queued])
        if self.room.taken_bytes - self.room.freed_bytes != held:
            message = f"conservation: {self.room.taken_bytes - self.room.freed_bytes} bytes taken for {held}"
            raise Violation(message)
        if self.committer.refused_progress:
            message = f"I3 the committer refused a progress {self.committer.refused_progress} times"
            raise Violation(message)

    # what a person does

    def resume_everything(self) -> None:
        """Lift every hold that waits for a person."""
        self.wake_at = 0.0
        for hold in self.delivery.holds.all():
            if hold.scope is None:
                continue
            if hold.reason is Reason.REWIND and hold.token is not None:
                self.world.truth.consent(hold.scope[1])
                self.world.kafka.logs[hold.scope[1]].set_back = False
                self.tracks[hold.scope[1]].rewound = False
                operate.accept_rewind(self.delivery, hold.token)
            elif KINDS[hold.reason].by_resume:
                if hold.reason is Reason.DEDUPE_EXPIRED:
                    self.world.truth.consent(hold.scope[1])
                operate.resume(self.delivery, hold.scope)
