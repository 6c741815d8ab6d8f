"""What became of the records of one partition, beside them in columns, and what commits have called finished. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

from tests.soak.accepted import Accepted
from tests.soak.facts import Column, Fact, Kind, Place

NEVER: Final = 2**62
"""When a record without an outcome was done."""


class Outcomes:
    """One partition. `rows` has each record's row among the accepted keys, -1 where it has none."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.rows = array("q")
        self.dead: set[int] = set()
        """Indices of records that have a dead letter."""
        self._done = array("q")
        self._again: list[tuple[int, int]] = []
        """Index and last arrival of each record whose event came more than once."""
        self._covered: list[tuple[int, int]] = []
        """Disjoint ranges of offsets that commits have called finished, ascending; neighbours are one."""

    def add(self, row: int, done_ms: int, last_ms: int | None) -> None:
        """The outcome of the next record; `last_ms` is given where its event came again."""
        if last_ms is not None:
            self._again.append((len(self.rows), last_ms))
        self.rows.append(row)
        self._done.append(done_ms)

    def newly(self, first: int, last: int) -> list[tuple[int, int]]:
        """Take note that a commit calls these offsets finished; the ranges that none had called so before."""
        covered = self._covered
        at = bisect_left(covered, (first, -1))
        if at and covered[at - 1][1] >= first - 1:
            at -= 1
        fresh: list[tuple[int, int]] = []
        low, begin, end = first, first, last
        stop = at
        while stop < len(covered) and covered[stop][0] <= last + 1:
            known_first, known_last = covered[stop]
            if low < known_first:
                fresh.append((low, min(last, known_first - 1)))
            low = max(low, known_last + 1)
            begin, end = min(begin, known_first), max(end, known_last)
            stop += 1
        if low <= last:
            fresh.append((low, last))
        covered[at:stop] = [(begin, end)]
        return fresh

    def not_done(self, first: int, last: int, at_ms: int) -> list[Fact]:
        """The records between two offsets that had no outcome by this time."""
        low, high = self._span(first, last)
        if low == high or max(self._done[low:high]) <= at_ms:
            return []
        return [self.column.fact(at) for at in range(low, high) if self._done[at] > at_ms]

    def sent_after(self, first: int, last: int, at_ms: int) -> list[Fact]:
        """The records between two offsets whose events came again after this time."""
        low, high = self._span(first, last)
        again = self._again
        found = []
        for place in range(bisect_left(again, (low, -1)), bisect_left(again, (high, -1))):
            at, last_ms = again[place]
            if last_ms > at_ms:
                found.append(self.column.fact(at))
        return found

    def overtaken(self) -> Iterator[Fact]:
        """The records whose events were first accepted after one of a later record of their lane."""
        soonest: dict[int, int] = {}
        lanes, rows = self.column.lanes, self.rows
        for at in range(len(rows) - 1, -1, -1):
            row = rows[at]
            if row < 0:
                continue
            lane = lanes[at]
            if row > soonest.get(lane, NEVER):
                yield self.column.fact(at)
            else:
                soonest[lane] = row

    def _span(self, first: int, last: int) -> tuple[int, int]:
        offsets = self.column.offsets
        low = bisect_left(offsets, first)
        return low, bisect_left(offsets, last + 1, low)


def outcomes_of(column: Column, accepted: Accepted, letters: Mapping[Place, list[int]]) -> Outcomes:
    """Look up what became of each record."""
    found = Outcomes(column)
    first_ms, repeated, kinds = accepted.first_ms, accepted.repeated, column.kinds
    for place in letters:
        if place[:2] == column.name:
            index = bisect_left(column.offsets, place[2])
            if index < len(column) and column.offsets[index] == place[2]:
                found.dead.add(index)
    for at in range(len(column)):
        kind = kinds[at]
        row = accepted.row(column.key(at)) if kind in (Kind.DELIVERED, Kind.REFUSED) else None
        done = 0 if kind == Kind.FILTERED else NEVER
        if row is not None:
            done = first_ms[row]
        if at in found.dead:
            done = min(done, *letters[*column.name, column.offsets[at]])
        again = repeated.get(row) if row is not None else None
        found.add(-1 if row is None else row, done, again.last_ms if again else None)
    return found
