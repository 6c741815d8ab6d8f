"""The fixture that gives tests real boxes. A pytest plugin, loaded by `tests/conftest.py`.

Where they are not installed the tests that ask for one are skipped with one loud line at the end, and fail when
`CI=true`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.boxes.box import Boxes, NotInstalledError

StartBox = Callable[..., int]
"""`(name, text, options="")` → the port of a real box; see `Boxes.start`."""


@pytest.fixture
def start_box(tmp_path: Path) -> Iterator[StartBox]:
    """Start a real nginx, haproxy, squid, tinyproxy or stunnel: `start_box("nginx", "return 403;")`."""
    boxes = Boxes(tmp_path / "boxes")

    def start(name: str, text: str, options: str = "") -> int:
        try:
            return boxes.start(name, text, options)
        except NotInstalledError:
            unavailable(name)
            raise

    yield start
    boxes.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, loudly, that the boxes did not run."""
    skipped = terminalreporter.stats.get("skipped", [])
    found = [report for report in skipped if "REAL BOXES" in str(report.longrepr)]
    if found:
        text = (
            f"!!! REAL BOXES NOT TESTED ({len(found)} tests): install them with scripts/setup/boxes.sh (Debian, Ubuntu)"
        )
        terminalreporter.write_line(text, yellow=True, bold=True)


def unavailable(name: str) -> None:
    text = f"REAL BOXES NOT TESTED: {name} is not installed; scripts/setup/boxes.sh does it"
    if os.environ.get("CI") == "true":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
