"""One process of the tests' real Kafka: its files, its start and its end."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.brokers.jars import KAFKA_VERSION, jars, java

SASL_USER: Final = "alice"
SASL_PASSWORD: Final = "alice-secret"
_STOP_SECONDS: Final = 120
_PARENT_DEATH_SIGNAL: Final = 1
"""`PR_SET_PDEATHSIG`"""
_FORMAT_SECONDS: Final = 120

_FIXED: Final[Mapping[str, str]] = {
    "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
    "inter.broker.listener.name": "PLAIN",
    "controller.listener.names": "CONTROLLER",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl.plain.sasl.jaas.config": (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{SASL_USER}="{SASL_PASSWORD}";'
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "super.users": "User:ANONYMOUS",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "log.retention.ms": "-1",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


def _end_with_parent() -> None:
    """In the new process: have it killed when the tests' process dies without stopping it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nothing listens on at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Node:
    """One Kafka process. Node 1 is broker and controller, the others are brokers."""

    number: int
    folder: Path
    cluster: str
    controller_port: int
    replicas: int
    settings: Mapping[str, str]
    port: int = 0
    sasl_port: int = 0
    heap: str = "1g"
    """The most that the Java heap may grow to."""
    version: str = KAFKA_VERSION
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        """What the process wrote to its standard output and error."""
        return self.folder / "kafka.log"

    @property
    def log_dirs(self) -> Path:
        """Where its partitions lie."""
        return self.folder / "logs"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"Kafka node {self.number} is not running")
        return self.process.pid

    def prepare(self) -> None:
        """Choose ports, write `server.properties` and format the log folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.sasl_port = free_ports(2)
        lines = [f"{name}={value}" for name, value in self._properties().items()]
        (self.folder / "server.properties").write_text("\n".join(lines) + "\n")
        self._format()

    def _format(self) -> None:
        extra = ["--standalone"] if self.number == 1 else []
        command = [*self._java("256m"), "kafka.tools.StorageTool", "format", *extra, "-t", self.cluster]
        command += ["-c", str(self.folder / "server.properties")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_SECONDS, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka's log folder could not be formatted: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start the process; it answers some seconds later."""
        self.process = self._run([*self._java(self.heap), "kafka.Kafka", str(self.folder / "server.properties")])

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.logs.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def stop(self) -> None:
        """End it in order (SIGTERM), or by force where that takes longer than 30 s."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_SECONDS)
        self.process = None

    def _java(self, heap: str) -> list[str]:
        options = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-Xshare:auto", "-Dlog4j2.level=WARN"]
        return [java(), *options, "-cp", f"{jars(self.version)}/*"]

    def _properties(self) -> dict[str, str]:
        listeners = f"PLAIN://127.0.0.1:{self.port},SASL://127.0.0.1:{self.sasl_port}"
        first = self.number == 1
        replicas = str(self.replicas)
        return {
            **_FIXED,
            "process.roles": "broker,controller" if first else "broker",
            "node.id": str(self.number),
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": listeners + (f",CONTROLLER://127.0.0.1:{self.controller_port}" if first else ""),
            "advertised.listeners": listeners + (f",CONTROLLER://127.0.0.1:{self.controller_port}" if first else ""),
            "log.dirs": str(self.log_dirs),
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": "1",
            **self.settings,
        }
