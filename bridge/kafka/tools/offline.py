"""What Kafka itself knows of the group, and what is said to it, where no process can be asked. For commands.

Joins no group: a bridge that runs all the same is not disturbed, and follows what is said of pauses. Commits of the group
itself are rewritten only while it has no members: the brokers refuse one from outside then (measured in both protocols).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.delivery.pauses import Aim, Book, aim_text, covers
from bridge.flow import TopicPartition as Name
from bridge.kafka.client.log_identity import EpochEnds
from bridge.kafka.client.pauses import PauseGroup, PausesRefusedError
from bridge.kafka.client.resolve_start import end_offsets, metadata_of
from bridge.kafka.config import Conf, admin_conf, connection_conf
from bridge.kafka.errors import plain
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.inspect import InspectError, clearest
from bridge.kafka.tools.preflight import SILENT
from bridge.settings.kafka import Kafka

__all__ = ["GroupCommit", "GroupOverview", "IdleGroup", "PartitionOverview", "epoch_end", "idle", "look", "say"]

_IDLE_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 15.0
_HAS_MEMBERS: Final = frozenset(
    {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.STALE_MEMBER_EPOCH}
    | {KafkaError.REBALANCE_IN_PROGRESS, KafkaError.FENCED_MEMBER_EPOCH}
)


_SECONDS: Final = 5.0
_TIMES: Final = 5
_SETTLE_SECONDS: Final = 0.2


class PartitionOverview(NamedTuple):
    """One partition as Kafka has it. `committed` is None where the group has no commit, `end` is behind its last record."""

    topic: str
    partition: int
    committed: int | None
    end: int
    paused: bool


class GroupOverview(NamedTuple):
    """What Kafka knows. `letters` are those behind the last replay; what is None is unknown, and `why` says why."""

    group: str
    partitions: tuple[PartitionOverview, ...]
    book: Book | None
    letters: int | None
    why: tuple[str, ...]


def look(settings: Kafka) -> GroupOverview:
    """Ask for everything. Raises InspectError where Kafka does not tell the least, ConfigError and SecretError."""
    why: list[str] = []
    with _group(settings) as (group, told):
        numbers = _partitions(group, settings.topics)
        names = [(topic, each) for topic in settings.topics for each in numbers[topic]]
        why += [
            f"the topic {topic} does not exist, or may not be seen" for topic in settings.topics if not numbers[topic]
        ]
        try:
            book: Book | None = Book().with_pages(group.read(names, _SECONDS))
        except PausesRefusedError:
            book = None
            why.append(f"the pauses are unknown: {_refused(group)}")
        commits, ends = _offsets(settings, names, told)
    try:
        with opened(settings) as box:
            done = box.progress()
            letters: int | None = sum(high - max(low, done.get(part, low)) for part, (low, high) in box.spans.items())
    except (InspectError, KafkaException) as error:
        letters = None
        why.append(f"dead letters are unknown: {error}")
    return GroupOverview(
        settings.group_id,
        tuple(
            PartitionOverview(*name, commits.get(name), ends[name], book is not None and book.paused(name) is not None)
            for name in names
        ),
        book,
        letters,
        tuple(why),
    )


def say(settings: Kafka, aims: Sequence[Aim], now_ms: int, *, paused: bool) -> tuple[Name, ...]:
    """Pause or resume; returns the partitions that it changed once Kafka has acknowledged it.

    Raises InspectError with what is wrong, ConfigError and SecretError.
    """
    with _group(settings) as (group, _):
        numbers = _partitions(group, {aim[0] for aim in aims})
        for aim in aims:
            if not numbers[aim[0]] or aim[1] not in (None, *numbers[aim[0]]):
                raise InspectError(f"there is no {aim_text(aim)}; {aim[0]} has {len(numbers[aim[0]])} partitions")
        of_topics = [(topic, each) for topic, found in numbers.items() for each in found]
        names = [name for name in of_topics if any(covers(aim, name) for aim in aims)]
        try:
            before = Book().with_pages(group.read(of_topics, _SECONDS))
            after = before.saying(aims, now_ms, "", paused=paused)
            changed = tuple(name for name in names if (before.paused(name) is None) is paused)
            if changed or paused:
                _write(group, after, names)
        except PausesRefusedError:
            raise InspectError(_refused(group)) from None
        return changed


def _write(group: PauseGroup, book: Book, names: Sequence[Name]) -> None:
    """Write, look, and write again if needed: a process that keeps the pauses from expiring may write what it read before."""
    pages = {name: book.page(name) for name in names}
    for _ in range(_TIMES):
        group.write(pages, _SECONDS)
        time.sleep(_SETTLE_SECONDS)
        if not book.lacking(group.read(names, _SECONDS)):
            return


def _partitions(group: PauseGroup, topics: Sequence[str] | set[str]) -> dict[str, tuple[int, ...]]:
    return group.partitions(topics, _SECONDS)


def _refused(group: PauseGroup) -> str:
    return f"Kafka refuses the group {group.name}: give the user of the settings Read and Describe on it"


def _offsets(settings: Kafka, names: Sequence[Name], told: list[KafkaError]) -> tuple[dict[Name, int], dict[Name, int]]:
    """What the group has committed, and where the partitions end."""
    with closing(
        Consumer({**_conf(settings, told), "group.id": settings.group_id, "enable.auto.commit": False})
    ) as own:
        found = own.committed([TopicPartition(*name) for name in names], timeout=_SECONDS) if names else []
        for part in found:
            if part.error is not None:
                raise KafkaException(part.error)
        commits = {(part.topic, part.partition): part.offset for part in found if part.offset >= 0}
        return commits, end_offsets(own, names, _SECONDS)


@contextmanager
def _group(settings: Kafka) -> Iterator[tuple[PauseGroup, list[KafkaError]]]:
    """The group of the pauses; Kafka's errors come out as InspectError."""
    told: list[KafkaError] = []
    group = PauseGroup(lambda: _conf(settings, told), settings.group_id)
    try:
        yield group, told
    except KafkaException as error:
        raise InspectError(clearest([*told, error.args[0]])) from None
    finally:
        group.close(1.0)


