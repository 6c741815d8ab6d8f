"""The files that settings name: paths, secrets, certificates and keys, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bridge.findings import Finding
from bridge.pem import Problem, authorities_problem, pair_problem
from bridge.secrets import Secret, SecretError
from bridge.settings.model import Settings
from bridge.settings.report import DATES, Places
from bridge.settings.rows import Setting, settings_table

__all__ = ["TlsProblem", "other_way", "resolve_paths", "tls_findings", "tls_problems", "unusable_files"]


def other_way(path: tuple[str, ...]) -> tuple[str, ...]:
    """Where the same secret is set the other way: `x` → `x_file`, and back."""
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


def resolve_paths(data: dict[str, Any], base: Path) -> None:
    """Make the file's paths relative to the file; the default of `rules.path` too."""
    rules = data.setdefault("rules", {})
    if isinstance(rules, dict):
        rules.setdefault("path", str(Settings.model_fields["rules"].get_default(call_default_factory=True).path))
    for setting, section in _paths(data):
        name = setting.path[-1]
        if section[name].strip() and "\0" not in section[name]:
            section[name] = str(base / section[name])


def unusable_files(data: dict[str, Any], places: Places) -> list[Finding]:
    """What is wrong with each file that a setting names, before the settings are looked at themselves."""
    findings: list[Finding] = []
    for setting, section in _paths(data):
        value = section[setting.path[-1]]
        if not setting.path[-1].endswith("_file") or not value.strip() or "\0" in value:
            continue
        problem = _secret_problem(value) if other_way(setting.path) in settings_table() else _file_problem(value)
        if problem is not None:
            findings.append(places.finding("S005", setting.path, f"`{setting.name}`: {problem}"))
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


def tls_findings(settings: Settings, places: Places) -> Iterator[Finding]:
    """What is wrong with the files for TLS. What dates say is no error yet: it may be renewed while the bridge runs."""
    for found in tls_problems(settings):
        text = f"`{'.'.join(found.path)}`: the file {str(found.file)!r} {found.problem.text}"
        if found.problem.date:
            yield replace(places.finding(DATES, found.path, text), severity=found.problem.severity)
        else:
            yield places.finding("S007", found.path, text)


class TlsProblem(NamedTuple):
    """A problem of the file that the setting at `path` names."""

    path: tuple[str, ...]
    file: Path
    problem: Problem


class _Files(NamedTuple):
    """The files of one side, and the settings that name them."""

    section: tuple[str, ...]
    names: dict[str, str]
    files: dict[str, Path | None]
    password: Callable[[], str] | None


def tls_problems(settings: Settings) -> list[TlsProblem]:
    """What is wrong with the files for TLS, of SuprSend and of Kafka. Reads them; connects to nothing."""
    return [found for files in _files(settings) for found in _problems(files)]


def _files(settings: Settings) -> Iterator[_Files]:
    suprsend, security = settings.suprsend, settings.kafka.security
    names = {"ca": "ca_file", "cert": "client_cert_file", "key": "client_key_file"}
    files = {kind: getattr(suprsend, name) for kind, name in names.items()}
    yield _Files(("suprsend",), names, files, None)
    names = {"ca": "ca_file", "cert": "cert_file", "key": "key_file"}
    files = {kind: getattr(security, name) for kind, name in names.items()}
    secret = security.key_secret
    yield _Files(("kafka", "security"), names, files, None if secret is None else secret.read)


def _problems(of: _Files) -> Iterator[TlsProblem]:
    ca, cert, key = (of.files[kind] for kind in ("ca", "cert", "key"))
    found = [authorities_problem(ca) if ca is not None else None]
    # Where the password cannot be read, the loader has a finding for its file.
    with suppress(SecretError):
        found.append(pair_problem(cert, key, of.password) if cert is not None and key is not None else None)
    for problem in found:
        if problem is not None:
            yield TlsProblem((*of.section, of.names[problem.file]), of.files[problem.file] or Path(), problem)
