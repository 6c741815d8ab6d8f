"""`bridge pause`: stop a running bridge, or a part of it, on purpose."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.remote import AsJson, Config, Reason, TokenFile, Url, act


def command(
    target: Annotated[str, typer.Argument(help="TOPIC, TOPIC:PARTITION or all.")],
    reason: Reason,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Stop reading and sending; it survives restarts until `bridge resume`. Nothing is lost meanwhile.

    Example: bridge pause orders.v1:3 --reason "the shop sends twice"
    """
    act("pause", {"target": target, "reason": reason}, (url, token_file, config), as_json)
