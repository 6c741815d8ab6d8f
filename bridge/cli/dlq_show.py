"""`suprsend-bridge dlq show`: one letter, with what the record holds, since that is what was asked for."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

import typer

from bridge.cli.dlq_list import OPEN, facts_of, time_text
from bridge.cli.failure import FOUND, Failure
from bridge.findings import visible
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.inspect import record_at
from bridge.replay.letter import Letter, Mark, Place, read

if TYPE_CHECKING:
    from bridge.settings.kafka import Kafka


def show_letter(kafka: Kafka, place: Place, *, raw: bool, as_json: bool) -> None:
    """Print one dead letter. Raises `Failure` where that is none, and what reading raises."""
    letter = read(record_at(kafka, *place))
    if isinstance(letter, Mark):
        raise Failure(f"{place} is no letter: it notes that {letter.letter} was replayed ({letter.result})", FOUND)
    if letter is None:
        raise Failure(f"{place} was not written by the bridge", FOUND)
    value = letter.record.value()
    if raw:
        sys.stdout.buffer.write(value or b"")
        return
    state = _state(kafka, place)
    if as_json:
        headers = [[name, _json_text(content)] for name, content in letter.headers]
        key = _json_text(letter.record.key())
        typer.echo(json.dumps({**facts_of(letter, state), "key": key, "headers": headers, "value": _json_text(value)}))
        return
    for line in _lines(letter, state):
        typer.echo(line)


def _state(kafka: Kafka, place: Place) -> str:
    """What replays did with it: a mark lies behind it in its partition."""
    state = OPEN
    with opened(kafka) as box:
        box.spans = {place.partition: box.spans[place.partition]}
        for record in box.scan({place.partition: place.offset}):
            found = read(record)
            if isinstance(found, Mark) and found.letter == place:
                state = f"replayed: {found.result}, {time_text(found.at_ms)}"
    return state


def _lines(letter: Letter, state: str) -> list[str]:
    value = letter.record.value()
    facts = (
        ("letter", str(letter.place)),
        ("record of", f"{letter.source}, {time_text(letter.record.timestamp()[1])} UTC"),
        ("why", f"{letter.cause}, {letter.code}: {letter.message}"),
        ("rule", letter.rule),
        ("event", letter.event),
        ("state", state),
        ("key", _text(letter.record.key())),
    )
    lines = [f"{name:<10}{visible(text)}" for name, text in facts if text is not None]
    width = max((len(name) for name, _ in letter.headers), default=0)
    lines += ["", "headers", *(f"  {visible(name):<{width}}  {visible(_text(each))}" for name, each in letter.headers)]
    if letter.reference is not None:
        return [
            *lines,
            "",
            f"value: too large for this topic ({letter.reference.size} bytes); it is at {letter.source}",
        ]
    if value is None:
        return [*lines, "", "value: none (a tombstone)"]
    return [*lines, "", f"value, {len(value)} bytes", *map(visible, _text(value).split("\n"))]


def _text(content: bytes | None) -> str:
    if content is None:
        return "null"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"base64 {b64encode(content).decode()}"


def _json_text(content: bytes | None) -> object:
    """Text where it is UTF-8, else an object that says how it is written."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}
