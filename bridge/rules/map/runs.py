"""Runs of records through a mapper of single ones, for topics that have no generated function for runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bridge.flow import Event, MappedRun, Mapper, Record, RunMapper

__all__ = ["by_record", "quick_first"]


def by_record(mapper: Mapper) -> RunMapper:
    """Make a `RunMapper` of a `Mapper`."""

    def map_run(records: Sequence[Record], offsets: Sequence[int], most: int, room: int) -> MappedRun:
        del offsets
        unwanted: list[int] = []
        events: list[Event] = []
        size = 0
        full = False
        for place, record in enumerate(records):
            entries = mapper(record)
            if not entries:
                unwanted.append(place)
                continue
            event = entries[0]
            if len(entries) > 1 or not isinstance(event, Event) or event.expires is not None:
                break
            larger = size + len(event.body) + 1
            if larger > room:
                full = True
                break
            size = larger
            events.append(event)
            if len(events) >= most:
                break
        bodies = [event.body for event in events]
        counts = Counter([(event.rule, event.name) for event in events])
        return MappedRun(len(events) + len(unwanted), unwanted, bodies, size, counts, lambda: events, full)

    return map_run


def quick_first(quick: RunMapper, others: RunMapper) -> RunMapper:
    """Make a `RunMapper` of two: what `quick` is not made for, `others` map together with what follows."""

    def map_run(records: Sequence[Record], offsets: Sequence[int], most: int, room: int) -> MappedRun:
        run = quick(records, offsets, most, room)
        return run if run.records or run.full else others(records, offsets, most, room)

    return map_run
