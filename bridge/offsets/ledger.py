"""The offsets of one partition in one assignment: which have an outcome, and what may be committed. Pure.

The watermark runs over *delivered* offsets: gaps from compaction and transactions are legal, the next offset is never
computed, only read (`end`). What is tracked is what has no outcome yet, as in Confluent's parallel consumer: the
commit point is the lowest of them, and gaps cost nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from operator import itemgetter

from bridge.flow import Record, Start
from bridge.offsets.commits import runs_of


class Ledger:
    """Used by the delivery thread alone.

    `unfinished` maps offset → record, ascending, for everything accepted that has no outcome yet (None for what was
    given back and is to be read again).
    """

    __slots__ = (
        "_base",
        "_blocks",
        "_given",
        "_given_ms",
        "_read",
        "_skip",
        "_start",
        "newest",
        "next",
        "top",
        "unfinished",
    )

    def __init__(self, start: Start) -> None:
        self.unfinished: dict[int, Record | None] = {}
        self.next = start.offset
        """The offset to commit when nothing is unfinished: behind everything read, or the end that was reached."""
        self.newest = start.offset - 1
        """The highest offset read."""
        self.top = start.delivered
        """The highest offset with an outcome, -1 if none."""
        self._start = start
        self._skip = start.delivered >= start.offset
        self._given_ms: int | None = None
        self._read = 0
        self._base = 0
        self._blocks: deque[tuple[Sequence[int], int]] = deque()
        """Runs that reach over the watermark: their offsets, and how many records were read up to their end."""
        self._given: deque[int] = deque()
        """What was given back and not read again yet, ascending."""

    def accept(self, records: Sequence[Record]) -> Sequence[Record]:
        """Take in a run of records, ascending; returns those that need an outcome.

        Left out: what was read before in this assignment (librdkafka can deliver an offset twice) unless it was
        given back, and what an earlier owner finished above its watermark.
        """
        offsets = [record.offset() for record in records]
        if offsets[0] <= self.newest or self._skip or self._given or sorted(offsets) != offsets:
            return self._sift(records)
        before = len(self.unfinished)
        self.unfinished.update(zip(offsets, records, strict=True))
        if len(self.unfinished) - before < len(offsets):
            for offset in set(offsets):
                del self.unfinished[offset]
            return self._sift(records)
        self._count(offsets)
        return records

    def _count(self, offsets: list[int]) -> None:
        self._read += len(offsets)
        dense = range(offsets[0], offsets[-1] + 1)
        self._blocks.append((dense if len(dense) == len(offsets) else offsets, self._read))
        self.newest = offsets[-1]
        self.next = max(self.next, self.newest + 1)

    def _sift(self, records: Sequence[Record]) -> list[Record]:
        wanted: list[Record] = []
        for record in records:
            offset = record.offset()
            if self._given:
                self._reread(offset)
            if offset <= self.newest:
                if self._given and self._given[0] == offset:
                    self.unfinished[self._given.popleft()] = record
                    wanted.append(record)
            elif self._finished_before(offset):
                self.newest = offset
                self.next = max(self.next, offset + 1)
            else:
                self.unfinished[offset] = record
                self._count([offset])
                wanted.append(record)
        self._skip = self._skip and self.newest < self._start.delivered
        return wanted

    def _finished_before(self, offset: int) -> bool:
        start = self._start
        if not start.offset <= offset <= start.delivered:
            return offset < start.offset
        index = bisect_right(start.unfinished, offset, key=itemgetter(0)) - 1
        return index < 0 or offset > start.unfinished[index][1]

    def finish(self, offsets: Sequence[int]) -> int:
        """These, ascending, have an outcome; returns how many bytes their values have."""
        pop = self.unfinished.pop
        self.top = max(self.top, offsets[-1])
        # What was given back is None, and is not handed in here.
        return sum(map(len, map(pop, offsets)))  # type: ignore[arg-type]

    def end(self, offset: int) -> None:
        """The reader stands at `offset`: with nothing unfinished that is what may be committed."""
        self._reread(offset)
        self.next = max(self.next, offset)
        self._skip = self._skip and offset <= self._start.delivered

    def give_back(self, offsets: Iterable[int], oldest_ms: int | None = None) -> None:
        """These were never sent and will be read again: they still hold the watermark, but not the records.

        `oldest_ms` is the timestamp of the first of them, negative or None if unknown.
        """
        if not self._given:
            self._given_ms = oldest_ms
        given = dict.fromkeys(offsets)
        self.unfinished.update(given)
        self._given = deque(sorted({*self._given, *given}))

    @property
    def given(self) -> int | None:
        """The lowest offset that was given back and not read again yet."""
        return self._given[0] if self._given else None

    @property
    def rereading(self) -> bool:
        """Whether something is to be read again without which the watermark cannot move on."""
        return self._skip or bool(self._given)

    def _reread(self, offset: int) -> None:
        """The reader stands at `offset`: what was given back below it and did not come again has been compacted away."""
        given = self._given
        while given and given[0] < offset:
            del self.unfinished[given.popleft()]

    @property
    def watermark(self) -> int:
        """Everything below has an outcome (or does not exist)."""
        return next(iter(self.unfinished), self.next)

    def span(self) -> int:
        """Records read between the watermark and the newest, finished ones among them."""
        watermark = self.watermark
        blocks = self._blocks
        while blocks and blocks[0][0][-1] < watermark:
            self._base = blocks.popleft()[1]
        return self._read - self._base

    def above(self) -> int:
        """Records finished above the watermark: what a restart must not send again."""
        span = self.span()
        below = bisect_left(self._blocks[0][0], self.watermark) if self._blocks else 0
        return span - below - len(self.unfinished)

    def runs(self) -> str:
        """What is unfinished below the highest finished offset, coded for the commit's metadata."""
        if self._skip:
            left = [(max(first, self.newest + 1), last) for first, last in self._start.unfinished if last > self.newest]
            return runs_of(self.watermark, self.unfinished, self.top, left)
        return runs_of(self.watermark, self.unfinished, self.top) if self.unfinished else ""

    def oldest_ms(self) -> int | None:
        """The timestamp of the record that holds the watermark, in milliseconds; None if there is none or it is unknown.

        Of a record that was given back it is that of the oldest one given back.
        """
        if not self.unfinished:
            return None
        record = next(iter(self.unfinished.values()))
        at = record.timestamp()[1] if record is not None else self._given_ms
        return at if at is not None and at >= 0 else None
