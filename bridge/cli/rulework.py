"""What the commands for rules share: where the rules are, loaded or refused, and records from text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.failure import FOUND, Failure

if TYPE_CHECKING:
    from bridge.flow import MappingContext, PlainRecord
    from bridge.rules.model import RuleSet
    from bridge.settings.model import Settings

__all__ = ["Config", "Rules", "context_for", "directory", "envelope_record", "kafka_settings", "loaded"]

Rules = Annotated[
    Path | None, typer.Option("--rules", "-r", help="The directory of rules, or one file. Without it: config/rules.")
]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file: its rules, limits, and its Kafka.")
]
UNKNOWN_WORKSPACE = "workspace-key-not-known-here"
_USUAL = (Path("config/rules"), Path("rules"))


def settings_of(config: Path | None) -> Settings | None:
    """The settings that are named by the option or BRIDGE_CONFIG; None where none are. Raises SettingsError."""
    named = config or (Path(os.environ["BRIDGE_CONFIG"]) if os.environ.get("BRIDGE_CONFIG") else None)
    if named is None:
        # Without settings their model is not even imported: a third of the start of `suprsend-bridge events`.
        return None
    from bridge.settings.load import load_settings

    return load_settings(named, os.environ, files=False)


def kafka_settings(config: Path | None) -> Settings:
    """The settings, for a command that reads from Kafka."""
    from bridge.settings.load import load_settings

    settings = settings_of(config)
    if settings is None:
        usual = Path("config/bridge.yaml")
        settings = load_settings(usual if usual.is_file() else None, os.environ, files=False)
    return settings


def directory(path: Path | None, settings: Settings | None = None) -> Path:
    """Where the rules are: as named, as the settings say, or at the usual places."""
    if path is not None:
        if not path.exists():
            raise Failure(f"{path}: there is no such file or directory")
        return path
    if settings is not None:
        return Path(settings.rules.path)
    for usual in _USUAL:
        if usual.is_dir():
            return usual
    raise Failure("there are no rules at config/rules: name their directory")


def loaded(path: Path) -> RuleSet:
    """Load rules; where they have errors, say them on stderr and end with exit code 1."""
    from bridge.findings import has_errors, render
    from bridge.rules.read.load import load_rules

    found = load_rules(path)
    if has_errors(found.findings):
        errors = [finding for finding in found.findings if finding.severity == "error"]
        typer.echo(render(errors, "text", found.sources).rstrip("\n"), err=True)
        raise typer.Exit(FOUND)
    return found.rules


def context_for(settings: Settings | None) -> MappingContext:
    """What mapping needs to know of the process: from the settings, or their defaults."""
    from bridge.flow import MappingContext
    from bridge.secrets import SecretError

    if settings is None:
        return MappingContext(env=UNKNOWN_WORKSPACE, namespace="")
    from bridge.service.wiring import context_of, credentials_of
    from bridge.suprsend.signing import CredentialsError

    try:
        env = credentials_of(settings)().env
    except (SecretError, CredentialsError):
        env = UNKNOWN_WORKSPACE
    return context_of(settings, env, "")


def envelope_record(text: bytes, where: str) -> PlainRecord:
    """A record from one line `{"topic": …, "value": …}`. Raises Failure."""
    from bridge.jsontext import JSONDecodeError, loads
    from bridge.rules.tools.examples_reader import GivenError, record_of

    try:
        given: Any = loads(text)
        if not isinstance(given, dict):
            raise Failure(f'{where}: with --envelope a record is an object: {{"topic": "orders.v1", "value": …}}')
        return record_of(given)
    except JSONDecodeError as error:
        raise Failure(f"{where}: this is not JSON (column {error.colno})") from None
    except GivenError as error:
        raise Failure(f"{where}: {error}") from None
