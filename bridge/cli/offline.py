"""`status`, `pause` and `resume` where no process can be asked: they go to Kafka, with the settings, and say so."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.failure import FOUND, Failure

if TYPE_CHECKING:
    from bridge.kafka.tools.offline import GroupOverview
    from bridge.settings.kafka import Kafka

Json = dict[str, Any]


def kafka_of(config: Path | None, unreached: Failure) -> Kafka:
    """Kafka's part of the settings. Raises `Failure`: the one given, where there are no settings to go by."""
    from bridge.settings.load import SettingsError, load_settings

    named = os.environ.get("BRIDGE_CONFIG")
    path = config or (Path(named) if named else None)
    if path is None and "BRIDGE_KAFKA__BOOTSTRAP_SERVERS" not in os.environ:
        message = f"{unreached}; with --config SETTINGS it asks Kafka itself"
        raise Failure(message, FOUND)
    try:
        return load_settings(path, os.environ, files=False).kafka
    except SettingsError as error:
        message = f"{unreached}; nor can Kafka be asked, since the settings cannot be used:\n{error}"
        raise Failure(message) from None


def said(action: str, body: dict[str, str], config: Path | None, unreached: Failure) -> Json:
    """Pause or resume by a commit of our own. Raises `Failure`."""
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError
    from bridge.kafka.tools.offline import say
    from bridge.observe.actions import BadRequestError, parse_target
    from bridge.secrets import SecretError

    settings, paused = kafka_of(config, unreached), action == "pause"
    try:
        target = parse_target(body["target"])
        if target.topic not in (None, *settings.topics):
            message = f"{target.topic} is not among kafka.topics: {', '.join(settings.topics)}"
            raise Failure(message, FOUND)
        aims = [(topic, target.partition) for topic in ((target.topic,) if target.topic else settings.topics)]
        changed = say(settings, aims, time.time_ns() // 1_000_000, paused=paused)
    except (InspectError, ConfigError, SecretError, BadRequestError) as error:
        message = f"{unreached}; and Kafka itself: {error}"
        raise Failure(message, FOUND) from None
    if not (paused or changed):
        message = (
            f"{unreached}; in Kafka nothing on {body['target']} is paused (other holds are lifted by their process)"
        )
        raise Failure(message, FOUND)
    typer.echo(f"{unreached}: written into Kafka instead, group {settings.group_id}.paused", err=True)
    ends = f'; it lasts until: suprsend-bridge resume {body["target"]} --reason "…"' if paused else ""
    done = f"{action}d {body['target']} in Kafka; processes that run follow within 5 s{ends}"
    return {"done": done, "offline": True}


def overview(config: Path | None, unreached: Failure) -> Json:
    """What Kafka knows of the group, in the words of `/status` where it has them. Raises `Failure`."""
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError
    from bridge.kafka.tools.offline import look
    from bridge.secrets import SecretError

    settings = kafka_of(config, unreached)
    try:
        return _facts(look(settings), str(unreached))
    except (InspectError, ConfigError, SecretError) as error:
        message = f"{unreached}; and Kafka itself: {error}"
        raise Failure(message, FOUND) from None


def _facts(found: GroupOverview, why: str) -> Json:
    rows = [
        {
            **row._asdict(),
            "lag": None if row.committed is None else max(0, row.end - row.committed),
            "paused": "operator" if row.paused else None,
        }
        for row in found.partitions
    ]
    lags = [row["lag"] for row in rows]
    return {
        "offline": True,
        "why": why,
        "now": time.time(),
        "group": found.group,
        "partitions": rows,
        "lag": None if None in lags else sum(lags),
        "dead_letters": found.letters,
        "pauses": _pauses(found),
        "unknown": list(found.why),
    }


def _pauses(found: GroupOverview) -> list[Json]:
    from bridge.delivery.pauses import aim_text

    book = found.book
    if book is None:
        return []
    targets = [(topic, said) for topic, said in book.topics.items() if said.paused]
    targets += [(aim_text(name), said) for name, said in book.partitions.items() if book.paused(name) is said]
    return [
        {"target": target, "since": said.since / 1000, "lifted_by": f'suprsend-bridge resume {target} --reason "…"'}
        for target, said in sorted(targets, key=lambda entry: (entry[1].since, entry[0]))
    ]
