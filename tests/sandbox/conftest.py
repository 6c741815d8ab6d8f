"""One sandbox process for all tests of this room; each test begins with it empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.sandbox.process import SandboxProcess


@pytest.fixture(scope="session")
def _running() -> Iterator[SandboxProcess]:
    with SandboxProcess(seed=7) as running:
        yield running


@pytest.fixture
def sandbox(_running: SandboxProcess) -> SandboxProcess:
    """A running sandbox that remembers nothing and has no faults."""
    _running.reset()
    return _running
