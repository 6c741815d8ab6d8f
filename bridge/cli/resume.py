"""`bridge resume`: go on after a pause, a brake, a halt or an accepted gap."""

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
    """Go on with what was paused, braked, halted or stopped at a gap.

    Example: bridge resume orders.v1 --reason "the rule is mended"
    """
    act("resume", {"target": target, "reason": reason}, (url, token_file, config), as_json)
