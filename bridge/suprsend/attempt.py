"""One HTTP attempt on a curl handle that is used again and again: what is sent, and what became of it."""

from __future__ import annotations

import contextlib
import re
from typing import Final
from urllib.parse import urlsplit

import pycurl

from bridge.flow import Reply, Seen
from bridge.suprsend.diagnosis import Facts, cause_of, word_of
from bridge.suprsend.endpoint import Endpoint

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

    def _facts(self, code: int, message: str) -> Facts:
        info = self.curl.getinfo
        return Facts(
            code,
            message,
            self._sent,
            tunnel=info(pycurl.HTTP_CONNECTCODE),
            verified=info(pycurl.SSL_VERIFYRESULT),
            proxy_verified=info(pycurl.PROXY_SSL_VERIFYRESULT),
            errno=info(pycurl.OS_ERRNO),
            proxy=self._proxy,
        )

    def _seen(self, facts: Facts | None, error: str) -> Seen:
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
