"""The parts of a rule, each ready to be evaluated on its own: conditions of `when`, and every value of an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from bridge.jq import JqError, JqProblem, Program, compile_program
from bridge.jq.syntax.nodes import Binary, Literal as Constant, Logic, Node
from bridge.rules.map.faults import MapError
from bridge.rules.map.scope import VARIABLES, Scope
from bridge.rules.map.slow_path import NOTHING, maker
from bridge.rules.model import AttachmentRule, Computed, Expression, Fields, Fixed, Items, Rule, Text, Value

__all__ = ["Condition", "Part", "Seen", "conditions_of", "errors_of", "parts_of", "written"]

Outcome = Literal["value", "null", "nothing", "error"]


class Seen(NamedTuple):
    """What one part came out as. `value` is NOTHING where there is none; `error` says why."""

    label: str
    text: str
    outcome: Outcome
    value: Any
    error: str | None = None


class Part(NamedTuple):
    """A value of an event: its name (`properties.amount`), what the rule says, and what makes it."""

    label: str
    text: str
    see: Callable[[Scope], Seen]


class Condition(NamedTuple):
    """A part of `when` between `and` and `or`; `operand` is the side of a comparison that is not written out."""

    text: str
    program: Program
    operand: tuple[str, Program] | None


def errors_of(error: Exception) -> str:
    """Say what an author may see, of his own record: jq's own words, the record's values among them."""
    return error.message if isinstance(error, MapError) else str(error) or "an error without a message"


def parts_of(rule: Rule) -> list[Part]:
    """List what makes an event of a rule, in the rule's order."""
    parts = [_part("event", rule.event), _part("distinct_id", rule.distinct_id)]
    for label, value in (("tenant_id", rule.tenant_id), ("idempotency_key", rule.idempotency_key)):
        if value is not None:
            parts.append(_part(label, value))
    for layer in rule.properties:
        if isinstance(layer, Computed):
            parts.append(_part("properties", layer))
        else:
            parts += [_part(f"properties.{name}", value) for name, value in layer.entries]
    if isinstance(rule.attachments, Computed):
        return [*parts, _part("attachments", rule.attachments)]
    return [*parts, *(part for number, item in enumerate(rule.attachments) for part in _attachment(number, item))]


def _attachment(number: int, item: AttachmentRule) -> Iterator[Part]:
    values = (("url", item.url), ("filename", item.filename), ("ignore_if_error", item.ignore_if_error))
    for name, value in values:
        if value is not None:
            yield _part(f"attachments[{number}].{name}", value)


def _part(label: str, value: Value) -> Part:
    text = written(value)
    make = maker(value)
    alone = value.expression if isinstance(value, Computed) else None

    def see(scope: Scope) -> Seen:
        try:
            made = make(scope)
        except MapError as error:
            return Seen(label, text, "error", NOTHING, _own_words(alone, scope, error))
        if made is NOTHING:
            return Seen(label, text, "nothing", NOTHING)
        return Seen(label, text, "null" if made is None else "value", made)

    return Part(label, text, see)


def _own_words(expression: Expression | None, scope: Scope, error: MapError) -> str:
    """The error in jq's words where one expression is all there is; the mapper's leave out what a record holds."""
    if expression is not None and error.code == "expression_failed":
        try:
            list(expression.program.run(scope.value, scope.args, scope.budget))
        except JqError as problem:
            return str(problem)
    return error.message


def written(value: Value) -> str:
    """Write a value as the rule says it: literals as they are, expressions in `${ }`."""
    if isinstance(value, Fixed):
        return value.value if isinstance(value.value, str) else _json(value.value)
    if isinstance(value, Computed):
        return f"${{ {value.expression.text.strip()} }}"
    if isinstance(value, Text):
        return "".join(part if isinstance(part, str) else f"${{ {part.text.strip()} }}" for part in value.parts)
    if isinstance(value, Fields):
        return "{" + ", ".join(f"{name}: {written(part)}" for name, part in value.entries) + "}"
    assert isinstance(value, Items)
    return "[" + ", ".join(written(part) for part in value.values) + "]"


def _json(value: Any) -> str:
    from bridge.jq import tojson_text

    return tojson_text(value)


def conditions_of(when: Expression) -> list[Condition]:
    """Take `when` apart at its `and`s and `or`s."""
    return [_condition(when, node) for node in _leaves(when.program.node)]


def _leaves(node: Node) -> Iterator[Node]:
    if isinstance(node, Logic):
        yield from _leaves(node.left)
        yield from _leaves(node.right)
    else:
        yield node


def _condition(when: Expression, node: Node) -> Condition:
    operand = None
    if isinstance(node, Binary):
        sides = [side for side in (node.left, node.right) if not isinstance(side, Constant)]
        if len(sides) == 1:
            compiled = _compiled(when, sides[0])
            operand = None if compiled is None else (_text(when, sides[0]), compiled)
    return Condition(_text(when, node), _compiled(when, node) or when.program, operand)


def _text(when: Expression, node: Node) -> str:
    from bridge.rules.lint.contexts import balanced

    start, end = balanced(when.text, node.start, node.end)
    return " ".join(when.text[start:end].split())


def _compiled(when: Expression, node: Node) -> Program | None:
    try:
        return compile_program(node, variables=VARIABLES, defs=when.defs)
    except JqProblem:
        return None
