"""What one record becomes, and why: every rule of its topic, every condition, every value, every event.

The events come from the mapper that `run` uses, of the rules together and of each alone; the conditions of `when` and the
values of an event are evaluated on their own beside it. Pure; for the author's own eyes: errors quote the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from bridge.flow import Event, Fault, MappingContext, Record
from bridge.jq import EvalBudget, JqError, JqProblem, Program, compile_program
from bridge.jq.syntax.nodes import Binary, Literal as Constant, Logic, Node
from bridge.rules.map.decode import SNAPSHOT, decoder, readable_headers
from bridge.rules.map.faults import MapError
from bridge.rules.map.mapping import RuleMapper, compile_mapping, rule_mapper
from bridge.rules.map.scope import VARIABLES, Args, RecordScope, args_maker
from bridge.rules.map.slow_path import NOTHING, maker, unreadable
from bridge.rules.model import (
    AttachmentRule,
    Computed,
    Elements,
    Expression,
    Fields,
    Fixed,
    MixedText,
    Rule,
    RuleFile,
    RuleSet,
    Value,
)
from bridge.rules.name_patterns import recipient_filter

__all__ = [
    "Condition",
    "Explained",
    "Explainer",
    "FileSeen",
    "ItemSeen",
    "Part",
    "PartSeen",
    "RuleSeen",
    "Tested",
    "conditions_of",
    "errors_of",
    "parts_of",
    "written",
]

PartOutcome = Literal["value", "null", "nothing", "error"]


class PartSeen(NamedTuple):
    """What one part came out as. `value` is NOTHING where there is none; `error` says why."""

    label: str
    text: str
    outcome: PartOutcome
    value: Any
    error: str | None = None


class Part(NamedTuple):
    """A value of an event: its name (`properties.amount`), what the rule says, and what makes it."""

    label: str
    text: str
    see: Callable[[RecordScope], PartSeen]


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

    def see(scope: RecordScope) -> PartSeen:
        try:
            made = make(scope)
        except MapError as error:
            return PartSeen(label, text, "error", NOTHING, _own_words(alone, scope, error))
        if made is NOTHING:
            return PartSeen(label, text, "nothing", NOTHING)
        return PartSeen(label, text, "null" if made is None else "value", made)

    return Part(label, text, see)


def _own_words(expression: Expression | None, scope: RecordScope, error: MapError) -> str:
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
    if isinstance(value, MixedText):
        return "".join(part if isinstance(part, str) else f"${{ {part.text.strip()} }}" for part in value.parts)
    if isinstance(value, Fields):
        return "{" + ", ".join(f"{name}: {written(part)}" for name, part in value.entries) + "}"
    assert isinstance(value, Elements)
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


State = Literal["fired", "did not fire", "failed", "not reached", "switched off"]
_EVERY_VARIABLE: Final = frozenset(VARIABLES)


class Tested(NamedTuple):
    """One condition of `when` on one record; `operand` is what a comparison looked at."""

    text: str
    value: Any
    error: str | None
    operand: tuple[str, Any] | None


class ItemSeen(NamedTuple):
    """One event that was to be made: of the record, or of one output of `for_each`."""

    number: int | None
    """The item's place in the fan-out, from 0; None without one."""
    item: Any
    parts: tuple[PartSeen, ...]
    result: Event | Fault | None
    scope: RecordScope
    """What its expressions saw."""


class RuleSeen(NamedTuple):
    """One rule and one record. `why` says why it was not reached; `fault` what failed before any item."""

    rule: Rule
    state: State
    why: str | None
    conditions: tuple[Tested, ...]
    items: tuple[ItemSeen, ...]
    fault: Fault | None
    scope: RecordScope | None = None
    """What `when` and `for_each` saw, if the rule was reached."""


class FileSeen(NamedTuple):
    """One file of rules and one record: how it was read, and what its rules made of it."""

    path: str
    decode: str
    value: Any
    fault: Fault | None
    filtered: str | None
    """Why no rule saw it, though it could be read."""
    rules: tuple[RuleSeen, ...]


class Explained(NamedTuple):
    """Everything about one record."""

    record: Record
    files: tuple[FileSeen, ...]
    results: tuple[Event | Fault, ...]
    """What the record becomes, as the mapper of `run` says it."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A rule made ready for one topic."""

    rule: Rule
    run: RuleMapper
    conditions: tuple[Condition, ...]
    parts: tuple[Part, ...]
    for_tombstones: bool


@dataclass(frozen=True, slots=True)
class _View:
    """One file made ready for one topic."""

    file: RuleFile
    decode: str
    snapshot: bool
    key_json: bool
    rules: tuple[_Ready, ...]


