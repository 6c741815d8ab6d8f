"""What goes wrong beside calls, commits and dead letters: processes, brokers, clocks, logs, and what people do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.delivery import operate
from tests.simulation.records import Rec
from tests.simulation.scenario import HOUR

if TYPE_CHECKING:
    from bridge.delivery.batch import Partition
    from tests.simulation.member import Member
    from tests.simulation.world import World

ONGOING = (
    "api: outage",
    "api: wrong set-up",
    "api: nothing is readable",
    "api: no answers",
    "api: throttles all",
    "api: refuses all connections",
    "api: own words refuse all",
    "box: hands all on, refuses the answers",
)
ONGOING_FOR_A_DAY = (
    "api: outage",
    "api: no answers",
    "api: refuses all connections",
    "api: own words refuse all",
    "box: hands all on, refuses the answers",
)

PLACES = 40
"""Of the table, each time that a case names a kind that it is rich in: a third of what all have without that."""


class Trouble:
    """Draws from a table of what may happen; each entry counts its fault where it happens, and only if it matters."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._away_until = 0.0
        self._foreign_until = 0.0
        weights: tuple[tuple[int, Callable[[Member], None]], ...] = (
            (6, self._crash),
            (4, self._stop),
            (5, self._freeze),
            (4, self._stop_polling),
            (3, self._break_client),
            (14, self._rebalance),
            (6, self._all_calls_fail),
            (6, self._no_dead_letters),
            (8, self._compact),
            (2, self._add_partition),
            (4, self._move_leader),
            (3, self._lose_leader),
            (4, self._delete),
            (4, self._brokers_away),
            (10, self._reload),
            (4, self._pause),
            (8, self._skip),
            (8, self._resume),
            (2, self._other_workspace),
            (3, self._clock_jumps),
            (2, self._long_time),
            (5, self._stall),
            (3, self._damage),
            (4, self._go_past),
        )
        rich: dict[str, Callable[[Member], None]] = {
            "rebalance": self._rebalance,
            "kafka: another leader": self._move_leader,
            "kafka: a leader cannot be reached": self._lose_leader,
            "kafka: batch damaged": self._damage,
            "kafka: log cut off": self._cut,
            "operator: skip unreadable": self._go_past,
        }
        self._table = [what for weight, what in weights for _ in range(weight)]
        self._table += [rich[kind] for kind in world.case.often for _ in range(PLACES)]

    def happens(self) -> None:
        """Something of it."""
        world = self._world
        if world.kafka.away and world.now >= self._away_until:
            world.kafka.away = False
        if world.members:
            member = world.rng.choice(world.members)
            if member.foreign and world.now >= self._foreign_until:
                self._workspace(member, None)
            world.rng.choice(self._table)(member)

    def ends(self) -> None:
        """All of it is over."""
        world = self._world
        world.suprsend.ongoing = None
        world.kafka.away = False
        for log in world.kafka.logs:
            log.led_from = 0.0
        for member in world.members:
            member.poll_stopped_until = 0.0
            self._workspace(member, None)

    # processes

    def _crash(self, member: Member) -> None:
        if self._world.faults.take("crash: at any time"):
            self._world.crash(member)

    def _stop(self, member: Member) -> None:
        if not member.stopping and self._world.faults.take("stop: SIGTERM"):
            member.stop()

    def _freeze(self, member: Member) -> None:
        """Stopped (SIGSTOP) for longer than its session: the group goes on without it, then it wakes up."""
        world = self._world
        if world.faults.take("zombie: frozen beyond its session"):
            member.frozen_until = world.now + world.rng.choice((0.2, 2.0, 10.0))
            member.kicked = True
            world.kafka.leave(member)

    def _stop_polling(self, member: Member) -> None:
        """Its session ends, the thread that owns the consumer does not see it yet, and the other goes on sending."""
        world = self._world
        if member.readings and world.faults.take("zombie: sends on without its group"):
            member.poll_stopped_until = world.now + world.rng.choice((0.2, 2.0))
            member.kicked = True
            world.kafka.leave(member)

    def _break_client(self, member: Member) -> None:
        """The client is of no use any more: everything is dropped, a new one joins; the core lives on."""
        world = self._world
        if member.readings and not member.kicked and world.faults.take("kafka: client built anew"):
            world.kafka.leave(member)
            member.lose_everything()

    # Kafka

    def _rebalance(self, member: Member) -> None:
        world = self._world
        kafka = world.kafka
        kind = "rebalance" if not any(each.revoking for each in world.members) else "rebalance: during a drain"
        if world.faults.take(kind):
            kafka.rebalance()

    def _brokers_away(self, member: Member) -> None:
        world = self._world
        if not world.kafka.away and world.faults.take("kafka: brokers away"):
            world.kafka.away = True
            self._away_until = world.now + world.rng.choice((0.5, 5.0, 100.0))

    def _compact(self, member: Member) -> None:
        """Most of all where reading is paused: what was given back there is read again later."""
        world = self._world
        paused = [number for each in world.members for number, reading in each.readings.items() if reading.paused]
        read = [0] * len(world.kafka.logs)
        for each in world.members:
            for number, reading in each.readings.items():
                read[number] = max(read[number], reading.position)
        anywhere = not paused or world.rng.random() < 0.5
        world.kafka.compact(world.rng.below(len(read)) if anywhere else world.rng.choice(paused), read)

    def _add_partition(self, member: Member) -> None:
        world = self._world
        kafka = world.kafka
        if len(kafka.logs) < 8 and world.faults.take("kafka: partition added"):
            kafka.add_partition()
            kafka.produce(len(kafka.logs) - 1, world.now_ms, 3)

    def _lose_leader(self, member: Member) -> None:
        world = self._world
        if world.faults.take("kafka: a leader cannot be reached"):
            world.rng.choice(world.kafka.logs).led_from = world.now + world.rng.choice((1.0, 5.0, 60.0))

    def _move_leader(self, member: Member) -> None:
        world = self._world
        if world.faults.take("kafka: another leader"):
            world.rng.choice(world.kafka.logs).lead_anew()

    def _delete(self, member: Member) -> None:
        """Retention runs ahead of the readers, or what was acknowledged is gone, while they read."""
        world = self._world
        number = world.rng.below(len(world.kafka.logs))
        if world.rng.random() < 0.5:
            world.kafka.expire(number)
        else:
            self._cut_off(number)

    def _cut(self, member: Member) -> None:
        self._cut_off(self._world.rng.below(len(self._world.kafka.logs)))

    def _cut_off(self, number: int) -> None:
        world = self._world
        if world.scenario.unsafe_topic:
            readings = [each.readings[number] for each in world.members if number in each.readings]
            world.kafka.cut(number, readings)

    # SuprSend and the dead-letter topic

    def _all_calls_fail(self, member: Member) -> None:
        world = self._world
        world.suprsend.ongoing = world.rng.choice(ONGOING)
        world.suprsend.ongoing_until = world.now + world.rng.choice((1.0, 6.0, 20.0))

    def _no_dead_letters(self, member: Member) -> None:
        self._world.letters.down_until = self._world.now + self._world.rng.choice((0.5, 5.0))

    # time

    def _clock_jumps(self, member: Member) -> None:
        world = self._world
        if world.scenario.wrong_clocks and world.faults.take("clock: jumps by hours"):
            member.skew_ms += int(world.rng.choice((-30.0, -6.0, -1.0, 1.0, 6.0, 30.0)) * HOUR * 1000)
            member.day_behind = member.day_behind or member.skew_ms < -24 * HOUR * 1000
            member.wake_at = 0.0

    def _damage(self, member: Member) -> None:
        self._world.damage.happens()

    def _go_past(self, member: Member) -> None:
        """A person goes past what cannot be read; now and then all processes died of it before."""
        world = self._world
        if world.damage.any() and world.rng.random() < 0.2 and world.faults.take("operator: skip unreadable, offline"):
            for each in list(world.members):
                world.crash(each)
            world.end_calls()
            world.kafka.requests.clear()
            world.damage.go_past_offline()
        elif any(reading.unreadable for reading in member.readings.values()) and world.faults.take(
            "operator: skip unreadable"
        ):
            world.damage.go_past(member)

    def _long_time(self, member: Member) -> None:
        """Now and then hours or days go by, in one way or another."""
        if self._world.rng.random() < 0.75:
            self._world.rng.choice((self._hours_pass, self._blackout, self._day_without))(member)

    def _hours_pass(self, member: Member) -> None:
        if self._world.faults.take("clock: hours pass"):
            self._world.hours_pass(self._world.rng.choice((0.5, 5.0, 14.0, 14.0, 30.0)) * HOUR)

    def _day_without(self, member: Member) -> None:
        """The API fails for more than a day, and now and then somebody tries."""
        world = self._world
        if world.faults.take("api: down for more than a day"):
            world.suprsend.ongoing = world.rng.choice(ONGOING_FOR_A_DAY)
            world.suprsend.ongoing_until = world.now + 28.5 * HOUR
            for _ in range(4):
                world.hours_pass(7.0 * HOUR, rounds=16)

    def _blackout(self, member: Member) -> None:
        if self._world.faults.take("crash: all, back after days"):
            self._world.blackout()

    def _stall(self, member: Member) -> None:
        if self._world.faults.take("clock: nothing runs for seconds"):
            self._world.advance_clock(self._world.rng.choice((3.0, 12.0, 40.0)))

    # people

    def _reload(self, member: Member) -> None:
        world = self._world
        if world.faults.take("reload"):
            world.version += 1
            world.repaired = world.repaired or world.rng.random() < 0.1
            member.wake_at = 0.0
            operate.reload(member.delivery, world.rules())

    def _pause(self, member: Member) -> None:
        world = self._world
        if world.scenario.pauses and world.faults.take("operator: pause"):
            member.pauses.say(self._aim(), paused=True)

    def _resume(self, member: Member) -> None:
        if self._world.scenario.pauses:
            member.pauses.say(self._aim(), paused=False)
        member.resume_everything()

    def _aim(self) -> int | None:
        """A partition, whoever has it, or the whole topic."""
        rng = self._world.rng
        return None if rng.random() < 0.5 else rng.below(len(self._world.kafka.logs))

    def _other_workspace(self, member: Member) -> None:
        if not member.foreign and self._world.faults.take("secrets: of another workspace"):
            self._foreign_until = self._world.now + self._world.rng.choice((0.5, 5.0))
            self._workspace(member, "other")

    def _workspace(self, member: Member, other: str | None) -> None:
        member.foreign = other is not None
        member.wake_at = 0.0
        operate.keep_to_workspace(member.delivery, "own", other, member.now_ms)

    def _skip(self, member: Member) -> None:
        world = self._world
        if not member.delivery.parts:
            return
        part = world.rng.choice(list(member.delivery.parts.values()))
        batches = member.delivery.calls.in_flight.values()
        halves = [
            (run.part, offset)
            for each in batches
            if each.sequel is not None
            for run in each.sequel.runs
            if run.part.live
            for offset in run.offsets
        ]
        if halves:
            part = world.rng.choice(halves)[0]
        offsets = [offset for offset, record in part.ledger.unfinished.items() if record is not None]
        track = member.tracks.get(part.name[1])
        if not offsets or track is None or not world.faults.take("operator: skip"):
            return
        sent = [offset for offset in offsets if part.ledger.unfinished[offset].rec.keys]  # type: ignore[union-attr]
        waiting = [offset for each, offset in halves if each is part]
        offset = world.rng.choice(waiting or world.rng.choice((offsets[:1], offsets, sent or offsets, sent or offsets)))
        self.put_aside(member, part, offset)

    def put_aside(self, member: Member, part: Partition, offset: int) -> None:
        """A person skips a record that has no outcome."""
        world, track = self._world, member.tracks[part.name[1]]
        record = part.ledger.unfinished[offset]
        rec: Rec = record.rec  # type: ignore[union-attr]
        try:
            operate.skip(member.delivery, part.name, offset, "not wanted", world.now_ms)
        except operate.Declined:
            return
        rec.skipped = True
        member.wake_at = 0.0
        for item in range(len(rec.words)):
            world.truth.leave_lane(track, rec, item)
