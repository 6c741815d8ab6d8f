"""Every number that delivery goes by, with its default. Pure; times in seconds unless the name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from random import Random
from typing import Literal

Ordering = Literal["key", "partition", "none"]

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter (Brooker, "Exponential Backoff and Jitter"): uniform between 0 and min(cap, base·2ⁿ)."""

    base: float = 0.5
    cap: float = 30.0

    def delay(self, attempt: int, rng: Random) -> float:
        """Seconds to wait after the given number of failed attempts (1 or more)."""
        doublings = min(attempt - 1, log2(self.cap / self.base)) if self.base else 0
        return rng.uniform(0.0, min(self.cap, self.base * 2**doublings))


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """`row` refusals in a row, or `ratio` of the last `window` records of a rule."""

    row: int = 50
    ratio: float = 0.2
    window: int = 1_000


@dataclass(frozen=True, slots=True)
class StormLimits:
    """More than `events` for one recipient and rule within `per_ms` are too many."""

    events: int
    per_ms: int
    action: Literal["dead_letter", "hold"] = "dead_letter"


OnDedupeExpired = Literal["dead_letter", "hold", "send"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings under `delivery`, as the pure core needs them."""

    ordering: Ordering = "key"
    strict_order: bool = False
    linger: float = 0.020
    batch_events: int = 100
    batch_bytes: int = 819_200
    initial_in_flight: int = 16
    max_in_flight: int = 64
    progress_interval: float = 0.1
    progress_records: int = 5_000
    span: int = 10_000
    rate_limit: float | None = None
    backoff: Backoff = field(default_factory=Backoff)
    retry_share: float = 0.1
    retry_floor: float = 1.0
    breaker_failures: int = 10
    probe_interval: float = 30.0
    dedupe_window_ms: int = 24 * HOUR_MS
    dedupe_margin_ms: int = HOUR_MS
    on_dedupe_expired: OnDedupeExpired = "dead_letter"
    brake: BrakeLimits = field(default_factory=BrakeLimits)
    storm: StormLimits | None = None
    stuck_attempts: int = 20
    stuck_seconds: float = 600.0
    unreadable_in_row: int = 10
    accepted_rewinds: frozenset[str] = frozenset()
    """Tokens of rewinds that a person has accepted in the settings."""
    metadata_bytes: int = 3_000
    """A partition whose commit metadata codes more than this (three quarters of what fits) reads no more for now."""

    @property
    def give_up_ms(self) -> int:
        """Milliseconds after a first attempt until which a repeat is surely recognised by SuprSend."""
        return self.dedupe_window_ms - self.dedupe_margin_ms
