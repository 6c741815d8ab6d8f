"""What delivery counts: plain numbers, written by the delivery thread alone, read for a snapshot. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from bridge.flow import Outcome


class Buckets:
    """A histogram's counts (the last is for what is above all bounds) and the sum of what was observed."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


@dataclass(slots=True)
class TopicCounters:
    """Counts of one topic since the process started. Records in work are what was consumed and has not finished."""

    consumed: int = 0
    finished: Counter[Outcome] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    lost: int = 0


LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
CALL = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH = (1.0, 2.0, 5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0)


@dataclass(slots=True)
class DeliveryCounters:
    """Everything counted. Latencies are taken per call, from its first and its last record: not once per record."""

    topics: dict[str, TopicCounters] = field(default_factory=dict)
    events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (rule, event name, result): `accepted`, `refused`, `expired`, `storm`, `dead_lettered`."""
    rule_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (rule, code of the fault)."""
    requests: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    waited: dict[str, float] = field(default_factory=dict)
    body_bytes: int = 0
    order_breaks: int = 0
    unknown_answers: int = 0
    dedupe_expired: int = 0
    stuck: int = 0
    released: int = 0
    late_results: int = 0
    dead_letter_failures: int = 0
    latency: Buckets = field(default_factory=lambda: Buckets(LATENCY))
    processing: Buckets = field(default_factory=lambda: Buckets(LATENCY))
    call_seconds: Buckets = field(default_factory=lambda: Buckets(CALL))
    call_records: Buckets = field(default_factory=lambda: Buckets(BATCH))

    def topic(self, name: str) -> TopicCounters:
        """The counts of one topic, made when first asked for."""
        counters = self.topics.get(name)
        if counters is None:
            counters = self.topics[name] = TopicCounters()
        return counters

    def wait(self, reason: str, seconds: float) -> None:
        """Calls could not go out for so long, because of that."""
        self.waited[reason] = self.waited.get(reason, 0.0) + seconds
