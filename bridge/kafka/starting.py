"""Asks Kafka what it knows of partitions that were just assigned, so that their starts can be resolved. Kafka thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bridge.delivery.start import (
    AGES,
    Committed,
    Group,
    Known,
    OnGap,
    Resolved,
    StartFrom,
    age_of,
    group_of,
    resolve,
)
from bridge.flow import TopicPartition as Name
from bridge.kafka.shadow import Shadow

_LATEST: Final = -1
_EARLIEST: Final = -2
_CALL_SECONDS: Final = 0.8
_ENOUGH_SECONDS: Final = 0.4
"""After so long no further question is asked in one go: the consumer has to be polled."""


class Earlier(NamedTuple):
    """What this process committed, by partition. `fresh`: it has committed not long ago, so that nothing expired."""

    offsets: Mapping[Name, int]
    fresh: bool


class Inquiry:
    """The questions about partitions that have no start yet, one after the other; answers are kept between calls."""

    def __init__(
        self,
        names: Sequence[Name],
        start_from: StartFrom,
        on_gap: OnGap,
        shadow: Shadow | None,
        earlier: Earlier | None = None,
    ) -> None:
        """Ask about `names`. `earlier` is what this process committed, whatever Kafka has of it now."""
        self._earlier = earlier or Earlier({}, fresh=False)
        self._committed = {topic for topic, _ in self._earlier.offsets}
        self.names = tuple(sorted(names))
        self._start_from = start_from
        self._on_gap = on_gap
        self._shadow = shadow
        self._marks: Mapping[Name, int] | None = {} if shadow is None else None
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._commits: dict[str, dict[int, Committed]] | None = None
        self._groups: dict[str, Group] = {}
        self._offsets: dict[int, dict[Name, int]] = {}
        self._ages: dict[int, dict[Name, int]] = {}

    def ask(self, consumer: Consumer) -> dict[Name, Resolved] | None:
        """Go on asking; the starts when all is known, None when there is more to ask. Blocks for a second at most.

        Raises KafkaException where Kafka does not answer or refuses: nothing is guessed, call again later.
        """
        enough = time.monotonic() + _ENOUGH_SECONDS
        if self._marks is None and self._shadow is not None:
            self._marks = self._shadow.ask(self.names)
            if time.monotonic() > enough:
                return None
        for question in self._questions():
            question(consumer)
            if time.monotonic() > enough:
                return None
        marks = self._marks or {}
        found = {name: self._resolve(name, marks.get(name)) for name in self.names}
        rewound = [name for name, resolved in found.items() if resolved.start.hold == "rewind"]
        for age in AGES:
            if rewound and age not in self._ages:
                at = time.time_ns() // 1_000_000 - age
                self._ages[age] = offsets_at(consumer, rewound, at, _CALL_SECONDS)
                if time.monotonic() > enough:
                    return None
        return found | {name: self._aged(name, found[name]) for name in rewound}

    def _aged(self, name: Name, resolved: Resolved) -> Resolved:
        at_age = {age: offsets[name] for age, offsets in self._ages.items() if name in offsets}
        return resolved._replace(start=replace(resolved.start, age=age_of(resolved.start.offset, at_age)))

    def _questions(self) -> Iterator[Callable[[Consumer], None]]:
        for topic in sorted({topic for topic, _ in self.names} - self._partitions.keys()):
            yield partial(self._ask_partitions, topic=topic)
        if self._commits is None:
            yield self._ask_commits
        for at in self._times():
            if at not in self._offsets:
                yield partial(self._ask_offsets, at=at)

    def _times(self) -> tuple[int, ...]:
        timed = isinstance(self._start_from, int) and not all(group.has_commits for group in self._groups.values())
        return (_EARLIEST, _LATEST, *([int(self._start_from)] if timed else []))

    def _ask_partitions(self, consumer: Consumer, topic: str) -> None:
        found = consumer.list_topics(topic, timeout=_CALL_SECONDS).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        self._partitions[topic] = tuple(found.partitions)

    def _ask_commits(self, consumer: Consumer) -> None:
        """Ask for the commits of all partitions of the topics, not only of the assigned ones."""
        asked = [TopicPartition(topic, each) for topic, numbers in self._partitions.items() for each in numbers]
        commits: dict[str, dict[int, Committed]] = {topic: {} for topic in self._partitions}
        for part in consumer.committed(asked, timeout=_CALL_SECONDS):
            if part.error is not None:
                raise KafkaException(part.error)
            if part.offset >= 0:
                commits[part.topic][part.partition] = Committed(part.offset, metadata_of(part))
        self._commits = commits
        self._groups = {topic: self._group(topic, of_topic) for topic, of_topic in commits.items()}

    def _before(self, name: Name) -> int | None:
        """What this process committed of a partition; where another had it and the topic lost all its commits, 0."""
        commits = (self._commits or {}).get(name[0])
        lost_all = self._earlier.fresh and name[0] in self._committed and not commits
        return self._earlier.offsets.get(name, 0 if lost_all else None)

    def _group(self, topic: str, commits: Mapping[int, Committed]) -> Group:
        """A topic that was deleted and made anew has lost its commits, but is no new one: `start_from` is not asked."""
        found = group_of(commits)
        return replace(found, has_commits=True) if topic in self._committed else found

    def _ask_offsets(self, consumer: Consumer, at: int) -> None:
        self._offsets[at] = offsets_at(consumer, self.names, at, _CALL_SECONDS)

    def _resolve(self, name: Name, mark: int | None) -> Resolved:
        assert self._commits is not None
        topic, partition = name
        at_time = (
            self._offsets.get(int(self._start_from), {}).get(name, -1) if isinstance(self._start_from, int) else -1
        )
        known = Known(
            name,
            self._commits[topic].get(partition),
            self._offsets[_EARLIEST][name],
            self._offsets[_LATEST][name],
            at_time if at_time >= 0 else None,
            mark,
            self._before(name),
            self._earlier.fresh,
        )
        return resolve(known, self._groups[topic], self._start_from, self._on_gap)


def metadata_of(part: TopicPartition) -> str | None:
    """The metadata of a commit as Kafka has it; None where it cannot be read, so it is nobody's note.

    confluent-kafka 2.16 reads on behind the end of metadata that another client committed without a closing NUL, up to
    bytes that are no text (seen with a Go client's groups); what we commit has one.
    """
    try:
        return part.metadata
    except UnicodeDecodeError:
        return None


def offsets_at(consumer: Consumer, names: Sequence[Name], at: int, seconds: float) -> dict[Name, int]:
    """The offsets at a time, or at the protocol's words for first and last; raises KafkaException.

    One request per leader; blocks no longer than `seconds`.
    """
    asked = [TopicPartition(topic, partition, at) for topic, partition in names]
    found: dict[Name, int] = {}
    for part in consumer.offsets_for_times(asked, timeout=seconds):
        if part.error is not None:
            raise KafkaException(part.error)
        found[part.topic, part.partition] = part.offset
    return found


def end_offsets(consumer: Consumer, names: Sequence[Name], seconds: float) -> dict[Name, int]:
    """The offsets behind the last committed records; raises KafkaException."""
    return offsets_at(consumer, names, _LATEST, seconds) if names else {}
