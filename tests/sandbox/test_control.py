"""What the sandbox tells of what it received."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import pytest

from bridge.sandbox.answers import CallCounts
from bridge.sandbox.api import Api, SandboxLimits
from bridge.sandbox.call import ApiCall, ApiPath
from bridge.sandbox.memory import KEPT_EVENTS, Clock, Memory
from bridge.sandbox.process import SandboxError, SandboxProcess
from bridge.sandbox.workspaces import EXAMPLE, Workspaces
from tests.sandbox.raw import BULK, SINGLE, bearer_headers, event, keyed, packed, post

ENV = EXAMPLE.key


def test_events_are_listed_in_order_and_filtered(sandbox: SandboxProcess) -> None:
    """Kept events come oldest first, page by page, and can be chosen by name, recipient and key."""
    for start in (0, 100, 200):
        post(sandbox, BULK, [keyed(ENV, f"k-{start + n}", f"name_{n % 2}", distinct_id=f"c-{n}") for n in range(100)])
    assert [kept["key"] for kept in sandbox.events(limit=7)] == [f"k-{n}" for n in range(300)]
    assert len(list(sandbox.events(event="name_1"))) == 150
    assert [kept["key"] for kept in sandbox.events(distinct_id="c-5")] == ["k-5", "k-105", "k-205"]
    (one,) = sandbox.events(key="k-17")
    assert one["body"] == keyed(ENV, "k-17", "name_1", distinct_id="c-17")
    newest = sandbox.call("GET", "/_sandbox/events?newest=1&limit=2")
    assert [kept["key"] for kept in newest["events"]] == ["k-299", "k-298"]
    assert sandbox.stats()["by_event"] == {"name_0": 150, "name_1": 150}


def test_bodies_come_back_as_they_were_sent(sandbox: SandboxProcess) -> None:
    """A kept body is given back byte for byte, numbers beyond 64 bits too."""
    body = packed(event(ENV)).replace(b'"order":1', b'"order": 123456789012345678901234567890.50')
    assert post(sandbox, SINGLE, body).status == 202
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://").rstrip("/"), timeout=120)
    connection.request("GET", "/_sandbox/events")
    assert body in connection.getresponse().read()
    connection.close()


def test_repeats_are_listed_on_request(sandbox: SandboxProcess) -> None:
    """The list shows what was accepted; repeats appear when asked for."""
    post(sandbox, BULK, [keyed(ENV, "k-1")])
    post(sandbox, BULK, [keyed(ENV, "k-1"), keyed(ENV, "k-2")])
    assert [kept["key"] for kept in sandbox.events()] == ["k-1", "k-2"]
    assert [kept["taken"] for kept in sandbox.events(taken="all")] == ["new", "identical", "new"]
    assert [kept["key"] for kept in sandbox.events(taken="repeats")] == ["k-1"]


def test_any_key_can_be_asked_for(sandbox: SandboxProcess) -> None:
    """Keys with slashes, spaces, percent signs and non-ASCII letters are found by their path."""
    for key in ("a/b:c", "50% off?", "ключ 🎉", "#1&2"):
        post(sandbox, BULK, [keyed(ENV, key)])
        assert sandbox.key(key)["keys"][0]["key"] == key
    with pytest.raises(SandboxError, match="404"):
        sandbox.key("a")


def test_calls_and_refusals_are_listed(sandbox: SandboxProcess) -> None:
    """Each call is listed with its path, status and what became of its events, each refusal with its reason."""
    post(sandbox, BULK, [keyed(ENV, "k-1"), keyed(ENV, "k-1"), keyed(ENV, "k-2", "$mine")])
    post(sandbox, SINGLE, b"{")
    first, second = sandbox.calls()
    assert (first["path"], first["status"], first["events"]) == (BULK, 207, 3)
    assert (first["accepted"], first["repeats"], first["refused"], first["fault"]) == (1, 1, 1, None)
    assert (second["path"], second["status"], second["events"]) == (SINGLE, 400, 0)
    assert sandbox.calls(after=first["number"]) == [second]
    (refusal,) = sandbox.call("GET", "/_sandbox/refusals")["refusals"]
    assert (refusal["key"], refusal["event"], refusal["status_code"]) == ("k-2", "$mine", 400)


def test_the_counters_add_up(sandbox: SandboxProcess) -> None:
    """Received is accepted and repeats and refused and not applied, whatever happened."""
    sandbox.post_faults({"fault": "status", "status": 503, "when": {"every": 4}},
                        {"fault": "reject", "share": 0.2}, {"fault": "truncate", "when": {"every": 5}})  # fmt: skip
    sent = 0
    for number in range(24):
        body = [keyed(ENV, f"k-{(number * 3 + at) % 50}", "ss_x" if at == 4 else "fine") for at in range(6)]
        sent += len(body)
        try:
            post(sandbox, BULK, body, bearer_headers(sandbox.workspace) if number % 7 == 0 else None)
        except http.client.IncompleteRead:
            continue
    counts = sandbox.stats()["events"]
    parts = ("accepted", "repeats_identical", "repeats_different", "refused", "not_applied")
    assert counts["received"] == sent == sum(counts[part] for part in parts)
    assert all(counts[part] for part in ("accepted", "repeats_identical", "refused", "not_applied"))
    for call in sandbox.calls():
        assert call["received"] == call["accepted"] + call["repeats"] + call["refused"] + call["not_applied"]


def test_reset_forgets_everything(sandbox: SandboxProcess) -> None:
    """After a reset there are no events, calls, faults, and the clock is real again."""
    post(sandbox, BULK, [keyed(ENV, "k-1")])
    sandbox.advance(90_000)
    sandbox.post_faults({"fault": "hang"})
    sandbox.reset()
    stats = sandbox.stats()
    assert (stats["events"]["received"], stats["keys"], stats["calls"]["total"], stats["kept"]) == (0, 0, 0, 0)
    assert stats["clock"]["ahead_seconds"] == 0
    assert sandbox.faults() == list(sandbox.keys()) == list(sandbox.events()) == sandbox.calls() == []


WRONG: list[tuple[str, str, object, int]] = [
    ("GET", "/_sandbox/nothing", None, 404),
    ("PUT", "/_sandbox/stats", None, 405),
    ("GET", "/_sandbox/events?limit=0", None, 400),
    ("GET", "/_sandbox/events?limit=x", None, 400),
    ("GET", "/_sandbox/events?limit=10001", None, 400),
    ("GET", "/_sandbox/events?after=-1", None, 400),
    ("GET", "/_sandbox/events?taken=some", None, 400),
    ("POST", "/_sandbox/clock", {"advance_seconds": -1}, 400),
    ("POST", "/_sandbox/clock", {"advance_seconds": True}, 400),
    ("POST", "/_sandbox/clock", {"advance_seconds": 1e300}, 400),
    ("POST", "/_sandbox/clock", {"advance": 1}, 400),
    ("POST", "/_sandbox/clock", None, 400),
    ("POST", "/_sandbox/workspaces", {"key": "new"}, 400),
    ("POST", "/_sandbox/workspaces", {"key": "new", "typo": 1}, 400),
    ("POST", "/_sandbox/workspaces", [], 400),
    ("DELETE", "/_sandbox/faults/x", None, 400),
]


@pytest.mark.parametrize(("method", "path", "value", "status"), WRONG)
def test_a_wrong_control_request_is_told_what_is_wrong(
    sandbox: SandboxProcess, method: str, path: str, value: object, status: int
) -> None:
    """A mistake is a 4xx with one line, never a 500."""
    with pytest.raises(SandboxError, match=rf': {status} {{"error":"[^"]'):
        sandbox.call(method, path, value)


def test_the_index_explains_every_fault(sandbox: SandboxProcess) -> None:
    """`/_sandbox` lists the paths, and every fault with what it does and its fields."""
    index = sandbox.call("GET", "/_sandbox")
    assert "POST /_sandbox/faults" in index["paths"]
    assert index["faults"]["drip"]["fields"]["bytes_per_second"] == "required"
    assert all(fault["what"].endswith(".") for fault in index["faults"].values())
    assert set(index["when"]) == {"match", "after", "until", "skip", "every", "probability", "calls"}


def test_the_page_is_served_and_needs_nothing_else(sandbox: SandboxProcess) -> None:
    """The page is one file without outside assets, under a policy that forbids them."""
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://").rstrip("/"), timeout=120)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in str(answer.getheader("Content-Security-Policy"))
    assert "http://" not in page
    assert "https://" not in page
    assert "innerHTML" not in page
    assert "/_sandbox/" in page


@pytest.fixture
def api() -> tuple[Callable[[list[dict[str, Any]]], CallCounts], Memory]:
    """The API without HTTP around it, for many events."""
    clock = Clock()
    memory = Memory(clock, 86_400)
    inner = Api(SandboxLimits(), Workspaces(EXAMPLE), memory, clock)

    def send(events: list[dict[str, Any]]) -> CallCounts:
        return inner.answer(ApiCall(ApiPath.BULK, BULK, bearer_headers(EXAMPLE), packed(events))).counts

    return send, memory


def test_the_last_10000_bodies_are_kept_and_every_key(
    api: tuple[Callable[[list[dict[str, Any]]], CallCounts], Memory],
) -> None:
    """Beyond 10,000 events the oldest bodies go, their keys and counts stay."""
    send, memory = api
    for start in range(0, KEPT_EVENTS + 500, 100):
        assert send([keyed(EXAMPLE.uid, f"k-{start + n}") for n in range(100)]) == CallCounts(100, 100)
    assert len(memory.kept) == KEPT_EVENTS
    assert memory.kept[0].key == "k-500"
    assert next(memory.recent(after=memory.kept[0].number)).key == "k-501"
    assert memory.keys() == KEPT_EVENTS + 500
    assert send([keyed(EXAMPLE.uid, "k-0")]) == CallCounts(1, 0, 1)


def test_large_bodies_are_bounded_too(
    api: tuple[Callable[[list[dict[str, Any]]], CallCounts], Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies kept whole never take more than a bound, however large the events are."""
    monkeypatch.setattr("bridge.sandbox.memory.KEPT_BYTES", 1_000_000)
    send, memory = api
    for number in range(30):
        send([keyed(EXAMPLE.uid, f"k-{number}", properties={"pad": "x" * 100_000})])
    assert sum(len(kept.body) for kept in memory.kept) <= 1_000_000
    assert memory.kept[-1].key == "k-29"
    assert memory.keys() == 30
