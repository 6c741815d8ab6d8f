"""What a plain scalar means: JSON's literals and numbers, else text; and the traps that other readers fall into."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Trap", "resolve"]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 400
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class Trap(NamedTuple):
    """A plain scalar that some YAML reader takes as another value than the text it looks like."""

    reads_as: str
    instead: str | None = None
    """A spelling without quotes that says the probable meaning, if there is one."""


_WORDS: dict[str, Trap] = {
    **dict.fromkeys(("yes", "on", "y"), Trap("true", "true")),
    **dict.fromkeys(("no", "off", "n"), Trap("false", "false")),
    "true": Trap("true", "true"),
    "false": Trap("false", "false"),
    "null": Trap("null", "null"),
    "~": Trap("null", "null"),
    "=": Trap("a special value"),
    **dict.fromkeys((".inf", "-.inf", "+.inf"), Trap("infinity")),
    ".nan": Trap("not a number"),
}

_PATTERNS: tuple[tuple[re.Pattern[str], Trap], ...] = (
    (re.compile(r"[-+]?0[0-9_]+"), Trap("an octal number")),
    (re.compile(r"[-+]?0o[0-7_]+"), Trap("an octal number")),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]+"), Trap("a hexadecimal number")),
    (re.compile(r"[-+]?0b[01_]+"), Trap("a binary number")),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), Trap("a number in base 60")),
    (re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"), Trap("a number")),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?"), Trap("a date")),
)


def resolve(text: str) -> bool | int | float | str | Trap | None:
    """Return what a plain scalar is, or the trap that it is. Total, and quick for any text."""
    if text in _LITERALS:
        return _LITERALS[text]
    first = text[:1]
    if not (first.isascii() and (first.isdigit() or first in "-+.")):
        return _WORDS.get(text.lower(), text) if len(text) < 6 else text
    if len(text) > _LONGEST_NUMBER:
        return text if _NUMBER.fullmatch(text) is None else Trap("a number of more than 400 digits")
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return _number(text, whole=number.group(1) is None and number.group(2) is None)
    trap = _WORDS.get(text.lower())
    if trap is not None:
        return trap
    return next((trap for pattern, trap in _PATTERNS if pattern.fullmatch(text)), text)


def _number(text: str, *, whole: bool) -> int | float | Trap:
    if whole:
        return int(text)
    value = float(text)
    return Trap("infinity") if value in {float("inf"), float("-inf")} else value
