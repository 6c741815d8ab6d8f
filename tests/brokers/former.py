"""Brokers of former versions, for what is said of them in `docs/deploy/brokers.md`.

    python -m tests.brokers.former 2.8.2 tests/road/test_dlq.py tests/road/test_kill.py

starts one of that version and runs these tests against it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.brokers.node import Node, free_ports
from tests.brokers.real import RealKafka


@dataclass
class Node40(Node):
    """The first Kafka that has the `consumer` protocol for everybody."""

    version: str = "4.0.0"


@dataclass
class Node39(Node):
    """The last Kafka before 4."""

    version: str = "3.9.1"


@dataclass
class Node28(Node):
    """A Kafka with ZooKeeper, which is started beside it from the same jars. One node alone."""

    version: str = "2.8.2"
    keeper_port: int = 0
    keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def prepare(self) -> None:
        """Choose ZooKeeper's port, too."""
        (self.keeper_port,) = free_ports(1)
        super().prepare()

    def start(self) -> None:
        """Start ZooKeeper where it does not run, and Kafka."""
        if self.keeper is None:
            command = ["org.apache.zookeeper.server.ZooKeeperServerMain", str(self.keeper_port)]
            self.keeper = self._run([*self._java("128m"), *command, str(self.folder / "keeper")])
        super().start()

    def kill(self) -> None:
        """End Kafka, and ZooKeeper with it."""
        super().kill()
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait()
            self.keeper = None

    def _format(self) -> None:
        """Nothing is formatted with ZooKeeper."""

    def _properties(self) -> dict[str, str]:
        made = super()._properties()
        for name in [name for name in made if name.startswith(("controller.", "process.", "node.", "share."))]:
            del made[name]
        made["listeners"] = made["listeners"].partition(",CONTROLLER")[0]
        made["advertised.listeners"] = made["advertised.listeners"].partition(",CONTROLLER")[0]
        return made | {
            "broker.id": str(self.number),
            "zookeeper.connect": f"127.0.0.1:{self.keeper_port}",
            "authorizer.class.name": "kafka.security.authorizer.AclAuthorizer",
        }


KINDS: Final[Mapping[str, type[Node]]] = {kind.version: kind for kind in (Node28, Node39, Node40)}


def main(version: str, *arguments: str) -> int:
    """Run tests against a broker of this version; pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="former-") as folder:
        kafka = RealKafka.start(Path(folder), kind=KINDS[version])
        try:
            surroundings = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
            return subprocess.run(
                [sys.executable, "-m", "pytest", *arguments], env=surroundings, check=False
            ).returncode
        finally:
            kafka.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
