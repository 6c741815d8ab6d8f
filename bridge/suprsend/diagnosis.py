"""From libcurl's last words to ours: which `error` of `flow.Reply` an attempt ended with, and which cause it had.

libcurl's messages quote addresses, and may quote a proxy's password: they are searched for known words, and never
handed on.
"""

from __future__ import annotations

import errno
import re
from typing import Final, NamedTuple

import pycurl

WORDS: Final = {
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
_REASON: Final = re.compile(r"error:[0-9A-Fa-f]{8}:[^:]{0,40}:[^:]{0,40}:([A-Za-z0-9 /_-]{3,60})")

_VERIFIED: Final = {
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    11: "certificate_not_yet_valid",
    12: "certificate_expired",
    18: "certificate_self_signed",
    19: "certificate_unknown_authority",
    20: "certificate_unknown_authority",
    21: "certificate_unknown_authority",
    23: "certificate_revoked",
    26: "certificate_unsuitable",
    62: "certificate_wrong_name",
    64: "certificate_wrong_name",
    66: "certificate_weak",
    67: "certificate_weak",
    68: "certificate_weak",
}
"""OpenSSL's results of a verification (X509_V_ERR_…); every other one is `certificate_refused`."""

_SPOKEN: Final = (
    ("tls_not_spoken", ("wrong version number", "http request", "https proxy request", "packet length too long")),
    ("tls_not_spoken", ("record layer failure", "unknown protocol", "record too small")),
    ("tls_version", ("protocol version", "unsupported protocol", "no protocols available", "version too low")),
    ("tls_host_unknown", ("unrecognized name",)),
    ("client_certificate_wanted", ("alert certificate required",)),
    ("client_certificate_refused", ("alert unknown ca", "alert bad certificate", "alert certificate", "access denied")),
    ("client_certificate_refused", ("alert unsupported certificate", "alert decrypt error")),
    ("tls_refused", ("alert handshake failure", "alert insufficient security", "no shared cipher")),
    ("certificate_weak", ("key too small", "md too weak")),
)
"""What a broken handshake mentions, by cause."""

_UNREACHABLE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.ENETDOWN})
_TUNNEL: Final = {407: "proxy_credentials", 401: "proxy_credentials", 403: "proxy_forbids"}


class AttemptFacts(NamedTuple):
    """What libcurl tells of a failed attempt."""

    code: int
    message: str
    sent: bool
    """A connection stood and the request was about to go out."""
    tunnel: int = 0
    """The status of a proxy's answer to CONNECT; 0 where there was none."""
    verified: int = 0
    """OpenSSL's result for the host's certificate; 0 and 1 where it says nothing."""
    proxy_verified: int = 0
    errno: int = 0
    proxy: str = ""
    """The scheme of the proxy, or empty."""


def word_of(facts: AttemptFacts) -> str:
    """The word for `Reply.error`."""
    word = WORDS.get(facts.code, "protocol")
    if word == "reset" and _mentions(facts.message, _REFUSED_CERTIFICATE):
        return "tls"
    if facts.sent:
        return word
    if facts.tunnel >= 300:
        return "proxy" if facts.tunnel < 500 else "connect"
    if word == "timeout":
        return "timeout" if facts.message.startswith("Resolving") else "connect"
    if facts.code == pycurl.E_BAD_FUNCTION_ARGUMENT and "private key" in facts.message:
        return "tls"
    cut = word == "reset" or (facts.code == pycurl.E_SSL_CONNECT_ERROR and _mentions(facts.message, _CUT_HANDSHAKE))
    return "connect" if cut else word


def cause_of(facts: AttemptFacts, word: str) -> tuple[str, str]:
    """The cause, a word of `causes.CAUSES` (or empty), and a detail of it that is safe to show."""
    if not facts.sent and facts.tunnel >= 300:
        return _of_tunnel(facts.tunnel), str(facts.tunnel)
    if word == "tls":
        return _of_tls(facts)
    if facts.sent:
        return {"reset": "closed_unanswered", "timeout": "unanswered"}.get(word, ""), _number(facts, word)
    if word == "connect":
        return _of_connection(facts), ""
    if word == "proxy":
        return ("proxy_unknown" if facts.code == pycurl.E_COULDNT_RESOLVE_PROXY else "socks_refused"), ""
    return {"dns": "host_unknown", "timeout": "dns_silent"}.get(word, ""), _number(facts, word)


def _number(facts: AttemptFacts, word: str) -> str:
    """libcurl's number for what we have no word for."""
    return f"libcurl {facts.code}" if word == "protocol" else ""


def _of_tunnel(status: int) -> str:
    if status < 400:
        return "proxy_redirects"
    return _TUNNEL.get(status, "proxy_refuses" if status < 500 else "proxy_cannot_reach")


def _of_tls(facts: AttemptFacts) -> tuple[str, str]:
    """Why TLS failed, and with whom: the host, or the proxy where that is spoken to by TLS."""
    code, message = facts.code, facts.message
    if code == pycurl.E_SSL_CACERT_BADFILE:
        return "authorities_unusable", ""
    if code in (pycurl.E_SSL_CERTPROBLEM, 98):
        return "client_certificate_unusable", ""
    if "private key" in message:
        return "client_key_unusable", ""
    whose = "proxy_" if facts.proxy == "https" and not facts.sent and not facts.tunnel else ""
    reason = _REASON.search(message)
    detail = reason[1].strip() if reason else ""
    if code in (pycurl.E_SSL_PEER_CERTIFICATE, pycurl.E_SSL_CACERT):
        result = facts.proxy_verified if whose else facts.verified
        named = result if result > 1 else 62 if "subject name" in message else 0
        return whose + _VERIFIED.get(named, "certificate_refused"), f"OpenSSL {result}" if result > 1 else detail
    for cause, words in _SPOKEN:
        if _mentions(message, words):
            return whose + cause, detail
    return f"{whose}tls_refused" if "alert" in message else f"{whose}tls_failed", detail or f"libcurl {code}"


def _of_connection(facts: AttemptFacts) -> str:
    """Why there was no connection: to the proxy, where there is one and it did not yet answer."""
    if WORDS.get(facts.code) in ("tls", "reset"):
        return "handshake_cut"
    if WORDS.get(facts.code) == "timeout":
        return "connect_timeout" if not facts.proxy or facts.tunnel else "proxy_timeout"
    whose = "proxy_" if facts.proxy and not facts.tunnel else ""
    if facts.errno in _UNREACHABLE:
        return f"{whose}unreachable"
    return f"{whose}connection_refused" if facts.errno == errno.ECONNREFUSED else f"{whose}unconnected"


def _mentions(message: str, parts: tuple[str, ...]) -> bool:
    return any(part in message for part in parts)
