"""The paths under `/_sandbox/`: what was received, as JSON; the faults, the clock; and the page at `/`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib.resources import files
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from bridge.jsontext import JSONDecodeError, dumps, loads
from bridge.sandbox.faults.fault_plan import FaultPlan
from bridge.sandbox.faults.spec import EventTest, FaultError, When, described, parse_faults
from bridge.sandbox.memory import CallNote, Clock, Kept, KeyFacts, Load, Memory, Taken, stamp
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

    def __init__(self, memory: Memory, plan: FaultPlan, workspaces: Workspaces, clock: Clock, load: Load) -> None:
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
        when = When().model_dump(exclude={"match"}) | {"match": dict.fromkeys(EventTest.model_fields)}
        return _json({"paths": paths, "faults": described(), "when": when})

    async def _stats(self, _request: web.BaseRequest) -> web.StreamResponse:
        load = {"in_flight": self._load.now, "most_in_flight": self._load.most}
        clock = {"now": stamp(self._clock.now_ms()), "ahead_seconds": self._clock.ahead_seconds}
        uptime = round(time.monotonic() - self._load.since, 3)
        return _json({"clock": clock, "uptime_seconds": uptime, "load": load, **stats_json(self._memory)})

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        query = request.query
        after, limit = _number(query.get("after"), "after", 0, 2**63), _limit(query.get("limit"))
        taken = query.get("taken", "accepted")
        if taken not in TAKEN:
            raise BadRequestError(f"taken must be one of {', '.join(TAKEN)}")
        wanted = {name: query[name] for name in FILTERS if query.get(name)}
        newest = query.get("newest", "0") not in ("0", "", "false")
        body = events_json(self._memory, wanted, taken, after=after, limit=limit, newest=newest)
        return web.Response(body=body, content_type="application/json")

    async def _one_key(self, request: web.BaseRequest) -> web.StreamResponse:
        key = unquote(request.raw_path.split("?")[0].removeprefix("/_sandbox/events/"))
        body = key_json(self._memory, key)
        if body is None:
            return _json({"error": "no event was accepted under this key"}, 404)
        return web.Response(body=body, content_type="application/json")

    async def _keys(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for chunk in key_lines(self._memory, request.query.get("workspace"), _KEYS_AT_ONCE):
            await response.write(chunk)
            await asyncio.sleep(0)
        return response

    async def _calls(self, request: web.BaseRequest) -> web.StreamResponse:
        after, limit = _number(request.query.get("after"), "after", 0, 2**63), _limit(request.query.get("limit"))
        return _json({"calls": calls_json(self._memory, after, limit)})

    async def _refusals(self, request: web.BaseRequest) -> web.StreamResponse:
        return _json({"refusals": refusals_json(self._memory, _limit(request.query.get("limit")))})

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
        return _json({"workspaces": [workspace_json(known) for known in self._workspaces.all()]})

    async def _put_workspace(self, request: web.BaseRequest) -> web.StreamResponse:
        workspace = _workspace(await _posted(request), self._workspaces)
        self._workspaces.put(workspace)
        return _json(workspace_json(workspace), 201)

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


FILTERS: Final = ("event", "distinct_id", "key", "workspace")
TAKEN: Final[dict[str, frozenset[Taken]]] = {
    "accepted": frozenset({Taken.NEW, Taken.AGAIN}),
    "repeats": frozenset({Taken.IDENTICAL, Taken.DIFFERENT}),
    "all": frozenset(Taken),
    **{taken.name.lower(): frozenset({taken}) for taken in Taken},
}


def stats_json(memory: Memory) -> dict[str, Any]:
    """All counters. `received` is the sum of accepted, both repeats, refused and not_applied."""
    new, again, identical, different = memory.taken
    refused = sum(memory.by_refusal.values())
    accepted = new + again
    return {
        "events": {
            "received": accepted + identical + different + refused + memory.not_applied,
            "accepted": accepted,
            "after_window": again,
            "repeats_identical": identical,
            "repeats_different": different,
            "refused": refused,
            "not_applied": memory.not_applied,
            "without_key": memory.without_key,
        },
        "keys": memory.keys(),
        "calls": {"total": sum(memory.by_call.values()), "by_path": _by_path(memory.by_call)},
        "by_event": dict(memory.by_event.most_common(1000)),
        "by_workspace": dict(memory.by_workspace),
        "by_refusal": {f"{status} {kind}": count for (status, kind), count in memory.by_refusal.most_common(100)},
        "by_fault": dict(memory.by_fault.most_common(1000)),
        "kept": len(memory.kept),
    }


def events_json(
    memory: Memory, wanted: Mapping[str, str], taken: str, *, after: int, limit: int, newest: bool
) -> bytes:
    """Kept events with their exact bytes as `body`; `next` is what to pass as `after` for the page that follows.

    Oldest first; with `newest` the last ones, newest first, and no page follows.
    """
    kinds = TAKEN[taken]
    pool = reversed(memory.kept) if newest else memory.recent(after)
    fitting = (
        event
        for event in pool
        if event.taken in kinds and all(getattr(event, name) == value for name, value in wanted.items())
    )
    page = list(islice(fitting, limit))
    more = page[-1].number if len(page) == limit and not newest else None
    return b'{"events":[' + b",".join(map(_event, page)) + b'],"next":' + dumps(more) + b"}"


def key_json(memory: Memory, key: str) -> bytes | None:
    """What is known of a key in every workspace that has it, with the events that are still kept whole."""
    found = [(name, book.facts(key.encode())) for name, book in memory.books.items()]
    known = [_key(name, facts) for name, facts in found if facts is not None]
    kept = [_event(event) for event in memory.kept if event.key == key]
    if not known:
        return None
    return b'{"keys":' + dumps(known) + b',"events":[' + b",".join(kept) + b"]}"


def key_lines(memory: Memory, workspace: str | None, at_once: int) -> Iterator[bytes]:
    """Every key as one JSON line, oldest first, so many lines to a piece."""
    for name, book in list(memory.books.items()):
        if workspace is not None and name != workspace:
            continue
        lines = (dumps(_key(name, facts)) + b"\n" for facts in book.all())
        while chunk := b"".join(islice(lines, at_once)):
            yield chunk


def calls_json(memory: Memory, after: int, limit: int) -> list[dict[str, Any]]:
    """The last calls with a number beyond `after`, oldest first."""
    notes = [note for note in memory.calls if note.number > after]
    return [_call(note) for note in (notes[:limit] if after else notes[-limit:])]


def refusals_json(memory: Memory, limit: int) -> list[dict[str, Any]]:
    """The last events that were refused, newest first."""
    return [
        {
            "key": refused.key,
            "event": refused.event,
            "distinct_id": refused.distinct_id,
            "time": stamp(refused.at_ms),
            **refused.why._asdict(),
        }
        for refused in islice(reversed(memory.refusals), limit)
    ]


def workspace_json(known: Workspace) -> dict[str, Any]:
    """A workspace without its secrets."""
    return {"key": known.key, "uid": known.uid, "active": known.active}


def _by_path(counts: Counter[tuple[str, int]]) -> dict[str, dict[str, int]]:
    paths: dict[str, dict[str, int]] = {}
    for (path, status), count in sorted(counts.items()):
        paths.setdefault(path, {})[str(status) if status else "none"] = count
    return paths


def _event(event: Kept) -> bytes:
    about = {
        "number": event.number,
        "taken": event.taken.name.lower(),
        "key": event.key,
        "event": event.event,
        "distinct_id": event.distinct_id,
        "workspace": event.workspace,
        "time": stamp(event.at_ms),
    }
    return dumps(about)[:-1] + b',"body":' + event.body + b"}"


def _key(workspace_key: str, facts: KeyFacts) -> dict[str, Any]:
    return {
        "key": facts.key,
        "workspace": workspace_key,
        "count": facts.times,
        "accepted": facts.accepted,
        "identical": facts.identical,
        "different": facts.different,
        "first_ms": facts.first_ms,
        "last_ms": facts.last_ms,
        "digest": facts.digest,
        "bytes_differ": facts.bytes_differ,
    }


def _call(note: CallNote) -> dict[str, Any]:
    return {
        "number": note.number,
        "time": stamp(note.at_ms),
        "monotonic": round(note.monotonic, 6),
        "path": note.path,
        "status": note.status or None,
        "events": note.events,
        **note.counts._asdict(),
        "fault": note.fault,
    }
