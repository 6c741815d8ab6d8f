"""The table of rooms in `CONTRIBUTING.md`: order from the contracts in `pyproject.toml`, the rest from the code itself.

Called by `make docs`.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import grimp

from scripts.generate.delivery_page import filled, table

__all__ = ["contributing", "rooms"]

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = "bridge"
LIBRARIES: Final = {"confluent_kafka", "pycurl", "aiohttp", "structlog", "prometheus_client"}
"""What a pure room may not import."""


def contributing() -> str:
    """The page with its table filled."""
    return filled((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "rooms", _table())


def rooms() -> list[str]:
    """Every room from the ground up, as the contract of layers has them."""
    [layers] = [each["layers"] for each in _contracts("layers") if each.get("containers") == [PACKAGE]]
    return [room for layer in reversed(layers) for room in re.split(r" [|:] ", layer) if not room.startswith("__")]


def pure_rooms() -> set[str]:
    """The rooms that may know no client, logger or metric, as the contracts say."""
    strict = [each for each in _contracts("forbidden") if LIBRARIES.issubset(each["forbidden_modules"])]
    return {module.removeprefix(f"{PACKAGE}.") for each in strict for module in each["source_modules"]}


def _contracts(kind: str) -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == kind]


@cache
def _table() -> str:
    imports = _imports()
    order, pure = rooms(), pure_rooms()
    rows = [
        (_name(room), _first_sentence(room) + (" *Pure.*" if room in pure else ""), _listed(imports[room], order))
        for room in order
    ]
    return table(("room", "what is in it", "what it imports of the rest"), rows)


def _imports() -> dict[str, set[str]]:
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    found: dict[str, set[str]] = defaultdict(set)
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if importer.count(".") and imported.count("."):
                found[importer.split(".")[1]].add(imported.split(".")[1])
    for room, others in found.items():
        others.discard(room)
    return found


def _listed(imported: set[str], order: list[str]) -> str:
    return ", ".join(f"`{room}`" for room in order if room in imported) or "nothing"


def _name(room: str) -> str:
    return f"`{room}/`" if hasattr(import_module(f"{PACKAGE}.{room}"), "__path__") else f"`{room}.py`"


def _first_sentence(room: str) -> str:
    text = " ".join((import_module(f"{PACKAGE}.{room}").__doc__ or "").split())
    sentence = re.match(r"(.+?\.)(?: |$)", text)
    assert sentence, f"bridge/{room} does not say what it holds: begin its docstring with that"
    return sentence[1]
