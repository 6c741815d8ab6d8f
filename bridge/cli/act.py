"""The command of an operator's action, made from its row in the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any

import typer

from bridge.cli.remote import AsJson, Config, Reason, TokenFile, Url, act
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
