"""Dead letters on their way: the brake in front of them, writes that failed, acknowledgements. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import count
from random import Random

from bridge.delivery.admission import Hold, Holds, Reason
from bridge.delivery.batch import Partition, Run, event_of, records_at
from bridge.delivery.dead_letter_headers import RESULTS, Rejected, dead_letter_headers
from bridge.delivery.finish import Brake, Finish
from bridge.delivery.journal import Journal, log_dead_letter, log_unwritten
from bridge.delivery.policy import Backoff
from bridge.flow import DeadLetter, Outcome, Record, TopicPartition

WRITE_BACKOFF = Backoff(base=1.0, cap=30.0)


class DeadLetters:
    """Everything rejected that has no outcome yet. Used by the delivery thread alone.

    A rejected record is finished only when its dead letter was acknowledged. `outbox` is what the Kafka thread is to
    write next.
    """

    def __init__(
        self, brake: Brake, holds: Holds, finish: Finish, journal: Journal, rng: Random, *, version: str
    ) -> None:
        self._brake = brake
        self._holds = holds
        self._finish = finish
        self._journal = journal
        self._rng = rng
        self._version = version
        self._tickets = count()
        self._out: dict[int, tuple[Rejected, int]] = {}
        self._pending: Counter[Partition] = Counter()
        """How many of `_out` are of each partition."""
        self._troubled: Counter[Partition] = Counter()
        """How many of each partition Kafka did not take so far: in `failed`, or in `_out` again."""
        self.failed: list[tuple[float, Rejected, int]] = []
        self._braked: list[Rejected] = []
        self.rules_hash = ""
        self.outbox: list[DeadLetter] = []

    def refuse(self, rejected: Rejected, now_ms: int) -> None:
        """One event or record is to be dead-lettered, unless the brake says that it is one too many."""
        part = rejected.part
        if not part.live:
            self._finish.counters.late_results += 1
            return
        if self._brake.refused(rejected.brake_key):
            self._braked.append(rejected)
            self._hold(rejected, now_ms)
            return
        self._write(rejected, 0)

    def _hold(self, rejected: Rejected, now_ms: int) -> None:
        detail = f"{rejected.brake_key}: too many refusals, the last: {rejected.code}: {rejected.message}"
        scope, offset = rejected.part.name, rejected.record.offset()
        self._holds.add(Hold(Reason.BRAKE, scope, now_ms, detail, offset, rejected.rule))

    def hold_braked(self, scope: TopicPartition, now_ms: int) -> None:
        """The record that a brake held was skipped: hold by the next one that it kept back there, if any."""
        following = next((each for each in self._braked if each.part.name == scope), None)
        if following is not None:
            self._hold(following, now_ms)

    def write(self, rejected: Rejected) -> None:
        """Dead-letter it whatever the brake says (an operator's skip, `stuck`, `dedupe_expired`)."""
        if rejected.part.live:
            self._write(rejected, 0)

    def _write(self, rejected: Rejected, failures: int) -> None:
        ticket = next(self._tickets)
        self._out[ticket] = (rejected, failures)
        self._pending[rejected.part] += 1
        headers = dead_letter_headers(rejected, version=self._version, rules_hash=self.rules_hash)
        self.outbox.append(DeadLetter(ticket, rejected.record, headers))

    def written(self, ticket: int, error: str | None, now: float, now_ms: int) -> None:
        """The delivery report of one dead letter."""
        ordered = self._out.pop(ticket, None)
        if ordered is None:
            return
        rejected, failures = ordered
        part = rejected.part
        _less(self._pending, part)
        if failures:
            _less(self._troubled, part)
        if error is not None:
            self._finish.counters.dead_letter_failures += 1
            if part.live:
                failures += 1
                log_unwritten(self._journal, rejected, failures, error)
                self.failed.append((now + WRITE_BACKOFF.delay(failures, self._rng), rejected, failures))
                self._troubled[part] += 1
                self._holds.add(Hold(Reason.DEAD_LETTER_TOPIC, part.name, now_ms, error, rejected.record.offset()))
            return
        self._count(rejected)
        log_dead_letter(self._journal, rejected)
        self._finish.finish(
            run_of(rejected), Outcome.DEAD_LETTERED, RESULTS[rejected.cause] if rejected.event is not None else ""
        )
        if part.live and part not in self._troubled and self._holds.lift(part.name, Reason.DEAD_LETTER_TOPIC):
            self._finish.wake(part)

    def _count(self, rejected: Rejected) -> None:
        """It is in the topic, whoever has the partition by now."""
        counters = self._finish.counters
        counters.topic(rejected.part.name[0]).dead_letters[rejected.cause] += 1
        for rule, name in rejected.ends:
            counters.events[rule, name, RESULTS[rejected.cause]] += 1

    def retry(self, now: float) -> None:
        """Write again what failed and is due."""
        due = [entry for entry in self.failed if entry[0] <= now]
        if due:
            self.failed = [entry for entry in self.failed if entry[0] > now]
            for _, rejected, failures in due:
                self._write(rejected, failures)

    def next_at(self) -> float | None:
        """When the next write is due to be tried again."""
        return min((entry[0] for entry in self.failed), default=None)

    def pending(self, part: Partition) -> bool:
        """Whether a dead letter of the partition is with the producer: a drain waits for it."""
        return part in self._pending

    def writing(self, part: Partition, record: Record) -> bool:
        """Whether a dead letter of the record is with the producer."""
        return any(rejected.part is part and rejected.record is record for rejected, _ in self._out.values())

    def on_their_way(self, part: Partition) -> set[int]:
        """Offsets of which a dead letter was ordered, acknowledged or not."""
        letters = [rejected for rejected, _ in self._out.values()] + [rejected for _, rejected, _ in self.failed]
        return {rejected.record.offset() for rejected in letters if rejected.part is part}

    def unfinished(self, part: Partition) -> set[int]:
        """Offsets of everything refused that has no outcome yet."""
        return self.on_their_way(part) | {each.record.offset() for each in self._braked if each.part is part}

    def take(self, part: Partition, record: Record) -> list[Rejected]:
        """What was kept back or could not be written for the record, handed over: an operator skips it."""
        failed = [entry[1] for entry in self.failed if entry[1].part is part and entry[1].record is record]
        braked = [each for each in self._braked if each.part is part and each.record is record]
        self.failed = [entry for entry in self.failed if entry[1].part is not part or entry[1].record is not record]
        self._braked = [each for each in self._braked if each.part is not part or each.record is not record]
        for _ in failed:
            _less(self._troubled, part)
        return [*braked, *failed]

    def loosen(self, scope: TopicPartition) -> None:
        """The brake was released there: what it kept back is written, and counting begins anew."""
        kept = [rejected for rejected in self._braked if rejected.part.name == scope]
        self._braked = [rejected for rejected in self._braked if rejected.part.name != scope]
        for rejected in kept:
            self._brake.reset(rejected.brake_key)
            if rejected.part.live:
                self._write(rejected, 0)

    def take_braked(self, scope: TopicPartition) -> list[Rejected]:
        """What the brake keeps back there, handed over to be decided anew (a reload)."""
        kept = [rejected for rejected in self._braked if rejected.part.name == scope]
        self._braked = [rejected for rejected in self._braked if rejected.part.name != scope]
        return kept

    def forget(self, part: Partition) -> None:
        """The partition is not ours any more; reports that still come are fenced."""
        for _ in range(len(self.failed) - len(kept := [entry for entry in self.failed if entry[1].part is not part])):
            _less(self._troubled, part)
        self.failed = kept
        self._braked = [rejected for rejected in self._braked if rejected.part is not part]


def _less(counted: Counter[Partition], part: Partition) -> None:
    """One less of a partition; what is at 0 is not kept."""
    counted[part] -= 1
    if not counted[part]:
        del counted[part]


def run_of(rejected: Rejected) -> Run:
    part, record, event = rejected.part, rejected.record, rejected.event
    return records_at(part, [record.offset()]) if event is None else event_of(part, record, event)
