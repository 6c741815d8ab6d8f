"""Count the instructions of the hot functions and compare them with the committed figures: `make bench-micro`.

Under valgrind the counts are the same every time, to the instruction, on one build of Python and its libraries. On
another build, or without valgrind, the CPU of each is shown against that of a reference of the same run, and nothing
fails. `--update` writes the figures anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from bench.micro.work import RECORDS
from bench.report import console
from bridge.jsontext import OPT_INDENT_2, dumps, loads

FIGURES: Final = Path(__file__).with_name("figures.json")
ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ("reference", "decode", "build", "map", "classify", "patterns", "batch", "watermark")
WATCHED: Final = "functools_reduce"
MOST_MORE: Final = 0.10
_SECONDS: Final = 900
_WORK: Final = (sys.executable, "-m", "bench.micro.work")


def build() -> dict[str, str]:
    """What instruction counts depend on beside the code."""
    return {
        "python": " ".join((platform.python_version(), *platform.python_build(), platform.machine())),
        "orjson": version("orjson"),
    }


def counted() -> dict[str, int] | None:
    """Instructions a record of each work; None where they cannot be counted."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        watch = (f"--toggle-collect={WATCHED}", f"--dump-after={WATCHED}", f"--callgrind-out-file={folder}/out")
        _run(*_fixed_addresses(), valgrind, "--tool=callgrind", *watch, *_WORK, "--counted")
        dumped = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        totals = [re.search(r"(?m)^summary: (\d+)", path.read_text()) for path in dumped]
    if len(totals) != len(NAMES):
        return None
    return {name: int(total[1]) // RECORDS for name, total in zip(NAMES, totals, strict=True) if total}


def _fixed_addresses() -> tuple[str, ...]:
    return ("setarch", "-R") if shutil.which("setarch") else ()


def _run(*command: str) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def worse(now: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """One line for each work that costs over a tenth more than before."""
    return [
        f"{name}: {now[name]:,} instructions a record, {now[name] / before[name] - 1:+.1%}"
        for name in NAMES
        if now[name] > before[name] * (1 + MOST_MORE)
    ]


def show(title: str, columns: tuple[str, str], rows: Mapping[str, tuple[str, str]]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("work")
    for column in columns:
        table.add_column(column, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console().print(table)


def by_time() -> None:
    """Show the CPU of each work and its ratio to the reference; nothing is compared with earlier figures."""
    spent: dict[str, float] = loads(_run(*_WORK))
    base = spent["reference"]
    rows = {name: (f"{each:,.0f}", f"{each / base:.2f}") for name, each in spent.items()}
    show("CPU of the hot functions", ("ns a record", "to the reference"), rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the figures anew")
    options = parser.parse_args()
    by_time()
    now = counted()
    if now is None:
        print("instructions cannot be counted here: valgrind is missing, or Python has no symbols")
        return 0
    kept: dict[str, Any] = loads(FIGURES.read_bytes()) if FIGURES.exists() else {"build": {}, "instructions": {}}
    before: dict[str, int] = kept["instructions"]
    rows = {
        name: (f"{now[name]:,}", f"{now[name] / before[name] - 1:+.1%}" if name in before else "new") for name in NAMES
    }
    show("Instructions of the hot functions", ("a record", "change"), rows)
    if options.update:
        FIGURES.write_bytes(dumps({"build": build(), "instructions": now}, option=OPT_INDENT_2) + b"\n")
        return 0
    if kept["build"] != build():
        print("another build of Python or orjson than that of the committed figures: not compared")
        return 0
    found = worse(now, before)
    for line in found:
        print(line)
    print(
        "bench-micro: " + ("over a tenth more than the committed figures" if found else "within the committed figures")
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
