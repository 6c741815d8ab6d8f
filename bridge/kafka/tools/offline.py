"""What Kafka itself knows of the group, and pauses said to it, where no process can be asked. For commands.

Joins no group and moves no offset of it: a bridge that runs all the same is not disturbed, and follows what is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.delivery.pauses import Aim, Book, aim_text, covers
from bridge.flow import TopicPartition as Name
from bridge.kafka.client.pause_group import PauseGroup, RefusedError
from bridge.kafka.client.resolve_start import end_offsets
from bridge.kafka.config import Conf, admin_conf
from bridge.kafka.tools.dead_letter_reader import opened
from bridge.kafka.tools.inspect import PeekError, clearest
from bridge.kafka.tools.preflight import SILENT
from bridge.settings.kafka import Kafka

__all__ = ["Overview", "Standing", "look", "say"]

_SECONDS: Final = 5.0
_TIMES: Final = 5
_SETTLE_SECONDS: Final = 0.2


class Standing(NamedTuple):
    """One partition as Kafka has it. `committed` is None where the group has no commit, `end` is behind its last record."""

    topic: str
    partition: int
    committed: int | None
    end: int
    paused: bool


class Overview(NamedTuple):
    """What Kafka knows. `letters` are those behind the last replay; what is None is unknown, and `why` says why."""

    group: str
    partitions: tuple[Standing, ...]
    book: Book | None
    letters: int | None
    why: tuple[str, ...]


def look(settings: Kafka) -> Overview:
    """Ask for everything. Raises PeekError where Kafka does not tell the least, ConfigError and SecretError."""
    why: list[str] = []
    with _group(settings) as (group, told):
        numbers = _partitions(group, settings.topics)
        names = [(topic, each) for topic in settings.topics for each in numbers[topic]]
        why += [
            f"the topic {topic} does not exist, or may not be seen" for topic in settings.topics if not numbers[topic]
        ]
        try:
            book: Book | None = Book().with_pages(group.read(names, _SECONDS))
        except RefusedError:
            book = None
            why.append(f"the pauses are unknown: {_refused(group)}")
        commits, ends = _offsets(settings, names, told)
    try:
        with opened(settings) as box:
            done = box.progress()
            letters: int | None = sum(high - max(low, done.get(part, low)) for part, (low, high) in box.spans.items())
    except (PeekError, KafkaException) as error:
        letters = None
        why.append(f"dead letters are unknown: {error}")
    return Overview(
        settings.group_id,
        tuple(
            Standing(*name, commits.get(name), ends[name], book is not None and book.paused(name) is not None)
            for name in names
        ),
        book,
        letters,
        tuple(why),
    )


def say(settings: Kafka, aims: Sequence[Aim], now_ms: int, *, paused: bool) -> tuple[Name, ...]:
    """Pause or resume; returns the partitions that it changed once Kafka has acknowledged it.

    Raises PeekError with what is wrong, ConfigError and SecretError.
    """
    with _group(settings) as (group, _):
        numbers = _partitions(group, {aim[0] for aim in aims})
        for aim in aims:
            if not numbers[aim[0]] or aim[1] not in (None, *numbers[aim[0]]):
                raise PeekError(f"there is no {aim_text(aim)}; {aim[0]} has {len(numbers[aim[0]])} partitions")
        of_topics = [(topic, each) for topic, found in numbers.items() for each in found]
        names = [name for name in of_topics if any(covers(aim, name) for aim in aims)]
        try:
            before = Book().with_pages(group.read(of_topics, _SECONDS))
            after = before.saying(aims, now_ms, "", paused=paused)
            changed = tuple(name for name in names if (before.paused(name) is None) is paused)
            if changed or paused:
                _write(group, after, names)
        except RefusedError:
            raise PeekError(_refused(group)) from None
        return changed


def _write(group: PauseGroup, book: Book, names: Sequence[Name]) -> None:
    """A process that keeps the pauses from expiring may write what it read just before: look, and write again."""
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
    """The group of the pauses; Kafka's errors come out as PeekError."""
    told: list[KafkaError] = []
    group = PauseGroup(lambda: _conf(settings, told), settings.group_id)
    try:
        yield group, told
    except KafkaException as error:
        raise PeekError(clearest([*told, error.args[0]])) from None
    finally:
        group.close(1.0)


def _conf(settings: Kafka, told: list[KafkaError]) -> Conf:
    return {**admin_conf(settings), "error_cb": told.append, "logger": SILENT}  # type: ignore[dict-item]
