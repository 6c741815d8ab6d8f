"""`suprsend-bridge skip --unreadable`: finds the first offset that can be read, shows it, asks, and has the group go on there."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge import __version__
from bridge.cli.failure import FOUND, USAGE, Failure
from bridge.cli.remote import act, ask, place
from bridge.delivery.dead_letter_headers import skipped_headers
from bridge.findings import visible
from bridge.flow import Headers, PlainRecord, UnreadableHeaders, headers_of
from bridge.kafka.config import ConfigError
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.inspect import InspectError
from bridge.kafka.tools.offline import GroupCommit, IdleGroup, epoch_end, idle
from bridge.kafka.tools.read_past import Beyond, ProbeError, Prober, beyond
from bridge.observe.actions import BadRequestError, parse_partition
from bridge.offsets.commits import decode
from bridge.offsets.go_past import Stand, passed
from bridge.secrets import SecretError
from bridge.service.actions import ACTIONS
from bridge.service.wiring import BESIDE_RECORDS, MIB, cgroup_limit
from bridge.settings.kinds import parse_size
from bridge.settings.load import load_settings

if TYPE_CHECKING:
    from bridge.settings.model import Settings

MOST_BEFORE = 100_000
"""Offsets that are looked through before the batch, where no bridge runs."""
DEFAULT_MEMORY = 512 * MIB
LEAST_MEMORY = 32 * MIB

Where = tuple[str | None, Path | None, Path | None]


@dataclass(frozen=True, slots=True)
class SkipWish:
    """What was asked for."""

    partition: str
    reason: str
    memory: str | None
    offline: bool
    ask: bool


def skipped(wish: SkipWish, where: Where, as_json: bool) -> None:
    """Do it, and print what was done. Raises `Failure`."""
    if wish.ask and not sys.stdin.isatty():
        raise Failure("say --yes to go past it without being asked")
    named = where[2] or (Path(os.environ["BRIDGE_CONFIG"]) if os.environ.get("BRIDGE_CONFIG") else None)
    try:
        topic, partition = parse_partition(wish.partition)
        settings = load_settings(named, os.environ)
        prober = Prober(settings.kafka, topic, partition, _memory(wish.memory))
        if wish.offline:
            _offline(settings, (topic, partition), prober, wish, as_json)
        else:
            _online((topic, partition), prober, wish, where, as_json)
    except (InspectError, ProbeError) as error:
        raise Failure(str(error), FOUND) from None
    except (BadRequestError, ConfigError, SecretError, ValueError) as error:
        raise Failure(str(error), USAGE) from None


def _memory(text: str | None) -> int:
    """Bytes for one batch: as asked, else what the container's limit leaves beside what this command takes."""
    if text is not None:
        return max(parse_size(text), LEAST_MEMORY)
    limit = cgroup_limit()
    return DEFAULT_MEMORY if limit is None else max(LEAST_MEMORY, min(DEFAULT_MEMORY, limit - BESIDE_RECORDS))


def _online(name: tuple[str, int], prober: Prober, wish: SkipWish, where: Where, as_json: bool) -> None:
    """The running bridge goes on behind it: it alone knows what is finished."""
    answer = ask(place(*where, os.environ), "GET", "/status")
    shown = f"{name[0]}:{name[1]}"
    found: Any = next((p for p in answer["partitions"] if (p["topic"], p["partition"]) == name), None)
    if found is None:
        message = f"{shown} is not assigned to that process: ask the one that has it, or --offline where none runs"
        raise Failure(message, FOUND)
    if not found.get("unreadable"):
        message = f"{shown} is read: there is nothing to go past (see `suprsend-bridge status`)"
        raise Failure(message, FOUND)
    past = beyond(prober.first, found["position"], _reached)
    if past is None:
        message = f"{shown} can be read at offset {found['position']}: the bridge tries it again every few seconds"
        raise Failure(message, FOUND)
    _confirm(shown, past, past.to - past.first, 0, wish)
    body = {"partition": shown, "first": str(past.first), "to": str(past.to), "reason": wish.reason}
    act(ACTIONS["skip-unreadable"], body, where, as_json)


