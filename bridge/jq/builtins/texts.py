"""Built-ins on texts."""

from __future__ import annotations

import math

from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NUMBER, STRING, Builtin
from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import add, described, split
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.paths import iterate
from bridge.jq.runtime.printing import fromjson, tojson_text, tonumber, tostring
from bridge.jq.runtime.values import JSON, type_name

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_UPPER = {ord(letter): ord(letter) - 32 for letter in "abcdefghijklmnopqrstuvwxyz"}
_LOWER = {code: code + 32 for code in range(65, 91)}
_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def utf8bytelength(value: JSON) -> int:
    """The length in bytes of UTF-8."""
    if type(value) is not str:
        raise JqError(f"{described(value)} only strings have UTF-8 byte length")
    return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))


def explode(value: JSON, budget: EvalBudget) -> list[JSON]:
    """The code points of a text."""
    if type(value) is not str:
        raise JqError("explode input must be a string")
    budget.step(len(value) >> 3)
    return list(map(ord, value))


def implode(value: JSON, budget: EvalBudget) -> str:
    """A text from its code points."""
    if type(value) is not list:
        raise JqError("implode input must be an array")
    budget.step(len(value) >> 1)
    budget.built(len(value))
    return "".join(map(_character, value))


def _character(code: JSON) -> str:
    if type(code) not in (int, float):
        raise JqError(f"{described(code)} can't be imploded, unicode codepoint needs to be numeric")
    if code != code or not 0 <= code <= _LAST or int(code) in _SURROGATES:  # noqa: PLR0124 - nan
        return "\ufffd"
    return chr(int(code))


def _text(value: JSON) -> str:
    if type(value) is not str:
        raise JqError("explode input must be a string")
    text: str = value
    return text


def ascii_downcase(value: JSON, budget: EvalBudget) -> str:
    """A to Z as small letters, all else as it is."""
    budget.built(len(_text(value)))
    return _text(value).translate(_LOWER)


def ascii_upcase(value: JSON, budget: EvalBudget) -> str:
    """a to z as capitals, all else as it is."""
    budget.built(len(_text(value)))
    return _text(value).translate(_UPPER)


def startswith(value: JSON, start: JSON) -> bool:
    """Whether a text begins with another."""
    if type(value) is not str or type(start) is not str:
        raise JqError("startswith() requires string inputs")
    return bool(value.startswith(start))


def endswith(value: JSON, end: JSON) -> bool:
    """Whether a text ends with another."""
    if type(value) is not str or type(end) is not str:
        raise JqError("endswith() requires string inputs")
    return bool(value.endswith(end))


def ltrimstr(value: JSON, start: JSON, budget: EvalBudget) -> JSON:
    """A text without another one at its beginning."""
    if not startswith(value, start):
        return value
    budget.built(len(value))
    return value[len(start) :]


def rtrimstr(value: JSON, end: JSON, budget: EvalBudget) -> JSON:
    """A text without another one at its end."""
    if not endswith(value, end):
        return value
    budget.built(len(value))
    return value[: len(value) - len(end)]


def trimstr(value: JSON, part: JSON, budget: EvalBudget) -> JSON:
    """A text without another one at both ends."""
    return rtrimstr(ltrimstr(value, part, budget), part, budget)


def _trimmable(value: JSON) -> str:
    if type(value) is not str:
        raise JqError("trim input must be a string")
    text: str = value
    return text


def trim(value: JSON) -> str:
    """A text without white space at both ends."""
    return _trimmable(value).strip(SPACE)


def ltrim(value: JSON) -> str:
    """A text without white space at its beginning."""
    return _trimmable(value).lstrip(SPACE)


def rtrim(value: JSON) -> str:
    """A text without white space at its end."""
    return _trimmable(value).rstrip(SPACE)


def split_text(value: JSON, separator: JSON, budget: EvalBudget) -> list[JSON]:
    """The parts of a text."""
    if type(value) is not str or type(separator) is not str:
        raise JqError("split input and separator must be strings")
    return split(value, separator, budget)


def join(value: JSON, separator: JSON, budget: EvalBudget) -> JSON:
    """Elements as one text; null as nothing, numbers and booleans as text."""
    items = iterate(value)
    budget.step(len(items))  # type: ignore[arg-type]
    parts: list[str] = []
    for item in items:
        kind = type(item)
        if kind is str:
            parts.append(item)
        elif item is None:
            parts.append("")
        elif kind in (int, float, bool):
            parts.append(tostring(item))
        else:
            return _joined_slowly(list(items), separator, budget)
    if not parts:
        return ""
    if type(separator) is not str:
        return _joined_slowly(list(items), separator, budget)
    budget.built(sum(map(len, parts)) + len(separator) * (len(parts) - 1))
    return separator.join(parts)


def _joined_slowly(items: list[JSON], separator: JSON, budget: EvalBudget) -> JSON:
    """Step by step as jq defines it, for what ends in an error most often."""
    result: JSON = None
    for item in items:
        left = "" if result is None else add(result, separator, budget)
        right = item if type(item) not in (int, float, bool) else tostring(item)
        result = add(left, "" if right is None else right, budget)
    return "" if result is None or result is False else result


def tojson(value: JSON, budget: EvalBudget) -> str:
    """A value as JSON text."""
    return tojson_text(value, budget)


def from_json(value: JSON, budget: EvalBudget) -> JSON:
    """The value of a JSON text."""
    if type(value) is not str:
        raise JqError(f"{described(value)} only strings can be parsed")
    return fromjson(value, budget)


