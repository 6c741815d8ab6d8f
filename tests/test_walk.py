"""What a reader must hold to follow one record: measured by `scripts/measure/walk.py`, and never more than here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MOST = {
    "good record": (10, 1),
    "503": (14, 1),
    "poison record": (23, 1),
    "revoke": (12, 1),
    "reload": (27, 1),
    "check": (37, 0),
}
"""Walk → files of the pure core, times that the record is asked for its bytes. Lower them when they fall."""


@pytest.fixture(scope="module")
def walks() -> Any:
    # A process of its own: the script counts what reads JSON before any room has imported it.
    command = [sys.executable, "-m", "scripts.measure.walk", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", MOST)
def test_a_walk_enters_no_more_than_it_did(walks: dict[str, Any], name: str) -> None:
    """No change makes the way of a record longer, in files of the pure core or in reads of its bytes."""
    walk = walks[name]
    seen = (len(walk["core"]), walk["value()"])
    assert all(now <= most for now, most in zip(seen, MOST[name], strict=True)), (seen, walk["core"])


def test_every_walk_is_measured(walks: dict[str, Any]) -> None:
    """The ceilings are those of all walks, and a record's bytes are read as JSON as often as they are asked for."""
    assert walks.keys() == MOST.keys()
    assert all(walk["parses"] == walk["value()"] for walk in walks.values())
