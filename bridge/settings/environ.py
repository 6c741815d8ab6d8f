"""`BRIDGE_…` environment variables → values at their places in the settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.findings import Finding, did_you_mean
from bridge.jsontext import JSONDecodeError, loads
from bridge.settings.report import MOVED, in_variable, moved, set_twice
from bridge.settings.rows import Kind, Setting, SettingPath, former_places, settings_table, variable_of

__all__ = ["RESERVED", "from_environment"]

RESERVED = frozenset({"BRIDGE_CONFIG"})
"""Variables with our prefix that are no settings: the path of the settings file."""

_PREFIX = "BRIDGE_"
_SERVICE_LINK = re.compile(
    r".*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)"
)
"""What Kubernetes puts into every pod of a namespace that has a service whose name begins with `bridge`."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?P<rest>\.[0-9]{1,18})?")
_FLAGS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)

Values = dict[SettingPath, tuple[Any, str]]


def from_environment(environ: Mapping[str, str]) -> tuple[Values, list[Finding]]:
    """Read the settings that the environment has: path → (value, variable), and what is wrong with the rest.

    An empty variable is one that is not set. Names are upper case.
    """
    by_variable = {setting.variable: setting for setting in settings_table().values()}
    former = {variable_of(old): setting for old, setting in former_places().items()}
    values: Values = {}
    findings: list[Finding] = []
    for variable in sorted(name for name in environ if name.startswith(_PREFIX) and name not in RESERVED):
        text = environ[variable].strip()
        setting = by_variable.get(variable) or former.get(variable)
        if setting is None:
            if "__" in variable or not _SERVICE_LINK.fullmatch(variable):
                findings.append(_unknown(variable, by_variable))
        elif text:
            if variable in former:
                findings.append(_former(variable, setting.variable, environ))
            try:
                values[setting.path] = (_value(setting, text), variable)
            except ValueError as error:
                findings.append(in_variable("S004", variable, str(error)))
    return values, findings


def _former(variable: str, now: str, environ: Mapping[str, str]) -> Finding:
    """Make a finding about a variable that has another name now; an error where both are set."""
    if environ.get(now, "").strip():
        return in_variable("S003", variable, *set_twice(variable, now))
    return replace(in_variable(MOVED, variable, *moved(variable, now, now)), severity="warning")


def _unknown(variable: str, by_variable: Mapping[str, Setting]) -> Finding:
    close = did_you_mean(variable.replace("__", "_"), {name.replace("__", "_"): name for name in by_variable})
    spelled = {name.replace("__", "_"): name for name in by_variable}
    meant = spelled.get(close) if close else None
    hint = f"did you mean {meant}?" if meant else "names are BRIDGE_SECTION__KEY, as in BRIDGE_KAFKA__GROUP_ID"
    return in_variable("S001", variable, "there is no setting of this name", hint)


def _value(setting: Setting, text: str) -> Any:
    if setting.kind == "section":
        message = f"this is a section: set its keys, as in {setting.variable}__…"
        raise ValueError(message)
    return _READERS.get(setting.kind, str)(text)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        message = "must be true or false"
        raise ValueError(message)
    return _FLAGS[text.lower()]


def _number(text: str) -> int | float:
    match = _NUMBER.fullmatch(text)
    if match is None:
        message = "must be a number"
        raise ValueError(message)
    return float(text) if match["rest"] else int(text)


def _texts(text: str) -> tuple[Any, ...]:
    if text.startswith("["):
        value = _json(text)
        return value if isinstance(value, tuple) else (value,)
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _json(text: str) -> Any:
    try:
        return _frozen(loads(text))
    except JSONDecodeError as error:
        message = f"must be JSON: line {error.lineno}, column {error.colno} is not"
    raise ValueError(message)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


_READERS: dict[Kind, Callable[[str], Any]] = {
    "flag": _flag,
    "whole": _number,
    "number": _number,
    "texts": _texts,
    "json": _json,
}
