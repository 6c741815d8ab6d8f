"""File, environment and secrets → frozen settings, or every mistake at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.document import Document, Mapping as MappingNode, Node, Scalar, Sequence as SequenceNode, compose, read
from bridge.findings import Finding, FindingsError, has_errors
from bridge.secrets import Secret, SecretError
from bridge.settings.environ import Values, from_environment
from bridge.settings.masking import masked
from bridge.settings.model import Settings
from bridge.settings.report import Origins, findings_of
from bridge.settings.shape import Setting, settings_table
from bridge.settings.tls_files import tls_problems

__all__ = ["SettingsError", "load_settings"]

_SECTIONS_NEEDED = ("kafka", "suprsend")


_NOTHING = Finding(
    "S002",
    "error",
    "settings",
    0,
    0,
    0,
    "there are none: neither a settings file was named, nor is a BRIDGE_… variable set",
    "name the file (`--config config/bridge.yaml`), or set at least BRIDGE_KAFKA__BOOTSTRAP_SERVERS and its kin",
)


class SettingsError(FindingsError):
    """The settings cannot be used; the text of the file in `sources` has all secrets hidden."""


def load_settings(
    path: Path | None, environ: Mapping[str, str], *, files: bool = True, notes: list[Finding] | None = None
) -> Settings:
    """Load the settings from a file (None: from the environment alone) and from `BRIDGE_…` variables, which win.

    Paths in the file are relative to the file, those in the environment and the default of `rules.path` without a
    file to the working directory. With `files`, each file that a setting names must be readable, secrets included,
    and certificates and keys must be ones that can work; what their dates say goes to `notes`, since it may be mended
    while the bridge runs. Raises `SettingsError` with all that is wrong. Reads files: call it before the event loops start.
    """
    document = compose("", "") if path is None else read(path)
    values, findings = from_environment(environ)
    if path is None and not values and not findings:
        raise SettingsError([_NOTHING], {})
    findings = [*document.findings, *findings, *_top_level(document)]
    data = _plain(document.root) if isinstance(document.root, MappingNode) else {}
    base = Path() if path is None else path.parent
    _resolve_paths(data, base)
    variables = _overlay(data, values)
    origins = Origins(document, variables)
    settings = None
    if document.complete:
        for section in _SECTIONS_NEEDED:
            data.setdefault(section, {})
        if files:
            findings += _unusable_files(data, origins)
        settings = _validate(data, origins, findings)
        if files and settings is not None and not has_errors(findings):
            _look_at_tls(settings, origins, findings, notes)
    if settings is None or has_errors(findings):
        shown, text = masked(document, findings)
        raise SettingsError(shown, {document.source.path: text})
    return settings


def _validate(data: dict[str, Any], origins: Origins, findings: list[Finding]) -> Settings | None:
    known = {(finding.line, finding.column) for finding in origins.document.findings}
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    new = findings_of(details, origins)
    # A value that YAML already stumbled over needs no second message.
    findings += [one for one in new if one.line == 0 or (one.line, one.column) not in known]
    return None


def _look_at_tls(settings: Settings, origins: Origins, findings: list[Finding], notes: list[Finding] | None) -> None:
    for found in tls_problems(settings):
        text = f"`{'.'.join(found.path)}`: the file {str(found.file)!r} {found.problem.text}"
        finding = origins.finding("S008" if found.problem.date else "S007", found.path, text)
        if not found.problem.date:
            findings.append(finding)
        elif notes is not None:
            notes.append(replace(finding, severity=found.problem.severity))


def _top_level(document: Document) -> list[Finding]:
    if document.root is None or isinstance(document.root, MappingNode):
        return []
    message = "the settings file must be a mapping of sections (`kafka:`, `suprsend:`, …)"
    return [document.root.finding("S006", message)]


def _plain(node: Node) -> Any:
    if isinstance(node, MappingNode):
        return {entry.name: _plain(entry.value) for entry in node}
    if isinstance(node, SequenceNode):
        return tuple(_plain(item) for item in node)
    assert isinstance(node, Scalar)
    return node.value


def _overlay(data: dict[str, Any], values: Values) -> dict[tuple[str, ...], str]:
    """Put the environment's values over the file's; returns which path came from which variable.

    Setting a secret one way in the environment replaces the file's other way.
    """
    variables: dict[tuple[str, ...], str] = {}
    for path, (value, variable) in values.items():
        section: Any = data
        for name in path[:-1]:
            if section.get(name) is None:
                section[name] = {}
            section = section[name]
            if not isinstance(section, dict):
                break
        else:
            section[path[-1]] = value
            variables[path] = variable
            other = _other_way(path)
            if other not in values and other in settings_table():
                section.pop(other[-1], None)
    return variables


def _other_way(path: tuple[str, ...]) -> tuple[str, ...]:
    name = path[-1]
    return (*path[:-1], name.removesuffix("_file") if name.endswith("_file") else f"{name}_file")


def _paths(data: dict[str, Any]) -> Iterator[tuple[Setting, dict[str, Any]]]:
    """Find the settings of kind `path` that have a value, with the mapping that holds it."""
    for setting in settings_table().values():
        if setting.kind != "path":
            continue
        section: Any = data
        for name in setting.path[:-1]:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict) and isinstance(section.get(setting.path[-1]), str):
            yield setting, section


def _resolve_paths(data: dict[str, Any], base: Path) -> None:
    """Make the file's paths relative to the file; the default of `rules.path` too."""
    rules = data.setdefault("rules", {})
    if isinstance(rules, dict):
        rules.setdefault("path", str(Settings.model_fields["rules"].get_default(call_default_factory=True).path))
    for setting, section in _paths(data):
        name = setting.path[-1]
        if section[name].strip() and "\0" not in section[name]:
            section[name] = str(base / section[name])


def _unusable_files(data: dict[str, Any], origins: Origins) -> list[Finding]:
    findings: list[Finding] = []
    for setting, section in _paths(data):
        value = section[setting.path[-1]]
        if not setting.path[-1].endswith("_file") or not value.strip() or "\0" in value:
            continue
        problem = _secret_problem(value) if _other_way(setting.path) in settings_table() else _file_problem(value)
        if problem is not None:
            findings.append(origins.finding("S005", setting.path, f"`{setting.name}`: {problem}"))
    return findings


def _secret_problem(path: str) -> str | None:
    try:
        Secret(file=Path(path)).read()
    except SecretError as error:
        return str(error)
    return None


def _file_problem(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"the file {path!r} cannot be read: {error.strerror}"
    return None
