"""What a metric is, and how its samples are taken from a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from bridge.observe import labels
from bridge.observe.counted import Buckets, TopicCounters
from bridge.observe.labels import MetricLabel
from bridge.observe.snapshot import PartitionView, Snapshot, TopicView


class Scrape(NamedTuple):
    """What one scrape shows: one snapshot, and the few numbers that belong to the main thread."""

    now: float
    snapshot: Snapshot
    poll_age: float | None
    version: str
    python: str
    logs_left_out: Mapping[str, int] = {}
    stalls: int = 0


Kind = Literal["counter", "gauge", "histogram"]
Sample = tuple[tuple[str, ...], float | Buckets]
Read = Callable[[Scrape], Iterable[Sample]]


class Metric(NamedTuple):
    """One metric. `read` yields label values, in the order of `labels`, and the value."""

    name: str
    kind: Kind
    help: str
    labels: tuple[MetricLabel, ...]
    read: Read
    buckets: tuple[float, ...] = ()


def counter(name: str, text: str, labels: tuple[MetricLabel, ...], read: Read) -> Metric:
    """A count that only grows while the process lives."""
    return Metric(name, "counter", text, labels, read)


def gauge(name: str, text: str, labels: tuple[MetricLabel, ...], read: Read) -> Metric:
    """A value of the moment."""
    return Metric(name, "gauge", text, labels, read)


def histogram(name: str, text: str, read: Callable[[Snapshot], Buckets]) -> Metric:
    """Observations in buckets, without labels."""
    return Metric(name, "histogram", text, (), one(lambda scrape: read(scrape.snapshot)), read(Snapshot(0.0)).bounds)


def one(read: Callable[[Scrape], float | Buckets | None]) -> Read:
    """A metric without labels; None leaves it out."""

    def samples(scrape: Scrape) -> Iterator[Sample]:
        value = read(scrape)
        if value is not None:
            yield (), value

    return samples


def topics(read: Callable[[TopicView], float]) -> Read:
    """One sample per topic."""
    return lambda scrape: (((topic.topic,), read(topic)) for topic in scrape.snapshot.topics)


def topics_counted(read: Callable[[TopicCounters], float]) -> Read:
    """One sample per topic, of what delivery counted of it."""
    return lambda scrape: (((t.topic,), read(scrape.snapshot.counted(t.topic))) for t in scrape.snapshot.topics)


def topic_words(label: MetricLabel, read: Callable[[TopicCounters], Mapping[Any, int]]) -> Read:
    """One sample per topic and word of the label, of what delivery counted of it."""

    def samples(scrape: Scrape) -> Iterator[Sample]:
        for topic in scrape.snapshot.topics:
            for word, count in label.counts(read(scrape.snapshot.counted(topic.topic))):
                yield (topic.topic, word), count

    return samples


def partitions(read: Callable[[PartitionView, float], float | None]) -> Read:
    """One sample per assigned partition; None leaves it out."""

    def samples(scrape: Scrape) -> Iterator[Sample]:
        for view in scrape.snapshot.partitions:
            value = read(view, scrape.now)
            if value is not None:
                yield (view.topic, str(view.partition)), value

    return samples


def words(label: MetricLabel, read: Callable[[Snapshot], Mapping[str, float]]) -> Read:
    """One sample per word of the label."""
    return lambda scrape: (((word,), count) for word, count in label.counts(read(scrape.snapshot)))


def lag_seconds(view: PartitionView, now: float) -> float | None:
    """Age of the oldest record without an outcome: 0 without lag, None while unknown."""
    if view.lag is None:
        return None
    if view.lag == 0:
        return 0
    return None if view.oldest_unfinished_ms is None else max(0.0, now - view.oldest_unfinished_ms / 1000)


def rule_errors(scrape: Scrape) -> Iterator[Sample]:
    """Mapping errors of each rule by reason."""
    for rule in scrape.snapshot.rule_views():
        for reason, count in labels.MAPPING_ERROR.counts(rule.errors):
            yield (rule.name, reason), count


def events(scrape: Scrape) -> Iterator[Sample]:
    """Events of each rule by event and result."""
    for rule in scrape.snapshot.rule_views():
        results: dict[str, dict[str, float]] = {}
        for (event, result), count in rule.events.items():
            results.setdefault(event, {})[result] = count
        for event, counted in results.items():
            for result, total in labels.RESULT.counts(counted):
                yield (rule.name, event, result), total


def lost(scrape: Scrape) -> Iterator[Sample]:
    """Records of each topic that Kafka lost."""
    return (((topic.topic,), scrape.snapshot.consumer.lost_records[topic.topic]) for topic in scrape.snapshot.topics)


def holds(snapshot: Snapshot) -> dict[str, float]:
    """How many holds there are, by reason."""
    counted: dict[str, float] = {}
    for hold in snapshot.holds:
        counted[hold.reason] = counted.get(hold.reason, 0) + 1
    return counted


def rewound(scrape: Scrape) -> float:
    """Partitions held since somebody set the group back."""
    return sum(hold.reason == "rewind" for hold in scrape.snapshot.holds)


def pause_seconds(scrape: Scrape) -> Iterator[Sample]:
    """The age of each partition's pause."""
    for hold in scrape.snapshot.holds:
        if hold.wanted:
            yield (hold.topic or "", str(hold.partition)), max(0.0, scrape.now - hold.since)


def transaction_seconds(view: PartitionView, now: float) -> float | None:
    """For how long the position has stood at an open transaction, where people are told."""
    found = view.transaction
    return max(0.0, now - found.since) if found is not None and found.message else None


def trouble(snapshot: Snapshot) -> dict[str, float]:
    """What is wrong on the Kafka side now."""
    kind = snapshot.kafka.state.kind
    return {} if kind is None else {kind: 1}


def last_poll(scrape: Scrape) -> float:
    """When the Kafka thread last polled, 0 before its first poll."""
    return 0 if scrape.poll_age is None else scrape.now - scrape.poll_age
