"""`suprsend-bridge skip`: give one record to the dead-letter topic, or go past what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.remote import AsJson, Reason, TokenFile, Url, act
from bridge.service.actions import ACTIONS

ACTION = ACTIONS["skip"]
Settings = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file: for address and token, and for Kafka with --unreadable."),
]


def command(
    record: Annotated[str, typer.Argument(help=ACTION.arguments[0].help)],
    reason: Reason,
    *,
    unreadable: Annotated[
        bool, typer.Option("--unreadable", help="Go past what nobody can read, to the first offset that can be read.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="With --unreadable: no bridge of the group runs, write its commit.")
    ] = False,
    memory: Annotated[
        str | None, typer.Option(help="With --unreadable: what one batch may take to unpack, such as 512MiB.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --unreadable: do it without asking.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Settings = None,
    as_json: AsJson = False,
) -> None:
    if unreadable:
        from bridge.cli.skip_unreadable import SkipWish, skipped

        skipped(SkipWish(record, reason, memory, offline=offline, ask=not yes), (url, token_file, config), as_json)
        return
    if offline or memory is not None:
        message = "--offline and --memory go with --unreadable"
        raise typer.BadParameter(message)
    act(ACTION, {"record": record, "reason": reason}, (url, token_file, config), as_json)


command.__doc__ = ACTION.help
