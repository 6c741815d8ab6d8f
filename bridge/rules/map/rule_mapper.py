"""One rule, compiled: a record's value → its events and faults. The general path, right for every record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.flow import Event, Fault, MappingContext, OnError, Record
from bridge.jq import Budget
from bridge.rules.map.event_maker import Allowed, Coordinates, Numbering, event_maker
from bridge.rules.map.faults import FAULTS, MapError
from bridge.rules.map.makers import kind_of, outputs, where
from bridge.rules.map.scope import Args, Scope
from bridge.rules.model import Rule

__all__ = ["RuleMapper", "rule_mapper"]


RuleMapper = Callable[[Any, Args, Record, list[Event | Fault], set[str]], bool]
"""`(value, args, record, results, keys)`: adds what a rule makes of a record to `results`, and its custom keys to `keys`.

Returns whether the rule's `when` was true. Raises nothing that a record can cause.
"""


def rule_mapper(rule: Rule, topic: str, context: MappingContext, allowed: Allowed) -> RuleMapper:
    """Compile one rule for one topic; `allowed` says whether a recipient may get events."""
    when = _when(rule)
    items = _items(rule)
    make_event = event_maker(rule, topic, context, allowed)
    fans_out = rule.for_each is not None

    def run(value: Any, args: Args, record: Record, results: list[Event | Fault], keys: set[str]) -> bool:
        scope = Scope(value, args, Budget())
        try:
            if not when(scope):
                return False
        except MapError as problem:
            results.append(_fault(rule, problem, None))
            return False
        place = (record.partition(), record.offset(), record.timestamp()[1])
        fan_out(scope, place, results, keys)
        return True

    def fan_out(scope: Scope, place: Coordinates, results: list[Event | Fault], keys: set[str]) -> None:
        try:
            scopes = items(scope)
        except MapError as problem:
            results.append(_fault(rule, problem, None))
            return
        numbering: Numbering = {}
        for index, item in enumerate(scopes):
            try:
                results.append(make_event(item, place, numbering, keys))
            except MapError as problem:
                results.append(_fault(rule, problem, index if fans_out else None))

    return run


def _fault(rule: Rule, problem: MapError, item: int | None) -> Fault:
    on_error: OnError = "drop" if problem.code == "recipient_not_allowed" else rule.on_error
    key = None if item is None else problem.key
    return Fault(rule.name, FAULTS[problem.code].stage, problem.code, problem.message, item, on_error, item_key=key)


def _when(rule: Rule) -> Callable[[Scope], bool]:
    expression = rule.when
    if expression is None:
        return lambda _scope: True
    make = outputs(expression)

    def when(scope: Scope) -> bool:
        made = make(scope)
        if not made:
            return False
        if len(made) > 1:
            message = f"{where(expression)} gave {len(made)} values where one is wanted; use any(…) or all(…)."
            raise MapError("several_outputs", message)
        if made[0] is True:
            return True
        if made[0] is False or made[0] is None:
            return False
        raise MapError("when_type", f"{where(expression)} gave {kind_of(made[0])}, not true or false; compare it.")

    return when


def _items(rule: Rule) -> Callable[[Scope], list[Scope]]:
    expression = rule.for_each
    if expression is None:
        return lambda scope: [scope]
    make = outputs(expression)

    def items(scope: Scope) -> list[Scope]:
        made = make(scope)
        if any(isinstance(item, list) for item in made):
            message = f"{where(expression)} gave a list as one item; write [] behind it, as in .mentions[]."
            raise MapError("fan_out_list", message)
        if len(made) > rule.max_fan_out:
            message = f"{where(expression)} gave {len(made)} items; max_fan_out is {rule.max_fan_out}."
            raise MapError("fan_out_too_large", message)
        return [scope.for_item(item, index) for index, item in enumerate(made)]

    return items
