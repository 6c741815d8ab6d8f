from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import run
from tests.suprsend.raw_server import Peer, RawServer

KEY, SECRET = "workspaceKeyOfTests0123", "hidden-secret-of-tests"
ONE = ["send", "--event", "order_placed", "--distinct-id", "user_1"]


def _script(peer: Peer) -> None:
    while (request := peer.request()) is not None:
        event = json.loads(request.body)
        if event["distinct_id"] == "nobody":
            body, status = b'{"status":"error","error":{"type":"not_found","message":"who?"}}', "404 X"
        else:
            body, status = b'{"status":"success","message_id":"m-1"}', "202 X"
        if not peer.answer(status, body):
            return


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """A server, and an environment that leads to it."""
    with RawServer(_script) as server:
        monkeypatch.setenv("BRIDGE_SUPRSEND__BASE_URL", server.url)
        monkeypatch.setenv("BRIDGE_SUPRSEND__WORKSPACE_KEY", KEY)
        monkeypatch.setenv("BRIDGE_SUPRSEND__WORKSPACE_SECRET", SECRET)
        yield server


def _event(api: RawServer) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(api.requests[-1].body)
    return event


def test_one_event_from_the_environment_alone(api: RawServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With keys in the environment one line sends an event and prints its message id: exit code 0."""
    more = ["-p", "n=12.5", "-p", "text=a=b", "-p", "flag=true", "--property", "list=[1]", "-p", "zip=007"]
    code = run([*ONE, *more, "--tenant", "acme", "--idempotency-key", "k-1", "--attach", "https://example.com/a"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert shown.out == "accepted: order_placed, message id m-1, idempotency key k-1\n"
    event = _event(api)
    assert event["properties"] == {
        "n": 12.5,
        "text": "a=b",
        "flag": True,
        "list": [1],
        "zip": "007",
        "$attachments": [{"url": "https://example.com/a", "ignore_if_error": False}],
    }
    assert (event["tenant_id"], event["$idempotency_key"], event["env"]) == ("acme", "k-1", KEY)


def test_secret_from_a_file(
    api: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The secret may be in a file that a variable names; a missing file is one line and exit code 2."""
    monkeypatch.delenv("BRIDGE_SUPRSEND__WORKSPACE_SECRET")
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    monkeypatch.setenv("BRIDGE_SUPRSEND__WORKSPACE_SECRET_FILE", str(file))
    assert run(ONE) == 0
    file.unlink()
    assert run(ONE) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_api_key(api: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key with the workspace's UID is the other way."""
    for name in ("KEY", "SECRET"):
        monkeypatch.delenv(f"BRIDGE_SUPRSEND__WORKSPACE_{name}")
    monkeypatch.setenv("BRIDGE_SUPRSEND__API_KEY", "token-of-tests")
    monkeypatch.setenv("BRIDGE_SUPRSEND__WORKSPACE_UID", "workspaceUidOfTests0123")
    assert run(ONE) == 0
    assert api.requests[-1].header("authorization") == "Bearer token-of-tests"


def test_settings_from_a_file(api: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The section of a settings file is used, and --base-url wins over it."""
    monkeypatch.delenv("BRIDGE_SUPRSEND__BASE_URL")
    config = tmp_path / "bridge.yaml"
    config.write_text(
        "kafka: {bootstrap_servers: ['localhost:9092'], group_id: g, topics: [t], dead_letter_topic: d}\n"
        f"suprsend: {{base_url: '{api.url}'}}\n"
    )
    assert run([*ONE, "--config", str(config)]) == 0
    config.write_text(config.read_text().replace(api.url, "http://127.0.0.1:9/"))
    assert run([*ONE, "--config", str(config), "--base-url", api.url]) == 0
    monkeypatch.setenv("BRIDGE_CONFIG", str(config))
    assert run([*ONE, "--base-url", api.url]) == 0
    assert len(api.requests) == 3


def test_properties_from_json(api: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Properties come from a JSON object in a file or on standard input; --property wins over them."""
    file = tmp_path / "properties.json"
    file.write_text('{"a": 1, "b": {"c": null}}')
    assert run([*ONE, "--json", str(file), "-p", "a=2"]) == 0
    assert _event(api)["properties"] == {"a": 2, "b": {"c": None}}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"d": "\xc3\xa9"}')))
    assert run([*ONE, "--json", "-"]) == 0
    assert _event(api)["properties"] == {"d": "é"}


def test_not_accepted(api: RawServer, capsys: pytest.CaptureFixture[str]) -> None:
    """An event that is not accepted is one line with the reason: exit code 1."""
    assert run(["send", "--event", "order_placed", "--distinct-id", "nobody"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "bridge: not accepted: not_found: who? (status 404)\n"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["-p", "x"], "KEY=VALUE"),
        (["-p", "$x=1"], "keeps for itself"),
        (["--tenant", "t" * 65], "65 characters"),
        (["--attach", "/etc/passwd"], "local files are never sent"),
        (["--json", "/none.json"], "cannot be read"),
        (["--json", __file__], "is no JSON"),
        (["--base-url", "hub"], "must begin with https://"),
        (["--event", "$mine"], "keeps for itself"),
        (["--config", "/none.yaml"], "/none.yaml"),
    ],
)
def test_a_mistake_is_one_clear_message(
    api: RawServer, more: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user's mistake is said without a traceback or a secret, nothing is sent, and the exit code is 2."""
    assert run([*ONE, *more]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert "Traceback" not in shown.err
    assert SECRET not in shown.err + shown.out
    assert api.requests == []


def test_no_keys_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys the message names the variables to set, and nothing of Kafka."""
    for name in ("BRIDGE_SUPRSEND__WORKSPACE_KEY", "BRIDGE_SUPRSEND__WORKSPACE_SECRET", "BRIDGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    assert run(ONE) == 2
    shown = capsys.readouterr().err
    assert "workspace_secret" in shown
    assert "kafka" not in shown.lower()
