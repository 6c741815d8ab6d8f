from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from bridge.suprsend import AsyncClient, Client, CredentialsError, EndpointError, Event, EventError
from bridge.suprsend.client import BulkResult
from tests.suprsend.driving import DATA
from tests.suprsend.raw_server import Peer, RawServer

SCHEMA = jsonschema.Draft7Validator(json.loads((files("suprsend") / "request_json" / "event.json").read_text()))
KEY, SECRET = "workspaceKeyOfTests0123", "hidden-secret-of-tests"
Answer = tuple[str, object]
Decide = Callable[[Any, int], Answer]
"""From the parsed body of a call and its number to status and body of the answer."""


def accepted(body: Any, _number: int) -> Answer:
    if isinstance(body, dict):
        return "202 X", {"status": "success", "message_id": f"m-{body['distinct_id']}"}
    return "207 X", {"status": "success", "records": [record(event, 202) for event in body]}


def record(event: dict[str, Any], code: int, type_: str = "x", message: str = "y") -> dict[str, Any]:
    if code == 202:
        return {"status": "success", "message_id": f"m-{event['distinct_id']}", "status_code": code}
    return {"status": "error", "status_code": code, "error": {"type": type_, "message": message}}


def server(decide: Decide, tls: ssl.SSLContext | None = None) -> RawServer:
    lock, count = threading.Lock(), [0]

    def script(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            with lock:
                count[0] += 1
                status, body = decide(json.loads(request.body), count[0])
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            if not peer.answer(status, data):
                return

    return RawServer(script, tls)


def client(where: RawServer, **options: Any) -> Client:
    return Client(KEY, SECRET, base_url=where.url, **options)


def events(count: int, **more: Any) -> list[Event]:
    return [Event(f"user_{number}", "order_placed", {"n": number}, **more) for number in range(count)]


def sent(where: RawServer) -> list[dict[str, Any]]:
    """Every event that arrived, in order of the calls, repeats included."""
    bodies = [json.loads(request.body) for request in where.requests]
    return [event for body in bodies for event in (body if isinstance(body, list) else [body])]


def test_one_event() -> None:
    """One event goes to the single end point, signed, and its message id comes back; its JSON passes the schema."""
    with server(accepted) as where, client(where) as made:
        event = Event("user_1", "order_placed", {"a": 1}, tenant_id="acme")
        event.add_attachment("https://example.com/a.pdf", "a.pdf")
        assert made.track_event(event) == {
            "success": True,
            "status": "success",
            "status_code": 202,
            "message": "m-user_1",
        }
    assert where.requests[0].line == "POST /v2/event/ HTTP/1.1"
    SCHEMA.validate(sent(where)[0])
    assert sent(where)[0]["env"] == KEY


def test_an_api_key_instead_of_signing() -> None:
    """With an API key the call carries it as Bearer, and the events carry the workspace's UID."""
    uid, token = "workspaceUidOfTests0123", "token-of-tests"
    with server(accepted) as where, Client.with_api_key(uid, token, base_url=where.url) as made:
        assert made.track_event(events(1)[0])["success"]
    assert where.requests[0].header("authorization") == "Bearer token-of-tests"
    assert sent(where)[0]["env"] == "workspaceUidOfTests0123"


def test_many_events_are_each_sent_once() -> None:
    """Any number of appended events go out in calls of at most 100, each once, also those appended after a trigger."""
    with server(accepted) as where, client(where) as made:
        bulk = made.bulk_events.new_instance()
        assert bulk.trigger() == {
            "status": "success",
            "total": 0,
            "success": 0,
            "failure": 0,
            "failed_records": [],
            "warnings": [],
        }
        bulk.append(*events(230))
        bulk.append(*events(20))
        assert len(bulk) == 250
        result = bulk.trigger()
        assert (result["status"], result["total"], result["success"]) == ("success", 250, 250)
        bulk.append(*events(1))
        assert bulk.trigger()["total"] == 1
        assert bulk.trigger()["total"] == 0
    sizes = Counter(len(json.loads(request.body)) for request in where.requests)
    assert sizes == {100: 2, 50: 1, 1: 1}
    assert len(sent(where)) == len({event["$insert_id"] for event in sent(where)}) == 251
    for event in sent(where):
        SCHEMA.validate(event)


def test_twenty_thousand_events() -> None:
    """A bulk of 20,000 events (the official SDK recurses per chunk and fails on such) is sent whole."""
    with server(accepted) as where, client(where) as made:
        bulk = made.bulk_events.new_instance()
        bulk.append(*events(20_000))
        assert bulk.trigger()["success"] == 20_000
    assert len(where.requests) == 200


def test_a_mixed_answer() -> None:
    """Failed records are listed in order with the JSON that was sent, the reason and the code; the rest succeeded."""

    def decide(body: Any, _number: int) -> Answer:
        failing = {"user_1": 404, "user_150": 422}
        return "207 X", {"status": "success", "records": [record(e, failing.get(e["distinct_id"], 202)) for e in body]}

    with server(decide) as where, client(where) as made:
        bulk = made.bulk_events.new_instance()
        bulk.append(*events(200))
        result = bulk.trigger()
    assert (result["status"], result["total"], result["success"], result["failure"]) == ("partial", 200, 198, 2)
    assert [(one["record"]["distinct_id"], one["error"], one["code"]) for one in result["failed_records"]] == [
        ("user_1", "x: y", 404),
        ("user_150", "x: y", 422),
    ]
    assert len(where.requests) == 2


def test_only_what_failed_is_tried_again() -> None:
    """After a mixed answer only the transient records go out again, with the same bytes; accepted ones never."""

    def decide(body: Any, number: int) -> Answer:
        codes = {"user_1": 503} if number == 1 else {}
        return "207 X", {"status": "success", "records": [record(e, codes.get(e["distinct_id"], 202)) for e in body]}

    with server(decide) as where, client(where) as made:
        bulk = made.bulk_events.new_instance()
        bulk.append(*events(3))
        assert bulk.trigger()["status"] == "success"
    assert Counter(event["distinct_id"] for event in sent(where)) == {"user_0": 1, "user_1": 2, "user_2": 1}
    first, second = (event for event in sent(where) if event["distinct_id"] == "user_1")
    assert first == second


def test_a_refused_call_is_split() -> None:
    """One poison event in a call refused as a whole is found by halving: it fails, all others are accepted."""

    def decide(body: Any, _number: int) -> Answer:
        if any(event["distinct_id"] == "user_37" for event in body):
            return "400 X", {"status": "error", "error": {"type": "bad", "message": "poison"}}
        return accepted(body, 0)

    with server(decide) as where, client(where) as made:
        bulk = made.bulk_events.new_instance()
        bulk.append(*events(100))
        result = bulk.trigger()
    assert (result["success"], result["failure"]) == (99, 1)
    assert result["failed_records"][0]["record"]["distinct_id"] == "user_37"
    assert result["failed_records"][0]["code"] == 400
    assert len(where.requests) <= 1 + 2 * 7


@pytest.mark.parametrize(
    ("status", "body", "calls"),
    [
        ("502 X", b"<html>Bad Gateway</html>", 2),
        ("429 X", b"", 2),
        ("200 X", b"OK", 2),
        ("200 X", b'"OK"', 2),
        ("200 X", b'{"status":"success","records":[', 2),
        ("207 X", {"status": "success", "records": []}, 2),
        ("400 X", {"status": "error", "error": {"message": "no", "type": "t"}}, 1),
        ("400 X", {"message": "no"}, 1),
        ("401 X", {"code": 401, "message": "who?"}, 1),
        ("301 X", b"", 1),
        ("200 X", b"\xff\xfe", 2),
        ("200 X", b"[1]", 2),
        ("200 X", b"null", 2),
    ],
)
def test_no_answer_raises(status: str, body: object, calls: int) -> None:
    """HTML, emptiness, truncation, wrong counts and foreign errors end in a failed result, not in an exception."""
    with server(lambda _body, _number: (status, body)) as where, client(where, attempts=2) as made:
        alone = made.track_event(events(1)[0])
        bulk = made.bulk_events.new_instance()
        bulk.append(events(1)[0])
        together = bulk.trigger()
    assert (alone["success"], alone["status"], alone["status_code"]) == (False, "fail", int(status[:3]))
    assert alone["message"]
    assert (together["status"], together["failure"]) == ("fail", 1)
    assert together["failed_records"][0]["code"] == int(status[:3])
    assert len(where.requests) == 2 * calls


def test_nobody_there() -> None:
    """A refused connection is a failed result with code 500, as in the official SDKs, and says what happened."""
    with server(accepted) as where:
        url = where.url
    with Client(KEY, SECRET, base_url=url, attempts=2) as made:
        result = made.track_event(events(1)[0])
    assert (result["success"], result["status_code"]) == (False, 500)
    host = url.removeprefix("http://").rstrip("/")
    text = f"connect: base_url's host refuses the connection: nothing listens there ({host}); check base_url"
    assert result["message"] == text
    assert SECRET not in repr(result)


def test_a_transient_failure_is_ridden_out() -> None:
    """A 503 and a 429 with Retry-After are tried again with the same bytes until the event is accepted."""

    def decide(body: Any, number: int) -> Answer:
        return accepted(body, 0) if number > 2 else (("503 X", b""), ("429 X\r\nRetry-After: 0", b""))[number - 1]

    with server(decide) as where, client(where) as made:
        assert made.track_event(events(1)[0])["success"]
    assert len({request.body for request in where.requests}) == 1
    assert len(where.requests) == 3


def test_the_same_event_keeps_its_key() -> None:
    """Tracking one Event twice sends the same key, insert id and time, so SuprSend notifies once."""
    with server(accepted) as where, client(where) as made:
        event = events(1)[0]
        made.track_event(event)
        made.track_event(event)
    assert where.requests[0].body == where.requests[1].body


def test_too_large_an_event() -> None:
    """An event over the limit is refused with code 413 without a call; its neighbours are sent."""
    with server(accepted) as where, client(where, max_event_bytes=1_000) as made:
        large = Event("big", "order_placed", {"a": "x" * 1_000})
        assert made.track_event(large)["status_code"] == 413
        assert where.requests == []
        bulk = made.bulk_events.new_instance()
        bulk.append(events(1)[0], large, events(1)[0])
        result = bulk.trigger()
    assert (result["status"], result["success"], result["failure"]) == ("partial", 2, 1)
    assert result["failed_records"][0]["record"]["distinct_id"] == "big"
    assert [len(json.loads(request.body)) for request in where.requests] == [2]


def test_many_threads_share_a_client() -> None:
    """A client serves several threads at once over the calls it may have side by side, each with its own result."""
    with server(accepted) as where, client(where, max_in_flight=2) as made:
        found: list[str] = []

        def track(number: int) -> None:
            found.append(made.track_event(Event(f"user_{number}", "order_placed"))["message"])

        threads = [threading.Thread(target=track, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert sorted(found) == sorted(f"m-user_{number}" for number in range(20))
        assert where.connections <= 2


def test_asyncio() -> None:
    """The same calls for asyncio run side by side without blocking the loop."""

    async def main(url: str) -> None:
        async with AsyncClient(KEY, SECRET, base_url=url) as made:
            results = await asyncio.gather(*(made.track_event(event) for event in events(10)))
            assert [result["message"] for result in results] == [f"m-user_{number}" for number in range(10)]
            bulk = made.bulk_events.new_instance()
            bulk.append(*events(150))
            result = await bulk.trigger()
            assert (result["status"], result["success"]) == ("success", 150)

    with server(accepted) as where:
        asyncio.run(main(where.url))


def test_asyncio_cancelled() -> None:
    """Cancelling a task that waits for an answer leaves the client usable."""
    arrived, release = threading.Event(), threading.Event()

    def decide(body: Any, number: int) -> Answer:
        arrived.set()
        if number == 1:
            release.wait(120)
        return accepted(body, 0)

    async def main(url: str) -> None:
        async with AsyncClient(KEY, SECRET, base_url=url) as made:
            task = asyncio.create_task(made.track_event(events(1)[0]))
            await asyncio.to_thread(arrived.wait, 120)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            release.set()
            assert (await made.track_event(events(2)[1]))["message"] == "m-user_1"

    with server(decide) as where:
        asyncio.run(main(where.url))


def test_a_bulk_that_timed_out_keeps_its_events() -> None:
    """A trigger that is cancelled tells nothing of its events: the next one sends them again, the same bytes, and reports all."""
    arrived, release = threading.Event(), threading.Event()

    def decide(body: Any, number: int) -> Answer:
        arrived.set()
        if number == 1:
            release.wait(120)
        return accepted(body, 0)

    async def main(url: str) -> None:
        async with AsyncClient(KEY, SECRET, base_url=url, max_in_flight=1) as made:
            bulk = made.bulk_events.new_instance()
            bulk.append(*events(150))
            task = asyncio.create_task(bulk.trigger())
            await asyncio.to_thread(arrived.wait, 120)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(bulk) == 150
            bulk.append(*events(1))
            release.set()
            result = await bulk.trigger()
            assert (result["status"], result["total"], result["success"]) == ("success", 151, 151)
            assert (await bulk.trigger())["total"] == 0

    with server(decide) as where:
        asyncio.run(main(where.url))
    bodies = [json.loads(request.body) for request in where.requests]
    assert [len(body) for body in bodies] == [100, 100, 51]
    assert bodies[0] == bodies[1]


def test_closing_ends_what_waits() -> None:
    """Closing a client finishes waiting calls as failed; afterwards it refuses to send."""

    def hang(peer: Peer) -> None:
        peer.request()
        peer.request()

    with RawServer(hang) as where:
        made = client(where)
        results: list[bool] = []
        thread = threading.Thread(target=lambda: results.append(made.track_event(events(1)[0])["success"]))
        thread.start()
        while not where.requests:
            thread.join(0.01)
        made.close()
        thread.join(120)
        assert results == [False]
        made.close()
        with pytest.raises(RuntimeError, match="closed"):
            made.track_event(events(1)[0])


def test_closing_says_unknown_of_what_is_out_and_not_sent_of_what_is_not() -> None:
    """Of a call that is out when the client is closed the result is unknown; only what never went out is `not sent`."""
    arrived = threading.Event()

    def hang(peer: Peer) -> None:
        peer.request()
        arrived.set()
        peer.request()

    with RawServer(hang) as where:
        made = client(where, max_in_flight=1)
        results: list[BulkResult] = []

        def trigger() -> None:
            bulk = made.bulk_events.new_instance()
            bulk.append(*events(150))
            results.append(bulk.trigger())

        thread = threading.Thread(target=trigger)
        thread.start()
        assert arrived.wait(120)
        made.close()
        thread.join(120)
    told = Counter(failed["error"] for failed in results[0]["failed_records"])
    unknown = "unknown: the client was closed before the answer came; the event may have been accepted"
    assert told == {unknown: 100, "not sent": 50}


def test_a_bulk_keeps_its_client() -> None:
    """A bulk of a client that nobody else holds is sent: `Client(…).bulk_events.new_instance()` works in one line."""
    with server(accepted) as where:
        bulk = client(where).bulk_events.new_instance()
        bulk.append(*events(2))
        assert bulk.trigger()["success"] == 2

        async def main() -> None:
            bulk = AsyncClient(KEY, SECRET, base_url=where.url).bulk_events.new_instance()
            bulk.append(*events(2))
            assert (await bulk.trigger())["success"] == 2

        asyncio.run(main())


def test_a_forked_process_has_its_own_connections() -> None:
    """A process forked from one that has a client can use the client: it gets its own thread and connection."""
    with server(accepted) as where, client(where) as made:
        assert made.track_event(events(1)[0])["success"]
        child = os.fork()
        if child == 0:
            os._exit(0 if made.track_event(events(1)[0])["success"] else 1)
        _pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert made.track_event(events(1)[0])["success"]
        assert where.connections == 2


def test_children_forked_while_a_thread_sends_never_hang() -> None:
    """Each of 160 children, forked while other threads send with the same client, sends with it, too, and ends."""
    done = threading.Event()

    def keep_sending() -> None:
        while not done.is_set():
            assert made.track_event(events(1)[0])["success"]

    def child() -> int:
        pid = os.fork()
        if pid == 0:
            signal.alarm(120)
            os._exit(0 if made.track_event(events(1)[0])["success"] else 1)
        return pid

    with server(accepted) as where, client(where) as made:
        threads = [threading.Thread(target=keep_sending) for _ in range(3)]
        for thread in threads:
            thread.start()
        ended = Counter(
            os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for _ in range(16) for pid in [child() for _ in range(10)]
        )
        done.set()
        for thread in threads:
            thread.join(120)
    assert ended == {0: 160}
    assert not any(thread.is_alive() for thread in threads)


FORKS = """
import os, sys
from bridge.suprsend import Client, Event

made = Client(sys.argv[1], "hidden-secret-of-tests", base_url=sys.argv[2], ca_file=sys.argv[3])
assert made.track_event(Event("parent", "order_placed"))["success"]
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert made.track_event(Event("parent", "order_placed"))["success"]
else:
    assert made.track_event(Event("child", "order_placed"))["success"]
"""


def test_a_child_leaves_the_tls_of_its_parent_alone() -> None:
    """A forked child that used the client and ended as programs do has not ended TLS on its parent's connection."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(DATA / "server.pem", DATA / "server.key")
    with server(accepted, tls) as where:
        program([FORKS, KEY, where.url, str(DATA / "ca.pem")])
        assert [event["distinct_id"] for event in sent(where)] == ["parent", "child", "parent"]
        assert where.connections == 2


def program(arguments: list[str]) -> str:
    """Runs a program in a process of its own; returns what it printed."""
    ran = subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


GREEN = """
from gevent import monkey

monkey.patch_all(%s)
from bridge.suprsend import Client, Event

try:
    made = Client("workspaceKeyOfTests0123", "hidden-secret-of-tests", base_url="http://127.0.0.1:9", attempts=1)
    print(made.track_event(Event("user_1", "order_placed"))["message"])
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize("patched", ["", "thread=False", "select=False"])
def test_under_gevent_a_client_says_at_once_that_it_cannot_be(patched: str) -> None:
    """Where gevent has replaced threads or `select`, making a client raises one line with what to do instead."""
    assert program([GREEN % patched]) == (
        "gevent has replaced threads or select, and this client needs the real ones; "
        "call monkey.patch_all(thread=False, select=False), or send from a process of its own\n"
    )


def test_beside_gevent_with_real_threads_a_client_works() -> None:
    """What the line says to do helps: with real threads and the real `select` a client sends."""
    assert program([GREEN % "thread=False, select=False"]).startswith("connect: base_url's host refuses the connection")


def test_no_secret_is_shown() -> None:
    """Neither a client nor a bulk nor an error shows the secret."""
    made = Client(KEY, SECRET, proxy="http://user:pass-word@127.0.0.1:9")
    for text in (repr(made), str(made), repr(made.bulk_events), repr(made.bulk_events.new_instance())):
        assert SECRET not in text
        assert "pass-word" not in text


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Client("short", SECRET), CredentialsError),
        (lambda: Client(KEY, ""), CredentialsError),
        (lambda: Client(KEY, SECRET, base_url="hub"), EndpointError),
        (lambda: Client(KEY, SECRET, ca_file="/none"), EndpointError),
        (lambda: Client(KEY, SECRET, max_event_bytes=819_201), ValueError),
        (lambda: Client(KEY, SECRET, attempts=0), ValueError),
        (lambda: Client(KEY, SECRET).track_event({"event": "x"}), EventError),  # type: ignore[arg-type]
        (lambda: Client(KEY, SECRET).bulk_events.new_instance().append("x"), EventError),  # type: ignore[arg-type]
    ],
)
def test_mistakes_raise_at_once(make: Callable[[], object], error: type[Exception]) -> None:
    """A mistake of the caller raises a ValueError with a message before anything is sent."""
    with pytest.raises(error) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert SECRET not in str(caught.value)
