"""`suprsend-bridge dlq list` and `dlq show`: what is in the dead-letter topic, and one letter with what the record holds."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from bridge.cli.failure import FOUND, Failure
from bridge.findings import visible
from bridge.kafka.tools.dead_letter_topic import DeadLetterTopic, opened
from bridge.kafka.tools.inspect import record_at
from bridge.replay.letter import Letter, RecordPlace, ReplayMark, read
from bridge.replay.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.settings.kafka import Kafka

MOST_KINDS = 20
OPEN = "open"


@dataclass(slots=True)
class ListedLetters:
    """What a scan found: the newest letters that are wanted, how many there are, and what replays did."""

    newest: deque[Letter]
    kinds: Counter[tuple[str | None, str, str]] = field(default_factory=Counter)
    places: set[RecordPlace] = field(default_factory=set)
    marks: dict[RecordPlace, str] = field(default_factory=dict)
    strange: int = 0

    def state(self, letter: Letter) -> str:
        return self.marks.get(letter.place, OPEN)


def listed(kafka: Kafka, wanted: Wanted, limit: int, *, only_open: bool, as_json: bool) -> None:
    """Print the list. Raises what `opened` raises."""
    with opened(kafka) as box:
        seen = scanned(box, wanted.has, limit)
        if only_open:
            marks = seen.marks
            seen = scanned(box, lambda letter: letter.place not in marks and wanted.has(letter), limit)
    if as_json:
        for letter in seen.newest:
            typer.echo(json.dumps(facts_of(letter, seen.state(letter))))
    else:
        _print(seen, kafka.dead_letter_topic)


def scanned(box: DeadLetterTopic, has: Callable[[Letter], bool], limit: int) -> ListedLetters:
    """Read the whole topic; of the letters only the newest `limit` are kept."""
    seen = ListedLetters(deque(maxlen=limit))
    for record in box.scan():
        found = read(record)
        if isinstance(found, ReplayMark):
            seen.marks[found.letter] = found.result
        elif found is None:
            seen.strange += 1
        elif has(found):
            seen.newest.append(found)
            seen.kinds[found.rule, found.cause, found.code] += 1
            seen.places.add(found.place)
    return seen


def facts_of(letter: Letter, state: str) -> dict[str, object]:
    """A letter without its payload, for JSON."""
    return {
        "letter": str(letter.place),
        "source": letter.source,
        "timestamp": letter.record.timestamp()[1],
        "rule": letter.rule,
        "item": letter.item,
        "event": letter.event,
        "stage": letter.stage,
        "class": letter.cause,
        "code": letter.code,
        "message": letter.message,
        "idempotency_key": letter.key,
        "attempts": letter.attempts,
        "replays": letter.replays,
        "state": state,
        "rules_hash": letter.rules_hash,
    }


def time_text(milliseconds: int | None) -> str:
    """A time for people, UTC; a dash where there is none."""
    if milliseconds is None or not 0 <= milliseconds < 253_402_300_800_000:
        return "-"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _print(seen: ListedLetters, topic: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, emoji=False, markup=False)
    if not seen.places:
        console.print(f"no dead letters in {topic}" + (" are like that" if seen.strange or seen.marks else ""))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("letter", "record of", "time", "rule", "class", "code", "state"):
        table.add_column(name, overflow="fold")
    for letter in seen.newest:
        row = (
            f"{letter.place.partition}/{letter.place.offset}",
            letter.source,
            time_text(letter.record.timestamp()[1]),
            letter.rule or "-",
            letter.cause,
            letter.code,
            seen.state(letter),
        )
        table.add_row(*map(visible, row))
    console.print(table)
    still = sum(place not in seen.marks for place in seen.places)
    console.print(f"{len(seen.places)} dead letters in {topic}, {still} open; shown: the newest {len(seen.newest)}")
    for (rule, cause, code), times in seen.kinds.most_common(MOST_KINDS):
        console.print(visible(f"{times:>8}  {rule or '-'}  {cause}  {code}"))
    console.print(f"one of them: suprsend-bridge dlq show {topic}/PARTITION/OFFSET", style="dim")


def show_letter(kafka: Kafka, place: RecordPlace, *, raw: bool, as_json: bool) -> None:
    """Print one dead letter. Raises `Failure` where that is none, and what reading raises."""
    letter = read(record_at(kafka, *place))
    if isinstance(letter, ReplayMark):
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


def _state(kafka: Kafka, place: RecordPlace) -> str:
    """What replays did with it: a mark lies behind it in its partition."""
    state = OPEN
    with opened(kafka) as box:
        box.spans = {place.partition: box.spans[place.partition]}
        for record in box.scan({place.partition: place.offset}):
            found = read(record)
            if isinstance(found, ReplayMark) and found.letter == place:
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
