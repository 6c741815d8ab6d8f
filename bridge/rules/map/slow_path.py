"""What generated code calls for a value that is not the usual one: each function returns the value, or raises MapError.

A generated function checks in place that a value is what nearly every record has; where it is not, it calls the function
here that knows the case. So each rare case and each message has one home, and a record is gone through once. Expressions
that are too large to be written into a rule's function are called here, too (`maker`), as `explain` calls them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, NamedTuple, NoReturn

from bridge.flow import Fault, OnError, Stage
from bridge.jq import BudgetExceeded, EvalBudget, JqError, number_text
from bridge.jq.problems import BreakOut
from bridge.jq.runtime.paths import index
from bridge.jq.runtime.support import NOTHING
from bridge.rules.map.faults import FAULTS, MapError
from bridge.rules.map.scope import RecordScope
from bridge.rules.model import (
    AttachmentRule,
    Computed,
    Elements,
    Expression,
    Fields,
    Fixed,
    MixedText,
    Rule,
    Value,
    expressions_in,
)
from bridge.suprsend.event import attachment
from bridge.suprsend.limits import attachment_url_problem, reserved

__all__ = ["NOTHING", "Maker", "TextField", "kind_of", "maker", "where"]

_KINDS: Final = {type(None): "null", bool: "a boolean", str: "text", list: "an array", dict: "an object"}
_ATTACHMENT_KEYS: Final = frozenset({"url", "filename", "ignore_if_error"})


def kind_of(value: Any) -> str:
    """Name the type of a value for a message."""
    return _KINDS.get(type(value), "a number")


def where(expression: Expression) -> str:
    """Name an expression and its place for a message: ``properties.amount (shop.yaml:12:20)``."""
    place = expression.place()
    return f"{expression.label} ({expression.path.rpartition('/')[2]}:{place.line}:{place.column})"


# Faults


def fault_of(rule: Rule, problem: MapError, item: int | None, key: str | None) -> Fault:
    """Return the fault of a rule, or of one item of its fan-out, whose `key` is None if it did not get as far."""
    on_error: OnError = "drop" if problem.code == "recipient_not_allowed" else rule.on_error
    item_key = None if item is None else key
    return Fault(
        rule.name, FAULTS[problem.code].stage, problem.code, problem.message, item, on_error, item_key=item_key
    )


def unreadable(problem: MapError, files: tuple[str, ...]) -> Fault:
    """Return the fault of a record that cannot be read."""
    return Fault(None, FAULTS[problem.code].stage, problem.code, problem.message, None, "dead_letter", files)


def bug(error: Exception) -> Fault:
    """Return the fault of a record with which the mapper itself failed: not the process, and no other record."""
    message = f"The mapper failed ({type(error).__name__}): a bug of the bridge."
    return Fault(None, Stage.MAP, "internal_error", message, None, "dead_letter")


def failure(expression: Expression, error: Exception) -> MapError | None:
    """Say what an expression raised; None where no record can cause it."""
    if isinstance(error, RecursionError):
        error = BudgetExceeded("values or calls are nested too deep")
    elif isinstance(error, MemoryError):
        error = BudgetExceeded("there is not enough memory for the values")
    elif isinstance(error, BreakOut):
        error = JqError("break")
    if isinstance(error, BudgetExceeded):
        return MapError("budget_exceeded", f"{where(expression)} took more work than one record may cost: {error}.")
    if isinstance(error, JqError):
        return MapError("expression_failed", f"{where(expression)} failed: {plain_reason(str(error))}.")
    return None


_LONGEST: Final = 300
_TYPE: Final = "(null|boolean|number|string|array|object)"
_REASONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), reason)
    for pattern, reason in (
        (rf"Cannot index {_TYPE} with (?:{_TYPE}|\")", "there is no looking up a key in {0}"),
        (rf"Cannot iterate over {_TYPE}", "{0} has no elements to go through"),
        (
            rf"{_TYPE} \(.*\) and {_TYPE} \(.*\) cannot be divided because the divisor is zero",
            "division by zero",
        ),
        (
            rf"{_TYPE} \(.*\) and {_TYPE} \(.*\) cannot be (added|subtracted|multiplied|divided)",
            "{0} and {1} cannot be {2}",
        ),
        (rf"{_TYPE} \(.*\) cannot be parsed as a number", "{0} that is no number"),
        (rf"{_TYPE} \(.*\) cannot be matched, as it is not a string", "{0} where text is matched"),
        (rf"{_TYPE} \(.*\) has no (keys|length)", "{0} has no {1}"),
        (rf"{_TYPE} \(.*\) cannot be (sorted|grouped|reversed|negated|exploded|imploded)", "{0} cannot be {1}"),
        (r"(date|time) \".*\" does not match format", "text that is not of the {0} format"),
    )
)


def plain_reason(message: str) -> str:
    """Say why an expression failed in words that cannot hold any of the record, as far as that is known.

    jq's own messages quote values (`string (…) cannot be parsed as a number`), and `error(…)` can say anything; dead
    letters and logs may hold neither. Only fixed words and the names of types are taken over.
    """
    for pattern, reason in _REASONS:
        match = pattern.match(message[:_LONGEST])
        if match is not None:
            return reason.format(*match.groups())
    return "an error of the expression (`suprsend-bridge explain` shows it for a record)"


# Reading the record


class _Unindexed:
    """A record's value that is neither an object nor null, where fields of it are read: that fails, as in jq."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self, name: str) -> Any:
        """Raise the JqError of `.name`."""
        return index(self._value, name)


