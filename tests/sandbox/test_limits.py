"""Every documented limit, at its edge: what just fits is accepted, one more is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bridge.sandbox.process import SandboxProcess
from bridge.sandbox.workspaces import EXAMPLE
from tests.sandbox.raw import BULK, SINGLE, V1, event, packed, post

ENV = EXAMPLE.key


def sized(total: int) -> dict[str, Any]:
    """A full event whose compact JSON has exactly so many bytes."""
    bare = len(packed(event(ENV, properties={"pad": ""})))
    return event(ENV, properties={"pad": "x" * (total - bare)})


def attached(**attachment: object) -> dict[str, Any]:
    """A full event with one attachment."""
    return event(ENV, properties={"$attachments": [attachment]})


FITS: dict[str, dict[str, Any]] = {
    "102,400 bytes": sized(102_400),
    "key of 255": event(ENV, **{"$idempotency_key": "k" * 255}),
    "null key": {**event(ENV), "$idempotency_key": None},
    "insert id of 36": event(ENV, **{"$insert_id": "i" * 36}),
    "first moment": event(ENV, **{"$time": 1_640_995_200_000}),
    "name of two": event(ENV, "ab"),
    "name with s": event(ENV, "shop_opened"),
    "sdk name": event(ENV, "$user_login"),
    "tenant of 64": event(ENV, tenant_id="Te-_9" + "t" * 59),
    "null tenant": {**event(ENV), "tenant_id": None, "brand_id": None},
    "brand": event(ENV, brand_id="default"),
    "nested keys are free": event(ENV, properties={"a": {"$b": 1, "ss_c": 2}}),
    "newline in a key": event(ENV, properties={"a\n$b": 1}),
    "sdk's own keys": event(ENV, properties={"$ss_sdk_version": "sdk/1", "$attachments": []}),
    "url attachment": attached(url="https://example.com/a.pdf", filename=None, contentType=None, data=None),
    "base64 attachment": attached(data=base64.b64encode(b"x" * 38_397).decode(), filename="a.txt", url=None),
    "extra field": event(ENV, extra=1),
}
REFUSED: dict[str, dict[str, Any]] = {
    "102,401 bytes": sized(102_401),
    "key of 256": event(ENV, **{"$idempotency_key": "k" * 256}),
    "key a number": event(ENV, **{"$idempotency_key": 1}),
    "insert id of 35": event(ENV, **{"$insert_id": "i" * 35}),
    "no insert id": event(ENV, **{"$insert_id": None}),
    "before 2022": event(ENV, **{"$time": 1_640_995_199_999}),
    "time as text": event(ENV, **{"$time": "1700000000000"}),
    "time as a boolean": event(ENV, **{"$time": True}),
    "no time": event(ENV, **{"$time": None}),
    "name of one": event(ENV, "a"),
    "no name": event(ENV, event=None),
    "reserved name": event(ENV, "$mine"),
    "reserved prefix": event(ENV, "SS_mine"),
    "reserved behind a tab": event(ENV, "\tss_mine"),
    "blank recipient": event(ENV, distinct_id="  "),
    "recipient a number": event(ENV, distinct_id=7),
    "no recipient": event(ENV, distinct_id=None),
    "another env": event("another-workspace-key-1"),
    "no env": event(ENV, env=None),
    "no properties": event(ENV, properties=None),
    "properties a list": event(ENV, properties=[]),
    "property with $": event(ENV, properties={"a": 1, "$b": 2}),
    "property with ss_": event(ENV, properties={"ss_b": 2}),
    "tenant of 65": event(ENV, tenant_id="t" * 65),
    "tenant with a space": event(ENV, tenant_id="a b"),
    "brand of 65": event(ENV, brand_id="t" * 65),
    "attachments no list": event(ENV, properties={"$attachments": {}}),
    "attachment no object": event(ENV, properties={"$attachments": ["a.pdf"]}),
    "attachment a file": attached(url="/etc/hostname"),
    "attachment of nothing": attached(filename="a"),
    "attachment no base64": attached(data="*" * 8, filename="a"),
    "attachment of 50 KB": attached(data=base64.b64encode(b"x" * 38_400).decode(), filename="a"),
}


@pytest.mark.parametrize("case", FITS)
def test_what_fits_is_accepted(sandbox: SandboxProcess, case: str) -> None:
    """An event at the edge of a limit is accepted by the single and the bulk path."""
    assert post(sandbox, SINGLE, FITS[case]).status == 202
    (record,) = post(sandbox, BULK, [FITS[case]]).json()["records"]
    assert (record["status"], record["status_code"]) == ("success", 202)
    assert record["message_id"]


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(sandbox: SandboxProcess, case: str) -> None:
    """An event beyond a limit is refused alone in a bulk call, and whole as a single one."""
    answer = post(sandbox, BULK, [event(ENV), REFUSED[case], event(ENV)])
    assert answer.status == 207
    assert answer.json()["status"] == "success"
    assert [record["status"] for record in answer.json()["records"]] == ["success", "error", "success"]
    refused = answer.json()["records"][1]
    assert refused["status_code"] == (413 if "bytes" in case or "50 KB" in case else 400)
    assert set(refused["error"]) == {"message", "type"}
    single = post(sandbox, SINGLE, REFUSED[case])
    assert single.status == refused["status_code"]
    assert single.json() == {"status": "error", "error": refused["error"]}
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["refused"], stats["received"]) == (2, 2, 4)


def test_a_bulk_call_holds_at_most_100_events(sandbox: SandboxProcess) -> None:
    """A hundred events are taken, a hundred and one refuse the whole call."""
    assert post(sandbox, BULK, [event(ENV)] * 100).status == 207
    answer = post(sandbox, BULK, [event(ENV)] * 101)
    assert (answer.status, answer.json()["status"]) == (413, "error")
    assert "records" not in answer.json()
    assert sandbox.stats()["events"]["accepted"] == 100


def test_a_body_holds_at_most_819200_bytes(sandbox: SandboxProcess) -> None:
    """The body as sent, brackets and commas included, is what counts."""
    events = [sized(102_399)] * 8
    assert len(packed(events)) == 819_201
    assert post(sandbox, BULK, events).status == 413
    fitting = packed([*events[:7], sized(102_398)])
    assert len(fitting) == 819_200
    assert post(sandbox, BULK, fitting).status == 207


WRONG_BODIES = [
    (BULK, b""), (BULK, b"   "), (BULK, b"[]"), (BULK, b"{}"), (BULK, b"[{"), (BULK, b"[NaN]"), (BULK, b"nonsense"),
    (BULK, b"\xff\xfe"), (BULK, b"[" * 100_000), (BULK, b"null"), (SINGLE, b""), (SINGLE, b"[{}]"), (SINGLE, b"1"),
    (SINGLE, b'"x"'), (SINGLE, b"{} {}"), (V1, b""), (V1, b"[]"), (V1, b"null"), (V1, b'{"event":"\\ud800"}'),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), WRONG_BODIES, ids=[f"{path} {body[:12]!r}" for path, body in WRONG_BODIES])
def test_a_body_that_is_none_is_refused_whole(sandbox: SandboxProcess, path: str, body: bytes) -> None:
    """A body of the wrong form is a 400 in the contract's error shape."""
    answer = post(sandbox, path, body)
    assert answer.status == 400
    assert answer.json()["status"] == "error"
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("item", [None, 1, "x", [], {}])
def test_an_item_that_is_no_event_is_refused_alone(sandbox: SandboxProcess, item: object) -> None:
    """A bulk item of the wrong type does not drag the others along."""
    records = post(sandbox, BULK, [event(ENV), item]).json()["records"]
    assert [record["status"] for record in records] == ["success", "error"]


