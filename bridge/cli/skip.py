"""`bridge skip`: give one record to the dead-letter topic."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.remote import AsJson, Config, Reason, TokenFile, Url, act


def command(
    record: Annotated[str, typer.Argument(help="TOPIC:PARTITION:OFFSET of a record without an outcome.")],
    reason: Reason,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Move one record that holds its partition to the dead-letter topic, with the reason.

    Example: bridge skip orders.v1:3:1042 --reason "malformed, the shop knows"
    """
    act("skip", {"record": record, "reason": reason}, (url, token_file, config), as_json)
