"""A sandbox as a process: from its configuration to its end by a signal."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bridge.sandbox.server import Sandbox, SandboxConfig

_GC = (50_000, 20, 50)
"""Parsed events are many, short-lived and without cycles: collecting as eagerly as by default costs a tenth."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    config: SandboxConfig, ready: Callable[[str], None], port_file: Path | None, *, until_stdin_ends: bool
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the base URL. Raises OSError where it cannot listen or write."""
    gc.set_threshold(*_GC)
    asyncio.run(_serve(config, ready, port_file, until_stdin_ends=until_stdin_ends))
    for number in _SIGNALS:
        # The interpreter gives other handlers back to the system while it ends: a second signal would be the exit code.
        signal.signal(number, signal.SIG_IGN)


async def _serve(
    config: SandboxConfig, ready: Callable[[str], None], port_file: Path | None, *, until_stdin_ends: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    _on_signals(loop, stop)
    sandbox = Sandbox(config)
    url = await sandbox.start()
    try:
        if port_file is not None:
            _write_port(port_file, url)
        if until_stdin_ends:
            await loop.connect_read_pipe(lambda: _Leash(stop), sys.stdin)
        ready(url)
        await stop.wait()
    finally:
        await sandbox.stop()


def _on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Not by the loop: it takes its handlers away at its end, and a second signal would then kill the process."""

    def told(_number: int, _frame: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in _SIGNALS:
        signal.signal(number, told)


class _Leash(asyncio.Protocol):
    """Ends the sandbox with the process that started it, however that one ended."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop.set()


def _write_port(port_file: Path, url: str) -> None:
    """Whole or not at all: whoever waits for the file never reads half a number."""
    half = port_file.with_name(f"{port_file.name}.{os.getpid()}")
    half.write_text(url.rstrip("/").rsplit(":", 1)[1] + "\n", encoding="ascii")
    half.replace(port_file)
