"""YAML with places: values, traps, what is refused, and where things stand."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from bridge.document import CODES, LARGEST, Document, ListNode, MappingNode, Scalar, YamlNode, compose, read
from bridge.document.codes import DEEPEST, MOST_FINDINGS, MOST_NODES
from bridge.findings import Finding, render


def plain(node: YamlNode | None) -> object:
    if isinstance(node, MappingNode):
        return {entry.name: plain(entry.value) for entry in node}
    if isinstance(node, ListNode):
        return [plain(item) for item in node]
    return node.value if node is not None else None


def codes(text: str | bytes) -> list[str]:
    return [finding.code for finding in compose(text, "f.yaml").findings]


def only(text: str | bytes) -> Finding:
    (finding,) = compose(text, "f.yaml").findings
    return finding


def scalar(text: str) -> Scalar:
    root = compose(text, "f.yaml").root
    assert isinstance(root, MappingNode)
    node = root.entries[0].value
    assert isinstance(node, Scalar)
    return node


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"), exclude_characters="\ufeff\ufffe"))


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_json_is_read_as_json(value: object) -> None:
    """Every JSON text is a YAML text with the same value."""
    text = json.dumps(value, ensure_ascii=False)
    for char in ("\x7f", *map(chr, range(0x80, 0xA0)), "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff"):
        text = text.replace(char, f"\\u{ord(char):04x}")
    document = compose(text.encode(), "f.yaml")
    assert document.findings == ()
    assert plain(document.root) == value


@given(st.text() | st.binary())
@settings(max_examples=300, deadline=None)
def test_no_text_makes_it_raise(text: str | bytes) -> None:
    """Whatever the file holds, composing gives a document with findings, and they can be printed."""
    document = compose(text, "f.yaml")
    assert isinstance(document, Document)
    assert document.complete or document.findings
    for form in ("text", "json", "github"):
        render(document.findings, form, {"f.yaml": document.source.text})


@given(st.lists(st.sampled_from([*"abc:#-?&*!|>'\"%@`{}[],\n\t $0123.~", "${", " #", ": ", "- ", "\r\n"])))
@settings(max_examples=400, deadline=None)
def test_no_yaml_like_text_makes_it_raise(parts: list[str]) -> None:
    """Text made of YAML's own signs gives nodes or findings too, each finding inside the file and with a known code."""
    text = "".join(parts)
    document = compose(text, "f.yaml")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for finding in document.findings:
        assert finding.code in CODES
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("0", 0),
        ("-12", -12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("18446744073709551616", 2**64),
        ("abc", "abc"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1:9092", "10.0.0.1:9092"),
        ("-x", "-x"),
        ('"yes"', "yes"),
        ("'012'", "012"),
        ("order placed", "order placed"),
        ("yesterday", "yesterday"),
        ("2nd", "2nd"),
        ("${ .x }", "${ .x }"),
    ],
)
def test_plain_scalars_are_json_or_text(text: str, value: object) -> None:
    """A plain scalar is JSON's true, false, null or number, else text."""
    node = scalar(f"k: {text}\n")
    assert node.value == value
    assert type(node.value) is type(value)
    assert compose(f"k: {text}\n", "f").findings == ()


TRAPS = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Yes",
    "NO",
    "On",
    "True",
    "TRUE",
    "FALSE",
    "Null",
    "NULL",
    "~",
    "=",
    "012",
    "0o17",
    "0x1F",
    "0b1",
    "1_000",
    ".5",
    "1.",
    "+1",
    "-.5",
    "+1.5",
    "1.e5",
    ".inf",
    "-.Inf",
    ".NaN",
    "12:30",
    "12:30:00",
    "190:20:30.15",
    "2026-01-31",
    "2026-01-31T08:00:00Z",
    "1e999",
]


@pytest.mark.parametrize("trap", TRAPS)
def test_what_yaml_readers_disagree_about_is_an_error_that_asks_for_quotes(trap: str) -> None:
    """Each spelling that some YAML reader takes as another value is refused, and passes in quotes."""
    finding = only(f"k: {trap}\n")
    assert (finding.code, finding.line, finding.column, finding.severity) == ("Y007", 1, 4, "error")
    assert f'"{trap}"' in (finding.hint or "")
    assert compose(f'k: "{trap}"\n', "f").findings == ()


