"""pydantic's errors → findings at the place where the wrong setting stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from pydantic_core import ErrorDetails

from bridge.document import Document, EntryNode, ListNode, MappingNode, YamlNode
from bridge.findings import Codes, Finding, FindingCode, did_you_mean
from bridge.settings.kinds import CONFLICTS, Conflict, show_duration, show_size
from bridge.settings.rows import Setting, SettingPath, former_places, section_at, setting_at

__all__ = ["CODES", "DATES", "MOVED", "Places", "findings_of", "in_variable", "moved", "set_twice"]

DATES, MOVED = "S008", "S009"
CODES: Codes = {
    "S001": FindingCode(
        "There is no such setting, or no such environment variable.",
        "The message names the nearest one; all are in the settings reference.",
    ),
    "S002": FindingCode("A setting that must be there is missing.", "Add it; the message shows an example."),
    "S003": FindingCode("Settings that do not fit together.", "Change or leave out the one that is pointed at."),
    "S004": FindingCode("A value that this setting cannot have.", "Write what the message asks for."),
    "S005": FindingCode(
        "A file that a setting names cannot be used.",
        "Check the path (relative to the settings file), who may read it, and that it holds one line of text.",
    ),
    "S006": FindingCode("The settings file is not a mapping of sections.", "Begin with `kafka:`."),
    "S007": FindingCode(
        "A file of certificates or a private key that cannot work.",
        "Put in its place what the message asks for, as PEM text; a key must belong to the certificate beside it.",
    ),
    DATES: FindingCode(
        "A certificate in a file that is not valid now, or not for much longer.",
        "Renew it. `suprsend-bridge run` starts with it, and the other side may refuse it.",
    ),
    MOVED: FindingCode(
        "A setting stands where it stood in the version before.",
        "Write it where the message says; the former place is read in this version for the last time.",
        severity="warning",
    ),
}

Loc = tuple[str | int, ...]


class Places(NamedTuple):
    """Where each setting came from: the nodes of the file, and the variables of the environment.

    `former` has the settings that the file has where they stood in the version before.
    """

    document: Document
    variables: Mapping[SettingPath, str]
    former: Mapping[SettingPath, SettingPath] = MappingProxyType({})

    def finding(self, code: str, loc: Loc, message: str, hint: str | None = None, *, key: bool = False) -> Finding:
        """Make a finding about the setting at `loc`: at its value (or its key), or at what encloses it."""
        for end in range(len(loc), 0, -1):
            variable = self.variables.get(tuple(str(part) for part in loc[:end]))
            if variable is not None:
                return in_variable(code, variable, message, hint)
            entry = self._at(loc[:end])
            if entry is not None:
                node = entry.key if isinstance(entry, EntryNode) and (key or end < len(loc)) else entry
                return (node.value if isinstance(node, EntryNode) else node).finding(code, message, hint)
        setting = setting_at(loc)
        if self.document.root is not None:
            return Finding(code, "error", self.document.source.path, 1, 1, 0, message, hint)
        where = self.document.source.path or _variable(setting)
        return Finding(code, "error", where, 0, 0, 0, message, hint)

    def _at(self, loc: Loc) -> EntryNode | YamlNode | None:
        """Find the entry (of a mapping) or node (of a list) that a path leads to."""
        names = tuple(str(part) for part in loc)
        found: EntryNode | YamlNode | None = self.document.root
        for part in self.former.get(names, loc):
            node = found.value if isinstance(found, EntryNode) else found
            if isinstance(node, MappingNode):
                found = node.entry(str(part))
            elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node):
                found = node.items[part]
            else:
                return None
        return found


def _variable(setting: Setting | None) -> str:
    if setting is None:
        return "BRIDGE_…"
    return f"{setting.variable}__…" if setting.kind == "section" else setting.variable


def in_variable(code: str, variable: str, message: str, hint: str | None = None) -> Finding:
    """Make a finding about an environment variable; it has no line."""
    return Finding(code, "error", variable, 0, 0, 0, message, hint)


def moved(old: str, new: str, written: str) -> tuple[str, str]:
    """Say that a setting or variable has another name now, and how that is written: message and hint."""
    return f"`{old}` is now `{new}`", f"write {written}; `{old}` is read in this version for the last time"


def set_twice(old: str, new: str) -> tuple[str, str]:
    """Say that a setting or variable is there under its former name and its present one: message and hint."""
    return f"`{old}` and `{new}` are the same setting, and both are set", f"leave `{old}` out"


def findings_of(errors: list[ErrorDetails], places: Places) -> list[Finding]:
    """Say each of pydantic's errors in terms of the file and the environment."""
    return [finding for error in errors for finding in _findings(error, places)]


