"""Writes log lines from a thread of its own, so that an output that stalls stalls nobody else."""

from __future__ import annotations

import os
import threading
from collections import deque

QUEUE_LINES = 10_000
QUEUE_BYTES = 8 * 1024 * 1024


class Writer:
    """A bounded queue of lines and the thread that writes them to a file descriptor.

    `put` never waits: over the bound the line is dropped and counted. The descriptor is written to directly, so that
    no buffer's lock can hold up the end of the process.
    """

    def __init__(self, descriptor: int, *, lines: int = QUEUE_LINES, size: int = QUEUE_BYTES) -> None:
        self._descriptor = descriptor
        self._most_lines = lines
        self._most_bytes = size
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self.dropped = 0
        """Lines not written since the queue was full or the output failed."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue one line, its end included; any thread, never waits for the output."""
        with self._changed:
            full = len(self._queue) >= self._most_lines or self._bytes + len(line) > self._most_bytes
            if full or self._closing:
                self.dropped += 1
                return
            self._queue.append(line)
            self._bytes += len(line)
            self._changed.notify()

    def close(self, seconds: float = 2.0) -> bool:
        """Write what is queued, for at most so long; False if the output did not take it all."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                lines = list(self._queue)
                self._queue.clear()
                self._bytes = 0
            if not self._write(b"".join(lines)):
                with self._changed:
                    self.dropped += len(lines)

    def _write(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                threading.Event().wait(0.05)
            except OSError:
                return False
        return True
