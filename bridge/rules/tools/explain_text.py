"""Explanations as text for people and as JSON for programs, and what many of them come to (`Summary`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from bridge.findings import visible
from bridge.flow import Event, Fault
from bridge.jq import tojson_text
from bridge.jsontext import loads
from bridge.rules.map.scope import args_maker
from bridge.rules.map.slow_path import NOTHING
from bridge.rules.tools.explain import Explained, FileSeen, ItemSeen, PartSeen, RuleSeen, Tested

__all__ = ["Summary", "as_json", "as_lines"]

_LONGEST = 100


def as_lines(explained: Explained) -> list[str]:
    """Write an explanation, line by line; everything that could act on a terminal is made visible."""
    return [visible(line) for line in _lines(explained)]


def _lines(explained: Explained) -> Iterator[str]:
    record = explained.record
    timestamp = record.timestamp()[1]
    size = "a tombstone" if record.value() is None else f"{len(record):,} bytes"
    when = "no timestamp" if timestamp < 0 else f"timestamp {timestamp} ms"
    key = args_maker({"key"}, key_json=False, unwrap_key=False)(record)[0]
    yield f"{record.topic()}:{record.partition()}:{record.offset()}  {size}, {when}, key {_shown(key)}"
    if not explained.files:
        yield f"  no rule is for the topic {record.topic()}: the record ends as filtered"
    for file in explained.files:
        yield from _file(file)
    yield ""
    yield _outcome(explained)


def _outcome(explained: Explained) -> str:
    events = sum(isinstance(result, Event) for result in explained.results)
    faults = len(explained.results) - events
    if not explained.results:
        return "becomes nothing: filtered"
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((events, "event"), (faults, "error")) if count
    ]
    return f"becomes {' and '.join(parts)}"


def _file(file: FileSeen) -> Iterator[str]:
    yield ""
    yield f"{file.path}  (decode: {file.decode})"
    if file.fault is not None:
        yield f"  cannot be read: {file.fault.message} [{file.fault.code}]"
    if file.filtered is not None:
        yield f"  filtered: {file.filtered}"
    for rule in file.rules:
        yield from _rule(rule)


def _rule(seen: RuleSeen) -> Iterator[str]:
    why = "" if seen.why is None else f": {seen.why}"
    yield f"  {seen.rule.name}  {seen.state}{why}"
    width = max((len(condition.text) for condition in seen.conditions), default=0)
    for number, condition in enumerate(seen.conditions):
        yield f"    {'when' if number == 0 else '    '}  {condition.text.ljust(min(width, 60))}  {_tested(condition)}"
    if seen.fault is not None:
        yield f"    error  {seen.fault.message} [{seen.fault.code}]"
    if seen.rule.for_each is not None and seen.state == "fired" and seen.fault is None:
        text = " ".join(seen.rule.for_each.text.split())
        yield f"    for_each  {text}  gave {len(seen.items)} item{'' if len(seen.items) == 1 else 's'}"
    for item in seen.items:
        yield from _item(item)


def _tested(condition: Tested) -> str:
    found = f"error: {condition.error}" if condition.error is not None else _shown(condition.value)
    return (
        found if condition.operand is None else f"{found}  ({condition.operand[0]} is {_shown(condition.operand[1])})"
    )


def _item(item: ItemSeen) -> Iterator[str]:
    pad = "    "
    if item.number is not None:
        yield f"    item {item.number}  {_shown(item.item)}"
        pad = "      "
    names = max((len(part.label) for part in item.parts), default=0)
    texts = min(max((len(part.text) for part in item.parts), default=0), 44)
    for part in item.parts:
        yield f"{pad}{part.label.ljust(names)}  {_one_line(part.text).ljust(texts)}  {_part(part)}"
    if isinstance(item.result, Event):
        yield f"{pad}→ event {item.result.name} to {item.result.recipient}, {len(item.result.body):,} bytes"
        yield f"{pad}  key {item.result.key}"
        yield f"{pad}  {item.result.body.decode()}"
    elif isinstance(item.result, Fault):
        yield f"{pad}→ error, {item.result.on_error}: {item.result.message} [{item.result.code}]"


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 44 else text[:43] + "…"


def _part(part: PartSeen) -> str:
    if part.outcome == "error":
        return f"error: {part.error}"
    return "nothing (left out)" if part.outcome == "nothing" else _shown(part.value)


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    text = tojson_text(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def as_json(explained: Explained) -> dict[str, Any]:
    """Return an explanation as JSON values. Keys that have nothing to say are null."""
    record = explained.record
    return {
        "topic": record.topic(),
        "partition": record.partition(),
        "offset": record.offset(),
        "timestamp": record.timestamp()[1],
        "bytes": None if record.value() is None else len(record),
        "files": [_file_json(file) for file in explained.files],
        "results": [_result_json(result) for result in explained.results],
    }


def _file_json(file: FileSeen) -> dict[str, Any]:
    return {
        "path": file.path,
        "decode": file.decode,
        "error": None if file.fault is None else _result_json(file.fault),
        "filtered": file.filtered,
        "rules": [_rule_json(rule) for rule in file.rules],
    }


def _rule_json(seen: RuleSeen) -> dict[str, Any]:
    return {
        "rule": seen.rule.name,
        "state": seen.state.replace(" ", "_"),
        "why": seen.why,
        "when": [
            {
                "text": condition.text,
                "value": _plain(condition.value),
                "error": condition.error,
                "operand": None
                if condition.operand is None
                else {"text": condition.operand[0], "value": _plain(condition.operand[1])},
            }
            for condition in seen.conditions
        ],
        "error": None if seen.fault is None else _result_json(seen.fault),
        "items": [_item_json(item) for item in seen.items],
    }


def _item_json(item: ItemSeen) -> dict[str, Any]:
    return {
        "index": item.number,
        "item": _plain(item.item),
        "parts": [
            {
                "name": part.label,
                "text": part.text,
                "outcome": part.outcome,
                "value": _plain(part.value),
                "error": part.error,
            }
            for part in item.parts
        ],
        "result": None if item.result is None else _result_json(item.result),
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: NaN and what is nothing become null."""
    return None if value is NOTHING else loads(tojson_text(value))


