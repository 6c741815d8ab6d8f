"""Which rules, and which sides of each `when` and `if`, some examples reach. Pure.

The engine is not touched for it: to see whether a branch is reached, the expression is compiled once more with a
value in that branch that no budget allows, and run on what the example's expression saw. If it then runs out of its
budget, the branch was reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

from bridge.document import MappingNode, Scalar, compose
from bridge.findings import Finding
from bridge.jq import BudgetExceeded, Defs, EvalBudget, JqError, JqProblem, Program, compile_program, parse
from bridge.jq.syntax.nodes import Call, Function, If, Node, children
from bridge.rules.map.scope import VARIABLES, RecordScope
from bridge.rules.model import Expression, Rule, RuleFile, RuleSet
from bridge.rules.tools.explain import Explained, RuleSeen

__all__ = ["Coverage", "Site"]

_BOMB: Final = parse('if ("x" | . * 5000000) then . else . end')
"""Builds more text than any budget allows. As an `if` it may stand wherever a branch may, in a path too."""


@dataclass(frozen=True, slots=True)
class Site:
    """One thing that an example can reach: `rule` fires, `when` is false, a side of an `if`."""

    rule: str
    what: str
    path: str
    line: int
    column: int
    end_column: int


class _Probe(NamedTuple):
    """A branch of an expression, and the program that tells whether it is reached."""

    site: Site
    program: Program


class Coverage:
    """Collects what examples reach. One thread."""

    def __init__(self, rules: RuleSet) -> None:
        self._sites: dict[Site, bool] = {}
        self._fires: dict[str, Site] = {}
        self._false: dict[str, Site] = {}
        self._probes: dict[int, list[_Probe]] = {}
        for file in rules.files:
            finder = _Branches(file)
            for rule in file.rules:
                if rule.enabled:
                    self._prepare(rule, finder)

    def _prepare(self, rule: Rule, finder: _Branches) -> None:
        name = rule.node.get("name") or rule.node
        place = name.finding("T010", "")
        self._fires[rule.name] = self._new(rule.name, f"the rule {rule.name} never fires", place)
        if rule.when is not None:
            place = rule.when.scalar.finding("T010", "")
            self._false[rule.name] = self._new(rule.name, f"`when` of {rule.name} is never false", place)
        for expression in rule.expressions:
            if id(expression) not in self._probes:
                self._probes[id(expression)] = list(finder.probes(rule.name, expression))
            for probe in self._probes[id(expression)]:
                self._sites.setdefault(probe.site, False)

    def _new(self, rule: str, what: str, place: Finding) -> Site:
        site = Site(rule, what, place.path, place.line, place.column, place.end_column)
        self._sites[site] = False
        return site

    def add(self, explained: Explained) -> None:
        """Count what one example reaches."""
        for file in explained.files:
            for seen in file.rules:
                self._rule(seen)

    def _rule(self, seen: RuleSeen) -> None:
        rule = seen.rule
        if seen.scope is None:
            return
        if seen.state == "fired":
            self._sites[self._fires[rule.name]] = True
        elif seen.state == "did not fire":
            self._sites[self._false[rule.name]] = True
        if rule.when is not None:
            self._look(rule.when, seen.scope)
        if rule.for_each is not None and seen.state == "fired":
            self._look(rule.for_each, seen.scope)
        per_event = rule.expressions[(rule.when is not None) + (rule.for_each is not None) :]
        for item in seen.items:
            for expression in per_event:
                self._look(expression, item.scope)

    def _look(self, expression: Expression, scope: RecordScope) -> None:
        probes = self._probes.get(id(expression))
        if not probes:
            return
        reached = [probe for probe in probes if not self._sites[probe.site] and _reached(probe.program, scope)]
        for probe in reached:
            self._sites[probe.site] = True

    @property
    def sites(self) -> int:
        """How many there are."""
        return len(self._sites)

    @property
    def percent(self) -> float:
        """How many of them are reached, of a hundred; 100 where there is nothing to reach."""
        return 100.0 if not self._sites else 100.0 * sum(self._sites.values()) / len(self._sites)

    def missing(self) -> list[Site]:
        """List what no example reaches, in the order of the rules."""
        return [site for site, reached in self._sites.items() if not reached]


def _reached(program: Program, scope: RecordScope) -> bool:
    budget = EvalBudget()
    try:
        for _output in program.run(scope.value, scope.args, budget):
            pass
    except BudgetExceeded:
        return budget.text < 0
    except JqError:
        return False
    return False


class _Branches:
    """Finds the branches of a file's expressions, those in the functions they call included."""

    def __init__(self, file: RuleFile) -> None:
        self._file = file
        self._texts = _defs_texts(file)

    def probes(self, rule: str, expression: Expression) -> Iterator[_Probe]:
        """Make a probe for each side of each `if` that an expression can reach."""
        root = expression.program.node
        for node in _ifs(root):
            for side, bombed in _sides(node):
                place = expression.scalar.finding("T010", "", span=_condition_span(expression.start, node))
                text = _condition_text(expression.text, node)
                site = _site(rule, f"`if {text}` in {expression.label} of {rule} is never {side}", place)
                yield from _probe(site, _swapped(root, node, bombed), expression.defs)
        if expression.defs is not None:
            yield from self._in_functions(expression, expression.defs)

    def _in_functions(self, expression: Expression, defs: Defs) -> Iterator[_Probe]:
        for function in _called(expression.program.node, defs):
            for node in _ifs(function.body):
                for side, bombed in _sides(node):
                    site = self._function_site(function, node, side)
                    changed = replace(function, body=_swapped(function.body, node, bombed))
                    functions = tuple(changed if one is function else one for one in defs.functions)
                    yield from _probe(site, expression.program.node, replace(defs, functions=functions))

    def _function_site(self, function: Function, node: If, side: str) -> Site:
        scalar = self._texts.get(function.key)
        if scalar is None:
            what = f"an `if` of the function {function.name} in defs.jq is never {side}"
            return Site("defs", what, f"defs.jq#{function.name}:{node.start}", 0, 0, 0)
        place = scalar.finding("T010", "", span=_condition_span(0, node))
        text = _condition_text(scalar.text, node)
        return _site("defs", f"`if {text}` in the function {function.name} is never {side}", place)


