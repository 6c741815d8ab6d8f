"""HMAC and Bearer, checked for real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.sandbox.answers import Refusal
from bridge.sandbox.call import ApiCall, ApiPath
from bridge.sandbox.process import SandboxProcess
from bridge.sandbox.workspaces import EXAMPLE, Caller, Workspace, Workspaces
from bridge.suprsend.signing import http_date, signature
from tests.sandbox.raw import BULK, SINGLE, bearer_headers, event, hmac_headers, packed, post


def test_right_credentials_pass_both_ways(sandbox: SandboxProcess) -> None:
    """HMAC with the key as env and Bearer with the uid as env are both accepted."""
    workspace = sandbox.workspace
    assert post(sandbox, SINGLE, event(workspace.key)).status == 202
    assert post(sandbox, SINGLE, event(workspace.uid), bearer_headers(workspace)).status == 202


def test_the_query_and_prefix_are_part_of_what_is_signed(sandbox: SandboxProcess) -> None:
    """A call with a path prefix and a query passes when signed with them, and not when signed without."""
    made = event(sandbox.workspace.key)
    assert post(sandbox, "/pre/v2/event/?b=2&a=1%2F3", made).status == 202
    assert post(sandbox, "/pre/v2/event/", made, hmac_headers(sandbox.workspace, SINGLE, packed(made))).status == 401


CHANGES = {
    "no authorization": {"Authorization": ""},
    "no date": {"Date": ""},
    "another date": {"Date": "Wed, 15 Nov 2023 06:13:21 GMT"},
    "another content type": {"Content-Type": "application/json"},
    "unknown key": {"Authorization": "another-workspace-key-1:c2ln"},
    "empty signature": {"Authorization": EXAMPLE.key + ":"},
    "no colon": {"Authorization": EXAMPLE.key},
    "unknown api key": {"Authorization": "Bearer nobody"},
    "empty api key": {"Authorization": "Bearer "},
    "beyond ascii": {"Authorization": EXAMPLE.key + ":\xe9"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_anything_else_is_401(sandbox: SandboxProcess, change: str) -> None:
    """A call with one wrong credential is a 401 in the contract's error shape, and nothing of it is taken."""
    body = packed([event(sandbox.workspace.key)])
    headers = {**hmac_headers(sandbox.workspace, BULK, body), **CHANGES[change]}
    answer = post(sandbox, BULK, body, {name: text for name, text in headers.items() if text})
    assert answer.status == 401
    assert answer.json()["status"] == "error"
    assert answer.json()["error"]["type"] == "authentication_failed"
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["not_applied"], stats["received"]) == (0, 1, 1)


def test_another_body_than_was_signed_is_401(sandbox: SandboxProcess) -> None:
    """One changed byte of the body breaks the signature."""
    body = packed([event(sandbox.workspace.key)])
    headers = hmac_headers(sandbox.workspace, BULK, body)
    assert post(sandbox, BULK, body.replace(b"customer-1", b"customer-2"), headers).status == 401


def test_a_secret_can_be_rotated_and_a_workspace_switched_off(sandbox: SandboxProcess) -> None:
    """Workspaces are changed while it runs: a new secret counts at once, an inactive workspace is a 403."""
    second = Workspace("second-workspace-key-01", "first-secret", "second-api-key", "second-workspace-uid-01")
    made = packed(event(second.key))
    sandbox.put_workspace(second)
    assert post(sandbox, SINGLE, made, hmac_headers(second, SINGLE, made)).status == 202
    rotated = replace(second, secret="second-secret")
    sandbox.put_workspace(rotated)
    assert post(sandbox, SINGLE, made, hmac_headers(second, SINGLE, made)).status == 401
    assert post(sandbox, SINGLE, made, hmac_headers(rotated, SINGLE, made)).status == 202
    sandbox.put_workspace(replace(rotated, active=False))
    assert post(sandbox, SINGLE, made, hmac_headers(rotated, SINGLE, made)).status == 403
    assert sandbox.stats()["by_workspace"] == {second.key: 2}


def test_secrets_are_not_listed(sandbox: SandboxProcess) -> None:
    """The list of workspaces and their repr show no secret."""
    listed = sandbox.call("GET", "/_sandbox/workspaces")
    assert sandbox.workspace.secret not in str(listed)
    assert sandbox.workspace.api_key not in str(listed)
    assert sandbox.workspace.secret not in repr(sandbox.workspace)


def test_a_date_must_be_there_even_if_its_absence_was_signed() -> None:
    """A call without Date is refused although the signature fits it."""
    refused = _signed("", max_skew=None)
    assert isinstance(refused, Refusal)
    assert "Date" in refused.message


@pytest.mark.parametrize(("off", "passes"), [(0, True), (-200, True), (200, True), (-400, False), (400, False)])
def test_the_date_may_be_bounded(off: int, passes: bool) -> None:
    """With a bound on the skew, a well-signed call is accepted only while its Date is near enough to now."""
    import time

    assert isinstance(_signed(http_date(time.time() + off), max_skew=300), Caller) is passes


@pytest.mark.parametrize("date", ["yesterday", "", "99", "Wed, 99 Nov 2023 06:13:20 GMT"])
def test_a_date_that_is_none_is_refused_under_a_bound(date: str) -> None:
    """A Date that cannot be read is refused when it matters, without an exception."""
    assert not isinstance(_signed(date, max_skew=300), Caller)


def _signed(date: str, max_skew: float | None) -> object:
    made = b"{}"
    signed = signature(
        EXAMPLE.secret.encode(), method="POST", body=made, content_type="application/json", date=date, target=SINGLE
    )
    headers = {"Authorization": f"{EXAMPLE.key}:{signed}", "Content-Type": "application/json", "Date": date}
    return Workspaces(EXAMPLE, max_skew).authenticate(ApiCall(ApiPath.SINGLE, SINGLE, headers, made))
