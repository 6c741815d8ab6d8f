"""Kafka Connect as a process: a standalone worker that parses each record's JSON and maps nothing.

The sink on it is our own and the least there can be (`connect/LeastHttpSink.java`), so its cost is a lower bound.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from bench.bridges import committed
from bench.processes import Figures, Usage, stop, until, usage
from bench.sinks import BULK, Sink
from bridge.jsontext import loads
from tests.brokers.jars import Unavailable, fetched, java
from tests.brokers.node import free_ports
from tests.brokers.real import RealKafka

SOURCE: Final = Path(__file__).with_name("connect")
PLUGINS: Final = Path(__file__).parents[2] / ".cache" / "bench" / "connect"
NAME: Final = "Kafka Connect"
LESS: Final = "parses and maps nothing, and its sink is the least there can be: a lower bound"
COUNTED: Final = '"invoice_url":'
"""What each record has once: the sink counts by it."""
_CONNECTOR: Final = "LeastHttpSink"
_SERVICE: Final = "META-INF/services/org.apache.kafka.connect.sink.SinkConnector"
_TASKS: Final = 4
_BUILD_SECONDS: Final = 120
_END_SECONDS: Final = 30
_MOST_SECONDS: Final = 300.0
_LOOK_EVERY: Final = 5.0


def built() -> tuple[Path, Path]:
    """The folder of Connect's jars, and the folder of plugins with the sink in it.

    Raises Unavailable where Java, its compiler or Maven is missing, or the sink does not compile.
    """
    java()
    compiler = shutil.which("javac")
    if compiler is None:
        raise Unavailable("javac is not on the PATH")
    library = fetched("connect-4.1.0", SOURCE / "pom.xml")
    plugin, source = PLUGINS / "least-http-sink", SOURCE / f"{_CONNECTOR}.java"
    service = plugin / _SERVICE
    if not service.exists() or service.stat().st_mtime < source.stat().st_mtime:
        command = [compiler, "-cp", f"{library}/*", "-d", str(plugin), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
        if done.returncode:
            raise Unavailable(f"{source.name} does not compile: {done.stderr[-1000:]}")
        service.parent.mkdir(parents=True, exist_ok=True)
        service.write_text(f"{_CONNECTOR}\n")
    return library, PLUGINS


class Connect:
    """One worker with one connector. A context manager: leaving it ends the process."""

    def __init__(self, folder: Path, kafka: RealKafka, sink: Sink, topic: str, name: str) -> None:
        library, plugins = built()
        self.group = f"connect-{name}"
        self.topics = (topic,)
        (port,) = free_ports(1)
        self._status = f"http://127.0.0.1:{port}/connectors/{name}/status"
        self._log = folder / f"{self.group}.log"
        worker = {
            "bootstrap.servers": kafka.bootstrap,
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "offset.storage.file.filename": str(folder / f"{name}.offsets"),
            "offset.flush.interval.ms": "500",
            "plugin.path": str(plugins),
            "plugin.discovery": "service_load",
            "listeners": f"http://127.0.0.1:{port}",
            "consumer.max.poll.records": "2000",
        }
        connector = {
            "name": name,
            "connector.class": _CONNECTOR,
            "tasks.max": str(_TASKS),
            "topics": topic,
            "http.url": sink.url + BULK,
        }
        files = [
            _written(folder / f"{name}-{part}.properties", found)
            for part, found in (("worker", worker), ("connector", connector))
        ]
        self._command = [java(), "-Xmx1g", "-Dlog4j2.level=WARN", "-cp", f"{library}/*"]
        self._command += ["org.apache.kafka.connect.cli.ConnectStandalone", *files]
        self._process: subprocess.Popen[bytes] | None = None
        self._looked = self.started = time.monotonic()

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._looked = self.started = time.monotonic()
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        stop(self._process, _END_SECONDS)

    def usage(self) -> Usage:
        """What it has spent since it was started. Raises RuntimeError where it has ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Kafka Connect ended: {self._log.read_text()[-2000:]}")
        return usage(self._process.pid)

    def scrape(self) -> None:
        """Look every few seconds whether its tasks do well; raises RuntimeError where one failed."""
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        try:
            with urlopen(self._status, timeout=30) as answer:
                tasks = loads(answer.read())["tasks"]
        except URLError:
            return  # it does not listen yet, or does not know the connector
        failed = [task["trace"] for task in tasks if task["state"] == "FAILED"]
        if failed:
            raise RuntimeError(f"a task of Kafka Connect failed: {failed[0][:2000]}")


def run_through(kafka: RealKafka, sink: Sink, program: Connect, records: int) -> tuple[Figures, Figures]:
    """Watch a worker that was just started: what all records cost with its start, and what the second half did."""

    def came(least: int) -> tuple[int, Usage]:
        seen: list[tuple[int, Usage]] = []

        def enough() -> bool:
            program.scrape()
            seen.append((int(sink.stats()["events"]), program.usage()))
            return seen[-1][0] >= least

        until(enough, _MOST_SECONDS, f"{least} records were accepted", every=0.05)
        return seen[-1]

    half, begun = came(records // 2)
    last, ended = came(records)
    until(lambda: committed(kafka, program) >= records, _MOST_SECONDS, f"{records} records are committed", every=0.05)
    whole = program.usage()
    return (
        Figures(f"{NAME} with its start", records, whole.cpu_seconds, whole.at - program.started, whole.peak_mib),
        Figures(
            f"{NAME} warm", last - half, ended.cpu_seconds - begun.cpu_seconds, ended.at - begun.at, whole.peak_mib
        ),
    )


def _written(path: Path, found: Mapping[str, str]) -> str:
    path.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
    return str(path)
