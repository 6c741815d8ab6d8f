"""`suprsend-bridge dlq replay`: joins the dead-letter topic, today's rules and SuprSend."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bridge import __version__
from bridge.cli.failure import FOUND, Failure
from bridge.delivery.admission import TokenBucket
from bridge.findings import visible
from bridge.flow import Event, Headers, Mapped, Mapper, PlainRecord, Record
from bridge.kafka.tools.dead_letter_topic import DeadLetterTopic, opened
from bridge.kafka.tools.inspect import InspectError
from bridge.replay.letter import Letter, RecordPlace, ReplayMark, read
from bridge.replay.plan import Limits, Plan, Rules
from bridge.replay.progress import Open
from bridge.replay.replay import Answer, Missing, Replay, Report
from bridge.replay.wanted import Wanted
from bridge.rules.map.mapping import CompiledMapping
from bridge.service.wiring import context_of, credentials_of, endpoint_of, judge_of, mapping_of, usable_rules
from bridge.suprsend.sending import Bounds, Outbox, Retries, Sending, batches
from bridge.suprsend.transport import CurlTransport

if TYPE_CHECKING:
    from bridge.settings.model import Settings

MOST_SHOWN = 50
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ReplayWish:
    """What was asked for. `rate` is events a second."""

    wanted: Wanted
    limit: int | None
    rate: float
    most: int
    dry_run: bool
    allow_repeats: bool
    ask: bool


class Desk:
    """Implements `replay.replay.Box` over the dead-letter topic."""

    def __init__(self, box: DeadLetterTopic, still: Open) -> None:
        self._box = box
        self._still = still

    def original(self, letter: Letter) -> Letter:
        """The letter with its original's bytes and headers; its time is what the letter says."""
        if letter.reference is None:
            return letter
        record = letter.record
        place = (record.topic(), record.partition(), record.offset())
        try:
            whole = self._box.original(*place, letter.reference.sha256)
        except InspectError as error:
            message = f"the original is gone ({error})"
            raise Missing(message) from None
        at = record.timestamp()[1]
        original = PlainRecord(*place, whole.value(), key=whole.key(), timestamp=at, headers=whole.headers())
        return replace(letter, record=original)

    def write(self, letter: Letter, headers: Headers, *, mark: bool) -> None:
        """Queue a mark or a new letter, whose value is a reference where the letter's was."""
        with_value = not mark and letter.reference is None
        self._box.write(letter.place.partition, letter.record, headers, with_value=with_value)

    def settle(self, letters: Sequence[Letter]) -> None:
        """What was queued is written; then the progress is kept."""
        self._box.flush()
        for letter in letters:
            self._still.done(letter.place.partition, letter.place.offset)
        self._box.commit(self._still.watermarks())


def replayed(settings: Settings, wish: ReplayWish) -> None:
    """Do it, and print what was done. Raises `Failure`, and what the parts raise."""
    rules = usable_rules(Path(settings.rules.path), settings.kafka.topics)
    credentials = credentials_of(settings)
    env = credentials().env
    with opened(settings.kafka) as box:
        chosen, still = _open_letters(box, wish, box.progress())
        if not chosen:
            typer.echo("nothing to replay: no open dead letter is like that")
            return
        known = _rules(mapping_of(rules, context_of(settings, env, box.cluster_id())))
        outbox = Outbox(lambda: CurlTransport(endpoint_of(settings), credentials), 1)
        with closing(outbox):
            replay = Replay(
                known,
                _limits(settings, wish),
                Desk(box, still),
                _sender(outbox, settings, wish.rate),
                _calls(settings, wish.rate),
                lambda: time.time_ns() // 1_000_000,
                __version__,
            )
            if wish.dry_run:
                _rehearse(replay, _letters(box, chosen))
                return
            if wish.ask and not typer.confirm(f"Replay {len(chosen)} dead letters? People may be notified"):
                raise Failure("nothing was sent", FOUND)
            report = replay.run(_letters(box, chosen), _progress(len(chosen)))
    _print(report, "sent")
    if report.stopped is not None:
        raise Failure(f"stopped: SuprSend takes no events ({report.stopped}); run the command again to go on", FOUND)


def _rules(mapping: CompiledMapping) -> Rules:
    mappers: dict[str, Mapper] = {}

    def map_any(record: Record) -> Mapped:
        topic = record.topic()
        if topic not in mappers:
            mappers[topic] = mapping.mapper(topic)
        return mappers[topic](record)

    files = {rule.name: Path(file.path).name for file in mapping.files for rule in file.rules}
    return Rules(map_any, frozenset(rule.name for rule in mapping.rules), mapping.rules_hash, files)


