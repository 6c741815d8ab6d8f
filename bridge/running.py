"""The process of `bridge run`: signals, admin server, watch over the rules; ends with the exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from watchfiles import awatch

from bridge import __version__
from bridge.app import App
from bridge.dry_run import DryTransport
from bridge.observe.admin import Admin, application, serving
from bridge.observe.collector import BridgeCollector, registry
from bridge.observe.logs import Logs
from bridge.observe.stall import StallWatch, watch
from bridge.operator import Operator
from bridge.settings.model import Settings

OK, FATAL, INTERRUPTED = 0, 70, 130
COLLECT_AFTER = 50_000
"""Objects more than before at which the collector looks for cycles. Python's 700 cost a tenth of all CPU, measured."""
LOOK_EVERY = 0.5
"""Seconds between two looks at whether the threads live."""


def run(settings: Settings, logs: Logs, dry: DryTransport | None = None) -> int:
    """Run a bridge until a signal or a fatal error. Raises what `App` raises, and `AdminError` for a port in use.

    With `dry` nothing is sent, committed or dead-lettered.
    """
    app = App(settings, logs, dry)
    return asyncio.run(_run(app, settings, logs, dry))


async def _run(app: App, settings: Settings, logs: Logs, dry: DryTransport | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, _stop_or_leave, stop, name, logs)
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, app.reload))
    stalls = StallWatch()
    async with _admin(app, settings, logs, stalls) as port:
        logs.logger.info(
            "started",
            version=__version__,
            group=settings.kafka.group_id,
            topics=list(settings.kafka.topics),
            rules_hash=app.rules_hash,
            dry_run=dry is not None,
        )
        logs.logger.info("admin_listening", host=settings.admin.host, port=port)
        _spare_the_collector()
        app.start()
        async with _background(watch(app, stalls, logs.logger), _watch_rules(app, settings)):
            await _until(stop, app)
        logs.logger.info("stopping", drain_seconds=settings.kafka.drain)
        ended = await loop.run_in_executor(None, app.stop)
    if ended.fatal is not None:
        logs.logger.error("stopped", clean=ended.clean, fatal=ended.fatal)
        return _leave(logs, FATAL)
    logs.logger.info("stopped", clean=ended.clean)
    if dry is not None:
        dry.last = app.last()
    return OK if ended.clean else _leave(logs, FATAL)


def _spare_the_collector() -> None:
    """What lives as long as the process is not looked through again, and records come and go without any cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def _stop_or_leave(stop: asyncio.Event, name: signal.Signals, logs: Logs) -> None:
    """The first signal asks for an orderly end; a second one leaves at once."""
    if stop.is_set():
        logs.logger.error("stopped", clean=False, why=f"a second {name.name}")
        _leave(logs, INTERRUPTED)
    stop.set()


def _leave(logs: Logs, code: int) -> int:
    """Leave without waiting for threads: librdkafka's close may hang after a fatal error."""
    logs.close()
    os._exit(code)


async def _until(stop: asyncio.Event, app: App) -> None:
    while not stop.is_set() and app.failure() is None:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)


@asynccontextmanager
async def _admin(app: App, settings: Settings, logs: Logs, stalls: StallWatch) -> AsyncIterator[int]:
    collector = BridgeCollector(app, logs_left_out=logs.left_out, stalls=lambda: stalls.count)
    admin = Admin(
        source=app,
        registry=registry(collector),
        controls=Operator(app.road, logs),
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


async def _watch_rules(app: App, settings: Settings) -> None:
    """Reload when something in the rules directory changed; a ConfigMap swaps a symlink there."""
    if not settings.rules.watch:
        return
    path = Path(settings.rules.path)
    loop = asyncio.get_running_loop()
    reload: Callable[[], bool] = app.reload
    async for _ in awatch(path, recursive=False, debounce=200, step=50):
        await loop.run_in_executor(None, reload)