def fields_of(value: Any) -> Any:
    """Return what stands for a record's value that is no object, where its fields are read by `get`."""
    return {} if value is None else _Unindexed(value)


# One output


def several(expression: Expression, count: int, advice: str = "") -> NoReturn:
    """Refuse several outputs where one is wanted."""
    raise MapError("several_outputs", f"{where(expression)} gave {count} values where one is wanted{advice}.")


def one_more(count: int, budget: EvalBudget) -> int:
    """Count an output beyond the first."""
    budget.output()
    return count + 1


ONE_CONDITION: Final = "; use any(…) or all(…)"


def no_condition(expression: Expression, value: Any) -> NoReturn:
    """Refuse what is neither true, false, null nor nothing as the output of `when`."""
    raise MapError("when_type", f"{where(expression)} gave {kind_of(value)}, not true or false; compare it.")


def check_items(expression: Expression, items: list[Any], most: int) -> None:
    """Refuse outputs of `for_each` that are lists, or too many."""
    if any(isinstance(item, list) for item in items):
        message = f"{where(expression)} gave a list as one item; write [] behind it, as in .mentions[]."
        raise MapError("fan_out_list", message)
    if len(items) > most:
        raise MapError("fan_out_too_large", f"{where(expression)} gave {len(items)} items; max_fan_out is {most}.")


# Texts


class TextField(NamedTuple):
    """A text of an event (its name, recipient, tenant or own key) and what may stand there."""

    label: str
    value: Value
    integers: bool
    longest: int | None

    def __str__(self) -> str:
        """Name it for a message, with its place where it is computed."""
        expression = next(expressions_in(self.value), None)
        return self.label if expression is None else where(expression)


def as_text(field: str | TextField, value: Any, *, integers: bool) -> str:
    """Turn a value into trimmed text that is not blank."""
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


def text_of(field: TextField, value: Any) -> str:
    """Turn a value that is not text, or nothing, into text."""
    if value is NOTHING:
        raise MapError("nothing", f"{field} came out as nothing.")
    return as_text(field, value, integers=field.integers)


def not_kept(field: TextField, text: str) -> NoReturn:
    """Refuse trimmed text that is blank or too long."""
    if not text:
        raise MapError("blank", f"{field} is blank.")
    raise MapError("too_long", f"{field} has {len(text)} characters; SuprSend takes at most {field.longest}.")


def no_object(field: TextField, value: Any, name: str) -> NoReturn:
    """Refuse a text whose path goes through what is no object: null in the end, or an error of jq."""
    index(value, name)
    raise MapError("null", f"{field} is null.")


def part_text(expression: Expression, value: Any) -> str:
    """Return what an expression in the middle of text gave, as jq prints it."""
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int | float):
        if not isfinite(value):
            raise MapError("not_finite", f"{where(expression)} gave infinity or NaN, which JSON cannot hold.")
        return number_text(value)
    raise _unprintable(expression, value)


def _unprintable(expression: Expression, value: Any) -> MapError:
    place = where(expression)
    if value is NOTHING:
        return MapError("text_nothing", f'{place} gave nothing in the middle of text; write a default: // "…".')
    if value is None:
        return MapError("text_null", f'{place} gave null in the middle of text; write a default: // "…".')
    message = f"{place} gave {kind_of(value)} in the middle of text; write a path into it, or | tojson."
    return MapError("text_container", message)


# The event around its properties


def not_listed(rule: Rule) -> NoReturn:
    """Refuse a computed name."""
    message = f"The event's name came out as none of the {len(rule.events)} in `events` of the rule."
    raise MapError("event_not_listed", message)


def not_allowed() -> NoReturn:
    """Refuse a recipient."""
    raise MapError("recipient_not_allowed", "The recipient is not among delivery.only_recipients.")


def duplicate() -> NoReturn:
    """Refuse a key of the rule's own that another event of the record has."""
    raise MapError("duplicate_key", "Another event of this record has the same idempotency key.")


def too_large(size: int, most: int) -> NoReturn:
    """Refuse an event for its size."""
    raise MapError("event_too_large", f"The event has {size} bytes; the limit is {most}.")


# Properties


def layer_of(expression: Expression, value: Any) -> dict[str, Any]:
    """Return the properties that one expression gave for all; nothing gives none."""
    if value is NOTHING:
        return {}
    if not isinstance(value, dict):
        raise MapError("wrong_type", f"{where(expression)} gave {kind_of(value)}, not an object.")
    if any(map(reserved, value)):
        message = f"{where(expression)} gave a property whose name begins with $ or ss_; rename it."
        raise MapError("property_name", message)
    return value


