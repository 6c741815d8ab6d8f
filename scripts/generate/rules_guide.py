"""Fills the guide of rules with the files of config/examples, so that what it shows is what is tested.

Called by `make docs`.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["guide"]

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/rules/guide.md"
_BLOCK = re.compile(r"(<!-- file: (config/[\w./-]+) -->\n)```yaml\n.*?```\n", re.DOTALL)


def guide() -> str:
    """Return the guide with each block that names a file holding it, without the comments at its head."""
    return _BLOCK.sub(lambda match: f"{match[1]}```yaml\n{_body(ROOT / match[2])}```\n", GUIDE.read_text("utf-8"))


def _body(path: Path) -> str:
    lines = path.read_text("utf-8").split("\n")
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    return "\n".join(lines[first:])
