"""What is seen of delivery and of the Kafka thread, as one snapshot. Called by the delivery thread between two turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.delivery.admission import KINDS, Hold, Reason
from bridge.delivery.batch import Batch, Partition
from bridge.delivery.core import Delivery
from bridge.delivery.pauses import Said, aim_text
from bridge.flow import RECORD_OVERHEAD
from bridge.kafka.client.counters import KafkaCounters, PartitionFacts
from bridge.observe.counted import copied
from bridge.observe.snapshot import (
    CallsView,
    ErrorView,
    HoldView,
    KafkaView,
    PartitionView,
    PauseView,
    RulesView,
    Snapshot,
    TopicView,
    WaitingView,
)

MOST_WAITING = 20


@dataclass(slots=True)
class ProcessFacts:
    """What the process adds to a snapshot: the topics of the settings, the Kafka thread's counters, rules, errors."""

    topics: tuple[str, ...]
    counters: KafkaCounters
    group: str
    mapping: RulesView = field(default_factory=RulesView)
    errors: tuple[ErrorView, ...] = ()
    dry_run: bool = False


def snapshot_of(delivery: Delivery, process: ProcessFacts, now: float, now_ms: int) -> Snapshot:
    """Everything at this moment."""
    counted, counters = copied(delivery.counters), copied(process.counters)
    calls, admission = delivery.calls, delivery.admission
    by_topic: dict[str, list[Partition]] = {topic: [] for topic in (*process.topics, *counted.topics)}
    for part in delivery.parts.values():
        by_topic[part.name[0]].append(part)
    return Snapshot(
        taken_at=now_ms / 1000,
        topics=tuple(_topic(topic, parts) for topic, parts in by_topic.items()),
        partitions=tuple(
            _partition(delivery, part, counters.partitions.get(part.name), now_ms / 1000 - now)
            for part in delivery.parts.values()
        ),
        rules=delivery.mapping.rules,
        delivery=counted,
        consumer=counters,
        calls=CallsView(len(calls.in_flight), admission.limit.value, admission.breaker.open),
        kafka=KafkaView(delivery.kafka, process.group),
        mapping=process.mapping,
        holds=tuple(hold_view(hold) for hold in delivery.holds.all()),
        pauses=_pauses(delivery),
        errors=process.errors,
        waiting=_waiting(delivery, now),
        dry_run=process.dry_run,
    )


def _topic(topic: str, parts: Sequence[Partition]) -> TopicView:
    held = [record for part in parts for record in part.ledger.unfinished.values() if record is not None]
    size = sum(map(len, held)) + RECORD_OVERHEAD * len(held)
    return TopicView(topic, len(held), size, sum(part.ledger.above() for part in parts))


def _partition(delivery: Delivery, part: Partition, known: PartitionFacts | None, began: float) -> PartitionView:
    """`began` is when the monotonic clock did, in seconds since 1970."""
    ledger = part.ledger
    # What is known of an assignment that is over says nothing of this one.
    facts = known if known is not None and known.epoch == part.epoch else None
    transaction = facts.transaction if facts is not None else None
    watermark, end = ledger.watermark, facts.end if facts is not None else None
    return PartitionView(
        topic=part.name[0],
        partition=part.name[1],
        epoch=part.epoch,
        position=ledger.next,
        watermark=watermark,
        committed=facts.committed if facts is not None else None,
        end=end,
        lag=max(0, end - watermark) if end is not None else None,
        oldest_unfinished_ms=ledger.oldest_ms(),
        paused=_paused(delivery, part, no_room=facts is not None and facts.no_room),
        unreadable=facts.unreadable if facts is not None else None,
        transaction=transaction and transaction._replace(since=round(transaction.since + began, 1)),
    )


def _paused(delivery: Delivery, part: Partition, *, no_room: bool) -> str | None:
    held = delivery.holds.on(part.name)
    if held:
        return next(iter(held)).value
    if part.paused:
        return "span"
    return "budget" if no_room else None


def hold_view(hold: Hold) -> HoldView:
    """A hold as people see it."""
    kind = KINDS[hold.reason]
    topic, partition = hold.scope if hold.scope is not None else (None, None)
    return HoldView(
        reason=hold.reason.value,
        scope=f"{topic}:{partition}" if topic is not None else "everything",
        since=hold.since / 1000,
        lifted_by=_lifted_by(hold),
        heals=kind.heals,
        detail=hold.detail,
        topic=topic,
        partition=partition,
        offset=hold.offset,
        rule=hold.rule,
        token=hold.token,
        wanted=kind.wanted,
    )


def _lifted_by(hold: Hold) -> str:
    if hold.reason is Reason.OPERATOR and hold.scope is not None:
        return _resume(hold.scope[0] if hold.whole else f"{hold.scope[0]}:{hold.scope[1]}")
    return KINDS[hold.reason].lifted_by.replace("TOKEN", hold.token or "TOKEN")


def _resume(target: str) -> str:
    return f'suprsend-bridge resume {target} --reason "…"'


def _pauses(delivery: Delivery) -> tuple[PauseView, ...]:
    """One for each pause: of a topic, with all partitions that it stops; of a partition that was paused by itself."""
    book = delivery.pauses
    here: dict[str, list[str]] = {}
    for hold in delivery.holds.all():
        if hold.reason is Reason.OPERATOR and hold.scope is not None:
            place = aim_text(hold.scope)
            here.setdefault(hold.scope[0] if hold.whole else place, []).append(place)
    targets: list[tuple[str, Said]] = [(topic, said) for topic, said in book.topics.items() if said.paused]
    targets += [(aim_text(name), said) for name, said in book.partitions.items() if book.paused(name) is said]
    return tuple(
        PauseView(target, said.since / 1000, said.reason, tuple(here.get(target, ())), _resume(target))
        for target, said in sorted(targets, key=lambda entry: (entry[1].since, entry[0]))
    )


def hold_news(delivery: Delivery) -> list[tuple[HoldView, bool]]:
    """The holds that began (true) or ended since the last call, in that order. The delivery thread's."""
    return [(hold_view(hold), began) for hold, began in delivery.holds.news()]


def _waiting(delivery: Delivery, now: float) -> tuple[WaitingView, ...]:
    """What is unfinished and for how long, oldest first: what a stall would be waiting for."""
    calls = delivery.calls
    entries = [
        WaitingView("call", f"call {number}: {batch.count} events", now - batch.started)
        for number, batch in calls.in_flight.items()
    ]
    resting = sorted((batch for _, _, batch in calls.resting), key=lambda batch: batch.opened)
    entries += [WaitingView("retry", _retried(batch), now - batch.opened) for batch in resting[:MOST_WAITING]]
    return tuple(sorted(entries, key=lambda entry: -entry.seconds)[:MOST_WAITING])


def _retried(batch: Batch) -> str:
    beside = f", {batch.healthy} of them while others were accepted" if batch.healthy else ""
    return f"{', '.join(batch.spans())}: {batch.count} events, {batch.tries} attempts{beside}"
