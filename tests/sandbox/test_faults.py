"""Every fault, seen from the other end of the connection, and what it really did with the events."""

from __future__ import annotations

import http.client
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from bridge.sandbox.process import SandboxProcess
from bridge.sandbox.workspaces import EXAMPLE
from tests.sandbox.raw import BULK, SINGLE, V1, connect, event, exchange, keyed, parts, post, request

ENV = EXAMPLE.key
TWO = [keyed(ENV, "k-1"), keyed(ENV, "k-2", distinct_id="customer-2")]


def accepted(sandbox: SandboxProcess) -> int:
    """How many events were taken."""
    found: int = sandbox.stats()["events"]["accepted"]
    return found


def last_call(sandbox: SandboxProcess) -> dict[str, Any]:
    """What the sandbox says of the last call."""
    return sandbox.calls()[-1]


STATUSES: list[tuple[dict[str, Any], int, bytes]] = [
    ({"status": 503}, 503, b'"status":"error"'),
    (
        {"status": 500, "type": "internal_error", "message": "db_error sql: database is closed"},
        500,
        b"database is closed",
    ),
    ({"status": 502, "body": "<html><h1>Bad Gateway</h1></html>"}, 502, b"<h1>"),
    ({"status": 401, "type": "authentication_failed"}, 401, b"authentication_failed"),
    ({"status": 403, "message": "workspace key inactive"}, 403, b"inactive"),
    ({"status": 400, "body": {"status": "fail", "message": "BAD REQUEST"}}, 400, b'"fail"'),
    ({"status": 422}, 422, b'"error"'),
    ({"status": 413, "body": ""}, 413, b""),
    ({"status": 429, "body": None}, 429, b"null"),
    ({"status": 200, "body": "OK"}, 200, b"OK"),
    ({"status": 599}, 599, b'"error"'),
]


@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize(("fault", "status", "part"), STATUSES, ids=[str(fault) for fault, _, _ in STATUSES])
def test_status(sandbox: SandboxProcess, fault: dict[str, Any], status: int, part: bytes, apply: bool) -> None:
    """Any status with any body; the events are taken exactly if the rule says so."""
    sandbox.post_faults({"fault": "status", "apply": apply, **fault})
    answer = post(sandbox, BULK, TWO)
    assert answer.status == status
    assert part in answer.body
    assert accepted(sandbox) == (2 if apply else 0)
    call = last_call(sandbox)
    assert (call["status"], call["fault"], call["events"]) == (status, "status", 2)
    assert (call["accepted"], call["not_applied"]) == ((2, 0) if apply else (0, 2))


def test_retry_after(sandbox: SandboxProcess) -> None:
    """429 carries Retry-After as seconds or as a date, and other headers as they were asked for."""
    sandbox.post_faults(
        {"fault": "status", "status": 429, "retry_after": 7, "headers": {"X-Any": "thing"}, "when": {"calls": 1}},
        {"fault": "status", "status": 429, "retry_after": 60, "retry_after_as": "date"},
    )
    first, second = post(sandbox, BULK, TWO), post(sandbox, BULK, TWO)
    assert (first.headers["retry-after"], first.headers["x-any"]) == ("7", "thing")
    ahead = parsedate_to_datetime(second.headers["retry-after"]).timestamp() - time.time()
    assert 50 < ahead <= 61


def test_delay(sandbox: SandboxProcess) -> None:
    """The events are taken at once, the true answer comes later; any fault can be delayed."""
    sandbox.post_faults({"fault": "delay", "seconds": 0.3}, {"fault": "status", "status": 503})
    began = time.monotonic()
    with connect(sandbox) as connection:
        connection.sendall(request(sandbox, BULK, TWO))
        while sandbox.stats()["calls"]["total"] == 0:
            assert time.monotonic() - began < 120
        assert accepted(sandbox) == 2
        assert connection.recv(65_536).startswith(b"HTTP/1.1 207")
    assert time.monotonic() - began >= 0.3
    sandbox.reset()
    sandbox.post_faults({"fault": "status", "status": 503, "delay": 0.2})
    began = time.monotonic()
    assert post(sandbox, BULK, TWO).status == 503
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("apply", [False, True])
def test_hang(sandbox: SandboxProcess, apply: bool) -> None:
    """No byte comes back; the client's own deadline is what ends it."""
    sandbox.post_faults({"fault": "hang", "apply": apply})
    with pytest.raises(TimeoutError):
        exchange(sandbox, BULK, TWO, timeout=0.3)
    assert accepted(sandbox) == (2 if apply else 0)
    assert last_call(sandbox)["status"] is None
    deadline = time.monotonic() + 120
    while sandbox.stats()["load"]["in_flight"]:
        assert time.monotonic() < deadline


