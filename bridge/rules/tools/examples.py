"""A team's examples: a record, and what must become of it. Runs them with the mapping that `run` uses. Pure.

Where what came out differs from what was expected, each place is one line, with its path (`differences`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from bridge.document import EntryNode, MappingNode, Source
from bridge.flow import Event, Fault, MappingContext, PlainRecord
from bridge.jq import tojson_text
from bridge.jsontext import loads
from bridge.rules.model import RuleSet
from bridge.rules.tools.explain import Explained, Explainer
from bridge.suprsend.limits import ATTACHMENTS

__all__ = [
    "Example",
    "ExampleFile",
    "Expected",
    "Made",
    "Ran",
    "differences",
    "event_differences",
    "fault_differences",
    "made_of",
    "run_example",
]

_MISSING: Final = object()
_LONGEST: Final = 120


def event_differences(
    expected: Mapping[str, Any], got: Mapping[str, Any], *, partial: bool, own_key: bool
) -> Iterator[str]:
    """Compare an event. Exactly: what the test does not say must not be there.

    Save the rule, the default key (it covers the record's coordinates), and empty properties.
    """
    for key in dict.fromkeys([*got, *expected]):
        if key not in expected and (
            partial
            or key == "rule"
            or (key == "idempotency_key" and not own_key)
            or (key == "properties" and not got.get(key))
        ):
            continue
        wanted = expected.get(key, {} if key == "properties" else _MISSING)
        yield from differences(key, wanted, got.get(key, _MISSING), partial=partial)


def fault_differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    """Compare an error by the keys that the test gives."""
    for key, value in expected.items():
        yield from differences(key, value, got.get(key, _MISSING), partial=False)


def differences(path: str, expected: Any, got: Any, *, partial: bool) -> Iterator[str]:
    """Compare two JSON values. With `partial` objects may have more keys than expected, at any depth."""
    if expected is _MISSING or got is _MISSING:
        yield _line(path, expected, got)
    elif isinstance(expected, dict) and isinstance(got, dict):
        for key in dict.fromkeys([*expected, *got]):
            if partial and key not in expected:
                continue
            yield from differences(
                f"{path}.{key}", expected.get(key, _MISSING), got.get(key, _MISSING), partial=partial
            )
    elif isinstance(expected, list) and isinstance(got, list):
        for number in range(max(len(expected), len(got))):
            one = expected[number] if number < len(expected) else _MISSING
            other = got[number] if number < len(got) else _MISSING
            yield from differences(f"{path}[{number}]", one, other, partial=partial)
    elif not _same(expected, got):
        yield _line(path, expected, got)


def _same(expected: Any, got: Any) -> bool:
    """Compare two scalars as JSON has them: 20 and 20.0 are one number, 1 and true are not."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, float) and isinstance(got, int | float):
        return expected == float(got)
    if isinstance(got, float) and isinstance(expected, int):
        return got == float(expected)
    return bool(expected == got)


def _line(path: str, expected: Any, got: Any) -> str:
    if expected is _MISSING:
        return f"{path}: not expected, got {_shown(got)}"
    if got is _MISSING:
        return f"{path}: expected {_shown(expected)}, is not there"
    return f"{path}: expected {_shown(expected)}, got {_shown(got)}"


def _shown(value: Any) -> str:
    text = tojson_text(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_WORST: Final = ("held", "dead_lettered", "expired", "skipped", "delivered", "filtered")
_ENDS: Final = {"dead_letter": "dead_lettered", "skip": "skipped", "halt": "held", "drop": "filtered"}

Kind = Literal["event", "error"]


@dataclass(frozen=True, slots=True)
class Expected:
    """One event or error that is expected, by the keys that the test gives."""

    kind: Kind
    keys: Mapping[str, Any]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One test. `outcome` is set where only that is expected, else `expected` has every event and error in order."""

    name: str
    record: PlainRecord
    at: int | None
    """The clock for `max_age` in milliseconds; None is the record's own timestamp."""
    outcome: str | None
    expected: tuple[Expected, ...]
    node: MappingNode = field(repr=False, compare=False)
    expect: EntryNode | None = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """One file of tests."""

    path: str
    source: Source = field(repr=False, compare=False)
    examples: tuple[Example, ...]


class Made(NamedTuple):
    """One event or error that came out, in the words of a test."""

    kind: Kind
    keys: dict[str, Any]
    own_key: bool = False
    """Whether the event's idempotency key is one of the rule's own."""


class Ran(NamedTuple):
    """One example that was run; it passed where `differences` is empty."""

    example: Example
    outcome: str
    made: tuple[Made, ...]
    differences: tuple[str, ...]
    explained: Explained


def run_example(rules: RuleSet, example: Example, context: MappingContext, known: dict[str, Explainer]) -> Ran:
    """Run one example; `known` keeps what was made ready for each topic."""
    topic = example.record.topic()
    if topic not in known:
        known[topic] = Explainer(rules, topic, context)
    explained = known[topic].explain(example.record)
    at = example.at if example.at is not None else example.record.timestamp()[1]
    made = tuple(made_of(result, at) for result in explained.results)
    outcome = _outcome(explained.results, at)
    return Ran(example, outcome, made, tuple(_differences(example, outcome, made)), explained)


def _outcome(results: Sequence[Event | Fault], at: int) -> str:
    ends = {"filtered"}
    for result in results:
        if isinstance(result, Fault):
            ends.add(_ENDS[result.on_error])
        else:
            ends.add("expired" if _expired(result, at) else "delivered")
    return min(ends, key=_WORST.index)


def _expired(event: Event, at: int) -> bool:
    return event.expires is not None and at > event.expires


def made_of(result: Event | Fault, at: int) -> Made:
    """Say an event or error in the words of a test."""
    if isinstance(result, Fault):
        keys: dict[str, Any] = {"error": result.code}
        if result.rule is not None:
            keys["rule"] = result.rule
        if result.item is not None:
            keys["item"] = result.item
        return Made("error", keys)
    body = loads(result.body)
    properties = body["properties"]
    attachments = properties.pop(ATTACHMENTS, None)
    keys = {"event": result.name, "rule": result.rule, "distinct_id": result.recipient}
    if "tenant_id" in body:
        keys["tenant_id"] = body["tenant_id"]
    keys["idempotency_key"] = result.key
    keys["properties"] = properties
    if attachments:
        keys["attachments"] = attachments
    if _expired(result, at):
        keys["expired"] = True
    return Made("event", keys, own_key=body["$insert_id"] != result.key)


def _differences(example: Example, outcome: str, made: Sequence[Made]) -> list[str]:
    if example.expect is None:
        return ["the test has no `expect`: write what must come out, or let --update do it", f"  {outcome}"]
    if example.outcome is not None:
        if outcome == example.outcome:
            return []
        return [f"expected {example.outcome}, got {outcome}", *(f"  {_brief(one)}" for one in made)]
    found: list[str] = []
    for number, (expected, one) in enumerate(zip(example.expected, made, strict=False), 1):
        name = f"{number}. {_brief(one)}"
        if expected.kind != one.kind:
            found.append(f"{name}: expected an {expected.kind}: {_brief(Made(expected.kind, dict(expected.keys)))}")
            continue
        if expected.kind == "error":
            differences = fault_differences(expected.keys, one.keys)
        else:
            differences = event_differences(expected.keys, one.keys, partial=expected.partial, own_key=one.own_key)
        found += [f"{name}: {difference}" for difference in differences]
    for missing in example.expected[len(made) :]:
        found.append(f"missing: {_brief(Made(missing.kind, dict(missing.keys)))}")
    for extra in made[len(example.expected) :]:
        found.append(f"not expected: {_brief(extra)}")
    return found


def _brief(made: Made) -> str:
    keys = made.keys
    by = f" by {keys['rule']}" if "rule" in keys else ""
    if made.kind == "error":
        item = f" for item {keys['item']}" if "item" in keys else ""
        return f"error {keys.get('error')}{by}{item}"
    to = f" to {keys['distinct_id']}" if "distinct_id" in keys else ""
    return f"event {keys.get('event')}{to}{by}"
