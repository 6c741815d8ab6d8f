"""The admin server while the bridge is still being assembled, and afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import pytest

from bridge.delivery.pauses import Aim
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.pauses import PauseResult, Pauses
from bridge.observe.logs import Logs
from bridge.service.actions import ACTIONS
from bridge.service.controls import Operator
from bridge.service.engine import Ask, Engine
from bridge.service.main_thread import BridgeView
from tests.delivery.bench import TOPIC
from tests.delivery.test_operate import halted
from tests.observe.served import served
from tests.observe.world import World


def test_a_process_lives_before_it_is_ready() -> None:
    """While it starts it is alive, not ready, and every topic is counted from 0; actions are told to come again."""
    view = BridgeView(("orders.v1", "comments.v1"))
    with served(view, up=1) as server:  # type: ignore[arg-type]
        assert server.ask("GET", "/livez").status == 200
        assert server.ask("GET", "/readyz").status == 503
        metrics = server.ask("GET", "/metrics").body.decode()
        assert 'bridge_records_consumed_total{topic="orders.v1"} 0.0' in metrics
        status = server.ask("GET", "/status").json
        assert [topic["topic"] for topic in status["topics"]] == ["orders.v1", "comments.v1"]
        refused = server.act("pause", {"target": "orders.v1", "reason": "a test"})
        assert refused.status == 409
        assert "is starting" in refused.json["error"]


class Turns:
    """The delivery thread, which does at once what it is asked."""

    def __init__(self) -> None:
        self.bench = halted()

    def ask(self, request: Ask) -> None:
        request(self.bench.delivery, self.bench.now, self.bench.now_ms)


class Book:
    """Pauses that Kafka takes at once."""

    def say(self, aims: Sequence[Aim], reason: str, *, paused: bool) -> Future[PauseResult]:
        taken: Future[PauseResult] = Future()
        taken.set_result(PauseResult((), None))
        return taken


def operator(logs: Logs, turns: Turns | None = None) -> Operator:
    engine, pauses = cast("Engine", turns or Turns()), cast("Pauses", Book())
    return Operator(engine, pauses, logs, (TOPIC,), KafkaCounters())


STEPS: tuple[tuple[str, dict[str, str], int, str], ...] = (
    ("pause", {"target": TOPIC}, 200, f"paused {TOPIC}; stopped here: {TOPIC}:0; other processes"),
    ("pause", {"target": "elsewhere"}, 409, "elsewhere is not among kafka.topics"),
    ("skip", {"record": f"{TOPIC}:0:1"}, 200, f"{TOPIC}:0:1 goes to the dead-letter topic"),
    ("skip", {"record": f"{TOPIC}:0:7"}, 409, "is not unfinished here"),
    ("skip-unreadable", {"partition": f"{TOPIC}:0", "first": "4", "to": "9"}, 409, "does not stand at offset 4"),
    ("accept-rewind", {"token": "0123456789"}, 409, "no partition waits for that token"),
    ("resume", {"target": f"{TOPIC}:0"}, 409, "waits for resume"),
    ("log-level", {"level": "debug"}, 200, "log level info → debug"),
)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    with (tmp_path / "log").open("wb") as file:
        made = Logs(level="info", form="json", descriptor=file.fileno())
        yield made
        made.close()


def test_then_the_bridge_is_what_is_seen(logs: Logs) -> None:
    """Once the bridge has entered, its state is shown; each action of the table is done, or says why it is not."""
    view = BridgeView(("orders.v1",))
    view.enter(World(), operator(logs))
    with served(view) as server:  # type: ignore[arg-type]
        assert server.ask("GET", "/readyz").status == 200
        assert server.ask("GET", "/status").json["totals"]["consumed"] == 110
        for action, body, status, says in STEPS:
            answer = server.act(action, {**body, "reason": "a test"})
            assert (answer.status, says in answer.body.decode()) == (status, True), answer.body
    assert {step[0] for step in STEPS} == set(ACTIONS)


def test_resume_lifts_a_halt(logs: Logs) -> None:
    """What no pause holds goes on by `resume`, and the answer names it."""
    turns = Turns()
    view = BridgeView((TOPIC,))
    view.enter(World(), operator(logs, turns))
    with served(view) as server:  # type: ignore[arg-type]
        answer = server.act("resume", {"target": "all", "reason": "a test"})
    assert answer.json == {"done": f"resumed {TOPIC}:0"}
    assert turns.bench.delivery.holds.on((TOPIC, 0)) == {}
