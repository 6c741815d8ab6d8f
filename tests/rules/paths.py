"""Where the repository's own rules are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG_RULES = ROOT / "config" / "rules"
