"""The admin server on a free port, in a thread of its own, for tests that talk to it by HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pydantic import SecretStr

from bridge.observe.admin import AdminServer, AdminToken, application, serving
from bridge.observe.collector import BridgeCollector, registry
from bridge.secrets import Secret
from bridge.service.actions import ACTIONS
from tests.observe.world import NOW, World

TOKEN = "a-token-of-the-tests"
SECRET = Secret(SecretStr(TOKEN))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server(NamedTuple):
    port: int
    world: World
    logged: list[dict[str, Any]]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, raw, headers)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.headers), response.read())
        connection.close()
        return answer

    def act(self, action: str, body: Any, token: str = TOKEN) -> Answer:
        return self.ask("POST", f"/actions/{action}", body, Authorization=f"Bearer {token}")


@contextmanager
def served(world: World | None = None, *, token: AdminToken | None = SECRET, up: float = 600) -> Iterator[Server]:
    """Serve a world until the block is left; `up` is for how many seconds the process is said to run."""
    made = world or World()
    logged: list[dict[str, Any]] = []
    admin = AdminServer(
        source=made,
        registry=registry(BridgeCollector(made, clock=lambda: NOW)),
        actions=ACTIONS,
        act=made.act,
        token=token,
        log=lambda event, **facts: logged.append({"event": event, **facts}),
        clock=lambda: NOW,
        started_at=NOW - up,
    )
    ready: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        async with serving(application(admin), "127.0.0.1", 0) as port:
            ready.append(port)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    assert started.wait(120)
    try:
        yield Server(ready[0], made, logged)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(120)
        loop.close()
