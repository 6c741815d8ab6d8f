"""HTTP calls to SuprSend, side by side on one thread: a curl multi handle driven by an epoll of our own."""

from __future__ import annotations

import contextlib
import os
import re
import select
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import pycurl

from bridge.flow import Reply, Seen
from bridge.suprsend.diagnosis import AttemptFacts, cause_of, word_of
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


MAX_HEADER_BYTES: Final = 64 * 1024
SMALL_ANSWER_BYTES: Final = 256 * 1024
"""What every answer may hold, however full the shared budget is."""

_CA_CACHE_TIMEOUT: Final = 321
"""CURLOPT_CA_CACHE_TIMEOUT, which pycurl has no name for: how long libcurl keeps certificates read from a file."""
_CA_CACHE_SECONDS: Final = 60

_PLAIN_HEADERS: Final = ("Accept: application/json", "Accept-Encoding: identity", "Expect:")
"""Nothing compressed is asked for, and nothing is ever decompressed; no wait for `100 Continue`."""

_TOLD_BY: Final = {b"server": 0, b"via": 1, b"proxy-agent": 2}
"""Headers by which a server or a proxy names itself, and the order in which they are told."""
_KEPT_FROM: Final = b"RrLlSsVvPp"
"""First letters of the headers that are kept: the others are passed over at once."""
_UNTOLD: Final = re.compile(r"(?://|[^A-Za-z0-9 ._/():,+-]).*", re.DOTALL)
"""From here on such a text may be an address, or no name at all."""
_MOST_NAME: Final = 60


class AnswerBudget:
    """Bytes that the answers in flight hold together, so that hostile ones cannot fill the memory."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Attempt:
    """A curl handle, its call and what has arrived of the answer. Driven by the transport's thread alone."""

    __slots__ = (
        "_answer",
        "_budget",
        "_header_bytes",
        "_headers",
        "_hosts",
        "_limit",
        "_location",
        "_names",
        "_path",
        "_proxy",
        "_retry_after",
        "_sent",
        "_too_large",
        "call",
        "curl",
    )

    def __init__(self, endpoint: Endpoint, budget: AnswerBudget, ca_bundle: str | None) -> None:
        self.call = -1
        self.curl: Final = pycurl.Curl()
        self._budget: Final = budget
        self._limit: Final = endpoint.max_answer_bytes
        self._proxy: Final = (endpoint.proxy or "").partition("://")[0].lower()
        self._hosts: Final = (_at(endpoint.base_url), _at(endpoint.proxy or ""))
        self._path = ""
        self._headers: list[str] = []
        self._answer = bytearray()
        self._forget()
        _set_up(self.curl, endpoint, ca_bundle)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._on_request)

    def prepare(self, call: int, endpoint: Endpoint, path: str, body: bytes, headers: list[str]) -> None:
        """Load the next call. `body` is not copied: it lives until the reply was taken."""
        self.call = call
        if path != self._path:
            self.curl.setopt(pycurl.URL, endpoint.url(path))
            self._path = path
        if headers != self._headers:
            self.curl.setopt(pycurl.HTTPHEADER, [*_PLAIN_HEADERS, *headers])
            self._headers = headers
        self.curl.setopt(pycurl.POSTFIELDS, body)

    def reply(self, code: int, message: str) -> Reply:
        """What came of it, by libcurl's result code (0 for a whole answer); readies the handle for the next call."""
        curl = self.curl
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        status = status if status >= 200 else 0
        whole = code == 0 and status > 0
        facts = None if whole else self._facts(code, message)
        error = None if facts is None else "answer_too_large" if self._too_large else word_of(facts)
        reply = Reply(
            status=status,
            error=error,
            retry_after=self._retry_after,
            body=bytes(self._answer),
            applied=self._sent or status > 0,
            seconds=curl.getinfo(pycurl.TOTAL_TIME),
            seen=self._seen(facts, error or ""),
        )
        self.release()
        return reply

    def _facts(self, code: int, message: str) -> AttemptFacts:
        info = self.curl.getinfo
        return AttemptFacts(
            code,
            message,
            self._sent,
            tunnel=info(pycurl.HTTP_CONNECTCODE),
            verified=info(pycurl.SSL_VERIFYRESULT),
            proxy_verified=info(pycurl.PROXY_SSL_VERIFYRESULT),
            errno=info(pycurl.OS_ERRNO),
            proxy=self._proxy,
        )

    def _seen(self, facts: AttemptFacts | None, error: str) -> Seen:
        """What to tell of it. A proxy that let us through is not who answered."""
        cause, detail = ("", "") if facts is None else cause_of(facts, error)
        through = facts is not None and not facts.sent and facts.tunnel < 300
        names = () if through else (name for _order, name in sorted(self._names))
        at = self._hosts[cause.startswith(("proxy_", "socks_"))] if cause else ""
        to = _host(self._location) if self._location and not through else ""
        return Seen(cause, detail, ", ".join(names), to, at)

    def release(self) -> None:
        """Drop request and answer."""
        self._budget.held -= len(self._answer)
        self._answer = bytearray()
        self.curl.setopt(pycurl.POSTFIELDS, b"")
        self._forget()

    def _forget(self) -> None:
        self._retry_after: str | None = None
        self._location = ""
        self._names: list[tuple[int, str]] = []
        self._header_bytes = 0
        self._sent = False
        self._too_large = False

    def _on_request(self, *_addresses: object) -> int:
        """A connection stands and the request is about to go out; called before libcurl's own repeat, too."""
        self._sent = True
        return int(pycurl.PREREQFUNC_OK)

    def _on_header(self, line: bytes) -> int:
        """One header line. Returning less than its length ends the attempt."""
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            return -1
        if line.startswith(b"HTTP/"):
            self._retry_after, self._location, self._names = None, "", []
        elif line[:1] in _KEPT_FROM:
            name, _, value = line.partition(b":")
            self._note(name.lower(), value)
        return len(line)

    def _note(self, name: bytes, value: bytes) -> None:
        """Keep what is told later of the headers of the last answer."""
        if name == b"retry-after":
            self._retry_after = value.strip().decode("latin-1")
        elif name == b"location":
            self._location = value.strip().decode("latin-1")
        elif name in _TOLD_BY:
            told = _UNTOLD.sub("", value.strip().decode("latin-1"))[:_MOST_NAME].strip()
            if told and len(self._names) < len(_TOLD_BY):
                self._names.append((_TOLD_BY[name], f"via {told}" if name == b"via" else told))

    def _on_body(self, data: bytes) -> int:
        """A piece of the body. Returning less than its length ends the attempt."""
        budget = self._budget
        size = len(self._answer) + len(data)
        if size > self._limit or (size > SMALL_ANSWER_BYTES and budget.held + len(data) > budget.limit):
            self._too_large = True
            return -1
        self._answer += data
        budget.held += len(data)
        return len(data)


