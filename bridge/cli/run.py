"""`bridge run`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failure import USAGE, Failure

if TYPE_CHECKING:
    from bridge.dry_run import DryTransport


def command(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", envvar="BRIDGE_CONFIG", help="The settings file; without it, the environment alone."
        ),
    ] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read, map and count, but send, commit and dead-letter nothing; at the end (Ctrl-C) show events.",
        ),
    ] = False,
) -> int:
    """Run the bridge.

    A dry run reads in a group of its own, GROUP.dry-run, and begins where kafka.start_from says.

    Example: bridge run --config config/bridge.yaml
    """
    # Until the bridge itself listens to signals: nothing was begun, so there is nothing to end.
    signal.signal(signal.SIGTERM, _leave)

    from bridge.assembly import secrets_of
    from bridge.dry_run import DryTransport
    from bridge.kafka.config import ConfigError
    from bridge.observe.admin import AdminError
    from bridge.observe.logs import LEVELS, Logs
    from bridge.observe.redact import Redactor
    from bridge.running import run
    from bridge.secrets import SecretError
    from bridge.settings.load import load_settings
    from bridge.suprsend.answers import AnswerRuleError
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.signing import CredentialsError

    settings = load_settings(config, os.environ)
    level = log_level or settings.logs.level
    if level not in LEVELS:
        message = f"--log-level {level}: write debug, info, warning or error"
        raise Failure(message)
    logs = Logs(level=level, form=settings.logs.format, redactor=Redactor(secrets=secrets_of(settings)))
    logs.capture_libraries()
    dry = DryTransport() if dry_run else None
    try:
        return run(settings, logs, dry)
    except (ConfigError, AdminError, SecretError, AnswerRuleError, EndpointError, CredentialsError) as error:
        raise Failure(str(error), USAGE) from None
    finally:
        logs.close()
        if dry is not None and dry.last is not None:
            _show(dry)


def _leave(*_: object) -> None:
    raise SystemExit(0)


def _show(dry: DryTransport) -> None:
    """What was read and what would have been sent; with a few events, since they were asked for."""
    from bridge.findings import visible

    assert dry.last is not None
    lines = ["", "dry run: nothing was sent, committed or dead-lettered"]
    for topic in dry.last.topics:
        ends = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(topic.finished.items()) if count)
        lines.append(f"  {topic.topic}: {topic.consumed} records read" + (f": {ends}" if ends else ""))
    for rule in dry.last.rules:
        lines += [
            f"  {rule.name} → {name}: {n}" for (name, result), n in sorted(rule.events.items()) if result == "accepted"
        ]
        lines += [f"  {rule.name} fails with {code}: {n}" for code, n in sorted(rule.errors.items())]
    for name, bodies in sorted(dry.shown.items()):
        lines.append(f"\n{name}, {len(bodies)} of {dry.events[name]}:")
        lines += [f"  {body.decode()}" for body in bodies]
    for line in "\n".join(lines).split("\n"):
        typer.echo(visible(line))
