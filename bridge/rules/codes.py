"""The finding codes of rule files: one table, from which the pages of the docs are made."""

from __future__ import annotations

from typing import NamedTuple

from bridge.findings import Severity

__all__ = ["CODES", "JQ_CODES", "Code"]


class Code(NamedTuple):
    """One row: what is wrong, how bad that is at worst, and what to write instead."""

    title: str
    severity: Severity
    instead: str


CODES: dict[str, Code] = {
    "R001": Code("The rules cannot be read, or there are none.", "error", "Name a directory with `*.yaml` files."),
    "R002": Code("A rule file does not hold what it should.", "error", "Begin with `rules:` and a list of rules."),
    "R003": Code("A key that is not known here.", "error", "Use one of the keys that the message lists."),
    "R004": Code("A key that must be there is missing.", "error", "Add it."),
    "R005": Code("A value has the wrong type.", "error", "Write what the message asks for."),
    "R006": Code("A version of rule files that is not known.", "error", "Write `version: 1`."),
    "R007": Code("No name or pattern of a topic.", "error", "Write a topic's name, or `/regex/` to match whole names."),
    "R008": Code("A setting of a topic that does not exist.", "error", "Use one of the words that the message lists."),
    "R009": Code(
        "No name of a rule.", "error", "Use a-z, 0-9, `.`, `_`, `-`; begin with a letter or digit; at most 63."
    ),
    "R010": Code("Two rules have one name.", "error", "Give each its own: a rule's name is its identity."),
    "R011": Code("An old name (`was`) that cannot be.", "error", "Name the rule as it was called before, once."),
    "R012": Code("An expression that is not jq.", "error", "Mend it where the caret points."),
    "R013": Code("A function that does not exist.", "error", "Use a built-in of jq, or define it in `defs`."),
    "R014": Code("A variable that does not exist here.", "error", "Use one of the variables that the message lists."),
    "R015": Code("A part of jq that the bridge refuses.", "error", "See the page of differences from jq."),
    "R016": Code("Another language's way of writing.", "error", "Write it in jq, as the message shows."),
    "R017": Code("A regular expression that cannot be used.", "error", "Write it without what the message names."),
    "R018": Code("A function that is there already.", "error", "Give yours another name."),
    "R019": Code("An expression that cannot be compiled.", "error", "Make it smaller, or constant where it must be."),
    "R020": Code(
        "A `${` without an end, or with nothing inside.", "error", "Write `${ expression }`, or `$${` literally."
    ),
    "R021": Code("A `${ }` was forgotten.", "error", "Put the expression into `${ }`."),
    "R022": Code("An expression where none can be.", "error", "Write a literal value."),
    "R023": Code("`when` and `for_each` are one jq expression, as text.", "error", "Write it without `${ }`."),
    "R024": Code("A computed event name needs its list.", "error", "Add `events: [name, …]`."),
    "R025": Code(
        "An event name that SuprSend refuses.", "error", "Choose another: not `$…`, not `ss_…`, two characters."
    ),
    "R026": Code("A property name that SuprSend keeps for itself.", "error", "Rename it: not `$…`, not `ss_…`."),
    "R027": Code("`events` does not fit the event.", "error", "List exactly the names that `event` can make."),
    "R028": Code("A text that SuprSend refuses.", "error", "Write what the message asks for."),
    "R029": Code("An attachment that cannot be sent.", "error", "Write `{url: https://…, filename: …}`."),
    "R030": Code("No length of time.", "error", "Write a number and s, m, h or d: `24h`."),
    "R031": Code("A key that `defaults` cannot have.", "error", "Write it in each rule."),
    "R032": Code("`$item` or `$index` without `for_each`.", "error", "Add `for_each`, or use a path of the record."),
    "R033": Code(
        "An idempotency key that is the same for several events.", "error", "Use the record's id and `$item`."
    ),
    "R034": Code("Two rules on one topic make the same keys.", "warning", "Put the rule's name into the key."),
    "R035": Code("A topic is read in two ways.", "warning", "Say the same under `topics` of both files."),
}

JQ_CODES: dict[str, str] = {
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
