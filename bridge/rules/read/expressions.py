"""Nodes of a rule file → compiled values: what is literal, what is jq, and a finding for what is neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from bridge.document import ListNode, MappingNode, Scalar, YamlNode
from bridge.findings import Codes, Finding, FindingCode, Severity
from bridge.jq import Defs, JqProblem, Program, closing_brace, compile_program
from bridge.rules.map.scope import ITEM_VARIABLES, VARIABLES
from bridge.rules.model import Computed, Elements, Expression, Fields, Fixed, MixedText, Value
from bridge.rules.read.advice import advice, with_expressions
from bridge.rules.read.keys import A_RULE

__all__ = ["CODES", "JQ_CODES", "Expressions", "Piece", "TextError", "forgotten", "split"]

CODES: Final[Codes] = {
    "R012": FindingCode("An expression that is not jq.", "Mend it where the caret points.", "when: .total > 0 and"),
    "R013": FindingCode(
        "A function that does not exist.",
        "Use a built-in of jq, or define it in `defs`.",
        "properties: {name: '${ .name | upper }'}",
    ),
    "R014": FindingCode(
        "A variable that does not exist here.",
        "Use one of the variables that the message lists.",
        "properties: {type: '${ $type }'}",
    ),
    "R015": FindingCode(
        "A part of jq that the bridge refuses.",
        "See the page of differences from jq.",
        "properties: {sent: '${ now | todate }'}",
    ),
    "R016": FindingCode(
        "This is another language, not jq.",
        "Write it in jq, as the message shows.",
        'when: .type == "placed" && .total > 0',
    ),
    "R017": FindingCode(
        "A regular expression that cannot be used.",
        "Write it without what the message names.",
        'when: .id | test("(?=o)-")',
    ),
    "R018": FindingCode(
        "A function of this name exists already.", "Give yours another name.", "defs: 'def map(f): .[] | f;'\n" + A_RULE
    ),
    "R019": FindingCode(
        "An expression that cannot be compiled.",
        "Make it smaller, or constant where it must be.",
        'properties: {at: \'${ .at | parse_time | format_time("%H:%M"; "Vienna") }\'}',
    ),
    "R020": FindingCode(
        "A `${` without an end, or with nothing inside.",
        "Write `${ expression }`, or `$${` literally.",
        "distinct_id: user-${ .id",
    ),
    "R021": FindingCode("A `${ }` was forgotten.", "Put the expression into `${ }`.", "distinct_id: .customer.id"),
    "R022": FindingCode("An expression where none can be.", "Write a literal value.", "properties: {'${ .key }': 1}"),
    "R023": FindingCode(
        "`when` and `for_each` are one jq expression, as text.", "Write it without `${ }`.", "when: true"
    ),
    "R032": FindingCode(
        "`$item` or `$index` without `for_each`.",
        "Add `for_each`, or use a path of the record.",
        "distinct_id: ${ $item.id }",
    ),
}
JQ_CODES: Final[dict[str, str]] = {
    "syntax": "R012",
    "unknown-function": "R013",
    "unknown-variable": "R014",
    "refused": "R015",
    "other-language": "R016",
    "regex": "R017",
    "redefined": "R018",
    "not-constant": "R019",
    "too-large": "R019",
}
"""The engine's codes as ours; any other is R019."""

_OPENING = re.compile(r"\$?\$\{")
_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_LOOKS_LIKE_JQ = re.compile(r'\s*(?:\.(?:[A-Za-z_"]|\[)|\$(?:[A-Za-z_]\w*))')


class Piece(NamedTuple):
    """A stretch of a value: literal text (its `$${` already `${`), or the jq between `${` and `}`.

    `start` and `end` are offsets into the value's text: of the literal, or of the jq without its braces.
    """

    code: bool
    text: str
    start: int
    end: int