def _limits(settings: Settings, wish: ReplayWish) -> Limits:
    window = int((settings.tuning.dedupe_window - settings.tuning.dedupe_margin) * 1000)
    return Limits(window, wish.most, allow_repeats=wish.allow_repeats)


def _calls(settings: Settings, rate: float) -> Callable[[Sequence[Event]], list[int]]:
    """How events are cut into calls: none holds more than a second's worth."""
    delivery = settings.delivery
    bounds = Bounds(min(delivery.batch_events, max(1, int(rate))), delivery.batch_bytes)
    return lambda events: [len(each) for each in batches([event.body for event in events], bounds)]


def _open_letters(box: DeadLetterTopic, wish: ReplayWish, begin: dict[int, int]) -> tuple[frozenset[RecordPlace], Open]:
    """The open letters that are meant, and what is open at all."""
    places: dict[int, set[int]] = {}
    meant: dict[RecordPlace, None] = {}
    for record in box.scan(begin):
        found = read(record)
        if isinstance(found, ReplayMark):
            places.get(found.letter.partition, set()).discard(found.letter.offset)
            meant.pop(found.letter, None)
        elif found is not None:
            places.setdefault(found.place.partition, set()).add(found.place.offset)
            if wish.wanted.has(found):
                meant[found.place] = None
    ends = {partition: high for partition, (_, high) in box.spans.items()}
    still = Open(ends, {partition: sorted(offsets) for partition, offsets in places.items()})
    ordered = sorted(meant, key=lambda place: (place.partition, place.offset))
    return frozenset(islice(ordered, wish.limit)), still


def _letters(box: DeadLetterTopic, chosen: frozenset[RecordPlace]) -> Iterator[Letter]:
    """The chosen letters, in the order of each partition."""
    begin = {partition: high for partition, (_, high) in box.spans.items()}
    for place in chosen:
        begin[place.partition] = min(begin[place.partition], place.offset)
    for record in box.scan(begin):
        found = read(record)
        if isinstance(found, Letter) and found.place in chosen:
            yield found


def _sender(outbox: Outbox, settings: Settings, rate: float) -> Callable[[Sequence[Event]], Sequence[Answer]]:
    judge = judge_of(settings)
    tokens = TokenBucket(rate, rate, time.monotonic())

    def send(events: Sequence[Event]) -> Sequence[Answer]:
        time.sleep(tokens.wait(time.monotonic()))
        tokens.take(len(events), time.monotonic())
        bodies = [event.body for event in events]
        sending = Sending(bodies, alone=False, judge=judge, retries=Retries(ATTEMPTS), jitter=random.random)
        results = outbox.submit(sending)[0].result()
        return [Answer(result.verdict, result.code, result.message) for result in results]

    return send


def _rehearse(replay: Replay, letters: Iterator[Letter]) -> None:
    shown = 0

    def show(plan: Plan) -> None:
        nonlocal shown
        shown += 1
        if shown <= MOST_SHOWN:
            typer.echo(visible(f"{plan.letter.place}  {plan.letter.source}  {_future(plan)}"))
        elif shown == MOST_SHOWN + 1:
            typer.echo("…")

    report = replay.rehearse(letters, show)
    _print(report, "to be sent")


def _future(plan: Plan) -> str:
    if plan.kept is not None:
        return f"stays: {plan.kept}"
    parts = [f"{event.rule} → {event.name}, key {event.key}" for _, event in plan.events]
    parts += [f"{fault.rule or 'the record'} fails again: {fault.code}: {fault.message}" for fault in plan.faults]
    return "; ".join(parts) or f"ends as {plan.quiet.value}"


def _progress(total: int) -> Callable[[Report], None]:
    def done(report: Report) -> None:
        typer.echo(f"{sum(report.results.values()) + sum(report.kept.values())} of {total}", err=True)

    return done


def _print(report: Report, sent: str) -> None:
    lines = [f"{times:>8}  letters {result.value}" for result, times in sorted(report.results.items())]
    lines += [f"{times:>8}  events {sent}: {rule} → {name}" for (rule, name), times in sorted(report.events.items())]
    again = sorted(report.again.items(), key=lambda each: (each[0][0] or "", each[0][1]))
    lines += [f"{times:>8}  new dead letters: {rule or '-'}, {code}" for (rule, code), times in again]
    lines += [f"{times:>8}  letters stay: {why}" for why, times in sorted(report.kept.items())]
    for line in lines or ["       0  letters"]:
        typer.echo(visible(line))
