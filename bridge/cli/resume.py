"""`suprsend-bridge resume`: go on after a pause, a brake, a halt or an accepted gap."""

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

    A partition that somebody paused goes on after the pause alone: what else holds it is named, and is lifted by itself.
    Where no bridge answers, a pause is ended in Kafka with the settings, and processes follow within 5 s.

    Example: suprsend-bridge resume orders.v1 --reason "the rule is mended"
    """
    act("resume", {"target": target, "reason": reason}, (url, token_file, config), as_json)
