"""What the outside may see of a running bridge, taken at one moment by the delivery thread.

The delivery thread makes a `Snapshot` and publishes it by one assignment; the main thread renders it as metrics, as
`/status` and as a page. So every number of a scrape is of the same moment, and a scrape delays no call. Nothing here
holds a payload or a secret. Mappings must not be changed once the snapshot is published.

Times are seconds since 1970 unless a name says otherwise. Words that become metric labels (`reason`, `code`, `kind`,
…) are those that `bridge.observe.metrics` lists; an unlisted one is shown there as `other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bridge.flow import KafkaState, Outcome

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
"""Upper bounds in seconds: from a record's timestamp to the accepting answer, and from read to finished."""
CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of one HTTP attempt (its deadline is 30 s by default)."""
BATCH_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0)
"""Upper bounds of events in one call."""
DRAIN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of a drain on revoke or stop."""


class Histogram(NamedTuple):
    """Observations per bucket, not cumulative: `counts[i]` are those ≤ `bounds[i]`, the last those above all."""

    counts: tuple[int, ...]
    total: float

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> Histogram:
        """Nothing observed yet."""
        return cls((0,) * (len(bounds) + 1), 0.0)


NO_LATENCY = Histogram.empty(LATENCY_BUCKETS)
NO_CALLS = Histogram.empty(CALL_BUCKETS)
NO_BATCHES = Histogram.empty(BATCH_BUCKETS)
NO_DRAINS = Histogram.empty(DRAIN_BUCKETS)
NOT_JOINED = KafkaState(joined=False, kind=None, trouble=None)


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic of the settings, assigned or not. `consumed == sum(finished.values()) + inflight`, always."""

    topic: str
    consumed: int = 0
    finished: Mapping[Outcome, int] = field(default_factory=dict)
    """`released` records are counted as consumed again when they are read again."""
    inflight: int = 0
    inflight_bytes: int = 0
    finished_above_watermark: int = 0
    lost: int = 0
    """Records that retention deleted before they were read."""
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    """Acknowledged dead letters by class; one record may make several."""


class PartitionView(NamedTuple):
    """One assigned partition. Offsets are those of the next record: a watermark of 5 means 0–4 are finished."""

    topic: str
    partition: int
    epoch: int
    position: int
    watermark: int
    committed: int | None
    end: int | None
    """End of the log as last asked from the broker; None while it cannot be asked."""
    lag: int | None
    """Records between watermark and end that have no outcome; None when `end` is."""
    oldest_unfinished_ms: int | None
    """Timestamp of the oldest record without an outcome, in milliseconds; None when there is none or it is unknown."""
    paused: str | None
    """Why nothing is read from it (a hold's reason, `budget`, `span`, `metadata`), or None."""
    unreadable: str | None = None
    """Why nothing can be read of it: what to do, and the words of Kafka's client; None while it can."""


@dataclass(frozen=True, slots=True)
class RuleView:
    """What one rule did since the process started."""

    name: str
    topics: tuple[str, ...] = ()
    matches: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    """Mapping errors by `Fault.code`."""
    events: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (event name, result); each event that the rule can make is present from the start."""


@dataclass(frozen=True, slots=True)
class CallsView:
    """The API side: every HTTP attempt counts."""

    requests: Mapping[str, int] = field(default_factory=dict)
    """By status code as text, or by `Reply.error` where no status line arrived."""
    seconds: Histogram = NO_CALLS
    records: Histogram = NO_BATCHES
    body_bytes: int = 0
    inflight: int = 0
    limit: int = 0
    """How many calls may be in flight now (it adapts)."""
    circuit_open: bool = False
    retries: Mapping[str, int] = field(default_factory=dict)
    """Repeated attempts, by the verdict that caused them."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds that calls waited, by reason (`retry_after`, `backoff`, `breaker`, `budget`, `rate_limit`)."""
    unknown_answers: int = 0


@dataclass(frozen=True, slots=True)
class KafkaView:
    """The Kafka side."""

    state: KafkaState = NOT_JOINED
    group: str = ""
    commits: Mapping[str, int] = field(default_factory=dict)
    """By result: `ok`, or what the Kafka thread makes of a refusal."""
    rebalances: Mapping[str, int] = field(default_factory=dict)
    """By event: `assigned`, `revoked`, `lost`."""
    drains: Histogram = NO_DRAINS
    dead_letter_failures: int = 0
    commit_metadata_bytes: int = 0
    """The largest metadata of a partition's last commit; 4,096 would be refused."""
    commit_metadata_room: int = 0
    """What the brokers are known to take of it; 0 where they take none."""
    foreign_metadata: int = 0
    """Commits found with metadata that was written for another commit, topic or cluster."""


@dataclass(frozen=True, slots=True)
class RulesView:
    """Which rules are loaded, and what came of loading others."""

    hash: str = ""
    loaded_at: float = 0.0
    reloads: Mapping[str, int] = field(default_factory=dict)
    """By result: `ok`, `failed`."""
    error: str | None = None
    """Why the last reload was refused (the old rules go on), or None."""


@dataclass(frozen=True, slots=True)
class HoldView:
    """Something that stopped on purpose, and what makes it go on."""

    reason: str
    scope: str
    """For people: `everything`, `orders.v1:3`, `rule order-placed on orders.v1:3`."""
    since: float
    lifted_by: str
    """For people: a command to copy, or what it waits for."""
    heals: bool
    """Goes on by itself once the cause is mended; else it waits for a command or a reload."""
    detail: str = ""
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    rule: str | None = None
    token: str | None = None
    """What `accept-rewind` wants; consent to send exactly these offsets again, no credential."""
    wanted: bool = False
    """Somebody paused it: the process stays ready."""


class PauseView(NamedTuple):
    """One pause, of a topic or of a partition, wherever its partitions are."""

    target: str
    """As the commands take it: `orders.v1`, `orders.v1:3`."""
    since: float
    reason: str
    """Empty where another process, or an earlier one, was told."""
    here: tuple[str, ...]
    """The partitions that it stops in this process."""
    lifted_by: str
    """The whole command."""


class ErrorView(NamedTuple):
    """The newest error of its kind; `times` says how many there were."""

    at: float
    kind: str
    where: str
    message: str
    times: int


class WaitingView(NamedTuple):
    """Something unfinished, the oldest first: a `call`, `lane`, `drain`, `retry`, `dead_letter`, `commit`."""

    kind: str
    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. `topics` has each topic of the settings and `rules` each loaded rule, used or not."""

    taken_at: float
    topics: tuple[TopicView, ...] = ()
    partitions: tuple[PartitionView, ...] = ()
    rules: tuple[RuleView, ...] = ()
    calls: CallsView = CallsView()
    kafka: KafkaView = KafkaView()
    mapping: RulesView = RulesView()
    holds: tuple[HoldView, ...] = ()
    pauses: tuple[PauseView, ...] = ()
    """The pauses of the group, of which `holds` has the partitions of this process; oldest first."""
    errors: tuple[ErrorView, ...] = ()
    """At most 50, the newest first."""
    waiting: tuple[WaitingView, ...] = ()
    """At most 20."""
    delivery_latency: Histogram = NO_LATENCY
    """Seconds from a record's timestamp to the answer that accepted its last event."""
    processing: Histogram = NO_LATENCY
    """Seconds from read to finished, of every outcome."""
    order_breaks: int = 0
    dedupe_expired: int = 0
    stuck: int = 0
    dry_run: bool = False


class Source(Protocol):
    """Where the admin server and the metrics look. Both methods are called by the main thread and never wait."""

    def snapshot(self) -> Snapshot:
        """The newest published snapshot."""
        ...

    def poll_age(self) -> float | None:
        """Seconds since the Kafka thread last polled, by the monotonic clock; None before its first poll."""
        ...
