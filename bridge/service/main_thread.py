"""The process of `suprsend-bridge run`: signals, admin server, watch over the rules; ends with the exit code.

The admin server comes first; everything else is imported, compiled and connected while it answers, so that a process is
seen to live as soon as it does.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge import __version__
from bridge.delivery.journal import trace_of
from bridge.observe.actions import Action, RefusedError
from bridge.observe.admin import AdminServer, application, serving
from bridge.observe.collector import BridgeCollector, registry
from bridge.observe.logs import Logs
from bridge.observe.snapshot import Snapshot, SnapshotSource, TopicView
from bridge.observe.stall import StallWatch, watch
from bridge.service.actions import ACTIONS
from bridge.settings.model import Settings

if TYPE_CHECKING:
    from bridge.service.app import App
    from bridge.service.controls import Operator
    from bridge.service.dry_run import DryRun

OK, FATAL, INTERRUPTED = 0, 70, 130
COLLECT_AFTER = 50_000
"""Objects more than before at which the collector looks for cycles. Python's 700 cost a tenth of all CPU, measured."""
_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 128 * 1024
"""The number of an option of mallopt(3), and its value as it is at the start, in bytes."""
ONE_WISH = 1.0
"""Seconds within which a second signal says no more than the first."""
LOOK_EVERY = 0.5
"""Seconds between two looks at whether the threads live."""
RULES_EVERY_MS = 2_000
"""Milliseconds between two looks at whether the rules directory is still the one that is watched."""
SECRETS_EVERY = 1.0
"""Seconds between two looks at the files of secrets."""


class BridgeView:
    """What the admin server looks at, and what acts: nothing yet while the bridge is being assembled, then the bridge.

    Implements `observe.snapshot.SnapshotSource`. `enter` may be called by any thread.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self._empty = Snapshot(taken_at=time.time(), topics=tuple(map(TopicView, topics)))
        self._there: tuple[SnapshotSource, Operator] | None = None

    def enter(self, source: SnapshotSource, operator: Operator) -> None:
        """The bridge is there: from now on it is what is looked at, and what acts."""
        self._there = (source, operator)

    def snapshot(self) -> Snapshot:
        """The newest published snapshot."""
        return self._there[0].snapshot() if self._there is not None else self._empty

    def poll_age(self) -> float | None:
        """Seconds since the Kafka thread last polled."""
        return self._there[0].poll_age() if self._there is not None else None

    async def act(self, action: Action, values: tuple[Any, ...], reason: str) -> str:
        """Do what an operator asks for; raises `RefusedError`."""
        if self._there is None:
            raise RefusedError("the bridge is starting: try again in a moment")
        return await action.do(self._there[1], *values, reason)


class StartError(Exception):
    """What is wrong on this machine, in one line: a key, an address, a file."""


def run(settings: Settings, logs: Logs, end: Callable[[], None], dry: DryRun | None = None) -> int:
    """Run a bridge until a signal or a fatal error.

    Raises `FindingsError` for broken rules, `AdminError` for a port in use, `StartError` for the rest.

    With `dry` nothing is sent, committed or dead-lettered. `end` is called where the process leaves at once, and this
    does not return: it closes the logs, and tells what there is to tell.
    """
    return asyncio.run(_run(settings, logs, end, dry))


async def _run(settings: Settings, logs: Logs, end: Callable[[], None], dry: DryRun | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    view = BridgeView(settings.kafka.topics)

    def leave(name: str) -> None:
        logs.logger.error("stopped", clean=False, why=f"a second {name}")
        if dry is not None:
            dry.last = view.snapshot()
        _leave(end, INTERRUPTED)

    signals = _Signals(stop, leave)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, signals.arrived, name.name)
    again = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, again.set)
    stalls = StallWatch()
    async with _admin(view, settings, logs, stalls) as port:
        loaded_at = time.time()
        app = await loop.run_in_executor(None, _assembled, settings, logs, view, dry)
        logs.logger.info(
            "started",
            version=__version__,
            group=settings.kafka.group_id,
            topics=list(settings.kafka.topics),
            rules_hash=app.rules_hash,
            dry_run=dry is not None,
        )
        logs.logger.info("admin_listening", host=settings.admin.host, port=port)
        if stop.is_set():
            logs.logger.info("stopped", clean=True, why="a signal arrived before anything was begun")
            if dry is not None:
                dry.last = view.snapshot()
            return OK
        _spare_the_collector()
        _give_back_large_blocks()
        app.start()
        jobs = (
            watch(app, stalls, logs.logger),
            _watch_rules(settings, loaded_at, again),
            _reload(app, logs, again),
            _watch_secrets(app),
        )
        async with _background(*jobs):
            await _until(stop, app, dry)
        if dry is not None:
            dry.held = await loop.run_in_executor(None, app.fresh)
        logs.logger.info("stopping", drain_seconds=settings.kafka.drain)
        ended = await loop.run_in_executor(None, app.stop)
    if dry is not None:
        dry.last = app.last()
    if ended.fatal is not None:
        logs.logger.error("stopped", clean=ended.clean, fatal=ended.fatal)
        return _leave(end, FATAL)
    logs.logger.info("stopped", clean=ended.clean)
    return OK if ended.clean else _leave(end, FATAL)


def _assembled(settings: Settings, logs: Logs, view: BridgeView, dry: DryRun | None) -> App:
    """Everything else, in a thread: the imports alone take a good part of the start."""
    from bridge.kafka.config import ConfigError
    from bridge.secrets import SecretError
    from bridge.service.app import App
    from bridge.service.controls import Operator
    from bridge.suprsend.answers import AnswerRuleError
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.signing import CredentialsError

    try:
        app = App(settings, logs, dry)
    except (ConfigError, SecretError, AnswerRuleError, EndpointError, CredentialsError) as error:
        raise StartError(str(error)) from None
    view.enter(app, Operator(app.engine, app.pauses, logs, settings.kafka.topics, app.kafka.counters))
    return app


def _spare_the_collector() -> None:
    """Let the collector pass over what lives as long as the process, and run seldom: records make no cycles."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def _give_back_large_blocks() -> None:
    """Let glibc give back a block of 128 KiB or more as soon as it is free; another C library does as it does.

    By itself it raises that bound with the first large block (a call's body) it frees, to 32 MiB: the holes between such
    blocks made 340 MiB of what is 135 where large events fan out, measured (mallopt(3), "dynamic mmap threshold").
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)


class _Signals:
    """The first signal asks for an orderly end; another one leaves at once, if it is a wish of its own."""

    def __init__(self, stop: asyncio.Event, leave: Callable[[str], None]) -> None:
        self._stop = stop
        self._leave = leave
        self._first = 0.0

    def arrived(self, name: str) -> None:
        """Called by the loop. GNU `timeout` sends two at once; so does a terminal, by way of a parent that passes them on."""
        if not self._stop.is_set():
            self._first = time.monotonic()
            self._stop.set()
        elif time.monotonic() - self._first >= ONE_WISH:
            self._leave(name)


def _leave(end: Callable[[], None], code: int) -> int:
    """Leave without waiting for threads: librdkafka's close may hang after a fatal error."""
    end()
    os._exit(code)


