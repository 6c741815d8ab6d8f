"""Every event that the rules can make: the contract with those who write the templates. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bridge.jq.builtins.table import ANY
from bridge.jq.runtime.values import type_name
from bridge.jq.syntax.nodes import Call, Literal, Node, Object, Pipe
from bridge.rules.lint.contexts import Placed, placed
from bridge.rules.lint.signatures import Types
from bridge.rules.lint.types import Around, types_of
from bridge.rules.model import Computed, Elements, Expression, Fields, Fixed, MixedText, Rule, RuleFile, RuleSet, Value
from bridge.rules.tools.explain import written

__all__ = ["MadeEvent", "Property", "inventory"]


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an event. `types` are JSON's names for what it can be; all of them where that is not known."""

    name: str
    types: tuple[str, ...]
    optional: bool
    """Whether it may be left out."""
    text: str
    """What the rule says."""

    @property
    def kind(self) -> str:
        """The types in a word or some."""
        missing = sorted(ANY.difference(self.types))
        if len(missing) < 2:
            return "any" if not missing else f"any but {missing[0]}"
        return " | ".join(self.types)


@dataclass(frozen=True, slots=True)
class MadeEvent:
    """One event of one rule."""

    event: str
    rule: str
    description: str
    file: str
    line: int
    topics: tuple[str, ...]
    distinct_id: str
    tenant_id: str | None
    properties: tuple[Property, ...]
    more: bool
    """Whether properties may come whose names are only known at run time."""
    attachments: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "event": self.event,
            "rule": self.rule,
            "description": self.description,
            "file": self.file,
            "line": self.line,
            "topics": list(self.topics),
            "distinct_id": self.distinct_id,
            "tenant_id": self.tenant_id,
            "properties": {
                one.name: {"types": list(one.types), "optional": one.optional, "from": one.text}
                for one in self.properties
            },
            "more_properties": self.more,
            "attachments": self.attachments,
        }


def inventory(rules: RuleSet) -> list[MadeEvent]:
    """List the events of all rules that are switched on, by name and then in the order of the rules."""
    found = [made for file in rules.files for rule in file.rules if rule.enabled for made in _of_rule(file, rule)]
    return sorted(found, key=lambda made: made.event)


def _of_rule(file: RuleFile, rule: Rule) -> Iterator[MadeEvent]:
    places = {id(place.expression): place for place in placed(file, rule)}
    properties: dict[str, Property] = {}
    more = False
    for layer in rule.properties:
        if isinstance(layer, Fields):
            found = {name: _property(name, value, places) for name, value in layer.entries}
        else:
            found, is_open = _of_object(layer.expression, places[id(layer.expression)])
            more = more or is_open
        properties |= {name: one for name, one in found.items() if one is not None}
        for name in [name for name, one in found.items() if one is None]:
            properties.pop(name, None)
    for event in rule.events:
        yield MadeEvent(
            event=event,
            rule=rule.name,
            description=" ".join(rule.description.split()),
            file=file.path,
            line=rule.node.start.line,
            topics=tuple(pattern.text for pattern in rule.topics),
            distinct_id=written(rule.distinct_id),
            tenant_id=None if rule.tenant_id is None else written(rule.tenant_id),
            properties=tuple(properties.values()),
            more=more,
            attachments=bool(rule.attachments),
        )


def _property(name: str, value: Value, places: dict[int, Placed]) -> Property | None:
    """Describe one property; None for one that is always left out."""
    if isinstance(value, Computed):
        place = places[id(value.expression)]
        types = types_of(value.expression.program.node, place.given, place.around, lambda _remark: None)
        return None if not types else Property(name, _named(types), not value.expression.program.single, written(value))
    kinds = {MixedText: "string", Fields: "object", Elements: "array"}
    kind = type_name(value.value) if isinstance(value, Fixed) else kinds[type(value)]
    return Property(name, (kind,), optional=False, text=written(value))


def _named(types: Types) -> tuple[str, ...]:
    return tuple(name for name in ("string", "number", "boolean", "array", "object", "null") if name in types)


def _of_object(expression: Expression, place: Placed) -> tuple[dict[str, Property | None], bool]:
    """The keys of an object that one expression makes, and whether it may have others."""
    made = _object(expression.program.node, place.given, place.around)
    if made is None:
        return {}, True
    node, given, around, text = made
    found: dict[str, Property | None] = {}
    is_open = False
    for key, value in node.entries:
        if not isinstance(key, Literal):
            is_open = True
            continue
        types = types_of(value, given, around, lambda _remark: None)
        shown = expression.text[value.start : value.end] if text else "…"
        found[str(key.value)] = Property(str(key.value), _named(types or ANY), optional=False, text=shown)
    return found, is_open


def _object(node: Node, given: Types, around: Around) -> tuple[Object, Types, Around, bool] | None:
    """Find the object that an expression makes, through pipes and the file's own functions; or None.

    The last of the answer says whether the object stands in the expression's own text.
    """
    text = True
    for _ in range(10):
        if isinstance(node, Object):
            return node, given, around, text
        if isinstance(node, Pipe):
            given = types_of(node.left, given, around, lambda _remark: None) or ANY
            node = node.right
        elif isinstance(node, Call) and not node.args and (function := around.functions.get(node.key)) is not None:
            node, text = function.body, False
        else:
            return None
    return None
