"""The official SDK, unmodified, against the sandbox."""

from __future__ import annotations

from typing import Any

import pytest
import suprsend
from suprsend import Event

from bridge.sandbox.process import SandboxProcess


def clients(sandbox: SandboxProcess) -> dict[str, Any]:
    """Both ways in."""
    workspace = sandbox.workspace
    signed = suprsend.Suprsend(workspace.key, workspace.secret, base_url=sandbox.url)
    prefixed = suprsend.Suprsend(workspace.key, workspace.secret, base_url=sandbox.url + "proxy/path")
    bearer = suprsend.Suprsend.with_workspace_api_key(workspace.uid, workspace.api_key, base_url=sandbox.url)
    return {"hmac": signed, "prefixed": prefixed, "bearer": bearer}


@pytest.mark.parametrize("way", ["hmac", "prefixed", "bearer"])
def test_a_single_event_is_accepted(sandbox: SandboxProcess, way: str) -> None:
    """A single event by the official SDK succeeds and is kept with all that the SDK added."""
    made = Event(
        "customer-é", "order placed", {"total": 12.5, "näme": "Zoë 🎉"}, idempotency_key="k-1", tenant_id="acme"
    )
    made.add_attachment("https://example.com/invoice.pdf", file_name="invoice.pdf")
    answer = clients(sandbox)[way].track_event(made)
    assert answer["success"] is True
    assert answer["status_code"] == 202
    (kept,) = sandbox.events()
    assert kept["key"] == "k-1"
    assert kept["body"]["properties"]["näme"] == "Zoë 🎉"
    assert kept["body"]["properties"]["$attachments"][0]["url"] == "https://example.com/invoice.pdf"
    assert "$ss_sdk_version" in kept["body"]["properties"]


@pytest.mark.parametrize("way", ["hmac", "bearer"])
def test_a_bulk_of_many_is_accepted_in_chunks(sandbox: SandboxProcess, way: str) -> None:
    """Two hundred and fifty events by the SDK's bulk helper arrive in three calls and all succeed."""
    bulk = clients(sandbox)[way].bulk_events.new_instance()
    bulk.append(*(Event(f"c-{n}", "order placed", {"n": n, "lines": [{"a": 1}, {"a": 2}]}) for n in range(250)))
    answer = bulk.trigger()
    assert (answer.status, answer.total, answer.success, answer.failure) == ("success", 250, 250, 0)
    assert [call["events"] for call in sandbox.calls()] == [100, 100, 50]
    assert [kept["body"]["properties"]["n"] for kept in sandbox.events()] == list(range(250))


def test_a_bulk_with_refused_records_is_partial(sandbox: SandboxProcess) -> None:
    """A record that the server side refuses is listed by the SDK as failed, with its own code and message."""
    sandbox.post_faults({"fault": "reject", "status_code": 404, "type": "not_found", "message": "user not found",
                         "when": {"match": {"distinct_id": {"equals": "c-1"}}}})  # fmt: skip
    bulk = clients(sandbox)["hmac"].bulk_events.new_instance()
    bulk.append(*(Event(f"c-{n}", "order placed", {}) for n in range(3)))
    answer = bulk.trigger()
    assert (answer.status, answer.success, answer.failure) == ("partial", 2, 1)
    (failed,) = answer.failed_records
    assert (failed["record"]["distinct_id"], failed["code"], failed["error"]) == ("c-1", 404, "user not found")


def test_what_is_not_allowed_fails(sandbox: SandboxProcess) -> None:
    """A property key that begins with `$` passes the SDK and is refused by the server, with its message."""
    answer = clients(sandbox)["hmac"].track_event(Event("c-1", "order placed", {"$mine": 1}))
    assert answer["success"] is False
    assert answer["status_code"] == 400
    assert "property keys" in answer["message"]


def test_wrong_credentials_fail(sandbox: SandboxProcess) -> None:
    """A wrong secret is a 401 whose message the SDK can read."""
    client = suprsend.Suprsend(sandbox.workspace.key, "another-secret", base_url=sandbox.url)
    answer = client.track_event(Event("c-1", "order placed", {}))
    assert (answer["success"], answer["status_code"]) == (False, 401)
    assert answer["message"] == "signature does not match"
