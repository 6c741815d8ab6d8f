"""The commits of a group whose members are all gone, read and written by a command. Joins nothing.

The brokers themselves refuse a commit from outside while the group has members (measured in both protocols).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.flow import TopicPartition as Name
from bridge.kafka.client.epochs import EpochEnds
from bridge.kafka.client.resolve_start import metadata_of
from bridge.kafka.config import admin_conf, connection_conf
from bridge.kafka.errors import plain
from bridge.kafka.tools.inspect import PeekError, clearest
from bridge.kafka.tools.preflight import SILENT
from bridge.settings.kafka import Kafka

__all__ = ["IdleGroup", "Stood", "epoch_end", "idle"]

_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 15.0
_HAS_MEMBERS: Final = frozenset(
    {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.STALE_MEMBER_EPOCH}
    | {KafkaError.REBALANCE_IN_PROGRESS, KafkaError.FENCED_MEMBER_EPOCH}
)


class Stood(NamedTuple):
    """A commit. `epoch` is that of the leader which had the record before it, -1 where it is not known."""

    offset: int
    metadata: str
    epoch: int = -1


class IdleGroup:
    """Made by `idle`. Everything raises PeekError with one clear line where Kafka does not do it."""

    def __init__(self, consumer: Consumer, group: str) -> None:
        self._consumer = consumer
        self._group = group

    def committed(self, topic: str, partition: int) -> Stood:
        """The group's commit; at -1 where there is none."""
        (part,) = self._consumer.committed([TopicPartition(topic, partition)], timeout=_SECONDS)
        if part.error is not None:
            raise KafkaException(part.error)
        epoch = cast("int | None", part.leader_epoch)
        return Stood(max(part.offset, -1), metadata_of(part) or "", -1 if epoch is None else epoch)

    def commit(self, topic: str, partition: int, stood: Stood) -> None:
        """Commit for the group, which has to have no members."""
        asked = [TopicPartition(topic, partition, stood.offset, stood.metadata, stood.epoch)]
        try:
            (part,) = self._consumer.commit(offsets=asked, asynchronous=False) or asked
        except KafkaException as error:
            raise self._refused(error.args[0]) from None
        if part.error is not None:
            raise self._refused(part.error)

    def _refused(self, error: KafkaError) -> PeekError:
        if error.code() in _HAS_MEMBERS:
            return PeekError(
                f"the group {self._group} has members: stop every bridge of it first (a member that was killed counts "
                "until its session ends), or let the running one do it, without --offline"
            )
        return PeekError(f"the commit was refused: {plain(error)}")


@contextmanager
def idle(settings: Kafka) -> Iterator[IdleGroup]:
    """The group of the settings. Raises PeekError, ConfigError and SecretError."""
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
        raise PeekError(clearest([*told, error.args[0]])) from None


def epoch_end(settings: Kafka, name: Name, epoch: int) -> int | None:
    """Where the log of one partition leaves a leader epoch (`EpochEnds.ask`); blocks until it is told, or the brokers cannot be asked (None).

    Raises PeekError where no answer comes, ConfigError and SecretError.
    """
    ends = EpochEnds(lambda: admin_conf(settings), settings.group_id)
    until = time.monotonic() + _ANSWER_SECONDS
    try:
        while time.monotonic() < until:
            found = ends.ask({name: epoch})
            if name in found:
                return found[name]
    except KafkaException as error:
        raise PeekError(plain(error.args[0])) from None
    finally:
        ends.close()
    why = plain(ends.error) if ends.error is not None else "no answer came"
    raise PeekError(f"nobody tells where {name[0]}:{name[1]} leaves leader epoch {epoch}: {why}")
