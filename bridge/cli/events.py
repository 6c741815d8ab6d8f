"""`suprsend-bridge events`: what the rules can make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.rulework import Config, directory, loaded, settings_of

if TYPE_CHECKING:
    from bridge.rules.tools.inventory import MadeEvent


def command(
    path: Annotated[Path | None, typer.Argument(help="The directory of rules. Without it: config/rules.")] = None,
    config: Config = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every event that the rules can make, with its rule and its properties: what templates can rely on.

    Example: suprsend-bridge events config/rules --json
    """
    from bridge.rules.tools.inventory import inventory

    made = inventory(loaded(directory(path, settings_of(config))))
    if as_json:
        from bridge.jsontext import OPT_INDENT_2, dumps

        typer.echo(dumps([one.as_json() for one in made], option=OPT_INDENT_2).decode())
        return
    for one in made:
        typer.echo("\n".join([*_lines(one), ""]))
    typer.echo(f"{len(made)} event{'' if len(made) == 1 else 's'}")


def _lines(made: MadeEvent) -> list[str]:
    lines = [f"{made.event}  by {made.rule} ({made.file}:{made.line}) from {', '.join(made.topics)}"]
    if made.description:
        lines.append(f"  {made.description}")
    rows = [("distinct_id", "", made.distinct_id)]
    rows += [("tenant_id", "", made.tenant_id)] if made.tenant_id is not None else []
    rows += [(f"properties.{one.name}{'?' if one.optional else ''}", one.kind, one.text) for one in made.properties]
    rows += [("properties.…", "any", "names that are only known for a record")] if made.more else []
    rows += [("attachments", "array", "")] if made.attachments else []
    names, kinds = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    return lines + [f"  {name:{names}}  {kind:{kinds}}  {' '.join(text.split())}".rstrip() for name, kind, text in rows]
