"""`suprsend-bridge accept-rewind`: send again what a reset of the group offers again."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.remote import AsJson, Config, Reason, TokenFile, Url, act


def command(
    token: Annotated[str, typer.Argument(help="The token that the log and `suprsend-bridge status` print.")],
    reason: Reason,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Allow exactly the offsets behind the token to be sent again. People may be notified twice.

    Example: suprsend-bridge accept-rewind TOKEN --reason "the outage lost them"
    """
    act("accept-rewind", {"token": token, "reason": reason}, (url, token_file, config), as_json)
