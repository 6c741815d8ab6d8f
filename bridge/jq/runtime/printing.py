"""Values as text, as jq prints them, and text as values.

Numbers: integers as they are (exact within 64 bits); other doubles with the fewest digits that read back as the same
double, laid out as libjq lays out computed numbers (`1e-05`, `1.5e+300`); infinities as the largest double, nan as
null. How the record or the program spelt a number (`1.50`, `1e3`) is not kept.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from json.encoder import encode_basestring

from bridge.jq.problems import BudgetExceeded, JqError
from bridge.jq.runtime.budget import DEPTH, EvalBudget
from bridge.jq.runtime.values import INT_MAX, INT_MIN, JSON, fitted, whole
from bridge.jq.syntax.lexer import number_value

LARGEST = "1.7976931348623157e+308"
SHOWN = 30
"""Error messages show values up to this many bytes, as libjq does (one of them is its closing zero)."""


def number_text(number: float) -> str:
    """A number as jq prints computed ones."""
    if type(number) is int:
        return str(number) if INT_MIN <= number <= INT_MAX else number_text(fitted(number))
    if number != number:  # noqa: PLR0124 - nan
        return "null"
    if number in (float("inf"), float("-inf")):
        return LARGEST if number > 0 else f"-{LARGEST}"
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number)) if number else ("-0" if str(number)[0] == "-" else "0")
    return _laid_out(repr(number))


def _laid_out(text: str) -> str:
    """Python's shortest digits in libjq's layout."""
    sign, text = ("-", text[1:]) if text[0] == "-" else ("", text)
    mantissa, _, exponent = text.partition("e")
    before, _, after = mantissa.partition(".")
    point = len(before) + int(exponent or 0)
    digits = before + after
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if point <= -4 or point > count + 15:
        power = point - 1
        fraction = f".{digits[1:]}" if count > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= count:
        return f"{sign}{digits}{'0' * (point - count)}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def quoted(text: str) -> str:
    """A JSON string, as jq writes it: everything but controls, quotes and backslashes as it is."""
    written: str = encode_basestring(text)
    return written.replace("\x7f", "\\u007f") if "\x7f" in written else written


_CLOSINGS: dict[type, str] = {str: '"', list: "]", dict: "}"}


def tojson_text(value: JSON, budget: EvalBudget | None = None) -> str:
    """The JSON text of a value, in one line without spaces, keys in their order.

    Raises BudgetExceeded when the text or the work is more than `budget` allows, or the value is nested too deep.
    """
    kind = type(value)
    if kind is str:
        return quoted(value)
    if kind is int or kind is float:
        return number_text(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    parts: list[str] = []
    _write(value, parts, budget or EvalBudget(steps=10**12, text=10**12), DEPTH)
    return "".join(parts)


def _write(value: JSON, parts: list[str], budget: EvalBudget, room: int) -> None:
    kind = type(value)
    if kind is not list and kind is not dict:
        text = tojson_text(value)
        budget.built(len(text))
        parts.append(text)
        return
    if not room:
        raise BudgetExceeded(f"a value is nested more than {DEPTH} deep")
    budget.step(len(value) + 1)
    budget.built(2 * len(value) + 2)
    if kind is list:
        separator = "["
        for item in value:
            parts.append(separator)
            _write(item, parts, budget, room - 1)
            separator = ","
        parts.append("]" if value else "[]")
        return
    separator = "{"
    for key, item in value.items():
        name = quoted(key)
        budget.built(len(name))
        parts.append(f"{separator}{name}:")
        _write(item, parts, budget, room - 1)
        separator = ","
    parts.append("}" if value else "{}")


def tostring(value: JSON, budget: EvalBudget | None = None) -> str:
    """jq's `tostring`: a text is itself, anything else its JSON text."""
    return value if type(value) is str else tojson_text(value, budget)


def shown(value: JSON) -> str:
    """A value in an error message: its JSON text, cut as libjq cuts it."""
    head = _head(value, SHOWN + 6)
    data = head.encode("utf-8", "surrogatepass")
    if len(data) < SHOWN:
        return head
    closing = _CLOSINGS.get(type(value), "")
    kept = data[: SHOWN - 4 - len(closing)]
    return kept.decode("utf-8", "ignore") + "..." + closing


