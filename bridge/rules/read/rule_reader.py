"""One rule of a file, with the file's defaults under it: nodes → Rule, and everything wrong with it as findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from bridge.document import ListNode, MappingNode, Scalar, YamlNode
from bridge.findings import Codes, Finding, FindingCode
from bridge.rules.map.scope import VARIABLES
from bridge.rules.model import (
    AttachmentRule,
    Computed,
    Expression,
    Fields,
    Fixed,
    Rule,
    TopicPattern,
    Value,
    expressions_in,
)
from bridge.rules.name_patterns import NamePatternError, topic_matcher
from bridge.rules.read.expressions import Expressions
from bridge.rules.read.fields import PLAIN, plain, refuse_unknown, text, texts
from bridge.rules.read.keys import ATTACHMENT, RULE, EventText, Jq, Key, Length, meant_key, texts_of
from bridge.suprsend import limits
from bridge.suprsend.limits import attachment_url_problem

__all__ = ["CODES", "read_rule", "topic_pattern"]

CODES: Final[Codes] = {
    "R004": FindingCode(
        "A key that must be there is missing.",
        "Add it.",
        "rules:\n  - name: placed\n    topics: [orders.v1]\n    event: placed\n",
    ),
    "R007": FindingCode(
        "This is neither the name of a topic nor a pattern.",
        "Write a topic's name, or `/regex/` to match whole names.",
        "topics: [orders.*]",
    ),
    "R009": FindingCode(
        "This cannot be the name of a rule.",
        "Use a-z, 0-9, `.`, `_`, `-`; begin with a letter or digit; at most 63.",
        "name: Order Placed",
    ),
    "R024": FindingCode(
        "A computed event name needs its list.", "Add `events: [name, …]`.", "event: order_${ .status }"
    ),
    "R025": FindingCode(
        "An event name that SuprSend refuses.",
        "Choose another: not `$…`, not `ss_…`, at least two characters.",
        "event: ss_placed",
    ),
    "R026": FindingCode(
        "A property name that SuprSend keeps for itself.",
        "Rename it: not `$…`, not `ss_…`.",
        "properties: {$total: '${ .total }'}",
    ),
    "R027": FindingCode(
        "`events` does not fit the event.",
        "List exactly the names that `event` can make.",
        "event: order_${ .status }\nevents: [order_paid, ordr_sent]",
    ),
    "R028": FindingCode("A text that SuprSend refuses.", "Write what the message asks for.", "distinct_id: ''"),
    "R029": FindingCode(
        "An attachment that cannot be sent.",
        "Write `{url: https://…, filename: …}`.",
        "attachments: [{url: /data/invoice.pdf}]",
    ),
    "R033": FindingCode(
        "An idempotency key that is the same for several events.",
        "Use the record's id and `$item`.",
        "for_each: .people[]\ndistinct_id: ${ $item.id }\nidempotency_key: ${ .id }",
    ),
}

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def read_rule(node: MappingNode, defaults: MappingNode | None, compiler: Expressions) -> Rule | None:
    """Read one rule; None where anything in it is wrong (the findings are in `compiler.findings`)."""
    before = _errors(compiler.findings)
    refuse_unknown(compiler.findings, "a rule", node, RULE)
    rule = _Reader(node, defaults, compiler).read()
    return rule if _errors(compiler.findings) == before else None


def _errors(findings: list[Finding]) -> int:
    return sum(finding.severity == "error" for finding in findings)


class _Reader:
    """Reads the keys of one rule, each from the rule or else from the defaults."""

    def __init__(self, node: MappingNode, defaults: MappingNode | None, compiler: Expressions) -> None:
        self.node = node
        self.defaults = defaults
        self.compiler = compiler
        self.findings = compiler.findings

    def read(self) -> Rule:
        """Read everything; the result is whole only where no finding was made on the way."""
        name, identity = self._identity()
        programs: dict[str, Any] = {key: self._program(key) for key in RULE if isinstance(RULE[key].kind, Jq)}
        event, events = self._event()
        rule = Rule(
            name=name,
            identity=identity,
            topics=self._topics(),
            event=event,
            events=events,
            properties=self._properties(),
            attachments=read_attachments(self._get("attachments"), self.compiler),
            node=self.node,
            expressions=(),
            **programs,
            **self._texts(),
            **self._plain(),
        )
        return self._with_expressions(rule)

    def _plain(self) -> dict[str, Any]:
        """The keys whose kind says all about them."""
        return {
            f"{name}_ms" if isinstance(key.kind, Length) else name: plain(
                self.findings, name, key.kind, self._get(name)
            )
            for name, key in RULE.items()
            if type(key.kind) in PLAIN
        }

    def _texts(self) -> dict[str, Any]:
        """The texts of the event but its name; one that is needed and wrong is empty."""
        texts = {name: key for name, key in RULE.items() if isinstance(key.kind, EventText) and name != "event"}
        return {name: self._text(name, key) or (Fixed("") if key.needed else None) for name, key in texts.items()}

    def _with_expressions(self, rule: Rule) -> Rule:
        before = tuple(expression for expression in (rule.when, rule.for_each) if expression is not None)
        per_event = tuple(_per_event(rule))
        fans_out = rule.for_each is not None or self._meant("for_each")
        self.compiler.refuse_items(rule.name, before if fans_out else before + per_event)
        return replace(rule, expressions=before + per_event)

    def _meant(self, key: str) -> bool:
        """Say whether the rule has this key, though wrong or misspelt."""
        return any(meant_key(entry.name, RULE) == key for entry in self.node)

    def _get(self, key: str) -> YamlNode | None:
        node = self.node.get(key)
        return node if node is not None or self.defaults is None else self.defaults.get(key)

    def _require(self, key: str) -> YamlNode | None:
        node = self._get(key)
        if node is None:
            self.findings.append(self._missing(key, RULE[key].example))
        return node

    def _missing(self, key: str, example: str) -> Finding:
        """A key that is not there; or one level too deep."""
        for entry in self.node:
            inner = entry.value.entry(key) if isinstance(entry.value, MappingNode) else None
            if inner is not None:
                message = f"`{key}` stands under `{entry.name}`, and the rule has none"
                return inner.key.finding("R004", message, f"indent it as `{entry.name}:`")
        name = self.node.entry("name")
        place: YamlNode = self.node if name is None else name.key
        start = place.start.index
        return self.node.source.finding("R004", start, start + 1, f"the rule has no `{key}`", f"add {key}: {example}")

    def _identity(self) -> tuple[str, str]:
        name = self._name("name", self._require("name"))
        was = self._name("was", self.node.get("was"))
        return name or "", was or name or ""

    def _name(self, field: str, node: YamlNode | None) -> str | None:
        name = text(self.findings, field, node)
        if node is not None and name is not None and not _NAME.fullmatch(name):
            message = f"`{name[:80]}` cannot be the {field} of a rule"
            hint = "use a-z, 0-9, `.`, `_`, `-`, begin with a letter or digit, at most 63 characters: order-placed"
            self.findings.append(node.finding("R009", message, hint))
        return name

    def _topics(self) -> tuple[TopicPattern, ...]:
        node = self._require("topics")
        names = None if node is None else texts(self.findings, "topics", node, RULE["topics"])
        patterns = (topic_pattern(self.findings, name) for name in names or ())
        return tuple(pattern for pattern in patterns if pattern is not None)

    def _program(self, field: str) -> Expression | None:
        node = self._get(field)
        return None if node is None else self.compiler.program(field, node)

    def _properties(self) -> tuple[Fields | Computed, ...]:
        own = self.node.get("properties")
        base = None if self.defaults is None else self.defaults.get("properties")
        nodes = [node for node in (base, own) if node is not None]
        layers = [layer for node in nodes if (layer := self._layer(node)) is not None]
        if len(layers) == 2 and all(isinstance(layer, Fields) for layer in layers):
            merged = dict(entry for layer in layers if isinstance(layer, Fields) for entry in layer.entries)
            return (Fields(tuple(merged.items())),)
        return tuple(layers)

    def _layer(self, node: YamlNode) -> Fields | Computed | None:
        before = len(self.findings)
        value = self.compiler.value("properties", node, meant="error" if isinstance(node, Scalar) else "warning")
        if isinstance(node, MappingNode):
            self._refuse_names(node)
        if value is None or isinstance(value, Fields | Computed):
            return value
        if len(self.findings) > before:
            # The `${ }` that was forgotten is all that is wrong.
            return None
        hint = "write properties: followed by `name: value` lines, or properties: ${ {…} }"
        line = re.match(r"([\w.-]+) *[:=] *(\S.*)", node.text) if isinstance(node, Scalar) else None
        if line is not None:
            hint = f"write {line[1]}: {line[2][:60]}"
        self.findings.append(
            node.finding("R005", "properties must be keys and values, or one ${ } that makes them", hint)
        )
        return None

    def _refuse_names(self, node: MappingNode) -> None:
        for entry in node:
            problem = limits.property_key_problem(entry.name)
            if problem is not None and "${" not in entry.name:
                self.findings.append(entry.key.finding("R026", problem))

    def _text(self, field: str, key: Key) -> Value | None:
        """Read one text of an event: literal ones are checked here, computed ones for each record."""
        assert isinstance(key.kind, EventText)
        node = self._require(field) if key.needed else self._get(field)
        if node is None:
            return None
        if not isinstance(node, Scalar) or not (isinstance(node.value, str) or type(node.value) is int):
            hint = f"write {field}: {key.example}"
            self.findings.append(node.finding("R005", f"{field} must be text or one ${{ }}", hint))
            return None
        value = self.compiler.value(field, node, meant="error")
        if not isinstance(value, Fixed):
            return value
        literal = str(value.value).strip()
        problem = key.kind.problem(literal)
        if problem is not None:
            self.findings.append(node.finding("R028", problem))
        if field == "idempotency_key":
            message = "this key is the same for every record: SuprSend would take one event a day"
            self.findings.append(node.finding("R033", message, f"write {field}: {key.example}"))
        return Fixed(literal)

    def _event(self) -> tuple[Value, tuple[str, ...]]:
        node = self._require("event")
        listed = self._events()
        if node is None:
            return Fixed(""), listed
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            self.findings.append(node.finding("R005", "event must be text", f"write event: {RULE['event'].example}"))
            return Fixed(""), listed
        value = self.compiler.value("event", node, meant="error")
        if value is None:
            return Fixed(""), listed
        if isinstance(value, Fixed):
            return self._fixed_event(node, str(value.value).strip(), listed)
        if not listed and self._get("events") is None:
            message = "a computed event name needs the list of names that it can make"
            self.findings.append(node.finding("R024", message, f"add events: {RULE['events'].example}"))
        return value, listed

    def _fixed_event(self, node: Scalar, name: str, listed: tuple[str, ...]) -> tuple[Value, tuple[str, ...]]:
        problem = limits.event_name_problem(name)
        if problem is not None and name[1:] not in VARIABLES:
            self.findings.append(node.finding("R025", problem))
        own = self.node.entry("events")
        if own is not None and listed and listed != (name,):
            message = "`events` lists other names than this event, which is not computed"
            self.findings.append(own.key.finding("R027", message, "remove `events`, or compute the name in `event`"))
        return Fixed(name), (name,)

    def _events(self) -> tuple[str, ...]:
        node = self._get("events")
        names = None if node is None else texts(self.findings, "events", node, RULE["events"])
        listed: dict[str, None] = {}
        for item in names or ():
            name = item.text.strip()
            problem = limits.event_name_problem(name)
            if "${" in name:
                self.findings.append(item.finding("R022", "`events` lists names, not expressions", "write the names"))
            elif problem is not None:
                self.findings.append(item.finding("R025", problem))
            elif name in listed:
                self.findings.append(item.finding("R027", f"`{name}` is in the list twice", "remove one of the two"))
            listed[name] = None
        return tuple(listed)


def _per_event(rule: Rule) -> Iterator[Expression]:
    """Every expression that is evaluated for each event."""
    for value in (*(value for _key, value in texts_of(rule)), *rule.properties):
        yield from expressions_in(value)
    if isinstance(rule.attachments, Computed):
        yield rule.attachments.expression
        return
    for item in rule.attachments:
        for part in (item.url, item.filename, item.ignore_if_error):
            yield from expressions_in(part)


def topic_pattern(findings: list[Finding], node: Scalar) -> TopicPattern | None:
    """Read a topic's name or pattern."""
    try:
        matches, literal = topic_matcher(node.text)
    except NamePatternError as error:
        findings.append(node.finding("R007", str(error), error.hint))
        return None
    return TopicPattern(node.text, matches, literal)


