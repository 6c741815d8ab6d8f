"""The tree itself: locks, generated files, versions, scripts."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from bridge import __version__
from scripts.generate import GENERATED, stale

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pinned(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text()
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==([^ ;\\]+)", text))


def name_of(requirement: str) -> str:
    return re.split(r"[><=!~\[; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_what_is_generated_is_current(name: str) -> None:
    """The file in the tree is what the code makes of it; if not, run `make docs`."""
    assert name not in stale(), f"{name} is out of date: run `make docs`"


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock", "uv.lock"])
def test_every_locked_package_has_a_hash_and_no_lock_names_a_registry(lock: str) -> None:
    """Locks pin each package by hash, and say nothing of where it was fetched."""
    text = (ROOT / "requirements" / lock).read_text()
    blocks = re.split(r"(?m)^(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)
    assert not re.search(r"https?://|--index|--find-links|\bpypi\b", text)


def test_the_locks_cover_what_the_project_asks_for() -> None:
    """Each dependency is in runtime.lock, each of the groups in dev.lock, and both agree; if not, run `make lock`."""
    runtime, dev = pinned("runtime.lock"), pinned("dev.lock")
    assert {name_of(one) for one in PROJECT["project"]["dependencies"]} <= set(runtime)
    groups = PROJECT["dependency-groups"]
    wanted = {name_of(one): one for group in groups.values() for one in group if isinstance(one, str)}
    assert set(wanted) <= set(dev)
    exact = {name: one.split("==")[1] for name, one in wanted.items() if "==" in one}
    assert {name: dev[name] for name in exact} == exact
    assert {name: dev.get(name) for name in runtime} == runtime


def test_the_version_stands_in_one_shape_everywhere() -> None:
    """Package, project and changelog name the same version."""
    assert PROJECT["project"]["version"] == __version__
    assert re.search(rf"(?m)^## \[({re.escape(__version__)}|Unreleased)\]", (ROOT / "CHANGELOG.md").read_text())


def test_every_ignored_lint_rule_has_its_reason() -> None:
    """Beside each rule of ruff that is switched off stands why."""
    text = (ROOT / "pyproject.toml").read_text()
    ignored = re.search(r"(?s)\[tool\.ruff\.lint\]\n.*?ignore = \[\n(.*?)\n\]", text)
    assert ignored is not None
    assert [line for line in ignored[1].split("\n") if not re.fullmatch(r'    "[A-Z0-9]+", +# \S.*', line)] == []


def test_make_shows_every_target_and_first_what_a_newcomer_needs() -> None:
    """`make` alone lists every target in a group; the first group is setup, demo and test."""
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    groups = [re.findall(r"^  make ([a-z-]+) +\S", group, re.MULTILINE) for group in shown.strip().split("\n\n")]
    assert groups[0] == ["setup", "demo", "test"]
    [phony] = re.findall(r"^\.PHONY: help (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony.split() == [name for group in groups for name in group] == [name for name in targets if name != "help"]


def test_the_same_bytes_are_not_there_twice() -> None:
    """No file of the tree is a copy of another one, and none is a link: whatever is needed twice is read from one place."""
    places: dict[bytes, Path] = {}
    for folder in (".ci", ".github", "bench", "config", "deploy", "docs", "helm", "requirements", "scripts", "tests"):
        for path in (ROOT / folder).rglob("*"):
            assert not path.is_symlink(), path
            if path.is_file() and path.stat().st_size > 200 and "__pycache__" not in path.parts:
                assert places.setdefault(path.read_bytes(), path) == path


def test_scripts_can_be_run() -> None:
    """Shell scripts are executable and stop at the first error."""
    for path in [*(ROOT / "scripts").rglob("*.sh"), ROOT / ".ci" / "run"]:
        assert path.stat().st_mode & 0o111, path
        assert "set -euo pipefail" in path.read_text(), path


def test_the_licence_is_whole() -> None:
    """The text of the Apache License 2.0 is there, from its first line to its last."""
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")