def test_hang_can_end(sandbox: SandboxProcess) -> None:
    """A hang of some time ends with a closed connection."""
    sandbox.post_faults({"fault": "hang", "seconds": 0.1})
    assert exchange(sandbox, BULK, TWO) == b""


def test_drip(sandbox: SandboxProcess) -> None:
    """The answer is whole and true, but comes at the asked pace."""
    sandbox.post_faults({"fault": "drip", "bytes_per_second": 400})
    began = time.monotonic()
    answer = post(sandbox, BULK, TWO)
    seconds = time.monotonic() - began
    assert (answer.status, len(answer.json()["records"])) == (207, 2)
    assert seconds > len(answer.body) / 400 * 0.8
    assert accepted(sandbox) == 2


@pytest.mark.parametrize("keep", [0, 0.5, 1])
def test_truncate(sandbox: SandboxProcess, keep: float) -> None:
    """The header promises the whole body, the connection ends before it."""
    sandbox.post_faults({"fault": "truncate", "keep": keep})
    headers, body = parts(exchange(sandbox, BULK, TWO))
    assert headers[":status"] == "207"
    assert len(body) < int(headers["content-length"])
    assert accepted(sandbox) == 2
    with pytest.raises(http.client.IncompleteRead):
        post(sandbox, BULK, TWO)


def test_wrong_length_too_short(sandbox: SandboxProcess) -> None:
    """The declared length cuts the body off."""
    sandbox.post_faults({"fault": "wrong_length", "by": -10})
    headers, body = parts(exchange(sandbox, BULK, TWO))
    assert int(headers["content-length"]) == len(body) - 10


def test_wrong_length_too_long(sandbox: SandboxProcess) -> None:
    """The declared rest never comes, and the connection stays open."""
    sandbox.post_faults({"fault": "wrong_length", "by": 10})
    with pytest.raises(TimeoutError):
        post(sandbox, BULK, TWO, timeout=0.3)


