"""What the bridge's processes take: memory, file descriptors and threads, looked at while they run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EVERY_SECONDS: Final = 0.25


@dataclass(slots=True)
class Peaks:
    """The most that any one process took."""

    memory_bytes: int = 0
    descriptors: int = 0
    threads: int = 0


class Watch:
    """Looks at processes, by pid, in a thread of its own."""

    def __init__(self) -> None:
        self.peaks = Peaks()
        self._pids: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def add(self, pid: int) -> None:
        """Look at this one too, until it is gone."""
        self._pids.add(pid)

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            for pid in list(self._pids):
                self._look(pid)

    def _look(self, pid: int) -> None:
        peaks = self.peaks
        try:
            peaks.memory_bytes = max(peaks.memory_bytes, memory_of(pid))
            peaks.descriptors = max(peaks.descriptors, len(list(Path(f"/proc/{pid}/fd").iterdir())))
            peaks.threads = max(peaks.threads, len(list(Path(f"/proc/{pid}/task").iterdir())))
        except (OSError, KeyError):
            self._pids.discard(pid)


def memory_of(pid: int) -> int:
    """Resident bytes of a process; raises OSError or KeyError when it is gone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["VmRSS"].split()[0]) * 1024
