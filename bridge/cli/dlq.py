"""`suprsend-bridge dlq`: what could not be delivered, and another try."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failure import FOUND, USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.replay.letter import RecordPlace
    from bridge.replay.wanted import Wanted
    from bridge.settings.model import Settings

command = typer.Typer(
    name="dlq",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="List dead letters, show one, and send them again.\n\nExample: suprsend-bridge dlq list --since 24h",
)

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file; else BRIDGE_CONFIG, else the environment.")
]
Many = list[str] | None
Rule = Annotated[Many, typer.Option("--rule", help="Only letters of this rule; may be repeated, as all filters.")]
Class = Annotated[Many, typer.Option("--class", help="Only this class: decode, unmatched, mapping, invalid, …")]
Code = Annotated[Many, typer.Option("--code", help="Only this code: not_json, wrong_type, 422, …")]
Topic = Annotated[Many, typer.Option("--topic", help="Only records of this topic.")]
Since = Annotated[
    str | None, typer.Option(help="Only records from this time on: 2026-01-31T08:00:00Z, or an age such as 2h.")
]
Until = Annotated[str | None, typer.Option(help="Only records before this time or age.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@command.command("list")
def list_(
    rule: Rule = None,
    cause: Class = None,
    code: Code = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only letters that no replay has dealt with.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 50,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters with the reason of each, oldest first. Never shows what is in the records.

    Example: suprsend-bridge dlq list --rule order-placed --since 24h
    """
    from bridge.cli.dlq_read import listed

    settings = _settings(config)
    wanted = _wanted(settings, (rule, cause, code, topic), (since, until))
    with _clear_errors():
        listed(settings.kafka, wanted, limit, only_open=only_open, as_json=as_json)


@command.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="A dead letter, as `list` names it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the original value, byte for byte.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with all its headers and the record's original value.

    Example: suprsend-bridge dlq show orders.dead-letters/0/12
    """
    from bridge.cli.dlq_read import show_letter

    settings = _settings(config)
    with _clear_errors():
        show_letter(settings.kafka, _place(letter, settings), raw=raw, as_json=as_json)


@command.command()
def replay(
    letters: Annotated[
        Many,
        typer.Argument(metavar="[TOPIC/PARTITION/OFFSET]...", help="Only these letters, named as `list` names them."),
    ] = None,
    *,
    rule: Rule = None,
    cause: Class = None,
    code: Code = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and show what would be sent; send nothing.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Events a second, at most.")] = 50.0,
    most: Annotated[
        int, typer.Option(min=1, max=1_000, help="Leave out letters that were replayed so many times.")
    ] = 10,
    allow_repeats: Annotated[
        bool,
        typer.Option(
            "--allow-repeats", help="Send also what may have been sent too long ago: people may be told twice."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Send dead letters again that no replay has dealt with, with today's rules; only the rule and item that failed.

    Stopped or killed, it goes on where it was when called again. Exit code 1 when SuprSend does not take events.

    Example: suprsend-bridge dlq replay --rule order-placed --dry-run
    """
    from bridge.cli.dlq_replay import ReplayWish, replayed

    settings = _settings(config)
    places = [_place(text, settings) for text in letters or ()]
    wanted = _wanted(settings, (rule, cause, code, topic), (since, until), places)
    if not (dry_run or yes or sys.stdin.isatty()):
        raise Failure("say --yes to send without being asked, or look first: --dry-run")
    wish = ReplayWish(wanted, limit, rate, most, dry_run=dry_run, allow_repeats=allow_repeats, ask=not yes)
    with _clear_errors():
        replayed(settings, wish)


def _settings(config: Path | None) -> Settings:
    from bridge.settings.load import load_settings

    named = config or (Path(os.environ["BRIDGE_CONFIG"]) if os.environ.get("BRIDGE_CONFIG") else None)
    return load_settings(named, os.environ)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """What the machine or a remote side does not do, as one line."""
    from bridge.kafka.config import ConfigError
    from bridge.kafka.tools.inspect import InspectError
    from bridge.secrets import SecretError
    from bridge.suprsend.answers import AnswerRuleError
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.signing import CredentialsError

    try:
        yield
    except InspectError as error:
        raise Failure(str(error), FOUND) from None
    except (ConfigError, SecretError, AnswerRuleError, EndpointError, CredentialsError) as error:
        raise Failure(str(error), USAGE) from None


def _wanted(
    settings: Settings,
    names: tuple[Many, Many, Many, Many],
    times: tuple[str | None, str | None],
    places: list[RecordPlace] | None = None,
) -> Wanted:
    from bridge.delivery.dead_letter_headers import CAUSES
    from bridge.replay.wanted import Wanted

    rules, causes, codes, topics = (frozenset(each or ()) for each in names)
    unknown = sorted(causes - set(CAUSES))
    if unknown:
        raise Failure(f"--class {unknown[0]}: there is no such class; write one of {', '.join(CAUSES)}")
    strangers = sorted(topics - set(settings.kafka.topics))
    if strangers and settings.kafka.dead_letter_topic in strangers:
        raise Failure(f"--topic {settings.kafka.dead_letter_topic}: name the topic that the records came from")
    since, until = _time("--since", times[0]), _time("--until", times[1])
    return Wanted(rules, causes, codes, topics, frozenset(places or ()), since, until)


def _time(option: str, text: str | None) -> int | None:
    """Milliseconds since 1970 of a time, or of an age before now."""
    from bridge.settings.kinds import parse_duration, parse_time_ms

    if text is None:
        return None
    try:
        return time.time_ns() // 1_000_000 - int(parse_duration(text) * 1000)
    except ValueError:
        pass
    try:
        return parse_time_ms(text)
    except ValueError:
        raise Failure(f"{option} {text}: write a time such as 2026-01-31T08:00:00Z, or an age such as 2h") from None


def _place(text: str, settings: Settings) -> RecordPlace:
    from bridge.replay.letter import RecordPlace

    parts = text.replace(":", "/").split("/")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts[1:]):
        raise Failure(f"{text}: write TOPIC/PARTITION/OFFSET of a dead letter, as `suprsend-bridge dlq list` names it")
    if parts[0] != settings.kafka.dead_letter_topic:
        known = settings.kafka.dead_letter_topic
        raise Failure(f"{text}: the dead letters are in {known}: write {known}/PARTITION/OFFSET")
    return RecordPlace(parts[0], int(parts[1]), int(parts[2]))