def test_v1_takes_the_short_body_and_arrays(sandbox: SandboxProcess) -> None:
    """`/event/` takes an event of two fields, and an array as Node sends it, with 202 and `OK`."""
    short = {"event": "order_placed", "distinct_id": "customer-1"}
    for value in (short, [short, event(ENV)]):
        answer = post(sandbox, V1, value)
        assert (answer.status, answer.json()) == (202, "OK")
    assert sandbox.stats()["events"]["accepted"] == 3
    assert post(sandbox, V1, {**short, "env": "another-workspace-key-1"}).status == 400


def test_v1_takes_an_array_whole_or_not_at_all(sandbox: SandboxProcess) -> None:
    """With no results per record in its answer, one wrong event of an array refuses all."""
    short = {"event": "order_placed", "distinct_id": "customer-1"}
    assert post(sandbox, V1, [short, {"event": "order_placed"}]).status == 400
    assert sandbox.stats()["events"]["accepted"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", BULK, 405), ("POST", "/trigger/", 404), ("POST", "/v2/event", 404), ("GET", "/x", 404)],
)
def test_other_paths_and_methods(sandbox: SandboxProcess, method: str, path: str, status: int) -> None:
    """What is not part of the event API is answered with 404 or 405 in JSON."""
    import http.client

    host = sandbox.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request(method, path)
    answer = connection.getresponse()
    assert answer.status == status
    assert b'"error"' in answer.read()
    connection.close()


def test_a_compressed_request_is_refused(sandbox: SandboxProcess) -> None:
    """A request body that claims to be compressed is not unpacked."""
    answer = post(sandbox, BULK, b"\x1f\x8b", {"Content-Encoding": "gzip"})
    assert answer.status == 415
