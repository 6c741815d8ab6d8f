"""Rule files: which are read, what they may say, and what is found wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from bridge.findings import has_errors
from bridge.rules.codes import CODES
from bridge.rules.load import load_rules, load_texts
from bridge.rules.mapping import compile_mapping
from tests.rules.given import CONTEXT, codes, compiled, load, marked, only, properties_of, record, rules
from tests.rules.paths import CONFIG_RULES

ONE = rules("name: {}")


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)


def test_which_files_are_read(tmp_path: Path) -> None:
    """Decision 5: `*.yaml` and `*.yml` of the directory itself, no hidden ones, no tests, in bytewise order."""
    for number, name in enumerate(["b.yaml", "a.yml", "B.yaml", "é.yaml", "Z.yml"]):
        (tmp_path / name).write_text(rules(f"name: r{number}"))
    (tmp_path / "..data").mkdir()
    for name in (".hidden.yaml", "a.test.yaml", "notes.txt", "a.yaml.bak", "..data/x.yaml"):
        (tmp_path / name).write_text("not: [rules")
    (tmp_path / "sub.yaml").mkdir()
    loaded = load_rules(tmp_path)
    assert not loaded.findings
    names = [os.path.basename(file.path) for file in loaded.rules.files]  # noqa: PTH119 - names
    assert names == ["B.yaml", "Z.yml", "a.yml", "b.yaml", "é.yaml"]


def test_a_configmap(tmp_path: Path) -> None:
    """Decision 5: a ConfigMap's layout (`..data` and links through it) is read once, through the links."""
    real = tmp_path / "..2026_11_24"
    real.mkdir()
    (real / "shop.yaml").write_text(rules("name: a"))
    (tmp_path / "..data").symlink_to(real)
    (tmp_path / "shop.yaml").symlink_to(Path("..data/shop.yaml"))
    loaded = load_rules(tmp_path)
    assert not loaded.findings
    assert [rule.name for rule in loaded.rules.rules] == ["a"]


def test_one_file_alone(tmp_path: Path) -> None:
    """A path to a file loads that file, with the `defs.jq` beside it."""
    (tmp_path / "defs.jq").write_text("def twice: . * 2;")
    (tmp_path / "a.yaml").write_text(rules("properties: {p: '${ . | twice }'}"))
    (tmp_path / "b.yaml").write_text("broken: [")
    loaded = load_rules(tmp_path / "a.yaml")
    assert not loaded.findings
    assert properties_of(compiled(loaded).for_topic("t")(record(4))) == {"p": 8}


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    """A directory that is not there, or has no rule files, is one finding."""
    (tmp_path / "empty").mkdir()
    loaded = load_rules(tmp_path / name)
    assert codes(loaded) == ["R001"]
    assert loaded.findings[0].path == str(tmp_path / name)


def test_hash(tmp_path: Path) -> None:
    """The same files give the same hash wherever they are; another byte, name or order another one."""
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        directory.mkdir()
        write(directory, a__yaml=rules("name: a"), b__yaml=rules("name: b"), defs__jq="def f: 1;", x__test__yaml="x")
    (two / "x.test.yaml").write_text("y")
    first = load_rules(one).rules.hash
    assert load_rules(two).rules.hash == first
    assert len(first) == 32
    hashes = {first}
    for name, text in (("a.yaml", rules("name: a") + "# x\n"), ("c.yaml", rules("name: c")), ("defs.jq", "def f: 2;")):
        (two / name).write_text(text)
        hashes.add(load_rules(two).rules.hash)
    assert len(hashes) == 4


def test_golden_hash() -> None:
    """The hash is frozen: a rolling update must not look like a change of rules."""
    assert load_texts([("x/a.yaml", b"rules: []\n")]).rules.hash == "a4f576bad615d01caf6dead07b0508e0"