class TextError(Exception):
    """A `${` that has no end, or nothing inside; `start` and `end` say where in the value's text."""

    def __init__(self, message: str, hint: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.start = start
        self.end = end


ClosingBrace = Callable[[str, int], int | None]
"""`(text, index of the first character behind "${")` → index of the `}` that ends it, or None."""


def split(text: str, closing_brace: ClosingBrace, *, block: bool = False) -> list[Piece]:
    """Split a value into literals and expressions, in order; adjacent literals are one, empty ones are left out.

    `block` says that the text comes from a `|` or `>` block: if one `${ }` with nothing but white space around it is
    all there is, the white space is dropped, so that the expression stands alone.

    Raises:
        TextError: for the first `${` without an end or without content.

    """
    if "${" not in text:
        return [Piece(code=False, text=text, start=0, end=len(text))] if text else []
    pieces = _merged(_scan(text, closing_brace))
    if block and sum(piece.code for piece in pieces) == 1:
        inked = [piece for piece in pieces if piece.code or piece.text.strip()]
        return inked if len(inked) == 1 else pieces
    return pieces


def _scan(text: str, closing_brace: ClosingBrace) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    while opening := _OPENING.search(text, position):
        if opening.start() > position:
            pieces.append(_literal(text[position : opening.start()], position, opening.start()))
        if opening.group() == "$${":
            pieces.append(_literal("${", opening.start(), opening.end()))
            position = opening.end()
            continue
        pieces.append(_expression(text, opening.end(), closing_brace))
        position = pieces[-1].end + 1
    if position < len(text):
        pieces.append(_literal(text[position:], position, len(text)))
    return pieces


def _literal(text: str, start: int, end: int) -> Piece:
    return Piece(code=False, text=text, start=start, end=end)


def _expression(text: str, start: int, closing_brace: ClosingBrace) -> Piece:
    end = closing_brace(text, start)
    if end is None:
        quote = _open_quote(text, start)
        if quote is not None:
            message = "the text that begins here, in a `${`, is never closed"
            raise TextError(message, 'add `"` where it ends', quote, len(text))
        message = "this `${` is never closed"
        raise TextError(message, "close it with `}`; a literal `${` is written `$${`", start - 2, len(text))
    if not text[start:end].strip():
        message = "there is nothing inside this `${ }`"
        raise TextError(message, "write a jq expression, for example ${ .id }", start - 2, end + 1)
    return Piece(code=True, text=text[start:end], start=start, end=end)


def _open_quote(text: str, start: int) -> int | None:
    """Return where the last text of jq begins that does not end, or None."""
    quote: int | None = None
    position = start
    while found := _QUOTE.search(text, position):
        position = found.end()
        if found.group() == '"':
            quote = found.start() if quote is None else None
    return quote


def _merged(pieces: list[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and not piece.code and not merged[-1].code:
            last = merged.pop()
            merged.append(_literal(last.text + piece.text, last.start, piece.end))
        else:
            merged.append(piece)
    return merged


def forgotten(pieces: list[Piece]) -> Piece | None:
    """Return the literal that was probably meant to be an expression, or None.

    That is text that begins like a path or a variable (`.customer.id`, `$item`), or that holds `{{`.
    """
    for number, piece in enumerate(pieces):
        if piece.code:
            continue
        if "{{" in piece.text or (number == 0 and _LOOKS_LIKE_JQ.match(piece.text)):
            return piece
    return None


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

    def program(self, field: str, node: YamlNode) -> Expression | None:
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

    def value(self, field: str, node: YamlNode, *, meant: Severity = "warning") -> Value | None:
        """Compile any value; `meant` is how bad a forgotten `${ }` is in it. None where a finding was made."""
        if isinstance(node, Scalar):
            return self._scalar(field, node, meant)
        if isinstance(node, ListNode):
            values = [self.value(f"{field}[{number}]", item, meant=meant) for number, item in enumerate(node)]
            return None if None in values else Elements(tuple(value for value in values if value is not None))
        return self.fields(field, node)

    def fields(self, field: str, node: MappingNode) -> Fields | None:
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

    def _mixed(self, field: str, node: Scalar, pieces: list[Piece]) -> MixedText | None:
        parts: list[str | Expression] = []
        for piece in pieces:
            part = self.expression(field, node, piece.text, piece.start) if piece.code else piece.text
            if part is not None:
                parts.append(part)
        return MixedText(field, tuple(parts)) if len(parts) == len(pieces) else None

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
                        # A default: reported for the first rule that has no for_each.
                        continue
                    self._items_refused.add(place)
                    span = (at, at + len(name) + 1)
                    message = f"there is no ${name} here: the rule {rule} has no for_each, or this runs before it"
                    hint = "add for_each to the rule, or write a path of the record"
                    self.findings.append(expression.scalar.finding("R032", message, hint, span=span))

    def _add(self, node: YamlNode, code: str, message: str, hint: str) -> None:
        self.findings.append(node.finding(code, message, hint))


def _program_hint(field: str, node: YamlNode) -> str:
    if field == "when" and isinstance(node, Scalar) and node.value is True:
        return "leave `when` out: then the rule takes every record of its topics"
    if field == "when" and isinstance(node, Scalar) and node.value is False:
        return "to switch a rule off write enabled: false"
    if field == "when" and isinstance(node, MappingNode) and all(isinstance(entry.value, Scalar) for entry in node):
        parts = (
            f'.{entry.name.lstrip(".")} == "{entry.value.text}"' for entry in node if isinstance(entry.value, Scalar)
        )
        return f"write when: {' and '.join(parts)}"[:200]
    example = ".items[]" if field == "for_each" else '.type == "order.placed"'
    return f"for example {field}: {example}; quote it where YAML asks"


def _is_reserved_name(text: str) -> bool:
    """Say whether an event's `$…` is no variable: then it is a name that SuprSend keeps, and refused as that."""
    return text.startswith("$") and text.strip()[1:] not in VARIABLES
