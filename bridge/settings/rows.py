"""The settings model, flattened: one row per setting, for the environment, the reference page and the schema."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.kinds import Formerly, Section, parse_duration, parse_size
from bridge.settings.model import Settings

__all__ = [
    "Kind",
    "Setting",
    "SettingPath",
    "former_places",
    "section_at",
    "setting_at",
    "settings_table",
    "variable_of",
]

Kind = Literal["section", "text", "secret", "flag", "whole", "number", "texts", "json", "path", "duration", "size"]

SettingPath = tuple[str, ...]
"""Leads from the top to a setting, in the file and in the model."""
_PREFIX = "BRIDGE_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the settings; a section is a row too. `path` leads to it from the top."""

    path: SettingPath
    kind: Kind
    info: FieldInfo
    section: type[Section] | None

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable_of(self.path)

    @property
    def former(self) -> SettingPath | None:
        """Where it stood in the version before, and is still read."""
        return next((mark.path for mark in self.info.metadata if isinstance(mark, Formerly)), None)

    @property
    def optional(self) -> bool:
        """Whether `null` (not set) is among its values."""
        return types.NoneType in get_args(self.info.annotation)


def variable_of(path: SettingPath) -> str:
    """Name the environment variable that sets what is at `path`."""
    return _PREFIX + "__".join(path).upper()


@cache
def settings_table() -> dict[SettingPath, Setting]:
    """Every setting and section by its path, in the order of the model."""
    return {setting.path: setting for setting in _walk(Settings, ())}


@cache
def former_places() -> dict[SettingPath, Setting]:
    """Every setting that stood elsewhere in the version before, by its place there."""
    return {former: setting for setting in settings_table().values() if (former := setting.former) is not None}


def setting_at(path: tuple[str | int, ...]) -> Setting | None:
    """Return the setting at a path, or the nearest one above it (for an item of a list or mapping)."""
    words = tuple(str(part) for part in path)
    table = settings_table()
    return next((table[words[:end]] for end in range(len(words), 0, -1) if words[:end] in table), None)


def section_at(path: tuple[str | int, ...]) -> type[Section] | None:
    """Return the model of the section at a path, items of a list of sections included."""
    if not path:
        return Settings
    setting = setting_at(path)
    return None if setting is None else setting.section


def _walk(section: type[Section], above: SettingPath) -> Iterator[Setting]:
    for name, info in section.model_fields.items():
        inner = _section_in(info.annotation)
        kind = "section" if inner is not None and not _is_list(info.annotation) else _kind(info)
        setting = Setting((*above, name), kind, info, inner)
        yield setting
        if inner is not None and kind == "section":
            yield from _walk(inner, setting.path)


def _options(annotation: Any) -> tuple[Any, ...]:
    """Split `A | B | None` into its members but None; anything else is its own only member."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(member for member in get_args(annotation) if member is not types.NoneType)
    return (annotation,)


def _bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split `Annotated[T, …]` into T and its metadata."""
    metadata = getattr(annotation, "__metadata__", ())
    return (get_args(annotation)[0] if metadata else annotation), metadata


def _is_list(annotation: Any) -> bool:
    return get_origin(_bare(_options(annotation)[0])[0]) is tuple


def _section_in(annotation: Any) -> type[Section] | None:
    for option in _options(annotation):
        bare = _bare(option)[0]
        found = get_args(bare)[0] if get_origin(bare) is tuple else bare
        if isinstance(found, type) and issubclass(found, Section):
            return found
    return None


_KINDS: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", SecretStr: "secret"}


def _kind(info: FieldInfo) -> Kind:
    options = _options(info.annotation)
    bare, metadata = _bare(options[0])
    marks = [*metadata, *info.metadata]
    functions = {getattr(mark, "func", None) for mark in marks}
    if "path" in marks:
        return "path"
    if parse_duration in functions:
        return "duration"
    if parse_size in functions or len(options) > 1:
        return "size"
    if get_origin(bare) is tuple:
        return "json" if _section_in(bare) else "texts"
    if get_origin(bare) is dict:
        return "json"
    return _KINDS.get(bare, "text")
