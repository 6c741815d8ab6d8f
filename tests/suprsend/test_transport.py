from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from bridge.flow import Transport
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Bearer, Credentials, Hmac, http_date, signature
from bridge.suprsend.transport import CurlTransport
from tests.suprsend.driving import BODY, KEY, answering, call, one, raw, silent, transport
from tests.suprsend.raw_server import Peer, RawServer

SECRET = "secret-of-tests"


def test_a_call_arrives_as_signed() -> None:
    """The very bytes that were given arrive under the path signed, with a date and a signature that hold."""
    with RawServer(answering("207 Multi-Status")) as server:
        url = server.url + "pre%20fix/a/../b"
        with transport(url, Hmac(KEY, SECRET)) as made:
            reply = call(made, b'[{"a":"\xc3\xa9"}]')
    assert (reply.status, reply.error, reply.body, reply.applied) == (207, None, b'{"ok":true}', True)
    assert 0 < reply.seconds < 120
    request = server.requests[0]
    assert request.line == "POST /pre%20fix/a/../b/v2/bulk/event/ HTTP/1.1"
    assert request.body == b'[{"a":"\xc3\xa9"}]'
    date = request.header("date")
    assert date is not None
    signed = signature(
        SECRET.encode(),
        method="POST",
        body=request.body,
        content_type=request.header("content-type") or "",
        date=date,
        target=request.line.split(" ")[1],
    )
    assert request.header("authorization") == f"{KEY}:{signed}"
    assert request.header("accept-encoding") == "identity"
    assert request.header("expect") is None


def test_credentials_and_date_are_asked_for_each_attempt() -> None:
    """A key rotated in place and the present second are used by the next attempt, without a new transport."""
    kept: list[Credentials] = [Hmac(KEY, "old")]
    seconds = iter([1_700_000_000.0, 1_700_000_060.0])
    with RawServer(answering("202 Accepted")) as server:
        made = CurlTransport(Endpoint(base_url=server.url, deadline=400), lambda: kept[0], clock=lambda: next(seconds))
        call(made)
        kept[0] = Bearer("new-token", KEY)
        kept[0] = Hmac(KEY, "new")
        call(made)
        made.close()
    first, second = (request.header("authorization") for request in server.requests)
    assert first != second
    assert [request.header("date") for request in server.requests] == [
        http_date(1_700_000_000),
        http_date(1_700_000_060),
    ]


def test_connections_are_used_again() -> None:
    """Calls one after the other share one connection, whatever their status; ten side by side take ten at most."""
    with RawServer(answering("207 X", "503 X", "400 X", "207 X")) as server, transport(server.url) as made:
        assert [call(made).status for _ in range(8)] == [207, 503, 400, 207, 207, 207, 207, 207]
        assert server.connections == 1
        for number in range(10):
            made.start(number, BODY)
        ended: list[int] = []
        while len(ended) < 10:
            ended.extend(number for number, _reply in made.poll(5))
        assert sorted(ended) == list(range(10))
        assert server.connections <= 10


def test_a_connection_that_died_idle_is_replaced_unseen() -> None:
    """A kept connection that the server closed is replaced: the next call succeeds and the caller sees no error."""
    closed = threading.Event()

    def script(peer: Peer) -> None:
        if peer.request():
            peer.answer("207 X", b"{}")
            if peer.number == 1:
                peer.sock.close()
                closed.set()
                return
        peer.request()

    with RawServer(script) as server, transport(server.url) as made:
        assert call(made).status == 207
        assert closed.wait(120)
        assert call(made).status == 207
        assert server.connections == 2


