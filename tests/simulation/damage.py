"""Batches that nobody can read any more, and what a person does about them: with the bridge, or where none runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.delivery import operate
from bridge.offsets import go_past
from bridge.offsets.begin import Committed
from bridge.offsets.commits import decode
from tests.simulation.log import NEVER, TOPIC, Issued, Log

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World

KIND = "kafka: batch damaged"


class Damage:
    """The damaged stretch of each partition, from its first offset to its last: at most one that nobody has gone past.

    It stays as it is, whoever has gone past it.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def happens(self) -> None:
        """Some offsets from where the group stands on cannot be read any more, whoever reads them.

        In a case that is rich in it what waits already goes on to the end: behind it there is nothing to read on with.
        """
        world = self._world
        number = world.rng.below(len(world.kafka.logs))
        log, at = world.kafka.logs[number], world.truth.committed[number]
        if log.quiet or log.end <= at:
            return
        if log.damaged is not None and self._waits(number):
            if KIND in world.case.often and world.faults.take(KIND):
                log.damaged = (log.damaged[0], log.end - 1)
            return
        if not world.faults.take(KIND):
            return
        first = max(log.low, at) + world.rng.below(log.end - at)
        if first < log.end:
            log.damaged = (first, min(log.end - 1, first + world.rng.choice((0, 1, 5, 20))))

    def any(self) -> bool:
        """Whether something has to be gone past."""
        return any(map(self._waits, range(len(self._world.kafka.logs))))

    def _waits(self, number: int) -> bool:
        stretch = self._world.kafka.logs[number].damaged
        return stretch is not None and stretch[1] >= self._world.truth.committed[number]

    def go_past(self, member: Member) -> None:
        """A person has a running member go on behind what it cannot read."""
        for number, reading in member.readings.items():
            stretch = self._world.kafka.logs[number].damaged
            if stretch is None or not reading.unreadable or reading.position > stretch[1]:
                continue
            member.wake_at = 0.0
            try:
                operate.go_past(member.delivery, (TOPIC, number), reading.position, stretch[1] + 1)
            except operate.Declined:
                if self._world.faults.over:
                    self._put_aside(member, number)

    def _put_aside(self, member: Member, number: int) -> None:
        """What is before it has to end: alone in its process, a record that always fails is never given up by itself."""
        part = member.delivery.parts.get((TOPIC, number))
        first = next(iter(part.ledger.unfinished.items()), None) if part is not None else None
        if part is not None and first is not None and first[1] is not None and number in member.tracks:
            self._world.trouble.put_aside(member, part, first[0])

    def passed(self, number: int, first: int, to: int) -> None:
        """Offsets were gone past: their records are lost, and counted."""
        self._world.truth.gone_past(number, first, to)

    def go_past_offline(self) -> None:
        """No process runs, and a person rewrites the group's commits."""
        for number, log in enumerate(self._world.kafka.logs):
            if log.damaged is not None and log.committed is not None and log.issued is not None and not log.quiet:
                self._rewrite(number, log, log.issued)

    def _rewrite(self, number: int, log: Log, issued: Issued) -> None:
        truth, was, stretch = self._world.truth, log.committed, log.damaged
        assert was is not None
        assert stretch is not None
        note = decode(was.metadata, was.offset)
        if note is None or not note.fits or log.set_back or was.offset > stretch[1] or was.offset < log.low:
            return
        stand, to = go_past.Stand(was.offset, note), stretch[1] + 1
        if was.epoch >= 0 and stand.cut(log.end_of(was.epoch)):
            return
        for rec in truth.between(number, was.offset, stretch[0] - 1):
            if not rec.gone and not stand.finished(rec.offset):
                for item in range(len(rec.words)):
                    if rec.open >> item & 1:
                        rec.skipped = True
                        truth.dead_lettered(rec, item, "skipped_by_operator", truth.now_ms)
        metadata = go_past.passed(stand, to)
        self.passed(number, max(was.offset, stretch[0]), to)
        log.committed = Committed(to, metadata)
        log.issued = Issued(issued.commit._replace(offset=to, metadata=metadata), issued.track, issued.sequence)
        truth.commit(log.issued.commit, truth.now_ms, log.end, NEVER)
