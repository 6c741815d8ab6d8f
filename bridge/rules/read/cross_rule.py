"""What can only be seen across rules and files: names used twice, keys that collide, topics read in two ways."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from bridge.findings import Codes, Finding, FindingCode
from bridge.rules.map.scope import ITEM_VARIABLES
from bridge.rules.model import Computed, MixedText, Rule, RuleFile, Value, expressions_in
from bridge.rules.read.keys import A_RULE

__all__ = ["CODES", "across"]

CODES: Final[Codes] = {
    "R010": FindingCode(
        "Two rules have one name.",
        "Give each its own: a rule's name is its identity.",
        A_RULE + "  - name: placed\n    topics: [orders.v1]\n    event: placed_again\n    distinct_id: ${ .id }\n",
    ),
    "R011": FindingCode(
        "This cannot be the former name (`was`) of a rule.",
        "Name the rule as it was called before, once.",
        "name: placed\nwas: placed",
    ),
    "R034": FindingCode(
        "Two rules on one topic make the same keys.",
        "Put the rule's name into the key.",
        A_RULE
        + "    idempotency_key: ${ .id }\n  - name: paid\n    topics: [/orders\\..*/]\n    event: paid\n    distinct_id: ${ .id }\n    idempotency_key: ${ .id }\n",
        severity="warning",
    ),
    "R035": FindingCode(
        "A topic is read in two ways.", "Say the same under `topics` of both files.", severity="warning"
    ),
}

_DIGITS: Final = re.compile(r"(?:\[0-9\]|\\d)[*+?]?")
_ANY: Final = re.compile(r"(?:(?<!\\)\.|\[[^\]]*\]|\\[dw])[*+?]?")
"""Any character, or one of some, once or more often."""
_FIRST_OF: Final = re.compile(r"\((?:\?:)?([^()|]*)(?:\|[^()]*)?\)")
"""A choice in ( )."""


def across(files: Sequence[RuleFile]) -> list[Finding]:
    """Look at all rules together."""
    rules = [rule for file in files for rule in file.rules]
    return [
        *_names(rules),
        *_old_names(rules),
        *_keys_of_items(rules),
        *_equal_keys(files),
        *_readings(files),
    ]


def _line(rule: Rule) -> str:
    return f"{rule.node.source.path}:{rule.node.start.line}"


def _names(rules: Sequence[Rule]) -> Iterator[Finding]:
    first: dict[str, Rule] = {}
    for rule in rules:
        other = first.setdefault(rule.name, rule)
        if other is not rule:
            message = f"the name `{rule.name}` is taken by the rule in {_line(other)}"
            yield rule.place("name").finding("R010", message, "give the rule another name: the name is its identity")


def _old_names(rules: Sequence[Rule]) -> Iterator[Finding]:
    names = {rule.name: rule for rule in rules}
    taken: dict[str, Rule] = {}
    for rule in rules:
        if rule.identity == rule.name:
            if rule.node.get("was") is not None:
                yield rule.place("was").finding("R011", "`was` is the name that the rule has", "remove `was`")
            continue
        other = names.get(rule.identity) or taken.get(rule.identity)
        if other is not None:
            message = f"`{rule.identity}` belongs to the rule in {_line(other)}: their keys would be the same"
            yield rule.place("was").finding("R011", message, "an old name can go to one rule only")
        taken[rule.identity] = rule


def _keys_of_items(rules: Sequence[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if rule.for_each is None or not isinstance(rule.idempotency_key, Computed | MixedText):
            continue
        reads = {name for part in expressions_in(rule.idempotency_key) for name in part.reads}
        if not reads.intersection(ITEM_VARIABLES):
            message = "every event of this for_each would have the same key: it reads neither $item nor $index"
            hint = "for example ${ .id }-${ $item.user_id }"
            yield rule.place("idempotency_key").finding("R033", message, hint)


def _equal_keys(files: Sequence[RuleFile]) -> Iterator[Finding]:
    known = {entry.pattern.text for file in files for entry in file.topics if entry.pattern and entry.pattern.literal}
    known |= {pattern.text for file in files for rule in file.rules for pattern in rule.topics if pattern.literal}
    alike: dict[object, list[Rule]] = {}
    for rule in (rule for file in files for rule in file.rules):
        if rule.idempotency_key is None or not rule.enabled:
            continue
        earlier = alike.setdefault(_spelled(rule.idempotency_key), [])
        other = next((one for one in earlier if _share_a_topic(one, rule, known)), None)
        if other is not None:
            message = f"the rule `{other.name}` makes the same key: of one record only one of the two is sent"
            hint = f"add something of its own: …-{rule.name}"
            yield rule.place("idempotency_key").finding("R034", message, hint, severity="warning")
        earlier.append(rule)


def _share_a_topic(one: Rule, other: Rule, known: Collection[str]) -> bool:
    """Say whether a record can go to both rules, as far as that is plain.

    It is where a topic that is named anywhere is one of both, or a name that is made from their patterns.
    """
    if {pattern.text for pattern in one.topics} & {pattern.text for pattern in other.topics}:
        return True
    shapes = [[_shape(pattern.text) for pattern in rule.topics] for rule in (one, other)]
    made = [
        f"{first.partition('*')[0]}{'x' if '*' in first + second else ''}{second.rpartition('*')[2]}"
        for first, second in [*itertools.product(*shapes), *itertools.product(*shapes[::-1])]
    ]
    made += [shape.replace("*", "x") for shape in itertools.chain(*shapes)]
    return any(one.selects(name) and other.selects(name) for name in (*known, *made))


def _shape(pattern: str) -> str:
    r"""Write a topic or simple pattern with `*` for what may be anything: `/orders\..*/` is `orders.*`."""
    if not pattern.startswith("/"):
        return pattern
    simple = _ANY.sub("*", _DIGITS.sub("1", pattern[1:-1]))
    return _FIRST_OF.sub(r"\1", simple).replace("\\", "").removeprefix("^").removesuffix("$")


def _spelled(value: Value) -> object:
    """Return what two keys share if they are written alike, white space aside."""
    if isinstance(value, Computed):
        return (" ".join(value.expression.text.split()),)
    if isinstance(value, MixedText):
        return tuple(part if isinstance(part, str) else (" ".join(part.text.split()),) for part in value.parts)
    return value


def _readings(files: Sequence[RuleFile]) -> Iterator[Finding]:
    """Find topics named by rules of several files that are decoded differently in them."""
    first: dict[str, tuple[object, RuleFile]] = {}
    for file in files:
        for rule in file.rules:
            for pattern in rule.topics:
                if not pattern.literal:
                    continue
                reading = file.reading(pattern.text)
                how = (reading.decode, reading.key_json, reading.snapshot)
                known, other = first.setdefault(pattern.text, (how, file))
                if known != how and other is not file:
                    message = f"{pattern.text} is decoded as {reading.decode} here and otherwise in {other.path}"
                    hint = "say the same under `topics` of both files"
                    yield rule.place("topics").finding("R035", message, hint, severity="warning")
