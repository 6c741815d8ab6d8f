"""The sink as a process: built from Go where there is Go, else in Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.request import urlopen

from bridge.jsontext import loads

SOURCE: Final = Path(__file__).with_name("sink")
BUILT: Final = Path(__file__).parents[1] / ".cache" / "bench" / "sink"
BULK: Final = "v2/bulk/event/"
_BUILD_SECONDS: Final = 300
_END_SECONDS: Final = 10


def command() -> tuple[str, list[str]]:
    """What the sink is made of (`go` or `python`), and how it is started."""
    go = shutil.which("go")
    if go is None:
        return "python", [sys.executable, str(SOURCE / "sink.py")]
    sources = [SOURCE / "main.go", SOURCE / "go.mod"]
    if not BUILT.exists() or any(path.stat().st_mtime > BUILT.stat().st_mtime for path in sources):
        BUILT.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([go, "build", "-o", str(BUILT), "."], cwd=SOURCE, check=True, timeout=_BUILD_SECONDS)
    return "go", [str(BUILT)]


class Sink:
    """One sink. A context manager: leaving it ends the process.

    `count` is what each event has once and the sink counts events by, where it is not the bridge's `$insert_id`.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        count: str | None = None,
        ages: bool = False,
        start: tuple[str, list[str]] | None = None,
    ) -> None:
        self.made_of, self._command = start or command()
        self._command = [*self._command, "-delay", f"{round(delay * 1000)}ms", *(["-ages"] if ages else [])]
        self._command += ["-count", count] if count else []
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        """The base URL, as the bridge is told."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if not address:
            raise RuntimeError("the sink did not start")
        self.url = f"http://{address}/"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_END_SECONDS)

    def stats(self) -> dict[str, Any]:
        """What came so far."""
        with urlopen(self.url + "stats", timeout=10) as answer:
            found: dict[str, Any] = loads(answer.read())
        return found

    def reset(self) -> None:
        """Begin to count anew."""
        with urlopen(self.url + "reset", data=b"", timeout=10):
            pass
