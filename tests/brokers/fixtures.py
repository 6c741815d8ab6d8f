"""Fixtures that give tests a real Kafka: one for the whole run, and ones that a test may break.

A pytest plugin, loaded by `tests/conftest.py`. Where no real Kafka can be had, tests that ask for one are skipped
with one loud line at the end, and fail when `CI=true`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.brokers.jars import Unavailable
from tests.brokers.real import RealKafka

_GIVEN: Final = "KAFKA_BOOTSTRAP_SERVERS"
_OTHERS_SECONDS: Final = 600.0
_MISSING: Final = pytest.StashKey[str]()
_TO_END: Final = pytest.StashKey[list[Callable[[], None]]]()

StartKafka = Callable[..., RealKafka]


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """One real Kafka for the run, also across xdist workers. Use names of your own (`unique`) and never stop it."""
    given = os.environ.get(_GIVEN)
    if given:
        found = RealKafka(given)
        found.await_ready()
        yield found
        return
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "kafka"
    with _started_once(request, folder) as shared:
        yield shared


@pytest.fixture
def start_kafka(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartKafka]:
    """Start a Kafka of the test's own, to be stopped and killed: `start_kafka(nodes=1, settings={...})`."""
    made: list[RealKafka] = []

    def start(**arguments: object) -> RealKafka:
        folder = tmp_path / f"kafka-{len(made)}"
        made.append(_start(request, folder, **arguments))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def own_kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """A Kafka of one file's tests, whose disk they may change (`nodes[0].log_dirs`)."""
    started = _start(request, tmp_path_factory.mktemp("own-kafka"))
    yield started
    started.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what this process started, when no other process uses it any more."""
    for end in session.config.stash.get(_TO_END, []):
        end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say once, loudly, that the real tier did not run."""
    reasons = {
        str(report.longrepr[2])
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and "REAL KAFKA" in str(report.longrepr[2])
    }
    for reason in reasons:
        terminalreporter.write_line(f"!!! {reason}", yellow=True, bold=True)


def _start(request: pytest.FixtureRequest, folder: Path, **arguments: object) -> RealKafka:
    stash = request.config.stash
    if _MISSING not in stash:
        try:
            return RealKafka.start(folder, **arguments)  # type: ignore[arg-type]
        except Unavailable as missing:
            stash[_MISSING] = str(missing)
    text = (
        f"REAL KAFKA NOT TESTED: {stash[_MISSING]}. Install Java 17 or later and Maven, or set {_GIVEN} "
        "to a Kafka 4 cluster that tests may write to"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@contextmanager
def _started_once(request: pytest.FixtureRequest, folder: Path) -> Iterator[RealKafka]:
    """Start a Kafka in the first process that asks; the others use it, and it ends after the last."""
    folder.mkdir(parents=True, exist_ok=True)
    address, users = folder / "address", folder / "users"
    started: RealKafka | None = None
    with _locked(folder):
        if not address.exists():
            started = _start(request, folder)
            address.write_text(f"{started.bootstrap} {started.sasl_bootstrap}")
        _count(users, 1)
    shared = started
    if shared is None:
        bootstrap, sasl = address.read_text().split()
        shared = RealKafka(bootstrap, sasl_bootstrap=sasl)
    try:
        yield shared
    finally:
        with _locked(folder):
            _count(users, -1)
        if started is not None:
            # Not here: other processes may use it for longer than the end of a test may take.
            request.config.stash.setdefault(_TO_END, []).append(partial(_end, started, folder, users))


def _end(started: RealKafka, folder: Path, users: Path) -> None:
    deadline = time.monotonic() + _OTHERS_SECONDS
    while _count(users, 0) > 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    with _locked(folder):
        (folder / "address").unlink()
        started.close()


def _count(users: Path, change: int) -> int:
    total = int(users.read_text() or 0) if users.exists() else 0
    if change:
        total += change
        users.write_text(str(total))
    return total


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
