"""The bridge under measurement: `suprsend-bridge run` as a process of its own, with the settings of `config/bridge.yaml`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.request import urlopen

import yaml

from bench.floor import KEY, SECRET
from bench.processes import Figures, Usage, stop, until, usage
from bench.sinks import Sink
from bridge.jsontext import loads
from tests.brokers.real import RealKafka

ROOT: Final = Path(__file__).parents[1]
RULES: Final = Path(__file__).with_name("rules")
DEAD_LETTERS: Final = "bench-dead-letters"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0
_SCRAPE_EVERY: Final = 5.0
_BEFORE_FIRST: Final = 0.1
"""Seconds before the first call came to the sink at which the first record is taken to have been read, or earlier."""


class Endpoint(Protocol):
    """What takes the calls."""

    url: str


def settings(
    kafka: RealKafka, sink: Endpoint, topics: Sequence[str], group: str, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings of `config/bridge.yaml` with the addresses of this run, reading from the earliest record."""
    chosen: dict[str, Any] = yaml.safe_load((ROOT / "config" / "bridge.yaml").read_text())
    chosen["kafka"] |= {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "topics": list(topics),
        "group_id": group,
        "dead_letter_topic": DEAD_LETTERS,
        "start_from": "earliest",
    }
    chosen["suprsend"] = {"base_url": sink.url, "workspace_key": KEY, "workspace_secret": SECRET.decode()}
    chosen["rules"] = {"path": str(RULES)}
    chosen["admin"] = {"port": 0}
    for section, values in more.items():
        chosen[section] = {**chosen.get(section, {}), **values} if isinstance(values, Mapping) else values
    return chosen


class Bridge:
    """One process. A context manager: leaving it stops the process in order, or by force where that takes too long."""

    def __init__(self, folder: Path, chosen: Mapping[str, Any], *, name: str = "bridge") -> None:
        self.group: str = chosen["kafka"]["group_id"]
        self.topics: tuple[str, ...] = tuple(chosen["kafka"]["topics"])
        self._file = folder / f"{name}-{self.group}.yaml"
        self._log = self._file.with_suffix(".log")
        self._file.write_text(yaml.safe_dump(dict(chosen)))
        self._process: subprocess.Popen[bytes] | None = None
        self._scraped = 0.0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "run", "--config", str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        try:
            until(lambda: bool(self.admin) or self._ended(), _START_SECONDS, f"the bridge has started; see {self._log}")
        except BaseException:
            self._process.kill()
            raise
        self._refuse_ended()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        stop(self._process, _STOP_SECONDS)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def admin(self) -> str:
        """The address of the admin server; empty until it listens."""
        found = re.search(r"admin_listening.*", self._log.read_text())
        port = re.search(r"port\"?[=:] ?(\d+)", found[0]) if found else None
        return f"http://127.0.0.1:{port[1]}" if port else ""

    def usage(self) -> Usage:
        """What it has spent so far. Raises RuntimeError where it has ended."""
        self._refuse_ended()
        return usage(self.pid)

    def scrape(self) -> None:
        """Read the metrics as Prometheus would, every few seconds."""
        if time.monotonic() - self._scraped >= _SCRAPE_EVERY:
            self._scraped = time.monotonic()
            with urlopen(self.admin + "/metrics", timeout=10) as answer:
                answer.read()

    def status(self) -> dict[str, Any]:
        """Its status, as the admin server tells it."""
        with urlopen(self.admin + "/status", timeout=10) as answer:
            found: dict[str, Any] = loads(answer.read())
        return found

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _refuse_ended(self) -> None:
        if self._ended():
            raise RuntimeError(f"the bridge ended: {self._log.read_text()[-2000:]}")


class Program(Protocol):
    """What can be watched while it reads topics."""

    @property
    def group(self) -> str: ...
    @property
    def topics(self) -> tuple[str, ...]: ...
    def usage(self) -> Usage: ...
    def scrape(self) -> None: ...


def committed(kafka: RealKafka, program: Program) -> int:
    """How many records its group has committed."""
    return sum(sum(kafka.committed_offsets(program.group, topic).values()) for topic in program.topics)


def run_through(
    name: str, kafka: RealKafka, sink: Sink, program: Program, records: int, events: int, *, seconds: float = 600.0
) -> Figures:
    """Watch a program from its first record to the commit of the last one; `program` was just started, `sink` reset."""
    begun = _first_record(sink, program, seconds)

    def all_accepted() -> bool:
        program.usage()
        program.scrape()
        return int(sink.stats()["events"]) >= events

    until(all_accepted, seconds, f"{events} events were accepted", every=0.1)
    until(lambda: committed(kafka, program) >= records, seconds, f"{records} records are committed", every=0.05)
    ended = program.usage()
    return Figures(name, records, ended.cpu_seconds - begun.cpu_seconds, ended.at - begun.at, ended.peak_mib)


def _first_record(sink: Sink, program: Program, seconds: float) -> Usage:
    """What was spent a little before the first call came: no record was read before that, or hardly."""
    seen: list[Usage] = [program.usage()]

    def called() -> bool:
        seen.append(program.usage())
        return bool(sink.stats()["first_ms"])

    until(called, seconds, "the first call came")
    return next(each for each in reversed(seen) if each.at <= seen[-1].at - _BEFORE_FIRST or each is seen[0])
