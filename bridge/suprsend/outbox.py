"""The thread that drives a client's calls: several side by side, retries in their time, results as futures."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import NamedTuple, Protocol

from bridge.flow import Reply
from bridge.suprsend.sending import Result, Sending

_IDLE_SECONDS = 3600.0


class PathTransport(Protocol):
    """`flow.Transport` that posts to more than one path."""

    def start(self, call: int, body: bytes, path: str | None = None) -> None: ...
    def poll(self, seconds: float) -> list[tuple[int, Reply]]: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class _Job(NamedTuple):
    sending: Sending
    future: Future[list[Result]]


class Outbox:
    """Takes sendings from any thread and finishes each future with one result per event.

    A daemon thread begins with the first sending and ends with `close`. A process made by fork gets its own.
    """

    def __init__(self, transport: Callable[[], PathTransport], max_in_flight: int) -> None:
        self._make = transport
        self._max_in_flight = max_in_flight
        self._lock = threading.Lock()
        self._drive: _Drive | None = None
        # After a fork the parent's connections are kept, since letting go would end TLS on the sockets it still uses.
        self._inherited: _Drive | None = None
        self._owner = 0
        self._closed = False

    def submit(self, sending: Sending) -> Future[list[Result]]:
        """Send; the future's results are those of `Sending.results`. Raises RuntimeError once closed."""
        future: Future[list[Result]] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed; make a new one")
            if self._drive is None or self._owner != os.getpid():
                self._inherited, self._owner = self._drive, os.getpid()
                self._drive = _Drive(self._make(), self._max_in_flight)
            self._drive.add(_Job(sending, future))
        return future

    def close(self) -> None:
        """Stop: what has no answer yet counts as failed. May be called twice, from any thread."""
        with self._lock:
            drive, self._drive = self._drive, None
            self._closed = True
        if drive is not None and self._owner == os.getpid():
            drive.stop()


class _Drive:
    """The thread, and what belongs to it alone."""

    def __init__(self, transport: PathTransport, max_in_flight: int) -> None:
        self._transport = transport
        self._max_in_flight = max_in_flight
        self._lock = threading.Lock()
        self._new: deque[_Job] = deque()
        self._stopping = False
        self._ready: deque[_Job] = deque()
        self._resting: list[tuple[float, int, _Job]] = []
        self._active: dict[int, _Job] = {}
        self._numbers = count(1)
        self._thread = threading.Thread(target=self._run, name="suprsend-outbox", daemon=True)
        self._thread.start()

    def add(self, job: _Job) -> None:
        with self._lock:
            self._new.append(job)
        self._transport.wake()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
        self._transport.wake()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_new():
                self._start_some()
                for call, reply in self._transport.poll(self._patience()):
                    self._answered(self._active.pop(call), reply)
        finally:
            self._abandon()
            self._transport.close()

    def _take_new(self) -> bool:
        """Move what was submitted and what has rested into line; False when stopping."""
        with self._lock:
            self._ready.extend(job for job in self._new if job.future.set_running_or_notify_cancel())
            self._new.clear()
            stopping = self._stopping
        now = time.monotonic()
        while self._resting and self._resting[0][0] <= now:
            self._ready.append(heapq.heappop(self._resting)[2])
        return not stopping

    def _start_some(self) -> None:
        while self._ready and len(self._active) < self._max_in_flight:
            job = self._ready.popleft()
            number = next(self._numbers)
            try:
                self._transport.start(number, job.sending.body(), job.sending.path)
            except Exception as error:  # noqa: BLE001 (a key that cannot be read, say: the caller's to see)
                job.future.set_exception(error)
            else:
                self._active[number] = job

    def _patience(self) -> float:
        if not self._resting or (self._ready and len(self._active) < self._max_in_flight):
            return _IDLE_SECONDS
        return max(0.0, self._resting[0][0] - time.monotonic())

    def _answered(self, job: _Job, reply: Reply) -> None:
        wait = job.sending.answered(reply, time.time())
        if wait is None:
            job.future.set_result(job.sending.results())
        elif wait:
            heapq.heappush(self._resting, (time.monotonic() + wait, next(self._numbers), job))
        else:
            self._ready.append(job)

    def _abandon(self) -> None:
        with self._lock:
            self._stopping = True
            late = [job for job in self._new if job.future.set_running_or_notify_cancel()]
            self._new.clear()
        for job in (*late, *self._ready, *(entry[2] for entry in self._resting), *self._active.values()):
            job.future.set_result(job.sending.results())
