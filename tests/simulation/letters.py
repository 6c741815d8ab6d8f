"""The dead-letter topic: takes letters, refuses them, or takes them and nobody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bridge.flow import DeadLetter, DeadLetterWritten, Event
from tests.simulation.faults import Violation
from tests.simulation.log import TOPIC
from tests.simulation.records import Produced, Rec, Track
from tests.simulation.rules import SimRules

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World


class Letters:
    """What became of each letter that a member ordered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ordered: dict[tuple[int, int], tuple[Rec, list[int], Track]] = {}
        self.down_until = 0.0
        """The topic takes nothing before."""

    def write(self, member: Member) -> None:
        """Do what the producer of a member has before it."""
        world = self._world
        faults, refused = world.faults, world.scenario.strength.letter
        while member.letters:
            letter = member.letters.popleft()
            if world.now < self.down_until and faults.take("dead letter: topic down"):
                member.reports.append(DeadLetterWritten(letter.ticket, "unwritable"))
            elif refused and faults.hit("dead letter: refused", refused):
                member.reports.append(DeadLetterWritten(letter.ticket, "message timed out"))
            else:
                self._written(member, letter)
                lost = refused and faults.hit("dead letter: written, report lost", refused / 2)
                member.reports.append(DeadLetterWritten(letter.ticket, "broker gone" if lost else None))

    def _written(self, member: Member, letter: DeadLetter) -> None:
        rec, items, _ = self._ordered[member.name, letter.ticket]
        cause = dict(letter.headers)["bridge.class"].decode()
        for item in items:
            self._world.truth.dead_lettered(rec, item, cause, self._world.now_ms, day_behind=member.day_behind)

    def outlive(self, member: Member) -> None:
        """The process is dead; what its producer had sent is written all the same, and nobody learns of it."""
        while member.letters:
            letter = member.letters.popleft()
            if self._world.rng.random() < 0.5 and self._world.faults.take("dead letter: written after a crash"):
                self._written(member, letter)

    def ordered(self, member: Member, letter: DeadLetter) -> None:
        """A dead letter is on its way: the lane need not wait for it."""
        rec = cast("Produced", letter.record).rec
        headers = dict(letter.headers)
        if "bridge.item" in headers:
            items = [int(headers["bridge.item"])]
        elif "bridge.idempotency_key" in headers:
            items = [self._item_of(rec, headers["bridge.idempotency_key"].decode())]
        else:
            items = [item for item in range(len(rec.words)) if rec.open >> item & 1]
        # What a person did may have ordered it under an assignment that has ended since.
        rejected, _ = member.delivery.dead_letters._out[letter.ticket]
        track = self._world.tracks[rejected.part.epoch]
        self._ordered[member.name, letter.ticket] = (rec, items, track)
        for item in items:
            self._world.truth.leave_lane(track, rec, item)

    def _item_of(self, rec: Rec, key: str) -> int:
        for item, known in rec.keys.items():
            if known == key:
                return item
        made = SimRules({}, repaired=True).mapper(TOPIC)(rec.record)
        for item, event in enumerate(made):
            if isinstance(event, Event) and event.key == key:
                return item
        message = f"I4 a dead letter of {rec} names the unknown key {key}"
        raise Violation(message)

    def learned(self, member: Member, ticket: int) -> None:
        """The member is told that a dead letter was acknowledged."""
        rec, items, track = self._ordered[member.name, ticket]
        if member.tracks.get(rec.partition) is track:
            for item in items:
                self._world.truth.learned(track, rec, item)
