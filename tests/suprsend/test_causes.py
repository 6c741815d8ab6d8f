"""Each trouble on the way is told as what it is: real boxes of Debian between the real transport and an API."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from bridge.flow import Reply, Seen, Verdict
from bridge.suprsend.answers import make_judge
from bridge.suprsend.causes import CAUSES
from bridge.suprsend.transport import CurlTransport
from tests.boxes.fixtures import StartBox
from tests.suprsend.driving import DATA, answering, call, one, raw, transport
from tests.suprsend.raw_server import Peer, RawServer

JUDGE = make_judge()
CA = str(DATA / "ca.pem")
PASSWORD = "p4ss-of-the-proxy"
PAGE = b"<html>hello</html>"
ACCEPTED = b'{"status":"success","records":[{"status":"success","message_id":"m","status_code":202}]}'


def told(reply: Reply) -> str:
    judged = JUDGE(reply, 1)
    assert PASSWORD not in judged.message + repr(reply)
    return judged.message


def tls(name: str, *, client: bool = False, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / f"{name}.pem", DATA / f"{name}.key")
    context.maximum_version = newest
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(DATA / "ca.pem")
    return context


def refused_by_tls(made: CurlTransport) -> str:
    """What is told of a refusal inside TLS: its alert may be overtaken by the end of the connection, so it is repeated."""
    for _ in range(50):
        reply = call(made)
        if reply.error == "tls":
            return told(reply)
        assert reply.error in ("reset", "connect")
    raise AssertionError("no alert arrived")


def with_certificate(name: str) -> str:
    return f"ssl_certificate {DATA}/{name}.pem; ssl_certificate_key {DATA}/{name}.key; location / {{ return 202 OK; }}"


@pytest.mark.parametrize(
    ("name", "ca", "cause", "words"),
    [
        ("lapsed", "other-ca", "certificate_expired", "has expired"),
        ("early", "early", "certificate_not_yet_valid", "is not yet valid"),
        ("misnamed", "ca", "certificate_wrong_name", "is for another name"),
        ("server", "client", "certificate_unknown_authority", "from an unknown authority"),
        ("expired", "ca", "certificate_self_signed", "self-signed"),
    ],
)
def test_a_certificate_that_is_not_accepted(start_box: StartBox, name: str, ca: str, cause: str, words: str) -> None:
    """What is wrong with the certificate of a real nginx is named: expired, early, another name, another authority."""
    port = start_box("nginx", with_certificate(name), "ssl")
    with transport(f"https://127.0.0.1:{port}/", ca_file=str(DATA / f"{ca}.pem")) as made:
        reply = call(made)
    assert (reply.error, reply.seen.cause, reply.applied) == ("tls", cause, False)
    judged = JUDGE(reply, 1)
    assert judged.whole is Verdict.SETUP
    assert words in judged.message


def through(proxy: str, url: str = "https://127.0.0.1:9/", **options: Any) -> Reply:
    with transport(url, proxy=proxy, ca_file=CA, **options) as made:
        return call(made)


def test_a_squid_that_wants_a_password(start_box: StartBox) -> None:
    """A proxy's 407 is told as that, with the proxy's name and without the password that we sent."""
    port = start_box(
        "squid", "auth_param basic program /bin/cat\nacl known proxy_auth REQUIRED\nhttp_access deny !known"
    )
    text = told(through(f"http://127.0.0.1:{port}"))
    assert f"the proxy wants a user and a password (127.0.0.1:{port}, 407, from squid/" in text
    assert "USER:PASSWORD@host" in text
    reply = through(f"http://user:{PASSWORD}@127.0.0.1:{port}")
    assert reply.seen.cause == "proxy_credentials"
    told(reply)


def test_a_squid_that_forbids_the_host(start_box: StartBox) -> None:
    """A proxy's 403 to CONNECT is a proxy that forbids the host: not SuprSend, and not the keys."""
    port = start_box("squid", "http_access deny all")
    text = told(through(f"http://127.0.0.1:{port}"))
    assert text.startswith(f"the proxy forbids this host (127.0.0.1:{port}, 403, from squid/")
    assert "have CONNECT to base_url's host and port allowed" in text
    assert "credentials" not in text


