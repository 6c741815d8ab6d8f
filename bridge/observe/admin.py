"""The admin server: metrics, health, status, a page, and what an operator may do. Runs in the main thread's loop.

It reads snapshots and has actions done; it never touches what another thread owns, so no request delays a call.
Reading is open to whoever reaches the port (localhost unless set); actions need the token of the settings.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from bridge import __version__, jsontext
from bridge.observe.actions import Action, BadRequestError, RefusedError, read_body
from bridge.observe.snapshot import SnapshotSource
from bridge.observe.status import Process, heartbeat_trouble, missing, status
from bridge.secrets import SecretError

BODY_BYTES = 16_384
REQUEST_SECONDS = 15.0
_MOST_DIGITS = 9
"""Of the number of partitions that is asked for."""
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ACTIONS_OFF = (
    "actions are switched off: no admin token is set. Set admin.token_file (or BRIDGE_ADMIN__TOKEN) and start again; "
    "everything else on this port goes on without it"
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminError(Exception):
    """The server cannot listen; the message is one line that says where, why and what to do."""


class AdminToken(Protocol):
    """A secret that is read anew on each use; `bridge.secrets.Secret` is one."""

    def read(self) -> str: ...


class Log(Protocol):
    """One log line: a stable event name and its facts."""

    def __call__(self, event: str, **facts: Any) -> None: ...


Act = Callable[[Action, tuple[Any, ...], str], Awaitable[str]]
"""Does an action with its values and its reason, and says what was done. Raises `RefusedError`."""


@dataclass(frozen=True, slots=True)
class AdminServer:
    """What the server is made of. `token` None refuses every action."""

    source: SnapshotSource
    registry: CollectorRegistry
    actions: Mapping[str, Action]
    act: Act
    token: AdminToken | None
    log: Log
    log_level: Callable[[], str] = lambda: "info"
    clock: Callable[[], float] = time.time
    started_at: float = 0.0

    def process(self) -> Process:
        return Process(__version__, self.clock(), self.started_at, self.source.poll_age(), self.log_level())


def application(admin: AdminServer) -> web.Application:
    """All routes. Each request ends within `REQUEST_SECONDS`; bodies are at most `BODY_BYTES`."""
    app = web.Application(client_max_size=BODY_BYTES, middlewares=[_guard])
    page = files("bridge.observe").joinpath("page.html").read_text("utf-8")

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers=PAGE_HEADERS)

    app.router.add_get("/", show_page)
    app.router.add_get("/metrics", partial(_metrics, admin))
    app.router.add_get("/livez", partial(_livez, admin))
    app.router.add_get("/readyz", partial(_readyz, admin))
    app.router.add_get("/status", partial(_status, admin))
    app.router.add_post("/actions/{action}", partial(_act, admin))
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block is left; yields the port (of use where 0 was asked for). Raises `AdminError`."""
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            raise AdminError(_why_not(host, port, error)) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _why_not(host: str, port: int, error: OSError) -> str:
    what = f"the admin server cannot listen on {host}:{port}: "
    if error.errno == errno.EADDRINUSE:
        return what + "the port is in use. Stop what uses it, or set admin.port (BRIDGE_ADMIN__PORT) to a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return what + "not allowed. Ports below 1024 need root: set admin.port (BRIDGE_ADMIN__PORT) to a higher one"
    return what + f"{error.strerror or error}. Is admin.host (BRIDGE_ADMIN__HOST) an address of this machine?"


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            return await handler(request)
    except TimeoutError:
        return _answer(504, error=f"no answer within {REQUEST_SECONDS:.0f} s; look at /status for what it waits for")
    except BadRequestError as error:
        return _answer(400, error=str(error))
    except RefusedError as error:
        return _answer(409, error=str(error))
    except web.HTTPRequestEntityTooLarge:
        return _answer(413, error=f"the body is larger than {BODY_BYTES} bytes")
    except web.HTTPNotFound:
        return _answer(404, error="there are /, /status, /metrics, /livez, /readyz and POST /actions/…")
    except web.HTTPMethodNotAllowed as error:
        return _answer(405, error=f"use {', '.join(sorted(error.allowed_methods))} here")


async def _metrics(admin: AdminServer, request: web.Request) -> web.Response:
    response = web.Response(
        body=generate_latest(admin.registry),
        headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"},
    )
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


async def _livez(admin: AdminServer, _: web.Request) -> web.Response:
    process = admin.process()
    trouble = heartbeat_trouble(process.poll_age, process.now - process.started_at)
    return _health([] if trouble is None else [trouble], "alive")


async def _readyz(admin: AdminServer, _: web.Request) -> web.Response:
    return _health(missing(admin.source.snapshot()), "ready")


async def _status(admin: AdminServer, request: web.Request) -> web.Response:
    asked = request.query.get("partitions")
    if asked is not None and not (asked.isascii() and asked.isdigit() and len(asked) <= _MOST_DIGITS):
        return _answer(400, error="partitions: how many of them, a whole number; without it all")
    most = None if asked is None else int(asked)
    return _answer(200, **status(admin.source.snapshot(), admin.process(), most))


def _health(troubles: list[str], word: str) -> web.Response:
    text = "\n".join(troubles) if troubles else word
    return web.Response(status=503 if troubles else 200, text=text + "\n", headers={"Cache-Control": "no-store"})


async def _act(admin: AdminServer, request: web.Request) -> web.Response:
    name = request.match_info["action"]
    refusal = _refusal(admin, request)
    if refusal is not None:
        admin.log("admin_refused", action=name[:40], remote=request.remote, status=refusal.status)
        return refusal
    action = admin.actions.get(name)
    if action is None:
        return _answer(404, error=f"there is no such action; there are {', '.join(admin.actions)}")
    body, reason = read_body(action, _decode(await request.read()))
    try:
        done = await admin.act(action, action.read(body), reason)
    except RefusedError as error:
        admin.log("admin_action", action=name, **body, reason=reason, remote=request.remote, refused=str(error))
        raise
    admin.log("admin_action", action=name, **body, reason=reason, remote=request.remote, done=done)
    return _answer(200, done=done)


def _decode(raw: bytes) -> Any:
    try:
        return jsontext.loads(raw)
    except jsontext.JSONDecodeError:
        message = "the body is not JSON"
        raise BadRequestError(message) from None


def _refusal(admin: AdminServer, request: web.Request) -> web.Response | None:
    if admin.token is None:
        return _answer(403, error=ACTIONS_OFF)
    try:
        wanted = admin.token.read()
    except SecretError as error:
        return _answer(503, error=f"the admin token cannot be read: {error}")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted.encode())
    if scheme.lower() != "bearer" or not same:
        response = _answer(401, error="the token is missing or wrong: send `Authorization: Bearer TOKEN`")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    return None


def _answer(status_code: int, **body: Any) -> web.Response:
    return web.Response(
        status=status_code,
        body=jsontext.dumps(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
