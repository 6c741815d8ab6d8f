"""Rule files → what they mean and what is wrong with them: YAML, defaults, defs, topics and keys."""

from __future__ import annotations

import pytest

from bridge.rules.read.load import load_texts
from tests.rules.given import codes, compiled, load, marked, only, properties_of, record, rules


@pytest.mark.parametrize("trap", ["no", "~", "012", "0x1F", "1_000", ".5", "12:30:00", "2026-01-01", "*a", "!!str x"])
def test_yaml_traps(trap: str) -> None:
    """Decision 3: what another YAML reader takes as something else is one error, that of the YAML."""
    loaded = load(rules(f"properties: {{p: {trap}}}"))
    assert {finding.code[0] for finding in loaded.findings} == {"Y"}
    assert only(load(rules(f"enabled: {'no' if trap == 'no' else 'yes'}"))).code == "Y007"


def test_yaml_that_cuts_an_expression() -> None:
    """Decision 4: a ` #` inside an expression that is not quoted is found as that."""
    loaded = load(rules('properties:\n  p: ${ .a | test(" #x") }'))
    assert "Y015" in codes(loaded)


def test_defaults() -> None:
    """Decision 15: a rule's key replaces the default's; only `properties` merges, one level, the rule winning."""
    head = (
        "defaults:\n  tenant_id: acme\n  on_error: skip\n  attachments: [{url: 'https://a.example/x'}]\n"
        "  properties: {a: 1, b: {c: 1, d: 1}, e: '${ .e }', f: 1}\n"
    )
    loaded = load(
        rules("properties: {b: {c: 2}, f: '${ empty }', g: 3}\nattachments: []\ntenant_id: other", "", head=head)
    )
    assert not loaded.findings
    make = compiled(loaded).mapper("t")
    own, default = make(record({"e": 5}))
    assert properties_of([own]) == {"a": 1, "b": {"c": 2}, "e": 5, "g": 3}
    assert properties_of([default])["b"] == {"c": 1, "d": 1}
    assert "$attachments" in properties_of([default])
    assert b'"tenant_id":"other"' in own.body  # type: ignore[union-attr]
    assert [rule.on_error for rule in loaded.rules.rules] == ["skip", "skip"]


@pytest.mark.parametrize(
    ("default", "own", "made"),
    [
        ("'${ {a: 1, b: 2} }'", "{b: 3, a: '${ empty }'}", {"b": 3}),
        ("{a: 1, b: 2}", "'${ {b: 3} }'", {"a": 1, "b": 3}),
        ("'${ {a: 1, b: 2} }'", "'${ {b: 3} }'", {"a": 1, "b": 3}),
        ("{a: '${ error }', b: 2}", "{a: 1}", {"a": 1, "b": 2}),
        ("{a: 1}", "'${ empty }'", {"a": 1}),
    ],
)
def test_defaults_and_expressions_for_all_properties(default: str, own: str, made: dict[str, object]) -> None:
    """Decision 15: properties merge too where one or both are one expression; what is replaced is not computed."""
    loaded = load(rules(f"properties: {own}", head=f"defaults:\n  properties: {default}"))
    assert not loaded.findings
    assert properties_of(compiled(loaded).mapper("t")(record({}))) == made


@pytest.mark.parametrize("key", ["name", "was", "event", "when", "for_each", "final", "idempotency_key"])
def test_not_in_defaults(key: str) -> None:
    """Decision 15: what makes a rule what it is cannot be a default."""
    loaded = load(rules("", head=f"defaults: {{{key}: x1}}"))
    assert codes(loaded) == ["R031"]
    assert marked(loaded, loaded.findings[0]) == key


@pytest.mark.parametrize(
    ("rule", "code", "mark"),
    [
        ("properties: {p: '${ .a && .b }'}", "R016", "&&"),
        ("properties: {p: '${ nope(1) }'}", "R013", "nope"),
        ("properties: {p: '${ $nope }'}", "R014", "$nope"),
        ("properties: {p: '${ $ENV }'}", "R015", "$ENV"),
        ("properties: {p: 'a ${ .a | now } b'}", "R015", "now"),
        ("properties:\n  p: |\n    x ${ .a\n      | nope }", "R013", "nope"),
        ("when: .a ==", "R012", None),
        ("when: .type == 'x'", "R016", None),
        ("properties: {p: '${ $item }'}", "R032", "$item"),
        ("when: $index == 0\nfor_each: .a[]", "R032", "$index"),
        ("properties: {p: '${ .a'}", "R020", None),
        ("properties: {p: 'x ${ }'}", "R020", "${ }"),
        ("distinct_id: .customer.id", "R021", ".customer.id"),
        ("tenant_id: $item.t", "R021", "$item.t"),
        ("idempotency_key: '{{ id }}-x'", None, None),
        ("topics: [a b]", "R007", "a b"),
        ("topics: ['/(/']", "R007", "'/(/'"),
        ("topics: t", "R005", "t"),
        ("topics: []", "R005", "[]"),
        ("events: [told, other]", "R027", "events"),
        ("max_fan_out: 0", "R005", "0"),
        ("max_age: 5 minutes", "R030", "5 minutes"),
        ("tenant_id: ''", "R028", "''"),
        ("attachments: {url: x}", "R029", None),
        ("attachments: [{filename: x}]", "R029", None),
    ],
)
def test_findings_point_to_their_place(rule: str, code: str | None, mark: str | None) -> None:
    """Each mistake has its code, and the caret stands under it, inside an expression too."""
    loaded = load(rules(rule))
    if code is None:
        assert set(codes(loaded)) == {"R021", "R033"}
        return
    finding = only(loaded)
    assert finding.code == code
    assert finding.severity == "error"
    assert mark is None or marked(loaded, finding) == mark


