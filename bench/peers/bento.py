"""Bento as a process: built from Go modules once, then run on the same topic and sink."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.processes import Usage, stop, usage
from bench.sinks import BULK, Sink
from tests.brokers.real import RealKafka

SOURCE: Final = Path(__file__).with_name("bento")
BUILD: Final = Path(__file__).parents[2] / ".cache" / "bench" / "bento"
_BUILD_SECONDS: Final = 900
_END_SECONDS: Final = 20


def built() -> Path | None:
    """The program; None where there is no Go. Raises CalledProcessError where it cannot be fetched or built."""
    go = shutil.which("go")
    program = BUILD / "bento"
    if go is None or program.exists():
        return program if program.exists() else None
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("main.go", "go.mod"):
        shutil.copy(SOURCE / name, BUILD / name)
    for command in (["mod", "tidy"], ["build", "-o", str(program), "."]):
        subprocess.run([go, *command], cwd=BUILD, check=True, timeout=_BUILD_SECONDS, stdin=subprocess.DEVNULL)
    return program


class Bento:
    """One process. A context manager: leaving it ends the process."""

    def __init__(self, program: Path, kafka: RealKafka, sink: Sink, topic: str, group: str) -> None:
        self.group = group
        self.topics = (topic,)
        self._command = [str(program), "run", str(SOURCE / "orders.yaml")]
        self._environment = {
            **os.environ,
            "BOOTSTRAP": kafka.bootstrap,
            "TOPIC": topic,
            "GROUP": group,
            "URL": sink.url + BULK,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        stop(self._process, _END_SECONDS)

    def usage(self) -> Usage:
        """What it has spent so far. Raises RuntimeError where it has ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError("bento ended")
        return usage(self._process.pid)

    def scrape(self) -> None:
        """Nothing: its metrics are off."""
