"""`@name`: how values become text for HTML, URLs, CSV and the like."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote

from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import described
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.printing import number_text, tojson_text, tostring
from bridge.jq.runtime.values import JSON

_NUL = {"\0": "\\0"}
"""How these formats of libjq write the character 0."""
_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;", **_NUL})
_TSV = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\", **_NUL})
_CSV = str.maketrans({'"': '""', **_NUL})
_SHELL = str.maketrans({"'": "'\\''", **_NUL})
_PERCENT = re.compile(rb"%(..?)?", re.DOTALL)
_HEX = re.compile(rb"[0-9a-fA-F]{2}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")


def text(value: JSON, budget: EvalBudget) -> str:
    """`@text`: as `tostring`."""
    return _built(tostring(value, budget), budget)


def json(value: JSON, budget: EvalBudget) -> str:
    """`@json`: as `tojson`."""
    return tojson_text(value, budget)


def html(value: JSON, budget: EvalBudget) -> str:
    """`@html`: safe in HTML and in its attributes."""
    return _built(tostring(value, budget).translate(_HTML), budget)


def uri(value: JSON, budget: EvalBudget) -> str:
    """`@uri`: every byte but letters, digits and `-_.~` as `%XX`."""
    return _built(quote(tostring(value, budget).encode("utf-8", "surrogatepass"), safe="-_.~"), budget)


def urid(value: JSON, budget: EvalBudget) -> str:
    """`@urid`: `%XX` back to bytes."""
    source = tostring(value, budget)

    def byte(match: re.Match[bytes]) -> bytes:
        digits = match.group(1) or b""
        if not _HEX.fullmatch(digits):
            raise JqError(f"{described(source)} is not a valid uri encoding")
        return bytes((int(digits, 16),))

    raw = _PERCENT.sub(byte, source.encode("utf-8", "surrogatepass"))
    try:
        return _built(raw.decode(), budget)
    except UnicodeDecodeError:
        raise JqError(f"{described(source)} is not a valid uri encoding") from None


def csv(value: JSON, budget: EvalBudget) -> str:
    """`@csv`: an array as a line of comma-separated values."""
    return _row(value, budget, "csv", ",", _csv_text)


def tsv(value: JSON, budget: EvalBudget) -> str:
    """`@tsv`: an array as a line of values between tabs."""
    return _row(value, budget, "tsv", "\t", lambda cell: cell.translate(_TSV))


def _csv_text(cell: str) -> str:
    return f'"{cell.translate(_CSV)}"'


def _row(value: JSON, budget: EvalBudget, name: str, separator: str, written: Callable[[str], str]) -> str:
    if type(value) is not list:
        raise JqError(f"{described(value)} cannot be {name}-formatted, only array")
    budget.step(len(value))
    cells: list[str] = []
    for cell in value:
        if type(cell) is str:
            cells.append(_built(written(cell), budget))
        elif cell is None:
            cells.append("")
        elif type(cell) is bool:
            cells.append("true" if cell else "false")
        elif type(cell) in (int, float):
            cells.append("" if cell != cell else number_text(cell))  # noqa: PLR0124 - nan
        else:
            raise JqError(f"{described(cell)} is not valid in a csv row")
    return _built(separator.join(cells), budget)


def shell(value: JSON, budget: EvalBudget) -> str:
    """`@sh`: texts quoted for a POSIX shell; an array as words."""
    words = value if type(value) is list else [value]
    budget.step(len(words))
    return _built(" ".join(_built(_word(word, budget), budget) for word in words), budget)


def _word(word: JSON, budget: EvalBudget) -> str:
    if type(word) is str:
        return f"'{word.translate(_SHELL)}'"
    if type(word) in (list, dict):
        raise JqError(f"{described(word)} can not be escaped for shell")
    return tostring(word, budget)


def to_base64(value: JSON, budget: EvalBudget) -> str:
    """`@base64`: the bytes of UTF-8 as base64."""
    return _built(base64.b64encode(tostring(value, budget).encode("utf-8", "surrogatepass")).decode(), budget)


def from_base64(value: JSON, budget: EvalBudget) -> str:
    """`@base64d`: base64 up to the first `=` as text; bytes that are no UTF-8 become U+FFFD."""
    source = tostring(value, budget)
    raw = source.encode("utf-8", "surrogatepass").partition(b"=")[0]
    if _BASE64.fullmatch(raw) is None:
        raise JqError(f"{described(source)} is not valid base64 data")
    if len(raw) % 4 == 1:
        raise JqError(f"{described(source)} trailing base64 byte found")
    decoded = base64.b64decode(raw + b"=" * (-len(raw) % 4))
    return _built(_decoded(decoded), budget)


_LENGTHS = ((0xC2, 0xDF, 2, 0x80), (0xE0, 0xEF, 3, 0x800), (0xF0, 0xF4, 4, 0x10000))


def _decoded(raw: bytes) -> str:
    """UTF-8 as text; what is none becomes U+FFFD as libjq does it: a cut character once, with all that is left."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    parts: list[str] = []
    at = 0
    while at < len(raw):
        char, at = _next(raw, at)
        parts.append(char)
    return "".join(parts)


def _next(raw: bytes, at: int) -> tuple[str, int]:
    first = raw[at]
    if first < 0x80:
        return chr(first), at + 1
    length, least = next(((size, low) for start, end, size, low in _LENGTHS if start <= first <= end), (0, 0))
    if not length:
        return "\ufffd", at + 1
    if at + length > len(raw):
        return "\ufffd", len(raw)
    code = first & (0x7F >> length)
    for offset in range(1, length):
        byte = raw[at + offset]
        if byte & 0xC0 != 0x80:
            return "\ufffd", at + offset
        code = code << 6 | byte & 0x3F
    valid = code >= least and not 0xD800 <= code < 0xE000 and code <= 0x10FFFF
    return (chr(code) if valid else "\ufffd"), at + length


def _built(made: str, budget: EvalBudget) -> str:
    budget.built(len(made))
    return made


Formatting = Callable[[JSON, EvalBudget], str]
FORMATS: Mapping[str, Formatting] = MappingProxyType(
    {
        "text": text,
        "json": json,
        "html": html,
        "uri": uri,
        "urid": urid,
        "csv": csv,
        "tsv": tsv,
        "sh": shell,
        "base64": to_base64,
        "base64d": from_base64,
    }
)