def _findings(error: ErrorDetails, places: Places) -> list[Finding]:
    loc: Loc = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == CONFLICTS:
        conflicts: list[Conflict] = error["ctx"]["conflicts"]
        return [places.finding("S003", (*loc, *where), message, hint) for where, message, hint in conflicts]
    if error["type"] == "extra_forbidden":
        return [_unknown(loc, places)]
    if error["type"] == "missing":
        return [_missing(loc, places)]
    message, hint = _wrong(error, setting_at(loc))
    return [places.finding("S004", loc, f"`{_spelled(loc)}` {message}", hint)]


def _spelled(loc: Loc) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)[1:]


def _unknown(loc: Loc, places: Places) -> Finding:
    section = section_at(loc[:-1])
    name, known = str(loc[-1]), tuple(section.model_fields) if section else ()
    close = did_you_mean(name, known)
    hint = f"did you mean `{close}`?" if close else f"there are: {', '.join(known)}"
    if moved_below := [setting.name for old, setting in former_places().items() if old[: len(loc)] == loc]:
        hint = f"its settings are now {', '.join(f'`{one}`' for one in moved_below)}"
    where = f"in `{_spelled(loc[:-1])}`" if len(loc) > 1 else "here"
    shown = name if len(name) <= 60 else name[:60] + "…"
    return places.finding("S001", loc, f"there is no setting `{shown}` {where}", hint, key=True)


def _missing(loc: Loc, places: Places) -> Finding:
    section = section_at(loc[:-1])
    info = section.model_fields.get(str(loc[-1])) if section else None
    hint = None
    if info is not None and info.description:
        example = f", as in `{loc[-1]}: {_written(info.examples[0])}`" if info.examples else ""
        hint = info.description.split(". ")[0].rstrip(".") + example
    return places.finding("S002", loc, f"`{_spelled(loc)}` is missing", hint)


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(str(item) for item in value)}]"
    return str(value)


def _wrong(error: ErrorDetails, setting: Setting | None) -> tuple[str, str | None]:
    """Say what is wrong with a value, and what to write instead."""
    known = _MESSAGES.get(error["type"])
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":
        return "is not usable", str(context["error"])
    if error["type"] == "literal_error":
        return f"must be one of: {', '.join(_choices(setting, context))}", None
    if known is None:
        return f"is not usable: {error['msg'].lower()}", None
    return known(context, setting), None


def _choices(setting: Setting | None, context: Mapping[str, Any]) -> list[str]:
    if setting is not None and setting.section is None:
        options = [option for option in get_args(setting.info.annotation) if isinstance(option, str)]
        if options:
            return options
    return [str(context["expected"]).replace("'", "").replace(" or ", ", ")]


def _limit(value: Any, setting: Setting | None) -> str:
    if setting is not None and setting.kind == "duration":
        return show_duration(float(value))
    if setting is not None and setting.kind == "size":
        return show_size(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


_Say = Callable[[Mapping[str, Any], Setting | None], str]
_MESSAGES: dict[str, _Say] = {
    "string_type": lambda _context, _setting: "must be text (write numbers, dates, true and false in quotes)",
    "int_type": lambda _context, _setting: "must be a whole number, without quotes",
    "int_from_float": lambda _context, _setting: "must be a whole number",
    "float_type": lambda _context, _setting: "must be a number, without quotes",
    "bool_type": lambda _context, _setting: "must be true or false, without quotes",
    "tuple_type": lambda _context, _setting: "must be a list",
    "dict_type": lambda _context, _setting: "must be a mapping (`key: value`)",
    "model_type": lambda _context, _setting: "must be a mapping (`key: value`)",
    "model_attributes_type": lambda _context, _setting: "must be a mapping (`key: value`)",
    "too_short": lambda _context, _setting: "must not be empty",
    "string_too_short": lambda _context, _setting: "must not be empty",
    "string_too_long": lambda context, _setting: f"must have {context['max_length']} characters at most",
    "greater_than": lambda context, setting: f"must be more than {_limit(context['gt'], setting)}",
    "greater_than_equal": lambda context, setting: f"must be {_limit(context['ge'], setting)} or more",
    "less_than": lambda context, setting: f"must be less than {_limit(context['lt'], setting)}",
    "less_than_equal": lambda context, setting: f"must be {_limit(context['le'], setting)} or less",
}
