"""Nodes of a rule file → compiled values: what is literal, what is jq, and a finding for what is neither."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.document import Mapping, Node, Scalar, Sequence
from bridge.findings import Finding, Severity
from bridge.jq import Defs, JqProblem, Program, closing_brace, compile_program
from bridge.rules.codes import JQ_CODES
from bridge.rules.lint.advice import advice, with_expressions
from bridge.rules.map.scope import ITEM_VARIABLES, VARIABLES
from bridge.rules.model import Computed, Expression, Fields, Fixed, Items, Text, Value
from bridge.rules.read.templates import Piece, TextError, forgotten, split

__all__ = ["Expressions"]

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


class Expressions:
    """Compiles the values of one file; what is wrong with them goes to `findings`. Used by one thread, while loading.

    `defs` is None where the file's own functions do not compile: what is unknown may then be one of them.
    """

    def __init__(self, shared: Defs | None, defs: Defs | None, findings: list[Finding]) -> None:
        self.findings = findings
        self._defs = defs if defs is not None else shared
        self._defs_are_whole = defs is not None
        self._known: dict[tuple[int, int], Expression | None] = {}
        self._programs: dict[str, Program | JqProblem] = {}
        self._items_refused: set[int] = set()

    def program(self, field: str, node: Node) -> Expression | None:
        """Compile `when` or `for_each`: jq with or without `${ }` around all of it."""
        if isinstance(node, Scalar) and node.value is None and not node.text:
            # YAML's own finding says that there is nothing.
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            message = f"{field} must be jq, written as text"
            self._add(node, "R023", message, _program_hint(field, node))
            return None
        if not node.text.lstrip().startswith("${"):
            return self.expression(field, node, node.text, 0)
        pieces = self._pieces(node)
        inked = [piece for piece in pieces or () if piece.code or piece.text.strip()]
        if len(inked) == 1 and inked[0].code:
            return self.expression(field, node, inked[0].text, inked[0].start)
        if pieces is not None:
            hint = f"write the whole {field} as one expression, without ${{ }}"
            self._add(node, "R023", f"{field} is one jq expression, and there is text beside this ${{ }}", hint)
        return None

    def value(self, field: str, node: Node, *, meant: Severity = "warning") -> Value | None:
        """Compile any value; `meant` is how bad a forgotten `${ }` is in it. None where a finding was made."""
        if isinstance(node, Scalar):
            return self._scalar(field, node, meant)
        if isinstance(node, Sequence):
            values = [self.value(f"{field}[{number}]", item, meant=meant) for number, item in enumerate(node)]
            return None if None in values else Items(tuple(value for value in values if value is not None))
        return self.fields(field, node)

    def fields(self, field: str, node: Mapping) -> Fields | None:
        """Compile a mapping; its keys are literal."""
        entries: list[tuple[str, Value]] = []
        for entry in node:
            if "${" in entry.name:
                self._add(
                    entry.key, "R022", "a key cannot hold an expression", f"write {field}: '${{ {{(.name): …}} }}'"
                )
            value = self.value(f"{field}.{entry.name}", entry.value)
            if value is not None:
                entries.append((entry.name, value))
        return Fields(tuple(entries)) if len(entries) == len(node) else None

    def _scalar(self, field: str, node: Scalar, meant: Severity) -> Value | None:
        if not isinstance(node.value, str):
            value = node.value
            too_large = isinstance(value, int) and not isinstance(value, bool) and not _INT_MIN <= value <= _INT_MAX
            return Fixed(float(value) if too_large and value is not None else value)
        pieces = self._pieces(node)
        if pieces is None:
            return None
        missed = forgotten(pieces)
        if missed is not None and not (field == "event" and _is_reserved_name(missed.text)):
            self._forgotten(node, missed, meant)
        if not any(piece.code for piece in pieces):
            return Fixed(pieces[0].text if pieces else "")
        if len(pieces) == 1:
            alone = self.expression(field, node, pieces[0].text, pieces[0].start)
            return None if alone is None else Computed(alone)
        return self._mixed(field, node, pieces)

    def _mixed(self, field: str, node: Scalar, pieces: list[Piece]) -> Text | None:
        parts: list[str | Expression] = []
        for piece in pieces:
            part = self.expression(field, node, piece.text, piece.start) if piece.code else piece.text
            if part is not None:
                parts.append(part)
        return Text(field, tuple(parts)) if len(parts) == len(pieces) else None

    def _pieces(self, node: Scalar) -> list[Piece] | None:
        try:
            return split(node.text, closing_brace, block=node.style in {"literal", "folded"})
        except TextError as problem:
            span = (problem.start, problem.end)
            self.findings.append(node.finding("R020", problem.message, problem.hint, span=span))
            return None

    def _forgotten(self, node: Scalar, piece: Piece, severity: Severity) -> None:
        text = piece.text.strip()
        message = "this is sent as it stands: a ${ } was probably forgotten"
        hint = f"write {with_expressions(text)[:120]}" if "\n" not in text else "put the expression into ${ }"
        span = (piece.start, piece.end)
        self.findings.append(node.finding("R021", message, hint, severity=severity, span=span))

    def expression(self, field: str, node: Scalar, text: str, start: int) -> Expression | None:
        """Compile one expression, once (defaults are used by many rules); None where a finding was made."""
        place = (node.start.index, start)
        if place not in self._known:
            self._known[place] = self._compiled(field, node, text, start)
        return self._known[place]

    def _compiled(self, field: str, node: Scalar, text: str, start: int) -> Expression | None:
        if text not in self._programs:
            self._programs[text] = self._program(text)
        program = self._programs[text]
        if isinstance(program, Program):
            return Expression(field, text, node, start, program, self._defs)
        if self._defs_are_whole or program.code != "unknown-function":
            code = JQ_CODES.get(program.code, "R019")
            span = (start + program.start, start + program.end)
            self.findings.append(node.finding(code, program.message, advice(program, text), span=span))
        return None

    def _program(self, text: str) -> Program | JqProblem:
        try:
            return compile_program(text, variables=VARIABLES, defs=self._defs)
        except JqProblem as problem:
            return problem

    def refuse_items(self, rule: str, expressions: Iterable[Expression]) -> None:
        """Make a finding for each expression that reads `$item` or `$index`, of a rule that has no `for_each`."""
        for expression in expressions:
            for name in ITEM_VARIABLES:
                if name in expression.program.reads:
                    found = re.search(rf"\${name}\b", expression.text)
                    at = expression.start + (found.start() if found else 0)
                    place = expression.scalar.start.index + at
                    if place in self._items_refused:
                        # A default: told for the first rule that has no for_each.
                        continue
                    self._items_refused.add(place)
                    span = (at, at + len(name) + 1)
                    message = f"there is no ${name} here: the rule {rule} has no for_each, or this runs before it"
                    hint = "add for_each to the rule, or write a path of the record"
                    self.findings.append(expression.scalar.finding("R032", message, hint, span=span))

    def _add(self, node: Node, code: str, message: str, hint: str) -> None:
        self.findings.append(node.finding(code, message, hint))


def _program_hint(field: str, node: Node) -> str:
    if field == "when" and isinstance(node, Scalar) and node.value is True:
        return "leave `when` out: then the rule takes every record of its topics"
    if field == "when" and isinstance(node, Scalar) and node.value is False:
        return "to switch a rule off write enabled: false"
    if field == "when" and isinstance(node, Mapping) and all(isinstance(entry.value, Scalar) for entry in node):
        parts = (
            f'.{entry.name.lstrip(".")} == "{entry.value.text}"' for entry in node if isinstance(entry.value, Scalar)
        )
        return f"write when: {' and '.join(parts)}"[:200]
    example = ".items[]" if field == "for_each" else '.type == "order.placed"'
    return f"for example {field}: {example}; quote it where YAML asks"


def _is_reserved_name(text: str) -> bool:
    """Say whether an event's `$…` is no variable: then it is a name that SuprSend keeps, and refused as that."""
    return text.startswith("$") and text.strip()[1:] not in VARIABLES
