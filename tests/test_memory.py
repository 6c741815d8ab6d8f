"""The memory for records in work, as a container's limit leaves it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.service.wiring import LEAST_MEMORY, MIB, budget_of, cgroup_limit


@pytest.mark.parametrize(
    ("limit", "budget"),
    [(None, 64), (1024 * MIB, 64), (256 * MIB, 64), (160 * MIB, 48), (128 * MIB, 16), (64 * MIB, 8)],
)
def test_a_small_container_gets_a_small_budget(limit: int | None, budget: int) -> None:
    """64 MiB without a limit or with room for them; else what is left; never under 8 MiB."""
    assert budget_of(limit) == budget * MIB
    assert budget_of(limit) >= LEAST_MEMORY


def _group(folder: Path, **limits: str) -> tuple[Path, Path]:
    """A tree of cgroups, and the file that names the process's own."""
    for name, text in limits.items():
        place = folder / "cg" / name.replace("__", "/").removeprefix("root")
        place.mkdir(parents=True, exist_ok=True)
        (place / "memory.max").write_text(text)
    own = folder / "own"
    return folder / "cg", own


def test_the_smallest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    """A limit of a group above holds too; `max` is none."""
    root, own = _group(tmp_path, root="max\n", pod="268435456\n", pod__box="max\n")
    own.write_text("0::/pod/box\n")
    assert cgroup_limit(root, own) == 256 * MIB


def test_in_a_container_the_group_is_the_root(tmp_path: Path) -> None:
    """Where the process sees its own group as the root, that file is read, also if the path leads nowhere."""
    root, own = _group(tmp_path, root="134217728\n")
    own.write_text("0::/../../kubepods/x\n")
    assert cgroup_limit(root, own) == 128 * MIB


def test_version_1_and_no_cgroups_at_all(tmp_path: Path) -> None:
    """The older file is read; its huge number, nonsense and missing files are no limit."""
    old = tmp_path / "memory"
    old.mkdir()
    (old / "memory.limit_in_bytes").write_text("201326592")
    assert cgroup_limit(tmp_path, tmp_path / "none") == 192 * MIB
    (old / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert cgroup_limit(tmp_path, tmp_path / "none") is None
    (old / "memory.limit_in_bytes").write_text("lots")
    assert cgroup_limit(tmp_path, tmp_path / "none") is None
    assert cgroup_limit(tmp_path / "nowhere", tmp_path / "none") is None


HOLES = """
import re
from bridge.service.main_thread import _give_back_large_blocks
GIVE_BACK and _give_back_large_blocks()
def used():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
first = bytearray(1 << 20)
del first
blocks = [bytes(b"x" * 300_000) for _ in range(400)]
before = used()
last = blocks.pop()
blocks.clear()
print(round(before - used()))
"""


@pytest.mark.parametrize(("give_back", "least", "most"), [(True, 100, 200), (False, -50, 50)])
def test_large_blocks_are_given_back_at_once(give_back: bool, least: int, most: int) -> None:
    """Of 115 MiB in blocks of 300 KB nothing is kept once they are free, though a later one is in use; by itself glibc
    keeps them all, which is why it is told to."""
    program = HOLES.replace("GIVE_BACK", str(give_back))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert least <= int(done.stdout) <= most
