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
from contextlib import contextmanager
from itertools import count
from typing import Final, NamedTuple, Protocol
from weakref import WeakSet

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


_NOT_SENT: Final = SendResult(accepted=False, status_code=NO_STATUS, message="not sent")
_UNANSWERED: Final = SendResult(
    accepted=False,
    status_code=NO_STATUS,
    message="unknown: the client was closed before the answer came; the event may have been accepted",
    code="unknown",
)


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
        self._results = [_NOT_SENT] * len(bodies)
        self._groups = [_Batch(list(range(len(bodies))), 0)]

    @property
    def path(self) -> str:
        """Where the next call goes, relative to the base URL."""
        return EVENT_PATH if self._alone else BULK_PATH

    def body(self) -> bytes:
        """The body of the next call, which goes out now."""
        places = self._groups[-1].places
        for place in places:
            self._results[place] = _UNANSWERED
        bodies = [self._bodies[place] for place in places]
        return bodies[0] if self._alone else join(bodies)

    def answered(self, reply: Reply, now: float) -> float | None:
        """Take the answer to the last call; returns seconds until the next one, or None when all have a result.

        `now` is seconds since 1970, for a `Retry-After` that names a date.
        """
        group = self._groups.pop()
        judged = self._judge(reply, len(group.places), lambda: [_key_of(self._bodies[place]) for place in group.places])
        again = self._settle(group, judged, reply)
        if judged.splittable:
            half = (len(group.places) + 1) // 2
            self._groups.append(_Batch(group.places[half:], group.tries))
            self._groups.append(_Batch(group.places[:half], group.tries))
            return 0.0
        if again:
            self._groups.append(_Batch(again, group.tries + 1))
            return self._retries.wait(group.tries, reply.quiet(now), self._jitter)
        return 0.0 if self._groups else None

    def results(self) -> list[SendResult]:
        """What is known of each event by now: its result, the last answer to it, no answer yet, or not sent."""
        return list(self._results)

    def _settle(self, group: _Batch, judged: Judged, reply: Reply) -> list[int]:
        """Note what was said of each event; returns the places of those to be tried again."""
        again: list[int] = []
        for index, place in enumerate(group.places):
            verdict = judged.whole if judged.items is None else judged.items[index]
            if verdict in _AGAIN and group.tries + 1 < self._retries.attempts:
                again.append(place)
            elif verdict is Verdict.DOUBTFUL:
                verdict = Verdict.INVALID
            self._results[place] = self._result(verdict, judged, index, reply)
        return again

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

    def wanted(self) -> bool:
        """False where it was cancelled before its first call; from then on it cannot be."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


class Outbox:
    """Takes sendings from any thread and finishes each future with one result per event.

    A daemon thread begins with the first sending and ends with `close`. A process made by fork gets its own.
    """

    def __init__(self, transport: Callable[[], PathTransport], max_in_flight: int) -> None:
        self._make = transport
        self._max_in_flight = max_in_flight
        self._lock = threading.Lock()
        self._drive: _Drive | None = None
        self._closed = False
        _FORKS.add(self)

    def submit(self, *sendings: Sending) -> list[Future[list[SendResult]]]:
        """Send all or, once closed, none: raises RuntimeError. The futures' results are those of `Sending.results`."""
        jobs = [_Job(sending, Future()) for sending in sendings]
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed; make a new one")
            if self._drive is None:
                self._drive = _Drive(self._make(), self._max_in_flight)
            self._drive.add(jobs)
        return [job.future for job in jobs]

    def close(self) -> None:
        """Stop: what has no answer yet counts as failed. May be called twice, from any thread."""
        with self._lock:
            drive = self._drive
            self._closed = True
        if drive is not None:
            drive.stop()

    def before_fork(self) -> None:
        """Keep every thread out of here: a lock that one of them held would stay locked in the child."""
        self._lock.acquire()
        if self._drive is not None:
            self._drive.rest()

    def after_fork(self) -> None:
        """Go on, in the parent."""
        if self._drive is not None:
            self._drive.go_on()
        self._lock.release()

    def begin_anew(self) -> _Drive | None:
        """Begin anew, in the child: the thread and its connections are the parent's, and returned to be kept."""
        self._lock = threading.Lock()
        inherited, self._drive = self._drive, None
        return inherited


class _Forks:
    """Tells every outbox of this process when it is forked; `os.register_at_fork` has no way to take a call back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outboxes: WeakSet[Outbox] = WeakSet()
        self._told: list[Outbox] = []
        self._inherited: list[_Drive | None] = []
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def add(self, outbox: Outbox) -> None:
        with self._lock:
            self._outboxes.add(outbox)

    def _before(self) -> None:
        self._lock.acquire()
        self._told = list(self._outboxes)
        for outbox in self._told:
            outbox.before_fork()

    def _in_parent(self) -> None:
        for outbox in self._told:
            outbox.after_fork()
        self._told = []
        self._lock.release()

    def _in_child(self) -> None:
        """The parent's connections are kept: letting go would end TLS on the sockets that it still uses."""
        self._lock = threading.Lock()
        self._inherited += [outbox.begin_anew() for outbox in list(self._outboxes)]
        self._told = []


_FORKS: Final = _Forks()


class _Drive:
    """The thread, and what belongs to it alone."""

    def __init__(self, transport: PathTransport, max_in_flight: int) -> None:
        self._transport = transport
        self._max_in_flight = max_in_flight
        self._lock = threading.Lock()
        self._new: deque[_Job] = deque()
        self._stopping = False
        self._gate, self._moving = threading.Lock(), threading.Lock()
        self._ready: deque[_Job] = deque()
        self._resting: list[tuple[float, int, _Job]] = []
        self._active: dict[int, _Job] = {}
        self._numbers = count(1)
        self._thread = threading.Thread(target=self._run, name="suprsend-outbox", daemon=True)
        self._thread.start()

    def add(self, jobs: list[_Job]) -> None:
        with self._lock:
            self._new.extend(jobs)
        self._transport.wake()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
        self._transport.wake()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def rest(self) -> None:
        """Wait until the thread is between two turns, where libcurl and OpenSSL lock nothing, and keep it there."""
        self._gate.acquire()
        self._transport.wake()
        self._moving.acquire()

    def go_on(self) -> None:
        """Undo `rest`."""
        self._moving.release()
        self._gate.release()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            with self._in_turn():
                self._abandon()
                self._transport.close()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._gate:
            self._moving.acquire()
        try:
            yield
        finally:
            self._moving.release()

    def _turn(self) -> bool:
        """Move everything on, or wait for news; False when stopping."""
        with self._in_turn():
            if not self._take_new():
                return False
            self._start_some()
            for call, reply in self._transport.poll(self._patience()):
                self._answered(self._active.pop(call), reply)
            return True

    def _take_new(self) -> bool:
        """Move what was submitted and what has rested into line; False when stopping."""
        with self._lock:
            self._ready.extend(self._new)
            self._new.clear()
            stopping = self._stopping
        now = time.monotonic()
        while self._resting and self._resting[0][0] <= now:
            self._ready.append(heapq.heappop(self._resting)[2])
        return not stopping

    def _start_some(self) -> None:
        while self._ready and len(self._active) < self._max_in_flight:
            job = self._ready.popleft()
            if not job.wanted():
                continue
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
            waiting = (*self._new, *self._ready, *(entry[2] for entry in self._resting), *self._active.values())
            self._new.clear()
        for job in waiting:
            if job.wanted():
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
