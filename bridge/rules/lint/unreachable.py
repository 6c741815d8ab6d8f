"""Rules that can never fire, topics that nobody takes, fan-outs that are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bridge.document import ListNode, Scalar, YamlNode
from bridge.findings import Codes, Finding, FindingCode, did_you_mean
from bridge.jq.facts import path_of
from bridge.jq.syntax.nodes import Binary, Literal, Logic, Node
from bridge.rules.lint.literals import constant_of
from bridge.rules.map.scope import ITEM_VARIABLES
from bridge.rules.model import Expression, Rule, RuleFile, RuleSet
from bridge.rules.name_patterns import topic_matcher
from bridge.rules.read.keys import A_RULE

__all__ = ["CODES", "topic_findings", "unreachable_findings"]

CODES: Final[Codes] = {
    "R040": FindingCode(
        "A rule that can never fire.",
        "Correct its condition, or write `enabled: false`.",
        'when: .type == "placed" and .type == "paid"',
    ),
    "R041": FindingCode(
        "A rule for topics that the settings do not read, or a topic that no rule takes.",
        "Correct the name here or under `kafka.topics`.",
        severity="warning",
    ),
    "R047": FindingCode(
        "A `for_each` that does not fan out.",
        "Write `[]` behind the list, and use `$item`.",
        "for_each: .people\ndistinct_id: ${ $item.id }",
        severity="warning",
    ),
    "R049": FindingCode(
        "An entry under `topics` that no rule of the file uses.",
        "Correct its name, or remove it.",
        "topics: {orders.v2: {decode: string}}\n" + A_RULE,
        severity="warning",
    ),
    "R051": FindingCode(
        "A `when` that is always true.", "Leave `when` out, or compare something.", 'when: "true"', severity="warning"
    ),
}

_BEFORE_ITEMS: Final = frozenset({"when", "for_each"})


def unreachable_findings(file: RuleFile) -> Iterator[Finding]:
    """Find rules of one file that never fire, or that do not do what their keys say."""
    for number, rule in enumerate(file.rules):
        if rule.enabled:
            yield from _constant_when(rule)
            yield from _contradiction(rule)
            yield from _tautology(rule)
            yield from _shadowed(rule, file.rules[:number])
            yield from _fan_out(rule)
    yield from _unused_topics(file)


def _constant_when(rule: Rule) -> Iterator[Finding]:
    if rule.when is None:
        return
    value = constant_of(rule.when)
    if value is False or value is None:
        message = f"`when` is always {'false' if value is False else 'null'}: this rule never fires"
        yield rule.when.finding("R040", message, "to switch a rule off write enabled: false")
    elif value is True:
        message = "`when` is always true"
        yield rule.when.finding("R051", message, "leave it out, or compare something", severity="warning")


def _contradiction(rule: Rule) -> Iterator[Finding]:
    """`.type == "a" and .type == "b"`."""
    if rule.when is None:
        return
    wanted: dict[Any, Any] = {}
    for part in _conjuncts(rule.when.program.node):
        compared = _equality(part)
        if compared is None:
            continue
        path, value = compared
        if wanted.setdefault(path, value) != value:
            shown = rule.when.text[part.start : part.end]
            message = f"`{shown[:80]}` contradicts what stands before it: this rule never fires"
            hint = 'for one of several write `.type == "a" or .type == "b"`'
            yield rule.when.finding("R040", message, hint, span=(part.start, part.end))


def _tautology(rule: Rule) -> Iterator[Finding]:
    """`.type != "a" or .type != "b"`: one of the two always holds."""
    if rule.when is None:
        return
    waiting = [rule.when.program.node]
    while waiting:
        node = waiting.pop()
        waiting += [node.left, node.right] if isinstance(node, Logic) else []
        if not (isinstance(node, Logic) and node.op == "or"):
            continue
        sides = [_compared(side, "!=") for side in _parts(node, "or")]
        known = [side for side in sides if side is not None]
        if any(path == other and value != against for path, value in known for other, against in known):
            shown = rule.when.text[node.start : node.end]
            message = f"`{shown[:80]}` is always true: no value equals both"
            hint = 'write `and`, or `.type | IN("a", "b") | not`'
            yield rule.when.finding("R039", message, hint, span=(node.start, node.end))
            return


def _parts(node: Node, op: str) -> list[Node]:
    if isinstance(node, Logic) and node.op == op:
        return _parts(node.left, op) + _parts(node.right, op)
    return [node]


def _conjuncts(node: Node) -> list[Node]:
    return _parts(node, "and")


def _equality(node: Node) -> tuple[object, object] | None:
    return _compared(node, "==")


def _compared(node: Node, op: str) -> tuple[object, object] | None:
    """The path and the constant of `PATH == CONSTANT`, or of another comparison."""
    if not isinstance(node, Binary) or node.op != op:
        return None
    for side, other in ((node.left, node.right), (node.right, node.left)):
        path = path_of(side)
        if path is not None and isinstance(other, Literal):
            return path, (type(other.value).__name__, other.value)
    return None


def _shadowed(rule: Rule, earlier: Sequence[Rule]) -> Iterator[Finding]:
    """A rule behind a `final` one that takes every record that it would take."""
    parts = set() if rule.when is None else {_spelled(rule.when, part) for part in _conjuncts(rule.when.program.node)}
    for other in earlier:
        if not (other.final and other.enabled and _covers(other, rule)):
            continue
        takes_all = other.when is None or constant_of(other.when) is True
        wanted = (
            set() if other.when is None else {_spelled(other.when, one) for one in _conjuncts(other.when.program.node)}
        )
        if takes_all or wanted <= parts:
            why = (
                "takes every record of its topics"
                if takes_all
                else "takes every record for which this one's `when` is true"
            )
            message = f"this rule never fires: the rule `{other.name}` before it is `final` and {why}"
            yield rule.place("name").finding("R040", message, "put it before that rule, or remove `final` there")
            return


def _spelled(expression: Expression, node: Node) -> object:
    """Return what two conditions share if they say the same, as far as that is plain."""
    return _equality(node) or " ".join(expression.text[node.start : node.end].split())


def _covers(other: Rule, rule: Rule) -> bool:
    """Say whether every topic of `rule` is one of `other`."""
    patterns = {pattern.text for pattern in other.topics}
    return all(pattern.text in patterns or (pattern.literal and other.selects(pattern.text)) for pattern in rule.topics)


def _fan_out(rule: Rule) -> Iterator[Finding]:
    if rule.for_each is None:
        return
    path = path_of(rule.for_each.program.node)
    if path is not None:
        shown = rule.for_each.text.strip()
        message = f"`{shown}` is one value: a list there is an error, and nothing is fanned out"
        hint = f"write `{'' if shown == '.' else shown}[]`" if shown != "." else "write `.[]`"
        yield rule.for_each.finding("R047", message, hint, severity="warning")
        return
    reads = {
        name
        for expression in rule.expressions
        if expression.label not in _BEFORE_ITEMS
        for name in expression.program.reads
    }
    if not reads.intersection(ITEM_VARIABLES):
        message = "nothing in this rule reads $item: every element makes the same event for the same person"
        yield rule.for_each.finding("R047", message, "for example distinct_id: ${ $item.id }", severity="warning")


def _unused_topics(file: RuleFile) -> Iterator[Finding]:
    """Entries under `topics` that no rule of their file selects: a misspelt one would read a topic as JSON."""
    if not file.whole:
        return
    names = [pattern.text for rule in file.rules for pattern in rule.topics if pattern.literal]
    patterns = [pattern for rule in file.rules for pattern in rule.topics if not pattern.literal]
    for entry in file.topics:
        if entry.pattern is None or entry.key is None or not file.rules:
            continue
        text = entry.pattern.text
        used = any(entry.pattern.matches(name) for name in names) or text in {pattern.text for pattern in patterns}
        used = used or any(not entry.pattern.literal or pattern.matches(text) for pattern in patterns)
        if not used:
            meant = did_you_mean(text, names)
            hint = (
                f"did you mean `{meant}`?" if meant else "rules name the topics: " + ", ".join(sorted(set(names))[:5])
            )
            message = f"no rule of this file is for {text}: what is said here has no effect on them"
            yield entry.key.finding("R049", message, hint, severity="warning")


def topic_findings(rules: RuleSet, topics: Sequence[str]) -> Iterator[Finding]:
    """Compare the rules' topics with those that the settings read."""
    running = [rule for rule in rules.rules if rule.enabled]
    # Topics that were proposed for a misspelt one: no second finding about them.
    excused: set[str] = set()
    for rule in running:
        for pattern in rule.topics:
            if not any(pattern.matches(topic) for topic in topics):
                meant = did_you_mean(pattern.text, topics)
                hint = f"did you mean `{meant}`?" if meant else f"kafka.topics of the settings are {', '.join(topics)}"
                excused.update(() if meant is None else (meant,))
                inside = [] if pattern.literal else [topic for topic in topics if _is_inside(pattern.text, topic)]
                if inside:
                    hint = f"it must match the whole of a name, such as {inside[0]}: write /.*{pattern.text[1:-1]}.*/"
                    excused.update(inside)
                never = "" if any(rule.selects(topic) for topic in topics) else ": this rule never fires"
                message = f"the settings do not read {pattern.text}{never}"
                yield _of_topic(rule, pattern.text).finding("R041", message, hint, severity="warning")
    files = rules.files
    if not all(file.whole for file in files):
        # A rule that could not be read may be the one for it.
        return
    for topic in topics:
        if (
            running
            and topic not in excused
            and not any(rule.selects(topic) for rule in running)
            and not any(file.names(topic) for file in files)
        ):
            message = f"no rule is for {topic}, which the settings read: all of its records end as `filtered`"
            path = files[0].path if len(files) == 1 else ""
            yield Finding(
                "R041", "warning", path or "kafka.topics", 0, 0, 0, message, "add a rule, or remove the topic"
            )


def _is_inside(pattern: str, topic: str) -> bool:
    """Say whether `/orders/` was meant to find its text anywhere in a name."""
    return topic_matcher(f"/.*(?:{pattern[1:-1]}).*/")[0](topic)


def _of_topic(rule: Rule, text: str) -> YamlNode:
    node = rule.place("topics")
    items = node.items if isinstance(node, ListNode) else ()
    return next((item for item in items if isinstance(item, Scalar) and item.text == text), node)
