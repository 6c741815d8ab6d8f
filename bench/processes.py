"""What a process has spent: CPU, memory, threads, from /proc."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

_CPUCLOCK_SCHED: Final = 2
"""The kind of a process's CPU clock that is exact (`clock_getcpuclockid`); the times in /proc go by hundredths."""


class Usage(NamedTuple):
    """At one moment: user and system time of all threads since the start, the most memory held so far."""

    at: float
    cpu_seconds: float
    peak_mib: float


def usage(pid: int | str = "self") -> Usage:
    """Of a process. Raises FileNotFoundError where it has ended."""
    number = os.getpid() if pid == "self" else int(pid)
    peak = re.search(r"(?m)^VmHWM:\s+(\d+) kB", (Path("/proc") / str(number) / "status").read_text())
    try:
        spent = time.clock_gettime(~number << 3 | _CPUCLOCK_SCHED)
    except OSError:
        raise FileNotFoundError(number) from None
    return Usage(time.monotonic(), spent, int(peak[1]) / 1024 if peak else 0.0)


def stop(process: subprocess.Popen[Any], seconds: float) -> None:
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