def test_files_never_affect_each_other() -> None:
    """Decision 5: defs and defaults of one file are not seen in another."""
    first = rules("name: a\nproperties: {p: '${ f }'}", head="defs: 'def f: 1;'\ndefaults: {tenant_id: acme}")
    second = rules("name: b\nproperties: {p: '${ f }'}")
    loaded = load_texts([("a.yaml", first.encode()), ("b.yaml", second.encode())])
    assert [(finding.path, finding.code) for finding in loaded.findings] == [("b.yaml", "R013")]


def test_names_are_unique_over_all_files() -> None:
    """Decision 16: a name is identity: two rules cannot share one, in two files neither."""
    text = rules("name: a").encode()
    loaded = load_texts([("a.yaml", text), ("b.yaml", text)])
    assert codes(loaded) == ["R010"]
    assert loaded.findings[0].path == "b.yaml"
    assert "a.yaml:3" in loaded.findings[0].message


@pytest.mark.parametrize("name", ["Order", "-a", "a b", "a" * 64, "ä", '""', "a/b"])
def test_names(name: str) -> None:
    """Decision 16: a name is `[a-z0-9][a-z0-9._-]{0,62}`."""
    assert only(load(rules(f"name: {name}"))).code == "R009"


@pytest.mark.parametrize("name", ["a", "0", "order.placed-v2_x", "a" * 63, '"7"'])
def test_good_names(name: str) -> None:
    """Decision 16: letters, digits, dots, underscores and hyphens, up to 63."""
    if name != "0":
        assert not load(rules(f"name: {name}")).findings
    else:
        assert only(load(rules(f"name: {name}"))).code == "R005"


def test_was() -> None:
    """Decision 16: an old name belongs to one rule, and to none that still has it."""
    assert only(load(rules("name: a\nwas: a"))).code == "R011"
    assert only(load(rules("name: a", "name: b\nwas: a"))).code == "R011"
    assert only(load(rules("name: a\nwas: c", "name: b\nwas: c"))).code == "R011"
    assert not load(rules("name: a\nwas: c", "name: b\nwas: d")).findings


def test_unknown_keys() -> None:
    """A key that is not known is an error everywhere, with the one that was meant."""
    text = (
        "topics: {t: {decod: json}}\ndefault: {}\ndefaults: {tennant_id: x}\nrules:\n"
        "  - {name: a, topics: [t], evnt: e2, event: e2, distinct_id: u, attachments: [{url: 'https://a.b', file: x}]}\n"
    )
    loaded = load(text)
    assert codes(loaded) == ["R003"] * 5
    assert [finding.hint for finding in loaded.findings[:4]] == [
        "did you mean `decode`?",
        "did you mean `defaults`?",
        "did you mean `tenant_id`?",
        "did you mean `event`?",
    ]


def test_all_findings_at_once() -> None:
    """Everything wrong is said at once, and each finding points to its place."""
    loaded = load(
        rules(
            "name: A b\nwhen: true\ndistinct_id: .user.id\nproperties: {$x: '${ .a && .b }', y1: '${ nope }'}\nmax_age: 3",
            "name: b\non_error: stop\nevent: ss_x\ndrop_nulls: 1",
            head="version: 2",
        )
    )
    assert {finding.code for finding in loaded.findings} >= {
        "R006",
        "R009",
        "R023",
        "R021",
        "R026",
        "R013",
        "R030",
        "R005",
        "R025",
    }
    assert has_errors(loaded.findings)


@pytest.mark.parametrize(("key", "example"), [("name", ""), ("topics", ""), ("event", ""), ("distinct_id", "")])
def test_what_a_rule_must_have(key: str, example: str) -> None:
    """A rule needs a name, topics, an event and a recipient; what is missing is named once."""
    lines = {"name": "a", "topics": "[t]", "event": "told", "distinct_id": "u"}
    del lines[key]
    body = ", ".join(f"{name}: {value}" for name, value in lines.items())
    finding = only(load(f"rules:\n  - {{{body}}}\n{example}"))
    assert finding.code == "R004"
    assert f"`{key}`" in finding.message


