from __future__ import annotations

import gzip
import threading
import time

import pytest

from bridge.flow import Reply
from tests.suprsend.driving import BODY, DATA, Script, call, one, raw, silent, transport
from tests.suprsend.raw_server import Peer, RawServer


def _drip_body(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    peer.drip(b"x" * 10_000, 0.02)


def _drip_header(peer: Peer) -> None:
    peer.request()
    peer.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000, 0.02)


def _interim_for_ever(peer: Peer) -> None:
    peer.request()
    while not peer._server.stopped.wait(0.01) and peer.send(b"HTTP/1.1 100 Continue\r\n\r\n"):
        pass


@pytest.mark.parametrize(
    ("script", "status"), [(_drip_body, 200), (_drip_header, 200), (_interim_for_ever, 0), (silent, 0)]
)
def test_no_attempt_outlives_its_deadline(script: Script, status: int) -> None:
    """A dripping, endless or silent answer ends by the deadline of the whole attempt; without one it would never end."""
    began = time.monotonic()
    reply = one(script, deadline=0.7)
    assert time.monotonic() - began < 60
    assert (reply.status, reply.error, reply.applied) == (status, "timeout", True)


def test_a_deadline_while_connecting() -> None:
    """A server that takes no connection ends the attempt by the connect time-out; nothing was applied."""
    began = time.monotonic()
    with RawServer(silent, tls=None) as server:
        url = server.url.replace("http:", "https:")
        with transport(url, connect_timeout=0.5, deadline=100.0, ca_file=str(DATA / "ca.pem")) as made:
            reply = call(made)
    assert time.monotonic() - began < 60
    assert (reply.status, reply.error, reply.applied) == (0, "connect", False)


def _endless(peer: Peer) -> None:
    peer.request()
    if peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        while peer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n"):
            pass


def test_an_endless_answer_is_cut() -> None:
    """An answer beyond the limit is cut there, and its status is kept."""
    reply = one(_endless, max_answer_bytes=300_000)
    assert (reply.status, reply.error) == (200, "answer_too_large")
    assert len(reply.body) <= 300_000


def test_endless_answers_share_a_budget() -> None:
    """Many endless answers side by side hold no more than twice the limit of one, and 256 KiB each."""
    limit = 1024 * 1024
    release = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 900_000)
        release.wait(120)

    with RawServer(script) as server, transport(server.url, max_answer_bytes=limit) as made:
        for number in range(12):
            made.start(number, BODY)
        ended: list[Reply] = []
        until = time.monotonic() + 120
        while len(ended) < 9 and time.monotonic() < until:
            ended.extend(reply for _number, reply in made.poll(0.2))
        assert made._budget.held <= 2 * limit + 12 * 256 * 1024
        release.set()
        while len(ended) < 12 and time.monotonic() < until:
            ended.extend(reply for _number, reply in made.poll(0.2))
        words = [reply.error for reply in ended]
        assert words.count("answer_too_large") >= 8
        assert made._budget.held == 0
        assert made._active == {}


def _bomb(peer: Peer) -> None:
    peer.request()
    peer.answer("200 OK", gzip.compress(b"0" * 50_000_000, 9), "Content-Encoding: gzip")


def test_nothing_is_decompressed() -> None:
    """A compressed answer that nobody asked for stays compressed: a bomb stays small."""
    reply = one(_bomb)
    assert reply.error is None
    assert len(reply.body) < 100_000
    assert reply.body[:2] == b"\x1f\x8b"


def _reset_before(peer: Peer) -> None:
    peer.request()
    peer.reset()


def _reset_inside(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    peer.reset()


HTML = b"<html>Bad Gateway</html>"


@pytest.mark.parametrize(
    ("script", "status", "word"),
    [
        (_reset_before, 0, "reset"),
        (_reset_inside, 200, "reset"),
        (raw(b""), 0, "reset"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), 200, "reset"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"), 200, "reset"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"), 200, "reset"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"), 200, "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"), 200, "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n"), 200, "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 1_000 + b"\r\n") * 70 + b"\r\n"), 200, "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"), 200, "protocol"),
        (raw(b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n"), 200, "protocol"),
        (raw(b"nonsense\r\n\r\n"), 0, "protocol"),
        (raw(b"HTTP/9.9 200 OK\r\n\r\n"), 0, "protocol"),
        (raw(b"HTTP/1.1 abc OK\r\n\r\n"), 0, "protocol"),
        (raw(b"\0" * 100_000), 0, "protocol"),
        (raw(b"HTTP/1.0 200 OK\r\n\r\n{}"), 200, None),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nOK"), 202, None),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n"), 0, "reset"),
        (raw(b"HTTP/1.1 502 X\r\nContent-Length: 24\r\n\r\n" + HTML), 502, None),
        (raw(b"HTTP/1.1 204 X\r\n\r\n"), 204, None),
    ],
)
def test_broken_answers(script: Script, status: int, word: str | None) -> None:
    """A broken answer ends at once in a status as far as one came, and one word for what broke."""
    reply = one(script, deadline=10.0)
    assert (reply.status, reply.error) == (status, word)
    assert reply.applied
