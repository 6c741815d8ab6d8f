"""What is seen of delivery and of the Kafka thread, as one snapshot. Called by the delivery thread between two turns."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.delivery.batch import Flight
from bridge.delivery.core import Delivery
from bridge.delivery.counters import Buckets
from bridge.delivery.holds import KINDS, Hold, Reason
from bridge.delivery.partition import Partition
from bridge.delivery.pauses import Said, aim_text
from bridge.flow import RECORD_OVERHEAD, RuleInfo
from bridge.kafka.client.counters import Numbers, PartitionNumbers
from bridge.observe.snapshot import (
    CallsView,
    ErrorView,
    Histogram,
    HoldView,
    KafkaView,
    PartitionView,
    PauseView,
    RulesView,
    RuleView,
    Snapshot,
    TopicView,
    WaitingView,
)

MOST_WAITING = 20


@dataclass(slots=True)
class Sight:
    """What the process adds to a snapshot: the topics of the settings, the Kafka thread's numbers, rules, errors."""

    topics: tuple[str, ...]
    numbers: Numbers
    group: str
    mapping: RulesView = field(default_factory=RulesView)
    errors: tuple[ErrorView, ...] = ()
    dry_run: bool = False


def snapshot_of(delivery: Delivery, sight: Sight, now: float, now_ms: int) -> Snapshot:
    """Everything at this moment."""
    tally = delivery.tally
    numbers = sight.numbers
    return Snapshot(
        taken_at=now_ms / 1000,
        topics=tuple(
            _topic(delivery, topic, numbers.lost_records[topic])
            for topic in dict.fromkeys((*sight.topics, *tally.topics))
        ),
        partitions=tuple(
            _partition(delivery, part, numbers.partitions.get(part.name)) for part in delivery.parts.values()
        ),
        rules=tuple(_rule(delivery, rule) for rule in delivery.mapping.rules),
        calls=_calls(delivery),
        kafka=_kafka(delivery, numbers, sight.group),
        mapping=sight.mapping,
        holds=tuple(hold_view(hold) for hold in delivery.holds.all()),
        pauses=_pauses(delivery),
        errors=sight.errors,
        waiting=_waiting(delivery, now),
        delivery_latency=_histogram(tally.latency),
        processing=_histogram(tally.processing),
        order_breaks=tally.order_breaks,
        dedupe_expired=tally.dedupe_expired,
        stuck=tally.stuck,
        dry_run=sight.dry_run,
    )


def _topic(delivery: Delivery, topic: str, lost: int) -> TopicView:
    tally = delivery.tally.topic(topic)
    parts = [part for part in delivery.parts.values() if part.name[0] == topic]
    held = [record for part in parts for record in part.ledger.unfinished.values() if record is not None]
    return TopicView(
        topic=topic,
        consumed=tally.consumed,
        finished=dict(tally.finished),
        inflight=len(held),
        inflight_bytes=sum(map(len, held)) + RECORD_OVERHEAD * len(held),
        finished_above_watermark=sum(part.ledger.above() for part in parts),
        lost=lost,
        dead_letters=dict(tally.dead_letters),
    )


def _partition(delivery: Delivery, part: Partition, numbers: PartitionNumbers | None) -> PartitionView:
    ledger = part.ledger
    watermark, end = ledger.watermark, numbers.end if numbers is not None else None
    return PartitionView(
        topic=part.name[0],
        partition=part.name[1],
        epoch=part.epoch,
        position=ledger.next,
        watermark=watermark,
        committed=numbers.committed if numbers is not None else None,
        end=end,
        lag=max(0, end - watermark) if end is not None else None,
        oldest_unfinished_ms=ledger.oldest_ms(),
        paused=_paused(delivery, part, no_room=numbers is not None and numbers.no_room),
        unreadable=numbers.unreadable if numbers is not None else None,
    )


def _paused(delivery: Delivery, part: Partition, *, no_room: bool) -> str | None:
    held = delivery.holds.on(part.name)
    if held:
        return next(iter(held)).value
    if part.paused:
        return "span"
    return "budget" if no_room else None


def _rule(delivery: Delivery, rule: RuleInfo) -> RuleView:
    events = {(name, "accepted"): 0 for name in rule.events}
    for (of, name, result), count in delivery.tally.events.items():
        if of == rule.name:
            events[name, result] = count
    errors = {code: count for (of, code), count in delivery.tally.rule_errors.items() if of == rule.name}
    return RuleView(rule.name, rule.topics, sum(events.values()) + sum(errors.values()), errors, events)


def _calls(delivery: Delivery) -> CallsView:
    tally, calls, gate = delivery.tally, delivery.calls, delivery.gate
    return CallsView(
        requests=dict(tally.requests),
        seconds=_histogram(tally.call_seconds),
        records=_histogram(tally.call_records),
        body_bytes=tally.body_bytes,
        inflight=len(calls.in_flight),
        limit=gate.limit.value,
        circuit_open=gate.breaker.open,
        retries=dict(tally.retries),
        waited=dict(tally.waited),
        unknown_answers=tally.unknown_answers,
    )


REBALANCES = {"assign": "assigned", "revoke": "revoked", "lost": "lost"}


def _kafka(delivery: Delivery, numbers: Numbers, group: str) -> KafkaView:
    return KafkaView(
        state=delivery.kafka,
        group=group,
        commits=dict(numbers.commits),
        rebalances={REBALANCES.get(word, word): count for word, count in numbers.rebalances.items()},
        drains=_histogram(numbers.drain_buckets),
        dead_letter_failures=delivery.tally.dead_letter_failures,
        commit_metadata_bytes=numbers.metadata_bytes,
        commit_metadata_room=numbers.metadata_room,
        foreign_metadata=numbers.foreign_metadata,
    )


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
    """One for each pause: a topic's with all partitions that it stops, a partition's where its own word counts."""
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
        WaitingView("call", f"call {number}: {len(flight.items)} events", now - flight.started)
        for number, flight in calls.in_flight.items()
    ]
    resting = sorted((flight for _, _, flight in calls.resting), key=lambda flight: flight.opened)
    entries += [WaitingView("retry", _retried(flight), now - flight.opened) for flight in resting[:MOST_WAITING]]
    return tuple(sorted(entries, key=lambda entry: -entry.seconds)[:MOST_WAITING])


def _retried(flight: Flight) -> str:
    beside = f", {flight.healthy} of them while others were accepted" if flight.healthy else ""
    return f"{', '.join(flight.spans())}: {len(flight.items)} events, {flight.tries} attempts{beside}"


def _histogram(buckets: Buckets) -> Histogram:
    return Histogram(tuple(buckets.counts), buckets.total)
