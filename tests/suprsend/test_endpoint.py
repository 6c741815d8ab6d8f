from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from bridge.suprsend.endpoint import Endpoint, EndpointError
from bridge.suprsend.signing import Bearer
from bridge.suprsend.transport import CurlTransport
from tests.suprsend.driving import DATA, KEY, answering, call, one, transport
from tests.suprsend.raw_server import Peer, RawServer


def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and exceptions named by environment variables change nothing."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert one(answering("207 X")).status == 207


def test_a_set_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is set carries the call, `no_proxy` or not; the signed target is still the API's path."""
    monkeypatch.setenv("no_proxy", "*")
    with RawServer(answering("207 X")) as proxy:
        address = f"http://user:pass-word@127.0.0.1:{proxy.port}"
        with transport("http://api.example.invalid/", proxy=address) as made:
            assert call(made).status == 207
            assert "pass-word" not in repr(made)
    assert proxy.requests[0].line == "POST http://api.example.invalid/v2/bulk/event/ HTTP/1.1"
    assert proxy.requests[0].header("proxy-authorization") is not None


@pytest.mark.parametrize(("status", "word"), [("407 Who", "proxy"), ("403 No", "proxy"), ("502 Down", "connect")])
def test_a_proxy_that_refuses(status: str, word: str) -> None:
    """A proxy that refuses the tunnel is `proxy`, one that cannot reach the API `connect`; nothing was applied."""
    with RawServer(answering(status)) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        with transport("https://127.0.0.1:9/", proxy=address, ca_file=str(DATA / "ca.pem")) as made:
            reply = call(made)
    assert (reply.status, reply.error, reply.applied) == (0, word, False)


def _tls(
    name: str = "server", *, client: bool = False, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / f"{name}.pem", DATA / f"{name}.key")
    context.maximum_version = version
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(DATA / "ca.pem")
    return context


def test_tls_trusts_the_given_authority() -> None:
    """A certificate of the authority in `ca_file` is trusted, and the connection is used again."""
    with RawServer(answering("207 X"), tls=_tls()) as server:
        with transport(server.url, ca_file=str(DATA / "ca.pem")) as made:
            assert [call(made).status for _ in range(3)] == [207] * 3
        assert server.connections == 1


def test_tls_trusts_nobody_else() -> None:
    """A certificate of another authority, or for another name, is refused before anything is sent."""
    for name, trusted in (("server", "client.pem"), ("misnamed", "ca.pem")):
        with RawServer(answering("207 X"), tls=_tls(name)) as server:
            with transport(server.url, ca_file=str(DATA / trusted)) as made:
                reply = call(made)
            assert (reply.error, reply.applied) == ("tls", False)
            assert server.requests == []


def test_an_expired_certificate_is_refused() -> None:
    """A trusted certificate whose time is over is refused before anything is sent."""
    trusted = DATA / "expired.pem"
    with RawServer(answering("207 X"), tls=_tls("expired")) as server:
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"),
        ):
            ssl.create_default_context(cafile=trusted).wrap_socket(plain, server_hostname="127.0.0.1")
        with transport(server.url, ca_file=str(trusted)) as made:
            reply = call(made)
        assert (reply.error, reply.applied) == ("tls", False)
        assert server.requests == []


@pytest.mark.parametrize(
    "spoken", [b"", b"\x15\x03\x03\x00\x02\x02\x28", b"HTTP/1.1 400 X\r\n\r\n", b"\x16\x03\x03\xff\xff" * 9]
)
def test_a_handshake_that_fails_ends_at_once(spoken: bytes) -> None:
    """A server that hangs up, alerts or speaks something else instead of TLS: nothing was applied."""

    def script(peer: Peer) -> None:
        peer.sock.recv(1 << 16)
        peer.send(spoken)

    with RawServer(script) as server:
        url = server.url.replace("http:", "https:")
        with transport(url, ca_file=str(DATA / "ca.pem")) as made:
            reply = call(made)
    assert (reply.status, reply.applied) == (0, False)
    assert reply.error in ("tls", "connect")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_client_certificate(version: ssl.TLSVersion) -> None:
    """A client certificate opens a server that asks for one; without it the attempt ends as `tls` or a cut."""
    with RawServer(answering("207 X"), tls=_tls(client=True, version=version)) as server:
        ca = str(DATA / "ca.pem")
        pair: dict[str, Any] = {"client_certificate": str(DATA / "client.pem"), "client_key": str(DATA / "client.key")}
        with transport(server.url, ca_file=ca, **pair) as made:
            assert call(made).status == 207
        with transport(server.url, ca_file=ca) as made:
            assert call(made).error in ("tls", "reset")
        assert len(server.requests) == 1


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused() -> None:
    """A server that speaks nothing newer than TLS 1.1 is refused before anything is sent."""
    context = _tls(version=ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with RawServer(answering("207 X"), tls=context) as server:
        with transport(server.url, ca_file=str(DATA / "ca.pem")) as made:
            reply = call(made)
        assert (reply.error, reply.applied) == ("tls", False)
        assert server.requests == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_url": "https://user:hidden@host/"}, "user or password"),
        ({"base_url": "hub.suprsend.com"}, "must begin with https://"),
        ({"base_url": "ftp://host/"}, "must begin with https://"),
        ({"base_url": "https://"}, "names no host"),
        ({"base_url": "https://host/?key=hidden"}, r"`\?` or `#`"),
        ({"base_url": "https://host/#x"}, r"`\?` or `#`"),
        ({"base_url": "https://host:99999/"}, "no URL"),
        ({"base_url": "https://hôst/"}, "beyond ASCII"),
        ({"base_url": "https://ho st/"}, "space"),
        ({"proxy": "proxy:3128"}, "proxy must begin with"),
        ({"client_key": "x"}, "without client_certificate"),
        ({"deadline": 0}, "deadline must be"),
        ({"connection_idle": 0.2}, "at least 1 second"),
        ({"user_agent": "a\r\nX: y"}, "printable"),
    ],
)
def test_impossible_endpoints_are_refused(options: dict[str, Any], says: str) -> None:
    """A setting that cannot work is refused with what to write, and no password in the message."""
    with pytest.raises(EndpointError, match=says) as caught:
        Endpoint(**options)
    assert "hidden" not in str(caught.value)


def test_endpoint_keeps_a_prefix() -> None:
    """A path in the base URL is kept, a missing slash added, and both are part of what is signed."""
    made = Endpoint(base_url="https://host/pre")
    assert made.url("v2/event/") == "https://host/pre/v2/event/"
    assert made.target("v2/event/") == "/pre/v2/event/"
    assert Endpoint().url("v2/event/") == "https://hub.suprsend.com/v2/event/"


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A certificate file that is not there is named before anything connects."""
    with pytest.raises(EndpointError, match=r"ca_file: .*No such file"):
        CurlTransport(Endpoint(ca_file=str(tmp_path / "none.pem")), lambda: Bearer("t", KEY))


def test_trusted_certificates_come_from_the_system(tmp_path: Path) -> None:
    """Without `ca_file` the file that SSL_CERT_FILE names is trusted, else the distribution's."""
    named = tmp_path / "ca.pem"
    named.write_text("x")
    assert Endpoint().ca_bundle({"SSL_CERT_FILE": str(named)}) == str(named)
    assert Endpoint(ca_file="mine.pem").ca_bundle({"SSL_CERT_FILE": str(named)}) == "mine.pem"
    assert Endpoint(base_url="http://host/").ca_bundle({"SSL_CERT_FILE": "/none"}) != "/none"
