"""Figures as a table, and as JSON under `bench/results/` with the machine they were taken on."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import confluent_kafka
import pycurl
from rich.console import Console
from rich.table import Table

from bench.processes import Figures
from bridge.jsontext import OPT_INDENT_2, dumps, loads

RESULTS: Final = Path(__file__).with_name("results")
ROOT: Final = Path(__file__).parents[1]


def machine() -> dict[str, Any]:
    """What the figures were taken on: they mean little on another one, their ratios more."""
    cpu = re.search(r"model name\s+: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(memory[1]) // 1024 if memory else 0,
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "libcurl": pycurl.version_info()[1],
        "orjson": version("orjson"),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "commit": _commit(),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def median(runs: Sequence[Figures]) -> Figures:
    """The figures of several rounds as one: the median of each, the highest peak."""
    return Figures(
        runs[0].name,
        runs[0].records,
        statistics.median(run.cpu_seconds for run in runs),
        statistics.median(run.wall_seconds for run in runs),
        max(run.peak_mib for run in runs),
    )


def table(title: str, rows: Sequence[Figures], base: Figures) -> Table:
    """One line a program; ratios are of CPU per record, to `base`."""
    made = Table(title=title, title_justify="left")
    made.add_column("what")
    for column in ("records per CPU-second", "µs per record", "records/s", "peak MiB", f"CPU to {base.name}"):
        made.add_column(column, justify="right")
    for row in rows:
        ratio = row.microseconds / base.microseconds
        figures = (f"{row.per_cpu_second:,.0f}", f"{row.microseconds:.2f}", f"{row.per_second:,.0f}")
        made.add_row(row.name, *figures, f"{row.peak_mib:.0f}", f"{ratio:.2f}")
    return made


def as_json(figures: Figures) -> dict[str, Any]:
    return {
        **figures._asdict(),
        "per_cpu_second": round(figures.per_cpu_second),
        "per_second": round(figures.per_second),
    }


def save(scenario: str, content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Keep the results of a scenario; returns those that were there before."""
    path = RESULTS / f"{scenario}.json"
    before: Mapping[str, Any] | None = loads(path.read_bytes()) if path.exists() else None
    RESULTS.mkdir(exist_ok=True)
    path.write_bytes(dumps({"scenario": scenario, **content}, option=OPT_INDENT_2) + b"\n")
    return before


def console() -> Console:
    """Wide enough for the tables wherever the output goes."""
    found = Console()
    return found if found.is_terminal else Console(width=140)
