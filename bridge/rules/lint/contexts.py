"""Every expression of a rule with what is known around it: what its input is, and what its result must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from bridge.findings import Codes, Finding, FindingCode
from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NULL, NUMBER, OBJECT, STRING
from bridge.jq.syntax.nodes import Call, Node, Pipe
from bridge.rules.lint.signatures import Types
from bridge.rules.lint.types import Around, Remark, kinds, types_of
from bridge.rules.model import Computed, Elements, Expression, Fields, MixedText, Rule, RuleFile, Value
from bridge.rules.read.keys import RULE, EventText, Key, texts_of

__all__ = ["CODES", "Placed", "balanced", "placed", "type_findings"]

CODES: Final[Codes] = {
    "R036": FindingCode(
        "A part of an expression that can only fail.",
        "Write what the message asks for.",
        "properties: {count: '${ \"count: \" + 1 }'}",
    ),
    "R037": FindingCode(
        "An expression whose result can never be sent there.",
        "Make it the type that the message names.",
        "when: .items | length",
    ),
    "R050": FindingCode(
        "A comparison that always has the same result, or arithmetic with a number in quotes.",
        "Use values of one type: numbers without quotes.",
        'when: .total > "100"',
        severity="warning",
    ),
}

_INPUTS: Final[dict[str, Types]] = {"string": STRING, "bytes": STRING, "cloudevents": OBJECT, "debezium": OBJECT}
_TEXT: Final = STRING | NUMBER
_PART: Final = STRING | NUMBER | BOOLEAN


class Placed(NamedTuple):
    """One expression of a rule. `wanted` are the types that its result may have; `needed`: it may not be nothing."""

    expression: Expression
    given: Types
    around: Around
    wanted: Types
    needed: bool = False
    alone: bool = True
    """False in the middle of text."""

    def shown(self, node: Node) -> str:
        """The text of a part, with the ( ) that belong to it."""
        start, end = balanced(self.expression.text, node.start, node.end)
        return self.expression.text[start:end]

    def finding(
        self, code: str, start: int, end: int, message: str, hint: str | None = None, *, warning: bool = False
    ) -> Finding:
        """Make a finding about the text between two offsets of the expression."""
        span = balanced(self.expression.text, start, end)
        return self.expression.finding(code, message, hint, severity="warning" if warning else "error", span=span)


def balanced(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a stretch of a text to the ( ) around its first and last operand, which belong to no node."""
    part = text[start:end]
    missing = part.count("(") - part.count(")")
    while missing < 0 and text[:start].rstrip().endswith("("):
        start = len(text[:start].rstrip()) - 1
        missing += 1
    while missing > 0 and text[end:].lstrip().startswith(")"):
        end = len(text) - len(text[end:].lstrip()) + 1
        missing -= 1
    return start, end


def _type_of(key: Key) -> Types:
    return _TEXT if isinstance(key.kind, EventText) and key.kind.integers else STRING


def placed(file: RuleFile, rule: Rule) -> list[Placed]:
    """List the expressions of a rule, in its order."""
    return list(_Places(file, rule).all())


