"""The admin server while the bridge is still being assembled, and afterwards."""

from __future__ import annotations

from bridge.service.stage import Stage
from tests.observe.served import served
from tests.observe.world import World


def test_a_process_lives_before_it_is_ready() -> None:
    """While it starts it is alive, not ready, and every topic is counted from 0; actions are told to come again."""
    stage = Stage(("orders.v1", "comments.v1"))
    with served(stage, up=1) as server:  # type: ignore[arg-type]
        assert server.ask("GET", "/livez").status == 200
        assert server.ask("GET", "/readyz").status == 503
        metrics = server.ask("GET", "/metrics").body.decode()
        assert 'bridge_records_consumed_total{topic="orders.v1"} 0.0' in metrics
        status = server.ask("GET", "/status").json
        assert [topic["topic"] for topic in status["topics"]] == ["orders.v1", "comments.v1"]
        refused = server.act("pause", {"target": "orders.v1", "reason": "a test"})
        assert refused.status == 409
        assert "is starting" in refused.json["error"]


def test_then_the_bridge_is_what_is_seen() -> None:
    """Once the bridge has entered, its state is shown and its controls act."""
    stage, world = Stage(("orders.v1",)), World()
    stage.enter(world, world)
    with served(stage) as server:  # type: ignore[arg-type]
        assert server.ask("GET", "/readyz").status == 200
        assert server.ask("GET", "/status").json["totals"]["consumed"] == 110
        asked = [
            ("pause", {"target": "orders.v1"}),
            ("resume", {"target": "orders.v1:0"}),
            ("skip", {"record": "orders.v1:0:5"}),
            ("accept-rewind", {"token": "0123456789"}),
            ("log-level", {"level": "debug"}),
        ]
        for action, body in asked:
            answer = server.act(action, {**body, "reason": "a test"})
            assert answer.status == 200, answer.body
    assert [what[0] for what in world.asked] == [action for action, _ in asked]
