"""What the tests of the whole road share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.cli.main import run
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.world import World

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """A sandbox of the test's own."""
    with SandboxProcess() as started:
        yield started


@pytest.fixture
def world(kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path) -> World:
    return World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)


@pytest.fixture
def cli(world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs `suprsend-bridge dlq …` with the world's settings; returns exit code and all output."""
    file = tmp_path / "dlq.json"
    file.write_text(json.dumps(world.settings()))

    def call(*args: str) -> tuple[int, str]:
        capfd.readouterr()
        code = run(["dlq", args[0], "--config", str(file), *args[1:]])
        out = capfd.readouterr()
        return code, out.out + out.err

    return call
