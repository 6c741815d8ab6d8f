"""Values of a rule → functions that make them for a record: the general path, right for every rule and record.

A maker takes a Scope and returns a JSON value, or NOTHING where an expression yields nothing. It raises MapError,
and nothing else, for what a record does to it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import PurePath
from typing import Any

from bridge.jq import BudgetExceeded, JqError, number_text
from bridge.jq.runtime.support import NOTHING
from bridge.rules.map.faults import MapError
from bridge.rules.map.reasons import plain_reason
from bridge.rules.map.scope import Scope
from bridge.rules.model import Computed, Expression, Fields, Fixed, Items, Text, Value, expressions_in

__all__ = ["NOTHING", "Maker", "TextMaker", "kind_of", "maker", "optional_text", "outputs", "required_text", "where"]

Maker = Callable[[Scope], Any]
TextMaker = Callable[[Scope], str]

_KINDS = {type(None): "null", bool: "a boolean", str: "text", list: "an array", dict: "an object"}


def kind_of(value: Any) -> str:
    """Name the type of a value for a message."""
    return _KINDS.get(type(value), "a number")


def where(expression: Expression) -> str:
    """Name an expression and its place for a message: ``properties.amount (shop.yaml:12:20)``."""
    place = expression.place()
    return f"{expression.label} ({PurePath(expression.path).name}:{place.line}:{place.column})"


class Named:
    """The name of a value in messages, with its place where it is computed; made into text only when one is."""

    __slots__ = ("_expression", "_label")

    def __init__(self, label: str, value: Value | None) -> None:
        self._label = label
        self._expression = next(expressions_in(value), None)

    def __str__(self) -> str:
        return self._label if self._expression is None else where(self._expression)


def outputs(expression: Expression) -> Callable[[Scope], list[Any]]:
    """Return what makes the list of all outputs of an expression."""
    run = expression.program.run

    def make(scope: Scope) -> list[Any]:
        try:
            return list(run(scope.value, scope.args, scope.budget))
        except (JqError, BudgetExceeded, RecursionError) as error:
            raise _failure(expression, error) from None

    return make


def _failure(expression: Expression, error: Exception) -> MapError:
    if isinstance(error, BudgetExceeded):
        return MapError("budget_exceeded", f"{where(expression)} took more work than one record may cost: {error}.")
    if isinstance(error, RecursionError):
        return MapError("budget_exceeded", f"{where(expression)} nests too deeply.")
    return MapError("expression_failed", f"{where(expression)} failed: {plain_reason(str(error))}.")


def maker(value: Value) -> Maker:
    """Return the maker of any value."""
    if isinstance(value, Fixed):
        fixed = value.value
        return lambda _scope: fixed
    if isinstance(value, Computed):
        return _single(value.expression)
    if isinstance(value, Text):
        return _mixed(value)
    return _fields(value) if isinstance(value, Fields) else _items(value)


def _single(expression: Expression) -> Maker:
    make = outputs(expression)

    def single(scope: Scope) -> Any:
        made = make(scope)
        if len(made) > 1:
            message = f"{where(expression)} gave {len(made)} values where one is wanted."
            raise MapError("several_outputs", message)
        return made[0] if made else NOTHING

    return single


def _mixed(text: Text) -> TextMaker:
    parts = [part if isinstance(part, str) else _part(part) for part in text.parts]

    def mixed(scope: Scope) -> str:
        return "".join([part if isinstance(part, str) else part(scope) for part in parts])

    return mixed


def _part(expression: Expression) -> TextMaker:
    make = _single(expression)

    def part(scope: Scope) -> str:
        value = make(scope)
        if isinstance(value, str):
            return value
        if value is True or value is False:
            return "true" if value else "false"
        if isinstance(value, int | float):
            if not isfinite(value):
                raise MapError("not_finite", f"{where(expression)} gave a number that is infinite or not a number.")
            return number_text(value)
        raise _unprintable(expression, value)

    return part


def _unprintable(expression: Expression, value: Any) -> MapError:
    place = where(expression)
    if value is NOTHING:
        return MapError("text_nothing", f'{place} gave nothing in the middle of text; write a default: // "…".')
    if value is None:
        return MapError("text_null", f'{place} gave null in the middle of text; write a default: // "…".')
    message = f"{place} gave {kind_of(value)} in the middle of text; write a path into it, or | tojson."
    return MapError("text_container", message)


def _fields(fields: Fields) -> Maker:
    makers = [(name, maker(value)) for name, value in fields.entries]

    def make(scope: Scope) -> dict[str, Any]:
        made = [(name, part(scope)) for name, part in makers]
        return {name: value for name, value in made if value is not NOTHING}

    return make


def _items(items: Items) -> Maker:
    makers = [maker(value) for value in items.values]

    def make(scope: Scope) -> list[Any]:
        return [value for part in makers if (value := part(scope)) is not NOTHING]

    return make


def required_text(field: str, value: Value, *, integers: bool, longest: int | None = None) -> TextMaker:
    """Return the maker of text that every event needs: trimmed, never blank; an integer only where it may be one."""
    make, named = maker(value), Named(field, value)

    def text(scope: Scope) -> str:
        made = make(scope)
        if made is NOTHING:
            raise MapError("nothing", f"{named} came out as nothing.")
        return _kept(named, as_text(named, made, integers=integers), longest)

    return text


def _kept(named: Named, text: str, longest: int | None) -> str:
    if longest is not None and len(text) > longest:
        raise MapError("too_long", f"{named} has {len(text)} characters; SuprSend takes at most {longest}.")
    return text


def optional_text(field: str, value: Value | None, longest: int) -> Callable[[Scope], str | None]:
    """Return the maker of text that may be left out: None where the value yields nothing; null and blank are errors."""
    if value is None:
        return lambda _scope: None
    make, named = maker(value), Named(field, value)

    def text(scope: Scope) -> str | None:
        made = make(scope)
        if made is NOTHING:
            return None
        return _kept(named, as_text(named, made, integers=True), longest)

    return text


def as_text(field: str | Named, value: Any, *, integers: bool) -> str:
    """Turn a value into trimmed text, or raise MapError."""
    if isinstance(value, str):
        text = value.strip()
        if text:
            return text
        raise MapError("blank", f"{field} is blank.")
    if value is None:
        raise MapError("null", f"{field} is null.")
    whole = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value == int(value)
    if integers and whole:
        return number_text(value)
    raise MapError("wrong_type", f"{field} is {kind_of(value)}, not text.")
