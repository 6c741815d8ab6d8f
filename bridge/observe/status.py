"""The snapshot as JSON: what `/status` answers, and what the page and `suprsend-bridge status` show. Pure.

Also whether it is alive and ready. Alive is the poll heartbeat alone: a restart cures a Kafka thread that no longer polls,
and nothing else. Ready is: has joined the group (an empty assignment counts), reads every partition that is its own, Kafka
is without trouble, and nothing is held, since each hold needs a person, to repair its cause or to say what shall happen. A
plain outage of the API is no hold and keeps it ready, else a corrected version could not be rolled out; so does a pause,
which somebody wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from bridge.flow import TopicPartition
from bridge.observe.reading import lag_seconds
from bridge.observe.snapshot import HoldView, PartitionView, RuleView, Snapshot, TopicView

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Process:
    """What the snapshot does not know: facts of the process and of this moment. Times in seconds."""

    version: str
    now: float
    started_at: float
    poll_age: float | None
    log_level: str = "info"


def status(snapshot: Snapshot, process: Process, most: int | None = None) -> Json:
    """Everything that may be seen from outside, as JSON values; times are seconds since 1970.

    With `most` no more partitions than that: those that matter first, and how many others there are.
    """
    lacking, views = missing(snapshot), snapshot.partitions
    shown = views if most is None else nsmallest(most, views, key=_turn)
    state, mapping = snapshot.kafka.state, snapshot.mapping
    return {
        "version": process.version,
        "now": process.now,
        "started_at": process.started_at,
        "snapshot_at": snapshot.taken_at,
        "poll_age": process.poll_age,
        "alive": heartbeat_trouble(process.poll_age, process.now - process.started_at) is None,
        "ready": not lacking,
        "missing": lacking,
        "dry_run": snapshot.dry_run,
        "log_level": process.log_level,
        "kafka": {
            "group": snapshot.kafka.group,
            "joined": state.joined,
            "kind": state.kind,
            "trouble": state.trouble,
            "unbegun": [f"{topic}:{partition}" for topic, partition in state.unbegun],
        },
        "rules": {"hash": mapping.hash, "loaded_at": mapping.loaded_at, "error": mapping.error},
        "holds": [_hold(hold) for hold in snapshot.holds],
        "pauses": [pause._asdict() for pause in snapshot.pauses],
        "totals": _totals(snapshot, process.now),
        "topics": _topics(snapshot),
        "partitions": [_partition(view, process.now) for view in shown],
        "partitions_left_out": len(views) - len(shown),
        "per_rule": [_rule(rule) for rule in snapshot.rule_views()],
        "api": _api(snapshot),
        "waiting": [item._asdict() for item in snapshot.waiting],
        "errors": [error._asdict() for error in snapshot.errors],
    }


def _turn(view: PartitionView) -> tuple[bool, bool, bool, int, str, int]:
    """Those that cannot be read first, then what is paused or stands at a transaction, then what is furthest behind."""
    calm = view.paused is None and view.transaction is None
    return view.unreadable is None, calm, view.lag is not None, -(view.lag or 0), view.topic, view.partition


def _totals(snapshot: Snapshot, now: float) -> Json:
    finished = {outcome.value: count for outcome, count in snapshot.finished().items()}
    consumed, inflight = snapshot.consumed(), snapshot.inflight()
    views = snapshot.partitions
    lag = _lag(views) if snapshot.kafka.state.reads else None
    ages = [lag_seconds(view, now) for view in views]
    oldest = max((age for age in ages if age is not None), default=0.0)
    return {
        "consumed": consumed,
        "finished": finished,
        "inflight": inflight,
        "inflight_bytes": sum(topic.inflight_bytes for topic in snapshot.topics),
        "unaccounted": consumed - sum(finished.values()) - inflight,
        "lag": lag,
        "lag_seconds": oldest if oldest or (ages and None not in ages) else None,
        "partitions": len(views),
        "paused": sum(view.paused is not None for view in views),
    }


def _lag(views: Sequence[PartitionView]) -> int | None:
    """Records behind; None where there is no partition, or one's lag is unknown."""
    lags = [view.lag for view in views if view.lag is not None]
    return sum(lags) if lags and len(lags) == len(views) else None


