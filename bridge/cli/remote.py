"""Talks to a running bridge's admin server, for the commands that do; standard library only, since it must be quick."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from bridge.cli.failure import FOUND, Failure
from bridge.findings import visible

TIMEOUT_SECONDS = 20.0
ANSWER_BYTES = 64 * 1024 * 1024
LOCAL = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - where to reach what listens everywhere

Url = Annotated[
    str | None,
    typer.Option(help="Address of the bridge; by default that of the settings, or http://127.0.0.1:8080."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="File with the admin token; by default that of the settings (BRIDGE_ADMIN__TOKEN[_FILE])."),
]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file to take address and token from.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is logged with what was done.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


class UnreachedError(Failure):
    """No bridge answers there: it does not run, or cannot be reached from here."""


@dataclass(frozen=True, slots=True)
class BridgeAddress:
    """Where the bridge is, and what token it wants."""

    url: str
    token: str | None


def place(url: str | None, token_file: Path | None, config: Path | None, environ: Mapping[str, str]) -> BridgeAddress:
    """Find address and token: options first, then the environment, then the settings file. Raises `Failure`."""
    settings = None if config is None else _settings(config, environ)
    host = settings.host if settings else environ.get("BRIDGE_ADMIN__HOST") or "127.0.0.1"
    port = settings.port if settings else environ.get("BRIDGE_ADMIN__PORT") or "8080"
    found = url or environ.get("BRIDGE_URL") or f"http://{LOCAL.get(host, host)}:{port}"
    if token_file is not None:
        return BridgeAddress(found, _read(token_file))
    if settings is not None and settings.secret is not None:
        return BridgeAddress(found, _secret(settings.secret))
    named = environ.get("BRIDGE_ADMIN__TOKEN_FILE")
    return BridgeAddress(found, environ.get("BRIDGE_ADMIN__TOKEN") or (_read(Path(named)) if named else None))


def _settings(config: Path, environ: Mapping[str, str]) -> Any:
    from bridge.settings.load import SettingsError, load_settings

    try:
        return load_settings(config, environ, files=False).admin
    except SettingsError as error:
        raise Failure(str(error)) from None


def _secret(secret: Any) -> str:
    from bridge.secrets import SecretError

    try:
        return str(secret.read())
    except SecretError as error:
        raise Failure(str(error), FOUND) from None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        message = f"the admin token's file {str(path)!r} cannot be read: {why}"
        raise Failure(message, FOUND) from None


def ask(where: BridgeAddress, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One request; returns the decoded answer. Raises `Failure` with what the bridge says, or why it does not."""
    parts = urlsplit(where.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"{where.url!r} is no address: write http://HOST:PORT"
        raise Failure(message)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    headers = {"Content-Type": "application/json"}
    if where.token is not None and body is not None:
        headers["Authorization"] = f"Bearer {where.token}"
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, parts.path.rstrip("/") + path, body=sent, headers=headers)
        response = connection.getresponse()
        raw = response.read(ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        message = f"no bridge answers at {where.url} ({getattr(error, 'strerror', None) or error})"
        raise UnreachedError(message, FOUND) from None
    finally:
        connection.close()
    return _decoded(where, response.status, raw)


def _decoded(where: BridgeAddress, status: int, raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        message = f"what answers at {where.url} is no bridge (status {status})"
        raise Failure(message, FOUND)
    if status >= 400:
        raise Failure(str(answer.get("error", f"status {status}")), FOUND)
    return answer


def printable(value: Any) -> Any:
    """The answer without characters that a terminal would obey instead of showing them."""
    if isinstance(value, str):
        return "\n".join(map(visible, value.split("\n")))
    if isinstance(value, list):
        return [printable(item) for item in value]
    if isinstance(value, dict):
        return {key: printable(item) for key, item in value.items()}
    return value
