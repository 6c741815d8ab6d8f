"""The admin server, talked to by HTTP."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.flow import KafkaState
from bridge.kafka.errors import OPEN_TRANSACTION
from bridge.observe import admin
from bridge.observe.actions import Action, Target
from bridge.observe.admin import AdminError, application, serving
from bridge.observe.counted import OpenTransaction
from bridge.observe.snapshot import KafkaView, Snapshot, TopicView
from bridge.secrets import Secret
from bridge.service.actions import ACTIONS
from tests.observe.served import TOKEN, Server, served
from tests.observe.world import ERRORS, NOW, PAUSED, STANDS, WAITING, World, hold, snapshot

UNBEGUN = KafkaState(joined=True, kind=None, trouble=None, unbegun=(("orders.v1", 3), ("orders.v1", 4)))
"""Two partitions whose start Kafka has not told."""


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as made:
        yield made


def test_metrics_are_in_the_text_format(server: Server) -> None:
    """`/metrics` answers in Prometheus's text format, compressed for who asks."""
    answer = server.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b'bridge_records_consumed_total{topic="orders.v1"} 100.0' in answer.body
    packed = server.ask("GET", "/metrics", **{"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"bridge_records_consumed_total" in gzip.decompress(packed.body)


@pytest.mark.parametrize(("age", "status"), [(0.1, 200), (59.0, 200), (61.0, 503), (None, 503)])
def test_alive_is_the_poll_heartbeat_alone(age: float | None, status: int) -> None:
    """`/livez` follows the age of the last poll, and nothing else: no hold, no outage, no trouble makes it fail."""
    trouble = KafkaView(state=KafkaState(joined=False, kind="unreachable", trouble="no broker answers"))
    world = World(snapshot(holds=(hold(),), kafka=trouble))
    world.age = age
    with served(world) as server:
        answer = server.ask("GET", "/livez")
    assert answer.status == status
    assert (answer.body == b"alive\n") == (status == 200)


@pytest.mark.parametrize(
    ("shot", "lacks"),
    [
        (snapshot(), None),
        (snapshot(partitions=()), None),
        (Snapshot(NOW), "not a member of the consumer group"),
        (snapshot(holds=(hold(),)), "setup holds everything"),
        (snapshot(holds=(hold("rewind", scope="orders.v1:0", heals=False),)), "rewind holds orders.v1:0"),
        (snapshot(holds=(PAUSED,)), None),
        (snapshot(holds=(PAUSED, hold("brake", scope="orders.v1:1", heals=False))), "brake holds orders.v1:1"),
        (
            snapshot(kafka=KafkaView(state=KafkaState(joined=True, kind="unknown_topic", trouble="no topic x"))),
            "no topic x",
        ),
        (snapshot(kafka=KafkaView(state=UNBEGUN)), "orders.v1[3], orders.v1[4] not read yet"),
    ],
)
def test_ready_says_what_is_missing(shot: Snapshot, lacks: str | None) -> None:
    """`/readyz` is 200 once the group is joined and nothing is held; else 503, and its body says what is missing."""
    with served(World(shot)) as server:
        answer = server.ask("GET", "/readyz")
    assert answer.status == (200 if lacks is None else 503)
    assert (lacks or "ready") in answer.body.decode()


def test_an_open_circuit_keeps_it_ready() -> None:
    """A plain outage of the API keeps it ready, else a mended version could not be rolled out."""
    shot = snapshot()
    with served(World(replace(shot, calls=replace(shot.calls, circuit_open=True)))) as server:
        assert server.ask("GET", "/readyz").status == 200


def test_status_has_everything_an_operator_asks() -> None:
    """`/status` tells version, rules, assignment, positions, lag, holds with what lifts them, waiting and errors."""
    shot = snapshot(holds=(hold("rewind", token="t-1"),), waiting=WAITING, errors=ERRORS)
    with served(World(shot)) as server:
        told = server.ask("GET", "/status").json
    assert told["ready"] is False
    assert told["alive"] is True
    assert told["rules"] == {"hash": "abcdef0123456789", "loaded_at": NOW - 3600, "error": None}
    assert told["holds"][0]["lifted_by"] == "a probe that is accepted"
    assert told["holds"][0]["token"] == "t-1"
    first = told["partitions"][0]
    assert (first["topic"], first["partition"], first["position"], first["watermark"]) == ("orders.v1", 0, 60, 52)
    assert (first["lag"], first["lag_seconds"], first["committed"], first["end"]) == (18, 4.5, 50, 70)
    assert told["totals"]["consumed"] == 110
    assert told["totals"]["unaccounted"] == 0
    assert told["totals"]["lag"] is None
    assert told["waiting"][0]["seconds"] == 12.3
    assert told["errors"][0]["message"] == "503 Service Unavailable"


def test_of_many_partitions_those_that_matter_are_told_first_and_how_many_others_there_are() -> None:
    """What cannot be read, what is paused, what is unknown, what is furthest behind; totals are those of all of them."""
    calm = STANDS._replace(transaction=None, oldest_unfinished_ms=None)
    views = tuple(calm._replace(partition=number, lag=number) for number in range(1_000))
    odd = (
        calm._replace(topic="other", partition=0, lag=None),
        calm._replace(topic="other", partition=1, lag=1, paused="operator"),
        calm._replace(topic="other", partition=2, lag=1, unreadable="damaged"),
        STANDS._replace(topic="other", partition=3),
    )
    shot = snapshot(partitions=(*views, *odd), topics=(TopicView("orders.v1"), TopicView("other"), TopicView("none")))
    with served(World(shot)) as server:
        told = server.ask("GET", "/status?partitions=6").json
        whole = server.ask("GET", "/status").json
        refused = [server.ask("GET", f"/status?partitions={text}").status for text in ("-1", "", "many", "1" * 30)]
    assert [(row["topic"], row["partition"]) for row in told["partitions"]] == [
        *[("other", 2), ("other", 3), ("other", 1), ("other", 0)],
        *[("orders.v1", 999), ("orders.v1", 998)],
    ]
    assert (told["partitions_left_out"], len(whole["partitions"]), whole["partitions_left_out"]) == (998, 1_004, 0)
    assert told["totals"] == whole["totals"]
    assert (told["totals"]["partitions"], told["totals"]["paused"], told["totals"]["lag"]) == (1_004, 1, None)
    topics = [(each["topic"], each["partitions"], each["lag"], each["paused"]) for each in told["topics"]]
    assert topics == [("orders.v1", 1_000, 499_500, 0), ("other", 4, None, 1), ("none", 0, None, 0)]
    assert refused == [400] * 4


def test_an_open_transaction_is_shown_from_when_people_are_told() -> None:
    """With since when and what to do, in `/status` and as seconds in `/metrics`; the process stays ready."""
    shown = {"since": NOW - 240, "message": OPEN_TRANSACTION}
    for view, told in ((STANDS, shown), (STANDS._replace(transaction=OpenTransaction(NOW - 30)), None)):
        with served(World(snapshot(partitions=(view,)))) as server:
            status = server.ask("GET", "/status").json
            scraped = server.ask("GET", "/metrics").body.decode()
            assert server.ask("GET", "/readyz").status == 200
        (row,) = status["partitions"]
        assert (row["open_transaction"], row["lag"], row["lag_seconds"]) == (told, 18, None)
        series = 'bridge_open_transaction_seconds{partition="0",topic="orders.v1"} 240.0'
        assert (series in scraped) is (told is not None)
        assert ("bridge_open_transaction_seconds{" in scraped) is (told is not None)


def test_a_process_without_a_partition_has_no_lag() -> None:
    """It has joined, and the group has given it nothing: its lag is unknown, and no series says 0."""
    with served(World(snapshot(partitions=()))) as server:
        told = server.ask("GET", "/status").json
        scraped = server.ask("GET", "/metrics").body.decode()
    assert (told["ready"], told["partitions"], told["totals"]["lag"]) == (True, [], None)
    assert "bridge_consumer_lag_records{" not in scraped
    assert "bridge_consumer_lag_seconds{" not in scraped
    assert "bridge_partitions_assigned 0.0" in scraped


@pytest.mark.parametrize("state", [UNBEGUN, KafkaState(joined=False, kind=None, trouble=None)])
def test_no_lag_is_told_while_something_is_not_read(state: KafkaState) -> None:
    """A partition without a start, or a group that is not joined: the sum of what is known would be no lag at all."""
    with served(World(snapshot(partitions=(), kafka=KafkaView(state=state)))) as server:
        told = server.ask("GET", "/status").json
        scraped = server.ask("GET", "/metrics").body.decode()
    assert told["totals"]["lag"] is None
    assert told["kafka"]["unbegun"] == [f"{topic}:{number}" for topic, number in state.unbegun]
    assert "bridge_consumer_lag_records{" not in scraped
    assert f"bridge_partitions_unbegun {len(state.unbegun)}.0" in scraped


def test_the_page_needs_nothing_from_outside(server: Server) -> None:
    """`/` is one page without outside assets, and its policy forbids them."""
    answer = server.ask("GET", "/")
    text = answer.body.decode()
    assert answer.headers["Content-Type"].startswith("text/html")
    assert re.findall(r"https?://|//\w", text) == []
    assert re.findall(r"(?:src|href)=\"(?!data:|status)", text) == []
    assert "innerHTML" not in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("action", "body", "asked"),
    [
        ("pause", {"target": "orders.v1:1"}, ("pause", Target("orders.v1", 1))),
        ("pause", {}, ("pause", Target())),
        ("resume", {"target": "orders.v1"}, ("resume", Target("orders.v1"))),
        ("resume", {"target": "all"}, ("resume", Target())),
        ("skip", {"record": "orders.v1:1:42"}, ("skip", "orders.v1", 1, 42)),
        (
            "skip-unreadable",
            {"partition": "orders.v1:1", "first": "4", "to": "9"},
            ("skip-unreadable", ("orders.v1", 1), 4, 9),
        ),
        ("accept-rewind", {"token": "t-1"}, ("accept-rewind", "t-1")),
        ("log-level", {"level": "debug"}, ("log-level", "debug")),
    ],
)
def test_actions_reach_the_road(server: Server, action: str, body: dict[str, str], asked: tuple[Any, ...]) -> None:
    """Each action is done with its target and its reason, and is logged with both."""
    answer = server.act(action, {**body, "reason": "because"})
    assert (answer.status, answer.json) == (200, {"done": f"done: {asked[0]}"})
    assert server.world.asked == [(*asked, "because")]
    line = server.logged[0]
    assert (line["event"], line["action"], line["reason"]) == ("admin_action", action, "because")


@pytest.mark.parametrize(
    ("action", "body", "says"),
    [
        ("pause", {}, "reason is missing"),
        ("pause", {"reason": "  "}, "reason is text and not empty"),
        ("pause", {"reason": 1}, "reason is text"),
        ("pause", {"reason": "r", "targets": "x"}, "unknown key 'targets'"),
        ("pause", {"reason": "r", "target": "a b"}, "no target"),
        ("pause", {"reason": "r" * 501}, "at most 500"),
        ("skip", {"reason": "r"}, "record is missing"),
        ("skip", {"reason": "r", "record": "orders.v1:1"}, "TOPIC:PARTITION:OFFSET"),
        ("skip-unreadable", {"reason": "r", "partition": "orders.v1", "first": "4", "to": "9"}, "TOPIC:PARTITION"),
        ("skip-unreadable", {"reason": "r", "partition": "orders.v1:1", "first": "9", "to": "9"}, "the larger one"),
        ("accept-rewind", {"reason": "r", "token": "a b"}, "token"),
        ("log-level", {"reason": "r", "level": "loud"}, "one of debug, info"),
        ("pause", [], "JSON object"),
        ("pause", b"{", "not JSON"),
        ("pause", b'{"reason": "\xff"}', "not JSON"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(server: Server, action: str, body: Any, says: str) -> None:
    """A request that is wrong gets 400 with what is wrong, and nothing is done."""
    answer = server.act(action, body)
    assert answer.status == 400
    assert says in answer.json["error"]
    assert server.world.asked == []


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \u00e9"])
@pytest.mark.parametrize("action", [*ACTIONS, "no-such-action"])
def test_nothing_is_done_without_the_token(server: Server, action: str, header: str) -> None:
    """Without the right token each action is refused, unknown ones too, and the refusal is logged without it."""
    answer = server.ask("POST", f"/actions/{action}", {"reason": "r"}, Authorization=header)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert server.world.asked == []
    assert server.logged[0]["event"] == "admin_refused"
    assert "wrong" not in str(server.logged)


def test_without_a_set_token_actions_are_off() -> None:
    """With no token in the settings every action is refused, whatever is sent, and the answer says how to set one."""
    with served(token=None) as server:
        for header in ("Bearer ", "Bearer None", f"Bearer {TOKEN}"):
            answer = server.ask("POST", "/actions/pause", {"reason": "r"}, Authorization=header)
            assert answer.status == 403
            assert "admin.token_file" in answer.json["error"]
        assert server.world.asked == []


def test_a_refusal_of_the_road_is_told() -> None:
    """What the road cannot do is answered with 409 and its reason, and logged."""
    world = World()
    world.refuse = "orders.v1:9 is not assigned here"
    with served(world) as server:
        answer = server.act("pause", {"target": "orders.v1:9", "reason": "r"})
        assert (answer.status, answer.json["error"]) == (409, "orders.v1:9 is not assigned here")
        assert server.logged[0]["refused"] == "orders.v1:9 is not assigned here"


def test_a_reason_is_one_line_in_the_log(server: Server) -> None:
    """Control characters in a reason cannot forge a line of the log."""
    server.act("pause", {"reason": "a\nb\x1b[31m c"})
    assert server.world.asked[0][-1] == "a b [31m c"


def test_bodies_are_bounded(server: Server) -> None:
    """A body over 16 KiB is refused and not read."""
    assert server.act("pause", {"reason": "r" * 20_000}).status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/metrics", 405), ("GET", "/actions/pause", 405), ("DELETE", "/", 405)],
)
def test_what_does_not_exist_is_told(server: Server, method: str, path: str, status: int) -> None:
    """Unknown paths and methods get a JSON error."""
    answer = server.ask(method, path)
    assert answer.status == status
    assert "error" in answer.json


def test_an_action_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the road does not answer, the request ends with 504 and says where to look."""
    monkeypatch.setattr(admin, "REQUEST_SECONDS", 0.1)

    class Hanging(World):
        async def act(self, action: Action, values: tuple[Any, ...], reason: str) -> str:
            await asyncio.sleep(60)
            return ""

    with served(Hanging()) as server:
        answer = server.act("pause", {"reason": "r"})
    assert answer.status == 504
    assert "/status" in answer.json["error"]


def test_a_port_in_use_is_one_clear_line() -> None:
    """A port in use is one line that names the setting to change."""
    world = World()
    app = application(admin.AdminServer(world, CollectorRegistry(), {}, world.act, None, lambda event, **facts: None))

    async def listen(port: int) -> None:
        async with serving(app, "127.0.0.1", port):
            raise AssertionError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(AdminError, match=r"in use.*admin\.port") as caught:
            asyncio.run(listen(taken.getsockname()[1]))
    assert "\n" not in str(caught.value)


def test_the_token_is_read_anew(tmp_path: Path) -> None:
    """A rotated token file takes effect at once; a file that cannot be read is told, and refuses every action."""
    file = tmp_path / "token"
    with served(token=Secret(file=file)) as server:
        answer = server.act("pause", {"reason": "r"})
        assert (answer.status, "cannot be read" in answer.json["error"]) == (503, True)
        file.write_text("one-token\n")
        assert server.act("pause", {"reason": "r"}, "one-token").status == 200
        file.write_text("another-token\n")
        assert server.act("pause", {"reason": "r"}, "one-token").status == 401
        assert server.act("pause", {"reason": "r"}, "another-token").status == 200