def read_attachments(node: YamlNode | None, compiler: Expressions) -> Computed | tuple[AttachmentRule, ...]:
    """Read `attachments`; what is wrong goes to the compiler's findings."""
    if node is None:
        return ()
    if isinstance(node, ListNode):
        items = (_read_item(f"attachments[{number}]", item, compiler) for number, item in enumerate(node))
        return tuple(item for item in items if item is not None)
    value = compiler.value("attachments", node) if isinstance(node, Scalar) else None
    if isinstance(value, Computed):
        return value
    if value is not None or not isinstance(node, Scalar):
        message = "attachments must be a list, or one ${ } that makes a list"
        hint = "write attachments: followed by `- url: …` lines, or attachments: '${ [.files[] | {url}] }'"
        compiler.findings.append(node.finding("R029", message, hint))
    return ()


def _read_item(field: str, node: YamlNode, compiler: Expressions) -> AttachmentRule | None:
    if not isinstance(node, MappingNode):
        hint = "write - url: https://…, and filename: below it"
        compiler.findings.append(node.finding("R029", "an attachment has a url and perhaps a filename", hint))
        return None
    refuse_unknown(compiler.findings, "an attachment", node, ATTACHMENT)
    url = node.get("url")
    if url is None:
        compiler.findings.append(node.finding("R029", "the attachment has no url", "add url: https://…"))
        return None
    before = len(compiler.findings)
    address = _text(f"{field}.url", url, compiler)
    if isinstance(address, Fixed) and len(compiler.findings) == before:
        problem = attachment_url_problem(str(address.value))
        if problem is not None:
            compiler.findings.append(url.finding("R029", problem))
    filename = node.get("filename")
    name = None if filename is None else _text(f"{field}.filename", filename, compiler)
    if filename is not None and isinstance(name, Fixed) and not str(name.value):
        compiler.findings.append(filename.finding("R029", "the filename is blank", "write one, or leave the key out"))
    ignore = _ignore(f"{field}.ignore_if_error", node.get("ignore_if_error"), compiler)
    return None if address is None else AttachmentRule(address, name, ignore)


def _text(field: str, node: YamlNode, compiler: Expressions) -> Value | None:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        compiler.findings.append(node.finding("R029", f"{field} must be text or one ${{ }}", "write it in quotes"))
        return None
    value = compiler.value(field, node, meant="error")
    return Fixed(str(value.value).strip()) if isinstance(value, Fixed) else value


def _ignore(field: str, node: YamlNode | None, compiler: Expressions) -> Value | None:
    if node is None:
        return None
    value = compiler.value(field, node) if isinstance(node, Scalar) else None
    if isinstance(value, Computed) or (isinstance(value, Fixed) and isinstance(value.value, bool)):
        return value
    if value is not None or not isinstance(node, Scalar):
        hint = "write ignore_if_error: true"
        compiler.findings.append(node.finding("R029", f"{field} must be true, false or one ${{ }}", hint))
    return None
