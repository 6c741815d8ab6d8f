"""`suprsend-bridge explain`: what one record becomes, and why."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failure import FOUND, Failure
from bridge.cli.rulework import (
    Config,
    Rules,
    context_for,
    directory,
    envelope_record,
    kafka_settings,
    loaded,
    settings_of,
)

if TYPE_CHECKING:
    from bridge.flow import PlainRecord
    from bridge.rules.model import RuleSet

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249}):([0-9]{1,9}):([0-9]{1,18})")


def command(
    record: Annotated[
        str | None,
        typer.Argument(metavar="RECORD", help="TOPIC:PARTITION:OFFSET in Kafka, or a file; - is standard input."),
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", "-t", help="The topic of a record from a file.")] = None,
    rules: Rules = None,
    config: Config = None,
    key: Annotated[str | None, typer.Option("--key", help="The key of a record from a file.")] = None,
    *,
    envelope: Annotated[
        bool, typer.Option("--envelope", help='The file is a whole record: {"topic": …, "key": …, "value": …}.')
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show for one record each rule, the parts of its `when`, each value and what it came from, and the events.

    From Kafka a record is read outside of any group. All that is in it is shown: mind who looks on. Exit
    code: 0, or 1 where it could not be mapped.

    Example: suprsend-bridge explain orders.v1:3:1042
    """
    from bridge.flow import Fault
    from bridge.rules.tools.explain import Explainer
    from bridge.rules.tools.explain_text import as_json as jsonized, as_lines

    place = _PLACE.fullmatch(record) if record is not None and not Path(record).exists() else None
    settings = kafka_settings(config) if place is not None else settings_of(config)
    ruleset = loaded(directory(rules, settings))
    if place is not None:
        found = _from_kafka(config, place[1], int(place[2]), int(place[3]))
    else:
        found = _from_file(record, topic or _only_topic(ruleset), key, envelope=envelope)
    explained = Explainer(ruleset, found.topic(), context_for(settings)).explain(found)
    if as_json:
        from bridge.jsontext import OPT_INDENT_2, dumps

        typer.echo(dumps(jsonized(explained), option=OPT_INDENT_2).decode())
    else:
        typer.echo("\n".join(as_lines(explained)))
    return FOUND if any(isinstance(result, Fault) for result in explained.results) else 0


def _only_topic(ruleset: RuleSet) -> str | None:
    topics = {pattern.text for rule in ruleset.rules for pattern in rule.topics if pattern.literal}
    return topics.pop() if len(topics) == 1 else None


def _from_kafka(config: Path | None, topic: str, partition: int, offset: int) -> PlainRecord:
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError, record_at
    from bridge.secrets import SecretError

    try:
        return record_at(kafka_settings(config).kafka, topic, partition, offset)
    except (InspectError, ConfigError, SecretError) as error:
        raise Failure(str(error), FOUND) from None


def _from_file(name: str | None, topic: str | None, key: str | None, *, envelope: bool) -> PlainRecord:
    from bridge.flow import PlainRecord

    where = "standard input" if name in (None, "-") else str(name)
    try:
        data = sys.stdin.buffer.read() if name in (None, "-") else Path(str(name)).read_bytes()
    except OSError as error:
        hint = "" if ":" not in where else "; a record in Kafka is TOPIC:PARTITION:OFFSET"
        raise Failure(f"{where}: {error.strerror}{hint}") from None
    if not data and name is None:
        raise Failure("standard input is empty: give a record, a file, or TOPIC:PARTITION:OFFSET")
    if envelope:
        return envelope_record(data, where)
    if topic is None:
        raise Failure("say which topic the record is of: --topic orders.v1")
    return PlainRecord(topic, 0, 0, data.strip(), key=None if key is None else key.encode())
