"""Rules from files to a mapping, for whoever runs them; and the watch that loads them again when they change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bridge.findings import FindingsError, has_errors
from bridge.flow import MappingContext
from bridge.rules.lint.check import check_rules
from bridge.rules.map.mapping import CompiledMapping, compile_mapping
from bridge.rules.model import RuleSet
from bridge.rules.read.load import load_rules


class RulesError(FindingsError):
    """The rules cannot be used; says everything that is wrong with them."""


def usable_rules(path: Path, topics: Sequence[str]) -> RuleSet:
    """Load the rules of a directory and look at them as `suprsend-bridge check` does.

    Raises `RulesError` if there is an error in them; warnings do not stop it.
    """
    loaded = load_rules(path)
    findings = [*loaded.findings]
    if not has_errors(findings):
        findings += check_rules(loaded.rules, topics)
    if has_errors(findings):
        raise RulesError(findings, loaded.sources)
    return loaded.rules


def mapping_of(rules: RuleSet, context: MappingContext) -> CompiledMapping:
    """Compile rules for one process."""
    return compile_mapping(rules, context)
