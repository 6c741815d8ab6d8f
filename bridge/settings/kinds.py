"""What a section of the settings is made of: its base, conflicts between its settings, and the kinds of their values.

Kinds beyond text, numbers and booleans: durations, sizes, paths, addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = [
    "CONFLICTS",
    "Address",
    "Conflict",
    "Duration",
    "FilePath",
    "Formerly",
    "HttpUrl",
    "Name",
    "RewindToken",
    "SecretHttpUrl",
    "SecretText",
    "Section",
    "Size",
    "StartFrom",
    "Topic",
    "check_name",
    "parse_duration",
    "parse_size",
    "parse_time_ms",
    "set_both_ways",
    "show_duration",
    "show_size",
    "without_conflicts",
]

CONFLICTS = "bridge_conflicts"
_Checked = TypeVar("_Checked", bound="Section")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)?")
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ADDRESS = re.compile(r"(?:[A-Z_]+://)?(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})")
_REWIND_TOKEN = re.compile(r"[0-9a-f]{10}")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Section(BaseModel):
    """A part of the settings: frozen, no unknown keys, no guessing of types, nothing of the input in errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        validate_default=False,
        use_attribute_docstrings=True,
    )


class Formerly(NamedTuple):
    """Mark of a setting that stood at `name` in the version before, with dots between; it is still read there."""

    name: str

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))


class Conflict(NamedTuple):
    """What is wrong between settings of one section; `where` leads from the section to the one to point at."""

    where: tuple[str | int, ...]
    message: str
    hint: str | None = None


def without_conflicts(section: _Checked, conflicts: list[Conflict]) -> _Checked:
    """Return the section where there are none; else raise them as one pydantic error, which the loader takes apart."""
    if conflicts:
        raise PydanticCustomError(CONFLICTS, "the settings do not fit together", {"conflicts": conflicts})
    return section


def set_both_ways(section: Section, name: str) -> list[Conflict]:
    """A secret comes from one place: `x` and `x_file` exclude each other."""
    other = f"{name}_file"
    if getattr(section, name) is None or getattr(section, other) is None:
        return []
    return [Conflict((other,), f"`{name}` and `{other}` are both set: leave one of them out")]


def parse_duration(text: object) -> float:
    """Read `20ms`, `10s`, `5m`, `24h` or `7d` as seconds; raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        message = "write a duration with its unit: 20ms, 10s, 5m, 24h or 7d"
        raise ValueError(message)
    return float(match[1]) * _SECONDS[match[2]]


def show_duration(seconds: float) -> str:
    """Write seconds as the shortest duration that means the same."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / _SECONDS[unit]
        if count >= 1 and count == int(count) and (unit != "d" or count > 1):
            return f"{int(count)}{unit}"
    milliseconds = round(seconds * 1000, 6)
    return f"{int(milliseconds) if milliseconds == int(milliseconds) else milliseconds}ms"


def parse_size(text: object) -> int:
    """Read a number of bytes, or `64KiB`, `64MiB`, `1GiB`; raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        message = "write a number of bytes, or a size with its unit: 512KiB, 64MiB, 1GiB"
        raise ValueError(message)
    return int(match[1]) * _BYTES[match[2]]


def show_size(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def parse_time_ms(text: str) -> int:
    """Read an RFC 3339 timestamp as milliseconds since 1970; raises ValueError."""
    if not _RFC3339.fullmatch(text):
        message = 'write an RFC 3339 timestamp with its offset, in quotes: "2026-01-31T08:00:00Z"'
        raise ValueError(message)
    seconds, fraction = re.subn(r"\.([0-9]{1,6})[0-9]*", r".\1", text)
    return int(datetime.fromisoformat(seconds.upper() if fraction else text.upper()).timestamp() * 1000)


def _start_from(value: object) -> str:
    if value in ("latest", "earliest"):
        return str(value)
    if isinstance(value, str):
        try:
            parse_time_ms(value)
        except ValueError:
            pass
        else:
            return value
    message = 'write latest, earliest, or an RFC 3339 timestamp in quotes: "2026-01-31T08:00:00Z"'
    raise ValueError(message)


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        message = "write the path of a file or directory"
        raise ValueError(message)
    return Path(value)


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value) or value in {".", ".."}:
        message = "write a topic's name: letters, digits, `.`, `_` and `-`, at most 249 (no patterns)"
        raise ValueError(message)
    return value


def _rewind_token(value: str) -> str:
    if not _REWIND_TOKEN.fullmatch(value):
        message = 'write a token as `suprsend-bridge status` shows it, in quotes: "4f1c2a9b7e"'
        raise ValueError(message)
    return value


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if match is None or not 0 < int(match[1]) < 65536:
        message = "write HOST:PORT, as in kafka-1.example.com:9092"
        raise ValueError(message)
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its message may quote a password
        usable = False
    if not usable or not value.isascii() or not value.isprintable() or " " in value:
        message = "write an http:// or https:// address"
        raise ValueError(message)
    return value


def _plain_url(value: str) -> str:
    parts = urlsplit(_http_url(value))
    if parts.query or parts.fragment or parts.username is not None:
        message = "write an address without user, query and fragment"
        raise ValueError(message)
    return value


def _secret_url(value: object) -> SecretStr:
    return SecretStr(_http_url(value if isinstance(value, str) else ""))


def _secret_text(value: object) -> object:
    if not isinstance(value, str) or not value.strip() or value != value.strip() or not value.isprintable():
        message = "write text without spaces at its ends and without line breaks, in quotes"
        raise ValueError(message)
    return SecretStr(value)


def check_name(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable():
        message = "write text that is not empty, without spaces at its ends"
        raise ValueError(message)
    return value


def _schema(kind: str, **more: Any) -> WithJsonSchema:
    known: Mapping[str, Any] = {"type": kind, **more}
    return WithJsonSchema(dict(known))


Duration = Annotated[
    float, BeforeValidator(parse_duration), _schema("string", pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$")
]
"""Seconds; written `20ms`, `10s`, `5m`, `24h`."""
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,12}(B|KiB|MiB|GiB)?$"}]}
    ),
]
"""Bytes; written `819200` or `64MiB`."""
FilePath = Annotated[Path, BeforeValidator(_path), _schema("string", minLength=1), "path"]
"""A path; in the settings file relative to that file, in the environment to the working directory."""
Name = Annotated[str, AfterValidator(check_name), Field(min_length=1, max_length=255)]
Topic = Annotated[str, AfterValidator(_topic), _schema("string", pattern=r"^[A-Za-z0-9._-]{1,249}$")]
RewindToken = Annotated[str, AfterValidator(_rewind_token), _schema("string", pattern="^[0-9a-f]{10}$")]
Address = Annotated[str, AfterValidator(_address)]
HttpUrl = Annotated[str, AfterValidator(_plain_url), _schema("string", pattern="^https?://")]
SecretHttpUrl = Annotated[SecretStr, BeforeValidator(_secret_url), _schema("string", pattern="^https?://")]
SecretText = Annotated[SecretStr, BeforeValidator(_secret_text), _schema("string", minLength=1)]
StartFrom = Annotated[str, BeforeValidator(_start_from), _schema("string", pattern="^(latest|earliest|[0-9]{4}-.+)$")]
