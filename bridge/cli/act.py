"""The command of an operator's action, made from its row in the table, and how it is asked for."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.failure import FOUND, Failure
from bridge.cli.offline import said
from bridge.cli.remote import AsJson, Config, Reason, TokenFile, UnreachedError, Url, ask, place
from bridge.findings import visible
from bridge.observe.actions import Action


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
