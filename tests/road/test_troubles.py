"""What a wrong set-up does: on this machine it ends the start, on a remote side it holds until it is mended."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.sandbox.process import SandboxProcess
from bridge.sandbox.workspaces import Workspace
from tests.brokers.real import RealKafka
from tests.road.bridge_process import START, BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

ONE_RULE = "version: 1\nrules:\n  - {name: a, topics: [t], event: evt, distinct_id: u}\n"


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _refused(folder: Path, chosen: dict[str, Any]) -> str:
    """Start it, expect exit code 2, and return what it wrote."""
    bridge = BridgeProcess(folder, chosen)
    with bridge:
        assert bridge.process.wait(120) == 2, bridge.text()
    assert "Traceback" not in bridge.text()
    return bridge.text()


SETTINGS: dict[str, Any] = {
    "kafka": {"bootstrap_servers": ["127.0.0.1:1"], "topics": ["t"], "group_id": "g", "dead_letter_topic": "d"},
    "suprsend": {"workspace_key": "a-workspace-key-of-20-chars", "workspace_secret": "s3cr3t-of-the-workspace"},
    "admin": {"port": 0},
}


def _with(**more: Any) -> dict[str, Any]:
    return {section: {**SETTINGS.get(section, {}), **more.get(section, {})} for section in {*SETTINGS, *more}}


def test_every_wrong_setting_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    """A broken settings file ends the start with one line a mistake, where it is, and exit code 2."""
    text = _refused(tmp_path, _with(kafka={"topcis": ["t"]}, delivery={"linger": "soon"}, suprsend={"timeout": 0}))
    for wrong in ("topcis", "linger", "timeout"):
        assert wrong in text
    assert "did you mean" in text
    assert "s3cr3t" not in text


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """The admin port is taken: the start ends with what to do, before Kafka is reached."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(ONE_RULE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = _refused(tmp_path, _with(admin={"port": port}, rules={"path": str(tmp_path / "rules")}))
    assert f"127.0.0.1:{port}" in text
    assert "in use" in text


def test_an_unreadable_secret_file_is_one_clear_line(tmp_path: Path) -> None:
    """The secret's file is not there: the line names the setting's file, and nothing connects."""
    chosen = _with()
    del chosen["suprsend"]["workspace_secret"]
    chosen["suprsend"]["workspace_secret_file"] = str(tmp_path / "no-such-file")
    assert "no-such-file" in _refused(tmp_path, chosen)


def test_a_key_of_another_certificate_is_one_clear_line(tmp_path: Path) -> None:
    """A client key that cannot work with its certificate ends the start: setting, file and what is wrong."""
    data = Path(__file__).parents[1] / "suprsend" / "data"
    pair = {"client_cert_file": str(data / "client.pem"), "client_key_file": str(data / "server.key")}
    text = _refused(tmp_path, _with(suprsend=pair))
    assert "`suprsend.client_key_file`" in text
    assert "belongs to another certificate" in text


def test_broken_rules_end_the_start_with_their_findings(tmp_path: Path) -> None:
    """A rule that cannot be right is shown with file, line and column, and exit code 2."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(
        "version: 1\nrules:\n  - {name: a, topics: [t], event: evt, distinct_id: '${ .a. }'}\n"
    )
    text = _refused(tmp_path, _with(rules={"path": str(tmp_path / "rules")}))
    assert "r.yaml:3:" in text


def test_a_wrong_command_line_is_one_line(tmp_path: Path) -> None:
    """Wrong usage ends with exit code 2 and says what to do."""
    done = subprocess.run([*START, "run", "--confg", "x"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    del tmp_path


def test_an_unknown_topic_holds_and_goes_on_when_it_is_created(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A topic that does not exist: not ready, one clear line, and work begins by itself once it is there."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    missing = kafka.unique("later")
    rules = (tmp_path / "rules" / "orders.yaml").read_text().replace(world.topics[0], missing)
    (tmp_path / "rules" / "orders.yaml").write_text(rules)
    chosen = world.settings(kafka={"topics": [missing]})
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        until(lambda: missing in _get(url + "/readyz")[1], 30, bridge.text)
        status, text = _get(url + "/readyz")
        assert status == 503
        assert missing in text
        assert _get(url + "/livez")[0] == 200
        kafka.create_topic(missing, 2)
        kafka.produce(missing, records(missing, range(100)))
        until(lambda: accepted(sandbox).keys() == expected(missing, range(100)), 60, bridge.text)
        until(lambda: _get(url + "/readyz")[0] == 200, 30, lambda: _get(url + "/readyz")[1])
        assert bridge.terminate() == 0


def test_an_unknown_broker_holds_with_one_clear_line(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """No broker answers: the process lives, is not ready and says where it tried."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(ONE_RULE)
    chosen = _with(
        kafka={"bootstrap_servers": [f"127.0.0.1:{port}"]},
        suprsend={"base_url": sandbox.url},
        rules={"path": str(tmp_path / "rules")},
    )
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        until(lambda: str(port) in _get(url + "/readyz")[1], 30, lambda: _get(url + "/readyz")[1] + bridge.text())
        assert _get(url + "/readyz")[0] == 503
        assert _get(url + "/livez")[0] == 200
        assert bridge.terminate() == 0, bridge.text()


def test_wrong_credentials_hold_and_it_goes_on_when_the_secret_file_is_mended(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A wrong secret answers 401: nothing is dropped or dead-lettered, and a new secret in the file is enough."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    secret = tmp_path / "secret"
    secret.write_text("this-is-not-the-secret")
    workspace: Workspace = sandbox.workspace
    chosen = world.settings(tuning={"probe_interval": "1s"})
    del chosen["suprsend"]["workspace_secret"]
    chosen["suprsend"]["workspace_secret_file"] = str(secret)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(500)))
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        until(lambda: "setup" in _get(url + "/readyz")[1], 30, lambda: _get(url + "/readyz")[1] + bridge.text())
        secret.write_text(workspace.secret)
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        until(lambda: _get(url + "/readyz")[0] == 200, 30, lambda: _get(url + "/readyz")[1])
        assert bridge.terminate() == 0
        assert "this-is-not-the-secret" not in bridge.text()
    assert accepted(sandbox).keys() == expected(topic, range(500))
    assert not kafka.read(world.dead_letters)


@contextmanager
def starting(folder: Path) -> Iterator[BridgeProcess]:
    """A process that still starts: it waits for whoever writes its secret."""
    (folder / "rules").mkdir()
    (folder / "rules" / "r.yaml").write_text(ONE_RULE)
    waiting = folder / "secret"
    os.mkfifo(waiting)
    chosen = _with(rules={"path": str(folder / "rules")})
    del chosen["suprsend"]["workspace_secret"]
    chosen["suprsend"]["workspace_secret_file"] = str(waiting)
    # Opening the other end waits until it has come so far.
    with BridgeProcess(folder, chosen) as bridge, waiting.open("wb"):
        yield bridge


def test_a_stop_before_it_has_begun_is_no_failure(tmp_path: Path) -> None:
    """SIGTERM while the process still starts: nothing was begun, exit code 0."""
    with starting(tmp_path) as bridge:
        assert bridge.terminate() == 0, bridge.text()
    assert "Traceback" not in bridge.text()
