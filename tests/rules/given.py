"""Rules and records for the tests of this room, in a line each."""

from __future__ import annotations

from typing import Any, NamedTuple

from bridge.findings import Finding, render
from bridge.flow import Event, Fault, Headers, Mapped, Mapper, MappingContext, PlainRecord, Record, RuleInfo
from bridge.jsontext import dumps, loads
from bridge.rules.map.mapping import CompiledMapping, compile_mapping
from bridge.rules.model import RuleSet
from bridge.rules.read.load import Loaded, load_texts
from tests.rules.reference.interpreter import reference

ENV = "workspace-key-0123456789"
CONTEXT = MappingContext(env=ENV, namespace="cluster-1")
NOON = 1_700_000_000_000


def load(text: str, *, shared: str | None = None, path: str = "rules/a.yaml") -> Loaded:
    """Load one rule file from its text."""
    return load_texts([(path, text.encode())], None if shared is None else shared.encode())


def rules(*bodies: str, head: str = "") -> str:
    """Write a file with rules on topic `t`, each given as its further lines (`event: …` included or not)."""
    lines = [head, "rules:"]
    for number, body in enumerate(bodies):
        given = {line.split(":", 1)[0] for line in body.strip().splitlines() if line and not line.startswith(" ")}
        usual = {"name": f"r{number}", "topics": "[t]", "event": "told", "distinct_id": "u1"}
        written = [f"{key}: {value}" for key, value in usual.items() if key not in given]
        text = "\n".join([*written, *body.strip("\n").splitlines()])
        lines.append("  - " + text.replace("\n", "\n    "))
    return "\n".join(lines) + "\n"


ROOM = 1 << 40
"""Bytes that no run of a test needs."""


class Held(NamedTuple):
    """Compiled rules, each record of a test mapped by the reference interpreter too, and as a run."""

    mapping: CompiledMapping
    ruleset: RuleSet

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        return self.mapping.rules

    def mapper(self, topic: str) -> Mapper:
        """What maps single records of a topic."""
        generated, plain = self.mapping.mapper(topic), reference(self.ruleset, self.mapping.context, topic)
        runs = self.mapping.for_topic(topic)

        def held(record: Record) -> Mapped:
            made = generated(record)
            assert list(made) == list(plain(record))
            run = runs([record], [record.offset()], 1, ROOM)
            assert run.records == 1
            assert list(run.events()) == [one for one in made if isinstance(one, Event)]
            assert list(run.bodies) == [event.body for event in run.events()]
            assert [fault for _, fault in run.faults] == [one for one in made if isinstance(one, Fault)]
            return made

        return held


def held(ruleset: RuleSet, context: MappingContext = CONTEXT) -> Held:
    """Compile rules, whatever findings they have."""
    return Held(compile_mapping(ruleset, context), ruleset)


def compiled(loaded: Loaded, context: MappingContext = CONTEXT) -> Held:
    """Compile rules that must have been loaded without a finding."""
    assert not loaded.findings, render(loaded.findings, "text", loaded.sources)
    return held(loaded.rules, context)


def mapping(*bodies: str, head: str = "", context: MappingContext = CONTEXT, shared: str | None = None) -> Held:
    """Compile rules that must load without a finding."""
    return compiled(load(rules(*bodies, head=head), shared=shared), context)


def mapper(*bodies: str, head: str = "", context: MappingContext = CONTEXT) -> Mapper:
    """Compile rules on topic `t`."""
    return mapping(*bodies, head=head, context=context).mapper("t")


def record(
    value: Any = None,
    *,
    raw: bytes | None = None,
    key: bytes | None = None,
    headers: Headers | None = None,
    timestamp: int = NOON,
    offset: int = 7,
    topic: str = "t",
) -> PlainRecord:
    """Make a record of a JSON value, or of raw bytes."""
    data = dumps(value) if raw is None else raw
    return PlainRecord(topic, 3, offset, data, key=key, headers=headers, timestamp=timestamp)


def tombstone(key: bytes | None = None, headers: Headers | None = None) -> PlainRecord:
    """Make a record without a value."""
    return PlainRecord("t", 3, 7, None, key=key, headers=headers, timestamp=NOON)


def body(event: Event | Fault) -> dict[str, Any]:
    """Read an event's JSON."""
    assert isinstance(event, Event), event
    made: dict[str, Any] = loads(event.body)
    return made


def event_of(made: Any) -> dict[str, Any]:
    """Read the JSON of the one event that a record became."""
    assert len(made) == 1, made
    return body(made[0])


def properties_of(made: Any) -> dict[str, Any]:
    """Read the properties of the one event that a record became."""
    properties: dict[str, Any] = event_of(made)["properties"]
    return properties


def fault_of(made: Any) -> Fault:
    """Return the one fault that a record became."""
    assert len(made) == 1, made
    assert isinstance(made[0], Fault), made
    return made[0]


def codes(loaded: Loaded) -> list[str]:
    """List the codes of all findings."""
    return [finding.code for finding in loaded.findings]


def only(loaded: Loaded) -> Finding:
    """Return the one finding."""
    assert len(loaded.findings) == 1, render(loaded.findings, "text", loaded.sources)
    return loaded.findings[0]


def marked(loaded: Loaded, finding: Finding) -> str:
    """Return the text that a finding points to."""
    line = loaded.sources[finding.path].splitlines()[finding.line - 1]
    return line[finding.column - 1 : finding.end_column - 1 if finding.end_column else None]