def test_a_used_connection_that_dies_under_a_request_is_tried_once_more() -> None:
    """When a kept connection breaks before a byte of the answer, the same bytes go out again by themselves."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer("207 X", b"{}")
        if peer.request() is None:
            return
        if peer.number == 1:
            peer.reset()
        else:
            peer.answer("207 X", b"{}")

    with RawServer(script) as server, transport(server.url) as made:
        assert [call(made).status for _ in range(2)] == [207, 207]
        assert [request.body for request in server.requests] == [BODY] * 3


def test_a_repeat_that_finds_nobody_may_have_been_applied() -> None:
    """A request that broke on a kept connection may have been applied, though its repeat could not connect."""
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer("207 X", b"{}")
        gone.wait(120)
        peer.request()
        peer.reset()

    with RawServer(script) as server, transport(server.url) as made:
        assert call(made).status == 207
        server.stop_listening()
        gone.set()
        reply = call(made)
        assert reply.status == 0
        assert reply.error in ("connect", "reset")
        assert reply.applied
        assert len(server.requests) == 2


def test_nobody_listening() -> None:
    """A refused connection is told apart: nothing can have been applied."""
    with RawServer(answering("200 OK")) as server:
        url = server.url
    with transport(url) as made:
        reply = call(made)
    assert reply[:2] == (0, "connect")
    assert not reply.applied


def test_an_unknown_host() -> None:
    """A name that does not exist is `dns`, and nothing can have been applied."""
    with transport("http://no-such-host.invalid/") as made:
        reply = call(made, seconds=30)
    assert (reply.status, reply.error, reply.applied) == (0, "dns", False)


def test_redirects_are_not_followed() -> None:
    """A redirect is returned as it is: the key is shown to nobody else."""
    with RawServer(answering("200 OK")) as other:
        reply = one(raw(f"HTTP/1.1 307 X\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert (reply.status, reply.error) == (307, None)
    assert other.connections == 0


@pytest.mark.parametrize("text", ["120", "Wed, 15 Nov 2023 06:13:20 GMT", "soon"])
def test_retry_after_is_handed_on(text: str) -> None:
    """`Retry-After` reaches the caller as text, of the final answer only."""
    head = f"HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\nHTTP/1.1 429 X\r\nretry-after:  {text}\r\n"
    assert one(raw(head.encode() + b"Content-Length: 0\r\n\r\n")).retry_after == text
    assert (
        one(raw(b"HTTP/1.1 103 X\r\nRetry-After: 9\r\n\r\nHTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n")).retry_after
        is None
    )


def test_a_handle_remembers_nothing() -> None:
    """What one answer said is forgotten when the handle serves the next call."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer("429 X", b"first", "Retry-After: 5")
        peer.request()
        peer.answer("207 X", b"second")
        peer.request()

    with RawServer(script) as server, transport(server.url) as made:
        assert call(made)[:4] == (429, None, "5", b"first")
        assert call(made)[:4] == (207, None, None, b"second")


@pytest.mark.parametrize("option", ["connection_lifetime", "connection_idle"])
def test_connections_are_not_used_for_ever(option: str) -> None:
    """A connection beyond its lifetime or idle time is replaced, so that a changed address takes effect."""
    short: dict[str, Any] = {option: 1.0}
    with RawServer(answering("207 X")) as server, transport(server.url, **short) as made:
        assert call(made).status == 207
        until = time.monotonic() + 2.1
        while time.monotonic() < until:
            made.poll(until - time.monotonic())
        assert call(made).status == 207
        assert server.connections == 2


def test_wake_from_another_thread() -> None:
    """`wake` ends a waiting poll at once from another thread, once for each poll, and is harmless after close."""
    with transport("http://127.0.0.1:9/") as made:
        polling = threading.Event()

        def wake() -> None:
            polling.wait(120)
            made.wake()

        other = threading.Thread(target=wake)
        other.start()
        polling.set()
        began = time.monotonic()
        assert made.poll(400) == []
        assert time.monotonic() - began < 120
        other.join()
        made.wake()
        made.wake()
        assert made.poll(30) == []
        assert made.poll(0) == []
    made.wake()
    made.close()


def test_poll_returns_when_nothing_happens() -> None:
    """Without calls, poll waits its time and returns nothing."""
    with transport("http://127.0.0.1:9/") as made:
        began = time.monotonic()
        assert made.poll(0.1) == []
        assert 0.1 <= time.monotonic() - began < 120


def test_close_with_calls_under_way() -> None:
    """Closing drops calls that have no answer, without waiting for them."""
    with RawServer(silent) as server:
        made = CurlTransport(Endpoint(base_url=server.url, deadline=400), lambda: Bearer("t", KEY))
        made.start(1, BODY)
        made.poll(0.1)
        began = time.monotonic()
        made.close()
        assert time.monotonic() - began < 120


def test_it_is_the_transport_of_the_bridge() -> None:
    """The transport fits the seam that the delivery drives."""
    with transport("http://127.0.0.1:9/") as made:
        seam: Transport = made
        assert seam.poll(0) == []
