"""The brake in front of the dead-letter topic: too many refusals of one rule stop it instead of draining a topic. Pure.

It gates the dead-letter *write*, not the answer, and covers every way to be refused: decoding, mapping, unmatched, the
API's word. The idea is arroyo's dead-letter limits (a ratio and a run).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """`row` refusals in a row, or `ratio` of the last `window` records of a rule."""

    row: int = 50
    ratio: float = 0.2
    window: int = 1_000


def topic_key(topic: str) -> str:
    """What records are counted under that reached no rule."""
    return f"topic {topic}"


class Brake:
    """Counts per rule, in this process. Used by the delivery thread alone."""

    __slots__ = ("_limits", "_rules")

    def __init__(self, limits: BrakeLimits) -> None:
        self._limits = limits
        self._rules: dict[str, _Count] = {}

    def passed(self, rule: str, records: int) -> None:
        """So many of the rule's records went well; of no interest until one of them is refused."""
        count = self._rules.get(rule)
        if count is not None:
            count.add(records, refused=False, window=self._limits.window)

    def refused(self, rule: str) -> bool:
        """One of its records is to be dead-lettered; True if that is one too many: hold instead of writing."""
        count = self._rules.setdefault(rule, _Count())
        count.add(1, refused=True, window=self._limits.window)
        limits = self._limits
        return count.row >= limits.row or (
            count.total >= limits.window and count.refused >= limits.ratio * limits.window
        )

    def reset(self, rule: str | None = None) -> None:
        """Begin to count anew, for one rule or for all: after a reload, resume or skip."""
        if rule is None:
            self._rules.clear()
        else:
            self._rules.pop(rule, None)


class _Count:
    """Runs of equal results over the last records, so that a good batch of 100 costs one entry."""

    __slots__ = ("refused", "row", "runs", "total")

    def __init__(self) -> None:
        self.row = 0
        self.refused = 0
        self.total = 0
        self.runs: deque[tuple[int, bool]] = deque()

    def add(self, records: int, *, refused: bool, window: int) -> None:
        if not records:
            return
        self.row = self.row + records if refused else 0
        self.total += records
        self.refused += records if refused else 0
        runs = self.runs
        if runs and runs[-1][1] == refused:
            runs[-1] = (runs[-1][0] + records, refused)
        else:
            runs.append((records, refused))
        while self.total > window:
            oldest, bad = runs[0]
            gone = min(oldest, self.total - window)
            self.total -= gone
            self.refused -= gone if bad else 0
            if gone == oldest:
                runs.popleft()
            else:
                runs[0] = (oldest - gone, bad)