def test_a_squid_that_sends_to_a_login(start_box: StartBox) -> None:
    """A proxy's 302 to CONNECT names the portal's host, and nothing else of its address."""
    port = start_box(
        "squid",
        "acl all_of_them dst all\nhttp_access deny all_of_them\ndeny_info 302:http://portal.test/in?token=s3cr3t all_of_them",
    )
    reply = through(f"http://127.0.0.1:{port}")
    text = told(reply)
    assert reply.seen.to == "portal.test"
    assert (
        f"the proxy sends us elsewhere, to a login or a notice (127.0.0.1:{port}, 302, to portal.test, from squid/"
        in text
    )
    assert "s3cr3t" not in text + repr(reply)


def test_a_squid_that_does_not_know_the_host(start_box: StartBox) -> None:
    """A proxy that does not know SuprSend's name is told as a proxy that cannot reach it; it may heal by itself."""
    port = start_box("squid", "http_access allow all")
    reply = through(f"http://127.0.0.1:{port}", "https://no-such-host.invalid/")
    assert (reply.error, reply.seen.cause, reply.applied) == ("connect", "proxy_cannot_reach", False)
    assert re.match(
        rf"the proxy cannot reach base_url's host, or does not know its name \(127.0.0.1:{port}, 50\d, from squid/",
        told(reply),
    )


def test_a_tinyproxy_that_filters_and_one_with_a_password(start_box: StartBox, tmp_path: Any) -> None:
    """Another make of proxy says the same with other headers."""
    wanted = start_box("tinyproxy", f"BasicAuth user {PASSWORD}")
    text = told(through(f"http://127.0.0.1:{wanted}"))
    assert f"the proxy wants a user and a password (127.0.0.1:{wanted}, 407, from tinyproxy/" in text
    rules = tmp_path / "filter"
    rules.write_text("127.0.0.1\n")
    filtering = start_box("tinyproxy", f'Filter "{rules}"\nFilterType fnmatch')
    text = told(through(f"http://127.0.0.1:{filtering}"))
    assert f"the proxy forbids this host (127.0.0.1:{filtering}, 403, from tinyproxy/" in text


def test_a_proxy_with_an_unknown_name_and_one_that_is_away() -> None:
    """The proxy's own name and port are told apart from SuprSend's, and its password stays out of it."""
    text = told(through(f"http://user:{PASSWORD}@no-such-proxy.invalid:3128"))
    assert text == "the proxy's host is an unknown name (no-such-proxy.invalid:3128); check proxy and the DNS"
    with RawServer(answering("200 OK")) as server:
        gone = server.port
    text = told(through(f"http://user:{PASSWORD}@127.0.0.1:{gone}"))
    assert text.startswith("the proxy refuses the connection: nothing listens there")


def test_a_proxy_that_is_spoken_to_by_tls(start_box: StartBox) -> None:
    """An https proxy is trusted by ca_file, and trouble with its certificate is told as the proxy's."""
    with RawServer(answering("207 X"), tls=tls("server")) as server:
        inner = start_box("tinyproxy", "ConnectPort 443\n" + f"ConnectPort {server.port}")
        for name, ca, cause in (("server", "ca", ""), ("server", "client", "proxy_certificate_unknown_authority")):
            pair = f"connect = 127.0.0.1:{inner}\ncert = {DATA}/{name}.pem\nkey = {DATA}/{name}.key"
            proxy = f"https://127.0.0.1:{start_box('stunnel', pair)}"
            with transport(server.url, proxy=proxy, ca_file=str(DATA / f"{ca}.pem")) as made:
                reply = call(made)
            assert reply.seen.cause == cause
    assert "the certificate of the proxy is from an unknown authority" in told(reply)


def test_a_firewall_that_refuses_the_call(start_box: StartBox) -> None:
    """A WAF's 403 page names the box that sent it, and is not told as SuprSend's rejection of the credentials."""
    port = start_box("nginx", "location / { return 403; }")
    with transport(f"http://127.0.0.1:{port}/") as made:
        reply = call(made)
    judged = JUDGE(reply, 1)
    assert judged.whole is Verdict.SETUP
    assert "status 403, answered with a page instead of JSON from nginx/" in judged.message
    assert "a firewall, gateway or proxy refuses the call, not SuprSend" in judged.message
    assert "rejects the credentials" not in judged.message