class Explainer:
    """Explains records of one topic; what can be made ready is, once. One thread.

    Raises ValueError for an entry of `context.only_recipients` that is no pattern.
    """

    def __init__(self, rules: RuleSet, topic: str, context: MappingContext) -> None:
        self._mapper = compile_mapping(rules, context).mapper(topic)
        self._topic = topic
        self._context = context
        self._allowed = recipient_filter(context.only_recipients)
        self._views = tuple(view for file in rules.files if (view := self._view(file)).rules or file.names(topic))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are for the topic."""
        return tuple(ready.rule for view in self._views for ready in view.rules)

    def _view(self, file: RuleFile) -> _View:
        reading = file.reading(self._topic)
        rules = tuple(self._ready(rule) for rule in file.rules if rule.selects(self._topic))
        return _View(file, reading.decode, reading.snapshot, reading.key_json, rules)

    def _ready(self, rule: Rule) -> _Ready:
        return _Ready(
            rule,
            rule_mapper(rule, self._topic, self._context, self._allowed),
            () if rule.when is None else tuple(conditions_of(rule.when)),
            tuple(parts_of(rule)),
            any("tombstone" in expression.reads for expression in rule.expressions),
        )

    def explain(self, record: Record) -> Explained:
        """Look at one record in full. Never raises for any record."""
        keys: set[str] = set()
        files = tuple(self._file(view, record, keys) for view in self._views)
        return Explained(record, files, tuple(self._mapper(record)))

    def _file(self, view: _View, record: Record, keys: set[str]) -> FileSeen:
        path, data = view.file.path, record.value()
        value = None
        try:
            if data is not None:
                value = decoder(view.decode, snapshot=view.snapshot)(data, record)  # type: ignore[arg-type]
            unwrap = view.decode == "debezium"
            args = args_maker(_variables(view, record), key_json=view.key_json, unwrap_key=unwrap)(record)
        except MapError as error:
            return FileSeen(path, view.decode, NOTHING, unreadable(error, ()), None, ())
        if value is SNAPSHOT:
            return FileSeen(path, view.decode, NOTHING, None, "a record of a Debezium snapshot (`snapshot: true`)", ())
        seen: list[RuleSeen] = []
        stopped: str | None = None
        for ready in view.rules:
            found = self._rule(ready, value, args, record, keys, stopped)
            seen.append(found)
            if found.state == "fired" and ready.rule.final and stopped is None:
                stopped = ready.rule.name
        return FileSeen(path, view.decode, value, None, None, tuple(seen))

    def _rule(
        self, ready: _Ready, value: Any, args: Args, record: Record, keys: set[str], stopped: str | None
    ) -> RuleSeen:
        rule = ready.rule
        if not rule.enabled:
            return RuleSeen(rule, "switched off", "enabled: false", (), (), None)
        if stopped is not None:
            return RuleSeen(rule, "not reached", f"the rule {stopped} before it is final", (), (), None)
        if record.value() is None and not ready.for_tombstones:
            return RuleSeen(rule, "not reached", "a tombstone, and the rule does not name $tombstone", (), (), None)
        taken, results = ready.run(value, args, record, keys)
        scope = RecordScope(value, args, EvalBudget())
        conditions = tuple(_tested(condition, scope) for condition in ready.conditions)
        if not taken:
            state: State = "failed" if results else "did not fire"
            return RuleSeen(rule, state, None, conditions, (), results[0] if results else None, scope)  # type: ignore[arg-type]
        first = results[0] if len(results) == 1 else None
        if rule.for_each is not None and isinstance(first, Fault) and first.item is None:
            return RuleSeen(rule, "fired", None, conditions, (), first, scope)
        return RuleSeen(rule, "fired", None, conditions, _items(ready, scope, results), None, scope)


def _variables(view: _View, record: Record) -> frozenset[str]:
    """What is shown: all, save headers that cannot be read and that no rule asks for, as it is mapped all the same."""
    reads = {
        name for ready in view.rules if ready.rule.enabled for part in ready.rule.expressions for name in part.reads
    }
    if "headers" in reads:
        return _EVERY_VARIABLE
    try:
        readable_headers(record)
    except MapError:
        return _EVERY_VARIABLE - {"headers"}
    return _EVERY_VARIABLE


def _tested(condition: Condition, scope: RecordScope) -> Tested:
    operand = None
    if condition.operand is not None:
        text, program = condition.operand
        try:
            operand = (text, _first(list(program.run(scope.value, scope.args, EvalBudget()))))
        except JqError:
            operand = None
    try:
        value = _first(list(condition.program.run(scope.value, scope.args, EvalBudget())))
    except JqError as error:
        return Tested(condition.text, NOTHING, errors_of(error), operand)
    return Tested(condition.text, value, None, operand)


def _first(outputs: list[Any]) -> Any:
    return outputs[0] if outputs else NOTHING


def _items(ready: _Ready, scope: RecordScope, results: list[Event | Fault]) -> tuple[ItemSeen, ...]:
    for_each = ready.rule.for_each
    if for_each is None:
        return (_item(ready, scope, None, None, results[0] if results else None),)
    items = list(for_each.program.run(scope.value, scope.args, EvalBudget()))
    return tuple(
        _item(ready, scope.for_item(item, number), number, item, result)
        for number, (item, result) in enumerate(zip(items, results, strict=True))
    )


def _item(ready: _Ready, scope: RecordScope, index: int | None, item: Any, result: Event | Fault | None) -> ItemSeen:
    parts = []
    for part in ready.parts:
        scope.budget.reset()
        parts.append(part.see(scope))
    return ItemSeen(index, item, tuple(parts), result, scope)
