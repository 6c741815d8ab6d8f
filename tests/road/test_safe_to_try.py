"""Ways to try the bridge without reaching people: a dry run, only some recipients, a rate limit."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import RULES, World, accepted, expected, records


def test_a_dry_run_reads_counts_and_shows_and_leaves_no_trace(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """With --dry-run every record is mapped, nothing is sent, committed or dead-lettered, and the end shows events."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    kafka.produce(topic, [*records(topic, range(200)), Sent(b"{half")])
    bridge = BridgeProcess(tmp_path, world.settings(), options=["--dry-run"])
    with bridge:
        url = bridge.admin_url()

        def status() -> dict[str, object]:
            with urllib.request.urlopen(url + "/status", timeout=120) as answer:
                found: dict[str, object] = json.loads(answer.read())
            return found

        until(lambda: sum(status()["totals"]["finished"].values()) == 201, 60, bridge.text)  # type: ignore[index]
        assert status()["dry_run"] is True
        assert bridge.terminate() == 0, bridge.text()
    text = bridge.text()
    assert bridge.log()[0]["dry_run"] is True
    assert "dry run: nothing was sent, committed or dead-lettered" in text
    assert f"{topic}: 201 records read: 1 dead_lettered, 180 delivered, 20 filtered" in text
    assert "placed → order_placed: 180" in text
    assert "order_placed, 3 of 180:" in text
    assert sandbox.stats()["calls"]["total"] == 0
    assert kafka.committed(world.group, topic) == {}
    assert kafka.committed(f"{world.group}.dry-run", topic) == {}
    assert kafka.committed(f"{world.group}.delivered", topic) == {}
    assert not kafka.read(world.dead_letters)


def test_a_dry_run_ends_by_itself_after_so_many_records(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """`--records 100` of 5,000 reads and shows those, or a few more that came with them, and ends in order."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(5_000)))
    with BridgeProcess(tmp_path, world.settings(), options=["--dry-run", "--records", "100"]) as bridge:
        assert bridge.process.wait(240) == 0, bridge.text()
    (line,) = [line for line in bridge.text().splitlines() if f"{topic}: " in line]
    assert 100 <= int(line.split()[1]) <= 200
    assert "no partition was read" not in bridge.text()


def test_a_dry_run_without_a_partition_says_so(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """Beside another dry run, which has the only partition, `--for 5s` ends by itself and says why nothing was read."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    with BridgeProcess(tmp_path, world.settings(), name="first", options=["--dry-run"]) as first:
        until(lambda: any(line["event"] == "assigned" for line in first.log()), 120, first.text)
        bridges = (
            BridgeProcess(tmp_path, world.settings(), name=f"of {seconds}", options=["--dry-run", "--for", seconds])
            for seconds in ("5s", "80s")
        )
        for bridge in bridges:
            with bridge:
                assert bridge.process.wait(240) == 0, bridge.text()
            text = bridge.text()
            if "had not joined" not in text:
                break
        assert f"no partition was read: other members of the group {world.group}.dry-run have them all" in text
        assert f"{world.topics[0]}: 0 records read" in text
        assert first.terminate() == 0, first.text()


def test_a_dry_run_that_has_to_leave_sums_up_all_the_same(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Of two dry runs with the same instance id one is fenced: it leaves at once with 70, and with its summary."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    chosen = world.settings()
    chosen["kafka"]["instance_id"] = "the-only-one"
    one, two = (BridgeProcess(tmp_path, chosen, name=name, options=["--dry-run"]) for name in ("one", "two"))
    with one, two:
        until(lambda: one.process.poll() is not None or two.process.poll() is not None, 120, one.text)
        fenced = one if one.process.poll() is not None else two
        assert fenced.process.wait(120) == 70, fenced.text()
    assert "dry run: nothing was sent, committed or dead-lettered" in fenced.text()
    assert f"{world.topics[0]}: 0 records read" in fenced.text()


def test_a_dry_run_that_cannot_reach_kafka_says_so_at_its_end(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """Without a broker the summary comes all the same, with what is wrong."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "orders.yaml").write_text(RULES.format(topics="orders"))
    chosen = {
        "kafka": {
            "bootstrap_servers": ["127.0.0.1:1"],
            "topics": ["orders"],
            "group_id": "g",
            "dead_letter_topic": "d",
        },
        "suprsend": {"base_url": sandbox.url, "workspace_key": sandbox.workspace.key, "workspace_secret": "x" * 20},
        "rules": {"path": str(rules)},
        "admin": {"port": 0},
        "logs": {"format": "json"},
    }
    with BridgeProcess(tmp_path, chosen, options=["--dry-run", "--for", "20s"]) as bridge:
        bridge.process.wait(240)
    assert "no partition was read: no broker" in bridge.text()
    assert "orders: 0 records read" in bridge.text()


def test_only_the_listed_recipients_are_reached(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """`delivery.only_recipients`: all others are dropped and counted as filtered; nothing is dead-lettered."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(300)))
    with BridgeProcess(tmp_path, world.settings(delivery={"only_recipients": ["u7", "u1*"]})) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        url = bridge.admin_url()
        with urllib.request.urlopen(url + "/metrics", timeout=120) as answer:
            metrics = answer.read().decode()
        assert bridge.terminate() == 0
    chosen = {n for n in range(300) if str(n) == "7" or str(n).startswith("1")}
    assert accepted(sandbox).keys() == expected(topic, chosen)
    assert not kafka.read(world.dead_letters)
    dropped = len(expected(topic, range(300))) - len(expected(topic, chosen))
    assert f'code="recipient_not_allowed",rule="placed"}} {dropped}.0' in metrics.replace(", ", ",") or (
        "recipient_not_allowed" in metrics
    )


def test_the_rate_limit_counts_events_not_calls(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> None:
    """With `rate_limit: 100` 450 events take some four seconds, whatever the size of the calls."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    kafka.produce(topic, records(topic, range(500)))
    with BridgeProcess(tmp_path, world.settings(delivery={"rate_limit": 100})) as bridge:
        until(lambda: sandbox.stats()["events"]["accepted"] > 0, 60, bridge.text)
        begun = time.monotonic()
        until(lambda: sandbox.stats()["events"]["accepted"] == 450, 60, bridge.text)
        took = time.monotonic() - begun
        assert bridge.terminate() == 0
    # At most two calls (a full burst, and one into debt) are out before the limit bites.
    assert took > 2.0
