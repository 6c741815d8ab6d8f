"""HTTP calls to SuprSend, side by side on one thread: a curl multi handle driven by an epoll of our own."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final

import pycurl

from bridge.flow import Reply
from bridge.suprsend.attempt import AnswerBudget, Attempt
from bridge.suprsend.endpoint import BULK_PATH, Endpoint
from bridge.suprsend.signing import Credentials

_CLOSE_SECONDS: Final = 1.0
_SOCKET_EVENTS: Final = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


class CurlTransport:
    """Implements `flow.Transport`. One thread makes every call but `wake`, which any thread may make.

    Answers are never decompressed and never followed; connections stay open for the next call. When a connection
    that was used before turns out dead before a byte of the answer came, libcurl sends the same bytes once more on a
    new one by itself. Needs Linux (epoll, eventfd). Raises EndpointError for files that cannot be read.

    Args:
        endpoint: where to, and the limits.
        credentials: asked for each attempt, so that a key rotated in place takes effect at once.
        path: where `start` posts to unless told otherwise.
        clock: seconds since 1970, for the signature's date.

    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Callable[[], Credentials],
        *,
        path: str = BULK_PATH,
        clock: Callable[[], float] = time.time,
    ) -> None:
        endpoint.check_files()
        self._ca_bundle = endpoint.ca_bundle()
        self._endpoint = endpoint
        self._credentials = credentials
        self._path = path
        self._clock = clock
        self._budget = AnswerBudget(2 * endpoint.max_answer_bytes)
        self._idle: list[Attempt] = []
        self._active: dict[pycurl.Curl, Attempt] = {}
        self._timer: float | None = None
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._closed = False
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, endpoint.max_connections)
        self._multi.setopt(pycurl.M_MAXCONNECTS, endpoint.max_connections)

    def __repr__(self) -> str:
        return f"CurlTransport({self._endpoint!r}, active={len(self._active)})"

    def start(self, call: int, body: bytes, path: str | None = None) -> None:
        """Begin one POST of `body`; its reply comes from `poll` under the number `call`, whatever happens.

        `body` is not copied. Raises only what `credentials` raises. Beyond `max_connections` calls wait for a
        connection, inside their deadline.
        """
        where = self._path if path is None else path
        headers = self._credentials().headers("POST", self._endpoint.target(where), body, self._clock())
        attempt = self._idle.pop() if self._idle else Attempt(self._endpoint, self._budget, self._ca_bundle)
        attempt.prepare(call, self._endpoint, where, body, headers)
        self._active[attempt.curl] = attempt
        self._multi.add_handle(attempt.curl)

    def poll(self, seconds: float) -> list[tuple[int, Reply]]:
        """Move all calls on; return as soon as one has ended, `wake` was called, or `seconds` have passed."""
        until = time.monotonic() + seconds
        while True:
            woken = self._turn(until)
            finished = self._collect()
            if finished or woken or time.monotonic() >= until:
                return finished

    def wake(self) -> None:
        """Make a waiting (or else the next) `poll` return at once. Any thread; harmless after `close`."""
        with self._wake_lock:
            if not self._closed:
                os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Drop all calls without a reply and close every connection; may be called twice."""
        with self._wake_lock:
            if self._closed:
                return
            self._closed = True
        for attempt in self._active.values():
            self._multi.remove_handle(attempt.curl)
        for attempt in (*self._active.values(), *self._idle):
            attempt.curl.close()
        self._active.clear()
        self._idle.clear()
        # libcurl waits here for a name look-up that hangs: nobody else should.
        closing = threading.Thread(target=self._multi.close, name="suprsend-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        self._epoll.close()
        os.close(self._wake_fd)

    def _turn(self, until: float) -> bool:
        """Wait for sockets, the timer or `wake`, and let libcurl act on them; True when woken."""
        due = until if self._timer is None else min(until, self._timer)
        woken = False
        for fd, events in self._epoll.poll(max(0.0, due - time.monotonic())):
            if fd == self._wake_fd:
                os.eventfd_read(fd)
                woken = True
            else:
                self._multi.socket_action(fd, _curl_events(events))
        if self._timer is not None and time.monotonic() >= self._timer:
            self._timer = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return woken

    def _collect(self) -> list[tuple[int, Reply]]:
        finished: list[tuple[int, Reply]] = []
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            finished.extend(self._finish(curl, 0, "") for curl in succeeded)
            finished.extend(self._finish(curl, code, message) for curl, code, message in failed)
        return finished

    def _finish(self, curl: pycurl.Curl, code: int, message: str) -> tuple[int, Reply]:
        attempt = self._active.pop(curl)
        self._multi.remove_handle(curl)
        reply = attempt.reply(code, message)
        self._idle.append(attempt)
        return attempt.call, reply

    def _on_timer(self, milliseconds: int) -> int:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
        return 0

    def _on_socket(self, what: int, fd: int, multi: pycurl.CurlMulti, data: object) -> int:
        """Take note of what libcurl waits for. A closed descriptor has left the epoll by itself; its number may come again."""
        del multi, data
        if self._closed:
            return 0
        if what == pycurl.POLL_REMOVE:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)
            return 0
        events = _SOCKET_EVENTS.get(what, 0)
        try:
            self._epoll.modify(fd, events)
        except FileNotFoundError:
            self._epoll.register(fd, events)
        return 0


def _curl_events(events: int) -> int:
    """Epoll's events as libcurl's."""
    mask = 0
    if events & select.EPOLLIN:
        mask |= pycurl.CSELECT_IN
    if events & select.EPOLLOUT:
        mask |= pycurl.CSELECT_OUT
    if events & (select.EPOLLERR | select.EPOLLHUP):
        mask |= pycurl.CSELECT_ERR
    return int(mask)
