"""`suprsend-bridge send`: one event from a shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from bridge.cli.failure import FOUND, Failure

if TYPE_CHECKING:
    from bridge.settings.suprsend import SuprSend
    from bridge.suprsend.client import Options
    from bridge.suprsend.event import Event
    from bridge.suprsend.signing import Credentials

_MOST_BYTES = 819_200


def command(
    event: Annotated[str, typer.Option(help="The event's name: a workflow's trigger, to the letter.")],
    distinct_id: Annotated[str, typer.Option(help="The id under which SuprSend knows the person.")],
    property_: Annotated[
        list[str] | None,
        typer.Option("--property", "-p", metavar="KEY=VALUE", help="A property; VALUE is JSON, or else text."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Properties as one JSON object; - is standard input.")
    ] = None,
    attach: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Attach the file behind a public URL.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant_id.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Sent again under the same key within 24 h, it notifies nobody twice.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file with SuprSend's keys and address.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="SuprSend's address, instead of the settings'.")] = None,
) -> None:
    """Send one event, and say what became of it: exit code 0 accepted, 1 not accepted.

    Keys come from the settings file or BRIDGE_SUPRSEND__WORKSPACE_KEY and BRIDGE_SUPRSEND__WORKSPACE_SECRET (each
    also with _FILE), or BRIDGE_SUPRSEND__API_KEY and BRIDGE_SUPRSEND__WORKSPACE_UID.

    Example: suprsend-bridge send --event order_placed --distinct-id user_1 -p order_id=o-1 -p amount=12.5
    """
    properties = _properties(json_file, property_ or [])
    made = _event(distinct_id, event, properties, tenant, idempotency_key, attach or [])
    settings = _settings(config, os.environ)
    typer.echo(_sent(made, _credentials(settings), _options(settings, base_url)))


def _sent(event: Event, credentials: Credentials, options: Options) -> str:
    """Send the event; returns the line to print, or raises Failure with why it was not accepted."""
    from bridge.suprsend.client import Client
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.sending import NO_STATUS

    try:
        client = Client.with_credentials(credentials, **options)
    except EndpointError as error:
        raise Failure(str(error)) from None
    with client:
        result = client.track_event(event)
    if not result["success"]:
        status = "" if result["status_code"] == NO_STATUS else f" (status {result['status_code']})"
        raise Failure(f"not accepted: {result['message']}{status}", FOUND)
    return f"accepted: {event.event_name}, message id {result['message']}, idempotency key {event.idempotency_key}"


def _event(
    distinct_id: str, name: str, properties: Mapping[str, Any], tenant: str | None, key: str | None, attach: list[str]
) -> Event:
    from bridge.suprsend.event import Event, EventError

    try:
        event = Event(distinct_id, name, properties, tenant_id=tenant, idempotency_key=key)
        for url in attach:
            event.add_attachment(url)
    except EventError as error:
        raise Failure(str(error)) from None
    return event


def _properties(json_file: Path | None, pairs: list[str]) -> dict[str, Any]:
    """Properties of the JSON file, and over them those of the command line."""
    properties = {} if json_file is None else _read_object(json_file)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise Failure(f"--property {pair!r}: write it as KEY=VALUE")
        properties[key] = _value(text)
    return properties


def _value(text: str) -> Any:
    from bridge.jsontext import JSONDecodeError, loads

    try:
        return loads(text)
    except JSONDecodeError:
        return text


def _read_object(path: Path) -> dict[str, Any]:
    from bridge.jsontext import JSONDecodeError, loads

    where = "standard input" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            data = _bounded(sys.stdin.buffer)
        else:
            with path.open("rb") as file:
                data = _bounded(file)
    except OSError as error:
        raise Failure(f"--json: {where} cannot be read: {error.strerror}") from None
    if data is None:
        raise Failure(f"--json: {where} is larger than any event may be ({_MOST_BYTES} bytes)")
    try:
        value = loads(data)
    except JSONDecodeError as error:
        raise Failure(f"--json: {where} is no JSON: line {error.lineno}, column {error.colno}") from None
    if not isinstance(value, dict):
        raise Failure(f"--json: {where} must hold one JSON object, the properties")
    return value


def _bounded(file: BinaryIO) -> bytes | None:
    data = file.read(_MOST_BYTES + 1)
    return None if len(data) > _MOST_BYTES else data


def _settings(config: Path | None, environ: Mapping[str, str]) -> SuprSend:
    """The `suprsend` section of the settings file, or of the environment alone. Raises FindingsError."""
    from bridge.settings.load import load_settings

    named = config or (Path(environ["BRIDGE_CONFIG"]) if environ.get("BRIDGE_CONFIG") else None)
    if named is not None:
        return load_settings(named, environ, files=False).suprsend
    return _from_environment({name: environ[name] for name in environ if name.startswith("BRIDGE_SUPRSEND__")})


def _from_environment(environ: Mapping[str, str]) -> SuprSend:
    """Without a file only this section has to be there: Kafka's is nobody's business here."""
    from pydantic import ValidationError, create_model

    from bridge.document import compose
    from bridge.findings import FindingsError, has_errors
    from bridge.settings.environ import from_environment
    from bridge.settings.kinds import Section
    from bridge.settings.report import Places, findings_of
    from bridge.settings.suprsend import SuprSend

    only = create_model("Only", __base__=Section, suprsend=(SuprSend, ...))
    values, findings = from_environment(environ)
    section = {path[-1]: value for path, (value, _variable) in values.items() if path[0] == "suprsend"}
    variables = {path: variable for path, (_value, variable) in values.items()}
    try:
        found = only.model_validate({"suprsend": section})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        findings = [*findings, *findings_of(details, Places(compose("", ""), variables))]
    if has_errors(findings):
        raise FindingsError(findings, {})
    return cast("SuprSend", getattr(found, "suprsend"))  # noqa: B009 (the made-up model has no such name for mypy)


def _credentials(settings: SuprSend) -> Credentials:
    from bridge.secrets import SecretError
    from bridge.suprsend.signing import CredentialsError, bearer_source, hmac_source

    key, secret, token = settings.key, settings.secret, settings.token
    try:
        if key is not None and secret is not None:
            return hmac_source(key.read, secret.read)()
        assert token is not None
        assert settings.workspace_uid is not None
        return bearer_source(settings.workspace_uid, token.read)()
    except (SecretError, CredentialsError) as error:
        raise Failure(str(error)) from None


def _options(settings: SuprSend, base_url: str | None) -> Options:
    proxy = settings.proxy
    return {
        "base_url": base_url or settings.base_url,
        "timeout": settings.timeout,
        "max_event_bytes": settings.max_event_bytes,
        "proxy": None if proxy is None else proxy.get_secret_value(),
        "ca_file": _text(settings.ca_file),
        "client_certificate": _text(settings.client_cert_file),
        "client_key": _text(settings.client_key_file),
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
