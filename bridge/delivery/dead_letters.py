"""Dead letters on their way: the brake in front of them, writes that failed, acknowledgements. Pure."""

from __future__ import annotations

from random import Random

from bridge.delivery.brake import Brake
from bridge.delivery.dead_letter_headers import Refusal, dead_letter_headers
from bridge.delivery.finish import Settler
from bridge.delivery.holds import Hold, Holds, Reason
from bridge.delivery.log_lines import tell_dead_letter, tell_unwritten
from bridge.delivery.partition import Partition
from bridge.delivery.rate_control import Backoff
from bridge.flow import DeadLetter, Outcome, Record, TopicPartition

WRITE_BACKOFF = Backoff(base=1.0, cap=30.0)


class Refusals:
    """Everything refused that has no outcome yet. Used by the delivery thread alone.

    A refused record is finished only when its dead letter was acknowledged. `outbox` is what the Kafka thread is to
    write next.
    """

    def __init__(self, brake: Brake, holds: Holds, settler: Settler, rng: Random, *, version: str) -> None:
        self._brake = brake
        self._holds = holds
        self._settler = settler
        self._rng = rng
        self._version = version
        self._tickets = 0
        self._out: dict[int, tuple[Refusal, int]] = {}
        self._failed: list[tuple[float, Refusal, int]] = []
        self._braked: list[Refusal] = []
        self.rules_hash = ""
        self.outbox: list[DeadLetter] = []

    def refuse(self, refusal: Refusal, now_ms: int) -> None:
        """One event or record is to be dead-lettered, unless the brake says that it is one too many."""
        part = refusal.part
        if not part.live:
            self._settler.tally.late_results += 1
            return
        if self._brake.refused(refusal.brake_key):
            self._braked.append(refusal)
            self._hold(refusal, now_ms)
            return
        self._write(refusal, 0)

    def _hold(self, refusal: Refusal, now_ms: int) -> None:
        detail = f"{refusal.brake_key}: too many refusals, the last: {refusal.code}: {refusal.message}"
        scope, offset = refusal.part.name, refusal.record.offset()
        self._holds.add(Hold(Reason.BRAKE, scope, now_ms, detail, offset, refusal.rule))

    def hold_braked(self, scope: TopicPartition, now_ms: int) -> None:
        """The record that a brake held was skipped: hold by the next one that it kept back there, if any."""
        following = next((each for each in self._braked if each.part.name == scope), None)
        if following is not None:
            self._hold(following, now_ms)

    def write(self, refusal: Refusal) -> None:
        """Dead-letter it whatever the brake says (an operator's skip, `stuck`, `dedupe_expired`)."""
        if refusal.part.live:
            self._write(refusal, 0)

    def _write(self, refusal: Refusal, failures: int) -> None:
        self._tickets += 1
        self._out[self._tickets] = (refusal, failures)
        headers = dead_letter_headers(refusal, version=self._version, rules_hash=self.rules_hash)
        self.outbox.append(DeadLetter(self._tickets, refusal.record, headers))

    def written(self, ticket: int, error: str | None, now: float, now_ms: int) -> None:
        """The delivery report of one dead letter."""
        refusal, failures = self._out.pop(ticket, (None, 0))
        if refusal is None:
            return
        part = refusal.part
        if error is not None:
            self._settler.tally.dead_letter_failures += 1
            if part.live:
                failures += 1
                tell_unwritten(self._settler.journal, refusal, failures, error)
                self._failed.append((now + WRITE_BACKOFF.delay(failures, self._rng), refusal, failures))
                self._holds.add(Hold(Reason.DEAD_LETTER_TOPIC, part.name, now_ms, error, refusal.record.offset()))
            return
        if part.live:
            self._settler.tally.topic(part.name[0]).dead_letters[refusal.cause] += 1
        tell_dead_letter(self._settler.journal, refusal)
        if refusal.event is not None:
            self._settler.tally.events[refusal.event.rule, refusal.event.name, "dead_lettered"] += 1
        self._settler.part_of_record(part, refusal.record, Outcome.DEAD_LETTERED)
        if part.live and not self._failing(part) and self._holds.lift(part.name, Reason.DEAD_LETTER_TOPIC):
            self._settler.woken.append(part)

    def _failing(self, part: Partition) -> bool:
        retried = any(refusal.part is part and failures for refusal, failures in self._out.values())
        return retried or any(refusal.part is part for _, refusal, _ in self._failed)

    def retry(self, now: float) -> None:
        """Write again what failed and is due."""
        due = [entry for entry in self._failed if entry[0] <= now]
        if due:
            self._failed = [entry for entry in self._failed if entry[0] > now]
            for _, refusal, failures in due:
                self._write(refusal, failures)

    def next_at(self) -> float | None:
        """When the next write is due to be tried again."""
        return min((entry[0] for entry in self._failed), default=None)

    def pending(self, part: Partition) -> bool:
        """Whether a dead letter of the partition is with the producer: a drain waits for it."""
        return any(refusal.part is part for refusal, _ in self._out.values())

    def writing(self, part: Partition, record: Record) -> bool:
        """Whether a dead letter of the record is with the producer."""
        return any(refusal.part is part and refusal.record is record for refusal, _ in self._out.values())

    def on_their_way(self, part: Partition) -> set[int]:
        """Offsets of which a dead letter was ordered, acknowledged or not."""
        letters = [refusal for refusal, _ in self._out.values()] + [refusal for _, refusal, _ in self._failed]
        return {refusal.record.offset() for refusal in letters if refusal.part is part}

    def unfinished(self, part: Partition) -> set[int]:
        """Offsets of everything refused that has no outcome yet."""
        return self.on_their_way(part) | {each.record.offset() for each in self._braked if each.part is part}

    def take(self, part: Partition, record: Record) -> list[Refusal]:
        """What was kept back or could not be written for the record, handed over: an operator skips it."""
        waiting = [*self._braked, *(entry[1] for entry in self._failed)]
        self._failed = [entry for entry in self._failed if entry[1].part is not part or entry[1].record is not record]
        self._braked = [each for each in self._braked if each.part is not part or each.record is not record]
        return [each for each in waiting if each.part is part and each.record is record]

    def loosen(self, scope: TopicPartition) -> None:
        """The brake was released there: what it kept back is written, and counting begins anew."""
        kept = [refusal for refusal in self._braked if refusal.part.name == scope]
        self._braked = [refusal for refusal in self._braked if refusal.part.name != scope]
        for refusal in kept:
            self._brake.reset(refusal.brake_key)
            if refusal.part.live:
                self._write(refusal, 0)

    def take_braked(self, scope: TopicPartition) -> list[Refusal]:
        """What the brake keeps back there, handed over to be decided anew (a reload)."""
        kept = [refusal for refusal in self._braked if refusal.part.name == scope]
        self._braked = [refusal for refusal in self._braked if refusal.part.name != scope]
        return kept

    def forget(self, part: Partition) -> None:
        """The partition is not ours any more; reports that still come are fenced."""
        self._failed = [entry for entry in self._failed if entry[1].part is not part]
        self._braked = [refusal for refusal in self._braked if refusal.part is not part]
