"""What the expressions of one rule see of one record: `.`, the variables, and the budget they share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection
from typing import Any, Final

from bridge.flow import Record
from bridge.jq import EvalBudget
from bridge.jsontext import JSONDecodeError, loads
from bridge.rules.map.decode import readable_headers, text_or_base64, unwrapped
from bridge.rules.map.faults import MapError

__all__ = ["DEF_VARIABLES", "ITEM_VARIABLES", "VARIABLES", "Args", "RecordScope", "args_maker"]

VARIABLES: Final = ("key", "headers", "topic", "partition", "offset", "timestamp", "tombstone", "item", "index")
"""All variables, in the order of `Args`."""
DEF_VARIABLES: Final = VARIABLES[:6]
"""What `defs` may use."""
ITEM_VARIABLES: Final = VARIABLES[7:]
"""What only rules with `for_each` have."""

Args = tuple[Any, ...]
"""The variables' values, in the order of VARIABLES."""


class RecordScope:
    """One rule and record (and item): made by the mapper, seen by one thread."""

    __slots__ = ("args", "budget", "value")

    def __init__(self, value: Any, args: Args, budget: EvalBudget) -> None:
        self.value = value
        self.args = args
        self.budget = budget

    def for_item(self, item: Any, index: int) -> RecordScope:
        """Return the scope of one item of a fan-out; it shares the budget."""
        return RecordScope(self.value, (*self.args[:7], item, index), self.budget)


def args_maker(reads: Collection[str], *, key_json: bool, unwrap_key: bool) -> Callable[[Record], Args]:
    """Return what makes the variables of a record; those that nothing reads are left null.

    The maker raises MapError: `key_not_json` where `key_json` says that keys are JSON and one is not,
    `headers_unreadable` where headers are read and cannot be.
    """
    if not key_json and not any(name in reads for name in VARIABLES[:6]):
        nothing: Args = (None, None, None, None, None, None, False, None, None)
        return lambda _record: nothing
    make_key = _json_key(unwrap=unwrap_key) if key_json else _text_key
    with_key, with_headers = key_json or "key" in reads, "headers" in reads

    def make(record: Record) -> Args:
        timestamp = record.timestamp()[1]
        return (
            make_key(record.key()) if with_key else None,
            _headers(record) if with_headers else None,
            record.topic(),
            record.partition(),
            record.offset(),
            timestamp if timestamp >= 0 else None,
            record.value() is None,
            None,
            None,
        )

    return make


def _text_key(key: bytes | None) -> str | None:
    return None if key is None else text_or_base64(key)


def _json_key(*, unwrap: bool) -> Callable[[bytes | None], Any]:
    def make(key: bytes | None) -> Any:
        if key is None:
            return None
        try:
            value = loads(key)
        except JSONDecodeError as error:
            message = f"The key is not JSON (reading stopped at character {error.pos})."
            raise MapError("key_not_json", message) from None
        return unwrapped(value) if unwrap else value

    return make


def _headers(record: Record) -> dict[str, str | None]:
    """Return the headers as an object: the last of a name wins; values as text, by base64 where not UTF-8."""
    return {name: None if value is None else _header_text(value) for name, value in readable_headers(record)}


def _header_text(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()