def test_suprsends_own_refusal() -> None:
    """SuprSend's own 401 and 403 are told as its, with its words."""
    body = b'{"status":"error","error":{"type":"authentication_failed","message":"bad signature"}}'
    for status in ("401 X", "403 X"):
        head = f"HTTP/1.1 {status}\r\nServer: hub\r\nContent-Length: {len(body)}\r\n\r\n"
        text = told(one(raw(head.encode() + body)))
        assert f"status {status[:3]}, SuprSend's JSON: authentication_failed: bad signature; SuprSend rejects" in text


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect(start_box: StartBox, status: int) -> None:
    """A redirect names the host that it leads to, without the path, the query and the credentials in them."""
    port = start_box(
        "nginx", f"location / {{ return {status} https://user:{PASSWORD}@login.test:8443/in?token=s3cr3t; }}"
    )
    with transport(f"http://127.0.0.1:{port}/") as made:
        reply = call(made)
    text = told(reply)
    assert f"status {status} to login.test, answered with" in text
    assert "check base_url" in text
    assert "s3cr3t" not in text


def test_a_balancer_without_a_server_behind_it(start_box: StartBox) -> None:
    """HAProxy's 503 page is told as a box in front of SuprSend; it is sent again by itself."""
    port = start_box("haproxy", "    default_backend none\nbackend none\n    server gone 127.0.0.1:9")
    with transport(f"http://127.0.0.1:{port}/") as made:
        reply = call(made)
    judged = JUDGE(reply, 1)
    assert judged.whole is Verdict.TRANSIENT
    assert judged.message.startswith("status 503, answered with a page instead of JSON; it is in front of SuprSend")


def test_a_tls_end_that_cuts(start_box: StartBox) -> None:
    """stunnel without a server behind it cuts the call; one that wants a client certificate says so."""
    pair = f"cert = {DATA}/server.pem\nkey = {DATA}/server.key\n"
    cutting = start_box("stunnel", f"{pair}connect = 127.0.0.1:9")
    with transport(f"https://127.0.0.1:{cutting}/", ca_file=CA) as made:
        reply = call(made)
    assert (reply.error, JUDGE(reply, 1).whole) == ("reset", Verdict.TRANSIENT)
    assert "the connection broke before the answer was whole" in told(reply)
    wanting = start_box("stunnel", f"{pair}connect = 127.0.0.1:9\nCAfile = {CA}\nverifyChain = yes")
    with transport(f"https://127.0.0.1:{wanting}/", ca_file=CA) as made:
        text = refused_by_tls(made)
    assert "base_url's host wants a client certificate" in text
    assert "set client_cert_file and client_key_file" in text


def test_client_certificates() -> None:
    """A client certificate that the other side refuses, or whose key is another's, is told as that."""
    expired: dict[str, Any] = {"client_certificate": str(DATA / "expired.pem"), "client_key": str(DATA / "expired.key")}
    with RawServer(answering("207 X"), tls=tls("server", client=True)) as server:
        with transport(server.url, ca_file=CA, **expired) as made:
            text = refused_by_tls(made)
        assert "base_url's host refuses the client certificate (127.0.0.1:" in text
        assert "tlsv1 alert unknown ca" in text
    with RawServer(answering("207 X"), tls=tls("server", client=True, newest=ssl.TLSVersion.TLSv1_2)) as server:
        with transport(server.url, ca_file=CA) as made:
            text = refused_by_tls(made)
        assert "base_url's host ended the TLS handshake" in text
        assert "client_cert_file" in text


def test_a_server_that_wants_a_client_certificate_and_says_so_in_a_page(start_box: StartBox) -> None:
    """nginx lets TLS pass and answers 400 then: that page is told with its server, and the certificate among the causes."""
    wants = f"ssl_verify_client on; ssl_client_certificate {CA}; " + with_certificate("server")
    port = start_box("nginx", wants, "ssl")
    with transport(f"https://127.0.0.1:{port}/", ca_file=CA) as made:
        text = told(call(made))
    assert text.startswith("status 400, answered with a page instead of JSON from nginx/")
    assert "client_cert_file" in text


def test_a_file_that_spoils_while_it_runs(tmp_path: Any) -> None:
    """A key of another certificate, or an emptied CA file, is told by libcurl at the next connection: a hold, no crash."""
    mixed = {"client_certificate": tmp_path / "c.pem", "client_key": tmp_path / "c.key"}
    mixed["client_certificate"].write_bytes((DATA / "client.pem").read_bytes())
    mixed["client_key"].write_bytes((DATA / "client.key").read_bytes())
    with RawServer(answering("207 X"), tls=tls("server")) as server:
        options: dict[str, Any] = {name: str(path) for name, path in mixed.items()}
        with transport(server.url, ca_file=CA, **options) as made:
            mixed["client_key"].write_bytes((DATA / "server.key").read_bytes())
            reply = call(made)
    assert (reply.error, reply.seen.cause, JUDGE(reply, 1).whole) == ("tls", "client_key_unusable", Verdict.SETUP)
    assert str(tmp_path) not in told(reply)


