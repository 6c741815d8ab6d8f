"""The way past offsets that nobody can read, for a group whose process does not run: its commit, rewritten. Pure.

What is finished stays finished, what is unfinished stays so; only the offsets that are gone past have no say any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.offsets.commits import CommitMetadata, runs_of, text_of


@dataclass(frozen=True, slots=True)
class Stand:
    """What a group's commit says of a partition."""

    committed: int
    metadata: CommitMetadata

    def finished(self, offset: int) -> bool:
        """Whether an offset has an outcome already."""
        return offset < self.committed or (
            offset <= self.metadata.delivered
            and not any(first <= offset <= last for first, last in self.metadata.unfinished)
        )

    def cut(self, epoch_end: int) -> bool:
        """Whether the log left the commit's leader epoch, at `epoch_end`, below what the commit speaks of: it is another now."""
        return epoch_end < max(self.committed, self.metadata.delivered + 1, self.metadata.send_limit + 1)

    def lost(self, first: int, to: int) -> int:
        """How many offsets from `first` on and below `to` have no outcome yet."""
        known = max(min(to, self.metadata.delivered + 1), first)
        ranges = ((max(low, first), min(high + 1, known)) for low, high in self.metadata.unfinished)
        return to - known + sum(max(0, high - low) for low, high in ranges)


def passed(stand: Stand, to: int) -> str:
    """The metadata of a commit at `to`, below which everything is finished or cannot be read."""
    metadata = stand.metadata
    delivered = metadata.delivered if metadata.delivered >= to else -1
    steps = tuple(_from(metadata, to))
    return text_of(
        at_ms=steps[0][1] if steps else metadata.at_ms,
        send_limit=metadata.send_limit,
        delivered=delivered,
        runs=runs_of(to, (), delivered, metadata.unfinished),
        committed=to,
        steps=steps,
        origin=metadata.origin,
        began=metadata.began,
    )


def _from(metadata: CommitMetadata, to: int) -> Iterator[tuple[int, int]]:
    """Since when each offset from `to` on may have been handed over."""
    return ((last, since) for last, since in metadata.steps if last >= to)
