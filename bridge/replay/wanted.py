"""Which letters are meant: the filters of `suprsend-bridge dlq`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.replay.letter import Letter, RecordPlace

__all__ = ["Wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty means any. Times are the original record's, in milliseconds since 1970; `until` is not included."""

    rules: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    places: frozenset[RecordPlace] = frozenset()
    since: int | None = None
    until: int | None = None

    def has(self, letter: Letter) -> bool:
        """Whether the letter is meant. One without a time is not meant where a time is asked for."""
        at = letter.record.timestamp()[1]
        return (
            (not self.rules or letter.rule in self.rules)
            and (not self.causes or letter.cause in self.causes)
            and (not self.codes or letter.code in self.codes)
            and (not self.topics or letter.record.topic() in self.topics)
            and (not self.places or letter.place in self.places)
            and (self.since is None or at >= self.since)
            and (self.until is None or 0 <= at < self.until)
        )
