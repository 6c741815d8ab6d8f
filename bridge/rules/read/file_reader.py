"""One rule file: its document → RuleFile, and everything wrong with it as findings."""

from __future__ import annotations

from typing import Final

from bridge.document import Document, EntryNode, ListNode, MappingNode, Scalar, YamlNode
from bridge.findings import Codes, Finding, FindingCode, has_errors
from bridge.jq import Defs, JqProblem, compile_defs
from bridge.rules.map.scope import DEF_VARIABLES
from bridge.rules.model import Rule, RuleFile, TopicRule
from bridge.rules.read.expressions import JQ_CODES, Expressions
from bridge.rules.read.fields import mapping, plain, refuse_unknown
from bridge.rules.read.keys import A_RULE, DEFAULTS, FILE, RULE, TOPIC
from bridge.rules.read.rule_reader import read_rule, topic_pattern

__all__ = ["CODES", "read_file"]

CODES: Final[Codes] = {
    "R002": FindingCode(
        "A rule file does not hold what it should.",
        "Begin with `rules:` and a list of rules.",
        "- name: placed\n  topics: [orders.v1]\n",
    ),
    "R006": FindingCode("A version of rule files that is not known.", "Write `version: 1`.", "version: 2\n" + A_RULE),
    "R031": FindingCode(
        "A key that `defaults` cannot have.", "Write it in each rule.", "defaults: {event: placed}\n" + A_RULE
    ),
}

_ECHOES: Final = {
    "Y008": ("R005", "R023", "R028", "R029"),
    "Y011": ("R005", "R023", "R028"),
    "Y012": ("R005", "R023", "R028"),
    "Y015": ("R012", "R016", "R020"),
}
"""What else a mistake in YAML looks like in its line."""


def read_file(document: Document, shared: Defs | None) -> tuple[RuleFile, list[Finding]]:
    """Read a composed file; `shared` are the functions of `defs.jq` (None where they do not compile).

    A rule with an error is left out of the RuleFile, so that the others can still be looked at.
    """
    findings: list[Finding] = list(document.findings)
    root = document.root
    if not isinstance(root, MappingNode):
        if document.complete:
            findings.append(_not_rules(document))
        return RuleFile(document.source.path, document.source, (), (), whole=False), findings
    refuse_unknown(findings, "a rule file", root, FILE)
    _check_version(findings, root.get("version"))
    topics = _read_topics(findings, root.get("topics"))
    compiler = Expressions(shared, _read_defs(findings, root.get("defs"), shared), findings)
    defaults = _read_defaults(compiler, root.get("defaults"))
    rules = _read_rules(compiler, document, root, defaults)
    found = _without_echoes(document, findings)
    whole = document.complete and not has_errors(found)
    return RuleFile(document.source.path, document.source, topics, rules, whole), found


def _not_rules(document: Document) -> Finding:
    hint = "begin with `rules:` and a list of rules"
    if document.root is None:
        return Finding("R002", "error", document.source.path, 0, 0, 0, "the file is empty", hint)
    return document.root.finding("R002", "a rule file is keys and values", hint)


def _without_echoes(document: Document, findings: list[Finding]) -> list[Finding]:
    """Leave out what was found at a place where the YAML itself is wrong: one mistake, one finding."""
    errors = [finding for finding in document.findings if finding.severity == "error"]
    wrong = {(finding.line, finding.column) for finding in errors}
    lines = {(finding.line, echo) for finding in errors for echo in _ECHOES.get(finding.code, ())}
    kept = findings[len(document.findings) :]
    return [
        *document.findings,
        *(one for one in kept if (one.line, one.column) not in wrong and (one.line, one.code) not in lines),
    ]


def _check_version(findings: list[Finding], node: YamlNode | None) -> None:
    if node is not None and not (isinstance(node, Scalar) and node.value == 1 and node.value is not True):
        findings.append(node.finding("R006", "this version of rule files is not known", "write version: 1"))


def _read_topics(findings: list[Finding], node: YamlNode | None) -> tuple[TopicRule, ...]:
    topics = mapping(findings, "topics", node, "for example topics: {orders.v1: {decode: json}}")
    read = (_read_topic(findings, entry) for entry in topics or ())
    return tuple(topic for topic in read if topic is not None)


def _read_topic(findings: list[Finding], entry: EntryNode) -> TopicRule | None:
    pattern = topic_pattern(findings, entry.key)
    options = mapping(findings, entry.name, entry.value, "for example {decode: json, unmatched: skip}")
    if pattern is None or options is None:
        return None
    refuse_unknown(findings, "a topic", options, TOPIC)
    values = {name: plain(findings, name, key.kind, options.get(name)) for name, key in TOPIC.items()}
    snapshot = options.entry("snapshot")
    if snapshot is not None and values["decode"] != "debezium":
        message = "`snapshot` is for decode: debezium only"
        findings.append(snapshot.key.finding("R008", message, "remove it, or write decode: debezium"))
    return TopicRule(
        pattern=pattern,
        decode=values["decode"],
        key_json=values["key"] == "json",
        snapshot=values["snapshot"],
        unmatched_dead_letter=values["unmatched"] == "dead_letter",
        key=entry.key,
    )


def _read_defs(findings: list[Finding], node: YamlNode | None, shared: Defs | None) -> Defs | None:
    """Compile the file's own functions above the shared ones; None where they do not compile."""
    if node is None:
        return shared if shared is not None else None
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        hint = 'write them in a block:\ndefs: |\n  def name: .first + " " + .last;'
        findings.append(node.finding("R005", "defs must be jq functions, as text", hint))
        return None
    try:
        return compile_defs(node.text, variables=DEF_VARIABLES, earlier=shared)
    except JqProblem as problem:
        code = JQ_CODES.get(problem.code, "R019")
        findings.append(node.finding(code, problem.message, problem.hint, span=(problem.start, problem.end)))
        return None


def _read_defaults(compiler: Expressions, node: YamlNode | None) -> MappingNode | None:
    defaults = mapping(compiler.findings, "defaults", node, f"for example defaults: {FILE['defaults'].example}")
    if defaults is None:
        return None
    for entry in defaults:
        key = RULE.get(entry.name)
        if key is not None and not key.in_defaults:
            message = f"`{entry.name}` cannot be a default"
            compiler.findings.append(entry.key.finding("R031", message, "write it in each rule"))
        elif key is not None and key.forgotten is not None:
            # Compiled here though no rule may use it.
            compiler.value(entry.name, entry.value, meant=key.forgotten)
    refuse_unknown(compiler.findings, "defaults", defaults, RULE)
    allowed = tuple(entry for entry in defaults if entry.name in DEFAULTS)
    return MappingNode(allowed, defaults.start, defaults.end, defaults.source)


def _read_rules(
    compiler: Expressions, document: Document, root: MappingNode, defaults: MappingNode | None
) -> tuple[Rule, ...]:
    node = root.get("rules")
    if node is None:
        if document.complete:
            finding = document.source.finding(
                "R004",
                root.start.index,
                root.start.index + 1,
                "the file has no `rules`",
                "add rules: and a list of rules",
            )
            compiler.findings.append(finding)
        return ()
    if not isinstance(node, ListNode):
        hint = "write rules: followed by `- name: …` lines"
        compiler.findings.append(node.finding("R005", "rules must be a list", hint))
        return ()
    rules: list[Rule] = []
    for item in node:
        if not isinstance(item, MappingNode):
            compiler.findings.append(item.finding("R005", "a rule is keys and values", "write - name: order-placed"))
            continue
        rule = read_rule(item, defaults, compiler)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)
