"""File, environment and secrets → frozen settings, or every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.document import Document, ListNode, MappingNode, Scalar, YamlNode, compose, read
from bridge.findings import Finding, FindingsError, has_errors
from bridge.settings.environ import Values, from_environment
from bridge.settings.files import other_way, resolve_paths, tls_findings, unusable_files
from bridge.settings.masking import masked
from bridge.settings.model import Settings
from bridge.settings.report import DATES, MOVED, Places, findings_of, moved, set_twice
from bridge.settings.rows import SettingPath, former_places, settings_table

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
    and certificates and keys must be ones that can work. To `notes` goes what stops nobody: what the dates of certificates
    say, since they may be renewed while the bridge runs, and settings that stand where they stood in the version before.
    Raises `SettingsError` with all that is wrong. Reads files: call it before the event loops start.
    """
    document = compose("", "") if path is None else read(path)
    values, findings = from_environment(environ)
    if path is None and not values and not findings:
        raise SettingsError([_NOTHING], {})
    findings = [*document.findings, *findings, *_top_level(document)]
    data = _plain(document.root) if isinstance(document.root, MappingNode) else {}
    base = Path() if path is None else path.parent
    resolve_paths(data, base)
    former, moves = _from_former_places(data, Places(document, {}))
    findings += moves
    variables = _overlay(data, values)
    places = Places(document, variables, former)
    settings, dates = None, list[Finding]()
    if document.complete:
        for section in _SECTIONS_NEEDED:
            data.setdefault(section, {})
        if files:
            findings += unusable_files(data, places)
        settings = _validate(data, places, findings)
        if files and settings is not None and not has_errors(findings):
            tls = list(tls_findings(settings, places))
            dates = [finding for finding in tls if finding.code == DATES]
            findings += [finding for finding in tls if finding.code != DATES]
    if settings is None or has_errors(findings):
        shown, text = masked(document, findings)
        raise SettingsError(shown, {document.source.path: text})
    if notes is not None:
        notes += [*dates, *(finding for finding in findings if finding.code == MOVED)]
    return settings


def _validate(data: dict[str, Any], places: Places, findings: list[Finding]) -> Settings | None:
    known = {(finding.line, finding.column) for finding in places.document.findings}
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    new = findings_of(details, places)
    # A value that YAML already stumbled over needs no second message.
    findings += [one for one in new if one.line == 0 or (one.line, one.column) not in known]
    return None


def _top_level(document: Document) -> list[Finding]:
    if document.root is None or isinstance(document.root, MappingNode):
        return []
    message = "the settings file must be a mapping of sections (`kafka:`, `suprsend:`, …)"
    return [document.root.finding("S006", message)]


def _plain(node: YamlNode) -> Any:
    if isinstance(node, MappingNode):
        return {entry.name: _plain(entry.value) for entry in node}
    if isinstance(node, ListNode):
        return tuple(_plain(item) for item in node)
    assert isinstance(node, Scalar)
    return node.value


def _from_former_places(data: dict[str, Any], places: Places) -> tuple[dict[SettingPath, SettingPath], list[Finding]]:
    """Move what stands where it stood in the version before; returns which place it came from, and what to say."""
    former: dict[SettingPath, SettingPath] = {}
    findings: list[Finding] = []
    for old, setting in former_places().items():
        section = _section(data, old[:-1])
        if section is None or old[-1] not in section:
            continue
        value = section.pop(old[-1])
        if not section and old[:-1] not in settings_table():
            del data[old[0]][old[1]]
        now = data.setdefault(setting.path[0], {})
        if not isinstance(now, dict):
            continue
        if setting.path[-1] in now:
            findings.append(places.finding("S003", old, *set_twice(".".join(old), setting.name), key=True))
        else:
            now[setting.path[-1]] = value
            former[setting.path] = old
            written = f"`{setting.path[-1]}` under `{setting.path[0]}:`"
            warning = places.finding(MOVED, old, *moved(".".join(old), setting.name, written), key=True)
            findings.append(replace(warning, severity="warning"))
    return former, findings


def _section(data: dict[str, Any], path: SettingPath) -> dict[str, Any] | None:
    """Find the mapping at a path, where there is one."""
    found: Any = data
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


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
            other = other_way(path)
            if other not in values and other in settings_table():
                section.pop(other[-1], None)
    return variables
