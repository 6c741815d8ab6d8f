"""The sandbox as an HTTP server: the event API, its faults, and the control paths beside it, on one event loop.

Also the process of it, to its end by a signal, and answers that no HTTP library would send: they are written to the
connection piece by piece, which is then closed.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.sandbox import answers
from bridge.sandbox.answers import ApiAnswer, CallCounts, Refusal
from bridge.sandbox.api import Api, SandboxLimits
from bridge.sandbox.call import ApiCall, path_of
from bridge.sandbox.control import Control
from bridge.sandbox.faults.acts import Act, Script, act, applies
from bridge.sandbox.faults.fault_plan import Chosen, FaultPlan
from bridge.sandbox.faults.spec import Delay
from bridge.sandbox.memory import Clock, Load, Memory
from bridge.sandbox.workspaces import EXAMPLE, Workspace, Workspaces

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

READ_BYTES: Final = 16 * 1024 * 1024
"""A larger request body is not even read."""
_STOP_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """How a sandbox is set up. `port` 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    workspace: Workspace = EXAMPLE
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    seed: int = 1
    window_seconds: float = 86_400
    max_skew_seconds: float | None = None
    variants: frozenset[str] = frozenset()
    """Names of `variants.VARIANTS`."""


class Sandbox:
    """One sandbox on the running event loop: `start`, then `stop`. All its methods run on that loop."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._clock = Clock()
        self._memory = Memory(self._clock, config.window_seconds)
        self._plan = FaultPlan(config.seed, time.monotonic)
        self._load = Load()
        workspaces = Workspaces(config.workspace, config.max_skew_seconds)
        self._api = Api(config.limits, workspaces, self._memory, self._clock, config.variants)
        self._control = Control(self._memory, self._plan, workspaces, self._clock, self._load)
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; returns the base URL. Raises OSError where the address is taken or not ours."""
        self._http = web.Server(
            self._handle,
            request_factory=_request,
            handler_cancellation=True,
            access_log=None,
            logger=_logger(),
            auto_decompress=False,
            read_bufsize=1024 * 1024,
        )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._http, self._config.host, self._config.port, backlog=1024)
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    async def stop(self) -> None:
        """Close the listener and every connection, hanging ones too."""
        if self._listener is not None:
            self._listener.close()
        if self._http is not None:
            await self._http.shutdown(_STOP_SECONDS)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/" or request.path.startswith("/_sandbox"):
            return await self._control.handle(request)
        with self._load:
            return await self._serve(request)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        call = await _read(request)
        if isinstance(call, Refusal):
            answer = answers.refused(call)
            self._note("(other)", answer.status, 0, answer.counts, None)
            return _respond(answer)
        chosen = self._plan.choose(call)
        spec = None if chosen.rule is None else chosen.rule.spec
        answer = self._api.answer(call, chosen.rejections, apply=spec is None or applies(spec))
        deed = Act(answer.status, answer)
        if chosen.rule is not None and spec is not None:
            deed = act(spec, answer, chosen.rule.random)
        self._note(call.endpoint.value, deed.status, answer.counts.received, answer.counts, _named(chosen))
        if spec is not None:
            await _wait(spec.delay + (spec.seconds if isinstance(spec, Delay) else 0))
        if deed.script is not None:
            return ScriptedResponse(deed.script, self._load, reset=deed.reset)
        return _respond(deed.answer or answer)

    def _note(self, path: str, status: int, events: int, counts: CallCounts, fault: str | None) -> None:
        self._memory.note_call(path, status, events, counts, fault, time.monotonic())


def _logger() -> logging.Logger:
    """Bugs of ours are logged; what a client sends that is no HTTP is its own affair."""
    logger = logging.getLogger("bridge.sandbox")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def _request(
    message: object, payload: object, protocol: object, writer: object, task: asyncio.Task[None]
) -> web.BaseRequest:
    """A request as the library makes it, but with our limit on the body."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=READ_BYTES)  # type: ignore[arg-type]


async def _read(request: web.BaseRequest) -> ApiCall | Refusal:
    endpoint = path_of(request.path)
    if endpoint is None:
        return Refusal(404, "not_found", "no such path; events go to /v2/event/, /v2/bulk/event/ or /event/")
    if request.method != "POST":
        return Refusal(405, "method_not_allowed", "events are sent with POST")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        return Refusal(415, "unsupported_media_type", "send the body uncompressed: SuprSend documents no compression")
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return Refusal(413, "payload_too_large", f"request body is over {READ_BYTES} bytes")
    return ApiCall(endpoint, request.raw_path, request.headers, body)


def _respond(answer: ApiAnswer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type, **answer.headers}
    )


def _named(chosen: Chosen) -> str | None:
    if chosen.rule is not None:
        return chosen.rule.name
    return chosen.rejections[0].rule.name if chosen.rejections else None


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


_NO_LINGER = struct.pack("ii", 1, 0)


class ScriptedResponse(web.StreamResponse):
    """Plays a script on the transport, then closes it (or resets it); ends when the client leaves."""

    def __init__(self, script: Script, load: Load, *, reset: bool) -> None:
        super().__init__()
        self._load = load
        self._script = script
        self._reset = reset

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Takes the place of the library's own headers. Always raises ConnectionResetError: the connection is over."""
        with self._load:
            await self._play(request)
        _end(request.transport, reset=self._reset)
        raise ConnectionResetError

    async def _play(self, request: web.BaseRequest) -> None:
        for step in self._script:
            if request.transport is None or request.transport.is_closing():
                break
            if isinstance(step, bytes):
                await request.writer.write(step)
                await request.writer.drain()
            else:
                await asyncio.sleep(step)


def _end(transport: asyncio.Transport | None, *, reset: bool) -> None:
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


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
