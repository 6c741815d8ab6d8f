"""MirrorMaker 2, as people run it to move to another cluster: topics under their names, groups with their offsets."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.brokers.jars import fetched, java
from tests.brokers.real import RealKafka

MIRROR_VERSION: Final = "4.1.0"
_POM: Final = Path(__file__).with_name("mirror.xml")
_REPLICAS: Final = (
    "",
    "checkpoints.topic.",
    "offset-syncs.topic.",
    "offset.storage.",
    "status.storage.",
    "config.storage.",
)


class MirrorMaker:
    """Copies one way until the end of the block. Offsets of idle groups are carried over every second."""

    def __init__(self, folder: Path, source: RealKafka, target: RealKafka, *, topics: str, groups: str) -> None:
        """`topics` and `groups` are regular expressions."""
        self.log = folder / "mirror.log"
        self._file = folder / "mirror.properties"
        self._file.write_text("".join(f"{key}={value}\n" for key, value in _settings(source, target, topics, groups)))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        jars = fetched(f"mirror-{MIRROR_VERSION}", _POM)
        command = [java(), "-Xmx384m", "-XX:+UseSerialGC", "-cp", f"{jars}/*"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "org.apache.kafka.connect.mirror.MirrorMaker", str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(120)


def _settings(source: RealKafka, target: RealKafka, topics: str, groups: str) -> list[tuple[str, object]]:
    return [
        ("clusters", "source, target"),
        ("source.bootstrap.servers", source.bootstrap),
        ("target.bootstrap.servers", target.bootstrap),
        ("source->target.enabled", "true"),
        ("target->source.enabled", "false"),
        ("source->target.topics", topics),
        ("source->target.groups", groups),
        ("source->target.sync.group.offsets.enabled", "true"),
        ("source->target.offset.lag.max", 0),
        ("replication.policy.class", "org.apache.kafka.connect.mirror.IdentityReplicationPolicy"),
        ("emit.heartbeats.enabled", "false"),
        *((f"{what}.interval.seconds", 1) for what in ("sync.group.offsets", "emit.checkpoints")),
        *((f"refresh.{what}.interval.seconds", 1) for what in ("topics", "groups")),
        *((f"{what}replication.factor", 1) for what in _REPLICAS),
        ("dedicated.mode.enable.internal.rest", "false"),
        ("tasks.max", 1),
    ]
