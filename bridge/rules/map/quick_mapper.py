"""A rule's generated function with the general path behind it, for whatever it was not made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.flow import Event, Fault, Record
from bridge.rules.map.fast import FanOut, Fast, Straight
from bridge.rules.map.fast_values import Again
from bridge.rules.map.rule_mapper import RuleMapper
from bridge.rules.map.scope import Args
from bridge.rules.model import Rule

__all__ = ["quick_mapper"]


def quick_mapper(rule: Rule, general: RuleMapper, fast: Fast | None) -> RuleMapper:
    """Join the two; `general` alone where there is no generated function."""
    if fast is None:
        return general
    if isinstance(fast, FanOut):
        return _fanning_out(rule, general, fast)
    if rule.idempotency_key is not None:
        return _with_own_key(general, fast)
    return _straight(general, fast)


def _straight(general: RuleMapper, fast: Straight) -> RuleMapper:
    make, reset = fast.make, fast.reset

    def run(value: Any, args: Args, record: Record, results: list[Event | Fault], keys: set[str]) -> bool:
        try:
            event = make(value, args, record)
        except Exception:  # noqa: BLE001 - whatever it is, the general path says it
            reset()
            return general(value, args, record, results, keys)
        if event is None:
            return False
        results.append(event)
        return True

    return run


def _with_own_key(general: RuleMapper, fast: Straight) -> RuleMapper:
    make, reset = fast.make, fast.reset

    def run(value: Any, args: Args, record: Record, results: list[Event | Fault], keys: set[str]) -> bool:
        try:
            event = make(value, args, record)
            if event is None:
                return False
            _claim(event.key, keys)
        except Exception:  # noqa: BLE001 - as above
            reset()
            return general(value, args, record, results, keys)
        results.append(event)
        return True

    return run


def _claim(key: str, keys: set[str]) -> None:
    if key in keys:
        raise Again
    keys.add(key)


def _fanning_out(rule: Rule, general: RuleMapper, fast: FanOut) -> RuleMapper:
    items_of, make, reset = fast.items, fast.make, fast.reset
    own_keys = rule.idempotency_key is not None

    def run(value: Any, args: Args, record: Record, results: list[Event | Fault], keys: set[str]) -> bool:
        try:
            items = items_of(value, args)
            if items is None:
                return False
            events = _events(make, items, rule.max_fan_out, value, args, record)
            if own_keys:
                _claim_all([event.key for event in events], keys)
        except Exception:  # noqa: BLE001 - as above
            reset()
            return general(value, args, record, results, keys)
        results += events
        return True

    return run


def _events(
    make: Callable[..., Event], items: list[Any], most: int, value: Any, args: Args, record: Record
) -> list[Event]:
    if len(items) > most or list in map(type, items):
        raise Again
    seen: dict[tuple[str, str], int] = {}
    return [make(value, args, record, item, number, seen) for number, item in enumerate(items)]


def _claim_all(made: list[str], keys: set[str]) -> None:
    if len(set(made)) < len(made) or not keys.isdisjoint(made):
        raise Again
    keys.update(made)
