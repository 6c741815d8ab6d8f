"""Over many records: how often each value of each rule was there, null, nothing or an error. A renamed field shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from bridge.flow import Event, Fault
from bridge.rules.tools.explain import Explained, ItemSeen, RuleSeen
from bridge.rules.tools.explain_parts import Seen

__all__ = ["Summary"]

_COLUMNS: Final = ("value", "null", "nothing", "error")


class _Tally:
    """One rule."""

    def __init__(self) -> None:
        self.records = 0
        self.fired = 0
        self.events = 0
        self.errors: Counter[str] = Counter()
        self.values: dict[str, Counter[str]] = defaultdict(Counter)
        self.made = 0


class Summary:
    """Counts explanations. One thread."""

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules: dict[str, _Tally] = {name: _Tally() for name in rules}
        self._records = 0
        self._unread: Counter[str] = Counter()
        self._filtered = 0

    def add(self, explained: Explained) -> None:
        """Count one record."""
        self._records += 1
        self._filtered += not explained.results
        for file in explained.files:
            if file.fault is not None:
                self._unread[file.fault.code] += 1
            for seen in file.rules:
                self._rule(self._rules.setdefault(seen.rule.name, _Tally()), seen)

    def _rule(self, tally: _Tally, seen: RuleSeen) -> None:
        tally.records += 1
        tally.fired += seen.state == "fired"
        if seen.fault is not None:
            tally.errors[seen.fault.code] += 1
        for item in seen.items:
            self._item(tally, item)

    def _item(self, tally: _Tally, item: ItemSeen) -> None:
        tally.made += 1
        if isinstance(item.result, Event):
            tally.events += 1
        elif isinstance(item.result, Fault):
            tally.errors[item.result.code] += 1
        for part in item.parts:
            self._part(tally, part)

    def _part(self, tally: _Tally, part: Seen) -> None:
        if part.label == "properties" and isinstance(part.value, dict):
            for name, value in part.value.items():
                tally.values[f"properties.{name}"]["null" if value is None else "value"] += 1
        else:
            tally.values[part.label][part.outcome] += 1

    def lines(self) -> list[str]:
        """Write the counts, rule by rule."""
        records = "1 record" if self._records == 1 else f"{self._records:,} records"
        lines = [f"{records}, {self._filtered:,} filtered"]
        lines += [f"cannot be read: {count:,} [{code}]" for code, count in self._unread.most_common()]
        for name, tally in self._rules.items():
            lines += ["", *_table(name, tally)]
        return lines


def _table(name: str, tally: _Tally) -> list[str]:
    errors = ", ".join(f"{count:,} {code}" for code, count in tally.errors.most_common()) or "no errors"
    lines = [f"{name}: fired for {tally.fired:,} of {tally.records:,} records, {tally.events:,} events, {errors}"]
    if not tally.made:
        return lines
    width = max(map(len, tally.values))
    lines.append(f"  {'':{width}}" + "".join(f"{column:>9}" for column in _COLUMNS))
    for label, counts in tally.values.items():
        # Of an object made by one expression, a key that is not there was left out.
        counts["nothing"] += tally.made - counts.total()
        doubtful = "  ← never there" if not counts["value"] else ""
        lines.append(f"  {label:{width}}" + "".join(f"{counts[column]:>9,}" for column in _COLUMNS) + doubtful)
    return lines
