"""A team's examples: read strictly, run exactly, written on request."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings, strategies as st

from bridge.document import compose
from bridge.findings import Finding, render
from bridge.rules.tools.examples import Ran, differences, run_example
from bridge.rules.tools.examples_reader import plain, read_examples
from bridge.rules.tools.examples_write import junit, updated
from tests.rules.given import CONTEXT, load, rules

RULES = rules(
    "name: order\nwhen: .type == 1\nevent: order_placed\ndistinct_id: ${ .who }\nproperties: {id: '${ .id }', nr: 20}\n"
    "attachments: '${ .files }'\ntenant_id: ${ .tenant // empty }",
    "name: keyed\nwhen: .type == 2\nidempotency_key: ${ .id }-x\nproperties: {a: {b: 1, c: [1, {d: 2}]}}",
    "name: many\nwhen: .type == 3\nfor_each: .to[]\ndistinct_id: ${ $item }\nmax_age: 1h",
    "name: halting\nwhen: .type == 4\non_error: halt\nproperties: {x: 'a ${ .none }'}",
    "name: skipping\nwhen: .type == 5\non_error: skip\nproperties: {x: 'a ${ .none }'}",
)


def read(text: str, files: dict[str, bytes] | None = None) -> tuple[list[Ran], list[Finding]]:
    loaded = load(RULES)
    assert not loaded.findings
    names = [rule.name for rule in loaded.rules.rules]
    file, findings = read_examples(compose(text, "a.test.yaml"), names, (files or {}).get)
    return [run_example(loaded.rules, example, CONTEXT, {}) for example in file.examples], findings


def tried(given_: str, expect: str, *more: str) -> tuple[str, ...]:
    """Run one test and return its differences."""
    lines = ["tests:", "  - name: a", f"    given: {{topic: t, {given_}}}", *more, f"    expect: {expect}"]
    ran, findings = read("\n".join(lines) + "\n")
    assert not findings, render(findings, "text", {})
    return ran[0].differences


ORDER = "value: {type: 1, id: o-1, who: u1}"
EVENT = "event: order_placed, distinct_id: u1"


def test_an_event_is_expected_exactly() -> None:
    """All that comes out must be said, save the rule and the default key."""
    assert tried(ORDER, f"[{{{EVENT}, properties: {{id: o-1, nr: 20}}}}]") == ()
    assert tried(ORDER, f"[{{{EVENT}, rule: order, properties: {{id: o-1, nr: 20.0}}}}]") == ()
    assert tried(ORDER, f"[{{{EVENT}, properties: {{id: o-1}}}}]") == (
        "1. event order_placed to u1 by order: properties.nr: not expected, got 20",
    )
    assert tried(ORDER, "[{event: order_placed, properties: {id: o-1, nr: 20}}]") == (
        '1. event order_placed to u1 by order: distinct_id: not expected, got "u1"',
    )
    assert (
        "properties.nr: expected true, got 20" in tried(ORDER, f"[{{{EVENT}, properties: {{id: o-1, nr: true}}}}]")[0]
    )
    tenant = "value: {type: 1, id: o-1, who: u1, tenant: acme}"
    assert "tenant_id: not expected" in tried(tenant, f"[{{{EVENT}, properties: {{id: o-1, nr: 20}}}}]")[0]


def test_attachments_are_expected_too() -> None:
    """Attachments are beside the properties, as in a rule."""
    record = "value: {type: 1, id: o-1, who: u1, files: [{url: 'https://a.example/x', filename: f}]}"
    more = "properties: {id: o-1, nr: 20}"
    assert tried(record, f"[{{{EVENT}, {more}, attachments: [{{url: 'https://a.example/x', filename: f}}]}}]") == ()
    assert "attachments: not expected" in tried(record, f"[{{{EVENT}, {more}}}]")[0]


def test_a_partial_match_looks_at_what_is_said() -> None:
    """With `match: partial` only the keys of the test count, at any depth of objects; lists are whole."""
    record = "value: {type: 2, id: o-1}"
    assert tried(record, "[{event: told, match: partial}]") == ()
    assert tried(record, "[{event: told, match: partial, properties: {a: {c: [1, {}]}}}]") == ()
    assert len(tried(record, "[{event: told, match: partial, properties: {a: {c: [1]}}}]")) == 1
    assert len(tried(record, "[{event: told, match: partial, properties: {a: {e: 1}}}]")) == 1


def test_a_key_of_the_rules_own_must_be_said() -> None:
    """The default key covers the record's place and is left out; one that the rule makes is part of the event."""
    record = "value: {type: 2, id: o-1}"
    body = "event: told, distinct_id: u1, properties: {a: {b: 1, c: [1, {d: 2}]}}"
    assert tried(record, f"[{{{body}, idempotency_key: o-1-x}}]") == ()
    assert 'idempotency_key: not expected, got "o-1-x"' in tried(record, f"[{{{body}}}]")[0]


