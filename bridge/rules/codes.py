"""The finding codes of rule files: one table, from which the pages of the docs are made."""

from __future__ import annotations

from typing import NamedTuple

from bridge.findings import Severity

__all__ = ["CODES", "JQ_CODES", "TEST_CODES", "Code"]


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
    "R036": Code("A part of an expression that can only fail.", "error", "Write what the message asks for."),
    "R037": Code(
        "An expression whose result can never be sent there.", "error", "Make it the type that the message names."
    ),
    "R038": Code("`=` where `==` is meant.", "error", "Compare with `==`; `=` changes a value."),
    "R039": Code(
        "A part of a condition that decides nothing.", "error", 'Compare each value: `.type == "a" or .type == "b"`.'
    ),
    "R040": Code("A rule that can never fire.", "error", "Correct its condition, or write `enabled: false`."),
    "R041": Code(
        "A rule for topics that the settings do not read, or a topic that no rule takes.",
        "warning",
        "Correct the name here or under `kafka.topics`.",
    ),
    "R042": Code(
        "A default that a false value would never pass.",
        "warning",
        "Write `if .x == null then true else .x end`: for `//` false is as good as missing.",
    ),
    "R043": Code(
        "A `//` that does not do what it seems to.", "error", "Write ( ) as the message shows, or leave it out."
    ),
    "R044": Code("`?` before `//` hides every error.", "warning", "Leave out the `?`: `.x // …` is enough."),
    "R045": Code("Milliseconds where seconds are taken.", "warning", "Write `$timestamp / 1000 | todate`."),
    "R046": Code(
        "The whole record is sent, personal data too.",
        "error",
        "Name the fields: `{id, total}`, or `del(.customer)`.",
    ),
    "R047": Code("A `for_each` that does not fan out.", "warning", "Write `[]` behind the list, and use `$item`."),
    "R048": Code("A literal that looks like a field of the record.", "error", "Write it as `${ .field }`."),
    "R049": Code(
        "An entry under `topics` that no rule of the file uses.", "warning", "Correct its name, or remove it."
    ),
    "R050": Code(
        "A comparison that always has the same result, or arithmetic with a number in quotes.",
        "warning",
        "Use values of one type: numbers without quotes.",
    ),
    "R051": Code("A `when` that is always true.", "warning", "Leave `when` out, or compare something."),
    "R052": Code(
        "An expression that gives several values where one is wanted.",
        "error",
        "Write `[…]` for a list, `first(…)`, or `any(…; …)` in a condition.",
    ),
    "R053": Code(
        "A format of dates without a directive.", "warning", "Write `%Y`, `%m`, `%d`, `%H`, `%M`: `%d.%m.%Y`."
    ),
    "R054": Code(
        "A property that is named like a key of the rule.",
        "warning",
        "Indent it as `properties:` if it is for the rule.",
    ),
    "R055": Code("An invisible character in a name.", "error", "Delete it: write the name anew."),
    "R056": Code(
        "A text in an expression that looks as if it held a value.",
        "warning",
        'Values are put into a text by `\\( )`: `"Hello \\(.name)"`.',
    ),
    "R057": Code("A `|` that takes in more than it seems to.", "warning", "Write ( ) as the message shows."),
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

TEST_CODES: dict[str, Code] = {
    "T001": Code("A file of tests does not hold what it should.", "error", "Begin with `tests:` and a list of tests."),
    "T002": Code("A key that is not known here.", "error", "Use one of the keys that the message lists."),
    "T003": Code("A key that must be there is missing.", "error", "Add it."),
    "T004": Code("A value has the wrong type.", "error", "Write what the message asks for."),
    "T005": Code(
        "A word that means nothing: no outcome, no rule, no code of an error.", "error", "Use one that there is."
    ),
    "T006": Code(
        "A record that cannot be made.", "error", "Give a topic, and one of value, text, base64, file, tombstone."
    ),
    "T007": Code("Two tests have one name.", "error", "Give each its own."),
}
"""The codes of `*.test.yaml`."""