def _result_json(result: Event | Fault) -> dict[str, Any]:
    if isinstance(result, Fault):
        fault = {"rule": result.rule, "code": result.code, "message": result.message, "item": result.item}
        return {"error": {**fault, "on_error": result.on_error}}
    return {
        "rule": result.rule,
        "name": result.name,
        "recipient": result.recipient,
        "key": result.key,
        "bytes": len(result.body),
        "expires": result.expires,
        "event": loads(result.body),
    }


_COLUMNS: Final = ("value", "null", "nothing", "error")


class _RuleCounts:
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
        self._rules: dict[str, _RuleCounts] = {name: _RuleCounts() for name in rules}
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
                self._rule(self._rules.setdefault(seen.rule.name, _RuleCounts()), seen)

    def _rule(self, tally: _RuleCounts, seen: RuleSeen) -> None:
        tally.records += 1
        tally.fired += seen.state == "fired"
        if seen.fault is not None:
            tally.errors[seen.fault.code] += 1
        for item in seen.items:
            self._item(tally, item)

    def _item(self, tally: _RuleCounts, item: ItemSeen) -> None:
        tally.made += 1
        if isinstance(item.result, Event):
            tally.events += 1
        elif isinstance(item.result, Fault):
            tally.errors[item.result.code] += 1
        for part in item.parts:
            self._part(tally, part)

    def _part(self, tally: _RuleCounts, part: PartSeen) -> None:
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


def _table(name: str, tally: _RuleCounts) -> list[str]:
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
