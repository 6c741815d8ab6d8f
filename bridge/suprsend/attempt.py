"""One HTTP attempt on a curl handle that is used again and again: what is sent, and what became of it."""

from __future__ import annotations

import contextlib
from typing import Final

import pycurl

from bridge.flow import Reply
from bridge.suprsend.endpoint import Endpoint

MAX_HEADER_BYTES: Final = 64 * 1024
SMALL_ANSWER_BYTES: Final = 256 * 1024
"""What every answer may hold, however full the shared budget is."""

_CA_CACHE_TIMEOUT: Final = 321
"""CURLOPT_CA_CACHE_TIMEOUT, which pycurl has no name for: how long libcurl keeps certificates read from a file."""
_CA_CACHE_SECONDS: Final = 60

_PLAIN_HEADERS: Final = ("Accept: application/json", "Accept-Encoding: identity", "Expect:")
"""Nothing compressed is asked for, and nothing is ever decompressed; no wait for `100 Continue`."""

_WORDS: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_RESOLVE_PROXY: "proxy",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_GOT_NOTHING: "reset",
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_RECV_ERROR: "reset",
    pycurl.E_PARTIAL_FILE: "reset",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_PEER_CERTIFICATE: "tls",
    pycurl.E_SSL_CACERT: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    97: "proxy",  # CURLE_PROXY
    98: "tls",  # CURLE_SSL_CLIENTCERT
}
"""libcurl's result codes as the words of `flow.Reply`; every other one is `protocol`."""

_CUT_HANDSHAKE: Final = ("SSL_ERROR_SYSCALL", "unexpected eof", "Connection reset", "Broken pipe")
_REFUSED_CERTIFICATE: Final = ("alert certificate", "alert bad certificate", "alert unknown ca", "alert handshake")


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
        "_limit",
        "_path",
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
        reply = Reply(
            status=status,
            error=None if code == 0 and status else self._word(code, message),
            retry_after=self._retry_after,
            body=bytes(self._answer),
            applied=self._sent or status > 0,
            seconds=curl.getinfo(pycurl.TOTAL_TIME),
        )
        self.release()
        return reply

    def release(self) -> None:
        """Drop request and answer."""
        self._budget.held -= len(self._answer)
        self._answer = bytearray()
        self.curl.setopt(pycurl.POSTFIELDS, b"")
        self._forget()

    def _forget(self) -> None:
        self._retry_after: str | None = None
        self._header_bytes = 0
        self._sent = False
        self._too_large = False

    def _word(self, code: int, message: str) -> str:
        if self._too_large:
            return "answer_too_large"
        word = _WORDS.get(code, "protocol")
        if self._sent:
            return "tls" if word == "reset" and _mentions(message, _REFUSED_CERTIFICATE) else word
        tunnel = self.curl.getinfo(pycurl.HTTP_CONNECTCODE)
        if tunnel >= 300:
            return "proxy" if tunnel < 500 else "connect"
        if word == "timeout":
            return "timeout" if message.startswith("Resolving") else "connect"
        cut = word == "reset" or (code == pycurl.E_SSL_CONNECT_ERROR and _mentions(message, _CUT_HANDSHAKE))
        return "connect" if cut else word

    def _on_request(self, *_addresses: object) -> int:
        """A connection stands and the request is about to go out; called before libcurl's own repeat, too."""
        self._sent = True
        return int(pycurl.PREREQFUNC_OK)

    def _on_header(self, line: bytes) -> int:
        """One header line. Returning less than its length ends the attempt."""
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            return -1
        first = line[:1]
        if first in b"Rr" and line[:12].lower() == b"retry-after:":
            self._retry_after = line[12:].strip().decode("latin-1")
        elif first == b"H" and line.startswith(b"HTTP/"):
            self._retry_after = None
        return len(line)

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


def _mentions(message: str, parts: tuple[str, ...]) -> bool:
    return any(part in message for part in parts)


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
        # An older libcurl without the cache reads the file for each connection anyway.
        with contextlib.suppress(pycurl.error):
            curl.setopt(_CA_CACHE_TIMEOUT, _CA_CACHE_SECONDS)
    if endpoint.client_certificate is not None:
        curl.setopt(pycurl.SSLCERT, endpoint.client_certificate)
        curl.setopt(pycurl.SSLKEY, endpoint.client_key or endpoint.client_certificate)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
