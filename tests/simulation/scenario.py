"""What differs between runs beside the faults: settings, group protocol, partitions, how the records look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from bridge.delivery.brake import BrakeLimits
from bridge.delivery.pace import Backoff
from bridge.delivery.policy import OnDedupeExpired, Ordering, Policy

Protocol = Literal["eager", "cooperative", "consumer"]
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run's settings."""

    policy: Policy
    protocol: Protocol
    members: int
    partitions: int
    keys: int
    trouble: float
    """Probability that a call meets a fault."""
    words: tuple[str, ...]
    """What records say (`tests.delivery.words`), drawn with equal chance."""
    room: int


WORDS = ("e", "e", "e", "e", "e", "e", "e", "e e", "e e e", "", "s", "e s")
SPICE = ("ex", "ex", "d", "e ex", "e d e", "t3000", "t60000 e", "o e", "h", "eS")


STUCK = "eS"
PATIENT: dict[str, Any] = {"span": 10_000, "note_bytes": 3_000, "retry_share": 0.1, "retry_floor": 0.5}


def scenario(rng: Random) -> Scenario:
    """Draw a run's settings."""
    orderings: tuple[Ordering, ...] = ("key", "key", "key", "partition", "none")
    expired: tuple[OnDedupeExpired, ...] = ("dead_letter", "dead_letter", "dead_letter", "hold", "send")
    protocols: tuple[Protocol, ...] = ("eager", "cooperative", "cooperative", "consumer")
    policy = Policy(
        ordering=rng.choice(orderings),
        strict_order=rng.random() < 0.15,
        linger=rng.choice((0.0, 0.02, 0.1)),
        batch_events=rng.choice((1, 2, 4, 6, 6, 8)),
        batch_bytes=rng.choice((819_200, 819_200, 700)),
        initial_in_flight=rng.choice((2, 6, 12)),
        max_in_flight=12,
        progress_interval=0.1,
        progress_records=rng.choice((5, 5_000)),
        span=rng.choice((20, 60, 10_000)),
        backoff=Backoff(0.05, 2.0),
        retry_share=1.0,
        retry_floor=50.0,
        breaker_failures=rng.choice((10, 40)),
        probe_interval=rng.choice((1.0, 5.0)),
        on_dedupe_expired=rng.choice(expired),
        brake=BrakeLimits(row=rng.choice((4, 50))),
        stuck_attempts=5,
        stuck_seconds=20.0,
        unreadable_in_row=4,
        note_bytes=rng.choice((60, 3_000)),
    )
    spice = tuple(rng.choice(SPICE) for _ in range(rng.choice((0, 1, 3, 5))))
    if policy.ordering == "partition":
        # A record is `stuck` only while others succeed: where it blocks all others nobody can tell.
        spice = tuple(word for word in spice if word != STUCK)
    found = Scenario(
        policy=policy,
        protocol=rng.choice(protocols),
        members=rng.choice((3, 3, 4)),
        partitions=rng.choice((2, 4, 6)),
        keys=rng.choice((1, 3, 8, 8)),
        trouble=rng.choice((0.3, 0.6, 0.8, 0.9)),
        words=WORDS + spice,
        room=rng.choice((8_000, 60_000)),
    )
    if STUCK in spice:
        # Others have to get past a stuck record, or nobody can tell that it is one.
        return replace(found, keys=8, room=1_000_000, policy=replace(policy, **PATIENT))
    return found
