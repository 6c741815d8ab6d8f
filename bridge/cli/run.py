"""`suprsend-bridge run`."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failure import INTERRUPTED, USAGE, Failure

if TYPE_CHECKING:
    from bridge.findings import Finding
    from bridge.service.dry_run import DryTransport


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

    Example: suprsend-bridge run --config config/bridge.yaml
    """
    with _leaving_at_once():
        return _started(config, log_level, dry_run=dry_run)


def _started(config: Path | None, log_level: str | None, *, dry_run: bool) -> int:
    # What is imported stays: looking for cycles meanwhile costs a tenth of the start. `running` switches it on again.
    gc.disable()

    from bridge.observe.admin import AdminError
    from bridge.observe.logs import LEVELS, Logs
    from bridge.observe.redact import Redactor
    from bridge.service.dry_run import DryTransport
    from bridge.service.main_thread import StartError, run
    from bridge.service.wiring import secrets_of
    from bridge.settings.load import load_settings
    from bridge.settings.report import MOVED

    notes: list[Finding] = []
    settings = load_settings(config, os.environ, notes=notes)
    level = log_level or settings.logs.level
    if level not in LEVELS:
        message = f"--log-level {level}: write debug, info, warning or error"
        raise Failure(message)
    redactor = Redactor(
        secrets=secrets_of(settings), log_payloads=settings.logs.log_payloads, redact=settings.logs.redact
    )
    logs = Logs(level=level, form=settings.logs.format, redactor=redactor)
    logs.capture_libraries()
    for note in notes:
        if note.code == MOVED:
            logs.logger.warning("setting_moved", message=f"{note.message}: {note.hint}")
    dry = DryTransport() if dry_run else None
    try:
        return run(settings, logs, dry)
    except (AdminError, StartError) as error:
        raise Failure(str(error), USAGE) from None
    finally:
        gc.enable()
        logs.close()
        if dry is not None and dry.last is not None:
            _show(dry)


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Until the bridge itself listens to signals: nothing was begun, so there is nothing to end, or to load again."""
    usual = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGINT)}
    usual[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _leave(number: int, _: object) -> None:
    """Leave with no exception: where native code imports something it is caught, and the signal would be lost."""
    os._exit(0 if number == signal.SIGTERM else INTERRUPTED)


def _show(dry: DryTransport) -> None:
    """What was read and what would have been sent; with a few events, since they were asked for."""
    from bridge.findings import visible

    assert dry.last is not None
    lines = ["", "dry run: nothing was sent, committed or dead-lettered"]
    for topic in (view.topic for view in dry.last.topics):
        counted = dry.last.counted(topic)
        ends = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(counted.finished.items()) if count)
        lines.append(f"  {topic}: {counted.consumed} records read" + (f": {ends}" if ends else ""))
    for rule in dry.last.rule_views():
        lines += [
            f"  {rule.name} → {name}: {n}" for (name, result), n in sorted(rule.events.items()) if result == "accepted"
        ]
        lines += [f"  {rule.name} fails with {code}: {n}" for code, n in sorted(rule.errors.items())]
    for name, bodies in sorted(dry.shown.items()):
        lines.append(f"\n{name}, {len(bodies)} of {dry.events[name]}:")
        lines += [f"  {body.decode()}" for body in bodies]
    for line in "\n".join(lines).split("\n"):
        typer.echo(visible(line))
