"""`suprsend-bridge map`: records in, one per line; the events that they become out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

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
    from bridge.flow import Fault, Mapper, MappingContext, PlainRecord
    from bridge.rules.model import RuleSet

_MOST_SHOWN = 50
Numbered = tuple[str, "PlainRecord"]
"""Where a record stands (`line 12`, `orders.v1:0:7`), and the record."""


def command(
    file: Annotated[Path | None, typer.Argument(help="Records, one per line; - or nothing is standard input.")] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", "-t", help="The topic of the records; each line is one value.")
    ] = None,
    rules: Rules = None,
    config: Config = None,
    last: Annotated[
        int | None, typer.Option("--last", min=1, max=100_000, help="Read so many records from the end of --topic.")
    ] = None,
    *,
    envelope: Annotated[
        bool, typer.Option("--envelope", help='Each line is a whole record: {"topic": …, "key": …, "value": …}.')
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print how often each value was there, null, nothing or an error.")
    ] = False,
) -> int:
    """Map records, and print the events, one per line. Errors go to standard error.

    Exit code: 0, or 1 where a record could not be mapped, with --summary too. With --last records are read from Kafka, outside of any
    group. Keys of events are those of the bridge, except for the part that names the cluster.

    Example: suprsend-bridge map --topic orders.v1 < orders.ndjson
    """
    if last is not None and topic is None:
        raise Failure("--last needs the topic: --topic orders.v1")
    settings = kafka_settings(config) if last is not None else settings_of(config)
    ruleset = loaded(directory(rules, settings))
    context = context_for(settings)
    with ExitStack() as stack:
        if last is not None:
            records = _from_kafka(config, topic or "", last)
        else:
            records = _from_lines(_opened(file, stack), topic, envelope=envelope)
        if summary:
            return _summarize(ruleset, context, records)
        return _map(ruleset, context, records)


def _opened(file: Path | None, stack: ExitStack) -> BinaryIO:
    if file is None or str(file) == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(file.open("rb"))
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from None


def _from_lines(lines: Iterable[bytes], topic: str | None, *, envelope: bool) -> Iterator[Numbered]:
    from bridge.flow import PlainRecord

    if topic is None and not envelope:
        raise Failure(
            "name the topic of the records (--topic orders.v1), or give records that name theirs (--envelope)"
        )
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        where = f"line {number}"
        if envelope:
            yield where, envelope_record(text, where)
        else:
            yield where, PlainRecord(topic or "", 0, number - 1, text)


def _from_kafka(config: Path | None, topic: str, last: int) -> Iterator[Numbered]:
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError, last_records
    from bridge.secrets import SecretError

    try:
        found = last_records(kafka_settings(config).kafka, topic, last)
    except (InspectError, ConfigError, SecretError) as error:
        raise Failure(str(error), FOUND) from None
    for record in found:
        yield f"{topic}:{record.partition()}:{record.offset()}", record


def _map(ruleset: RuleSet, context: MappingContext, records: Iterator[Numbered]) -> int:
    """Write events as they come; returns the exit code."""
    from bridge.flow import Event
    from bridge.rules.map.mapping import compile_mapping

    mapping = compile_mapping(ruleset, context)
    mappers: dict[str, Mapper] = {}
    out = sys.stdout.buffer
    # Somebody who looks on sees each event at once; a program gets them in larger pieces.
    flush = out.flush if sys.stdout.isatty() else lambda: None
    read = events = filtered = 0
    faults = _Faults()
    for where, record in records:
        read += 1
        topic = record.topic()
        mapper = mappers.get(topic)
        if mapper is None:
            mapper = mappers[topic] = mapping.mapper(topic)
        made = mapper(record)
        if not made:
            filtered += 1
        for result in made:
            if isinstance(result, Event):
                events += 1
                out.write(result.body + b"\n")
            else:
                faults.add(where, result)
        flush()
    sys.stdout.buffer.flush()
    faults.end()
    counts = (
        f"{_count(read, 'record')}: {_count(events, 'event')}, {filtered:,} filtered, {_count(faults.count, 'error')}"
    )
    typer.echo(counts, err=True)
    _say_unread(ruleset, mappers)
    return FOUND if faults.count else 0


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _say_unread(ruleset: RuleSet, topics: Iterable[str]) -> None:
    """Say which topics no rule is for: nothing can become of their records."""
    for topic in topics:
        if not any(rule.enabled and rule.selects(topic) for rule in ruleset.rules):
            typer.echo(f"no rule is for the topic {topic}", err=True)


class _Faults:
    """Says what could not be mapped: the first ones each, of the others how many."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, where: str, fault: Fault) -> None:
        self.count += 1
        if self.count <= _MOST_SHOWN:
            rule = "" if fault.rule is None else f"{fault.rule}: "
            item = "" if fault.item is None else f"item {fault.item}: "
            typer.echo(f"{where}: {rule}{item}{fault.message} [{fault.code}]", err=True)

    def end(self) -> None:
        if self.count > _MOST_SHOWN:
            typer.echo(f"… and {self.count - _MOST_SHOWN:,} more", err=True)


def _summarize(ruleset: RuleSet, context: MappingContext, records: Iterator[Numbered]) -> int:
    """Print the table; returns the exit code."""
    from bridge.flow import Fault
    from bridge.rules.tools.explain import Explainer
    from bridge.rules.tools.explain_text import Summary

    explainers: dict[str, Explainer] = {}
    summary: Summary | None = None
    failed = False
    for _where, record in records:
        topic = record.topic()
        if topic not in explainers:
            explainers[topic] = Explainer(ruleset, topic, context)
        if summary is None:
            summary = Summary([rule.name for rule in explainers[topic].rules])
        explained = explainers[topic].explain(record)
        failed = failed or any(isinstance(result, Fault) for result in explained.results)
        summary.add(explained)
    typer.echo("no records" if summary is None else "\n".join(summary.lines()))
    _say_unread(ruleset, explainers)
    return FOUND if failed else 0
