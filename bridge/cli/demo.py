"""`suprsend-bridge demo`."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.", min=1)] = None,
    records: Annotated[int | None, typer.Option(help="End after so many records.", min=1)] = None,
    rate: Annotated[float, typer.Option(help="Records per second.", min=1, max=20_000)] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same records.")] = 1,
) -> int:
    """See it work: an embedded Kafka, a local SuprSend, a small shop's events, and the bridge between them.

    Two mishaps are part of it: a broken record, and, four seconds after the start, 503 answers for five seconds. It
    ends with a summary, at Ctrl-C, too.

    Example: suprsend-bridge demo --records 500
    """
    from bridge.demo.play import play

    return play(rate=rate, seconds=seconds, records=records, seed=seed)
