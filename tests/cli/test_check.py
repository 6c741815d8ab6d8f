"""`suprsend-bridge check`: settings, rules and what lies between them, for people, programs and pull requests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.main import run
from bridge.kafka.tools.mock import MockCluster
from bridge.sandbox.process import SandboxProcess

SHOP = (Path(__file__).resolve().parents[2] / "config" / "rules" / "shop.yaml").read_text()
RULE = "rules:\n  - {name: a, topics: [t], event: told, distinct_id: u1}\n"
SETTINGS = """\
kafka:
  bootstrap_servers: ["127.0.0.1:9"]
  topics: [t]
  group_id: g
  dead_letter_topic: dead
suprsend: {workspace_key: sandbox-workspace-key-01, workspace_secret: sandbox-workspace-secret-01}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, and an environment without settings. The mock cluster leaves questions of rights open."""
    monkeypatch.setattr("bridge.kafka.tools.preflight._ANSWER_SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)


def write(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def test_rules_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A directory of rules is checked without any settings: exit code 0, and one line that says what was looked at."""
    write("rules/a.yaml", RULE)
    assert run(["check", "rules"]) == 0
    assert capsys.readouterr().out == "fine: 1 rule in 1 file\n"
    assert run(["check", "rules/a.yaml"]) == 0


