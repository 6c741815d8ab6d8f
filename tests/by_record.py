"""Runs of records through a mapper of single ones, for tests that say what one record becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bridge.delivery.batch import Lanes, Partition
from bridge.delivery.core import LANES
from bridge.flow import Event, Fault, MappedRun, Mapper, Record, RunMapper, Start, TopicPartition


def by_record(mapper: Mapper) -> RunMapper:
    """Make a `RunMapper` of a `Mapper`."""

    def map_run(records: Sequence[Record], offsets: Sequence[int], most: int, room: int) -> MappedRun:
        del offsets
        unwanted: list[int] = []
        events: list[Event] = []
        places: list[int] = []
        faults: list[tuple[int, Fault]] = []
        size = done = 0
        one_each = True
        for place, record in enumerate(records):
            entries = mapper(record)
            done = place + 1
            if not entries:
                unwanted.append(place)
                continue
            if len(entries) > 1:
                one_each = False
            for entry in entries:
                if isinstance(entry, Event):
                    events.append(entry)
                    places.append(place)
                    size += len(entry.body) + 1
                else:
                    faults.append((place, entry))
            if len(events) >= most or size > room:
                break
        expires = [event.expires for event in events]
        kinds = [(event.rule, event.name) for event in events]
        return MappedRun(
            records=done,
            bodies=[event.body for event in events],
            places=None if one_each else places,
            unwanted=unwanted,
            faults=faults,
            expires=expires if any(at is not None for at in expires) else None,
            size=size,
            counts=Counter(kinds),
            kinds=None if len(set(kinds)) == 1 else kinds,
            events=lambda: events,
        )

    return map_run


def partition(name: TopicPartition, mapper: Mapper) -> Partition:
    """A partition whose records become what `mapper` says."""
    return Partition(name, 1, Start(0), by_record(mapper), Lanes(LANES["key"], serial=False, strict=False))