def test_every_implicit_type_of_pyyaml_is_json_or_a_trap() -> None:
    """What PyYAML itself would not read as text is never read as text without an error."""
    words = ["3", "3.5", "true", "null", *TRAPS, "1:2", "0.1e+5", "2001-1-1 1:2:3", "_1", "1__", "0_", "<<"]
    for word in words:
        kind = type(yaml.safe_load(f"k: {word}\n")["k"]) if word not in {"=", "<<"} else None
        if kind is not str and kind is not None:
            assert not isinstance(scalar(f"k: {word}\n").value, str) or codes(f"k: {word}\n") == ["Y007"], word


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a:\nb: 1\n", "Y008", (1, 1)),
        ("- \n- 1\n", "Y008", (1, 2)),
        ("a: 1\nb: 2\na: 3\n", "Y009", (3, 1)),
        ("5: x\n", "Y010", (1, 1)),
        ("true: x\n", "Y010", (1, 1)),
        ("on: x\n", "Y007", (1, 1)),
        ("? [a]\n: x\n", "Y010", (1, 3)),
        ("a: !!str 3\n", "Y011", (1, 4)),
        ("a: !x {b: 1}\n", "Y011", (1, 4)),
        ("a: &x 3\n", "Y012", (1, 4)),
        ("a: *x\n", "Y012", (1, 4)),
        ("<<: {a: 1}\n", "Y013", (1, 1)),
        ("a: 1\n---\nb: 2\n", "Y014", (2, 1)),
        ("%YAML 1.1\n---\na: 1\n", "Y014", (1, 1)),
        ("a:\n\tb: 1\n", "Y006", (2, 1)),
        ("a:\t1\n", "Y006", (1, 3)),
        ("a: 1\t# x\n", "Y006", (1, 5)),
        ("a: b\tc\n", "Y006", (1, 5)),
        ("a: b\x07\n", "Y003", (1, 5)),
        ("a: b\u2028c\n", "Y003", (1, 5)),
        ('a: "x\n', "Y005", (1, 4)),
        ("a: [1, 2\nb: 3\n", "Y005", (1, 4)),
        ("a: [1,\n", "Y005", (1, 6)),
        ("a: x\n b: y\n", "Y005", (2, 3)),
        ("a: b: c\n", "Y005", (1, 5)),
        ("a: ${ .x }\n  b: ${ .y }\n", "Y005", (2, 4)),
        ("- a: ${ .x }\n b: ${ .y }\n", "Y005", (2, 2)),
        ("a: @x\n", "Y005", (1, 4)),
    ],
)
def test_what_is_refused_is_named_with_its_place(text: str, code: str, place: tuple[int, int]) -> None:
    """Tags, anchors, aliases, merge keys, tabs, duplicates and the like each have a code and stand where they are."""
    finding = only(text)
    assert (finding.code, (finding.line, finding.column)) == (code, place)


def test_a_duplicate_key_names_both_places() -> None:
    """The finding stands at the second key and names the line of the first; the first value is kept."""
    document = compose("a: 1\nb: 2\na: 3\n", "f.yaml")
    assert "line 1" in document.findings[0].message
    assert plain(document.root) == {"a": 1, "b": 2}


def test_all_mistakes_come_at_once() -> None:
    """One pass finds every mistake that leaves the text readable, in the order of the file."""
    text = "a: yes\nb:\nc: !t 1\nd: &x 2\nd: 3\ne: 1\t\n"
    assert codes(text) == ["Y007", "Y008", "Y011", "Y012", "Y009", "Y006"]


def test_tabs_inside_quotes_blocks_and_comments_are_nobody_s_business() -> None:
    """A tab that is part of a text or a comment is let through."""
    assert codes("a: 'x\ty'\nb: |\n  x\ty\n# c\td\ne: 1 # \t\n") == []


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        ("a: ${ {x: .y} }\n", "Y016", "a: '${ {x: .y} }'"),
        ('a: "x" ${ .y }\n', "Y016", "a: '\"x\" ${ .y }'"),
        ("- b: ${ {x: 'y'} }\n", "Y016", "- b: |\n    ${ {x: 'y'} }"),
        ("a: {b: ${ .x }, c: 1}\n", "Y016", "a: {b: '${ .x }', c: 1}"),
        ("- [${ .x }]\n", "Y016", "- ['${ .x }']"),
        ("a: ${ .x[] # each\n  | .y }\n", "Y015", "a: '${ .x[] # each'"),
        ('a: ${ "n #" }\n', "Y015", "a: '${ \"n #\" }'"),
    ],
)
def test_yaml_that_stumbles_over_an_expression_says_so_and_shows_the_line_quoted(
    text: str, code: str, shown: str
) -> None:
    """Where `${` and YAML get into each other's way, the finding shows how to write the line."""
    finding = compose(text, "f.yaml").findings[0]
    assert (finding.code, finding.severity) == (code, "error")
    assert shown in (finding.hint or "")
    assert not [one for one in compose(f"{shown}\n", "f").findings if one.code == "Y016"]


