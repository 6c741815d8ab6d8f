"""The commands that act on a running bridge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.cli import main
from bridge.cli.remote import BridgeAddress, _facts, place
from bridge.flow import KafkaState
from bridge.kafka.errors import OPEN_TRANSACTION
from bridge.kafka.tools.offline import GroupOverview
from bridge.observe.actions import Target
from bridge.observe.counted import DeliveryCounters
from bridge.observe.snapshot import KafkaView, PauseView, RulesView
from tests.observe.served import TOKEN, served
from tests.observe.world import ERRORS, NOW, PAUSED, STANDS, World, hold, snapshot


class Result(NamedTuple):
    exit_code: int
    output: str
    stderr: str


class Bridge:
    """The `bridge` command line, in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._patch = patch
        for name in ("BRIDGE_URL", "BRIDGE_ADMIN__TOKEN", "BRIDGE_ADMIN__TOKEN_FILE"):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "160")

    def __call__(self, *arguments: str, **environment: str) -> Result:
        with self._patch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main.run(list(arguments))
        return Result(code, *self._capture.readouterr())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bridge:
    return Bridge(capsys, monkeypatch)


@pytest.mark.parametrize(
    ("command", "arguments", "asked"),
    [
        ("pause", ["orders.v1:1"], ("pause", Target("orders.v1", 1))),
        ("resume", ["all"], ("resume", Target())),
        ("skip", ["orders.v1:1:42"], ("skip", "orders.v1", 1, 42)),
        ("accept-rewind", ["t-1"], ("accept-rewind", "t-1")),
        ("log-level", ["debug"], ("log-level", "debug")),
    ],
)
def test_commands_act(run: Bridge, command: str, arguments: list[str], asked: tuple[Any, ...]) -> None:
    """Each command asks the bridge for its action, with token and reason, and prints what was done."""
    with served() as server:
        url = f"http://127.0.0.1:{server.port}"
        result = run(command, *arguments, "--reason", "because", "--url", url, BRIDGE_ADMIN__TOKEN=TOKEN)
        assert (result.exit_code, result.output) == (0, f"done: {asked[0]}\n")
        assert server.world.asked == [(*asked, "because")]
        result = run(command, *arguments, "-r", "x", "--url", url, "--json", BRIDGE_ADMIN__TOKEN=TOKEN)
        assert json.loads(result.output) == {"done": f"done: {asked[0]}"}


def test_the_token_may_come_from_a_file(run: Bridge, tmp_path: Path) -> None:
    """The token is taken from `--token-file`, or from the file that the environment names; a missing one is told."""
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    with served() as server:
        url = f"http://127.0.0.1:{server.port}"
        assert run("pause", "all", "-r", "x", "--url", url, "--token-file", str(file)).exit_code == 0
        assert run("pause", "all", "-r", "x", BRIDGE_URL=url, BRIDGE_ADMIN__TOKEN_FILE=str(file)).exit_code == 0
        result = run("pause", "all", "-r", "x", "--url", url, "--token-file", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_address_and_token_may_come_from_the_settings(run: Bridge, tmp_path: Path) -> None:
    """With `--config` the settings file says where the bridge listens and which token it wants; else it is port 8080 here."""
    with served() as server:
        file = tmp_path / "bridge.yaml"
        file.write_text(
            "kafka: {bootstrap_servers: ['localhost:9092'], topics: [orders.v1], group_id: b, dead_letter_topic: dead}\n"
            f"suprsend: {{api_key: none, workspace_uid: none}}\nadmin: {{port: {server.port}, token: {TOKEN}}}\n"
        )
        result = run("pause", "all", "-r", "x", "--config", str(file))
    assert result.exit_code == 0, result.stderr
    assert place(None, None, None, {}) == BridgeAddress("http://127.0.0.1:8080", None)


def test_refusals_are_one_line(run: Bridge) -> None:
    """A wrong token, a refusal and an unknown target are one line on standard error and exit code 1."""
    world = World()
    with served(world) as server:
        url = f"http://127.0.0.1:{server.port}"
        result = run("pause", "all", "-r", "x", "--url", url)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "token is missing or wrong" in result.stderr
        world.refuse = "not \x1b[31massigned"
        result = run("pause", "a:1", "-r", "x", "--url", url, BRIDGE_ADMIN__TOKEN=TOKEN)
        assert result.stderr == "bridge: not \u241b[31massigned\n"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "with --config SETTINGS it asks Kafka itself"),
        ("ftp://x", "is no address"),
        ("nonsense", "is no address"),
    ],
)
def test_no_bridge_is_one_line(run: Bridge, url: str, says: str) -> None:
    """No bridge there, or no address at all, is one line with what to look at."""
    result = run("status", "--url", url)
    assert result.exit_code == (1 if url.startswith("http") else 2)
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_status_shows_what_is_wrong_first(run: Bridge) -> None:
    """`status` leads with holds and what lifts them, then shows figures that add up; exit code 1 when not ready."""
    shot = snapshot(
        holds=(
            hold(
                "rewind", scope="orders.v1:0", lifted_by="suprsend-bridge accept-rewind TOKEN", heals=False, token="t-1"
            ),
        ),
        errors=ERRORS,
        mapping=RulesView("abcdef0123456789", NOW - 60, error="orders.yaml:3:5: unknown key"),
        kafka=KafkaView(state=KafkaState(joined=False, kind="unreachable", trouble="no broker answers")),
    )
    with served(World(shot)) as server:
        result = run("status", "--url", f"http://127.0.0.1:{server.port}")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith("not ready  bridge ")
    assert lines[1] == "! Kafka: no broker answers"
    assert "rewind holds orders.v1:0 since 90 s" in lines[2]
    assert "suprsend-bridge accept-rewind TOKEN (token t-1)" in result.output
    assert "orders.yaml:3:5: unknown key" in result.output
    assert "consumed 110 = 89 delivered, 12 filtered, 1 dead lettered + 8 in work; lag unknown" in result.output
    assert "503 Service Unavailable" in result.output


