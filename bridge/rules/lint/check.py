"""What would go wrong in production though every expression compiles: findings beyond the loader's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.findings import Codes, Finding, in_order
from bridge.rules.lint import contexts, counts, idioms, literals, unreachable
from bridge.rules.lint.contexts import Placed, placed, type_findings
from bridge.rules.lint.counts import count_findings
from bridge.rules.lint.idioms import idiom_findings
from bridge.rules.lint.literals import text_findings
from bridge.rules.lint.unreachable import topic_findings, unreachable_findings
from bridge.rules.model import RuleFile, RuleSet
from bridge.rules.read import cross_rule, expressions, fields, file_reader, load, rule_reader

__all__ = ["CODES", "check_rules"]

_PARTS: Final = (
    *(load, file_reader, fields, rule_reader, expressions, cross_rule),
    *(contexts, idioms, unreachable, literals, counts),
)
CODES: Final[Codes] = dict(sorted(item for part in _PARTS for item in part.CODES.items()))
"""Every code of a finding in rules, those of the loader included. A code is declared where it is found."""


def check_rules(rules: RuleSet, topics: Sequence[str] | None = None) -> list[Finding]:
    """Look at rules that were loaded (those with errors are not among them); `topics` are those of the settings.

    Pure. Never raises.
    """
    found: list[Finding] = []
    for file in rules.files:
        found += _of_file(file)
    if topics is not None:
        found += topic_findings(rules, topics)
    return in_order(found)


def _of_place(place: Placed) -> list[Finding]:
    """One finding for one mistake: what an idiom explains is not also reported as a wrong type."""
    found_idioms = list(idiom_findings(place))
    explained = any(finding.code in _EXPLAIN for finding in found_idioms)
    wrong = [finding for finding in type_findings(place) if not (explained and finding.code == "R037")]
    return [*(wrong or ([] if explained else count_findings(place))), *found_idioms]


_EXPLAIN: Final = frozenset(("R037", "R038"))


def _of_file(file: RuleFile) -> list[Finding]:
    found: list[Finding] = [*unreachable_findings(file)]
    for rule in file.rules:
        found += text_findings(rule)
        seen = set()
        for place in placed(file, rule):
            # One value of the defaults is used by many rules, and looked at for each: their topics may differ.
            key = (id(place.expression), place.alone)
            if key not in seen:
                seen.add(key)
                found += _of_place(place)
    return found
