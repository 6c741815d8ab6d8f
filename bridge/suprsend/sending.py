"""The events of one call until each has a result, and the thread that drives such calls: several side by side.

`Sending` is pure: what to send next, and when; no client, no clock. `Outbox` has the thread, results are futures.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Final, NamedTuple, Protocol

from bridge.flow import Judge, Judged, Reply, Verdict
from bridge.jsontext import JSONDecodeError, loads
from bridge.suprsend.causes import BOM
from bridge.suprsend.endpoint import BULK_PATH, EVENT_PATH
from bridge.suprsend.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES

NO_STATUS: Final = 500
"""The status code that the official SDKs report where no answer came (contract §5c)."""

_AGAIN: Final = frozenset({Verdict.TRANSIENT, Verdict.THROTTLED, Verdict.UNKNOWN, Verdict.DOUBTFUL})


class Retries(NamedTuple):
    """How often and how soon an event is tried again; seconds."""

    attempts: int = 3
    base: float = 0.5
    cap: float = 30.0

    def wait(self, tries: int, asked: float | None, jitter: Callable[[], float]) -> float:
        """Full jitter over a doubling bound, but not before the server asked for, up to `cap`."""
        return max(jitter() * min(self.cap, self.base * float(2**tries)), min(self.cap, asked or 0.0))


class SendResult(NamedTuple):
    """What became of one event; `message` is SuprSend's message id where one event was sent alone and accepted."""

    accepted: bool
    status_code: int
    message: str
    verdict: Verdict = Verdict.UNKNOWN
    """What the answer amounts to; unknown where there was none."""
    code: str = "not_sent"
    """A stable word or status for it, as dead letters have it."""


class _Batch(NamedTuple):
    """Events that travel together, by their place, and how often they were tried."""

    places: list[int]
    tries: int


class Sending:
    """One call's worth of events: retried with the same bytes, split where refused as a whole.

    What was accepted or refused is never sent again. Not thread-safe; one driver at a time.
    """

    def __init__(
        self,
        bodies: Sequence[bytes],
        *,
        alone: bool,
        judge: Judge,
        retries: Retries,
        jitter: Callable[[], float],
    ) -> None:
        self._bodies = bodies
        self._alone = alone
        self._judge = judge
        self._retries = retries
        self._jitter = jitter
        self._results: list[SendResult | None] = [None] * len(bodies)
        self._groups = [_Batch(list(range(len(bodies))), 0)]

    @property
    def path(self) -> str:
        """Where the next call goes, relative to the base URL."""
        return EVENT_PATH if self._alone else BULK_PATH

    def body(self) -> bytes:
        """The body of the next call."""
        bodies = [self._bodies[place] for place in self._groups[-1].places]
        return bodies[0] if self._alone else join(bodies)

    def answered(self, reply: Reply, now: float) -> float | None:
        """Take the answer to the last call; returns seconds until the next one, or None when all have a result.

        `now` is seconds since 1970, for a `Retry-After` that names a date.
        """
        group = self._groups.pop()
        judged = self._judge(reply, len(group.places), lambda: [_key_of(self._bodies[place]) for place in group.places])
        if judged.splittable:
            half = (len(group.places) + 1) // 2
            self._groups.append(_Batch(group.places[half:], group.tries))
            self._groups.append(_Batch(group.places[:half], group.tries))
            return 0.0
        wait = self._settle(group, judged, reply, now)
        return wait if self._groups else None

    def results(self) -> list[SendResult]:
        """One result per event; those without one yet count as failed."""
        missing = SendResult(accepted=False, status_code=NO_STATUS, message="not sent")
        return [missing if result is None else result for result in self._results]

    def _settle(self, group: _Batch, judged: Judged, reply: Reply, now: float) -> float:
        tries = group.tries + 1
        again: list[int] = []
        for index, place in enumerate(group.places):
            verdict = judged.whole if judged.items is None else judged.items[index]
            if verdict in _AGAIN and tries < self._retries.attempts:
                again.append(place)
            else:
                decided = Verdict.INVALID if verdict is Verdict.DOUBTFUL else verdict
                self._results[place] = self._result(decided, judged, index, reply)
        if not again:
            return 0.0
        self._groups.append(_Batch(again, tries))
        return self._retries.wait(group.tries, retry_after_seconds(reply.retry_after, now), self._jitter)

    def _result(self, verdict: Verdict, judged: Judged, index: int, reply: Reply) -> SendResult:
        code, message = (
            (judged.code, judged.said or judged.message) if judged.details is None else judged.details[index]
        )
        status = int(code) if code.isdigit() else reply.status or NO_STATUS
        if verdict is Verdict.ACCEPTED:
            said = _message_id(reply.body) if self._alone else ""
            return SendResult(accepted=True, status_code=status, message=said, verdict=verdict, code=code)
        text = message if code.isdigit() else f"{code}: {message}"
        return SendResult(accepted=False, status_code=status, message=text, verdict=verdict, code=code)


def retry_after_seconds(text: str | None, now: float) -> float | None:
    """Read `Retry-After`, seconds or an HTTP date, as seconds from `now`; None where it is neither."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)


def _key_of(body: bytes) -> str:
    key = loads(body).get("$idempotency_key")
    return key if isinstance(key, str) else ""


def _message_id(body: bytes) -> str:
    try:
        value = loads(body.removeprefix(BOM))
    except JSONDecodeError:
        return "OK"
    found = value.get("message_id") if isinstance(value, dict) else None
    if found is None and isinstance(value, dict):
        records = value.get("records")
        first = records[0] if isinstance(records, list) and records else None
        found = first.get("message_id") if isinstance(first, dict) else None
    return found if isinstance(found, str) else "OK"


BRACKETS: Final = 2
COMMA: Final = 1


_IDLE_SECONDS = 3600.0


class PathTransport(Protocol):
    """`flow.Transport` that posts to more than one path."""

    def start(self, call: int, body: bytes, path: str | None = None) -> None: ...
    def poll(self, seconds: float) -> list[tuple[int, Reply]]: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class _Job(NamedTuple):
    sending: Sending
    future: Future[list[SendResult]]


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

    def submit(self, sending: Sending) -> Future[list[SendResult]]:
        """Send; the future's results are those of `Sending.results`. Raises RuntimeError once closed."""
        future: Future[list[SendResult]] = Future()
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


class Bounds(NamedTuple):
    """The most that one bulk call holds; `max_bytes` counts the whole body, brackets and commas included."""

    max_events: int = MAX_BATCH_EVENTS
    max_bytes: int = MAX_BODY_BYTES


def batches(bodies: Iterable[bytes], bounds: Bounds = Bounds()) -> Iterator[list[bytes]]:  # noqa: B008 (immutable)
    """Cut events into batches within bounds, in their order, each as full as the order allows.

    An event too large for any batch travels alone: whether to send it was decided before.
    """
    batch: list[bytes] = []
    size = BRACKETS
    for body in bodies:
        more = len(body) + (COMMA if batch else 0)
        if batch and (len(batch) >= bounds.max_events or size + more > bounds.max_bytes):
            yield batch
            batch, size, more = [], BRACKETS, len(body)
        batch.append(body)
        size += more
    if batch:
        yield batch


def join(bodies: Iterable[bytes]) -> bytes:
    """The body of one bulk call: a JSON array of the events' bytes as they are."""
    return b"[" + b",".join(bodies) + b"]"
