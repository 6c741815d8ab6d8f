"""The Dockerfile speaks of what is there."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

TEXT = Path(__file__).parents[2].joinpath("Dockerfile").read_text(encoding="utf-8")


def test_every_module_that_the_build_imports_exists() -> None:
    """A module that was renamed is noticed here, and not by whoever builds the image."""
    named = set(re.findall(r"\bbridge(?:\.\w+)+", "\n".join(re.findall(r'python -c "(.+?)"', TEXT))))
    assert named
    assert [name for name in sorted(named) if find_spec(name) is None] == []
