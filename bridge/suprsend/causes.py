"""What went wrong on the way to SuprSend and what to do about it, as data: one row per cause. Pure.

A text here may name a status, a server's own name for itself, a host, and SuprSend's words: never an address with a
password, a query, a key or an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.flow import Reply

BOM: Final = b"\xef\xbb\xbf"


class Cause(NamedTuple):
    """One row: what is wrong, and what to do."""

    says: str
    do: str


_CLOCK: Final = "look at the clock of this machine first; then at the certificate, and at what decrypts TLS on the way"
_TRUST: Final = (
    "put the authority's certificate (a company's, where a proxy decrypts TLS) into ca_file; "
    "where only intermediates are missing, that host must send them"
)
_CIPHER: Final = "it may want a client certificate (client_cert_file), or share no cipher with us"


def _certificates(whose: str, setting: str) -> dict[str, Cause]:
    """What can be wrong with TLS, spoken with `whose`."""
    return {
        "certificate_expired": Cause(f"the certificate of {whose} (or its authority's) has expired", _CLOCK),
        "certificate_not_yet_valid": Cause(f"the certificate of {whose} is not yet valid", _CLOCK),
        "certificate_wrong_name": Cause(
            f"the certificate of {whose} is for another name",
            f"check {setting}; or something on the way answers in its place",
        ),
        "certificate_self_signed": Cause(f"the certificate of {whose} is self-signed, and not trusted", _TRUST),
        "certificate_unknown_authority": Cause(
            f"the certificate of {whose} is from an unknown authority, which is not trusted here", _TRUST
        ),
        "certificate_revoked": Cause(f"the certificate of {whose} was revoked", f"have it renewed, or check {setting}"),
        "certificate_unsuitable": Cause(
            f"the certificate of {whose} is not made for a server", "have it issued anew with the purpose serverAuth"
        ),
        "certificate_weak": Cause(
            f"a certificate of {whose} has too weak a key or signature", "have it issued anew with a stronger one"
        ),
        "certificate_refused": Cause(
            f"the certificate of {whose} is not accepted", f"check {setting}, ca_file, and what decrypts TLS on the way"
        ),
        "tls_not_spoken": Cause(f"{whose} does not speak TLS on that port", f"check scheme and port of {setting}"),
        "tls_version": Cause(f"{whose} and we share no version of TLS", "it must offer TLS 1.2 or later"),
        "tls_host_unknown": Cause(f"{whose} does not know the host name that it was asked for", f"check {setting}"),
        "tls_refused": Cause(f"{whose} ended the TLS handshake", _CIPHER),
        "tls_failed": Cause(
            f"TLS with {whose} failed", f"check {setting}, ca_file and the client certificate, and what is on the way"
        ),
        "client_certificate_wanted": Cause(
            f"{whose} wants a client certificate", "set client_cert_file and client_key_file"
        ),
        "client_certificate_refused": Cause(
            f"{whose} refuses the client certificate",
            "renew the one in client_cert_file, or have its authority trusted",
        ),
    }


def _connections(whose: str, setting: str) -> dict[str, Cause]:
    return {
        "connection_refused": Cause(f"{whose} refuses the connection: nothing listens there", f"check {setting}"),
        "unreachable": Cause(f"no way leads to {whose}", "check the network, its policies and routes"),
        "unconnected": Cause(f"no connection to {whose} could be made", f"check {setting} and the network"),
    }


_HOST: Final = ("base_url's host", "base_url")
_PROXY: Final = ("the proxy", "proxy")

CAUSES: Final[Mapping[str, Cause]] = {
    **_certificates(*_HOST),
    **{f"proxy_{name}": cause for name, cause in _certificates(*_PROXY).items()},
    **_connections(*_HOST),
    **{f"proxy_{name}": cause for name, cause in _connections(*_PROXY).items()},
    "authorities_unusable": Cause(
        "the file of trusted certificates is empty, damaged or away",
        "suprsend-bridge check says what is wrong with ca_file",
    ),
    "client_certificate_unusable": Cause(
        "the file of the client certificate cannot be used",
        "suprsend-bridge check says what is wrong with client_cert_file",
    ),
    "client_key_unusable": Cause(
        "the client's private key does not belong to its certificate, or cannot be used",
        "suprsend-bridge check says what is wrong with client_key_file",
    ),
    "connect_timeout": Cause(
        "no connection within connect_timeout",
        "a firewall may drop it without a word: let base_url's host and port through",
    ),
    "proxy_timeout": Cause("no connection by the proxy within connect_timeout", "check proxy, and that it is healthy"),
    "handshake_cut": Cause(
        "the connection was cut during the TLS handshake",
        "a firewall may not let this host name through, or nothing that speaks TLS is behind that port",
    ),
    "host_unknown": Cause("base_url's host is an unknown name", "check base_url and the DNS"),
    "dns_silent": Cause("the DNS did not answer before the deadline", "check the DNS of this machine"),
    "closed_unanswered": Cause(
        "the connection broke before the answer was whole",
        "it is sent again; where it goes on, look at what is on the way",
    ),
    "unanswered": Cause("no whole answer before the deadline", "it is sent again; timeout may be too short"),
    "proxy_unknown": Cause("the proxy's host is an unknown name", "check proxy and the DNS"),
    "proxy_credentials": Cause(
        "the proxy wants a user and a password", "check those in the setting proxy: http://USER:PASSWORD@host:port"
    ),
    "proxy_forbids": Cause("the proxy forbids this host", "have CONNECT to base_url's host and port allowed there"),
    "proxy_redirects": Cause(
        "the proxy sends us elsewhere, to a login or a notice", "have this machine let through without"
    ),
    "proxy_refuses": Cause(
        "the proxy refuses to connect us", "check proxy; it must allow CONNECT to base_url's host and port"
    ),
    "proxy_cannot_reach": Cause(
        "the proxy cannot reach base_url's host, or does not know its name", "look at the proxy's own DNS and network"
    ),
    "socks_refused": Cause("the SOCKS proxy refuses", "check proxy: its user, password, and whom it lets out"),
}
"""Why an attempt failed, by the words of `Seen.cause`."""

GATEWAY: Final = "it is in front of SuprSend, and fails or cannot reach it; sent again by itself"
FIREWALL: Final = "a firewall, gateway or proxy refuses the call, not SuprSend: have POST to base_url let through"
THEIRS: Final[Mapping[int, str]] = {
    400: "check base_url: scheme, host and port; or that server wants a client certificate (client_cert_file)",
    401: FIREWALL,
    403: FIREWALL,
    404: "check base_url: nothing is known there under that path",
    405: "check base_url: that path takes no POST",
    407: "a proxy wants a user and a password: check those in the setting proxy",
    413: "a box on the way takes no body of that size: raise its limit (nginx: client_max_body_size)",
    421: "check base_url: that host does not serve this name",
    426: "check base_url: its scheme, https or http",
    429: "a box on the way limits how often we call; sent again by itself",
    431: "a box on the way takes no headers of that size",
    451: FIREWALL,
    495: "the client certificate is refused: renew the one in client_cert_file",
    496: "a client certificate is wanted: set client_cert_file and client_key_file",
    497: "check base_url: it must begin with https://",
    511: "the network wants a login first: have this machine let through without",
}
"""What to do about an answer that is not SuprSend's own, by status."""