def toboolean(value: JSON) -> bool:
    """A boolean, or a text that says one."""
    if type(value) is bool:
        return bool(value)
    if value in ("true", "false") and type(value) is str:
        return bool(value == "true")
    raise JqError(f"{described(value)} cannot be parsed as a boolean")


def fixed(value: JSON, digits: JSON) -> str:
    """A number with exactly so many decimals, half away from zero."""
    if type(value) not in (int, float):
        raise JqError(f"{described(value)} cannot be written with decimals: fixed needs a number")
    if type(digits) not in (int, float) or not 0 <= digits <= 100 or int(digits) != digits:
        raise JqError("fixed needs a whole number of decimals from 0 to 100")
    if value != value or value in (math.inf, -math.inf):  # noqa: PLR0124 - nan
        raise JqError("fixed cannot write nan or infinity")
    return _rounded(value, int(digits))


def _rounded(value: float, digits: int) -> str:
    """Rounded from the shortest text of the number, as a person would: 1.005 has the decimals that it shows."""
    shown = repr(value)
    whole, _, decimals = shown.partition(".")
    if "e" in shown or decimals[digits:] == "5":
        text = _half_up(value, digits)
    elif len(decimals) <= digits:
        text = f"{whole}.{decimals:0<{digits}}" if digits else whole
    else:
        # No half lies between a number and its shortest text (it would be a shorter one), so both round alike.
        text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def _half_up(value: float, digits: int) -> str:
    from decimal import ROUND_HALF_UP, Context, Decimal

    exact = Decimal(repr(value))
    return f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP, context=Context(prec=500)):f}"


ROWS: list[Builtin] = [
    Builtin(
        "utf8bytelength/0",
        "The length of a text in bytes of UTF-8.",
        ('"ñ" | utf8bytelength', ("2",)),
        NUMBER,
        utf8bytelength,
    ),
    Builtin("explode/0", "The code points of a text.", ('"AB" | explode', ("[65,66]",)), ARRAY, explode, budget=True),
    Builtin(
        "implode/0", "A text from its code points.", ("[65, 66] | implode", ('"AB"',)), STRING, implode, budget=True
    ),
    Builtin(
        "ascii_downcase/0",
        "A to Z as small letters.",
        ('"ABÉ" | ascii_downcase', ('"abÉ"',)),
        STRING,
        ascii_downcase,
        budget=True,
    ),
    Builtin(
        "ascii_upcase/0", "a to z as capitals.", ('"abé" | ascii_upcase', ('"ABé"',)), STRING, ascii_upcase, budget=True
    ),
    Builtin(
        "startswith/1",
        "Whether a text begins with another.",
        ('"order.placed" | startswith("order.")', ("true",)),
        BOOLEAN,
        startswith,
    ),
    Builtin(
        "endswith/1", "Whether a text ends with another.", ('"a.pdf" | endswith(".pdf")', ("true",)), BOOLEAN, endswith
    ),
    Builtin(
        "ltrimstr/1",
        "A text without another one at its beginning.",
        ('"v12" | ltrimstr("v")', ('"12"',)),
        ANY,
        ltrimstr,
        budget=True,
    ),
    Builtin(
        "rtrimstr/1",
        "A text without another one at its end.",
        ('"a.pdf" | rtrimstr(".pdf")', ('"a"',)),
        ANY,
        rtrimstr,
        budget=True,
    ),
    Builtin(
        "trimstr/1",
        "A text without another one at both ends.",
        ('"--a--" | trimstr("--")', ('"a"',)),
        ANY,
        trimstr,
        budget=True,
    ),
    Builtin("trim/0", "A text without white space at both ends.", ('" a " | trim', ('"a"',)), STRING, trim),
    Builtin("ltrim/0", "A text without white space at its beginning.", ('" a " | ltrim', ('"a "',)), STRING, ltrim),
    Builtin("rtrim/0", "A text without white space at its end.", ('" a " | rtrim', ('" a"',)), STRING, rtrim),
    Builtin(
        "split/1",
        "The parts of a text between separators.",
        ('"a, b" | split(", ")', ('["a","b"]',)),
        ARRAY,
        split_text,
        budget=True,
    ),
    Builtin(
        "join/1",
        "Elements as one text; null as nothing, numbers and booleans as text.",
        ('["a", 1, null] | join("-")', ('"a-1-"',)),
        ANY,
        join,
        budget=True,
    ),
    Builtin(
        "tojson/0", "A value as JSON text.", ('{"a": [1]} | tojson', ('"{\\"a\\":[1]}"',)), STRING, tojson, budget=True
    ),
    Builtin("fromjson/0", "The value of a JSON text.", ('"[1]" | fromjson', ("[1]",)), ANY, from_json, budget=True),
    Builtin(
        "tostring/0",
        "A text as it is, anything else as JSON text.",
        ("[1] | tostring", ('"[1]"',)),
        STRING,
        tostring,
        budget=True,
    ),
    Builtin("tonumber/0", "A number, or the number that a text is.", ('"1.5" | tonumber', ("1.5",)), NUMBER, tonumber),
    Builtin(
        "toboolean/0", "A boolean, or the one that a text says.", ('"true" | toboolean', ("true",)), BOOLEAN, toboolean
    ),
    Builtin(
        "type/0",
        "`null`, `boolean`, `number`, `string`, `array` or `object`.",
        ("[] | type", ('"array"',)),
        STRING,
        type_name,
    ),
    Builtin(
        "fixed/1",
        "A number as text with exactly so many decimals, half away from zero.",
        ("12.345 | fixed(2)", ('"12.35"',)),
        STRING,
        fixed,
        ours=True,
    ),
]
