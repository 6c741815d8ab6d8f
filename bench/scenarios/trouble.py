"""A world that is a little sick, or larger than usual: what the bridge makes of it, on a real Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from bench.scenarios.scenario import Found
from bench.sinks import Sink
from bench.world import World
from bridge.jsontext import dumps

_PEOPLE: Final = 1_000
_TEXT: Final = "All of this goes to everybody. " * 2_500
_FAN_OUT: Final = """\
version: 1
rules:
  - name: told-all
    topics: [TOPIC]
    for_each: .people[]
    event: told_all
    distinct_id: ${ $item }
    properties: {text: '${ .text }', id: '${ .id }'}
"""


def fan_out(world: World) -> Found:
    """Peak memory while records of 88 KB become 1,000 events of 80 KB each; `--records` is how many."""
    topic = world.kafka.create_topic(f"bench-fan-out-{world.group()}", 4)
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap, "log_level": 0})
    for number in range(world.records):
        people = [f"person-{number}-{at}" for at in range(_PEOPLE)]
        producer.produce(topic, dumps({"id": number, "people": people, "text": _TEXT}), b"%d" % number)
    producer.flush(60)
    rules = _rules(world, _FAN_OUT.replace("TOPIC", topic))
    with Sink(delay=0.02) as sink:
        events = world.records * _PEOPLE
        figures = world.bridge(sink, [topic], world.records, events=events, more={"rules": {"path": str(rules)}})
    world.facts["mib_of_events"] = round(events * len(_TEXT) / (1 << 20))
    return Found(f"peak memory {figures.peak_mib:.0f} MiB, {events / figures.wall_seconds:,.0f} events/s", [figures])


def _rules(world: World, text: str) -> Path:
    folder = world.folder / f"rules-{world.group()}"
    folder.mkdir()
    (folder / "rules.yaml").write_text(text)
    return folder
