"""What is generated from the settings model: the JSON Schema, and the reference page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from bridge.document import CODES as YAML_CODES
from bridge.jsontext import dumps
from bridge.settings.files import other_way
from bridge.settings.kinds import Section, show_duration, show_size
from bridge.settings.model import Settings
from bridge.settings.passthrough import ALLOWED
from bridge.settings.report import CODES as SETTINGS_CODES
from bridge.settings.rows import Kind, Setting, SettingPath, former_places, settings_table

__all__ = ["findings_page", "settings_page", "settings_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of the settings file; every key has a description and an example."""
    schema = Settings.model_json_schema()
    for setting in settings_table().values():
        _finish(_property(schema, setting.path), setting)
    _finish_answers(schema)
    for old, setting in former_places().items():
        _add_former(schema, old, setting)
    _property(schema, ("kafka", "properties"))["propertyNames"] = {"enum": list(ALLOWED)}
    return {"$schema": _DIALECT, **schema, "title": "Settings of the bridge"}


def _property(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Find the schema of the key at a path, through the definitions."""
    found = schema
    for name in path:
        found = _definition(schema, found)["properties"][name]
    return found


def _definition(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for option in (node, *node.get("anyOf", ()), node.get("items", {})):
        if "$ref" in option:
            return dict.__getitem__(schema["$defs"], option["$ref"].rsplit("/", 1)[1])
    return node


def _finish(key: dict[str, Any], setting: Setting) -> None:
    """Say defaults as people write them, and give sections an example."""
    key.pop("title", None)
    if setting.kind == "section":
        key.pop("default", None)
        assert setting.section is not None
        key["description"] = setting.info.description
        key.setdefault("examples", [_example_of(setting.section)])
        return
    if key.get("default") is not None:
        key["default"] = _as_written(key["default"], setting.kind)
    for option in key.get("anyOf", ()):
        option.pop("gt", None)  # pydantic's own word: a bound in seconds, which says nothing about `20ms`


def _add_former(schema: dict[str, Any], old: SettingPath, setting: Setting) -> None:
    """A place of the version before: taken, and struck through by editors."""
    top: dict[str, Any] = _definition(schema, schema["properties"][old[0]])
    for name in old[1:-1]:
        empty = {"type": "object", "additionalProperties": False, "properties": {}, "deprecated": True}
        inner = top["properties"].setdefault(
            name, {**empty, "description": "Former place of settings.", "examples": [{}]}
        )
        top = _definition(schema, inner)
    now = {key: value for key, value in _property(schema, setting.path).items() if key != "default"}
    description = f"Now `{setting.name}`. Read here in this version for the last time."
    top["properties"][old[-1]] = {**now, "deprecated": True, "description": description}


def _finish_answers(schema: dict[str, Any]) -> None:
    from bridge.suprsend.shapes import SHAPES

    properties = schema["$defs"]["AnswerRow"]["properties"]
    for key in properties.values():
        key.pop("title", None)
    properties["shape"]["anyOf"] = [{"enum": list(SHAPES)}, {"type": "null"}]


def _example_of(section: type[Section]) -> dict[str, Any]:
    """Show the keys that a section must have, or else its first two."""
    infos = {name: info for name, info in section.model_fields.items() if info.examples}
    needed = {name: info for name, info in infos.items() if info.is_required()} or dict(list(infos.items())[:2])
    return {name: info.examples[0] for name, info in needed.items() if info.examples}


def _as_written(value: Any, kind: Kind) -> Any:
    if kind == "duration":
        return show_duration(float(value))
    if kind == "size" and isinstance(value, int):
        return show_size(value)
    return str(value) if isinstance(value, Path) else value


def settings_page() -> str:
    """Return the reference page of all settings, in Markdown."""
    return "\n".join(_lines()) + "\n"


_LAST = ("tuning",)
_INTRODUCTION = """\
# Settings

<!-- Generated from the settings model by `make docs`. Do not edit. -->

The settings come from a YAML file (`suprsend-bridge run --config bridge.yaml`), then from environment variables, which win.
`suprsend-bridge check` finds every mistake in them at once, with file, line and column; `suprsend-bridge schema settings` prints the
JSON Schema for an editor. Two examples are kept true by tests: [`config/bridge.yaml`](../../config/bridge.yaml) is
what most people need, [`config/bridge.full.yaml`](../../config/bridge.full.yaml) sets everything.

- **Environment:** each key has a variable, shown with it: `BRIDGE_` and its path with `__` between. Lists
  are written with commas or as JSON, mappings as JSON. An empty variable counts as not set.
- **Secrets:** every secret has a second key with `_file` behind its name: the path of a file that holds it, and
  nothing else. It is read again when the file changes. Only one of the two may be set; one that is set in the
  environment replaces the other in the file. Secrets are never printed.
- **Paths** in the file are relative to the file, those in the environment to the working directory.
- **Durations** are written `20ms`, `10s`, `5m`, `24h`, `7d`; **sizes** as bytes or `512KiB`, `64MiB`, `1GiB`.
- **YAML:** anchors, tags, duplicate keys and values that readers disagree about (`yes`, `012`, `1:30`) are refused.
"""


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    table = settings_table()
    for setting in table.values():
        if setting.path == _LAST:
            yield from _tuning()
        elif setting.path[:1] != _LAST and not (_is_file(setting) and other_way(setting.path) in table):
            yield from _entry(setting, table.get(other_way(setting.path)))


def _is_file(setting: Setting) -> bool:
    return setting.path[-1].endswith("_file")


def _entry(setting: Setting, file: Setting | None) -> Iterator[str]:
    """A heading, what it is for, and how it is written; a secret together with its `_file`."""
    names = [f"`{one.name}`" for one in (setting, file) if one is not None]
    yield f"{'##' if len(setting.path) == 1 else '###'} {', '.join(names)}\n"
    off = " Not set by default." if setting.kind == "section" and setting.optional else ""
    yield f"{_prose(setting.info.description or '')}{off}\n"
    if setting.kind != "section":
        yield from _facts(setting, file)


def _tuning() -> Iterator[str]:
    """The last section, as a table: it is there to be looked up."""
    (section,) = _LAST
    yield f"## `{section}`\n"
    yield f"{_prose(settings_table()[_LAST].section.__doc__ or '')}\n"
    yield "Variables as everywhere: `BRIDGE_TUNING__SPAN`. Where a setting stood in the version before, in the file or by its"
    yield "variable, it is read in this version for the last time, with a warning; in both places at once it is an error.\n"
    yield "| key | default | what it is | formerly |"
    yield "|---|---|---|---|"
    for setting in settings_table().values():
        if setting.path[:-1] == _LAST:
            former = f"`{'.'.join(setting.former)}`" if setting.former else ""
            about = f"{_prose(setting.info.description or '')} {_type(setting).capitalize()}."
            yield f"| `{setting.name}` | {_default(setting)} | {about} | {former} |"
    yield ""


def _prose(text: str) -> str:
    return " ".join(text.split())


def _facts(setting: Setting, file: Setting | None) -> Iterator[str]:
    """How it is written: an example only where the default shows none."""
    examples = [example for example in setting.info.examples or [] if _yaml(example) not in _default(setting)]
    shown = " or ".join(f"`{setting.path[-1]}: {_yaml(example)}`" for example in examples)
    yield f"- {_type(setting)}; {_default_said(setting)}" + (f"; example: {shown}" if shown and file is None else "")
    yield "- " + ", ".join(f"`{one.variable}`" for one in (setting, file) if one is not None) + "\n"
    if setting.path == ("kafka", "properties"):
        yield "What is let through, and what for:\n"
        reasons: dict[str, list[str]] = {}
        for name, key in ALLOWED.items():
            reasons.setdefault(key.why, []).append(f"`{name}`")
        yield from (f"- {', '.join(names)}: {why}" for why, names in reasons.items())
        yield ""
    if setting.section is not None:
        yield "Keys of each item:\n"
        for name, info in setting.section.model_fields.items():
            yield f"- `{name}`: {_prose(info.description or '')} Example: `{name}: {_yaml((info.examples or [''])[0])}`"
        yield ""


_WORDS: dict[Kind, str] = {
    "section": "section",
    "text": "text",
    "secret": "text, secret",
    "flag": "`true` or `false`",
    "whole": "whole number",
    "number": "number",
    "texts": "list of texts",
    "json": "mapping of texts",
    "path": "path",
    "duration": "duration",
    "size": "size",
}


def _type(setting: Setting) -> str:
    choices = [option for option in get_args(setting.info.annotation) if isinstance(option, str)]
    if setting.path == ("memory",):
        return "`default`, `small` or a size, 8MiB or more"
    if choices:
        return "one of " + ", ".join(f"`{choice}`" for choice in choices)
    if setting.section is not None:
        return "list of mappings"
    return _WORDS[setting.kind] + _bounds(setting)


def _bounds(setting: Setting) -> str:
    limits = {
        name: _as_written(getattr(mark, name), setting.kind)
        for mark in setting.info.metadata
        for name in ("gt", "ge", "lt", "le")
        if getattr(mark, name, None) is not None
    }
    words = {"gt": "more than {}", "ge": "{} or more", "lt": "less than {}", "le": "{} or less"}
    if "ge" in limits and "le" in limits:
        return f", {limits['ge']} to {limits['le']}"
    return "".join(f", {words[name].format(value)}" for name, value in limits.items())


def _default_said(setting: Setting) -> str:
    if setting.info.is_required():
        return "must be set"
    return f"default: {_default(setting)}" if _default(setting) else "not set by default"


def _default(setting: Setting) -> str:
    """The default as it is written; empty where there is none."""
    if setting.info.is_required() or (value := setting.info.get_default(call_default_factory=True)) is None:
        return ""
    return f"`{_yaml(_as_written(value, setting.kind))}`"


def _yaml(value: Any) -> str:
    """Write a value as YAML's flow style does; JSON is close enough, without the quotes that are not needed."""
    if isinstance(value, str):
        needs = not value or value[0] in "*&!@`'\"%{[>|#?" or ": " in value or (value[:4].isdigit() and "-" in value)
        return dumps(value).decode() if needs else value
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in value.items())}}}"
    return dumps(value).decode()


def findings_page() -> str:
    """Return the page of the finding codes of YAML and settings, in Markdown."""
    lines = [
        "# Findings in YAML and settings",
        "",
        "<!-- Generated from the tables of codes by `make docs`. Do not edit. -->",
        "",
        "What `suprsend-bridge check` may say of a YAML file (`Y…`) and of the settings (`S…`). A code never changes its meaning.",
        "",
    ]
    for code, row in {**YAML_CODES, **SETTINGS_CODES}.items():
        lines += [f"## {code}", "", row.title, "", f"**Instead:** {row.instead}", ""]
    return "\n".join(lines)
