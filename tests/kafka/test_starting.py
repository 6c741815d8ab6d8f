"""What Kafka is asked about partitions that were just assigned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from bridge.delivery.note import Origin
from bridge.kafka.starting import Inquiry, Manner, Place

if TYPE_CHECKING:
    from confluent_kafka import Consumer

    from bridge.kafka.origins import Origins

TOPIC = "orders.v1"


class Unreadable:
    """A commit of another client, whose metadata confluent-kafka reads beyond its end."""

    topic, partition, offset, error, leader_epoch = TOPIC, 0, 7, None, None

    @property
    def metadata(self) -> str:
        return b"go-client\xdc".decode()


class Plain:
    """A commit without metadata, or the first and last offset of a partition."""

    metadata: str | None = None
    error = leader_epoch = None

    def __init__(self, partition: int, offset: int) -> None:
        self.topic, self.partition, self.offset = TOPIC, partition, offset


class Topics:
    """The cluster's topics: one, with two partitions."""

    class One:
        error = None
        partitions = {0: SimpleNamespace(leader=1), 1: SimpleNamespace(leader=1)}  # noqa: RUF012 (never changed)

    topics = {TOPIC: One}  # noqa: RUF012 (never changed)


class Nowhere:
    """What nobody tells."""

    def ask(self, _: object) -> None:
        """Nobody answers."""

    def settled(self) -> bool:
        return True

    def of(self, _: str) -> Origin:
        return Origin()


PLACE = Place(lambda: None, cast("Origins", Nowhere()))


class Answers:
    """A consumer of a group whose commits another client made."""

    def list_topics(self, _topic: str, **_: float) -> type[Topics]:
        return Topics

    def committed(self, _asked: object, **_: float) -> list[object]:
        return [Unreadable(), Plain(1, 3)]

    def offsets_for_times(self, asked: list[Plain], **_: float) -> list[Plain]:
        return [Plain(part.partition, 0 if part.offset == -2 else 20) for part in asked]


def test_metadata_that_cannot_be_read_is_nobodys_note() -> None:
    """A group whose last commits came from a client with other metadata is taken over at its offsets."""
    inquiry = Inquiry([(TOPIC, 0), (TOPIC, 1)], Manner("latest", "hold", None, None, lambda: 0, PLACE))
    consumer = cast("Consumer", Answers())
    found = inquiry.ask(consumer)
    assert {name: (resolved.start.offset, resolved.start.hold) for name, resolved in found.items()} == {
        (TOPIC, 0): (7, None),
        (TOPIC, 1): (3, None),
    }