class _Places:
    def __init__(self, file: RuleFile, rule: Rule) -> None:
        self._rule = rule
        self._file = file
        self._given = _given(file, rule)

    def all(self) -> Iterator[Placed]:
        rule = self._rule
        if rule.when is not None:
            yield self._place(rule.when, BOOLEAN | NULL)
        if rule.for_each is not None:
            yield self._place(rule.for_each, ANY - ARRAY)
        for name, value in texts_of(rule):
            yield from self._value(value, _type_of(RULE[name]), needed=RULE[name].needed)
        for layer in rule.properties:
            yield from self._value(layer, OBJECT)
        yield from self._attachments()

    def _attachments(self) -> Iterator[Placed]:
        attachments = self._rule.attachments
        if isinstance(attachments, Computed):
            yield from self._value(attachments, ARRAY | NULL)
            return
        for item in attachments:
            yield from self._value(item.url, STRING)
            yield from self._value(item.filename, _TEXT)
            yield from self._value(item.ignore_if_error, BOOLEAN)

    def _value(self, value: Value | None, wanted: Types, *, needed: bool = False) -> Iterator[Placed]:
        if isinstance(value, Computed):
            yield self._place(value.expression, wanted, needed=needed)
        elif isinstance(value, MixedText):
            for part in value.parts:
                if isinstance(part, Expression):
                    yield self._place(part, _PART, needed=True, alone=False)
        elif isinstance(value, Fields):
            for _name, entry in value.entries:
                yield from self._value(entry, ANY)
        elif isinstance(value, Elements):
            for entry in value.values:
                yield from self._value(entry, ANY)

    def _place(self, expression: Expression, wanted: Types, *, needed: bool = False, alone: bool = True) -> Placed:
        functions = {} if expression.defs is None else {one.key: one for one in expression.defs.functions}
        return Placed(expression, self._given, Around(self._variables(), dict(functions)), wanted, needed, alone)

    def _variables(self) -> dict[str, Types]:
        keys_json = any(entry.key_json for entry in self._file.topics)
        return {
            "key": ANY if keys_json else STRING | NULL,
            "headers": OBJECT,
            "topic": STRING,
            "partition": NUMBER,
            "offset": NUMBER,
            "timestamp": NUMBER | NULL,
            "tombstone": BOOLEAN,
            "item": ANY - ARRAY,
            "index": NUMBER,
        }


def _given(file: RuleFile, rule: Rule) -> Types:
    """Return what `.` can be, by the decoders of the rule's topics."""
    found: Types = frozenset()
    for pattern in rule.topics:
        if not pattern.literal:
            return ANY
        found |= _INPUTS.get(file.reading(pattern.text).decode, ANY)
    tombstones = any("tombstone" in expression.reads for expression in rule.expressions)
    return found | NULL if tombstones else found


def type_findings(place: Placed) -> Iterator[Finding]:
    """Find what can only fail in an expression, and a result that can never be sent where it stands."""
    remarks: list[Remark] = []
    types = types_of(place.expression.program.node, place.given, place.around, remarks.append)
    for remark in remarks:
        code = "R036" if remark.fails else "R050"
        yield place.finding(code, remark.start, remark.end, remark.message, remark.hint, warning=not remark.fails)
    if any(remark.fails for remark in remarks):
        return
    node = place.expression.program.node
    label = place.expression.label
    if not types and place.needed:
        yield place.finding("R037", node.start, node.end, f"{label} never has a value here", "write a path, or a text")
    elif types and not types & place.wanted:
        message = f"{label} is always {kinds(types)} here, and must be {kinds(place.wanted - NULL)}"
        if label == "for_each":
            message = "for_each gives an array, which is one item"
        yield place.finding("R037", node.start, node.end, message, _advice(label, types, place, node))


def _advice(label: str, types: Types, place: Placed, node: Node) -> str | None:
    if label == "when":
        last = node
        while isinstance(last, Pipe):
            last = last.right
        if isinstance(last, Call) and last.name in ("match", "capture", "scan"):
            return "write `test(…)`: it says whether a pattern matches"
        if types == NUMBER:
            return "compare it, for example `(…) > 0`"
        return 'compare it, for example `… == "…"`, or `… != null`'
    if label == "for_each":
        return "write `[]` behind it: each element becomes an event"
    if types == NULL:
        return 'write a path, or a text such as `"none"`'
    if label == "distinct_id" and types == ARRAY:
        return "for an event each use for_each; for one of them write `first(…)`"
    if place.wanted & STRING:
        return "write a path into it" if types & (ARRAY | OBJECT) else "write `(… | tostring)`"
    if "array" in place.wanted:
        return "write `[ ]` around it: a list of `{url, filename}`"
    return "make an object: `{name: …}`" if place.wanted == OBJECT else "write true or false, or compare something"
