"""Answers that no HTTP library would send: written to the connection piece by piece, which is then closed."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from bridge.sandbox.faults.acts import Script
from bridge.sandbox.load import Load

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

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