CLASSES: Final[Mapping[int, str]] = {
    2: "that is no answer of SuprSend's: check base_url, and what is on the way",
    3: "check base_url; a login page or a portal may be on the way. Redirects are never followed",
    4: FIREWALL,
    5: GATEWAY,
}
"""The same for all others, by the status's first digit."""

OURS: Final[Mapping[int, str]] = {
    401: "SuprSend rejects the credentials: check the keys, and that they are of this workspace",
    403: "SuprSend rejects the credentials: check the keys, their rights, and that they are of this workspace",
    404: "check base_url",
}
"""The same for SuprSend's own JSON, where its words alone may not tell."""


def of_attempt(reply: Reply, says: str) -> str:
    """What to tell of an attempt without an answer: its cause and what to do, or else `says`."""
    seen = reply.seen
    cause = CAUSES.get(seen.cause)
    detail = ", ".join(filter(None, (seen.at, seen.detail, _to(seen.to), seen.by and f"from {seen.by}")))
    shown = f" ({detail})" if detail else ""
    return f"{says}{shown}" if cause is None else f"{cause.says}{shown}; {cause.do}"


def of_answer(reply: Reply, what: str, said: str) -> str:
    """What to tell of an answer that is no result: status, who answered, and what to do.

    `said` are SuprSend's own words, where it is its JSON; else `what` describes the body.
    """
    status = reply.status
    if said:
        do = OURS.get(status, "")
        return f"status {status}, SuprSend's JSON: {said}" + (f"; {do}" if do else "")
    seen = reply.seen
    by = f" from {seen.by}" if seen.by else ""
    do = _advice(status)
    return f"status {status}{_to(seen.to, ' ')}, answered with {what}{by}" + (f"; {do}" if do else "")


def _advice(status: int) -> str:
    if status in THEIRS:
        return THEIRS[status]
    return CLASSES.get(status // 100, GATEWAY)


def _to(host: str, before: str = "") -> str:
    return f"{before}to {host}" if host else ""
