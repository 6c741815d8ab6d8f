"""The same work by others: a loop on the official SDK, Bento where Go can build it, and less work by Kafka Connect."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from bench.bridges import run_through
from bench.peers import connect
from bench.peers.bento import Bento, built
from bench.processes import Figures
from bench.records import events_of
from bench.report import median
from bench.scenarios.scenario import Found
from bench.sinks import Sink
from bench.world import World, own_program
from tests.brokers.jars import Unavailable

SDK_SHARE = 10
"""The loop on the SDK gets this part of the records: it is slow."""


def run(world: World) -> Found:
    """Each in turn on the same topic; `SDK_SHARE` says why the loop gets fewer records."""
    topic = world.topic(world.records)
    with Sink() as sink:
        turns: list[Callable[[], Sequence[Figures]]] = [
            lambda: [world.bridge(sink, [topic], world.records)],
            lambda: [world.floor(sink, topic, world.records, "pycurl")],
            lambda: [_sdk(world, sink, topic)],
        ]
        program = _bento(world)
        if program is not None:
            turns.append(lambda: [_run_bento(world, sink, topic)])
        turns.append(lambda: run_connect(world, topic))
        rounds = [[row for turn in turns for row in turn()] for _ in range(world.rounds)]
    rows = [median(each) for each in zip(*rounds, strict=True)]
    bridge = rows[0]
    gains = (f"{row.microseconds / bridge.microseconds:.1f} times {row.name}'s" for row in rows[2:])
    return Found(f"records per CPU-second of the bridge: {', '.join(gains)}", rows, bridge)


def _sdk(world: World, sink: Sink, topic: str) -> Figures:
    records = max(1, world.records // SDK_SHARE)
    found = own_program(
        *("-m", "bench.peers.sdk_loop", "--bootstrap", world.kafka.bootstrap, "--topic", topic),
        *("--records", str(records), "--url", sink.url),
    )
    return Figures("SDK loop", records, found["cpu_seconds"], found["wall_seconds"], found["peak_mib"])


def _bento(world: World) -> object | None:
    try:
        return built()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        world.facts["bento"] = f"could not be built: {error}"
        return None


def _run_bento(world: World, sink: Sink, topic: str) -> Figures:
    program = built()
    assert program is not None
    sink.reset()
    with Bento(program, world.kafka, sink, topic, world.group()) as bento:
        return run_through("Bento", world.kafka, sink, bento, world.records, events_of(world.records))


def run_connect(world: World, topic: str) -> Sequence[Figures]:
    """Kafka Connect with its start and warm; nothing but a fact that says why where it cannot be had."""
    try:
        connect.built()
    except Unavailable as missing:
        world.facts["kafka connect"] = f"not measured: {missing}"
        return ()
    world.facts["kafka connect"] = connect.LESS
    with (
        Sink(count=connect.COUNTED) as sink,
        connect.Connect(world.folder, world.kafka, sink, topic, world.group()) as worker,
    ):
        return connect.run_through(world.kafka, sink, worker, world.records)
