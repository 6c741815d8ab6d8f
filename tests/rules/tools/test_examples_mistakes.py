"""Files of tests with a mistake: one finding, at its place, that tells how to mend it."""

from __future__ import annotations

import pytest

from bridge.document import compose
from bridge.findings import render
from bridge.rules.tools.examples_reader import read_examples

GOOD = """\
version: 1
given: {topic: shop.orders}
tests:
  - name: a paid order
    given: {value: {id: o-1, type: order.paid}}
    expect:
      - event: order_confirmed
        distinct_id: u1
        match: partial
  - name: nothing
    given: {value: {type: x}}
    expect: filtered
"""

MISTAKES = [
    ("expect: filtered", "expect: filterd", "T005", "12:13", "did you mean `filtered`?"),
    ("expect: filtered", "expected: filtered", "T002", "12:5", "did you mean `expect`?"),
    ("expect: filtered", "expect:", "Y008", "12:5", "write the value"),
    ("expect: filtered", "expect:\n      - error: nul\n        rule: a", "T005", "13:16", "did you mean `null`?"),
    ("expect: filtered", "expect:\n      - error: 'null'\n        rule: b", "T005", "14:15", "there is no rule `b`"),
    ("distinct_id: u1\n", "distinct_id: {{ u1 }}\n", "T004", "8:22", "write it in quotes: '{{ u1 }}'"),
    ("match: partial", "match: partly", "T004", "9:16", "exact or partial"),
    ("match: partial", "matches: partial", "T002", "9:9", "did you mean `match`?"),
    ("name: nothing", "name: a paid order", "T007", "10:11", "give each its own"),
    ("name: nothing", "name: 12", "T004", "10:11", 'write name: "12"'),
    ("  - name: nothing\n    given", "  - given", "T003", "10:5", "add name: a paid order"),
    ("given: {topic: shop.orders}", "given: shop.orders", "T004", "2:8", "for example given: {topic: orders.v1}"),
    ("tests:", "test:", "T002", "3:1", "did you mean `tests`?"),
    ("given: {value: {type: x}}", "given: {vale: {type: x}}", "T002", "11:13", "did you mean `value`?"),
    ("given: {value: {type: x}}", "value: {type: x}", "T002", "11:5", "write it below `given`"),
    ("given: {value: {type: x}}", "given: {file: nope.json}", "T006", "11:19", "there is no such file"),
    ("given: {value: {type: x}}", "given: {base64: '!!'}", "T006", "11:21", "not base64"),
    ("given: {value: {type: x}}", "given: {value: 1, timestamp: soon}", "T006", "11:34", "milliseconds since 1970"),
    ("given: {value: {type: x}}", "given: {value: 1, text: a}", "T006", "11:29", "one of `value`, `text`"),
    ("        distinct_id: u1", "      distinct_id: u1", "Y005", "8:7", "indent it"),
    ("version: 1", "version: 3", "T004", "1:10", "write version: 1"),
]


def test_the_file_is_right_before_it_is_broken() -> None:
    """Nothing is found in it."""
    assert read_examples(compose(GOOD, "a.test.yaml"), {"a"}, lambda _name: None)[1] == []


@pytest.mark.parametrize(("old", "new", "code", "place", "words"), MISTAKES, ids=[new for _, new, *_ in MISTAKES])
def test_a_mistake_is_one_finding(old: str, new: str, code: str, place: str, words: str) -> None:
    """One mistake is one finding, with its code and place, and what to write instead."""
    assert GOOD.count(old) == 1
    document = compose(GOOD.replace(old, new), "a.test.yaml")
    _file, found = read_examples(document, {"a"}, lambda _name: None)
    shown = render(found, "text", {"a.test.yaml": document.source.text})
    assert [(one.code, f"{one.line}:{one.column}") for one in found] == [(code, place)], shown
    assert words in f"{found[0].message}\n{found[0].hint}", shown
