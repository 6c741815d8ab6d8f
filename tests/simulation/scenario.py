"""What differs between runs beside the faults: settings, group protocol, partitions, how the records look.

Each run draws its own strengths of the faults, none among them (swarm testing): what hides behind the noise of one kind
shows in a run without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from bridge.delivery.policy import Backoff, BrakeLimits, OnDedupeExpired, Ordering, Policy, StormLimits
from bridge.offsets.begin import OnGap, StartFrom
from tests.simulation.records import STUCK

Protocol = Literal["eager", "cooperative", "consumer"]
Shadow = Literal["well", "slow", "refused"]
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Strength:
    """Probabilities: how often what may go wrong does."""

    call: float
    commit: float
    letter: float
    crash: float
    """At each point where a process may die."""
    read: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run's settings."""

    policy: Policy
    protocol: Protocol
    members: int
    partitions: int
    keys: int
    strength: Strength
    words: tuple[str, ...]
    """What records say (`tests.delivery.words`), drawn with equal chance."""
    room: int
    start_from: StartFrom
    on_gap: OnGap
    shadow: Shadow
    """How the group that keeps the delivered marks does."""
    note_limit: int
    """Bytes of metadata that the brokers take."""
    wrong_clocks: bool
    """Wall clocks jump by hours: what depends on the time may be wrong, the rest may not."""
    pauses: bool
    """People pause and resume."""
    unsafe_topic: bool
    """The topic is made anew or cut off now and then."""
    epochs: bool
    """The brokers tell leader epochs."""
    topic_ids: bool
    """The brokers tell the topic's id, and it stays the same: a part of the topic cannot be made anew here."""


WORDS = ("e", "e", "e", "e", "e", "e", "e", "e e", "e e e", "", "s", "e s")
RARE_WORDS = ("ex", "ex", "d", "e ex", "e d e", "t3000", "t60000 e", "o e", "h", STUCK)

PATIENT: dict[str, Any] = {"span": 10_000, "metadata_bytes": 3_000, "retry_share": 0.1, "retry_floor": 0.5}


def _policy(rng: Random) -> Policy:
    orderings: tuple[Ordering, ...] = ("key", "key", "key", "partition", "none")
    expired: tuple[OnDedupeExpired, ...] = ("dead_letter", "dead_letter", "dead_letter", "hold", "send")
    storm = StormLimits(rng.choice((6, 20)), rng.choice((500, 3_000)), rng.choice(("dead_letter", "hold")))
    return Policy(
        ordering=rng.choice(orderings),
        strict_order=rng.random() < 0.15,
        linger=rng.choice((0.0, 0.02, 0.3)),
        batch_events=rng.choice((1, 3, 6, 10, 16)),
        batch_bytes=rng.choice((819_200, 819_200, 700)),
        initial_in_flight=rng.choice((2, 6, 12)),
        max_in_flight=12,
        progress_interval=0.1,
        progress_records=rng.choice((5, 5_000)),
        span=rng.choice((20, 60, 10_000)),
        rate_limit=rng.choice((None, None, None, 200.0)),
        backoff=Backoff(0.05, 2.0),
        retry_share=1.0,
        retry_floor=50.0,
        breaker_failures=rng.choice((5, 10, 400)),
        probe_interval=rng.choice((1.0, 5.0)),
        on_dedupe_expired=rng.choice(expired),
        brake=BrakeLimits(row=rng.choice((2, 4, 50))),
        storm=storm if rng.random() < 0.1 else None,
        stuck_attempts=5,
        stuck_seconds=20.0,
        unreadable_in_row=4,
        metadata_bytes=rng.choice((60, 3_000)),
    )


def scenario(rng: Random, *, unsafe_topic: bool = False) -> Scenario:
    """Draw a run's settings; `unsafe_topic` is what a case that is rich in cuts needs."""
    policy = _policy(rng)
    protocols: tuple[Protocol, ...] = ("eager", "cooperative", "cooperative", "consumer")
    shadows: tuple[Shadow, ...] = ("well", "well", "slow", "refused")
    gaps: tuple[OnGap, ...] = ("hold", "hold", "continue")
    rare_words = tuple(rng.choice(RARE_WORDS) for _ in range(rng.choice((0, 1, 3, 5))))
    if policy.ordering == "partition" or policy.storm is not None:
        # A record is `stuck` only while others succeed: where it blocks all others nobody can tell.
        rare_words = tuple(word for word in rare_words if word != STUCK)
    found = Scenario(
        policy=policy,
        protocol=rng.choice(protocols),
        members=rng.choice((3, 3, 4)),
        partitions=rng.choice((2, 4, 6)),
        keys=rng.choice((1, 3, 8, 8)),
        strength=Strength(
            call=rng.choice((0.4, 0.8, 0.9, 0.95, 0.97)),
            commit=rng.choice((0.0, 0.1, 0.25, 0.5)),
            letter=rng.choice((0.0, 0.15, 0.4)),
            crash=rng.choice((0.0, 0.003, 0.01)),
            read=rng.choice((0.0, 0.02, 0.1)),
        ),
        words=WORDS + rare_words,
        room=rng.choice((8_000, 60_000)),
        start_from=rng.choice(("earliest", "latest")),
        on_gap=rng.choice(gaps),
        shadow=rng.choice(shadows),
        note_limit=rng.choice((4_096, 4_096, 4_096, 150, 64)),
        wrong_clocks=rng.random() < 0.15 and not any(word[0] == "t" for say in rare_words for word in say.split()),
        pauses=rng.random() < 0.4,
        unsafe_topic=rng.random() < 0.25 or unsafe_topic,
        epochs=rng.random() < 0.85,
        topic_ids=rng.random() < 0.5,
    )
    if found.note_limit == 64:
        # No note fits, and without notes a log that was cut and grew again is not noticed.
        found = replace(found, unsafe_topic=False)
    if STUCK in rare_words:
        # Others have to get past a stuck record, or nobody can tell that it is one.
        policy = replace(policy, **PATIENT, rate_limit=None)
        return replace(found, keys=8, room=1_000_000, note_limit=4_096, policy=policy)
    return found