def test_events_are_expected_in_order_and_all_of_them() -> None:
    """A missing event, one too many and one in another's place are told apart."""
    record = "value: {type: 3, to: [u1, u2]}"
    one, two = "{event: told, distinct_id: u1}", "{event: told, distinct_id: u2}"
    assert tried(record, f"[{one}, {two}]") == ()
    assert tried(record, f"[{one}]") == ("not expected: event told to u2 by many",)
    assert tried(record, f"[{one}, {two}, {two}]") == ("missing: event told to u2",)
    assert len(tried(record, f"[{two}, {one}]")) == 2


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (ORDER, "delivered"),
        ("value: {type: 9}", "filtered"),
        ("value: {type: 1, who: null}", "dead_lettered"),
        ("text: '{'", "dead_lettered"),
        ("value: {type: 4}", "held"),
        ("value: {type: 5}", "skipped"),
        ("value: {type: 3, to: []}", "filtered"),
        ("tombstone: true", "filtered"),
    ],
)
def test_outcomes(record: str, outcome: str) -> None:
    """`expect` may be how the record ends, in the words of the bridge."""
    assert tried(record, outcome) == ()
    other = "filtered" if outcome != "filtered" else "delivered"
    assert tried(record, other)[0] == f"expected {other}, got {outcome}"


def test_errors_by_rule_code_and_item() -> None:
    """An error is expected by its code, and by rule and item where they are said."""
    record = "value: {type: 3, to: [u1, null]}"
    assert tried(record, "[{event: told, distinct_id: u1}, {error: 'null', rule: many, item: 1}]") == ()
    assert tried(record, "[{event: told, distinct_id: u1}, {error: 'null'}]") == ()
    assert "item: expected 0, got 1" in tried(record, "[{event: told, distinct_id: u1}, {error: 'null', item: 0}]")[0]
    assert "error: expected" in tried(record, "[{event: told, distinct_id: u1}, {error: blank}]")[0]
    assert tried("value: {type: 4}", "{error: text_null, rule: halting}") == ()


def test_the_clock_is_the_records_own() -> None:
    """Decision 18: in tests the clock is the record's timestamp unless `at` is given."""
    record = 'timestamp: "2026-01-31T12:00:00Z", value: {type: 3, to: [u1]}'
    assert tried(record, "delivered") == ()
    assert tried(record, "delivered", '    at: "2026-01-31T13:00:00Z"') == ()
    assert tried(record, "expired", '    at: "2026-01-31T13:00:01Z"') == ()
    expired = "[{event: told, distinct_id: u1, expired: true}]"
    assert tried(record, expired, '    at: "2026-02-01T00:00:00+01:00"') == ()
    assert "expired: not expected" in tried(record, "[{event: told, distinct_id: u1}]", "    at: 1799999999999")[0]


def test_records_in_every_form() -> None:
    """A record is JSON, text, base64, a file beside the test, or a tombstone; headers and key are given as they are."""
    text = """\
given: {topic: t, value: {type: 9}, key: k}
tests:
  - {name: shared, expect: filtered}
  - {name: file, given: {file: o.json}, expect: delivered}
  - {name: base64, given: {base64: eyJ0eXBlIjoxLCJ3aG8iOiJ1In0=}, expect: delivered}
  - {name: headers, given: {value: {}, headers: {a: b, c: null}, partition: 3, offset: 5}, expect: filtered}
"""
    ran, findings = read(text, {"o.json": b'{"type":1,"who":"u"}'})
    assert not findings
    assert [one.differences for one in ran] == [()] * 4
    assert ran[3].example.record.headers() == [("a", b"b"), ("c", None)]
    assert (ran[3].example.record.partition(), ran[3].example.record.offset()) == (3, 5)
    assert ran[0].example.record.key() == b"k"


def test_a_test_without_expect_fails() -> None:
    """A test that says nothing of what must come out does not pass, though nothing comes out."""
    ran, findings = read("tests: [{name: a, given: {topic: t, value: {}}}]")
    assert not findings
    assert "no `expect`" in ran[0].differences[0]


