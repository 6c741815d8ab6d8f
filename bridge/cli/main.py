"""The `bridge` command: a table of commands, each loaded only when it is the one that runs."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from bridge import __version__
from bridge.cli.failure import FATAL, INTERRUPTED, USAGE, Failure
from bridge.findings import FindingsError, visible
from bridge.service.actions import ACTIONS

__all__ = ["COMMANDS", "CommandEntry", "load", "main", "run"]


class CommandEntry(NamedTuple):
    """One command: `bridge.cli.<module>` has it as `command`, a function or a `typer.Typer`, or it is an action's row."""

    name: str
    panel: str
    help: str

    @property
    def module(self) -> str:
        return f"bridge.cli.{self.name.replace('-', '_')}"


_RUN, _WRITE, _OPERATE, _MORE = "Run", "Write rules", "Look after a running bridge", "More"


def _operating() -> Iterator[CommandEntry]:
    """A command for each action, and the one for dead letters behind the action that makes some."""
    for action in ACTIONS.values():
        if action.command:
            yield CommandEntry(action.name, _OPERATE, action.summary)
        if action.name == "skip":
            yield CommandEntry("dlq", _OPERATE, "List dead letters, show one, and send them again.")


COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry("demo", _RUN, "See it work: Kafka, SuprSend and the bridge in one process, nothing to install."),
    CommandEntry("run", _RUN, "Run the bridge."),
    CommandEntry("sandbox", _RUN, "Run a local SuprSend, with faults on demand."),
    CommandEntry("check", _WRITE, "Find the mistakes in settings and rules, before they are deployed."),
    CommandEntry("test", _WRITE, "Run the examples that stand beside the rules."),
    CommandEntry("map", _WRITE, "Map records from a file or a topic, and print the events."),
    CommandEntry("eval", _WRITE, "Evaluate one jq expression, as the rules would."),
    CommandEntry("explain", _WRITE, "Show what one record becomes, and why."),
    CommandEntry("events", _WRITE, "List every event that the rules can make."),
    CommandEntry("status", _OPERATE, "Show what a running bridge does and what holds it up."),
    *_operating(),
    CommandEntry("send", _MORE, "Send one event to SuprSend."),
    CommandEntry("schema", _MORE, "Print the JSON Schema of a kind of file, for an editor."),
)

_MADE = ACTIONS.keys() - {"skip"}
"""Commands that are made from the row of their action; `skip` has more options, and a module for them."""
_BY_NAME = {entry.name: entry for entry in COMMANDS}


def load(name: str) -> Any:
    """Import a command's module and make its command ready to run."""
    entry = _BY_NAME[name]
    command = _made(name) if name in _MADE else import_module(entry.module).command
    if not isinstance(command, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(command)
        command = app
    loaded = get_command(command)
    loaded.name = name
    return loaded


def _made(name: str) -> Any:
    from bridge.cli.remote import command_of

    return command_of(ACTIONS[name])


class _LazyGroup(TyperGroup):
    """Lists all commands from the table, by panels, and loads the one that is called."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        for panel in dict.fromkeys(entry.panel for entry in COMMANDS):
            with formatter.section(panel):
                formatter.write_dl([(entry.name.ljust(13), entry.help) for entry in COMMANDS if entry.panel == panel])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, stub, rest = super().resolve_command(ctx, args)
        return name, (load(name) if name in _BY_NAME else stub), rest


_OUTPUT = frozenset((errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EBADF))
"""Why writing to standard output fails."""


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"suprsend-bridge {__version__}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Kafka records become SuprSend events, by YAML rules.

    Begin with `suprsend-bridge demo`. Each command shows an example with --help.
    """
    del version


def _group() -> TyperGroup:
    app = typer.Typer(cls=_LazyGroup, name="suprsend-bridge", no_args_is_help=True, rich_markup_mode=None)
    app.callback()(_root)
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for entry in COMMANDS:
        group.add_command(TyperCommand(entry.name, help=entry.help, short_help=entry.help), entry.name)
    return group


def run(args: list[str]) -> int:
    """Run one command line and return its exit code. Prints errors to stderr: one line for a user's mistake."""
    try:
        answer = _group().main(args=args, prog_name="suprsend-bridge", standalone_mode=False)
    except (TyperException, Failure, FindingsError, typer.Abort, KeyboardInterrupt, BrokenPipeError) as error:
        return _refused(error)
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT:
            return _bug()
        return _refused(error)
    except Exception:  # noqa: BLE001 (the last line of defence: a bug is shown whole and has its own exit code)
        return _bug()
    return answer if isinstance(answer, int) else 0


def _bug() -> int:
    """Show the exception that is being handled whole; returns the exit code."""
    traceback.print_exc()
    sys.stderr.write("bridge: this is a bug; please report it with the lines above\n")
    return FATAL


def _refused(error: BaseException) -> int:
    """Say on stderr why a command ended; returns the exit code."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, OSError):
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"bridge: the output cannot be written: {error.strerror}\n")
        # Whoever read our output has gone: nothing more can be said there, not even by the interpreter at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, FindingsError):
        sys.stderr.write(f"{error}\n")
        return USAGE
    sys.stderr.write(_line(error))
    return error.code if isinstance(error, Failure) else USAGE


def _line(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        return f"{context.get_help()}\n"
    if isinstance(error, TyperException):
        command = context.command_path if context is not None else "suprsend-bridge"
        message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
        return f"{command}: {visible(message)} (see `{command} --help`)\n"
    return f"bridge: {visible(str(error))}\n"


def main() -> None:
    """Run the command line of this process, and leave it."""
    # A process may be started with its streams closed: then it reads nothing, and writes to nobody.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.exit(run(sys.argv[1:]))
