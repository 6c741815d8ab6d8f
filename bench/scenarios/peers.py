"""The same work by others: a loop on the official SDK, and Bento where Go can build it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from bench.bridges import run_through
from bench.peers.bento import Bento, built
from bench.processes import Figures
from bench.records import events_of
from bench.report import median
from bench.scenarios.scenario import Found
from bench.sinks import Sink
from bench.world import World, own_program

SDK_SHARE = 10
"""The loop on the SDK gets this part of the records: it is slow."""


def run(world: World) -> Found:
    """Each in turn on the same topic; `SDK_SHARE` says why the loop gets fewer records."""
    topic = world.topic(world.records)
    with Sink() as sink:
        turns: list[Callable[[], Figures]] = [
            lambda: world.bridge(sink, [topic], world.records),
            lambda: world.floor(sink, topic, world.records, "pycurl"),
            lambda: _sdk(world, sink, topic),
        ]
        program = _bento(world)
        if program is not None:
            turns.append(lambda: _run_bento(world, sink, topic))
        rounds = [[turn() for turn in turns] for _ in range(world.rounds)]
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
