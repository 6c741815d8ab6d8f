"""Is it alive, is it ready: pure decisions over what was seen.

Alive is the poll heartbeat alone: a restart cures a Kafka thread that no longer polls, and nothing else. Ready is: has
joined the group (an empty assignment counts), reads every partition that is its own, Kafka is without trouble, and
nothing is held, since each hold needs a person, to mend its cause or to say what shall happen. A plain outage of the API
is no hold and keeps it ready, else a mended version could not be rolled out; so does a pause, which somebody wants.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.flow import TopicPartition
from bridge.observe.snapshot import HoldView, Snapshot

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
