"""Seeks that arrive. Kafka thread only.

librdkafka forgets a seek when the partition is paused before a record of it was consumed (it goes on behind the last
one), and does not tell of a seek that it refuses while another is under way (measured: one of 25 was lost). So a seek
counts as done only when the record came that was asked for. Where something else comes again and again the record may
be gone (compacted), or the seek may be lost each time: the partition is placed anew then, by letting it go and taking
it again at the offset, after which whatever comes is from there on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from confluent_kafka import KafkaException, TopicPartition

from bridge.flow import TopicPartition as Name

_MOST_OTHERS: Final = 5
"""So often something else may come before the partition is placed anew."""
_SILENCE_SECONDS: Final = 1.0
"""So long nothing may come."""


class Seeking(Protocol):
    """What a consumer offers for this."""

    def seek(self, partition: TopicPartition) -> None: ...


@dataclass(slots=True)
class _Seek:
    offset: int
    at: float
    others: int = 0


class Seeks:
    """The seeks of one consumer. A partition is ordered, sought, doubted or placed; else what comes is taken in."""

    def __init__(self) -> None:
        self._ordered: dict[Name, int] = {}
        self._sought: dict[Name, _Seek] = {}
        self._doubted: dict[Name, int] = {}
        """To be placed anew: nothing that comes is taken in before."""
        self._placed: dict[Name, int] = {}
        """Placed anew, and nothing has come yet."""

    def order(self, name: Name, offset: int) -> None:
        """Read from `offset` on; a record is known to be there."""
        self.forget(name)
        self._ordered[name] = offset

    def forget(self, name: Name) -> None:
        """The partition is gone."""
        self._ordered.pop(name, None)
        self._sought.pop(name, None)
        self._doubted.pop(name, None)
        self._placed.pop(name, None)

    def paused(self, names: Iterable[Name]) -> None:
        """Partitions were paused: what was not confirmed is done again."""
        for name in names:
            if name in self._sought:
                self._ordered[name] = self._sought[name].offset
            elif name in self._placed:
                self._doubted[name] = self._placed.pop(name)

    def any(self) -> bool:
        """Whether what comes has to be looked at with `expected`."""
        return bool(self._ordered or self._sought or self._doubted or self._placed)

    def is_open(self, name: Name) -> bool:
        """Whether the partition is to be read again from an offset, and nothing has come from there yet."""
        return any(name in each for each in (self._ordered, self._sought, self._doubted, self._placed))

    def unconfirmed(self) -> Iterable[Name]:
        """Partitions whose seek was made and is not confirmed, or that have to be assigned anew."""
        return self._sought.keys() | self._doubted.keys()

    def do(self, consumer: Seeking, stopped: set[Name], now: float) -> Iterator[tuple[Name, int]]:
        """Make the seeks that were ordered, and repeat one that brought nothing, save for `stopped` partitions; yields those made.

        One that is refused (fetching has not begun yet) stays ordered.
        """
        for name, sought in self._sought.items():
            if name not in stopped and now > sought.at + _SILENCE_SECONDS:
                self._ordered[name] = sought.offset
        for name, offset in list(self._ordered.items()):
            with suppress(KafkaException):
                consumer.seek(TopicPartition(*name, offset))
                others = self._sought[name].others if name in self._sought else 0
                self._sought[name] = _Seek(offset, now, others)
                del self._ordered[name]
                yield name, offset

    def doubted(self, stopped: set[Name]) -> dict[Name, int]:
        """The partitions, but those that are `stopped`, that have to be unassigned and assigned again at an offset."""
        return {name: offset for name, offset in self._doubted.items() if name not in stopped}

    def doubt(self, name: Name, position: int) -> None:
        """Place the partition anew at `position`, or where it was to be read from."""
        sought = self._sought.get(name)
        wanted = self._ordered.get(name, self._placed.get(name, position if sought is None else sought.offset))
        self.forget(name)
        self._doubted[name] = wanted

    def place(self, name: Name, offset: int) -> None:
        """Place the partition anew at `offset`, wherever it was to be read from before."""
        self.forget(name)
        self._doubted[name] = offset

    def placed(self, name: Name) -> None:
        """The partition was unassigned and assigned again: what comes from now on begins at the offset."""
        self._placed[name] = self._doubted.pop(name)

    def wanted(self, name: Name) -> int | None:
        """The offset of the seek that was done and not confirmed."""
        sought = self._sought.get(name)
        return None if sought is None else sought.offset

    def expected(self, name: Name, offset: int | None) -> bool:
        """Whether what came of a partition may be taken in: its first offset, None for an end."""
        if name in self._ordered or name in self._doubted:
            return False
        self._placed.pop(name, None)
        sought = self._sought.get(name)
        if sought is None:
            return True
        if offset == sought.offset:
            del self._sought[name]
            return True
        sought.others += 1
        if sought.others < _MOST_OTHERS:
            self._ordered[name] = sought.offset
        else:
            self._doubted[name] = self._sought.pop(name).offset
        return False
