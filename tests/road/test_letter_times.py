"""Dead letters of records with strange times, on a dead-letter topic as Kafka makes it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from bridge.flow import Event, PlainRecord
from bridge.service.wiring import context_of, credentials_of, mapping_of, usable_rules
from bridge.settings.load import load_settings
from tests.brokers.real import RealKafka, Sent
from tests.brokers.unchecked import Raw, produce_raw
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.conftest import Cli
from tests.road.world import World, accepted

RULES: Final = """\
rules:
  - name: placed
    topics: [{topics}]
    event: order_placed
    distinct_id: ${{ .who }}
    properties:
      number: '${{ {number} }}'
      at: $timestamp is ${{ $timestamp // "unknown" | tojson }}
"""
SEVEN_DAYS: Final = {"retention.ms": str(7 * 86_400_000)}
"""What Kafka itself gives a topic; the tests' brokers keep everything."""
ANY_TIME: Final = {f"message.timestamp.{side}.max.ms": str((1 << 63) - 1) for side in ("before", "after")}
NOW: Final = time.time_ns() // 1_000_000
TIMES: Final = {
    "ten days ago": NOW - 10 * 86_400_000,
    "two hours ahead": NOW + 7_200_000,
    "seconds": NOW // 1_000,
    "microseconds": NOW * 1_000,
    "nanoseconds": NOW * 1_000_000,
    "1970": 0,
    "unknown": -1,
    "before 1970": -86_400_000,
    "first": -(1 << 63),
    "last": (1 << 63) - 1,
}


def _checked_by_retention(kafka: RealKafka) -> None:
    """Wait until Kafka has looked through all topics for what is too old, after now."""
    for _ in range(2):
        topic = kafka.create_topic(kafka.unique("canary"), config=SEVEN_DAYS)
        kafka.produce(topic, [Sent(b"old", timestamp=NOW - 10 * 86_400_000)])
        until(partial(_empty, kafka, topic), 60)


def _empty(kafka: RealKafka, topic: str) -> bool:
    return kafka.first_offsets(topic) == kafka.end_offsets(topic)


def _rules(world: World, topics: list[str], number: str) -> None:
    (world.folder / "rules" / "orders.yaml").write_text(RULES.format(topics=", ".join(topics), number=number))


def _letters(cli: Cli) -> list[dict[str, Any]]:
    code, out = cli("list", "--json")
    assert code == 0, out
    return [json.loads(line) for line in out.splitlines()]


def _expected(kafka: RealKafka, config: Path, topics: list[str]) -> dict[str, dict[str, Any]]:
    """What today's rules make of the records themselves, by key."""
    chosen = load_settings(config, {})
    cluster = str(kafka.admin.list_topics(timeout=120).cluster_id)
    rules = usable_rules(Path(chosen.rules.path), chosen.kafka.topics)
    mapping = mapping_of(rules, context_of(chosen, credentials_of(chosen)().env, cluster))
    made = {}
    for topic in topics:
        mapper = mapping.mapper(topic)
        for message in kafka.read(topic):
            offset, at = message.offset() or 0, message.timestamp()[1]
            for event in mapper(PlainRecord(topic, 0, offset, message.value(), key=message.key(), timestamp=at)):
                assert isinstance(event, Event)
                made[event.key] = json.loads(event.body)
    return made


def _without_key(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("$idempotency_key", "$insert_id")}


def test_a_letter_bears_the_time_at_which_it_was_written(world: World, cli: Cli, tmp_path: Path) -> None:
    """Whatever a record's time, its letter outlives the retention check, is listed, shown, and replayed as the record."""
    kafka = world.kafka
    kafka.alter_topic(world.dead_letters, SEVEN_DAYS)
    topics = [
        kafka.create_topic(kafka.unique("any"), config=ANY_TIME),
        kafka.create_topic(kafka.unique("append"), config={"message.timestamp.type": "LogAppendTime"}),
    ]
    config = tmp_path / "dlq.json"
    chosen = world.settings(kafka={"topics": topics})
    config.write_text(json.dumps(chosen))
    for topic in topics:
        for name, at in TIMES.items():
            value = json.dumps({"who": name, "n": 1}).encode()
            produce_raw(kafka.bootstrap, topic, [[Raw(value, b"k", timestamp=at)]])
    refused = {"fault": "status", "status": 400, "when": {"match": {"distinct_id": {"equals": "1970"}}}}
    world.sandbox.post_faults(refused)
    _rules(world, topics, 'if .who == "1970" then .n else error("no") end')
    count = 2 * len(TIMES)
    begun = time.time_ns() // 1_000_000
    with BridgeProcess(tmp_path, chosen) as bridge:
        until(lambda: committed_everything(kafka, world.group, topics), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
    _checked_by_retention(kafka)
    written = kafka.read(world.dead_letters)
    assert len(written) == count
    assert all(begun <= letter.timestamp()[1] <= time.time_ns() // 1_000_000 for letter in written)
    found = _letters(cli)
    assert len(found) == count
    mine = {each["source"]: each["timestamp"] for each in found if each["source"].startswith(topics[0])}
    assert mine == {f"{topics[0]}:0:{offset}": at for offset, at in enumerate(TIMES.values())}
    for each in [each for each in found if abs(each["timestamp"]) >= 1 << 62]:
        code, out = cli("show", each["letter"])
        assert code == 0, out
        assert each["source"] in out

    # Letters about letters: the rule still fails, SuprSend still refuses.
    code, out = cli("replay", "--yes", "--rate", "1000")
    assert code == 0, out
    _checked_by_retention(kafka)
    again = _letters(cli)
    assert len(again) == 2 * count
    assert sorted(each["timestamp"] for each in again[count:]) == sorted(each["timestamp"] for each in found)

    world.sandbox.clear_faults()
    _rules(world, topics, ".n")
    code, out = cli("replay", "--yes", "--rate", "1000")
    assert code == 0, out
    expected = _expected(kafka, config, topics)
    got = accepted(world.sandbox)
    assert len(expected) == count
    bodies = {event["key"]: event["body"] for event in world.sandbox.events(taken="accepted")}
    assert {key.removesuffix(".r2") for key in got} == expected.keys()
    assert {key.removesuffix(".r2"): _without_key(bodies[key]) for key in got} == {
        key: _without_key(body) for key, body in expected.items()
    }
    assert sum(key.endswith(".r2") for key in got) == 2, "the refused ones"
