"""The finding codes of YAML itself, and its bounds."""

from __future__ import annotations

from bridge.findings import Codes, FindingCode

__all__ = ["CODES", "DEEPEST", "LARGEST", "MOST_FINDINGS", "MOST_NODES"]


CODES: Codes = {
    "Y001": FindingCode("The file cannot be read.", "Check the path, and who may read it."),
    "Y002": FindingCode("The file is not UTF-8 text.", "Save it as UTF-8."),
    "Y003": FindingCode(
        "A character that no YAML file may hold, or that YAML and editors count as different line ends.",
        'Leave it out, or write it as an escape in double quotes: `"\\u2028"`.',
    ),
    "Y004": FindingCode("The file is too large, too deep, or has too many values.", "Split it into several files."),
    "Y005": FindingCode(
        "The text is not YAML.", "Look at quotes, brackets and indentation at the place and in the lines before it."
    ),
    "Y006": FindingCode("A tab outside of quotes, blocks and comments.", "Use spaces."),
    "Y007": FindingCode(
        "A value that one YAML reader takes as text and another as something else: `yes`, `012`, `1:30`, a date.",
        'Put it in quotes (`"yes"`) if it is text; else write `true`, `false`, `null`, or a number as JSON does.',
    ),
    "Y008": FindingCode("Nothing where a value belongs.", 'Write the value, `null`, or `""`; or leave the key out.'),
    "Y009": FindingCode("A key that is there twice.", "Keep one of the two; the message names both lines."),
    "Y010": FindingCode("A key that is not text.", 'Put it in quotes: `"5": …`.'),
    "Y011": FindingCode("A tag (`!!str`, `!x`).", "Leave it out; quotes make a text."),
    "Y012": FindingCode("An anchor (`&x`) or an alias (`*x`).", "Write the value out where it is needed."),
    "Y013": FindingCode("A merge key (`<<`).", "Write the keys out; rules share keys through `defaults`."),
    "Y014": FindingCode("More than one document in a file, or a directive (`%YAML`).", "One file holds one document."),
    "Y015": FindingCode(
        "A ` #` begins a comment in the middle of a value, or a comment holds `${`.",
        "Write the value in quotes; the finding shows how.",
    ),
    "Y016": FindingCode(
        "YAML cannot read a value with `${ … }` as it stands, for a `: `, `{` or quote in it.",
        "Write the value in single quotes or in a `|` block; the finding shows how.",
    ),
}

LARGEST = 4 * 1024 * 1024
"""Bytes of one file."""
DEEPEST = 100
"""Lists and mappings inside each other."""
MOST_NODES = 200_000
"""Values, lists and mappings of one file (bounds memory: about 90 MB at worst)."""
MOST_FINDINGS = 200
"""After so many the rest of the file is not looked at."""
