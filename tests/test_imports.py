"""What import-linter cannot say: which single module or room may import a library. The rest is in pyproject.toml."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent
ROOT = Path(__file__).resolve().parents[1]

ALLOWED: dict[str, tuple[str, ...]] = {
    "orjson": ("jsontext.py",),
    "yaml": ("document/composer.py",),
    "confluent_kafka": ("kafka/",),
    "pycurl": ("suprsend/",),
    "structlog": ("observe/",),
    "prometheus_client": ("observe/",),
    "aiohttp": ("observe/", "sandbox/", "suprsend/"),
    "typer": ("cli/",),
    "rich": ("cli/", "demo/"),
    "pydantic": ("settings/", "secrets.py", "sandbox/", "cli/"),
    "pydantic_core": ("settings/",),
    "re2": ("jq/", "rules/", "suprsend/"),
    "watchfiles": ("service/main_thread.py",),
}
"""Library → the files and rooms (with `/`) that may import it."""

SUPRSEND_FOR_RULES = {"bridge.suprsend.limits", "bridge.suprsend.event"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that a file imports, inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("library", ALLOWED)
def test_each_library_is_imported_only_where_it_belongs(library: str) -> None:
    """A library has one home; everything else goes through it."""
    rooms = ALLOWED[library]
    strangers = [
        name
        for name, tree in modules()
        if not name.startswith(rooms) and any(one.split(".")[0] == library for one in imported(tree))
    ]
    assert strangers == []


def test_rules_know_of_suprsend_only_its_events_and_limits() -> None:
    """The rules share the limits and the making of an event with the API, and nothing that sends."""
    strangers = {
        (name, one)
        for name, tree in modules()
        if name.startswith("rules/")
        for one in imported(tree)
        if one.startswith("bridge.suprsend")
        and not any(one == ok or one.startswith(f"{ok}.") for ok in SUPRSEND_FOR_RULES)
        and one != "bridge.suprsend"
    }
    assert strangers == set()


def test_every_library_imported_is_declared() -> None:
    """What the package imports is the standard library, itself, or a dependency of pyproject.toml."""
    declared = {
        "aiohttp", "confluent_kafka", "re2", "orjson", "prometheus_client", "pycurl", "pydantic", "yaml", "rich",
        "structlog", "typer", "tzdata", "watchfiles",
    }  # fmt: skip
    known = declared | {"pydantic_core", "bridge"} | sys.stdlib_module_names
    strangers = {(name, one) for name, tree in modules() for one in imported(tree) if one.split(".")[0] not in known}
    assert strangers == set()
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert len(text["project"]["dependencies"]) == len(declared)
