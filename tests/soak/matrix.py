"""The rows of the matrix, and how one is played."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.brokers.former import KINDS
from tests.brokers.node import Node
from tests.brokers.real import RealKafka
from tests.soak.judge import Judgement, gather, judge
from tests.soak.rows import api, brokers, cuts, machine, processes, topics, versions, volume
from tests.soak.spoiled import SmallNode, SpoiledNode
from tests.soak.stage import Play, Stage

_MIB: Final = 1024 * 1024


class Row(NamedTuple):
    """A row: how it is played, and how often the fault comes and how many records it takes in a full run."""

    play: Play
    faults: int
    records: int
    nodes: int = 0
    """It stops or kills brokers, or spoils the way to them: it gets a Kafka of its own, of so many."""

    version: str = ""
    """Of its own Kafka, where that is a former one."""

    @property
    def kind(self) -> type[Node]:
        """What its own Kafka is made of."""
        if self.version:
            return KINDS[self.version]
        return SpoiledNode if self.nodes < 2 else SmallNode


ROWS: Final[Mapping[str, Row]] = {
    "kill": Row(processes.kill_anywhere, 20, 20_000),
    "kill-after-apply": Row(processes.kill_after_apply, 20, 20_000),
    "kill-in-dead-letter": Row(processes.kill_in_dead_letter, 20, 10_000, nodes=1),
    "sigterm": Row(processes.sigterm, 50, 50_000),
    "rolling-restart": Row(processes.rolling_restart, 12, 20_000),
    "rebalance-storm": Row(processes.rebalance_storm, 100, 50_000),
    "frozen": Row(processes.frozen, 20, 20_000),
    "backlog": Row(processes.backlog, 1, 200_000),
    "output-blocked": Row(processes.output_blocked, 3, 10_000),
    "broker-kill": Row(brokers.killed, 20, 20_000, nodes=1),
    "broker-frozen": Row(brokers.frozen, 10, 10_000, nodes=1),
    "broker-network": Row(brokers.network, 60, 20_000, nodes=1),
    "brokers-of-three": Row(brokers.one_of_three, 20, 20_000, nodes=3),
    "commits-refused": Row(brokers.commits_refused, 20, 10_000, nodes=1),
    "broker-2.8": Row(brokers.former, 6, 6_000, nodes=1, version="2.8.2"),
    "broker-3.9": Row(brokers.former, 6, 6_000, nodes=1, version="3.9.1"),
    "broker-4.0": Row(brokers.former, 6, 6_000, nodes=1, version="4.0.0"),
    "api-down": Row(api.down, 1, 20_000),
    "api-slow": Row(api.slow, 40, 20_000),
    "api-network": Row(api.network, 20, 20_000),
    "api-429": Row(api.throttled, 20, 20_000),
    "api-fuzzed": Row(api.fuzzed, 400, 50_000),
    "api-poison": Row(api.poison, 20, 20_000),
    "api-refuses-all": Row(api.refuses_all, 1, 5_000),
    "secret-change": Row(api.secret_changed, 5, 5_000),
    "dead-letter-topic-deleted": Row(topics.dead_letters_deleted, 5, 10_000),
    "dead-letters-too-large": Row(topics.letters_too_large, 4, 2_000),
    "dead-letters-refused": Row(topics.letters_refused, 5, 10_000, nodes=2),
    "held-then-stopped": Row(topics.held_then_stopped, 6, 6_000, nodes=2),
    "retention-gap": Row(topics.retention, 5, 10_000),
    "truncated": Row(topics.truncated, 5, 30_000),
    "partitions-added": Row(topics.partitions_added, 5, 10_000),
    "topic-recreated": Row(topics.recreated, 3, 6_000),
    "log-cut": Row(cuts.log_cut, 4, 8_000, nodes=3),
    "first-start": Row(cuts.first_start, 4, 4_000, nodes=3),
    "moved-cluster": Row(versions.moved_cluster, 1, 4_000, nodes=1),
    "versions-mixed": Row(versions.versions_mixed, 9, 10_000),
    "clock": Row(machine.clock, 10, 5_000),
    "disk-full": Row(machine.disk_full, 5, 10_000),
    "memory-limit": Row(machine.memory_limit, 1, 200_000),
    "names-move": Row(machine.names_move, 5, 8_000),
    "certificates": Row(machine.certificates, 4, 4_000),
    "volume": Row(volume.volume, 25, 2_000_000, nodes=1),
}


@dataclass
class Result:
    """One row as it went."""

    row: str
    protocol: str
    seed: int
    faults: dict[str, int]
    judged: Judgement
    drain_seconds: float
    seconds: float
    peak_mib: float
    descriptors: int
    threads: int
    figures: dict[str, float] = field(default_factory=dict)


class Part(NamedTuple):
    """One row to play."""

    row: str
    protocol: str
    seed: int
    faults: int
    records: int


_SHARED: dict[str, RealKafka] = {}
"""This process's own Kafka for the rows that do no harm to it."""


def play_part(part: Part, folder: Path) -> Result:
    """Play a row on the Kafka that it wants, which is started where there is none. For a process of its own, too."""
    row = ROWS[part.row]
    name = f"{part.row}-{part.protocol}-{part.seed}"
    if row.nodes:
        kafka = RealKafka.start(folder / f"kafka-{name}", nodes=row.nodes, kind=row.kind)
    else:
        kafka = _SHARED.get("") or RealKafka.start(folder / f"kafka-{os.getpid()}", kind=SpoiledNode)
        _SHARED[""] = kafka
    try:
        return play(
            part.row,
            kafka,
            folder / name,
            seed=part.seed,
            protocol=part.protocol,
            faults=part.faults,
            records=part.records,
        )
    finally:
        if row.nodes:
            kafka.close()


def end_shared() -> None:
    """End this process's own Kafka."""
    for kafka in _SHARED.values():
        kafka.close()
    _SHARED.clear()


def play(name: str, kafka: RealKafka, folder: Path, *, seed: int, protocol: str, faults: int, records: int) -> Result:
    """Play one row on a Kafka that runs, and judge it. What goes wrong on the way is a violation of the row."""
    row = ROWS[name]
    began = time.monotonic()
    folder.mkdir(parents=True)
    stage = Stage(kafka, folder, Random(f"{seed} {name} {protocol}"), protocol, faults, records)
    judged = Judgement()
    try:
        try:
            row.play(stage)
        except Exception:  # noqa: BLE001 - a row that breaks off is a finding, and the others go on
            stage.claims.append(f"the row broke off: {traceback.format_exc()[-3000:]}")
            stage.still()
        stage.api()
        stage.drain()
        stage.finish()
        judged = judge(stage, gather(stage))
    except Exception:  # noqa: BLE001 - as above
        judged.violations += [*stage.claims, f"the row could not be judged: {traceback.format_exc()[-3000:]}"]
    finally:
        stage.close()
    peaks = stage.watch.peaks
    return Result(
        name,
        protocol,
        seed,
        dict(stage.injected),
        judged,
        round(stage.drain_seconds, 1),
        round(time.monotonic() - began, 1),
        round(peaks.memory_bytes / _MIB, 1),
        peaks.descriptors,
        peaks.threads,
        {name: round(value, 2) for name, value in stage.figures.items()},
    )
