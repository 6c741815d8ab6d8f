"""Calls as any HTTP client makes them, and as none does."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bridge.sandbox.process import SandboxProcess
from bridge.sandbox.workspaces import Workspace
from bridge.suprsend.signing import Bearer, Hmac

BULK, SINGLE, V1 = "/v2/bulk/event/", "/v2/event/", "/event/"
NOW = 1_700_000_000


class Answered(NamedTuple):
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def event(env: str, name: str = "order_placed", /, **fields: object) -> dict[str, Any]:
    """A full event; a field given as None is left out."""
    made = {
        "$insert_id": str(uuid.UUID(int=7)),
        "$time": 1_700_000_000_000,
        "event": name,
        "env": env,
        "distinct_id": "customer-1",
        "properties": {"order": 1},
        **{field.removeprefix("_"): value for field, value in fields.items()},
    }
    return {field: value for field, value in made.items() if value is not None}


def keyed(env: str, key: str, name: str = "order_placed", /, **fields: object) -> dict[str, Any]:
    """A full event with an idempotency key."""
    return {**event(env, name, **fields), "$idempotency_key": key}


def packed(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def hmac_headers(workspace: Workspace, path: str, body: bytes) -> dict[str, str]:
    """What an HMAC client sends."""
    return _headers(Hmac(workspace.key, workspace.secret).headers("POST", path, body, NOW))


def bearer_headers(workspace: Workspace) -> dict[str, str]:
    """What a client with an API key sends."""
    return _headers(Bearer(workspace.api_key, workspace.uid).headers("POST", "/", b"", NOW))


def post(
    sandbox: SandboxProcess, path: str, value: object, headers: dict[str, str] | None = None, *, timeout: float = 10
) -> Answered:
    """One signed call; `value` is sent as it is where it is bytes, else as JSON."""
    body = value if isinstance(value, bytes) else packed(value)
    sent = hmac_headers(sandbox.workspace, path, body) if headers is None else headers
    connection = http.client.HTTPConnection(*_place(sandbox), timeout=timeout)
    try:
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        return Answered(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def exchange(sandbox: SandboxProcess, path: str, value: object, *, most: int = 1 << 24, timeout: float = 10) -> bytes:
    """Every byte that comes back until the connection ends or so many came. Raises ConnectionResetError on a reset."""
    with socket.create_connection(_place(sandbox), timeout=timeout) as connection:
        connection.sendall(request(sandbox, path, value))
        got = b""
        while len(got) < most:
            piece = connection.recv(65_536)
            if not piece:
                return got
            got += piece
        return got


def request(sandbox: SandboxProcess, path: str, value: object) -> bytes:
    """A signed call as bytes."""
    body = packed(value)
    headers = {"Host": "sandbox", "Content-Length": str(len(body)), **hmac_headers(sandbox.workspace, path, body)}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def connect(sandbox: SandboxProcess) -> socket.socket:
    """A connection to it."""
    return socket.create_connection(_place(sandbox), timeout=120)


def parts(answer: bytes) -> tuple[dict[str, str], bytes]:
    """Headers (with `:status`) and body of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {line.split(": ")[0].lower(): line.split(": ", 1)[1] for line in lines}
    return {":status": first.split(" ")[1], **headers}, body


def _headers(lines: list[str]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in lines)


def _place(sandbox: SandboxProcess) -> tuple[str, int]:
    url = urlsplit(sandbox.url)
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port
