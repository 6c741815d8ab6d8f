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
    from bridge.service.dry_run import DryRun


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
    seconds: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End the dry run after so long: 30s, 5m.")
    ] = None,
    records: Annotated[
        int | None,
        typer.Option(
            "--records", min=1, help="End the dry run after so many records, or a few more that came with them."
        ),
    ] = None,
) -> int:
    """Run the bridge.

    A dry run reads in a group of its own, GROUP.dry-run, and begins where kafka.start_from says.

    Example: suprsend-bridge run --dry-run --for 30s --records 1000
    """
    if not dry_run and (seconds is not None or records is not None):
        raise Failure("--for and --records end a dry run: write --dry-run, too")
    with _leaving_at_once():
        return _started(config, log_level, _dry(seconds, records) if dry_run else None)


def _dry(duration: str | None, records: int | None) -> DryRun:
    from bridge.service.dry_run import DryRun
    from bridge.settings.kinds import parse_duration

    dry = DryRun()
    if records is not None:
        dry.records = records
    if duration is not None:
        try:
            dry.seconds = parse_duration(duration)
        except ValueError:
            raise Failure(f"--for {duration}: write a time such as 30s or 5m") from None
    return dry


def _started(config: Path | None, log_level: str | None, dry: DryRun | None) -> int:
    # What is imported stays: looking for cycles meanwhile costs a tenth of the start. `running` switches it on again.
    gc.disable()

    from bridge.findings import visible
    from bridge.observe.admin import AdminError
    from bridge.observe.logs import LEVELS, Logs
    from bridge.observe.redact import Redactor
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

    def end() -> None:
        logs.close()
        for line in dry.summary() if dry is not None else ():
            typer.echo(visible(line))

    try:
        return run(settings, logs, end, dry)
    except (AdminError, StartError) as error:
        raise Failure(str(error), USAGE) from None
    finally:
        gc.enable()
        end()


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
