"""What stands between the bridge and SuprSend is named where people look: /readyz, the log, `check --live`."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from bridge.cli.main import run
from bridge.kafka.tools.mock import MockCluster
from bridge.sandbox.process import SandboxProcess
from tests.boxes.fixtures import StartBox
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records
from tests.suprsend.driving import DATA

PASSWORD = "p4ss-of-the-proxy"


def readiness(url: str) -> str:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=120) as answer:
            text: bytes = answer.read()
    except urllib.error.HTTPError as error:
        text = error.read()
    return text.decode()


def test_a_firewall_then_a_proxy_is_named_and_nothing_is_lost(
    kafka: RealKafka, sandbox: SandboxProcess, start_box: StartBox, tmp_path: Path
) -> None:
    """A firewall's 403 page holds with its name and not as refused credentials; behind it a redirect comes to light, the
    hold tells that then, and once both are gone everything is delivered.
    """
    wall, portal = tmp_path / "wall", tmp_path / "portal"
    wall.touch()
    portal.touch()
    port = start_box(
        "nginx",
        f"location / {{ if (-f {wall}) {{ return 403; }} "
        f"if (-f {portal}) {{ return 302 https://login.test/in?token=s3cr3t; }} proxy_pass {sandbox.url}; }}",
    )
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(200)))
    chosen = world.settings(tuning={"probe_interval": "1s"})
    chosen["suprsend"]["base_url"] = f"http://127.0.0.1:{port}/"
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        until(lambda: "status 403, answered with a page instead of JSON from nginx/" in readiness(url), 30, bridge.text)
        assert "a firewall, gateway or proxy refuses the call, not SuprSend" in readiness(url)
        assert "rejects the credentials" not in bridge.text()
        wall.unlink()
        until(lambda: "status 302 to login.test" in readiness(url), 30, lambda: readiness(url) + bridge.text())
        portal.unlink()
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        until(lambda: "holds" not in readiness(url), 30, lambda: readiness(url))
        assert bridge.terminate() == 0
    assert "status 302 to login.test" in bridge.text()
    assert "s3cr3t" not in bridge.text()
    assert accepted(sandbox).keys() == expected(topic, range(200))
    assert not kafka.read(world.dead_letters)


def test_a_proxy_that_wants_another_password_is_named_without_it(
    kafka: RealKafka, sandbox: SandboxProcess, start_box: StartBox, tmp_path: Path
) -> None:
    """A squid's 407 holds as that, in /readyz and the log, and the password that was sent stands in neither."""
    proxy = start_box(
        "squid", "auth_param basic program /bin/false\nacl known proxy_auth REQUIRED\nhttp_access deny !known"
    )
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    kafka.produce(world.topics[0], records(world.topics[0], range(5)))
    chosen = world.settings()
    chosen["suprsend"].update(base_url="https://hub.test/", proxy=f"http://user:{PASSWORD}@127.0.0.1:{proxy}")
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        until(
            lambda: f"the proxy wants a user and a password (127.0.0.1:{proxy}, 407, from squid/" in readiness(url),
            30,
            bridge.text,
        )
        assert PASSWORD not in readiness(url)
        assert bridge.terminate() == 0
    assert "the proxy wants a user and a password (127.0.0.1:" in bridge.text()
    assert PASSWORD not in bridge.text()


CHECKED = """\
kafka:
  bootstrap_servers: ["{kafka}"]
  topics: [t]
  group_id: g
  dead_letter_topic: dead
suprsend:
  workspace_key: sandbox-workspace-key-01
  workspace_secret: sandbox-workspace-secret-01
  timeout: 5s
  {suprsend}
tuning:
  connect_timeout: 2s
"""


@pytest.mark.parametrize(
    ("box", "text", "options", "suprsend", "words"),
    [
        (
            "nginx",
            f"ssl_certificate {DATA}/lapsed.pem; ssl_certificate_key {DATA}/lapsed.key;",
            "ssl",
            "base_url: 'https://127.0.0.1:{port}/'\n  ca_file: " + f"{DATA}/other-ca.pem",
            "the certificate of base_url's host (or its authority's) has expired",
        ),
        (
            "tinyproxy",
            "BasicAuth other words",
            "",
            "base_url: https://hub.test/\n  proxy: 'http://user:" + PASSWORD + "@127.0.0.1:{port}'",
            "401, from tinyproxy/",
        ),
        (
            "nginx",
            "location / { return 403; }",
            "",
            "base_url: 'http://127.0.0.1:{port}/'",
            "status 403, answered with a page instead of JSON from nginx/",
        ),
        (
            "nginx",
            "location / { return 200 '<html>log in</html>'; }",
            "",
            "base_url: 'http://127.0.0.1:{port}/'",
            "status 200, answered with a page instead of JSON from nginx/",
        ),
        (
            "nginx",
            "location / { return 400; }",
            "",
            "base_url: 'http://127.0.0.1:{port}/'",
            "status 400, answered with a page instead of JSON from nginx/",
        ),
    ],
)
def test_check_live_names_it(
    start_box: StartBox,
    box: str,
    text: str,
    options: str,
    suprsend: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`check --live` tells what stands on the way: exit code 1, one line, no password."""
    monkeypatch.setattr("bridge.kafka.tools.preflight._ANSWER_SECONDS", 0.5)
    port = start_box(box, text, options)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text("rules:\n  - {name: a, topics: [t], event: told, distinct_id: u1}\n")
    with MockCluster({"t": 1, "dead": 1}) as cluster:
        settings = CHECKED.format(kafka=cluster.bootstrap, suprsend=suprsend.replace("{port}", str(port)))
        (tmp_path / "bridge.yaml").write_text(settings)
        assert run(["check", "--live", "--config", str(tmp_path / "bridge.yaml")]) == 1
    shown = capsys.readouterr()
    assert words in shown.out
    assert PASSWORD not in shown.out + shown.err
