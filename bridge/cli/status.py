"""`suprsend-bridge status`: what a running bridge does, and what it waits for."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.failure import FOUND
from bridge.cli.remote import AsJson, Config, UnreachedError, Url, ask, overview, place, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Json = dict[str, Any]
MOST_ROWS = 40


def command(url: Url = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show health, lag, holds and the last errors. Exit code 0 when alive and ready, else 1.

    Where no bridge answers it shows what Kafka knows of the group: commits, lag, dead letters, pauses.

    Example: suprsend-bridge status --url http://127.0.0.1:8080
    """
    try:
        answer = ask(place(url, None, config, os.environ), "GET", "/status")
    except UnreachedError as error:
        facts = overview(config, error)
        if as_json:
            typer.echo(json.dumps(facts))
        else:
            show_offline(printable(facts))
        raise typer.Exit(FOUND) from None
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        from rich.console import Console

        show(printable(answer), Console(highlight=False, emoji=False, markup=False))
    if not (answer["alive"] and answer["ready"]):
        raise typer.Exit(FOUND)


def show(answer: Json, console: Console) -> None:
    """Print the answer of `/status` for people: what is wrong first, then figures."""
    good = answer["alive"] and answer["ready"]
    word = "ready" if good else "not ready" if answer["alive"] else "not alive"
    rules = answer["rules"]
    console.print(word, style="bold green" if good else "bold red", end="")
    facts = [
        f"bridge {answer['version']}",
        f"group {answer['kafka']['group']}",
        f"up {age(answer['now'] - answer['started_at'])}",
        f"rules {rules['hash'][:12]}",
    ]
    console.print("  " + " · ".join(facts) + (" · DRY RUN" if answer["dry_run"] else ""), style="dim")
    for line in _troubles(answer):
        console.print(line)
    if answer["partitions"] or answer["totals"]["consumed"]:
        console.print(_totals(answer["totals"]))
    console.print(_partitions(answer["partitions"]) if answer["partitions"] else "holds no partition yet; lag unknown")
    if answer["errors"]:
        console.print(_errors(answer["errors"], answer["now"]))


def age(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None:
        return "unknown"
    for limit, unit, word in ((10, 1, "s"), (120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds:.1f} {word}" if limit == 10 else f"{seconds / unit:.0f} {word}"
    return f"{seconds / 86_400:.0f} d"


def _troubles(answer: Json) -> list[str]:
    lines = []
    kafka = answer["kafka"]
    if kafka["trouble"] or not kafka["joined"]:
        lines.append(f"! Kafka: {kafka['trouble'] or 'joining the group'}")
    if kafka["unbegun"]:
        named, more = ", ".join(kafka["unbegun"][:5]), len(kafka["unbegun"]) - 5
        lines.append(
            f"! not read yet, Kafka has not told where to begin: {named}{f' and {more} more' if more > 0 else ''}"
        )
    for part in [part for part in answer["partitions"] if part.get("unreadable")][:MOST_ROWS]:
        where = f"{part['topic']}:{part['partition']}"
        lines.append(f"! {where} cannot be read at offset {part['position']}: {part['unreadable']}")
    for part in [part for part in answer["partitions"] if part.get("open_transaction")][:MOST_ROWS]:
        stands = part["open_transaction"]
        where, since = f"{part['topic']}:{part['partition']}", age(answer["now"] - stands["since"])
        lines.append(f"! {where} stands at offset {part['position']} since {since}: {stands['message']}")
    for hold in answer["holds"]:
        if hold["wanted"]:
            continue
        how = "goes on by itself after" if hold["heals"] else "lifted by"
        detail = f": {hold['detail']}" if hold["detail"] else ""
        token = f" (token {hold['token']})" if hold["token"] else ""
        since = age(answer["now"] - hold["since"])
        lines.append(
            f"! {hold['reason']} holds {hold['scope']} since {since}{detail}; {how} {hold['lifted_by']}{token}"
        )
    lines += [pause_line(pause, answer["now"]) for pause in answer["pauses"]]
    if answer["rules"]["error"]:
        lines.append(f"! the newest rules were refused, the former ones go on: {answer['rules']['error']}")
    if answer["totals"]["unaccounted"]:
        lines.append(f"! {answer['totals']['unaccounted']} records are unaccounted for")
    if answer["api"]["circuit_open"]:
        lines.append("! SuprSend's API fails: only probes go out")
    return lines


def pause_line(pause: Json, now: float) -> str:
    """What is paused, and the command that lifts it."""
    reason = f": {pause['reason']}" if pause["reason"] else ""
    here = "" if pause["here"] else " (no partition of it is here)"
    return (
        f"- {pause['target']} is paused since {age(max(0.0, now - pause['since']))}{here}{reason}; {pause['lifted_by']}"
    )


def _totals(totals: Json) -> str:
    finished = ", ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in totals["finished"].items() if count)
    lag = "unknown" if totals["lag"] is None else f"{totals['lag']:,} records"
    return f"consumed {totals['consumed']:,} = {finished or '0 finished'} + {totals['inflight']:,} in work; lag {lag}"


def _partitions(partitions: list[Json]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("partition", "lag", "age", "watermark", "committed", "end", "paused"):
        table.add_column(name, justify="left" if name in ("partition", "paused") else "right")
    worst = sorted(partitions, key=lambda p: (p["paused"] is None, -(p["lag"] or 0), p["topic"], p["partition"]))
    for row in worst[:MOST_ROWS]:
        figures = [_figure(row[name]) for name in ("watermark", "committed", "end")]
        where = f"{row['topic']}:{row['partition']}"
        table.add_row(where, _figure(row["lag"]), age(row["lag_seconds"]), *figures, row["paused"] or "")
    if len(partitions) > MOST_ROWS:
        table.add_row(f"… {len(partitions) - MOST_ROWS} more: --json", *[""] * 6)
    return table


def _figure(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _errors(errors: list[Json], now: float) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("last errors", "kind", "where", "message", "times"):
        table.add_column(name, overflow="fold")
    for error in errors[:10]:
        table.add_row(
            f"{age(now - error['at'])} ago", error["kind"], error["where"], error["message"], str(error["times"])
        )
    return table


def show_offline(facts: Json) -> None:
    """Print for people what Kafka knows, where no bridge answers."""
    typer.echo(f"not running, or not to be reached  group {facts['group']}")
    typer.echo(f"{facts['why']}: this is what Kafka knows")
    for line in facts["unknown"]:
        typer.echo(f"! {line}")
    for pause in facts["pauses"]:
        since = age(max(0.0, facts["now"] - pause["since"]))
        typer.echo(f"- {pause['target']} is paused since {since}; {pause['lifted_by']}")
    lag = "unknown" if facts["lag"] is None else f"{facts['lag']:,} records at most"
    letters = "unknown" if facts["dead_letters"] is None else f"{facts['dead_letters']:,} at most"
    typer.echo(f"lag {lag}; dead letters behind the last replay {letters}")
    for row in facts["partitions"][:MOST_ROWS]:
        committed = "no commit" if row["committed"] is None else f"committed {row['committed']:,}"
        paused = "  paused" if row["paused"] else ""
        typer.echo(f"  {row['topic']}:{row['partition']}  {committed}  end {row['end']:,}{paused}")
    if len(facts["partitions"]) > MOST_ROWS:
        typer.echo(f"  … {len(facts['partitions']) - MOST_ROWS} more: --json")
