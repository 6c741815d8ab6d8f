"""The tests beside the rules: which files they are, read from a directory. Reads files; everything else is pure."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from bridge.document import read
from bridge.findings import Finding
from bridge.rules.tools.examples import ExampleFile
from bridge.rules.tools.examples_reader import read_examples

__all__ = ["LARGEST_RECORD", "load_examples", "test_paths"]

LARGEST_RECORD: Final = 16 * 1024 * 1024
_SUFFIXES: Final = (".test.yaml", ".test.yml")


def test_paths(directory: Path) -> list[Path]:
    """List the tests of a directory (not those below it), by name, bytewise. Raises OSError."""
    found = (path for path in directory.iterdir() if path.name.endswith(_SUFFIXES) and not path.name.startswith("."))
    return sorted((path for path in found if not path.is_dir()), key=lambda path: os.fsencode(path.name))


def load_examples(path: Path, rules: Collection[str]) -> tuple[ExampleFile, list[Finding]]:
    """Read one file of tests; `rules` are the names of the rules that there are. Never raises."""

    def beside(name: str) -> bytes | None:
        try:
            with (path.parent / name).open("rb") as file:
                content = file.read(LARGEST_RECORD + 1)
        except (OSError, ValueError):
            return None
        return content if len(content) <= LARGEST_RECORD else None

    return read_examples(read(path), rules, beside)