async def _until(stop: asyncio.Event, app: App, dry: DryRun | None) -> None:
    begun = time.monotonic()
    while not stop.is_set() and app.failure() is None:
        if dry is not None and dry.enough(app.snapshot(), time.monotonic() - begun):
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)


@asynccontextmanager
async def _admin(view: BridgeView, settings: Settings, logs: Logs, stalls: StallWatch) -> AsyncIterator[int]:
    collector = BridgeCollector(view, logs_left_out=logs.left_out, stalls=lambda: stalls.count)
    admin = AdminServer(
        source=view,
        registry=registry(collector),
        actions=ACTIONS,
        act=view.act,
        token=settings.admin.secret,
        log=logs.logger.info,
        log_level=lambda: logs.level,
        started_at=time.time(),
    )
    async with serving(application(admin), settings.admin.host, settings.admin.port) as port:
        yield port


@asynccontextmanager
async def _background(*jobs: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(job) for job in jobs]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch_rules(settings: Settings, loaded_at: float, again: asyncio.Event) -> None:
    """Ask for a reload when something in the rules directory changed; a ConfigMap swaps a symlink there.

    A watch stays with the directory that it began with: another one under the same name needs a watch of its own.
    """
    if not settings.rules.watch:
        return
    from watchfiles import awatch

    path = Path(settings.rules.path)
    seen = _identity(path)
    if _changed_since(path, loaded_at):
        again.set()
    while True:
        with suppress(FileNotFoundError):
            async for changes in awatch(
                path, recursive=False, debounce=200, step=50, rust_timeout=RULES_EVERY_MS, yield_on_timeout=True
            ):
                if changes:
                    again.set()
                if _identity(path) != seen:
                    break
        found = _identity(path)
        if found != seen:
            again.set()
            seen = found
        await asyncio.sleep(LOOK_EVERY)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which directory it is that the path leads to; None where it leads nowhere."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _changed_since(path: Path, when: float) -> bool:
    """Whether the directory or a file in it is newer: the watch does not tell what changed before it began."""
    try:
        return any(each.stat().st_mtime >= when for each in (path, *path.iterdir()))
    except OSError:
        return True


async def _reload(app: App, logs: Logs, again: asyncio.Event) -> None:
    """Load the rules again whenever that is asked for, one load after the other: the last one read counts."""
    loop = asyncio.get_running_loop()
    while True:
        await again.wait()
        again.clear()
        try:
            await loop.run_in_executor(None, app.reload)
        except Exception as error:  # noqa: BLE001 (the rules in force stay; the next reload is to work)
            logs.logger.error("unexpected", where="the reload of the rules", exception=trace_of(error))  # noqa: TRY400


async def _watch_secrets(app: App) -> None:
    """Log when the file of a secret changed or cannot be used. Looks in a thread: a file system may be slow."""
    loop = asyncio.get_running_loop()
    while True:
        await loop.run_in_executor(None, app.look_at_secrets)
        await asyncio.sleep(SECRETS_EVERY)