def test_an_error_and_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors end with 1, warnings alone with 0; each has its place, the line with a caret, its code and what to write."""
    write("rules/a.yaml", RULE + "    # more\n  - {name: b, topics: [t], event: told, distinct_id: .user.id}\n")
    assert run(["check", "rules"]) == 1
    out = capsys.readouterr().out
    assert "rules/a.yaml:4:" in out
    assert "error: this is sent as it stands: a ${ } was probably forgotten [R021]" in out
    assert "^^^^^^^^" in out
    assert "write ${ .user.id }" in out
    assert out.endswith("1 error, 0 warnings: 1 rule in 1 file\n")
    write("rules/a.yaml", RULE.replace("u1", "user_id"))
    assert run(["check", "rules"]) == 0
    assert "1 warning" in capsys.readouterr().out


def test_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is one document, GitHub's format one command per finding."""
    write("rules/a.yaml", RULE.replace("u1", "''"))
    assert run(["check", "rules", "--format", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["errors"], answer["findings"][0]["code"]) == (1, "R028")
    assert run(["check", "rules", "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=rules/a.yaml,line=2,")


def test_settings_and_rules_together(capsys: pytest.CaptureFixture[str]) -> None:
    """With settings their rules are found, and their topics compared; all mistakes of both are told at once."""
    write("config/bridge.yaml", SETTINGS)
    write("config/rules/a.yaml", RULE)
    assert run(["check"]) == 0
    write("config/rules/a.yaml", RULE.replace("[t]", "[tt]"))
    assert run(["check", "--config", "config/bridge.yaml"]) == 0
    assert "R041" in capsys.readouterr().out
    write("config/bridge.yaml", SETTINGS.replace("group_id", "grupp_id"))
    write("config/rules/a.yaml", RULE.replace("[t]", "[tt]").replace("event", "evnt"))
    assert run(["check"]) == 2
    out = capsys.readouterr().out
    assert "did you mean `group_id`?" in out
    assert "did you mean `event`?" in out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sandbox-workspace-key-01", "short", "workspace key"),
        ("workspace_secret: sandbox-workspace-secret-01", "workspace_secret_file: none", "cannot be read"),
        ("suprsend: {", "delivery: {only_recipients: ['/(/']}\nsuprsend: {", "pattern"),
        ("suprsend: {", "suprsend: {ca_file: none.pem, ", "none.pem"),
        (
            "  group_id: g",
            "  group_id: g\n  properties: {client.rack: x, enable.auto.commit: true}",
            "enable.auto.commit",
        ),
        ("  group_id: g", "  group_id: g\n  security: {protocol: ssl, ca_file: bridge.yaml}", "holds no PEM text"),
    ],
)
def test_what_run_would_find_before_its_first_poll(
    old: str, new: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys, files and filters are tried, not only read: each is one clear line and exit code 2."""
    write("config/bridge.yaml", SETTINGS.replace(old, new))
    write("config/rules/a.yaml", RULE)
    assert run(["check"]) == 2
    shown = capsys.readouterr()
    assert words in shown.out
    assert "Traceback" not in shown.err + shown.out


@pytest.mark.parametrize("arguments", [["check"], ["check", "nowhere"], ["check", "--config", "nowhere.yaml"]])
def test_nothing_to_check(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is not there and a directory without anything are wrong usage."""
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert len((shown.err + shown.out).strip().splitlines()) <= 2


def test_an_empty_directory(capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without rules is an error."""
    Path("rules").mkdir()
    assert run(["check", "rules"]) == 1
    assert "there are no rule files here" in capsys.readouterr().out


def test_a_thousand_rules_and_the_start(tmp_path: Path) -> None:
    """1,000 rules are checked in a few seconds at most, and nothing slow is loaded for it (bounds are generous)."""
    head, body = SHOP.split("rules:\n", 1)
    text = head + "rules:\n" + "".join(
        body.replace("  - name: ", f"  - name: n{n}-").replace(".total > 0", f".total > {n}") for n in range(200)
    )  # fmt: skip
    write("rules/a.yaml", text)
    began = time.process_time()
    assert run(["check", "rules"]) == 0
    assert time.process_time() - began < 8
    code = (
        "import sys; from bridge.cli import main; main.run(['check', 'rules/b.yaml']); "
        "print([m for m in ('confluent_kafka', 'pycurl', 'rich', 'aiohttp') if m in sys.modules])"
    )
    write("rules/b.yaml", RULE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[MockCluster, SandboxProcess]]:
    """A Kafka and a SuprSend."""
    with MockCluster({"t": 1, "dead": 1}) as kafka, SandboxProcess() as suprsend:
        yield kafka, suprsend


def live(kafka: str, suprsend: str, **changes: str) -> int:
    text = SETTINGS.replace("127.0.0.1:9", kafka).replace(
        "suprsend: {", f"suprsend: {{base_url: '{suprsend}', timeout: 5s, "
    )
    for old, new in changes.items():
        text = text.replace(old, new)
    write("config/bridge.yaml", text)
    write("config/rules/a.yaml", RULE)
    return run(["check", "--live"])


def test_live(both: tuple[MockCluster, SandboxProcess], capsys: pytest.CaptureFixture[str]) -> None:
    """`--live` reaches both sides, and SuprSend gets one signed call without an event."""
    kafka, suprsend = both
    suprsend.reset()
    assert live(kafka.bootstrap, suprsend.url) == 0
    assert "Kafka and SuprSend reached" in capsys.readouterr().out
    stats = suprsend.stats()
    assert stats["calls"]["total"] == 1
    assert list(suprsend.keys()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dead_letter_topic: dead": "dead_letter_topic: none"}, "dead-letter topic none: it does not exist"),
        ({"topics: [t]": "topics: [t, u]"}, "topic u: the topic does not exist"),
        ({"sandbox-workspace-secret-01": "another-secret"}, "status 401, SuprSend's JSON: "),
    ],
)
def test_live_troubles(
    both: tuple[MockCluster, SandboxProcess],
    changes: dict[str, str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What would hold the bridge is one clear line, and exit code 1."""
    kafka, suprsend = both
    assert live(kafka.bootstrap, suprsend.url, **changes) == 1
    shown = capsys.readouterr()
    assert words in shown.out
    assert shown.err == ""


def test_live_without_suprsend(both: tuple[MockCluster, SandboxProcess], capsys: pytest.CaptureFixture[str]) -> None:
    """A SuprSend that is not there is told as that."""
    assert live(both[0].bootstrap, "http://127.0.0.1:9/") == 1
    assert (
        "http://127.0.0.1:9/: base_url's host refuses the connection: nothing listens there" in capsys.readouterr().out
    )


def test_live_without_kafka(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A Kafka that is not there is told once, and librdkafka's own log stays out of it."""
    from bridge.kafka.tools import preflight as kafka_live

    look_at = kafka_live.look_at
    monkeypatch.setattr(kafka_live, "look_at", lambda settings, **more: look_at(settings, seconds=1.0, **more))
    assert live("127.0.0.1:9", "http://127.0.0.1:9/") == 1
    shown = capsys.readouterr()
    assert "no broker can be reached: check kafka.bootstrap_servers" in shown.out
    assert shown.err == ""