def _host(location: str) -> str:
    """The host that a redirect names, and nothing else of it: its query may hold a secret."""
    try:
        host = urlsplit(location).hostname or ""
    except ValueError:
        return ""
    return host[:_MOST_NAME] if host.isascii() and host.isprintable() and not _UNTOLD.search(host) else ""


def _at(url: str) -> str:
    """Host and port of an address, without the user and the password in it; empty where a `/` may be the password's."""
    split = urlsplit(url)
    return "" if "@" in split.path else split.netloc.rpartition("@")[2]


def _set_up(curl: pycurl.Curl, endpoint: Endpoint, ca_bundle: str | None) -> None:
    """Set what is the same for every call."""
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.USERAGENT, endpoint.user_agent)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    # What is signed is the path as written: `/../` must not be folded away.
    curl.setopt(pycurl.PATH_AS_IS, 1)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    curl.setopt(pycurl.TCP_KEEPALIVE, 1)
    curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(endpoint.deadline))
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(endpoint.connect_timeout))
    curl.setopt(pycurl.MAXLIFETIME_CONN, int(endpoint.connection_lifetime))
    curl.setopt(pycurl.MAXAGE_CONN, int(endpoint.connection_idle))
    curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 30)
    # An empty text switches off the proxies and exceptions that environment variables name.
    curl.setopt(pycurl.PROXY, endpoint.proxy or "")
    curl.setopt(pycurl.NOPROXY, "")
    _set_up_tls(curl, endpoint, ca_bundle)


def _set_up_tls(curl: pycurl.Curl, endpoint: Endpoint, ca_bundle: str | None) -> None:
    curl.setopt(pycurl.SSL_VERIFYPEER, 1)
    curl.setopt(pycurl.SSL_VERIFYHOST, 2)
    curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    if ca_bundle is not None:
        curl.setopt(pycurl.CAINFO, ca_bundle)
        curl.setopt(pycurl.PROXY_CAINFO, ca_bundle)
        # An older libcurl without the cache reads the file for each connection anyway.
        with contextlib.suppress(pycurl.error):
            curl.setopt(_CA_CACHE_TIMEOUT, _CA_CACHE_SECONDS)
    if endpoint.client_certificate is not None:
        curl.setopt(pycurl.SSLCERT, endpoint.client_certificate)
        curl.setopt(pycurl.SSLKEY, endpoint.client_key or endpoint.client_certificate)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
