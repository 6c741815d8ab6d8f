"""`suprsend-bridge dlq list`: reads the dead-letter topic once, or twice where only open letters are wanted."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from bridge.findings import visible
from bridge.kafka.tools.dead_letter_topic import DeadLetterTopic, opened
from bridge.replay.letter import Letter, Mark, Place, read
from bridge.replay.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.settings.kafka import Kafka

MOST_KINDS = 20
OPEN = "open"


@dataclass(slots=True)
class Seen:
    """What a scan found: the newest letters that are wanted, how many there are, and what replays did."""

    newest: deque[Letter]
    kinds: Counter[tuple[str | None, str, str]] = field(default_factory=Counter)
    places: set[Place] = field(default_factory=set)
    marks: dict[Place, str] = field(default_factory=dict)
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


def scanned(box: DeadLetterTopic, has: Callable[[Letter], bool], limit: int) -> Seen:
    """Read the whole topic; of the letters only the newest `limit` are kept."""
    seen = Seen(deque(maxlen=limit))
    for record in box.scan():
        found = read(record)
        if isinstance(found, Mark):
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


def _print(seen: Seen, topic: str) -> None:
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