@pytest.mark.parametrize("value", ["true", "1", "[a]", "{a: b}", "null"])
def test_when_must_be_text(value: str) -> None:
    """Decision 1: `when` and `for_each` are text: YAML's own types are errors."""
    assert only(load(rules(f"when: {value}"))).code == "R023"
    assert only(load(rules(f"for_each: {value}"))).code == "R023"


@pytest.mark.parametrize("when", [".a == 1", "${ .a == 1 }", "'${ .a == 1 }'", "|\n  ${ .a == 1 }", ">\n  .a ==\n  1"])
def test_when_with_or_without_braces(when: str) -> None:
    """Decision 1: `when` is jq with or without `${ }` around all of it."""
    loaded = load(rules(f"when: {when}"))
    assert not loaded.findings
    make = compiled(loaded).for_topic("t")
    assert make(record({"a": 1}))
    assert not make(record({"a": 2}))


@pytest.mark.parametrize("when", ["'${ .a } == 1'", "'${ .a } and ${ .b }'"])
def test_when_is_one_expression(when: str) -> None:
    """Decision 1: `${ }` around a part of `when` is an error that says so."""
    assert only(load(rules(f"when: {when}"))).code == "R023"


def test_literals_are_literal() -> None:
    """Decision 1: everything outside `${ }` is literal, and keys never hold expressions."""
    text = "properties: {a: web, b: true, c: 5, d: '5', e: '$${x}', f: null, g: [1, {h: x}], i: '.. and so'}"
    loaded = load(rules(text))
    assert not loaded.findings
    assert properties_of(compiled(loaded).for_topic("t")(record({}))) == {
        "a": "web",
        "b": True,
        "c": 5,
        "d": "5",
        "e": "${x}",
        "f": None,
        "g": [1, {"h": "x"}],
        "i": ".. and so",
    }
    assert only(load(rules("properties: {'${ .k }': 1}"))).code == "R022"
    assert only(load(rules("properties: {a: {'x-${ .k }': 1}}"))).code == "R022"


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
    make = compiled(loaded).for_topic("t")
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
    assert properties_of(compiled(loaded).for_topic("t")(record({}))) == made


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


def test_every_code_is_in_the_table() -> None:
    """The table has a title and a remedy for each code, in order."""
    assert list(CODES) == sorted(CODES)
    assert all(code.title.endswith(".") and code.instead.endswith(".") for code in CODES.values())


SHOP = (CONFIG_RULES / "shop.yaml").read_text()
PIECES = st.sampled_from(
    [
        *[
            r"${",
            r"}",
            r"$${",
            r"{{",
            r'"',
            r"'",
            r"|",
            r">",
            r"#",
            r"-",
            r":",
            r"[",
            r"]",
            r"{",
            r"&a",
            r"*a",
            r"!!str",
            r"null",
            r"true",
            r"012",
            r".items[]",
            r"$item",
            r"def",
            r";",
            r"\(",
            r"?//",
            r"é",
            r"rules:",
            r"<<:",
        ],
        "\n",
        "  ",
        "\t",
        " # ",
        ": ",
        "\x00",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SHOP)), st.integers(0, 40), PIECES), min_size=1, max_size=3))
def test_any_text_is_loaded_or_refused(changes: list[tuple[int, int, str]]) -> None:
    """Whatever is done to a rule file, it loads with findings that have their codes and places, and never raises."""
    text = SHOP
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    loaded = load_texts([("a.yaml", text.encode())])
    lines = text.replace("\r", "\n").split("\n")
    for finding in loaded.findings:
        assert finding.code in CODES or finding.code.startswith("Y")
        assert 0 <= finding.line <= len(lines)
    if not has_errors(loaded.findings):
        mapping = compile_mapping(loaded.rules, CONTEXT)
        for topic in ("orders.v1", "comments.v1", "payments.v1"):
            mapping.for_topic(topic)(record({"type": "order.placed", "status": "failed"}, topic=topic))