def _head(value: JSON, room: int) -> str:
    """The beginning of a value's JSON text, at least `room` characters of it; costs no more than that."""
    kind = type(value)
    if kind is str:
        return quoted(value[:room]) if len(value) > room else quoted(value)
    if kind is list:
        text = "["
        for index, item in enumerate(value):
            if len(text) > room:
                return text
            text += ("," if index else "") + _head(item, room - len(text))
        return text + "]"
    if kind is dict:
        text = "{"
        for index, (key, item) in enumerate(value.items()):
            if len(text) > room:
                return text
            text += ("," if index else "") + _head(key, room) + ":" + _head(item, max(room - len(text), 0))
        return text + "}"
    return tojson_text(value)


_LOOSE_NUMBER = re.compile(r"[ \t\r\n]*(-?|\+)((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\r\n]*")
_TIGHT_NUMBER = re.compile(r"(-?|\+)((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_WORD = re.compile(r"([+-]?)(nan|inf|infinity)", re.IGNORECASE)


def _signed(match: re.Match[str]) -> int | float:
    number = number_value(match.group(2))
    return (
        whole(-float(number))
        if match.group(1) == "-" and type(number) is float
        else (
            fitted(-number) if match.group(1) == "-" else number  # type: ignore[arg-type]
        )
    )


def _worded(match: re.Match[str]) -> float:
    """A number that is a word: nan, or an infinity."""
    if match.group(2).lower() == "nan":
        return float("nan")
    return float("-inf" if match.group(1) == "-" else "inf")


def _integer(text: str) -> int | float:
    return fitted(-number_value(text[1:])) if text[0] == "-" else number_value(text)  # type: ignore[arg-type]


def _decimal(text: str) -> int | float:
    return whole(float(text))


_DECODER = JSONDecoder(parse_int=_integer, parse_float=_decimal)


def fromjson(text: str, budget: EvalBudget) -> JSON:
    """jq's `fromjson`: one JSON value. Raises JqError where libjq's parser fails."""
    budget.step(len(text) >> 4)
    loose = _LOOSE_NUMBER.fullmatch(text)
    if loose:
        return _signed(loose)
    word = _WORD.fullmatch(text.strip(" \t\r\n"))
    if word:
        return _worded(word)
    try:
        value = _DECODER.decode(text)
        if _HALF.search(text):
            tojson_text(value).encode()
    except (JSONDecodeError, UnicodeEncodeError) as problem:
        reason = problem.msg if isinstance(problem, JSONDecodeError) else "half of a surrogate pair"
        raise JqError(f"{reason} (while parsing '{_clipped(text)}')") from None
    except RecursionError:
        raise BudgetExceeded("a JSON text is nested too deep") from None
    return value


def read_value(text: str, at: int) -> tuple[JSON, int]:
    """The JSON value that begins at a place, and the place behind it. Raises ValueError, with line and column."""
    try:
        value, end = _DECODER.raw_decode(text, at)
        if _HALF.search(text, at, end):
            tojson_text(value).encode()
    except UnicodeEncodeError:
        line = text.count("\n", 0, at) + 1
        raise ValueError(f"half of a surrogate pair in the value on line {line}") from None
    except RecursionError:
        raise ValueError("a value is nested too deep") from None
    return value, end


def tonumber(value: JSON) -> int | float:
    """jq's `tonumber`: a number, or a text that is one and nothing else."""
    kind = type(value)
    if kind is int or kind is float:
        number: int | float = value
        return number
    if kind is not str:
        raise JqError(f"{_described(value)} cannot be parsed as a number")
    match = _TIGHT_NUMBER.fullmatch(value)
    if match:
        return _signed(match)
    word = _WORD.fullmatch(value)
    if word:
        return _worded(word)
    raise JqError(f"{_described(value)} cannot be parsed as a number")


def _described(value: JSON) -> str:
    from bridge.jq.runtime.values import type_name

    return f"{type_name(value)} ({shown(value)})"


def _clipped(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
