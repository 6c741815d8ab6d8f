"""As fast as it goes: against the floor, with two processes, and what memory that takes."""

from __future__ import annotations

from contextlib import ExitStack

from bench.bridges import Bridge, committed, settings
from bench.processes import Figures, until
from bench.report import median
from bench.scenarios.scenario import Found
from bench.sinks import Sink
from bench.world import World

FLOORS = ("pycurl", "aiohttp")
SMALL = {"memory": "small"}


def run(world: World) -> Found:
    """Floor and bridge in turn on the same records; the medians of the rounds count, and the floor's better client."""
    topic = world.topic(world.records)
    runs: dict[str, list[Figures]] = {}
    with Sink() as sink:
        world.facts["sink"] = sink.made_of
        for _ in range(world.rounds):
            for client in FLOORS:
                runs.setdefault(client, []).append(world.floor(sink, topic, world.records, client))
            runs.setdefault("bridge", []).append(world.bridge(sink, [topic], world.records))
    rows = [median(each) for each in runs.values()]
    best = min(rows[:-1], key=lambda row: row.microseconds)
    bridge = rows[-1]
    summary = (
        f"bridge {bridge.per_cpu_second:,.0f} records per CPU-second, "
        f"{bridge.microseconds / best.microseconds:.2f} times the floor's CPU, {bridge.peak_mib:.0f} MiB"
    )
    return Found(summary, rows, best)


def memory(world: World) -> Found:
    """Peak memory with the default settings and with `memory: small`."""
    topic = world.topic(world.records)
    with Sink() as sink:
        runs = {
            name: [world.bridge(sink, [topic], world.records, name=name, more=more) for _ in range(world.rounds)]
            for name, more in (("default", {}), ("memory: small", SMALL))
        }
    rows = [median(each) for each in runs.values()]
    return Found("peak memory " + ", ".join(f"{row.name} {row.peak_mib:.0f} MiB" for row in rows), rows)


def replicas(world: World) -> Found:
    """One process, then two of one group, on the same topic."""
    topic = world.topic(world.records)
    with Sink() as sink:
        one = median([world.bridge(sink, [topic], world.records, name="one process") for _ in range(world.rounds)])
        two = median([_two(world, sink, topic) for _ in range(world.rounds)])
    gain = two.per_second / one.per_second
    return Found(f"two processes read {gain:.2f} times as many records a second as one", [one, two])


def _two(world: World, sink: Sink, topic: str) -> Figures:
    """From the moment when both have partitions: what was read before does not count."""
    chosen = settings(world.kafka, sink, [topic], world.group(), {})
    with ExitStack() as stack:
        pair = [stack.enter_context(Bridge(world.folder, chosen, name=name)) for name in ("first", "second")]
        until(lambda: all(each.status()["partitions"] for each in pair), 60, "both have partitions", every=0.1)
        before = [each.usage() for each in pair]
        start = committed(world.kafka, pair[0])
        until(lambda: committed(world.kafka, pair[0]) >= world.records, 600, "all is committed", every=0.1)
        after = [each.usage() for each in pair]
    cpu = sum(end.cpu_seconds - begin.cpu_seconds for begin, end in zip(before, after, strict=True))
    peak = max(each.peak_mib for each in after)
    return Figures("two processes", world.records - start, cpu, after[0].at - before[0].at, peak)
