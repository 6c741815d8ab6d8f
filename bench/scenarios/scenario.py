"""What a scenario is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.processes import Figures
from bench.world import World


class Found(NamedTuple):
    """`summary` is the last line that is printed. Ratios in the table are to `base`, or to the first row."""

    summary: str
    rows: Sequence[Figures] = ()
    base: Figures | None = None


class Scenario(NamedTuple):
    """`records` is how many it takes where nothing else was asked for (of `idle` it is seconds)."""

    title: str
    records: int
    run: Callable[[World], Found]