def cut(peer: Peer) -> None:
    peer.sock.recv(10)
    peer.reset()


@pytest.mark.parametrize(
    ("script", "encrypted", "error", "cause"),
    [
        (cut, True, "connect", "handshake_cut"),
        (raw(b"SSH-2.0-OpenSSH_9\r\n"), False, "protocol", ""),
        (lambda peer: peer.send(b"SSH-2.0-OpenSSH_9\r\n"), True, "tls", "tls_not_spoken"),
        (lambda peer: peer.request() and peer.reset(), False, "reset", "closed_unanswered"),
    ],
)
def test_what_is_no_api(script: Callable[[Peer], Any], encrypted: bool, error: str, cause: str) -> None:
    """A cut handshake, another protocol and a cut answer have a text each."""
    with RawServer(script) as server:
        url = server.url.replace("http:", "https:") if encrypted else server.url
        with transport(url, ca_file=CA) as made:
            reply = call(made)
    assert (reply.error, reply.seen.cause) == (error, cause)
    assert told(reply)


def test_a_byte_order_mark(start_box: StartBox) -> None:
    """A good answer behind a byte order mark is read as the good answer that it is."""
    body = ACCEPTED.decode().replace('"', '\\"')
    port = start_box(
        "nginx", f'charset off; location / {{ return 207 "\\xef\\xbb\\xbf{body}"; }}'.replace("\\xef\\xbb\\xbf", "﻿")
    )
    with transport(f"http://127.0.0.1:{port}/") as made:
        reply = call(made)
    assert reply.body.startswith(b"\xef\xbb\xbf{")
    judged = JUDGE(reply, 1)
    assert (judged.whole, judged.items) == (Verdict.ACCEPTED, None)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Server: nginx/1.2", "nginx/1.2"),
        ("Server: gate?key=s3cr3t", "gate"),
        ("Server: http://u:s3cr3t@host/", "http:"),
        ("Server: a\x1b[31mred", "a"),
        ("Server: " + "x" * 5_000, "x" * 60),
        ("Via: 1.1 edge.test (squid/5.7)", "via 1.1 edge.test (squid/5.7)"),
        ("Server: \xff\xfe", ""),
        ("X-Other: no", ""),
    ],
)
def test_what_a_server_calls_itself(header: str, shown: str) -> None:
    """Who answered is told in clean, bounded text, whatever the header holds."""
    head = f"HTTP/1.1 403 Error: no\r\n{header}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    assert one(raw(head)).seen.by == shown


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://login.test/x?y=z", "login.test"),
        ("//other.test:8/x", "other.test"),
        ("/here?token=s3cr3t", ""),
        ("http://[::1/", ""),
        ("http://a\x01b/", ""),
        ("http://" + "h" * 500 + "/", "h" * 60),
    ],
)
def test_where_a_redirect_leads(location: str, host: str) -> None:
    """Of a redirect's address only the host is kept, if it can be one."""
    head = f"HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    assert one(raw(head.encode())).seen.to == host


@pytest.mark.parametrize(
    "proxy", [f"http://u:{PASSWORD}@127.0.0.1:9", f"http://u:12/{PASSWORD}@h", f"http://u:a@{PASSWORD}@127.0.0.1:9"]
)
def test_a_proxys_password_is_never_told(proxy: str) -> None:
    """Wherever a password stands in the proxy's address, no text shows a part of it."""
    reply = through(proxy)
    assert reply.error in ("connect", "proxy")
    assert "12" not in told(reply).replace("127.0.0.1", "")


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_says_what_to_do(cause: str) -> None:
    """Each row of the table becomes one line that says what is wrong and what mends it."""
    text = JUDGE(Reply(0, "tls", None, b"", applied=False, seconds=0.1, seen=Seen(cause, "a detail")), 1).message
    assert CAUSES[cause].says in text
    assert CAUSES[cause].do in text
    assert "(a detail)" in text
    assert text.isprintable()


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 452), 495, 496, 497, *range(500, 530)])
def test_every_answer_that_is_not_suprsends_says_what_to_do(status: int) -> None:
    """A page of any status names the status and who sent it, and says what to do."""
    reply = Reply(status, None, None, PAGE, applied=True, seconds=0.1, seen=Seen(by="box/1"))
    text = JUDGE(reply, 1).message
    assert text.startswith(f"status {status}, answered with a page instead of JSON from box/1; ")