def test_status_shows_pauses_with_the_whole_command(run: Bridge) -> None:
    """One line for a pause, however many partitions it stops, with its age and what ends it; it is ready all the same."""
    pause = PauseView(
        "orders.v1", NOW - 7_200, "the shop sends twice", ("orders.v1:0",), "suprsend-bridge resume orders.v1 -r …"
    )
    elsewhere = pause._replace(target="comments.v1:0", reason="", here=())
    with served(World(snapshot(holds=(PAUSED,), pauses=(pause, elsewhere)))) as server:
        result = run("status", "--url", f"http://127.0.0.1:{server.port}")
    assert result.exit_code == 0
    shown = [line for line in result.output.splitlines() if "paused since" in line]
    assert shown == [
        "- orders.v1 is paused since 2 h: the shop sends twice; suprsend-bridge resume orders.v1 -r …",
        "- comments.v1:0 is paused since 2 h (no partition of it is here); suprsend-bridge resume orders.v1 -r …",
    ]
    assert "operator holds" not in result.output


def test_status_names_an_open_transaction(run: Bridge) -> None:
    """Where the position stands, since when, and that no restart helps; it is ready all the same."""
    with served(World(snapshot(partitions=(STANDS,)))) as server:
        result = run("status", "--url", f"http://127.0.0.1:{server.port}")
    assert result.exit_code == 0
    assert f"! orders.v1:0 stands at offset 52 since 4 min: {OPEN_TRANSACTION}" in " ".join(result.output.split())
    assert "a restart changes nothing" in OPEN_TRANSACTION


def test_status_says_that_the_process_holds_no_partition(run: Bridge) -> None:
    """In place of zeros: it has read nothing, and its lag is unknown. What it has read before is shown all the same."""
    shown = []
    nothing = {"topics": (), "partitions": (), "delivery": DeliveryCounters()}
    for shot in (snapshot(**nothing), snapshot(partitions=()), snapshot(**nothing | {"partitions": (STANDS,)})):
        with served(World(shot)) as server:
            result = run("status", "--url", f"http://127.0.0.1:{server.port}")
        assert result.exit_code == 0
        shown.append(result.output.splitlines()[1:])
    assert shown[0] == ["holds no partition yet; lag unknown"]
    assert shown[1][0].startswith("consumed 110 = ")
    assert shown[1][0].endswith("lag unknown")
    assert shown[1][1] == shown[0][0]
    assert "consumed 0 = 0 finished + 0 in work; lag 18 records" in shown[2]


def test_the_lag_of_topics_that_are_not_there_is_unknown() -> None:
    """Where no bridge answers and Kafka has no partition of the topics, nothing is known of a lag."""
    found = GroupOverview("bridge", (), None, 0, ("the topic orders.v1 does not exist, or may not be seen",))
    assert _facts(found, "no bridge answers")["lag"] is None


def test_status_of_a_working_bridge(run: Bridge) -> None:
    """A bridge that works is `ready` with exit code 0, and `--json` is what `/status` answers."""
    with served() as server:
        url = f"http://127.0.0.1:{server.port}"
        result = run("status", "--url", url)
        assert (result.exit_code, result.output.split()[0]) == (0, "ready")
        assert json.loads(run("status", "--url", url, "--json").output) == server.ask("GET", "/status").json
