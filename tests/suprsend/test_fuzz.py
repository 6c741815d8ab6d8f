"""Many seeded answers, against the classifier and over real sockets: no false success, no call without an end."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable
from typing import Any

from bridge.flow import Reply, Verdict
from bridge.suprsend.answers import make_judge
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Bearer
from bridge.suprsend.transport import CurlTransport
from tests.suprsend.raw_server import Peer, RawServer

JUDGE = make_judge()
ANSWERS = 100_000
CALLS = 3_000
DEADLINE = 1.0


def good(dice: random.Random) -> dict[str, Any]:
    code: int | str = dice.choice((202, 202, 202, "202", 200))
    return {"status": "success", "message_id": f"m-{dice.random()}", "status_code": code}


def bad(dice: random.Random) -> dict[str, Any]:
    code = dice.choice((400, 404, "404", 413, 422, 429, 500, 503))
    return {"status": "error", "status_code": code, "error": {"type": "not_found", "message": 'no "such" user'}}


def broken(dice: random.Random) -> Any:
    """A record that says nothing reliable."""
    record = dice.choice((good, bad))(dice)
    spoil: list[Callable[[], Any]] = [
        lambda: None,
        lambda: [record],
        lambda: "success",
        dict,
        lambda: record | {"status": dice.choice(("SUCCESS", "ok", "", None, 1, ["success"], "pending"))},
        lambda: record | {"status": "success", "status_code": dice.choice((None, 0, 404, "x", True, [], 10**30, 302))},
        lambda: {name: value for name, value in record.items() if name != "status"},
        lambda: {name: value for name, value in good(dice).items() if name != "status_code"},
        lambda: good(dice) | {"error": {"message": "but"}},
    ]
    return dice.choice(spoil)()


def answer(dice: random.Random, n: int) -> tuple[bytes, list[bool]]:
    """A body for a call of n events, and which of them it truly accepts."""
    kinds = [dice.choice((good, good, good, bad, broken)) for _ in range(n)]
    if dice.random() < 0.3:
        kinds = [good] * n
    records = [kind(dice) for kind in kinds]
    truth = [kind is good for kind in kinds]
    body: Any = {"status": "success", "records": records}
    way = dice.random()
    if way < 0.1:
        del records[dice.randrange(n)]
    elif way < 0.2:
        records.insert(dice.randrange(n + 1), good(dice))
    elif way < 0.25:
        body = dice.choice((records, None, 7, "x", {"records": None}, {"records": {"0": good(dice)}}, {"error": "x"}))
    if way < 0.25:
        truth = [False] * n
    data = json.dumps(body, separators=dice.choice(((",", ":"), (", ", ": ")))).encode()
    if 0.25 <= way < 0.35:
        data, truth = data[: dice.randrange(len(data))], [False] * n
    elif 0.35 <= way < 0.4:
        data, truth = (
            dice.choice((b"<html>" + data, b"OK", b"", gzip.compress(data), data + b"]", data * 2)),
            [False] * n,
        )
    elif 0.4 <= way < 0.45 and all(truth):
        # A second `status` in one record: two readers would read two things.
        data, truth = data.replace(b'"status_code"', b'"status":"error","status_code"', 1), [False] * n
    return data, truth


def test_a_hundred_thousand_answers() -> None:
    """Of 100,000 answers, well-formed and broken, exactly what each truly accepts is taken as accepted."""
    dice = random.Random(20_231_115)
    accepted = 0
    for number in range(ANSWERS):
        n = dice.randrange(1, 6)
        body, truth = answer(dice, n)
        status = dice.choice((200, 207, 207, 207, 299, 400, 429, 503))
        error = "reset" if dice.random() < 0.05 else None
        judged = JUDGE(Reply(status, error, None, body, applied=True, seconds=0.1), n)
        found = [judged.whole] * n if judged.items is None else list(judged.items)
        readable = error is None and status < 300
        expected = [readable and true for true in truth]
        assert [verdict is Verdict.ACCEPTED for verdict in found] == expected, (number, status, error, body)
        accepted += sum(expected)
    assert accepted > ANSWERS / 2


def _misbehave(peer: Peer, dice: random.Random, n: int) -> bool:
    """Answer a call in one of many ways; returns whether the connection can go on."""
    body, _truth = answer(dice, n)
    length = f"Content-Length: {len(body)}\r\n".encode()
    head = dice.choice((b"HTTP/1.1 207 X\r\n", b"HTTP/1.1 503 X\r\nRetry-After: 1\r\n", b"HTTP/1.1 400 X\r\n"))
    way = dice.randrange(40)
    if way == 0:
        peer.reset()
    elif way == 1:
        peer.send(head + length + b"\r\n" + body[: len(body) // 2])
    elif way == 2:
        peer.send(head + b"Content-Length: 9999999\r\n\r\n")
        peer.drip(b"x" * 1_000, 0.05)
    elif way == 3:
        peer.drip(head + b"X: " + b"y" * 1_000, 0.05)
    elif way == 4:
        peer.send(head + b"X: y\r\n" * 20_000 + b"\r\n")
    elif way == 5:
        peer.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        while peer.send(b"8000\r\n" + b"[" * 0x8000 + b"\r\n"):
            pass
    elif way == 6:
        peer.send(dice.randbytes(200))
    elif way == 7:
        peer.send(head + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"0" * 5_000_000))
    elif way == 8:
        return peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + head + length + b"\r\n" + body)
    elif way == 9:
        peer.send(head + length + b"\r\n" + body)
        peer.reset()
    else:
        return peer.send(head + length + b"\r\n" + body)
    return False


def test_a_storm_of_hostile_answers() -> None:
    """Thousands of hostile answers over sockets: every call ends in time, what they hold is let go, nothing is lost."""
    n = 3

    def script(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            if not _misbehave(peer, random.Random(request.body), n):
                return

    shown = Bearer("token", "workspaceUidOfTests0123")
    with RawServer(script) as server:
        made = CurlTransport(Endpoint(base_url=server.url, deadline=DEADLINE, max_answer_bytes=500_000), lambda: shown)
        begun: dict[int, float] = {}
        started = ended = late = 0
        while ended < CALLS:
            while started < CALLS and started - ended < 32:
                begun[started] = time.monotonic()
                made.start(started, f"seed {started}".encode())
                started += 1
            for call, reply in made.poll(5):
                late += time.monotonic() - begun.pop(call) > DEADLINE + 1
                judged = JUDGE(reply, n)
                assert len(reply.body) <= 500_000
                assert reply.status or reply.error
                assert reply.error is None or judged.whole is not Verdict.ACCEPTED
                ended += 1
        assert begun == {}
        assert late == 0
        assert made._budget.held == 0
        made.close()