def _site(rule: str, what: str, place: Finding) -> Site:
    return Site(rule, what, place.path, place.line, place.column, place.end_column)


def _condition_span(start: int, node: If) -> tuple[int, int]:
    return start + node.condition.start, start + node.condition.end


def _condition_text(text: str, node: If) -> str:
    from bridge.rules.lint.contexts import balanced

    start, end = balanced(text, node.condition.start, node.condition.end)
    return " ".join(text[start:end].split())


def _defs_texts(file: RuleFile) -> dict[str, Scalar]:
    """Find the scalar that holds the file's own functions, for the places of what is in them."""
    from bridge.jq.syntax.parser import parse_definitions

    root = compose(file.source.text, file.path).root if "defs:" in file.source.text else None
    node = root.get("defs") if isinstance(root, MappingNode) else None
    if not isinstance(node, Scalar):
        return {}
    try:
        return {function.key: node for function in parse_definitions(node.text)}
    except JqProblem:
        return {}


def _ifs(node: Node) -> Iterator[If]:
    if isinstance(node, If):
        yield node
    for child in children(node):
        yield from _ifs(child)


def _sides(node: If) -> Iterator[tuple[str, If]]:
    yield "true", replace(node, then=_BOMB)
    yield "false", replace(node, otherwise=_BOMB)


def _probe(site: Site, node: Node, defs: Defs | None) -> Iterator[_Probe]:
    try:
        yield _Probe(site, compile_program(node, variables=VARIABLES, defs=defs))
    except JqProblem:
        # A branch that must be constant (a pattern, say) cannot be looked into.
        return


def _swapped(root: Any, old: Node, new: Node) -> Any:
    """Return a tree with one node replaced; patterns and tuples are gone through, too."""
    if root is old:
        return new
    if isinstance(root, tuple):
        parts = [_swapped(part, old, new) for part in root]
        return tuple(parts) if any(one is not other for one, other in zip(parts, root, strict=True)) else root
    if not hasattr(root, "__dataclass_fields__"):
        return root
    changed = {}
    for one in fields(root):
        value = getattr(root, one.name)
        swapped = (
            _swapped(value, old, new) if isinstance(value, tuple) or hasattr(value, "__dataclass_fields__") else value
        )
        if swapped is not value:
            changed[one.name] = swapped
    return replace(root, **changed) if changed else root


def _called(node: Node, defs: Defs) -> Sequence[Function]:
    """List the functions that an expression calls, through each other too."""
    known = {function.key: function for function in defs.functions}
    found: dict[str, Function] = {}
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Call) and part.key in known and part.key not in found:
            found[part.key] = known[part.key]
            waiting.append(known[part.key].body)
        waiting += children(part)
    return list(found.values())
