"""A SuprSend that answers each call in one of many wrong ways, and knows what it said: a process of its own.

`python -m tests.suprsend.storm_server SEED ANSWERS` prints its port, answers badly until so many were given and well
afterwards, and prints what it saw as JSON when its standard input ends. One thread and an epoll: a hundred thousand
answers in seconds.
"""

from __future__ import annotations

import gzip
import heapq
import json
import random
import re
import selectors
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from contextlib import suppress
from typing import Final

from tests.suprsend.answers_made import Made, made

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_KEY: Final = re.compile(rb'"\$idempotency_key":"([^"]+)"')
_BOMB: Final = gzip.compress(b"0" * 20_000_000)
_CHUNK: Final = b"8000\r\n" + b"[" * 0x8000 + b"\r\n"
_RARE: Final = 0.12
"""The share of calls that get an answer which is wrong as HTTP, or none."""
_COSTLY: Final = 0.04
"""The share of those that hold a connection until the client's deadline, or send megabytes."""

_HEADS: Final = (
    *[b"HTTP/1.1 207 Multi-Status\r\n"] * 8,
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 299 X\r\n",
    b"HTTP/1.1 503 X\r\nRetry-After: 0\r\n",
    b"HTTP/1.1 429 X\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
    b"HTTP/1.1 500 X\r\nRetry-After: -1\r\n",
)
_REFUSAL: Final = b'{"status":"error","error":{"type":"x","message":"one of them is bad"}}'
_GOOD: Final = b'{"status":"success","message_id":"m","status_code":202}'