def test_non_json(sandbox: SandboxProcess) -> None:
    """A right status with a page of HTML."""
    sandbox.post_faults({"fault": "non_json"})
    answer = post(sandbox, BULK, TWO)
    assert (answer.status, answer.headers["content-type"]) == (207, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<html>")
    assert accepted(sandbox) == 2


@pytest.mark.parametrize(("by", "count"), [(-1, 1), (-5, 0), (1, 3), (10, 12)])
def test_wrong_count(sandbox: SandboxProcess, by: int, count: int) -> None:
    """A bulk answer with records missing or in surplus."""
    sandbox.post_faults({"fault": "wrong_count", "by": by})
    assert len(post(sandbox, BULK, TWO).json()["records"]) == count
    assert accepted(sandbox) == 2


def test_a_summary(sandbox: SandboxProcess) -> None:
    """The form that SuprSend's page shows: counts, and each failed event as it was sent."""
    sandbox.post_faults({"fault": "summary"}, {"fault": "reject", "when": {"match": {"key": "two"}}, "message": "no"})
    sent = [event(ENV) | {"$idempotency_key": key} for key in ("one", "two", "three")]
    said = post(sandbox, BULK, sent).json()
    assert [said[name] for name in ("status", "total", "success", "failure")] == ["partial", 3, 2, 1]
    assert [(each["record"], each["error"], each["code"]) for each in said["failed_records"]] == [(sent[1], "no", 400)]
    sandbox.clear_faults()
    sandbox.post_faults({"fault": "summary", "miscount": 1})
    assert post(sandbox, BULK, TWO).json()["total"] == 3


def test_malformed_records(sandbox: SandboxProcess) -> None:
    """A share of the records is rubbish; the others are as they were."""
    sandbox.post_faults({"fault": "malformed_records", "share": 0.5})
    records = post(sandbox, BULK, [event(ENV)] * 100).json()["records"]
    fine = sum(isinstance(record, dict) and record.get("status_code") == 202 and "message_id" in record
               and record["status"] == "success" for record in records)  # fmt: skip
    assert len(records) == 100
    assert 25 < fine < 75
    assert accepted(sandbox) == 100


def test_a_lie_can_be_told(sandbox: SandboxProcess) -> None:
    """With `apply` false a spoilt answer says success, and nothing was taken."""
    sandbox.post_faults({"fault": "wrong_count", "by": 1, "apply": False})
    assert [record["status"] for record in post(sandbox, BULK, TWO).json()["records"]] == ["success"] * 3
    assert accepted(sandbox) == 0
    assert last_call(sandbox)["not_applied"] == 2


def test_reject_chosen_records(sandbox: SandboxProcess) -> None:
    """Only the events that match are refused, with the code, type and message asked for."""
    sandbox.post_faults({"fault": "reject", "status_code": 404, "type": "not_found", "message": "no such user",
                         "when": {"match": {"distinct_id": {"regex": "-2$"}}}})  # fmt: skip
    records = post(sandbox, BULK, TWO).json()["records"]
    assert records[0]["status"] == "success"
    assert records[1] == {
        "status": "error",
        "status_code": 404,
        "error": {"message": "no such user", "type": "not_found"},
    }
    assert [kept["key"] for kept in sandbox.events()] == ["k-1"]
    assert (last_call(sandbox)["accepted"], last_call(sandbox)["refused"]) == (1, 1)


def test_reject_can_be_transient_and_a_lie(sandbox: SandboxProcess) -> None:
    """A record inside a 207 says 500 although it was taken."""
    sandbox.post_faults(
        {"fault": "reject", "status_code": 500, "apply": True, "when": {"match": {"key": "k-2"}, "calls": 1}}
    )
    assert [record["status_code"] for record in post(sandbox, BULK, TWO).json()["records"]] == [202, 500]
    assert accepted(sandbox) == 2
    assert [record["status_code"] for record in post(sandbox, BULK, TWO).json()["records"]] == [202, 202]
    assert sandbox.stats()["events"]["repeats_identical"] == 2


def test_reject_the_whole_call(sandbox: SandboxProcess) -> None:
    """A poison event refuses every call that holds it, and nothing of such a call is taken."""
    sandbox.post_faults({"fault": "reject", "whole": True, "when": {"match": {"key": {"equals": "k-1"}}}})
    answer = post(sandbox, BULK, TWO)
    assert (answer.status, answer.json()["status"]) == (400, "error")
    assert "records" not in answer.json()
    assert accepted(sandbox) == 0
    assert post(sandbox, BULK, TWO[1:]).status == 207
    assert post(sandbox, BULK, TWO[:1]).status == 400
    assert sandbox.stats()["events"]["refused"] == 3


def test_reject_refuses_single_calls_whole(sandbox: SandboxProcess) -> None:
    """On the paths without results per record the call itself is refused."""
    sandbox.post_faults({"fault": "reject", "status_code": 422, "when": {"match": {"key": "k-1"}}})
    assert post(sandbox, SINGLE, TWO[0]).status == 422
    assert post(sandbox, V1, TWO).status == 422
    assert post(sandbox, SINGLE, TWO[1]).status == 202
    assert accepted(sandbox) == 1


def test_reject_a_share(sandbox: SandboxProcess) -> None:
    """A sticky share refuses the same events at every attempt; the other kind draws anew each time."""
    many = [keyed(ENV, f"k-{number}") for number in range(100)]

    def refused() -> list[int]:
        records = post(sandbox, BULK, many).json()["records"]
        return [at for at, record in enumerate(records) if record["status"] == "error"]

    sandbox.post_faults({"fault": "reject", "share": 0.3})
    first, second = refused(), refused()
    assert first == second
    assert 10 < len(first) < 50
    sandbox.reset()
    sandbox.post_faults({"fault": "reject", "share": 0.3, "sticky": False})
    assert refused() != refused()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("fault", "taken"), [("disconnect_before", 0), ("disconnect_after", 2)])
