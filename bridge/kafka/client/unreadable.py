"""Partitions of which nothing can be read: what the client says of them, when that is told, and when it is over. Pure.

librdkafka gives a batch that it cannot unpack or check as an error of its partition, for ever, and nothing else; of some
it says so once or never, and stands still. Of others it goes on behind what it could not read, or at an offset that it
took from damaged bytes (all measured). So, from an error on, what comes of the partition is taken in where it was
expected, or right behind what the errors named; else the partition is placed anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.flow import TopicPartition
from bridge.kafka.errors import Unread

_TIMES: Final = 3
"""The same error so often, without a record between, is told."""
_SOON_SECONDS: Final = 1.0
"""After which one of which no more is heard is tried again."""
_AGAIN_SECONDS: Final = 5.0
"""How often a partition that was told of is tried again."""
SILENCE: Final = 0
"""The code of no error at all."""


@dataclass(slots=True)
class _Doubt:
    position: int
    """The offset to be read next when it began."""
    passed: int
    """Behind what the errors named one by one, from `position` on."""
    placed: bool = False
    """Placed anew, and no error since: whatever comes is from `position` on."""
    times: Counter[int] = field(default_factory=Counter)
    told: Unread | None = None
    again_at: float = 0.0


class Unreadable:
    """Used by the Kafka thread alone. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._doubts: dict[TopicPartition, _Doubt] = {}

    def any(self) -> bool:
        """Whether what comes has to be looked at with `came`."""
        return bool(self._doubts)

    def failed(self, name: TopicPartition, code: int, offset: int, unread: Unread, now: float, *, sure: bool) -> bool:
        """An error came instead of records, and named `offset`. True where it has to be told from now on.

        With `sure` already the first error is told.
        """
        doubt = self._doubts.setdefault(name, _Doubt(unread.offset, unread.offset))
        if doubt.position != unread.offset:
            doubt.position = doubt.passed = unread.offset
        doubt.placed = False
        if offset == doubt.passed:
            doubt.passed += 1
        doubt.times[code] += 1
        enough = sure or doubt.times[code] >= _TIMES or doubt.told is not None
        doubt.again_at = now + (_AGAIN_SECONDS if enough else _SOON_SECONDS)
        if code == SILENCE:
            # The client goes on trying. Begun anew it would never get through what is large, slow or rolled back.
            doubt.again_at = float("inf")
        if not enough or (doubt.told is not None and doubt.told.offset == unread.offset):
            return False
        doubt.told = unread
        return True

    def came(self, name: TopicPartition, offset: int, position: int) -> int | None:
        """A record, or an end, came at `offset` in place of `position`: how many records were passed over before it.

        None where it must not be taken in: the client is astray.
        """
        doubt = self._doubts.get(name)
        if doubt is None or doubt.placed or offset == position:
            return 0
        return offset - position if (offset, position) == (doubt.passed, doubt.position) else None

    def over(self, name: TopicPartition) -> Unread | None:
        """The partition is read again, or is gone; what was told of it."""
        doubt = self._doubts.pop(name, None)
        return None if doubt is None else doubt.told

    def placed(self, name: TopicPartition) -> None:
        """The client was told anew where to read."""
        doubt = self._doubts.get(name)
        if doubt is not None:
            doubt.placed, doubt.passed = True, doubt.position

    def due(self, now: float) -> list[TopicPartition]:
        """Partitions to be tried again now."""
        names = [name for name, doubt in self._doubts.items() if now >= doubt.again_at]
        for name in names:
            self._doubts[name].again_at = now + _AGAIN_SECONDS
        return names

    def told(self) -> Mapping[TopicPartition, Unread]:
        """The partitions of which nothing can be read at the moment."""
        return {name: doubt.told for name, doubt in self._doubts.items() if doubt.told is not None}