def _topics(snapshot: Snapshot) -> list[Json]:
    views: dict[str, list[PartitionView]] = {}
    for view in snapshot.partitions:
        views.setdefault(view.topic, []).append(view)
    return [_topic(topic, views.get(topic.topic, []), snapshot) for topic in snapshot.topics]


def _topic(topic: TopicView, views: Sequence[PartitionView], snapshot: Snapshot) -> Json:
    counted = snapshot.counted(topic.topic)
    return {
        "topic": topic.topic,
        "consumed": counted.consumed,
        "finished": {outcome.value: count for outcome, count in counted.finished.items()},
        "inflight": topic.inflight,
        "lost": snapshot.consumer.lost_records[topic.topic],
        "dead_letters": dict(counted.dead_letters),
        "partitions": len(views),
        "lag": _lag(views),
        "paused": sum(view.paused is not None for view in views),
    }


def _partition(view: PartitionView, now: float) -> Json:
    return {
        "topic": view.topic,
        "partition": view.partition,
        "position": view.position,
        "watermark": view.watermark,
        "committed": view.committed,
        "end": view.end,
        "lag": view.lag,
        "lag_seconds": lag_seconds(view, now),
        "paused": view.paused,
        "unreadable": view.unreadable,
        "open_transaction": view.transaction._asdict() if view.transaction and view.transaction.message else None,
    }


def _rule(rule: RuleView) -> Json:
    results: dict[str, int] = {}
    for (_, result), count in rule.events.items():
        results[result] = results.get(result, 0) + count
    return {"rule": rule.name, "matches": rule.matches, "errors": sum(rule.errors.values()), "events": results}


def _api(snapshot: Snapshot) -> Json:
    return {
        "requests": dict(snapshot.delivery.requests),
        "inflight": snapshot.calls.inflight,
        "limit": snapshot.calls.limit,
        "circuit_open": snapshot.calls.circuit_open,
        "retries": dict(snapshot.delivery.retries),
    }


def _hold(hold: HoldView) -> Json:
    return {
        "reason": hold.reason,
        "scope": hold.scope,
        "since": hold.since,
        "lifted_by": hold.lifted_by,
        "heals": hold.heals,
        "detail": hold.detail,
        "topic": hold.topic,
        "partition": hold.partition,
        "offset": hold.offset,
        "rule": hold.rule,
        "token": hold.token,
        "wanted": hold.wanted,
    }


_NAMED = 5
POLL_LIMIT_SECONDS = 60.0
"""Older than this, the Kafka thread is taken for dead. It polls at least every quarter of a second."""


def missing(snapshot: Snapshot) -> list[str]:
    """What keeps the bridge from being ready, one line each; empty when it is ready."""
    lines = []
    state = snapshot.kafka.state
    if not state.joined:
        lines.append(f"not a member of the consumer group yet: {state.trouble or 'joining'}")
    elif state.trouble is not None:
        lines.append(f"Kafka ({state.kind or 'trouble'}): {state.trouble}")
    if state.unbegun:
        lines.append(f"{begins(state.unbegun)}: Kafka is asked where to begin")
    lines += [describe(hold) for hold in snapshot.holds if not hold.wanted]
    return lines


def begins(unbegun: Sequence[TopicPartition]) -> str:
    """For people: which partitions are not read yet."""
    named = ", ".join(f"{topic}[{number}]" for topic, number in unbegun[:_NAMED])
    more = f" and {len(unbegun) - _NAMED} more" if len(unbegun) > _NAMED else ""
    return f"{named}{more} not read yet"


def describe(hold: HoldView) -> str:
    """One line for people: what is held, why, and what lifts it."""
    detail = f": {hold.detail}" if hold.detail else ""
    return f"{hold.reason} holds {hold.scope}{detail}; lifted by {hold.lifted_by}"


def heartbeat_trouble(poll_age: float | None, up_seconds: float, limit: float = POLL_LIMIT_SECONDS) -> str | None:
    """None while the Kafka thread polls, else one line. Before its first poll the process's own age counts."""
    if poll_age is None:
        return None if up_seconds <= limit else f"the Kafka thread has not polled in {up_seconds:.0f} s since the start"
    return None if poll_age <= limit else f"the Kafka thread last polled {poll_age:.0f} s ago (limit {limit:.0f} s)"
