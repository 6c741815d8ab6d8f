"""`suprsend-bridge pause`: stop a topic or a partition on purpose, until `suprsend-bridge resume`."""

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
    """Stop reading and sending until `suprsend-bridge resume`, in every process of the group. Nothing is lost meanwhile.

    It outlasts restarts and rebalances: Kafka keeps it. A whole topic includes partitions that are added later. Where no
    bridge answers it is written into Kafka with the settings, and processes follow within 5 s.

    Example: suprsend-bridge pause orders.v1:3 --reason "the shop sends twice"
    """
    act("pause", {"target": target, "reason": reason}, (url, token_file, config), as_json)
