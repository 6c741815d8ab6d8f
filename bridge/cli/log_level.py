"""`suprsend-bridge log-level`: log more or less from now on."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.remote import AsJson, Config, Reason, TokenFile, Url, act


def command(
    level: Annotated[str, typer.Argument(help="debug, info, warning or error.")],
    reason: Reason,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Change the level of the log until the next restart.

    Example: suprsend-bridge log-level debug --reason "looking into refusals"
    """
    act("log-level", {"level": level, "reason": reason}, (url, token_file, config), as_json)