def _conf(settings: Kafka, told: list[KafkaError]) -> Conf:
    return {**admin_conf(settings), "error_cb": told.append, "logger": SILENT}  # type: ignore[dict-item]


class GroupCommit(NamedTuple):
    """A commit. `epoch` is that of the leader which had the record before it, -1 where it is not known."""

    offset: int
    metadata: str
    epoch: int = -1


class IdleGroup:
    """Made by `idle`. Everything raises InspectError with one clear line where Kafka does not do it."""

    def __init__(self, consumer: Consumer, group: str) -> None:
        self._consumer = consumer
        self._group = group

    def committed(self, topic: str, partition: int) -> GroupCommit:
        """The group's commit; at -1 where there is none."""
        (part,) = self._consumer.committed([TopicPartition(topic, partition)], timeout=_IDLE_SECONDS)
        if part.error is not None:
            raise KafkaException(part.error)
        epoch = cast("int | None", part.leader_epoch)
        return GroupCommit(max(part.offset, -1), metadata_of(part) or "", -1 if epoch is None else epoch)

    def commit(self, topic: str, partition: int, stood: GroupCommit) -> None:
        """Commit for the group, which has to have no members."""
        asked = [TopicPartition(topic, partition, stood.offset, stood.metadata, stood.epoch)]
        try:
            (part,) = self._consumer.commit(offsets=asked, asynchronous=False) or asked
        except KafkaException as error:
            raise self._refused(error.args[0]) from None
        if part.error is not None:
            raise self._refused(part.error)

    def _refused(self, error: KafkaError) -> InspectError:
        if error.code() in _HAS_MEMBERS:
            return InspectError(
                f"the group {self._group} has members: stop every bridge of it first (a member that was killed counts "
                "until its session ends), or let the running one do it, without --offline"
            )
        return InspectError(f"the commit was refused: {plain(error)}")


@contextmanager
def idle(settings: Kafka) -> Iterator[IdleGroup]:
    """The group of the settings. Raises InspectError, ConfigError and SecretError."""
    told: list[KafkaError] = []
    own = {"group.id": settings.group_id, "enable.auto.commit": False, "error_cb": told.append, "logger": SILENT}
    try:
        with closing(Consumer({**connection_conf(settings), **own})) as consumer:
            try:
                yield IdleGroup(consumer, settings.group_id)
            except KafkaException:
                consumer.poll(0)
                raise
    except KafkaException as error:
        raise InspectError(clearest([*told, error.args[0]])) from None


def epoch_end(settings: Kafka, name: Name, epoch: int) -> int | None:
    """Where the log of one partition leaves a leader epoch (`EpochEnds.ask`); blocks until it is told, or the brokers cannot be asked (None).

    Raises InspectError where no answer comes, ConfigError and SecretError.
    """
    ends = EpochEnds(lambda: admin_conf(settings), settings.group_id)
    until = time.monotonic() + _ANSWER_SECONDS
    try:
        while time.monotonic() < until:
            found = ends.ask({name: epoch})
            if name in found:
                return found[name]
    except KafkaException as error:
        raise InspectError(plain(error.args[0])) from None
    finally:
        ends.close()
    why = plain(ends.error) if ends.error is not None else "no answer came"
    raise InspectError(f"nobody tells where {name[0]}:{name[1]} leaves leader epoch {epoch}: {why}")