def checked_attachments(items: Any) -> list[dict[str, Any]]:
    """Check what one expression made for all attachments; nothing and null give none."""
    if items is NOTHING or items is None:
        return []
    if not isinstance(items, list):
        raise MapError("attachment", f"attachments came out as {kind_of(items)}, not a list.")
    return [_from_object(f"attachments[{number}]", item) for number, item in enumerate(items)]


def _from_object(field: str, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or "url" not in item:
        message = f"{field} came out as {kind_of(item)} without a url; make {{url, filename, ignore_if_error}}."
        raise MapError("attachment", message)
    if not item.keys() <= _ATTACHMENT_KEYS:
        message = f"{field} has an unknown key; an attachment has url, filename and ignore_if_error."
        raise MapError("attachment", message)
    return checked_attachment(field, item["url"], item.get("filename", NOTHING), item.get("ignore_if_error", NOTHING))


def checked_attachment(field: str, url: Any, filename: Any, ignore: Any) -> dict[str, Any]:
    """Check one attachment, its filename and ignore_if_error NOTHING where there is none."""
    address = as_text(f"{field}.url", url, integers=False)
    problem = attachment_url_problem(address)
    if problem is not None:
        raise MapError("attachment_url", f"{field}: {problem}.")
    name = None if filename is NOTHING else as_text(f"{field}.filename", filename, integers=True)
    if ignore is NOTHING:
        return attachment(address, name)
    if not isinstance(ignore, bool):
        raise MapError("wrong_type", f"{field}.ignore_if_error is {kind_of(ignore)}, not true or false.")
    return attachment(address, name, ignore)


# Values that are called, not written out

Maker = Callable[[RecordScope], Any]
"""Makes a value, or NOTHING where an expression yields nothing. Raises MapError."""


def outputs(expression: Expression) -> Callable[[RecordScope], list[Any]]:
    """Return what makes the list of all outputs of an expression."""
    run = expression.program.run

    def make(scope: RecordScope) -> list[Any]:
        try:
            return list(run(scope.value, scope.args, scope.budget))
        except Exception as error:
            problem = failure(expression, error)
            if problem is None:
                raise
            raise problem from None

    return make


def single(expression: Expression, advice: str = "") -> Maker:
    """Return the maker of an expression's one output; the first is not counted as an output."""
    make = outputs(expression)

    def one(scope: RecordScope) -> Any:
        left = scope.budget.outputs
        scope.budget.outputs = left + 1
        made = make(scope)
        if len(made) > 1:
            several(expression, len(made), advice)
        scope.budget.outputs = left
        return made[0] if made else NOTHING

    return one


def maker(value: Value) -> Maker:
    """Return the maker of any value."""
    if isinstance(value, Fixed):
        fixed = value.value
        return lambda _scope: fixed
    if isinstance(value, Computed):
        return single(value.expression)
    if isinstance(value, MixedText):
        return _mixed(value)
    return _fields(value) if isinstance(value, Fields) else _items(value)


def _mixed(text: MixedText) -> Maker:
    parts = [part if isinstance(part, str) else (part, single(part)) for part in text.parts]

    def mixed(scope: RecordScope) -> str:
        return "".join([part if isinstance(part, str) else part_text(part[0], part[1](scope)) for part in parts])

    return mixed


def _fields(fields: Fields) -> Maker:
    makers = [(name, maker(value)) for name, value in fields.entries]

    def make(scope: RecordScope) -> dict[str, Any]:
        made = [(name, part(scope)) for name, part in makers]
        return {name: value for name, value in made if value is not NOTHING}

    return make


def _items(items: Elements) -> Maker:
    makers = [maker(value) for value in items.values]

    def make(scope: RecordScope) -> list[Any]:
        return [value for part in makers if (value := part(scope)) is not NOTHING]

    return make


def layer_maker(fields: Fields) -> Callable[[RecordScope, dict[str, Any]], None]:
    """Return what lays some properties over those that are there."""
    makers = [(name, maker(value)) for name, value in fields.entries]

    def lay(scope: RecordScope, made: dict[str, Any]) -> None:
        for name, make in makers:
            value = make(scope)
            if value is NOTHING:
                made.pop(name, None)
            else:
                made[name] = value

    return lay


def attachments_maker(attachments: tuple[AttachmentRule, ...]) -> Callable[[RecordScope], list[dict[str, Any]]]:
    """Return what makes attachments that are listed in the file."""
    makers = [
        [None if part is None else maker(part) for part in (one.url, one.filename, one.ignore_if_error)]
        for one in attachments
    ]

    def make(scope: RecordScope) -> list[dict[str, Any]]:
        made = []
        for number, (url, *rest) in enumerate(makers):
            address = NOTHING if url is None else url(scope)
            if address is not NOTHING:
                filename, ignore = (NOTHING if part is None else part(scope) for part in rest)
                made.append(checked_attachment(f"attachments[{number}]", address, filename, ignore))
        return made

    return make
