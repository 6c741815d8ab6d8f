"""A SuprSend that says strange things, one after the other, and knows which events it truly accepted."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Self

from tests.suprsend.raw_server import Peer, RawServer

Events = Sequence[dict[str, Any]]


class Said(NamedTuple):
    """An answer as bytes, the places of the events that it accepts, and whether the connection goes on."""

    data: bytes
    accepts: range = range(0)
    stays: bool = True


Answer = Callable[[Events], Said]

OK: Final = {"status": "success", "message_id": "m", "status_code": 202}
PAGE: Final = b"<html><title>Log in</title></html>"
REFUSAL: Final = b'{"status":"error","error":{"type":"x","message":"one of them is bad"}}'


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def good_body(events: Events) -> bytes:
    return json.dumps({"status": "success", "records": [OK for _ in events]}).encode()


def good(events: Events) -> Said:
    return Said(http("207 Multi-Status", good_body(events)), range(len(events)))


def always(status: str, body: bytes = b"", *headers: str) -> Answer:
    return lambda _: Said(http(status, body, *headers))


def raw(data: bytes) -> Answer:
    return lambda _: Said(data, stays=False)


def records(make: Callable[[Events], list[Any]]) -> Answer:
    return lambda events: Said(http("207 X", json.dumps({"status": "success", "records": make(events)}).encode()))


def first_accepted(other: object) -> Answer:
    """The first event is accepted, the others get `other`."""

    def answer(events: Events) -> Said:
        body = json.dumps({"status": "success", "records": [OK, *[other] * (len(events) - 1)]}).encode()
        return Said(http("207 X", body), range(1))

    return answer


def failed(code: int, message: str = "not now") -> dict[str, Any]:
    return {"status": "error", "status_code": code, "error": {"type": "x", "message": message}}


def taken(head: bytes, tail: bytes = b"") -> Answer:
    """A right answer in an unusual wrapping."""
    return lambda events: Said(head + good_body(events) + tail, range(len(events)), stays=False)


def spoilt(head: bytes, tail: bytes = b"") -> Answer:
    """A right body in a wrapping that cannot be believed."""
    return lambda events: Said(head + good_body(events) + tail, stays=False)


def in_chunks(events: Events) -> Said:
    body = good_body(events)
    head = b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n%x;why=not\r\n" % len(body)
    return Said(head + body + b"\r\n0\r\nTrailer: x\r\n\r\n", range(len(events)))


def with_more_behind_it(events: Events) -> Said:
    """An answer that nobody asked for lies behind the right one: it must not count for the next call."""
    said = good(events)
    return said._replace(data=said.data + http("207 X", good_body([{}] * 10)))


def too_many_at_once(events: Events) -> Said:
    return Said(http("413 X", REFUSAL)) if len(events) > 3 else good(events)


PASSING: Final[dict[str, Answer]] = {
    "a page": always("200 OK", PAGE, "Content-Type: text/html"),
    "every result twice": records(lambda events: [OK] * (2 * len(events))),
    "one result missing": records(lambda events: [OK] * (len(events) - 1)),
    "one result more": records(lambda events: [OK] * (len(events) + 1)),
    "texts for results": records(lambda events: ["success" for _ in events]),
    "null for results": records(lambda events: [None for _ in events]),
    "null for records": always("207 X", b'{"status":"success","records":null}'),
    "no records": always("207 X", b'{"status":"success"}'),
    "no number": always("207 X", b'{"status":"success","records":[NaN]}'),
    "a deep answer": always("207 X", b"[" * 50_000 + b"]" * 50_000),
    "some null": first_accepted(None),
    "some down": first_accepted(failed(503)),
    "some throttled": first_accepted(failed(429)),
    "some unauthorised": first_accepted(failed(401)),
    "too large, a page": always("413 X", PAGE),
    "some with a cache in trouble": first_accepted(failed(400, "redis eval error: EOF")),
    "the old OK": lambda events: Said(http("202 Accepted", b"OK"), range(len(events))),
    "an OK of 200": always("200 OK", b"OK"),
    "nothing": lambda _: Said(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "partial content": always("206 X", b'{"status":"success","records":[]}'),
    "too many at once": too_many_at_once,
    "wait until yesterday": always("429 X", b"", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
    "wait for a negative time": always("429 X", b"", "Retry-After: -5"),
    "wait for nonsense": always("429 X", b"slow", "Retry-After: soon\x01\xff"),
    "wait for no day": always("429 X", b"", "Retry-After: Wed, 99 Oct 99999 07:28:00 GMT"),
    "down, with a page": always("503 X", PAGE),
    "down, and all is well": lambda events: Said(http("500 X", good_body(events))),
    "a status that is none": always("999 X"),
    "HTTP/1.0": taken(b"HTTP/1.0 207 X\r\n\r\n"),
    "HTTP/0.9": raw(b"OK"),
    "HTTP/2": raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "in chunks": in_chunks,
    "a chunk of no size": spoilt(b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\r\n0\r\n\r\n"),
    "a chunk of a negative size": spoilt(
        b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"\r\n0\r\n\r\n"
    ),
    "two lengths": spoilt(b"HTTP/1.1 207 X\r\nContent-Length: 7\r\nContent-Length: 9\r\n\r\n"),
    "cut": spoilt(b"HTTP/1.1 207 X\r\nContent-Length: 9999\r\n\r\n"),
    "go on": taken(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 207 X\r\n\r\n"),
    "hints": taken(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 207 X\r\n\r\n"),
    "another protocol": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "compressed": lambda events: Said(http("207 X", gzip.compress(good_body(events)), "Content-Encoding: gzip")),
    "with a mark of its byte order": lambda events: Said(
        http("207 X", b"\xef\xbb\xbf" + good_body(events)), range(len(events))
    ),
    "wide": lambda events: Said(http("207 X", good_body(events).decode().encode("utf-16"))),
    "more behind it": with_more_behind_it,
    "closed": raw(b""),
}
"""What passes by itself, or is right in an unusual form: work goes on at once."""

HOLDING: Final[dict[str, Answer]] = {
    "moved": always("301 X", b"", "Location: http://127.0.0.1:9/"),
    "moved to itself": always("307 X", b"", "Location: /v2/bulk/event/"),
    "bad request, a page": always("400 X", PAGE),
    "bad request, a list": always("400 X", b'["x"]'),
    "a proxy that wants a password": always("407 X", b"", "Proxy-Authenticate: Basic"),
    "unauthorised, a page": always("401 X", PAGE, "WWW-Authenticate: Basic realm=x"),
}
"""What is no fault of the events: everything is held until a probe is accepted."""


class StrangeApi:
    """Gives the answers that it was told to, one a call, then good ones. A context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: list[Answer] = []
        self.accepted: Counter[str] = Counter()
        """By key, how often an answer accepted the event."""
        self.again: list[str] = []
        """Keys that came once more although they had been accepted."""
        self.changed: list[str] = []
        self._seen: dict[str, dict[str, Any]] = {}
        self.server = RawServer(self._serve)

    def say(self, answers: Sequence[Answer]) -> None:
        """Answer the next calls so."""
        with self._lock:
            self._next = [*answers]

    def left(self) -> int:
        """How many of them were not given yet."""
        return len(self._next)

    def _serve(self, peer: Peer) -> None:
        while (request := peer.request()) is not None:
            events: Events = json.loads(request.body)
            with self._lock:
                said = (self._next.pop(0) if self._next else good)(events)
                for event in events:
                    self._note(event)
                self.accepted.update(events[place]["$idempotency_key"] for place in said.accepts)
            if not peer.send(said.data) or not said.stays:
                return

    def _note(self, event: dict[str, Any]) -> None:
        key = event["$idempotency_key"]
        if self.accepted[key]:
            self.again.append(key)
        if self._seen.setdefault(key, event) != event:
            self.changed.append(key)

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)
