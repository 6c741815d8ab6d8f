"""Drives the transport against a server, one call at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.flow import Reply
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Bearer, Credentials
from bridge.suprsend.transport import CurlTransport
from tests.suprsend.raw_server import Peer, RawServer

DATA = Path(__file__).parent / "data"
KEY = "workspaceKeyOfTests0123"
BODY = b'[{"event":"x"}]'
Script = Callable[[Peer], None]


@contextmanager
def transport(url: str, credentials: Credentials | None = None, **options: Any) -> Iterator[CurlTransport]:
    shown = credentials or Bearer("token-of-tests", KEY)
    made = CurlTransport(Endpoint(base_url=url, **options), lambda: shown)
    try:
        yield made
    finally:
        made.close()


def call(made: CurlTransport, body: bytes = BODY, seconds: float = 120.0) -> Reply:
    made.start(7, body)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for number, reply in made.poll(0.5):
            assert number == 7
            return reply
    raise AssertionError("no reply in time")


def answering(*statuses: str) -> Script:
    def script(peer: Peer) -> None:
        for status in itertools.chain(statuses, itertools.repeat(statuses[-1])):
            if peer.request() is None or not peer.answer(status, b'{"ok":true}'):
                return

    return script


def one(script: Script, **options: Any) -> Reply:
    with RawServer(script) as server, transport(server.url, **options) as made:
        return call(made)


def raw(data: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return script


def silent(peer: Peer) -> None:
    peer.request()
    peer.request()
