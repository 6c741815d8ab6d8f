"""Partitions that come and go, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from bridge.delivery.core import Delivery, Drains, Reading
from bridge.kafka.client.refetch import Seeks
from bridge.offsets import begin
from bridge.offsets.ledger import Ledger
from tests.simulation.planted.table import instead, planted

RIGHT_ACCEPT = Ledger.accept


@planted
def fence_before_drain() -> AbstractContextManager[Any]:
    """A revoked partition counts as drained at once."""
    return instead(Drains, "_drained", lambda self, part, called, going, *, shut: True)


@planted
def loss_is_ignored() -> AbstractContextManager[Any]:
    """A partition that was lost goes on as if it were ours."""
    return instead(Delivery, "_lost", lambda self, names: None)


@planted
def rewind_not_noticed() -> AbstractContextManager[Any]:
    """An offset that somebody set back is taken as it is."""
    return instead(begin, "_rewound", lambda known, group, offset: False)


@planted
def read_twice_sent_twice() -> AbstractContextManager[Any]:
    """A record that Kafka delivers again is taken in again."""

    def accept(self: Ledger, records: Any) -> Any:
        wanted = RIGHT_ACCEPT(self, records)
        return records if len(wanted) < len(records) and not self.rereading else wanted

    return instead(Ledger, "accept", accept)


@planted
def given_back_is_forgotten() -> AbstractContextManager[Any]:
    """Records that are given back hold the watermark no more."""

    def give_back(self: Ledger, offsets: Any, oldest_ms: int = -1) -> None:
        for offset in offsets:
            self.unfinished.pop(offset, None)

    return instead(Ledger, "give_back", give_back)


@planted
def seek_not_waited_for() -> AbstractContextManager[Any]:
    """After a give-back, what the reader had read before its seek is taken in, ahead of what comes again."""
    right = Reading._give_back

    def give_back(self: Any, part: Any) -> Iterator[Any]:
        yield from right(self, part)
        part.seek = None

    return instead(Reading, "_give_back", give_back)


@planted
def long_note_stops_the_reading() -> AbstractContextManager[Any]:
    """A partition whose note is long reads no more, not even what would make the note shorter."""
    return instead(Ledger, "rereading", property(lambda self: False))


@planted
def seek_taken_for_granted() -> AbstractContextManager[Any]:
    """A seek counts as done when it was ordered: what the reader brings from elsewhere is taken in."""

    def expected(self: Any, name: Any, offset: int | None) -> bool:
        self.forget(name)
        return True

    return instead(Seeks, "expected", expected)


@planted
def end_counts_while_seeking() -> AbstractContextManager[Any]:
    """The end is reached, as the reader says that has not gone back yet: what was given back is taken for deleted."""

    def end(self: Any, item: Any) -> None:
        part = self._of(item.topic, item.partition, item.epoch)
        if part is not None:
            part.ledger.end(item.offset)
            self.finish.moved(part)

    return instead(Delivery, "_end", end)


@planted
def compacted_after_given_back_waits_for_ever() -> AbstractContextManager[Any]:
    """What was given back and has been compacted away meanwhile is awaited."""
    return instead(Ledger, "_reread", lambda self, offset: None)


@planted
def fence_keeps_the_bytes() -> AbstractContextManager[Any]:
    """A partition that goes keeps the bytes of its records."""
    right = Delivery._fence

    def fence(self: Any, part: Any) -> Any:
        freed = self.budget.freed_bytes
        try:
            return right(self, part)
        finally:
            self.budget.freed_bytes = freed

    return instead(Delivery, "_fence", fence)


@planted
def drain_sends_what_lies_above() -> AbstractContextManager[Any]:
    """A revoked partition goes on sending what nobody had handed over, and the note does not know of it."""
    right = Drains.begin

    def begin(self: Any, parts: Any, deadline: float) -> None:
        right(self, parts, deadline)
        for part in parts:
            part.lanes.until = None

    return instead(Drains, "begin", begin)
