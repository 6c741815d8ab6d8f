"""The paths under `/_sandbox/`: what was received, the faults, the clock; and the page at `/`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from bridge.jsontext import JSONDecodeError, dumps, loads
from bridge.sandbox import views
from bridge.sandbox.clock import Clock, stamp
from bridge.sandbox.faults.plan import Plan
from bridge.sandbox.faults.spec import FaultError, Match, When, described, parse_faults
from bridge.sandbox.load import Load
from bridge.sandbox.memory import Memory
from bridge.sandbox.workspaces import Workspace, Workspaces

_ADVANCE_MOST: Final = 10 * 366 * 86_400
_KEYS_AT_ONCE: Final = 2_000
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:",
    "Cache-Control": "no-store",
}
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BadRequestError(ValueError):
    """What is wrong with a control request; its text is the answer."""


class Control:
    """Answers the control paths; runs on the sandbox's loop."""

    def __init__(self, memory: Memory, plan: Plan, workspaces: Workspaces, clock: Clock, load: Load) -> None:
        self._memory = memory
        self._plan = plan
        self._workspaces = workspaces
        self._clock = clock
        self._load = load
        self._routes: dict[tuple[str, str], _Handler] = {
            ("GET", "/"): self._page,
            ("GET", "/_sandbox"): self._index,
            ("GET", "/_sandbox/stats"): self._stats,
            ("GET", "/_sandbox/events"): self._events,
            ("GET", "/_sandbox/keys"): self._keys,
            ("GET", "/_sandbox/calls"): self._calls,
            ("GET", "/_sandbox/refusals"): self._refusals,
            ("GET", "/_sandbox/faults"): self._faults,
            ("POST", "/_sandbox/faults"): self._add_faults,
            ("PUT", "/_sandbox/faults"): self._replace_faults,
            ("DELETE", "/_sandbox/faults"): self._clear_faults,
            ("GET", "/_sandbox/workspaces"): self._list_workspaces,
            ("POST", "/_sandbox/workspaces"): self._put_workspace,
            ("POST", "/_sandbox/clock"): self._advance,
            ("POST", "/_sandbox/reset"): self._reset,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every mistake in it is a 4xx with `{"error": …}`."""
        path = request.path if request.path == "/" else request.path.rstrip("/")
        handler = self._routes.get((request.method, path)) or self._by_prefix(request)
        if handler is None:
            known = [method for method, route in self._routes if route == path]
            message = f"{path} takes {' or '.join(known)}" if known else "no such path; GET /_sandbox lists them"
            return _json({"error": message}, 405 if known else 404)
        try:
            return await handler(request)
        except (BadRequestError, FaultError) as error:
            return _json({"error": str(error)}, 400)

    def _by_prefix(self, request: web.BaseRequest) -> _Handler | None:
        for method, prefix, handler in (
            ("GET", "/_sandbox/events/", self._one_key),
            ("DELETE", "/_sandbox/faults/", self._remove_fault),
        ):
            if request.method == method and request.path.startswith(prefix):
                return handler
        return None

    async def _page(self, _request: web.BaseRequest) -> web.StreamResponse:
        text = files("bridge.sandbox").joinpath("page.html").read_text(encoding="utf-8")
        return web.Response(text=text, content_type="text/html", headers=_PAGE_HEADERS)

    async def _index(self, _request: web.BaseRequest) -> web.StreamResponse:
        paths = [f"{method} {path}" for method, path in self._routes]
        paths += ["GET /_sandbox/events/{key}", "DELETE /_sandbox/faults/{id}"]
        when = When().model_dump(exclude={"match"}) | {"match": dict.fromkeys(Match.model_fields)}
        return _json({"paths": paths, "faults": described(), "when": when})

    async def _stats(self, _request: web.BaseRequest) -> web.StreamResponse:
        load = {"in_flight": self._load.now, "most_in_flight": self._load.most}
        clock = {"now": stamp(self._clock.now_ms()), "ahead_seconds": self._clock.ahead_seconds}
        uptime = round(time.monotonic() - self._load.since, 3)
        return _json({"clock": clock, "uptime_seconds": uptime, "load": load, **views.stats(self._memory)})

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        query = request.query
        after, limit = _number(query.get("after"), "after", 0, 2**63), _limit(query.get("limit"))
        taken = query.get("taken", "accepted")
        if taken not in views.TAKEN:
            raise BadRequestError(f"taken must be one of {', '.join(views.TAKEN)}")
        wanted = {name: query[name] for name in views.FILTERS if query.get(name)}
        newest = query.get("newest", "0") not in ("0", "", "false")
        body = views.events(self._memory, wanted, taken, after=after, limit=limit, newest=newest)
        return web.Response(body=body, content_type="application/json")

    async def _one_key(self, request: web.BaseRequest) -> web.StreamResponse:
        key = unquote(request.raw_path.split("?")[0].removeprefix("/_sandbox/events/"))
        body = views.one_key(self._memory, key)
        if body is None:
            return _json({"error": "no event was accepted under this key"}, 404)
        return web.Response(body=body, content_type="application/json")

    async def _keys(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for chunk in views.key_lines(self._memory, request.query.get("workspace"), _KEYS_AT_ONCE):
            await response.write(chunk)
            await asyncio.sleep(0)
        return response

    async def _calls(self, request: web.BaseRequest) -> web.StreamResponse:
        after, limit = _number(request.query.get("after"), "after", 0, 2**63), _limit(request.query.get("limit"))
        return _json({"calls": views.calls(self._memory, after, limit)})

    async def _refusals(self, request: web.BaseRequest) -> web.StreamResponse:
        return _json({"refusals": views.refusals(self._memory, _limit(request.query.get("limit")))})

    async def _faults(self, _request: web.BaseRequest) -> web.StreamResponse:
        return _json({"faults": self._plan.shown()})

    async def _add_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        added = self._plan.add(parse_faults(await _posted(request)))
        return _json({"added": [rule.number for rule in added]}, 201)

    async def _replace_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        specs = parse_faults(await _posted(request))
        self._plan.clear()
        return _json({"added": [rule.number for rule in self._plan.add(specs)]}, 201)

    async def _clear_faults(self, _request: web.BaseRequest) -> web.StreamResponse:
        self._plan.clear()
        return _json({"faults": []})

    async def _remove_fault(self, request: web.BaseRequest) -> web.StreamResponse:
        number = _number(request.path.rsplit("/", 1)[1], "id", 1, 2**63)
        found = self._plan.remove(number)
        return _json({"removed": number} if found else {"error": f"no fault {number}"}, 200 if found else 404)

    async def _list_workspaces(self, _request: web.BaseRequest) -> web.StreamResponse:
        return _json({"workspaces": [views.workspace(known) for known in self._workspaces.all()]})

    async def _put_workspace(self, request: web.BaseRequest) -> web.StreamResponse:
        workspace = _workspace(await _posted(request), self._workspaces)
        self._workspaces.put(workspace)
        return _json(views.workspace(workspace), 201)

    async def _advance(self, request: web.BaseRequest) -> web.StreamResponse:
        posted = await _posted(request)
        seconds = posted.get("advance_seconds") if isinstance(posted, dict) and len(posted) == 1 else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _ADVANCE_MOST:
            raise BadRequestError(f'send {{"advance_seconds": n}} with n from 0 to {_ADVANCE_MOST}')
        self._clock.advance(seconds)
        return _json({"now": stamp(self._clock.now_ms()), "ahead_seconds": self._clock.ahead_seconds})

    async def _reset(self, _request: web.BaseRequest) -> web.StreamResponse:
        self._memory.reset()
        self._plan.clear()
        self._clock.reset()
        self._load.most = self._load.now
        return _json({"reset": True})


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=dumps(value), status=status, content_type="application/json")


async def _posted(request: web.BaseRequest) -> Any:
    try:
        return loads(await request.read())
    except JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None


def _limit(text: str | None) -> int:
    return _number(text, "limit", 1, 10_000) if text else 100


def _number(text: str | None, name: str, least: int, most: int) -> int:
    if not text:
        return least
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise BadRequestError(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _workspace(posted: object, known: Workspaces) -> Workspace:
    """A workspace from JSON; fields left out stay as they were where the key is known."""
    fields = ("key", "secret", "api_key", "uid")
    if not isinstance(posted, dict) or not set(posted) <= {*fields, "active"}:
        raise BadRequestError('send {"key", "secret", "api_key", "uid", "active"}; all but the key may stay out')
    key = posted.get("key")
    old = known.get(key) if isinstance(key, str) else None
    values = {name: posted.get(name, getattr(old, name, None)) for name in fields}
    wrong = [name for name, value in values.items() if not isinstance(value, str) or not value]
    active = posted.get("active", old.active if old else True)
    if wrong or not isinstance(active, bool):
        raise BadRequestError(f"these must be given as text: {', '.join(wrong) or 'active as true or false'}")
    return Workspace(active=active, **values)  # type: ignore[arg-type]