class Peer:
    """A connection, as the server sees it."""

    __slots__ = ("endless", "ends", "got", "out", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.got = b""
        self.out = b""
        self.ends = False
        """Close it once `out` is sent."""
        self.endless = b""
        """What to send again and again, until the client has enough."""


class StormServer:
    """Serves until its standard input ends."""

    def __init__(self, seed: int, answers: int) -> None:
        self.left = answers
        self._dice = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._drips: list[tuple[float, int, Peer, bytes]] = []
        self._drip_count = 0
        self.ways: Counter[str] = Counter()
        self.accepted: dict[bytes, bool] = {}
        """By key, whether the client surely knows of it."""
        self.refused: set[bytes] = set()
        self.bytes_of: dict[bytes, int] = {}
        self.repeats: list[str] = []
        """Calls with an event that an earlier answer had accepted, and the client surely knew."""
        self.changed: list[str] = []
        """Events that came with other bytes than before."""

    def serve(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(sys.stdin, selectors.EVENT_READ, "end")
        while True:
            wait = None if not self._drips else max(0.0, self._drips[0][0] - time.monotonic())
            for key, mask in self._selector.select(wait):
                if key.data == "end":
                    return
                if key.data is None:
                    self._accept()
                else:
                    self._moved(key.data, mask)
            self._drip()

    def report(self) -> dict[str, object]:
        return {
            "ways": self.ways,
            "accepted": [key.decode() for key in self.accepted],
            "refused": [key.decode() for key in self.refused],
            "repeats": self.repeats,
            "changed": self.changed,
        }

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(sock, selectors.EVENT_READ, Peer(sock))

    def _moved(self, peer: Peer, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                data = peer.sock.recv(1 << 16)
                if not data:
                    self._close(peer)
                    return
                peer.got += data
                self._requests(peer)
            if mask & selectors.EVENT_WRITE:
                self._flush(peer)
        except OSError:
            self._close(peer)

    def _requests(self, peer: Peer) -> None:
        while (end := peer.got.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(peer.got, 0, end)
            whole = end + 4 + int(length[1] if length else 0)
            if len(peer.got) < whole or peer.ends or peer.endless:
                return
            body, peer.got = peer.got[end + 4 : whole], peer.got[whole:]
            self._answer(peer, body)

    def _answer(self, peer: Peer, body: bytes) -> None:
        keys = self._seen(body)
        self.left -= 1
        if self.left < 0:
            self._say(peer, _http(b"HTTP/1.1 207 X\r\n", _all_good(len(keys))), keys, [True] * len(keys), "well")
        elif self._dice.random() < _RARE:
            self._misbehave(peer, keys)
        elif self._dice.random() < 0.02:
            self._refuse(peer, keys)
        else:
            head, answer = self._dice.choice(_HEADS), made(self._dice, len(keys))
            self._told(peer, head, answer, keys, "as HTTP should be")

    def _seen(self, body: bytes) -> list[bytes]:
        """Take note of what is sent: a repeat of what was accepted, or other bytes for the same key, are wrong."""
        keys = []
        for event in body[1:-1].split(b"},{"):
            event = event.strip(b"{}")
            found = _KEY.search(event)
            key = found[1] if found else b"?"
            keys.append(key)
            if self.accepted.get(key):
                self.repeats.append(key.decode())
            if self.bytes_of.setdefault(key, zlib.crc32(event)) != zlib.crc32(event):
                self.changed.append(key.decode())
        return keys

    def _told(self, peer: Peer, head: bytes, answer: Made, keys: list[bytes], way: str, *, before: bytes = b"") -> None:
        """An answer that counts if it says that the call was taken."""
        counts = head.startswith(b"HTTP/1.1 2")
        self.refused.update(key for key, refused in zip(keys, answer.refused, strict=True) if refused and counts)
        accepted = [counts and each for each in answer.accepted]
        self._say(peer, before + _http(head, answer.body), keys, accepted, way)

    def _refuse(self, peer: Peer, keys: list[bytes]) -> None:
        if len(keys) == 1:
            self.refused.update(keys)
        head = self._dice.choice((b"HTTP/1.1 400 X\r\n", b"HTTP/1.1 413 X\r\n", b"HTTP/1.1 422 X\r\n"))
        self._say(peer, _http(head, _REFUSAL), keys, [False] * len(keys), "refused as a whole")

    def _say(self, peer: Peer, data: bytes, keys: list[bytes], accepted: list[bool], way: str) -> None:
        """Answer, and remember what the client will surely read: it is there, and gets the answer whole."""
        self.ways[way] += 1
        there = _there(peer.sock)
        self.accepted |= {key: there for key, taken in zip(keys, accepted, strict=True) if taken}
        peer.out += data
        self._flush(peer)

    def _misbehave(self, peer: Peer, keys: list[bytes]) -> None:
        dice = self._dice
        if dice.random() < _COSTLY:
            self._hold_up(peer)
            return
        head, answer = dice.choice(_HEADS), made(dice, len(keys))
        body = answer.body
        way = dice.randrange(10)
        if way == 0:
            self._end(peer, b"", "reset", reset=True)
        elif way == 1:
            # Often exactly behind what could be read, though more was announced.
            gone = dice.choice((4, 1 + dice.randrange(len(body) + 4)))
            self._end(peer, _http(head, body + b"more")[:-gone], "cut short")
        elif way == 2:
            self._end(peer, head + b"X: y\r\n" * 20_000 + b"\r\n", "many headers")
        elif way == 3:
            self._end(peer, head + b"X: " + b"y" * 100_000 + b"\r\n\r\n", "a huge header")
        elif way == 4:
            self._end(peer, dice.randbytes(200), "noise")
        elif way == 5:
            self._told(peer, head, answer, keys, "interim answers", before=b"HTTP/1.1 100 Continue\r\n\r\n" * 3)
        elif way == 6:
            # Whole, and then the connection breaks: the client may have read it or not.
            for key, taken in zip(keys, answer.accepted, strict=True):
                if taken:
                    self.accepted.setdefault(key, False)
            self.refused.update(key for key, refused in zip(keys, answer.refused, strict=True) if refused)
            self._end(peer, _http(head, body), "reset behind it", reset=True)
        elif way == 7:
            self._end(peer, head + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + body, "a wrong chunk")
        elif way == 8:
            self._end(peer, head + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + body, "two lengths")
        else:
            self._end(peer, b"", "closed")

    def _hold_up(self, peer: Peer) -> None:
        way = self._dice.randrange(5)
        self.ways[("silence", "a dripping body", "a dripping header", "an endless body", "a bomb")[way]] += 1
        if way == 1:
            peer.out += b"HTTP/1.1 207 X\r\nContent-Length: 9999999\r\n\r\n"
            self._flush(peer)
            self._later(peer, b"x")
        elif way == 2:
            peer.out += b"HTTP/1.1 207 X\r\nX: "
            self._flush(peer)
            self._later(peer, b"y")
        elif way == 3:
            peer.out += b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer.endless = _CHUNK
            self._flush(peer)
        elif way == 4:
            peer.out += _http(b"HTTP/1.1 207 X\r\nContent-Encoding: gzip\r\n", _BOMB)
            self._flush(peer)

    def _end(self, peer: Peer, data: bytes, way: str, *, reset: bool = False) -> None:
        self.ways[way] += 1
        if reset:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.out += data
        peer.ends = True
        self._flush(peer)

    def _flush(self, peer: Peer) -> None:
        try:
            while peer.out or peer.endless:
                peer.out = peer.out or peer.endless
                peer.out = peer.out[peer.sock.send(peer.out) :]
        except BlockingIOError:
            self._selector.modify(peer.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)
            return
        except OSError:
            self._close(peer)
            return
        if peer.ends:
            self._close(peer)
        else:
            self._selector.modify(peer.sock, selectors.EVENT_READ, peer)

    def _later(self, peer: Peer, data: bytes) -> None:
        self._drip_count += 1
        heapq.heappush(self._drips, (time.monotonic() + 0.05, self._drip_count, peer, data))

    def _drip(self) -> None:
        while self._drips and self._drips[0][0] <= time.monotonic():
            _, _, peer, data = heapq.heappop(self._drips)
            if peer.sock.fileno() >= 0:
                peer.out += data
                self._flush(peer)
                self._later(peer, data)

    def _close(self, peer: Peer) -> None:
        if peer.sock.fileno() >= 0:
            self._selector.unregister(peer.sock)
            peer.sock.close()


def _there(sock: socket.socket) -> bool:
    """Whether the client still holds the connection."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _http(head: bytes, body: bytes) -> bytes:
    return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


def _all_good(n: int) -> bytes:
    return b'{"status":"success","records":[' + b",".join([_GOOD] * n) + b"]}"


def main() -> None:
    server = StormServer(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve()
    sys.stdout.write(json.dumps(server.report()) + "\n")


if __name__ == "__main__":
    main()
