"""What would go wrong in production though every expression compiles: findings beyond the loader's."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.findings import Finding
from bridge.rules.model import RuleSet

__all__ = ["check_rules"]


def check_rules(rules: RuleSet, topics: Sequence[str] | None = None) -> list[Finding]:
    """Look at rules that were loaded (those with errors are not among them); `topics` are those of the settings.

    Pure. Never raises.
    """
    return []
