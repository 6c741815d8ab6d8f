"""Which faults happen, decided by the seed: counted by kind, and switched off by kind or one by one to shrink a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Violation(AssertionError):  # noqa: N818 (the word of the invariants)
    """An invariant is broken; the message opens with its name (`I1` … `I8`, `send_limit`, `conservation`, …)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run, replayed exactly by its values.

    `off` are kinds of faults that are left out, `muted` runs (first, last) of single faults by their number. `often` are
    kinds (those in `Trouble`) that come far more often than in other runs, the more the more times they are named.
    """

    seed: int
    steps: int = 700
    off: tuple[str, ...] = ()
    muted: tuple[tuple[int, int], ...] = ()
    often: tuple[str, ...] = ()


class Dice(Random):
    """The standard generator, with quicker ways to choose: the simulator does little else."""

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        return seq[int(self.random() * len(seq))]

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(self.random() * n)


class Faults:
    """Decides each fault of one run."""

    def __init__(self, case: Case) -> None:
        self.rng = Dice(case.seed)
        self.counts: Counter[str] = Counter()
        self.over = False
        """The faults are over: everything has to come to an end now."""
        self._off = frozenset(case.off)
        self._muted = frozenset(number for first, last in case.muted for number in range(first, last + 1))
        self._number = 0

    def hit(self, kind: str, probability: float) -> bool:
        """Whether a fault of that kind happens now."""
        return self.rng.random() < probability and self.take(kind)

    def take(self, kind: str, times: int = 1) -> bool:
        """A fault of that kind is about to happen; False if it was switched off."""
        self._number += 1
        if self.over or kind in self._off or self._number in self._muted:
            return False
        self.counts[kind] += times
        return True

    @property
    def numbers(self) -> int:
        """How many single faults there were to switch off."""
        return self._number
