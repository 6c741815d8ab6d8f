"""Reports of the soak as a table, also of several runs put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = (
    "row", "group", "faults", "records", "commits", "lost", "wrongly dead-lettered", "repeats", "with other bytes",
    "after their commit", "rewinds", "longest drain s", "peak MiB", "violations",
)  # fmt: skip


def lines(results: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One line a row and group protocol; runs of the same are added up, of times and memory the largest is shown."""
    runs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        runs.setdefault((result["row"], result["protocol"]), []).append(result)
    return [(*name, *map(_number, _summed(same))) for name, same in runs.items()]


def markdown(results: Iterable[Mapping[str, Any]]) -> str:
    """The table for `docs/reliability.md`."""
    rows = [COLUMNS, tuple("---" if at < 2 else "--:" for at in range(len(COLUMNS))), *lines(results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def total(results: Iterable[Mapping[str, Any]]) -> str:
    """All of it in one line."""
    listed = list(results)
    kinds = {kind for each in listed for kind in each["faults"]}
    faults, records, commits, lost, wrong, repeats, *_ = _summed(listed)
    broken = sum(len(each["judged"]["violations"]) for each in listed)
    return (
        f"{faults:,} faults of {len(kinds)} kinds, {records:,} records, {commits:,} commits checked; lost {lost}, "
        f"wrongly dead-lettered {wrong}, repeats {repeats:,} ({100 * repeats / max(1, records):.2f} %), "
        f"violations {broken}"
    )


def _summed(same: list[Mapping[str, Any]]) -> tuple[int | float, ...]:
    judged = [each["judged"] for each in same]
    names = (
        "records",
        "commits",
        "lost",
        "wrongly_dead",
        "repeats_identical",
        "repeats_different",
        "resent",
        "rewinds",
    )
    return (
        sum(sum(each["faults"].values()) for each in same),
        *(sum(each[name] for each in judged) for name in names),
        max((each["drain_seconds"] for each in same), default=0),
        max((each["peak_mib"] for each in same), default=0),
        sum(len(each["violations"]) for each in judged),
    )


def _number(value: float) -> str:
    return f"{value:,}"