def _offline(settings: Settings, name: tuple[str, int], prober: Prober, wish: SkipWish, as_json: bool) -> None:
    """No bridge runs: the group's commit is rewritten, its metadata with what is finished behind."""
    shown = f"{name[0]}:{name[1]}"
    with idle(settings.kafka) as group:
        was = group.committed(*name)
        stand = _stand(was, shown)
        _refuse_cut(settings, name, was, stand)
        # The same once more: refused while the group has members, before anything is looked for.
        group.commit(*name, was)
        records, met = prober.sound(stand.committed, stand.committed + MOST_BEFORE)
        if met.kind != "unreadable":
            read = f"up to {records[-1].offset()}" if records else "what there is of it"
            message = (
                f"{shown} can be read from the committed offset {stand.committed} on, {read}, with {prober.mib} MiB for a "
                "batch: nothing to go past; where the bridge has less, say so with --memory, or give it more"
            )
            raise Failure(message, FOUND)
        first = records[-1].offset() + 1 if records else stand.committed
        past = beyond(prober.first, first, _reached)
        if past is None:
            message = f"{shown} can be read at offset {first} after all: start the bridge"
            raise Failure(message, FOUND)
        before = [record.offset() for record in records if not stand.finished(record.offset())]
        lost = stand.lost(past.first, past.to)
        _confirm(shown, past, lost, len(before), wish)
        if before:
            _put_aside(settings, prober, (before[0], past.first), set(before), wish.reason)
        # Of which leader epoch the record before it is nobody can read.
        _commit(group, name, was, GroupCommit(past.to, passed(stand, past.to)))
    done = f"{shown} goes on at {past.to}; at most {lost} records are lost, {len(before)} are in the dead-letter topic"
    typer.echo(json.dumps({"done": done}) if as_json else done)


def _stand(was: GroupCommit, shown: str) -> Stand:
    committed, metadata = was.offset, was.metadata
    if committed < 0:
        message = f"the group has no commit for {shown}: a bridge that starts makes one, let it do so first"
        raise Failure(message, FOUND)
    note = decode(metadata, committed)
    if note is None or not note.fits:
        message = f"the commit of {shown} at {committed} was made by somebody else: what is finished is not known"
        raise Failure(message, FOUND)
    return Stand(committed, note)


def _refuse_cut(settings: Settings, name: tuple[str, int], was: GroupCommit, stand: Stand) -> None:
    """What the commit calls finished is so of the log as it was then."""
    end = epoch_end(settings.kafka, name, was.epoch) if was.epoch >= 0 else None
    if end is not None and stand.cut(end):
        message = (
            f"{name[0]}:{name[1]} was cut off at {end} (leader epoch {was.epoch}), below what the group's commit speaks of, "
            "and what came since then was not sent: start a bridge, which says so, and accept that first"
        )
        raise Failure(message, FOUND)


def _commit(group: IdleGroup, name: tuple[str, int], was: GroupCommit, then: GroupCommit) -> None:
    if group.committed(*name) != was:
        message = f"somebody committed for {name[0]}:{name[1]} meanwhile: look again"
        raise Failure(message, FOUND)
    group.commit(*name, then)


def _put_aside(settings: Settings, prober: Prober, span: tuple[int, int], wanted: set[int], reason: str) -> None:
    """Dead letters for records before the batch that have no outcome: `suprsend-bridge dlq replay` sends them."""
    records: list[PlainRecord] = prober.sound(*span, content=True)[0]
    chosen = [record for record in records if record.offset() in wanted]
    if len(chosen) != len(wanted):
        message = f"records from {span[0]} on came only in part: try again"
        raise ProbeError(message)
    with opened(settings.kafka) as box:
        for record in chosen:
            ours = skipped_headers(record, reason, time.time_ns() // 1_000_000, __version__)
            theirs: Headers = []
            with suppress(UnreadableHeaders):
                theirs = headers_of(record)
            headers = [*theirs, *ours]
            box.write(record.partition() % len(box.spans), record, headers, with_value=True)
        box.flush()


def _reached(offset: int) -> None:
    typer.echo(f"nothing can be read below offset {offset}", err=True)


def _confirm(shown: str, past: Beyond, lost: int, before: int, wish: SkipWish) -> None:
    """Show what was found, and ask."""
    lines = [
        f"{shown} cannot be read from offset {past.first} on: {past.message}",
        f"  {past.advice}",
        f"  the first offset behind it that can be read, or the end, is {past.to}: at most {lost} records are lost",
    ]
    if before:
        lines.append(
            f"  {before} records before it have no outcome: they go to the dead-letter topic first, for a replay"
        )
    for line in lines:
        typer.echo(visible(line), err=True)
    if wish.ask and not typer.confirm(f"Go on at {past.to}?"):
        raise Failure("nothing was done", FOUND)
