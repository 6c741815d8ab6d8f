"""What rule files say, read and compiled: frozen, with the place of everything that a message may point to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.document import MappingNode, Place, Scalar, Source, YamlNode
from bridge.findings import Finding, Severity
from bridge.flow import OnError
from bridge.jq import Defs, Program

__all__ = [
    "AttachmentRule",
    "Computed",
    "Decode",
    "Elements",
    "Expression",
    "Fields",
    "Fixed",
    "MixedText",
    "Rule",
    "RuleFile",
    "RuleSet",
    "TopicPattern",
    "TopicRule",
    "Value",
    "expressions_in",
]


Decode = Literal["json", "string", "bytes", "cloudevents", "debezium"]
"""The ways to read a record's value (`decode` of a topic)."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One jq expression of a rule, compiled.

    `label` names it for messages (`properties.amount`); `text` begins at `start` of the text of `scalar`.
    """

    label: str
    text: str
    scalar: Scalar = field(repr=False, compare=False)
    start: int
    program: Program = field(repr=False, compare=False)
    defs: Defs | None = field(repr=False, compare=False)
    """The functions that it may use."""

    @property
    def reads(self) -> frozenset[str]:
        """The variables that it reads, those that its file's functions read included."""
        return self.program.reads if self.defs is None else self.program.reads | self.defs.reads

    def place(self, offset: int = 0) -> Place:
        """Return where in the file a character of the expression stands."""
        return self.scalar.place(self.start + offset)

    def finding(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        span: tuple[int, int] | None = None,
        severity: Severity = "error",
    ) -> Finding:
        """Make a finding about the expression, or about the stretch `span` (offsets into `text`) of it."""
        start, end = span or (0, len(self.text))
        place = (self.start + start, self.start + end)
        return self.scalar.finding(code, message, hint, severity=severity, span=place)

    @property
    def path(self) -> str:
        return self.scalar.source.path


@dataclass(frozen=True, slots=True)
class Fixed:
    """A literal: JSON's value, the same for every record."""

    value: Any


@dataclass(frozen=True, slots=True)
class Computed:
    """One `${ }` that stands alone: the result keeps its type."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class MixedText:
    """Literals and expressions mixed: the result is text."""

    label: str
    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping of the file, its keys literal."""

    entries: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Elements:
    """A list of the file."""

    values: tuple[Value, ...]


Value = Fixed | Computed | MixedText | Fields | Elements


def expressions_in(value: Value | Expression | None) -> Iterator[Expression]:
    """Every expression in a value, in order."""
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, Computed):
        yield value.expression
    elif isinstance(value, MixedText):
        yield from (part for part in value.parts if isinstance(part, Expression))
    elif isinstance(value, Fields):
        for _name, part in value.entries:
            yield from expressions_in(part)
    elif isinstance(value, Elements):
        for part in value.values:
            yield from expressions_in(part)


@dataclass(frozen=True, slots=True)
class AttachmentRule:
    """One attachment of a list in the file."""

    url: Value
    filename: Value | None
    ignore_if_error: Value | None


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A topic's name, or `/regex/` that must match a whole name."""

    text: str
    matches: Callable[[str], bool] = field(repr=False, compare=False)
    literal: bool


@dataclass(frozen=True, slots=True)
class TopicRule:
    """How the topics of one entry under `topics` are read."""

    pattern: TopicPattern | None
    """None: the reading of topics that a file does not name."""
    decode: Decode = "json"
    key_json: bool = False
    snapshot: bool = False
    unmatched_dead_letter: bool = False
    key: Scalar | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with its file's defaults merged in.

    `identity` is what its default keys are made from: `was`, or the name. `events` are all names that its events can
    have. `properties` are layers, each over the one before.
    """

    name: str
    identity: str
    description: str
    topics: tuple[TopicPattern, ...]
    when: Expression | None
    for_each: Expression | None
    max_fan_out: int
    event: Value
    events: tuple[str, ...]
    distinct_id: Value
    tenant_id: Value | None
    idempotency_key: Value | None
    properties: tuple[Fields | Computed, ...]
    attachments: Computed | tuple[AttachmentRule, ...]
    drop_nulls: bool
    on_error: OnError
    max_age_ms: int | None
    final: bool
    enabled: bool
    node: MappingNode = field(repr=False, compare=False)
    """The rule as written: for its place, and the place of each of its keys."""
    expressions: tuple[Expression, ...] = field(repr=False, compare=False)
    """Every expression of it, those of the defaults that it uses included."""

    def place(self, key: str) -> YamlNode:
        """Return where the rule has a key, or the rule where it has it not."""
        node = self.node.get(key)
        return self.node if node is None else node

    def selects(self, topic: str) -> bool:
        return any(pattern.matches(topic) for pattern in self.topics)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file of rules, in order."""

    path: str
    source: Source = field(repr=False, compare=False)
    topics: tuple[TopicRule, ...]
    rules: tuple[Rule, ...]
    whole: bool = True
    """False where something in the file is wrong, so that rules may be missing."""

    def reading(self, topic: str) -> TopicRule:
        """Return how this file reads a topic: the entry with its name, else the first pattern, else JSON."""
        matching = [entry for entry in self.topics if entry.pattern is not None and entry.pattern.matches(topic)]
        named = (entry for entry in matching if entry.pattern is not None and entry.pattern.literal)
        return next(named, matching[0] if matching else _UNNAMED)

    def names(self, topic: str) -> bool:
        """Say whether `topics` of this file has an entry for the topic."""
        return self.reading(topic) is not _UNNAMED


_UNNAMED = TopicRule(None)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rule files of a directory, in order; `hash` is the same for the same files on every machine."""

    files: tuple[RuleFile, ...]
    hash: str

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for file in self.files for rule in file.rules)
