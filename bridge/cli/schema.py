"""`suprsend-bridge schema`: the JSON Schemas, for editors."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from bridge.cli.failure import Failure
from bridge.jsontext import OPT_INDENT_2, dumps

__all__ = ["SOURCES", "command"]

SOURCES: dict[str, tuple[str, str]] = {
    "settings": ("bridge.settings.reference", "settings_schema"),
    "rules": ("bridge.rules.read.schema", "rules_schema"),
    "tests": ("bridge.rules.read.schema", "tests_schema"),
}
"""Kind of file → the module and the function that makes its schema."""


def command(
    what: Annotated[str, typer.Argument(metavar="|".join(SOURCES), help="Which kind of file.")],
) -> None:
    """Print the JSON Schema of a kind of file, for an editor to complete and validate.

    Example: suprsend-bridge schema settings > bridge.schema.json; then begin the settings file with
    `# yaml-language-server: $schema=./bridge.schema.json`.
    """
    if what not in SOURCES:
        raise Failure(f"there is no schema of {what!r}; there is one of: {', '.join(SOURCES)}")
    module, name = SOURCES[what]
    make: Callable[[], dict[str, Any]] = getattr(import_module(module), name)
    typer.echo(dumps(make(), option=OPT_INDENT_2).decode())
