"""`suprsend-bridge run` as a process of its own, against a real Kafka and a sandbox."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException

from bridge import jsontext
from bridge.sandbox.process import SandboxProcess
from tests.brokers.faulty import FaultyKafka
from tests.brokers.real import RealKafka

RULES = Path(__file__).parents[2] / "config" / "rules"
START = [sys.executable, "-m", "bridge"]
DEAD = 120.0
"""Seconds without what is waited for after which a process is dead, and not slow."""


def settings(
    broker: RealKafka | FaultyKafka,
    suprsend: SandboxProcess,
    topics: list[str],
    group: str,
    dead_letters: str,
    **more: Mapping[str, Any],
) -> dict[str, Any]:
    """Settings as a person would write them; `more` adds to or replaces keys of a section."""
    workspace = suprsend.workspace
    base: dict[str, dict[str, Any]] = {
        "kafka": {
            "bootstrap_servers": [broker.bootstrap],
            "topics": topics,
            "group_id": group,
            "start_from": "earliest",
            "dead_letter_topic": dead_letters,
        },
        "suprsend": {
            "base_url": suprsend.url,
            "workspace_key": workspace.key,
            "workspace_secret": workspace.secret,
        },
        "rules": {"path": str(RULES)},
        "admin": {"port": 0},
        "logs": {"format": "json"},
    }
    for section, values in more.items():
        base.setdefault(section, {}).update(values)
    return base


class BridgeProcess:
    """One process. A context manager: leaving it kills what still runs."""

    def __init__(
        self, folder: Path, chosen: Mapping[str, Any], *, name: str = "bridge", options: Sequence[str] = ()
    ) -> None:
        self._options = options
        self.settings_file = folder / f"{name}.yaml"
        # JSON is YAML: what `json.dumps` writes is read as it is.
        self.settings_file.write_bytes(jsontext.dumps(chosen, option=jsontext.OPT_INDENT_2))
        self.log_file = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, or start again."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*START, "run", "--config", str(self.settings_file), *self._options],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def kill(self) -> None:
        """SIGKILL: no chance to do anything."""
        self.process.kill()
        self.process.wait(DEAD)

    def terminate(self, seconds: float = DEAD) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def log(self) -> list[dict[str, Any]]:
        """The log lines so far."""
        lines = self.log_file.read_bytes().splitlines() if self.log_file.exists() else []
        return [jsontext.loads(line) for line in lines if line.startswith(b"{")]

    def starts(self) -> int:
        """How many times it has come up."""
        return sum(line["event"] == "admin_listening" for line in self.log())

    def text(self) -> str:
        """All that it wrote."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def admin_url(self, seconds: float = DEAD) -> str:
        """The address of the admin server, once it listens."""
        lines = until(lambda: [line for line in self.log() if line["event"] == "admin_listening"], seconds, self.text)
        return f"http://127.0.0.1:{lines[-1]['port']}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def until(found: Callable[[], Any], seconds: float, why: Callable[[], str] = lambda: "") -> Any:
    """Wait until something is true and return it; fails after so long, and never before only a dead process misses it."""
    seconds = max(seconds, DEAD)
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {found}\n{why()[-4000:]}")
        time.sleep(0.05)


def committed_everything(kafka: RealKafka, group: str, topics: list[str]) -> bool:
    """Whether the group's offsets stand at the end of every partition."""
    for topic in topics:
        ends = kafka.end_offsets(topic)
        try:
            offsets = {partition: offset for partition, (offset, _) in kafka.committed(group, topic).items()}
        except KafkaException:
            return False  # the coordinator is just loading the group
        if any(offsets.get(partition, 0) < end for partition, end in ends.items()):
            return False
    return True