MISTAKES = [
    ("tests: [{nme: a, given: {topic: t, value: 1}, expect: filtered}]", "T002"),
    ("test: []", "T002"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expected: filtered}]", "T002"),
    ("tests: [{name: a, given: {topic: t, valu: 1}, expect: filtered}]", "T002"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{event: told, distinctid: u}]}]", "T002"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{event: told, attachments: [{urls: x}]}]}]", "T002"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{error: blank, ruel: many}]}]", "T002"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{distinct_id: u}]}]", "T003"),
    ("tests: [{name: a, expect: filtered}]", "T003"),
    ("tests: [{given: {topic: t, value: 1}, expect: filtered}]", "T003"),
    ("version: 1", "T003"),
    ("tests: 5", "T004"),
    ("tests: [5]", "T004"),
    ("version: 2\ntests: []", "T004"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{event: told, distinct_id: 5}]}]", "T004"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{event: told, match: some}]}]", "T004"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{event: told, properties: []}]}]", "T004"),
    ("tests: [{name: a, at: soon, given: {topic: t, value: 1}, expect: filtered}]", "T004"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: delivred}]", "T005"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{error: blnk}]}]", "T005"),
    ("tests: [{name: a, given: {topic: t, value: 1}, expect: [{event: told, rule: orders}]}]", "T005"),
    ("tests: [{name: a, given: {topic: t}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {value: 1}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {topic: t, value: 1, text: x}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {topic: t, file: none.json}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {topic: t, base64: '!'}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {topic: t, value: 1, timestamp: noon}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {topic: t, value: 1, headers: {a: 1}}, expect: filtered}]", "T006"),
    ("tests: [{name: a, given: {topic: t, value: 1, offset: -1}, expect: filtered}]", "T006"),
    ("tests:" + 2 * "\n- {name: a, given: {topic: t, value: 1}, expect: filtered}", "T007"),
    ("", "T001"),
    ("[1]", "T001"),
    ("tests: [{name: a, given: {topic: t, value: yes}, expect: filtered}]", "Y007"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), MISTAKES)
def test_a_mistake_in_a_test_never_makes_it_pass(text: str, code: str) -> None:
    """Unknown keys, rules, codes and words are findings with their place, and such a test is not run."""
    ran, findings = read(text)
    assert [finding.code for finding in findings] == [code], render(findings, "text", {})
    assert findings[0].line > 0 or text == ""
    assert all(one.example.name != "a" for one in ran) or code in ("T007", "Y007")


UNFINISHED = """\
# The head stays.
version: 1
given: {topic: t}
tests:
  - name: a   # so does this
    given: {value: {type: 1, id: "no", who: u1, tenant: "it's: a \\"test\\" # x"}}
    expect: filtered   # replaced

  # A comment between tests.
  - given: {value: {type: 3, to: [u1, null]}}
    name: b
  - name: c
    expect:
      - event: told
        properties:
          text: |
            old
    given: {value: {type: 2, id: "12"}}   # kept
  - name: d
    given: {value: {}}
    expect: filtered
"""


def test_update_writes_what_comes_out_and_keeps_the_rest() -> None:
    """After an update every test passes; comments, order and what was right stay."""
    ran, findings = read(UNFINISHED)
    assert not findings
    text = updated(compose(UNFINISHED, "a").source, [one for one in ran if one.differences])
    again, findings = read(text)
    assert not findings, text
    assert [one.differences for one in again] == [()] * 4, text
    for line in ("# The head stays.", "# so does this", "  # A comment between tests.", "# kept"):
        assert line in text
    assert updated(compose(text, "a").source, []) == text
    assert updated(compose(text, "a").source, again) == text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["yes", "1:30", "0x1", "- a", "a: b", "#", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab $:", max_size=4), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("ab-:#", min_size=1, max_size=5), VALUES, max_size=4))
def test_what_update_writes_is_read_back_as_it_was(properties: dict[str, object]) -> None:
    """Whatever an event holds, the YAML that is written for it means the same to our own reader."""
    from bridge.rules.tools.examples_write import _mapping

    if not properties:
        return
    text = "\n".join(_mapping({"properties": properties}))
    document = compose(text, "a")
    assert not document.findings, render(document.findings, "text", {"a": text})
    assert document.root is not None
    assert list(differences("", {"properties": properties}, plain(document.root), partial=False)) == []


def test_junit() -> None:
    """Each test is a case, each failure has its differences, and hostile names are escaped."""
    text = "tests:\n  - {name: 'a <\"&\\u0001>', given: {topic: t, value: {}}, expect: delivered}\n"
    text += "  - {name: b, given: {topic: t, value: {}}, expect: filtered}\n"
    ran, _ = read(text)
    root = ET.fromstring(junit([("a.test.yaml", ran)]))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    bad, good = root.iter("testcase")
    assert bad.get("name", "").startswith('a <"&')
    assert bad.find("failure") is not None
    assert "expected delivered, got filtered" in (bad.find("failure").text or "")  # type: ignore[union-attr]
    assert good.find("failure") is None


@pytest.mark.parametrize("directory", ["rules", "examples"])
def test_the_files_of_the_project_pass(directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo's rules and the ten examples pass their tests, and no rule or branch is without one."""
    from bridge.cli.main import run

    path = Path(__file__).resolve().parents[3] / "config" / directory
    assert run(["test", str(path), "--coverage", "--min-coverage", "100"]) == 0, capsys.readouterr().out
    assert "no example" not in capsys.readouterr().out
    assert run(["check", str(path)]) == 0
    assert capsys.readouterr().out.startswith("fine: ")