def test_a_comment_with_an_expression_is_a_warning() -> None:
    """A comment that holds `${` may have been meant as part of the value; one without does no harm."""
    finding = only("a: x # ${ .b }\n")
    assert (finding.code, finding.severity, finding.column) == ("Y015", "warning", 6)
    assert codes("a: ${ .b } # the b\n") == []
    assert codes("a: '${ .b }' # ${ .c }\n") == []


def test_a_byte_order_mark_is_left_out_and_places_stay_right() -> None:
    """A file that an editor began with a byte order mark is read as if it had none."""
    document = compose(b"\xef\xbb\xbfa: yes\n", "f.yaml")
    assert [(one.code, one.column) for one in document.findings] == [("Y007", 4)]


def test_what_is_not_utf8_is_shown_where_it_is() -> None:
    """The first wrong byte is named with its place; UTF-16 is recognised."""
    finding = only(b"a: x\nb: \xff\n")
    assert (finding.code, finding.line, finding.column) == ("Y002", 2, 4)
    assert "0xFF" in finding.message
    assert "UTF-16" in only("a: x\n".encode("utf-16")).message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_file_has_no_root_and_no_findings(text: str) -> None:
    """A file with nothing in it is for its reader to judge."""
    document = compose(text, "f.yaml")
    assert (document.root, document.findings, document.complete) == (None, (), True)


def test_an_unreadable_file_is_one_finding(tmp_path: Path) -> None:
    """A file that is not there, or is a directory, gives a finding in place of an exception."""
    assert [one.code for one in read(tmp_path / "none.yaml").findings] == ["Y001"]
    assert [one.code for one in read(tmp_path).findings] == ["Y001"]


