"""What takes a given time whatever the machine: being idle, a steady trickle, a slow API."""

from __future__ import annotations

import time

from confluent_kafka import Producer

from bench.bridges import committed
from bench.processes import until
from bench.records import events_of, orders
from bench.scenarios.scenario import Found
from bench.sinks import Sink
from bench.world import World
from tests.brokers.real import RealKafka

PER_SECOND = 1_000
LINGER_MS = 20
DELAY = 0.150
BATCH = 100
WARM_SECONDS = 2.0


def idle(world: World) -> Found:
    """CPU of a bridge that has caught up; `--records` is how many seconds are watched."""
    topic = world.topic(1_000)
    with Sink() as sink, world.bridge_on(sink, [topic]) as bridge:
        until(lambda: committed(world.kafka, bridge) >= 1_000, 60, "all is committed")
        time.sleep(WARM_SECONDS)
        before = bridge.usage()
        time.sleep(world.records)
        after = bridge.usage()
    share = (after.cpu_seconds - before.cpu_seconds) / (after.at - before.at)
    world.facts["idle_share_of_a_core"] = round(share, 4)
    return Found(f"idle: {share:.2%} of a core, {after.peak_mib:.0f} MiB")


def latency(world: World) -> Found:
    """Age of events when they are accepted, with 1,000 records a second coming in."""
    topic = world.kafka.create_topic(f"bench-orders-trickle-{world.group()}", 4)
    with Sink(ages=True) as sink, world.bridge_on(sink, [topic]) as bridge:
        warm = PER_SECOND
        _trickle(world.kafka, topic, warm)
        until(lambda: int(sink.stats()["events"]) >= events_of(warm), 60, "the first records were accepted")
        sink.reset()
        before = bridge.usage()
        _trickle(world.kafka, topic, world.records)
        until(lambda: int(sink.stats()["events"]) >= events_of(world.records), 60, "all was accepted")
        after = bridge.usage()
        stats = sink.stats()
    world.facts |= {name: stats[name] for name in ("p50_ms", "p99_ms", "longest_ms", "calls")}
    world.facts["linger_ms"] = LINGER_MS
    world.facts["share_of_a_core"] = round((after.cpu_seconds - before.cpu_seconds) / (after.at - before.at), 3)
    summary = (
        f"latency at {PER_SECOND} records/s: p50 {stats['p50_ms']} ms, p99 {stats['p99_ms']} ms, linger {LINGER_MS} ms"
    )
    return Found(summary)


def _trickle(kafka: RealKafka, topic: str, count: int) -> None:
    """Write records at an even pace, each sent as soon as it is there."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0, "log_level": 0})
    start = time.monotonic()
    for number, (key, value) in enumerate(orders(count)):
        wait = start + number / PER_SECOND - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        producer.produce(topic, value, key)
        producer.poll(0)
    producer.flush(30)


def delay(world: World) -> Found:
    """Events a second with an API that takes 150 ms, and what the calls in flight would allow."""
    topic = world.topic(world.records)
    with Sink(delay=DELAY) as sink:
        figures = world.bridge(sink, [topic], world.records)
        stats = sink.stats()
    rate = 1000 * stats["events"] / max(1, stats["last_ms"] - stats["first_ms"])
    allowed = stats["most_in_flight"] * BATCH / DELAY
    world.facts |= {
        "events_per_second": round(rate),
        "most_in_flight": stats["most_in_flight"],
        "allowed_by_calls_in_flight": round(allowed),
        "events_per_call": round(stats["events"] / max(1, stats["calls"]), 1),
    }
    return Found(
        f"with {DELAY * 1000:.0f} ms at the API {rate:,.0f} events/s, {rate / allowed:.0%} of what is allowed",
        [figures],
    )
