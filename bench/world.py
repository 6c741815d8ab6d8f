"""What every scenario has: a Kafka, topics filled with orders, the floor and the bridge to run on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.bridges import Bridge, committed, run_through, settings
from bench.processes import Figures, until
from bench.records import add, events_of, fill
from bench.sinks import BULK, Sink
from bridge.jsontext import loads
from tests.brokers.real import RealKafka

_FLOOR_SECONDS: Final = 900
_WARM_RECORDS: Final = 50_000
More = Mapping[str, Any]
NO_MORE: Final[More] = {}


@dataclass(slots=True)
class World:
    """One run of the harness. `records` and `rounds` are what was asked for."""

    kafka: RealKafka
    folder: Path
    records: int
    rounds: int
    facts: dict[str, Any] = field(default_factory=dict)
    """What a scenario found out beside its figures; kept with the results."""
    _serial: int = 0

    def topic(self, records: int, *, partitions: int = 4) -> str:
        """A topic with so many orders."""
        name = f"bench-orders-p{partitions}-n{records}"
        fill(self.kafka, [name], records, partitions=partitions)
        return name

    def group(self) -> str:
        """A group that nobody used before."""
        self._serial += 1
        return f"bench-{time.time_ns() // 1_000_000}-{self._serial}"

    def bridge_on(self, sink: Sink, topics: Sequence[str], more: More = NO_MORE) -> Bridge:
        """A bridge, not started yet, with a group of its own."""
        return Bridge(self.folder, settings(self.kafka, sink, topics, self.group(), more))

    def bridge(
        self,
        sink: Sink,
        topics: Sequence[str],
        records: int,
        *,
        name: str = "bridge",
        events: int | None = None,
        more: More = NO_MORE,
    ) -> Figures:
        """Run the bridge through all records of the topics."""
        sink.reset()
        with self.bridge_on(sink, topics, more) as bridge:
            return run_through(
                name, self.kafka, sink, bridge, records, events_of(records) if events is None else events
            )

    def behind(self, sink: Sink, records: int, *, name: str) -> Figures:
        """Halt a bridge that is at work while so many records come, and let it catch up: no start is in the figure."""
        topic = self.kafka.create_topic(f"bench-orders-behind-{self.group()}", 4)
        with self.bridge_on(sink, [topic]) as bridge:
            add(self.kafka, topic, _WARM_RECORDS)
            until(lambda: committed(self.kafka, bridge) >= _WARM_RECORDS, 60, "it has warmed up")
            os.kill(bridge.pid, signal.SIGSTOP)
            try:
                add(self.kafka, topic, records)
                before = bridge.usage()
            finally:
                os.kill(bridge.pid, signal.SIGCONT)
            until(lambda: committed(self.kafka, bridge) >= _WARM_RECORDS + records, 600, "it has caught up")
            after = bridge.usage()
        spent, took = after.cpu_seconds - before.cpu_seconds, after.at - before.at
        return Figures(name, records, spent, took, after.peak_mib)

    def floor(self, sink: Sink, topic: str, records: int, client: str) -> Figures:
        """Run the floor through all records of a topic."""
        found = own_program(
            *("-m", "bench.floor", "--bootstrap", self.kafka.bootstrap, "--topic", topic, "--records", str(records)),
            *("--url", sink.url + BULK, "--client", client),
        )
        return Figures(f"floor, {client}", records, found["cpu_seconds"], found["wall_seconds"], found["peak_mib"])


def own_program(*arguments: str) -> dict[str, float]:
    """Run a program that prints its figures as one line of JSON."""
    done = subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_FLOOR_SECONDS,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    found: dict[str, float] = loads(done.stdout.splitlines()[-1])
    return found
