"""Asks a running bridge's admin server, or Kafka where none answers, and makes the commands of the table of actions.

Standard library only until Kafka is asked: it must be quick.
"""

from __future__ import annotations

import http.client
import inspect
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from bridge.cli.failure import FOUND, Failure
from bridge.findings import visible
from bridge.observe.actions import Action

if TYPE_CHECKING:
    from bridge.kafka.tools.offline import GroupOverview
    from bridge.settings.kafka import Kafka

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


def command_of(action: Action) -> Callable[..., None]:
    """A function that `typer` makes a command of: the action's arguments, its reason, and where the bridge is."""

    def command(**given: Any) -> None:
        where = given["url"], given["token_file"], given["config"]
        act(action, {name: given[name] for name in (*names, "reason")}, where, given["as_json"])

    names = [argument.name for argument in action.arguments]
    needed: dict[str, Any] = {
        **{each.name: Annotated[str, typer.Argument(help=each.help)] for each in action.arguments},
        "reason": Reason,
    }
    optional: dict[str, Any] = {"url": Url, "token_file": TokenFile, "config": Config, "as_json": AsJson}
    command.__doc__ = action.help
    command.__annotations__ = needed | optional
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            *(Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in needed.items()),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=False if kind is AsJson else None)
                for name, kind in optional.items()
            ),
        ]
    )
    return command


def act(
    action: Action, body: Mapping[str, str], where: tuple[str | None, Path | None, Path | None], as_json: bool
) -> None:
    """Ask for one action and print what was done; raises `Failure` where it was not.

    What is kept in Kafka is written there where no bridge answers.
    """
    try:
        answer = ask(place(*where, os.environ), "POST", f"/actions/{action.name}", body)
    except UnreachedError as error:
        if not action.in_kafka:
            message = f"{error}: is it running, and is --url right?"
            raise Failure(message, FOUND) from None
        answer = said(action.name, dict(body), where[2], error)
    typer.echo(json.dumps(answer) if as_json else visible(str(answer.get("done", "done"))))


Json = dict[str, Any]


def kafka_of(config: Path | None, unreached: Failure) -> Kafka:
    """Kafka's part of the settings. Raises `Failure`: the one given, where there are no settings to go by."""
    from bridge.settings.load import SettingsError, load_settings

    named = os.environ.get("BRIDGE_CONFIG")
    path = config or (Path(named) if named else None)
    if path is None and "BRIDGE_KAFKA__BOOTSTRAP_SERVERS" not in os.environ:
        message = f"{unreached}; with --config SETTINGS it asks Kafka itself"
        raise Failure(message, FOUND)
    try:
        return load_settings(path, os.environ, files=False).kafka
    except SettingsError as error:
        message = f"{unreached}; nor can Kafka be asked, since the settings cannot be used:\n{error}"
        raise Failure(message) from None


def said(action: str, body: dict[str, str], config: Path | None, unreached: Failure) -> Json:
    """Pause or resume by a commit of our own. Raises `Failure`."""
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError
    from bridge.kafka.tools.offline import say
    from bridge.observe.actions import BadRequestError, parse_target
    from bridge.secrets import SecretError

    settings, paused = kafka_of(config, unreached), action == "pause"
    try:
        target = parse_target(body["target"])
        if target.topic not in (None, *settings.topics):
            message = f"{target.topic} is not among kafka.topics: {', '.join(settings.topics)}"
            raise Failure(message, FOUND)
        aims = [(topic, target.partition) for topic in ((target.topic,) if target.topic else settings.topics)]
        changed = say(settings, aims, time.time_ns() // 1_000_000, paused=paused)
    except (InspectError, ConfigError, SecretError, BadRequestError) as error:
        message = f"{unreached}; and Kafka itself: {error}"
        raise Failure(message, FOUND) from None
    if not (paused or changed):
        message = (
            f"{unreached}; in Kafka nothing on {body['target']} is paused (other holds are lifted by their process)"
        )
        raise Failure(message, FOUND)
    typer.echo(f"{unreached}: written into Kafka instead, group {settings.group_id}.paused", err=True)
    ends = f'; it lasts until: suprsend-bridge resume {body["target"]} --reason "…"' if paused else ""
    done = f"{action}d {body['target']} in Kafka; processes that run follow within 5 s{ends}"
    return {"done": done, "offline": True}


def overview(config: Path | None, unreached: Failure) -> Json:
    """What Kafka knows of the group, in the words of `/status` where it has them. Raises `Failure`."""
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError
    from bridge.kafka.tools.offline import look
    from bridge.secrets import SecretError

    settings = kafka_of(config, unreached)
    try:
        return _facts(look(settings), str(unreached))
    except (InspectError, ConfigError, SecretError) as error:
        message = f"{unreached}; and Kafka itself: {error}"
        raise Failure(message, FOUND) from None


def _facts(found: GroupOverview, why: str) -> Json:
    rows = [
        {
            **row._asdict(),
            "lag": None if row.committed is None else max(0, row.end - row.committed),
            "paused": "operator" if row.paused else None,
        }
        for row in found.partitions
    ]
    lags = [row["lag"] for row in rows]
    return {
        "offline": True,
        "why": why,
        "now": time.time(),
        "group": found.group,
        "partitions": rows,
        "lag": None if None in lags or not lags else sum(lags),
        "dead_letters": found.letters,
        "pauses": _pauses(found),
        "unknown": list(found.why),
    }


def _pauses(found: GroupOverview) -> list[Json]:
    from bridge.delivery.pauses import aim_text

    book = found.book
    if book is None:
        return []
    targets = [(topic, said) for topic, said in book.topics.items() if said.paused]
    targets += [(aim_text(name), said) for name, said in book.partitions.items() if book.paused(name) is said]
    return [
        {"target": target, "since": said.since / 1000, "lifted_by": f'suprsend-bridge resume {target} --reason "…"'}
        for target, said in sorted(targets, key=lambda entry: (entry[1].since, entry[0]))
    ]