def test_a_forgotten_expression_in_properties_is_a_warning() -> None:
    """Text that looks like jq is an error where it would lose an event, a warning in properties."""
    finding = only(load(rules("properties: {p: .customer.name}")))
    assert (finding.code, finding.severity) == ("R021", "warning")
    assert finding.hint == "write ${ .customer.name }"


def test_defs_are_compiled_once_and_reported_once() -> None:
    """A mistake in `defs` is one finding there; the functions it would have defined are not reported missing."""
    loaded = load(rules("properties: {p: '${ f }'}", head="defs: |\n  def f: nope;\n"))
    assert codes(loaded) == ["R013"]
    assert (loaded.findings[0].line, marked(loaded, loaded.findings[0])) == (2, "nope")


def test_defs_may_not_use_items() -> None:
    """`defs` see the record's variables, not `$item`: pass it."""
    assert only(load(rules("", head="defs: 'def f: $item;'"))).code == "R014"
    assert only(load(rules("", head="defs: 'def f: $tombstone;'"))).code == "R014"
    assert not load(rules("", head="defs: 'def f: $key + $topic, $headers, $partition, $offset, $timestamp;'")).findings


@pytest.mark.parametrize("defs", ["def map(f): 1;", "def shared: 2;"])
def test_defs_redefine_nothing(defs: str) -> None:
    """Redefining a built-in or a shared function is an error."""
    assert only(load(rules("", head=f"defs: '{defs}'"), shared="def shared: 1;")).code == "R018"


def test_shared_defs_with_a_mistake() -> None:
    """A mistake in `defs.jq` is found there, and only there."""
    loaded = load(rules("properties: {p: '${ f }'}"), shared="def f:\n  nope;")
    finding = only(loaded)
    assert (finding.path, finding.line, finding.column, finding.code) == ("defs.jq", 2, 3, "R013")


def test_keys_that_collide() -> None:
    """Decision 17: a `for_each` whose key reads neither $item nor $index, and equal keys of rules on one topic."""
    assert only(load(rules("for_each: .to[]\nidempotency_key: ${ .id }-x"))).code == "R033"
    assert not load(rules("for_each: .to[]\nidempotency_key: ${ .id }-${ $index }")).findings
    both = load(rules("idempotency_key: ${ .id }", "idempotency_key: ${  .id  }"))
    assert (only(both).code, only(both).severity) == ("R034", "warning")
    assert not load(rules("idempotency_key: ${ .id }", "idempotency_key: ${ .id }\ntopics: [u]")).findings


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("orders.a", r"/orders\..*/", True),
        (r"/orders\..*/", r"/.*\.v1/", True),
        (r"/(orders|pay)\.v[0-9]+/", r"/orders\..*/", True),
        ("/.*/", "/orders.+/", True),
        ("orders.a", "orders.b", False),
        (r"/orders\..*/", r"/payments\..*/", False),
        ("/orders/", r"/orders\..*/", False),
    ],
)
def test_keys_that_collide_on_topics_that_overlap(one: str, other: str, found: bool) -> None:
    """Decision 17: equal keys are found where a name can be one of both topics, patterns too."""
    bodies = (f"topics: ['{topic}']\nidempotency_key: ${{ .id }}" for topic in (one, other))
    assert codes(load(rules(*bodies))) == (["R034"] if found else [])


def test_defaults_that_no_rule_uses_are_compiled_too() -> None:
    """A mistake in a default is found though every rule has its own, and once though many use it."""
    head = "defaults: {tenant_id: '${ nope }', properties: {p: '${ nope }'}}"
    loaded = load(rules("tenant_id: a", "tenant_id: b", head=head))
    assert codes(loaded) == ["R013", "R013"]


def test_utf8() -> None:
    """Decision 5: rule files are UTF-8."""
    assert [f.code for f in load_texts([("a.yaml", b"rules: [\xff]")]).findings] == ["Y002"]
    loaded = load_texts([("a.yaml", rules("").encode())], b"def f: \xff;")
    assert codes(loaded) == ["R001"]


def test_topics_read_in_two_ways() -> None:
    """Two files that decode one topic differently are warned of."""
    files = [
        ("a.yaml", rules("name: a", head="topics: {t: {decode: string}}").encode()),
        ("b.yaml", rules("name: b").encode()),
    ]
    assert [(f.code, f.severity, f.path) for f in load_texts(files).findings] == [("R035", "warning", "b.yaml")]


@pytest.mark.parametrize(
    ("topics", "code"),
    [
        ("{t: {decode: jsn}}", "R008"),
        ("{t: {unmatched: keep}}", "R008"),
        ("{t: {key: yaml}}", "R008"),
        ("{t: {snapshot: true}}", "R008"),
        ("{t: {decode: debezium, snapshot: maybe}}", "R005"),
        ("{a b: {}}", "R007"),
        ("{t: json}", "R005"),
        ("[t]", "R005"),
    ],
)
def test_topic_settings(topics: str, code: str) -> None:
    """How a topic is read is checked word by word."""
    assert only(load(rules("", head=f"topics: {topics}"))).code == code


@pytest.mark.parametrize("text", ["", "# nothing\n", "[1]", "text", "rules: 5", "rules: [5]", "version: 1"])
def test_files_that_are_no_rules(text: str) -> None:
    """A file of another shape is one finding."""
    assert len(load(text).findings) == 1
