"""What a process has spent: CPU, memory, threads, from /proc."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """At one moment: user and system time of all threads since the start, the most memory held so far."""

    at: float
    cpu_seconds: float
    peak_mib: float


def usage(pid: int | str = "self") -> Usage:
    """Of a process. Raises FileNotFoundError where it has ended."""
    folder = Path("/proc") / str(pid)
    fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    peak = re.search(r"(?m)^VmHWM:\s+(\d+) kB", (folder / "status").read_text())
    return Usage(time.monotonic(), (int(fields[11]) + int(fields[12])) / _TICKS, int(peak[1]) / 1024 if peak else 0.0)


def stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process in order, or by force where that takes too long."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)


class Figures(NamedTuple):
    """What one run of one program cost."""

    name: str
    records: int
    cpu_seconds: float
    wall_seconds: float
    peak_mib: float

    @property
    def per_cpu_second(self) -> float:
        return self.records / max(self.cpu_seconds, 1e-3)

    @property
    def per_second(self) -> float:
        return self.records / max(self.wall_seconds, 1e-3)

    @property
    def microseconds(self) -> float:
        """CPU per record."""
        return 1e6 * max(self.cpu_seconds, 1e-3) / max(self.records, 1)


def until(done: Callable[[], bool], seconds: float, what: str, *, every: float = 0.02) -> None:
    """Look again and again until something is so; raises RuntimeError after the time given."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)