HOSTILE = {
    "deep lists": "[" * 200_000,
    "deep mappings": "{a: " * 100_000,
    "deep indentation": "".join(f"{' ' * n}a:\n" for n in range(2_000)),
    "deep dashes": "- " * 100_000,
    "many values": "[" + "a," * (LARGEST // 2 - 10) + "]",
    "many empty mappings": "{}\n" * 1 + "[" + "{}," * (LARGEST // 3 - 10) + "]",
    "one long scalar": "a: " + "x" * (LARGEST - 10),
    "one long key": "x" * (LARGEST - 10) + ": a",
    "question marks": "? " * 100_000,
    "aliases": "a: &a [x]\n" + "".join(f"b{n}: [*a, *a, *a]\n" for n in range(50_000)),
    "long number": "a: " + "9" * 1_000_000,
    "long date": "a: 2026-01-01 " + "1" * 1_000_000,
    "many traps": "".join(f"k{n}: yes\n" for n in range(100_000)),
    "many tabs": "a: 1\n" + "\t\n" * 100_000,
    "many comments": "".join(f"k{n}: x # ${{\n" for n in range(50_000)),
    "controls": "\x00" * 1_000_000,
    "open quote": 'a: "' + "x\n" * 500_000,
    "equal keys": "a: 1\n" * 100_000,
    "hashes": "# " * 1_000_000,
    "open brackets in an expression": "a: ${ " + "(" * 1_000_000 + "\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_bounded_time_and_memory(name: str) -> None:
    """Texts made to hurt are refused, or read, in a few seconds at worst and within 300 MB."""
    text = HOSTILE[name]
    began = time.process_time()
    document = compose(text, "f.yaml")
    render(document.findings, "text", {"f.yaml": text})
    assert time.process_time() - began < 20
    assert len(document.findings) <= MOST_FINDINGS


def test_the_bounds_hold_where_they_are() -> None:
    """Size, depth and number of values are each refused just above their bound, and not at it."""
    assert codes("[" * DEEPEST + "]" * DEEPEST) == []
    assert codes("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)) == ["Y004"]
    assert codes("# " + "x" * (LARGEST - 2)) == []
    assert codes("# " + "x" * (LARGEST - 1)) == ["Y004"]
    assert codes("[" + "a," * (MOST_NODES - 1) + "]") == []
    assert codes("[" + "a," * MOST_NODES + "]") == ["Y004"]


def test_the_most_values_fit_in_bounded_memory() -> None:
    """The largest file that is read takes less than 250 MB."""
    text = "[" + "abcdefgh," * (MOST_NODES - 1) + "]"
    tracemalloc.start()
    compose(text, "f.yaml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250_000_000


def ink_is_in_place(node: Scalar) -> None:
    """Each character that is not white space stands where `place` says, or its escape does."""
    for offset, char in enumerate(node.text):
        if char.isspace():
            continue
        found = node.source.text[node.place(offset).index]
        assert found in (char, "\\"), (node.text, offset, found)


@given(PRINTABLE.filter(str.strip), st.sampled_from(["'", '"', "|", ">", None]), st.sampled_from([12, 80]))
@settings(max_examples=300, deadline=None)
def test_places_inside_scalars_are_exact(text: str, style: str | None, width: int) -> None:
    """Whatever the style, an offset into the decoded text leads to that very character in the file."""
    written = yaml.safe_dump({"key": {"inner": text}}, default_style=style, width=width, allow_unicode=True)
    root = compose(written, "f.yaml").root
    assert isinstance(root, MappingNode)
    inner = root.entries[0].value
    assert isinstance(inner, MappingNode)
    node = inner.entries[0].value
    assert isinstance(node, Scalar)
    assert node.text == text
    ink_is_in_place(node)


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("k: ab cd\n", 3, (1, 7)),
        ("k: 'it''s'\n", 3, (1, 9)),
        ('k: "a\\u00e9\\nb"\n', 3, (1, 14)),
        ('k: "a\\\n  b"\n', 1, (2, 3)),
        ("k: a\n  b\n", 2, (2, 3)),
        ("k: a\n\n  b\n", 2, (3, 3)),
        ("k: |\n  one\n    two\n\n  three\n", 6, (3, 5)),
        ("k: |\n  one\n    two\n\n  three\n", 11, (5, 3)),
        ("k: |\n  one\n    two\n", 4, (3, 3)),
        ("k: ''''''\n", 0, (1, 5)),
        ("k: ''''''\n", 1, (1, 7)),
        ("k: |-\r\n  one\r\n  two\r\n", 4, (3, 3)),
        ("k: |2\n    one\n", 2, (2, 5)),
        ("k: >\n  one\n  two\n", 4, (3, 3)),
        ("- ${ .x }\n", 0, (1, 3)),
        ("k: 😀x\n", 1, (1, 5)),
        ("k: abc\n", 99, (1, 7)),
    ],
)
def test_places_by_example(text: str, offset: int, place: tuple[int, int]) -> None:
    """Escapes, folded lines and blocks, where the file and the decoded text differ most."""
    root = compose(text, "f.yaml").root
    node = root.items[0] if isinstance(root, ListNode) else root.entries[0].value  # type: ignore[union-attr]
    assert isinstance(node, Scalar)
    assert node.place(offset)[:2] == place


def test_a_finding_can_point_into_a_scalar() -> None:
    """`finding(span=…)` underlines just the stretch of the expression that is wrong."""
    node = scalar('k: "${ .a | lenght }"\n')
    start = node.text.index("lenght")
    finding = node.finding("R999", "no such function", span=(start, start + 6))
    assert (finding.line, finding.column, finding.end_column) == (1, 13, 19)


def test_a_thousand_rules_are_quick() -> None:
    """A file of 1,000 rules composes in well under five seconds on a busy machine (0.3 s alone)."""
    rule = "  - name: r{n}\n    topics: [orders.v1]\n    when: .type == 1\n    event: e\n    properties:\n"
    rule += "".join(f"      p{n}: ${{ .a.b{n} }}\n" for n in range(10))
    text = "rules:\n" + "".join(rule.replace("{n}", str(n)) for n in range(1000))
    began = time.process_time()
    document = compose(text, "f.yaml")
    assert document.findings == ()
    assert time.process_time() - began < 5
