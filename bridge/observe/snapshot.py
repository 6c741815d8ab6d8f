"""What the outside may see of a running bridge, taken at one moment by the delivery thread.

The delivery thread makes a `Snapshot` and publishes it by one assignment; the main thread renders it as metrics, as
`/status` and as a page. So every number of a scrape is of the same moment, and a scrape delays no call. Nothing here
holds a payload or a secret. Mappings must not be changed once the snapshot is published.

What is counted is here as the rooms count it (`bridge.observe.counted`), copied whole; the views hold what is true at the
moment alone.

Times are seconds since 1970 unless a name says otherwise. Words that become metric labels (`reason`, `code`, `kind`,
…) are those that `bridge.observe.metrics` lists; an unlisted one is shown there as `other`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bridge.flow import KafkaState, Outcome, RuleInfo
from bridge.observe.counted import DeliveryCounters, KafkaCounters, OpenTransaction, TopicCounters

NOT_JOINED = KafkaState(joined=False, kind=None, trouble=None)


class TopicView(NamedTuple):
    """A topic's records without an outcome, and those finished above the watermark. Each topic of the settings has one."""

    topic: str
    inflight: int = 0
    inflight_bytes: int = 0
    finished_above_watermark: int = 0


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
    """Offsets between watermark and end; None when `end` is."""
    oldest_unfinished_ms: int | None
    """Timestamp of the oldest record without an outcome, in milliseconds; None when there is none or it is unknown."""
    paused: str | None
    """Why nothing is read from it (a hold's reason, `budget`, `span`), or None."""
    unreadable: str | None = None
    """Why nothing can be read of it: what to do, and the words of Kafka's client; None while it can."""
    transaction: OpenTransaction | None = None
    """The open transaction at which its position stands."""


class RuleView(NamedTuple):
    """What one rule did since the process started."""

    name: str
    matches: int
    errors: Mapping[str, int]
    """Mapping errors by `Fault.code`."""
    events: Mapping[tuple[str, str], int]
    """By (event name, result); each event that the rule can make is present from the start."""


@dataclass(frozen=True, slots=True)
class CallsView:
    """The API side."""

    inflight: int = 0
    limit: int = 0
    """How many calls may be in flight now (it adapts)."""
    circuit_open: bool = False


@dataclass(frozen=True, slots=True)
class KafkaView:
    """The Kafka side."""

    state: KafkaState = NOT_JOINED
    group: str = ""


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
    """Goes on by itself once the cause is gone; else it waits for a command or a reload."""
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
    """Something unfinished, the oldest first: a `call`, or a `retry`."""

    kind: str
    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. For each topic: consumed = finished + in work, always."""

    taken_at: float
    topics: tuple[TopicView, ...] = ()
    """Each topic of the settings, assigned or not."""
    partitions: tuple[PartitionView, ...] = ()
    rules: tuple[RuleInfo, ...] = ()
    """Each loaded rule, used or not."""
    delivery: DeliveryCounters = field(default_factory=DeliveryCounters)
    """What delivery counted since the process started."""
    consumer: KafkaCounters = field(default_factory=KafkaCounters)
    """What the Kafka thread counted since then."""
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
    dry_run: bool = False

    def counted(self, topic: str) -> TopicCounters:
        """What delivery counted of a topic."""
        return self.delivery.topics.get(topic) or TopicCounters()

    def consumed(self) -> int:
        """Records read so far, of all topics."""
        return sum(counted.consumed for counted in self.delivery.topics.values())

    def finished(self) -> dict[Outcome, int]:
        """Records with an outcome, of all topics."""
        total: Counter[Outcome] = Counter()
        for counted in self.delivery.topics.values():
            total.update(counted.finished)
        return total

    def inflight(self) -> int:
        """Records without an outcome, of all topics."""
        return sum(topic.inflight for topic in self.topics)

    def rule_views(self) -> list[RuleView]:
        """What each loaded rule did."""
        events: dict[str, dict[tuple[str, str], int]] = {}
        for (rule, name, result), count in self.delivery.events.items():
            events.setdefault(rule, {})[name, result] = count
        errors: dict[str, dict[str, int]] = {}
        for (rule, code), count in self.delivery.rule_errors.items():
            errors.setdefault(rule, {})[code] = count
        return [
            RuleView(
                rule.name,
                self.delivery.rule_matches[rule.name],
                errors.get(rule.name, {}),
                {**{(name, "accepted"): 0 for name in rule.events}, **events.get(rule.name, {})},
            )
            for rule in self.rules
        ]


class SnapshotSource(Protocol):
    """Where the admin server and the metrics look. Both methods are called by the main thread and never wait."""

    def snapshot(self) -> Snapshot:
        """The newest published snapshot."""
        ...

    def poll_age(self) -> float | None:
        """Seconds since the Kafka thread last polled, by the monotonic clock; None before its first poll."""
        ...
