"""How far the Kafka thread may read: pauses of partitions, records given back, and what is said of progress. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from bridge.delivery.finish import Finish
from bridge.delivery.holds import Holds
from bridge.delivery.partition import Partition
from bridge.delivery.policy import Policy
from bridge.flow import Budget, GiveBack, Order, Pause, Progress, Resume, Sought

ENOUGH = 2_000
"""So many unsent records keep every call busy, at least."""


class Reading:
    """Used by the delivery thread alone."""

    def __init__(self, policy: Policy, finish: Finish, holds: Holds, budget: Budget, now: float) -> None:
        self._policy = policy
        self._finish = finish
        self._holds = holds
        self._budget = budget
        self._progress_at = now

    def began_paused(self, part: Partition) -> None:
        """The Kafka thread began with the partition paused: it is told to go on where that is over by now."""
        part.paused = True
        self._finish.moved(part)

    def sought(self, part: Partition, item: Sought) -> None:
        """The reader went back."""
        if part.seek is not None and item.offset <= part.seek:
            part.seek = None
            part.ledger.sought(sure=item.sure)

    def let_in(self, part: Partition, last_success: float, now: float) -> None:
        """Read one batch more, though a record that keeps failing stopped the partition; once until something succeeds."""
        if part.let_in_at is None or last_success > part.let_in_at:
            part.let_in_at = now
            part.extra = max(0, part.ledger.span() - self._policy.span) + self._policy.batch_events
            self._finish.moved(part)

    def at_once(self, now: float) -> None:
        """What has moved is to be said now."""
        self._progress_at = now

    def next_at(self) -> float | None:
        """When something is to be said."""
        return self._progress_at if self._finish.dirty else None

    def orders(self, now: float) -> Iterator[Order]:
        """What is to be said of the partitions in which something moved, if it is time."""
        dirty, policy = self._finish.dirty, self._policy
        if not dirty or (now < self._progress_at and max(dirty.values()) < policy.progress_records):
            return
        self._progress_at = now + policy.progress_interval
        for part in dirty:
            progress = progress_of(part)
            said = (progress.watermark, progress.delivered, progress.finished)
            if said != part.said:
                part.said = said
                yield progress
            yield from self._pace(part, len(progress.finished))
        dirty.clear()

    def _pace(self, part: Partition, metadata_bytes: int) -> Iterator[Order]:
        """Stop reading a partition that is held, spans too much or whose metadata fills up; go on at half of that.

        What was given back, or left by an earlier owner, is read whatever the span: only that moves the watermark. So
        is what was let in beside a record that keeps failing.
        """
        policy = self._policy
        held = bool(self._holds.on(part.name))
        again = part.ledger.rereading
        span = part.ledger.span()
        if held or (not again and (span >= policy.span + part.extra or metadata_bytes > policy.metadata_bytes)):
            if not part.paused:
                part.paused = True
                yield Pause(*part.name, part.epoch)
            part.extra = 0
            if held and part.lanes.unsent:
                yield from self._give_back(part)
        elif part.paused and (
            again or part.extra or (span <= policy.span // 2 and metadata_bytes <= policy.metadata_bytes // 2)
        ):
            part.paused = False
            yield Resume(*part.name, part.epoch)

    def _give_back(self, part: Partition) -> Iterator[Order]:
        """A held partition keeps no unsent records behind the one that holds it: they are read again afterwards.

        Those in front of it stay: read again they would come behind it.
        """
        given = part.lanes.give_back({hold.offset for hold in self._holds.on(part.name).values()})
        if not given:
            return
        part.ledger.give_back([record.offset() for record in given], given[0].timestamp()[1])
        self._finish.release(part, given)
        part.seek = part.ledger.given
        if part.seek is not None:
            yield GiveBack(*part.name, part.epoch, part.seek)

    def open_or_shut(self, parts: Collection[Partition], busy: int) -> None:
        """Enough unsent records to keep `busy` of them in calls are enough: the rest stays in Kafka."""
        unsent = sum([len(part.lanes.unsent) for part in parts if part.lanes.unsent])
        enough = max(ENOUGH, busy)
        if unsent >= enough // 2:
            unsent -= _beyond_share(parts, enough // 2)
        self._budget.open = unsent < (enough if self._budget.open else enough // 2)


def _beyond_share(parts: Collection[Partition], enough: int) -> int:
    """Records that wait for their partition's one lane, of those a topic has more of than its share of `enough`.

    They keep no call busy, and may wait for long: where there are several topics they stop nobody else.
    """
    topics = {part.name[0] for part in parts}
    if len(topics) < 2:
        return 0
    blocked: Counter[str] = Counter()
    for part in parts:
        blocked[part.name[0]] += part.lanes.blocked(part.send_limit)
    return sum(max(0, count - enough // len(topics)) for count in blocked.values())


def progress_of(part: Partition) -> Progress:
    """What may be committed of a partition."""
    ledger = part.ledger
    runs = ledger.runs()
    return Progress(*part.name, part.epoch, ledger.watermark, ledger.top if runs else -1, runs)
