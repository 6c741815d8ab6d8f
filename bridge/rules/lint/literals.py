"""Literals and mixed texts of a rule: what SuprSend would refuse, and what was hardly meant as it stands."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Final

from bridge.document import EntryNode, ListNode, MappingNode, Scalar, YamlNode
from bridge.findings import Codes, Finding, FindingCode
from bridge.jq import NOT_CONSTANT, BudgetExceeded, EvalBudget, JqError
from bridge.jq.syntax.nodes import Array, Identity, If, Literal, Node, Object, Pipe, Text, Variable, children
from bridge.rules.map.scope import VARIABLES
from bridge.rules.model import Computed, Elements, Expression, Fields, Fixed, MixedText, Rule, Value, expressions_in
from bridge.rules.read.keys import RULE, EventText, texts_of
from bridge.suprsend import limits

__all__ = ["CODES", "constant_of", "text_findings"]

CODES: Final[Codes] = {
    "R048": FindingCode(
        "A literal that looks like a field of the record.", "Write it as `${ .field }`.", "distinct_id: customer.id"
    ),
    "R054": FindingCode(
        "A property that is named like a key of the rule.",
        "Indent it as `properties:` if it is for the rule.",
        "properties: {max_age: 24h}",
        severity="warning",
    ),
    "R055": FindingCode(
        "An invisible character in a name.", "Delete it: write the name anew.", 'event: "placed\\u200b"'
    ),
}

_LOOKS_LIKE_FIELD: Final = re.compile(
    r"(?:[A-Za-z_]\w*(?:\[\d*\])?\.)+[A-Za-z_]\w*(?:\[\d*\])?"
    r"|[a-z]+_id|id|uid|user|customer|email|recipient|distinct_id|tenant|[a-z]+Id"
)
_OTHER_LANGUAGE: Final = re.compile(r"\$[.({ ]|#\{|%\{|<%")
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]"
)
_OTHER_WAYS: Final = re.compile(
    r"\$\.[A-Za-z_][\w.]*|[#%]?\{[.$]?[A-Za-z_][\w.]*\}|#\{|%\{|<%|\$\(|\$ \{|\\\(\.[\w.]*\)|(?<![\w.])\.[a-z_]\w*(?:\.[a-z_]\w*)+"
)
_STRAY: Final = frozenset(("'", '"', ",", ";", ")", "]", "`", "”"))
_WITH_END: Final = 2
_FROM_RECORD: Final = frozenset(("key", "headers", "offset", "timestamp", "item", "index"))


def text_findings(rule: Rule) -> Iterator[Finding]:
    """Find what is wrong with the texts of one rule."""
    yield from _literal_ids(rule)
    yield from _event(rule)
    yield from _misplaced(rule)
    yield from _invisible(rule)
    yield from _stray_braces(rule)
    yield from _lengths(rule)
    yield from _constant_key(rule)
    yield from _reserved_names(rule)
    yield from _attachments(rule)
    node = rule.node.get("properties")
    if node is not None:
        yield from _other_languages(node)


def _literal_ids(rule: Rule) -> Iterator[Finding]:
    """`distinct_id: customer.id`: every event would go to a person of that id."""
    for key, value in texts_of(rule):
        node = rule.node.get(key)
        if key == "event" or not isinstance(value, Fixed) or not isinstance(node, Scalar):
            continue
        literal = str(value.value)
        if _LOOKS_LIKE_FIELD.fullmatch(literal):
            message = f"`{literal[:60]}` is the same {key} for every record: it is a text, not a field"
            yield node.finding("R048", message, f"write ${{ .{literal[:60]} }}", severity="warning")
        elif _OTHER_WAYS.search(literal):
            sure = _OTHER_LANGUAGE.match(literal) is not None
            message = f"this {key} is a text, not a field"
            yield node.finding("R048", message, _as_field(literal), severity="error" if sure else "warning")


def _misplaced(rule: Rule) -> Iterator[Finding]:
    """`on_error` under `properties`: one level too deep, and sent to the template."""
    node = rule.node.get("properties")
    for entry in node if isinstance(node, MappingNode) else ():
        if entry.name in RULE and not RULE[entry.name].a_property and rule.node.get(entry.name) is None:
            message = f"`{entry.name}` is a property here, and no key of the rule"
            yield entry.key.finding(
                "R054", message, "indent it as `properties:` if it is for the rule", severity="warning"
            )


def _invisible(rule: Rule) -> Iterator[Finding]:
    """A name with a character that nobody sees is another name."""
    nodes = [rule.node.get(key) for key, _value in texts_of(rule)]
    events, properties = rule.node.get("events"), rule.node.get("properties")
    nodes += [] if not isinstance(events, ListNode) else list(events)
    nodes += [] if not isinstance(properties, MappingNode) else [entry.key for entry in properties]
    for node in nodes:
        found = (
            _INVISIBLE.search(node.text.strip(" \n")) if isinstance(node, Scalar) and "${" not in node.text else None
        )
        if found is not None:
            assert node is not None
            message = f"an invisible character (U+{ord(found.group()):04X}) is part of this name"
            yield node.finding("R055", message, "delete it: write the name anew")


def _as_field(text: str) -> str:
    path = re.sub(r"[^\w.]", "", text).strip(".")
    return f"write ${{ .{path[:60]} }}" if path else "write ${ .field }"


def _other_languages(node: YamlNode) -> Iterator[Finding]:
    """`#{name}`, `$.name`, `Hello .customer.name` in properties."""
    if isinstance(node, Scalar):
        found = _OTHER_WAYS.search(node.text) if isinstance(node.value, str) and "${" not in node.text else None
        if found is not None and not node.text.lstrip().startswith(".") and "{{" not in node.text:
            message = "this is sent as it stands: it is a text, not a field"
            span = (found.start(), found.end())
            path = re.sub(r"[^\w.]", "", found.group()).strip(".")
            hint = f"write ${{ .{path} }}" if path else "write fields as ${ .field }"
            yield node.finding("R048", message, hint, severity="warning", span=span)
        return
    for part in node:
        yield from _other_languages(part.value if isinstance(part, EntryNode) else part)


def _stray_braces(rule: Rule) -> Iterator[Finding]:
    """`${ .a }}`."""
    values = (*(value for _key, value in texts_of(rule)), *rule.properties)
    for text in (found for value in values for found in _texts_in(value)):
        yield from _stray_end(text)
        for before, part in itertools.pairwise(text.parts):
            if isinstance(before, Expression) and isinstance(part, str) and part.startswith("}"):
                at = before.start + len(before.text) + 1
                message = "this `}` is sent as it stands: the `${ }` ended before it"
                yield before.scalar.finding("R020", message, "remove it", severity="warning", span=(at, at + 1))


def _stray_end(text: MixedText) -> Iterator[Finding]:
    """`${ .a }'`, `${ .a },`: one sign behind the only expression."""
    if len(text.parts) != _WITH_END:
        return
    before, part = text.parts
    if isinstance(before, Expression) and isinstance(part, str) and part.strip() in _STRAY:
        at = before.start + len(before.text) + 1
        message = f"this `{part.strip()}` is sent as it stands, behind the value"
        span = (at, at + len(part.rstrip()))
        yield before.scalar.finding("R020", message, "remove it", severity="warning", span=span)


def _texts_in(value: Value | None) -> Iterator[MixedText]:
    if isinstance(value, MixedText):
        yield value
    elif isinstance(value, Fields):
        for _name, part in value.entries:
            yield from _texts_in(part)
    elif isinstance(value, Elements):
        for part in value.values:
            yield from _texts_in(part)


def _event(rule: Rule) -> Iterator[Finding]:
    """A computed name: its fixed beginning and end must fit the names in `events`."""
    event = rule.event
    if isinstance(event, Computed):
        yield from _unlisted(rule, event.expression)
    if not isinstance(event, MixedText):
        return
    first = event.parts[0] if isinstance(event.parts[0], str) else ""
    last = event.parts[-1] if isinstance(event.parts[-1], str) else ""
    first, last = first.lstrip(), last.rstrip()
    if first and limits.reserved(f"{first}x"):
        message = "the event name begins with `$` or `ss_`, which SuprSend keeps for itself; choose another name"
        yield rule.place("event").finding("R025", message)
    makes = f"{first}…{last}"
    listed = rule.place("events")
    for at, name in enumerate(rule.events):
        if not (name.startswith(first) and name.endswith(last) and len(name) >= len(first) + len(last)):
            place = listed.items[at] if isinstance(listed, ListNode) and at < len(listed) else listed
            message = f"`event` can never make the name `{name}`: it makes `{makes}`"
            yield place.finding("R027", message, "correct the name, or the event")


def _unlisted(rule: Rule, expression: Expression) -> Iterator[Finding]:
    """`${ if .ok then "paid" else "failed" end }`: each of the names must be in `events`."""
    for node in _ends(expression.program.node):
        if isinstance(node, Literal) and isinstance(node.value, str) and node.value.strip() not in rule.events:
            message = f"the name `{node.value[:80]}` is not in `events`"
            yield expression.finding("R027", message, "add it there", span=(node.start, node.end))


def _ends(node: Node) -> Iterator[Node]:
    if isinstance(node, If):
        yield from _ends(node.then)
        yield from _ends(node.otherwise) if node.otherwise is not None else ()
    elif isinstance(node, Pipe):
        yield from _ends(node.right)
    else:
        yield node


def _lengths(rule: Rule) -> Iterator[Finding]:
    for key, value in texts_of(rule):
        kind = RULE[key].kind
        if isinstance(value, MixedText) and isinstance(kind, EventText) and kind.longest is not None:
            fixed = sum(len(part) for part in value.parts if isinstance(part, str))
            if fixed > kind.longest:
                message = f"the fixed part of {key} alone has {fixed} characters; SuprSend takes {kind.longest}"
                yield rule.place(key).finding("R028", message, "shorten it")


def _constant_key(rule: Rule) -> Iterator[Finding]:
    """A key that reads nothing of the record is the same for all."""
    parts = list(expressions_in(rule.idempotency_key))
    if parts and not any(_of_record(part) for part in parts):
        message = "this key is the same for every record: SuprSend would take one event a day"
        yield rule.place("idempotency_key").finding("R033", message, "put the record's id into it: ${ .id }")


def _of_record(expression: Expression) -> bool:
    if constant_of(expression) is not NOT_CONSTANT:
        return False
    own_functions = expression.defs is not None and bool(expression.defs.functions)
    return bool(expression.reads & _FROM_RECORD) or own_functions or _reads_input(expression.program.node)


def constant_of(expression: Expression) -> object:
    """Return the value that an expression has for every record, or NOT_CONSTANT."""
    program = expression.program
    own_functions = expression.defs is not None and bool(expression.defs.functions)
    if program.constant is not NOT_CONSTANT or program.reads or own_functions or _reads_input(program.node):
        return program.constant
    try:
        outputs = list(program.run(None, (None,) * len(VARIABLES), EvalBudget(steps=1_000, outputs=2, text=10_000)))
    except (JqError, BudgetExceeded):
        return NOT_CONSTANT
    return outputs[0] if len(outputs) == 1 else NOT_CONSTANT


def _reads_input(node: Node) -> bool:
    """Say whether an expression may read `.`; calls of built-ins do, variables do not."""
    if isinstance(node, Pipe):
        return _reads_input(node.left)
    if isinstance(node, Literal | Variable):
        return False
    if isinstance(node, Identity):
        return True
    return any(map(_reads_input, children(node))) if children(node) else True


def _reserved_names(rule: Rule) -> Iterator[Finding]:
    """`properties: '${ {ss_x: 1} }'`."""
    for layer in rule.properties:
        if isinstance(layer, Computed):
            for key, _value in _entries(layer.expression.program.node):
                if isinstance(key, Literal) and isinstance(key.value, str):
                    problem = limits.property_key_problem(key.value)
                    if problem is not None:
                        yield layer.expression.finding("R026", problem, span=(key.start, key.end))


def _entries(node: Node) -> Iterator[tuple[Node, Node]]:
    """The keys and values of the objects that an expression makes, where that is plain to see."""
    if isinstance(node, Object):
        yield from node.entries
    elif isinstance(node, Pipe):
        yield from _entries(node.right)
    elif isinstance(node, Array) and node.body is not None:
        yield from _entries(node.body)


def _attachments(rule: Rule) -> Iterator[Finding]:
    """Local files, and what else SuprSend cannot fetch."""
    if not isinstance(rule.attachments, Computed):
        for item in rule.attachments:
            yield from _address(item.url, rule)
        return
    expression = rule.attachments.expression
    for key, value in _entries(expression.program.node):
        if not (isinstance(key, Literal) and key.value == "url"):
            continue
        begins = value.value if isinstance(value, Literal) else None
        if isinstance(value, Text) and value.parts and isinstance(value.parts[0], str):
            begins = value.parts[0]
        if isinstance(begins, str) and not _may_begin_url(begins, whole=isinstance(value, Literal)):
            yield expression.finding("R029", _LOCAL, span=(value.start, value.end))


_LOCAL: Final = "the attachment's url must begin with https:// or http://; local files are never sent, publish them"


def _address(value: Value, rule: Rule) -> Iterator[Finding]:
    if isinstance(value, MixedText) and isinstance(value.parts[0], str) and not _may_begin_url(value.parts[0].lstrip()):
        part = next((part for part in value.parts if isinstance(part, Expression)), None)
        place: Callable[..., Finding] = rule.node.finding if part is None else part.scalar.finding
        yield place("R029", _LOCAL)


def _may_begin_url(text: str, *, whole: bool = False) -> bool:
    return text.startswith(limits.URL_SCHEMES) or (
        not whole and any(url.startswith(text) for url in limits.URL_SCHEMES)
    )
