"""The command line: lists, loads, and says mistakes in one line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import typer

from bridge import __version__
from bridge.cli import main
from bridge.cli.failure import FATAL, Failure
from bridge.findings import Finding, FindingsError

HEAVY = ("confluent_kafka", "pycurl", "aiohttp", "pydantic", "structlog", "rich", "yaml", "prometheus_client")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bridge", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Put a function in the place of `suprsend-bridge status`."""

    def put(function: Callable[..., object]) -> None:
        module = types.ModuleType("bridge.cli.status")
        module.command = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "bridge.cli.status", module)
        monkeypatch.setitem(main._BY_NAME, "status", main.CommandEntry("status", "x", "Status."))

    return put


def test_help_lists_every_command_and_loads_none() -> None:
    """`suprsend-bridge --help` has a line for each command, and imports nothing heavy for it."""
    code = (
        "import sys; from bridge.cli import main; assert main.run(['--help']) == 0; "
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    for entry in main.COMMANDS:
        assert f"  {entry.name} " in done.stdout
        assert entry.help.split()[0] in done.stdout
    assert "LOADED []" in done.stdout


@pytest.mark.parametrize("entry", main.COMMANDS, ids=lambda entry: entry.name)
def test_every_command_of_the_table_can_be_loaded_and_shows_an_example(
    entry: main.CommandEntry, capsys: pytest.CaptureFixture[str]
) -> None:
    """`suprsend-bridge COMMAND --help` works for each, and has an example."""
    assert main.run([entry.name, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count(f"suprsend-bridge {entry.name}") > 1, "the usage line, and an example"
    assert shown.err == ""


def test_help_starts_quickly() -> None:
    """A command starts with under half a second of CPU (best of five, and bounded generously)."""
    times = []
    for _ in range(5):
        began = _cpu_of_children()
        command("--help")
        times.append(_cpu_of_children() - began)
    assert min(times) < 1.0


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def test_the_version_is_that_of_the_package() -> None:
    """`suprsend-bridge --version` and `python -m bridge` are the same program."""
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"suprsend-bridge {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evla"], "suprsend-bridge: No such command 'evla'. Did you mean 'eval'"),
        (["--nonsense"], "suprsend-bridge: No such option: --nonsense"),
        (["run", "--records", "0"], "suprsend-bridge run: Invalid value for '--records'"),
        (["schema"], "suprsend-bridge schema: Missing argument"),
        (["schema", "settings", "--nonsense"], "suprsend-bridge schema: No such option: --nonsense"),
        (["\x1b[31m"], "suprsend-bridge: No such command"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in a command, option or argument is one line on stderr that names the help to read."""
    assert main.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(said)
    assert shown.err.count("\n") == 1
    assert "--help`)" in shown.err
    assert "\x1b" not in shown.err


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The command alone shows what there is, and is wrong usage."""
    assert main.run([]) == 2
    shown = capsys.readouterr().err
    assert "Usage: suprsend-bridge" in shown
    assert main.COMMANDS[0].help.split(":")[0] in shown


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Failure("port 8080 is in use: choose another"), 2, "bridge: port 8080 is in use: choose another\n"),
        (Failure("fenced", FATAL), 70, "bridge: fenced\n"),
        (Failure("no \x1b[2J"), 2, "bridge: no ␛[2J\n"),
        (
            typer.BadParameter("no \x1b[2J"),
            2,
            "suprsend-bridge status: Invalid value: no ␛[2J (see `suprsend-bridge status --help`)\n",
        ),
        (FindingsError([Finding("S001", "error", "b.yaml", 1, 1, 0, "no")], {}), 2, "b.yaml:1:1: error: no [S001]\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (typer.Exit(5), 5, ""),
        (
            typer.BadParameter("must be x"),
            2,
            "suprsend-bridge status: Invalid value: must be x (see `suprsend-bridge status --help`)\n",
        ),
    ],
)
def test_a_user_s_mistake_is_never_a_traceback(
    stand_in: Callable[[Callable[..., object]], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    """Failures, findings, Ctrl-C and exits end with their code and their own words."""

    def fails() -> None:
        raise error

    stand_in(fails)
    assert main.run(["status"]) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_shown_whole_and_exits_with_70(
    stand_in: Callable[[Callable[..., object]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw keeps its traceback, says that it is a bug, and has the fatal exit code."""

    def fails() -> None:
        raise ZeroDivisionError

    stand_in(fails)
    assert main.run(["status"]) == FATAL
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "this is a bug" in shown


def test_what_a_command_returns_is_the_exit_code(stand_in: Callable[[Callable[..., object]], None]) -> None:
    """A command returns its exit code, or nothing for 0; its options are read from its signature."""

    def returns(code: Annotated[int, typer.Argument()]) -> int | None:
        return code or None

    stand_in(returns)
    assert main.run(["status", "1"]) == 1
    assert main.run(["status", "0"]) == 0


def test_a_reader_that_went_away_is_no_error() -> None:
    """`suprsend-bridge schema settings | head -1` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "schema", "settings"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(write)
    assert done.stderr == ""


def test_the_schema_of_the_settings_is_printed() -> None:
    """`suprsend-bridge schema settings` prints JSON that an editor can use."""
    done = command("schema", "settings")
    assert json.loads(done.stdout)["properties"]["kafka"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "settings.yaml: error: the file cannot be read: No such file or directory [Y001]"),
        ("kafka: {group_id: 5}\n", "settings.yaml:1:19: error: `kafka.group_id` must be text"),
        ("kafka:\n\ttopics: [a]\n", "settings.yaml:2:1: error: a tab cannot stand here"),
        ("admin: {token_file: nowhere}\n", "/nowhere' cannot be read: No such file or directory [S005]"),
    ],
)
def test_run_refuses_broken_settings_before_anything_connects(tmp_path: Path, text: str | None, said: str) -> None:
    """Wrong settings are exit code 2 with place and reason, and no traceback."""
    file = tmp_path / "settings.yaml"
    if text is not None:
        file.write_text(text)
    done = command("run", "--config", str(file))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--for", "30s"], "bridge: --for and --records end a dry run: write --dry-run, too\n"),
        (["--records", "9"], "bridge: --for and --records end a dry run: write --dry-run, too\n"),
        (["--dry-run", "--for", "soon"], "bridge: --for soon: write a time such as 30s or 5m\n"),
    ],
)
def test_what_ends_a_dry_run_is_for_dry_runs(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--for` takes a time, and it and `--records` need `--dry-run`: else one line says what to write."""
    assert main.run(["run", *arguments]) == 2
    assert capsys.readouterr().err == said


def test_an_unknown_kind_of_schema_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """`suprsend-bridge schema nonsense` lists the kinds."""
    assert main.run(["schema", "nonsense"]) == 2
    assert "there is one of: settings" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["eval .", "map --topic t --rules ."])
def test_closed_streams_are_no_bug(command: str, closed: str, tmp_path: Path) -> None:
    """A process whose standard streams are closed reads nothing, writes to nobody, and ends as it would."""
    (tmp_path / "a.yaml").write_text("rules:\n  - {name: a, topics: [t], event: told, distinct_id: u1}\n")
    line = f"{shlex.quote(sys.executable)} -m bridge {command} {closed}"
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_one_line() -> None:
    """A full disk is said in one line, with exit code 1."""
    with Path("/dev/full").open("wb") as full:
        line = [sys.executable, "-m", "bridge", "eval", "-n", "1"]
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, b"bridge: the output cannot be written: No space left on device\n")