def test_disconnect(sandbox: SandboxProcess, fault: str, taken: int, reset: bool) -> None:
    """The connection ends without an answer, by a close or a reset, before or after the events were taken."""
    sandbox.post_faults({"fault": fault, "reset": reset})
    if reset:
        with pytest.raises(ConnectionResetError):
            exchange(sandbox, BULK, TWO)
    else:
        assert exchange(sandbox, BULK, TWO) == b""
    assert accepted(sandbox) == taken
    call = last_call(sandbox)
    assert (call["status"], call["fault"], call["accepted"]) == (None, fault, taken)


def test_disconnect_after_some_bytes(sandbox: SandboxProcess) -> None:
    """A part of the answer comes, then nothing."""
    sandbox.post_faults({"fault": "disconnect_after", "after_bytes": 12})
    assert exchange(sandbox, BULK, TWO) == b"HTTP/1.1 207"


@pytest.mark.parametrize(("encoding", "bits"), [("gzip", 31), ("deflate", 15)])
def test_compressed_bomb(sandbox: SandboxProcess, encoding: str, bits: int) -> None:
    """A small body is a valid stream that unpacks to the asked size."""
    sandbox.post_faults({"fault": "compressed_bomb", "megabytes": 8, "encoding": encoding})
    answer = post(sandbox, BULK, TWO)
    assert answer.headers["content-encoding"] == encoding
    assert len(answer.body) < 20_000
    unpacker = zlib.decompressobj(bits)
    assert unpacker.decompress(answer.body) == b" " * (8 << 20)
    assert unpacker.eof


def test_endless(sandbox: SandboxProcess) -> None:
    """The body goes on far beyond what any client should read."""
    sandbox.post_faults({"fault": "endless", "megabytes": 1000})
    assert len(exchange(sandbox, BULK, TWO, most=5 << 20)) >= 5 << 20
    assert accepted(sandbox) == 2


@pytest.mark.parametrize("lines", [1, 200])
def test_huge_headers(sandbox: SandboxProcess, lines: int) -> None:
    """Headers of a megabyte before the true body."""
    sandbox.post_faults({"fault": "huge_headers", "bytes": 1 << 20, "lines": lines})
    headers, body = parts(exchange(sandbox, BULK, TWO))
    assert len(headers) >= lines
    assert sum(map(len, headers.values())) > 1_000_000
    assert b'"records"' in body


def test_not_http(sandbox: SandboxProcess) -> None:
    """Bytes that no HTTP client can read as an answer."""
    sandbox.post_faults({"fault": "not_http"})
    with pytest.raises(http.client.BadStatusLine):
        post(sandbox, BULK, TWO)


def test_redirect(sandbox: SandboxProcess) -> None:
    """A redirect to where it was asked to point, with nothing taken."""
    sandbox.post_faults({"fault": "redirect", "status": 302, "location": "https://example.com/x"})
    answer = post(sandbox, BULK, TWO)
    assert (answer.status, answer.headers["location"]) == (302, "https://example.com/x")
    assert accepted(sandbox) == 0


SPOILT: list[Callable[[], dict[str, Any]]] = [
    lambda: {"fault": "truncate"},
    lambda: {"fault": "wrong_count", "by": 1},
    lambda: {"fault": "disconnect_after"},
]


@pytest.mark.parametrize("fault", SPOILT)
def test_a_fault_never_lets_in_who_is_not_known(sandbox: SandboxProcess, fault: Callable[[], dict[str, Any]]) -> None:
    """A struck call with a wrong signature takes nothing, and says so."""
    sandbox.post_faults(fault())
    with suppress(http.client.HTTPException, OSError):
        post(sandbox, BULK, TWO, {"Authorization": "nobody:x", "Date": "now"})
    assert accepted(sandbox) == 0
    assert last_call(sandbox)["not_applied"] == 2


def test_after_a_fault_connections_go_on(sandbox: SandboxProcess) -> None:
    """A spoilt answer that is well-formed HTTP keeps the connection, and the next call on it is answered truly."""
    sandbox.post_faults({"fault": "status", "status": 503, "when": {"calls": 1}})
    with connect(sandbox) as connection:
        for expected in (b"HTTP/1.1 503", b"HTTP/1.1 207"):
            connection.sendall(request(sandbox, BULK, TWO))
            assert connection.recv(65_536).startswith(expected)
