"""What the tests of the whole road share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.sandbox.process import SandboxProcess


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """A sandbox of the test's own."""
    with SandboxProcess() as started:
        yield started
