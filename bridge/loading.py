"""Rules from files to a mapping, for whoever runs them; and the watch that loads them again when they change."""

from __future__ import annotations

from pathlib import Path

from bridge.findings import FindingsError
from bridge.flow import MappingContext
from bridge.rules.load import load_rules
from bridge.rules.mapping import CompiledMapping, compile_mapping
from bridge.rules.model import RuleSet


class RulesError(FindingsError):
    """The rules cannot be used; says everything that is wrong with them."""


def usable_rules(path: Path) -> RuleSet:
    """Load the rules of a directory. Raises `RulesError` if there is an error in them; warnings do not stop it."""
    loaded = load_rules(path)
    if any(finding.severity == "error" for finding in loaded.findings):
        raise RulesError(loaded.findings, loaded.sources)
    return loaded.rules


def mapping_of(rules: RuleSet, context: MappingContext) -> CompiledMapping:
    """Compile rules for one process."""
    return compile_mapping(rules, context)
