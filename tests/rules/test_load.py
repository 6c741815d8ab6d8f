"""Rule files: which are read, what they may say, and what is found wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from bridge.findings import has_errors
from bridge.rules.lint.check import CODES
from bridge.rules.read.load import load_rules, load_texts
from tests.rules.given import codes, compiled, held, load, only, properties_of, record, rules
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
    assert properties_of(compiled(loaded).mapper("t")(record(4))) == {"p": 8}


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    """A directory that is not there, or has no rule files, is one finding."""
    (tmp_path / "empty").mkdir()
    loaded = load_rules(tmp_path / name)
    assert codes(loaded) == ["R001"]
    assert loaded.findings[0].path == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shop.YAML", "this file is not read"),
        ("shop.yalm", "this file is not read"),
        ("shop.yaml.txt", "this file is not read"),
        ("below/shop.yaml", "this directory holds rules that are not read"),
    ],
)
def test_what_looks_like_rules_and_is_not_read_is_said(tmp_path: Path, name: str, message: str) -> None:
    """Alone it is an error; beside rules that are read a warning. Hidden files and directories are nobody's business."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(ONE)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text(ONE)
    alone = only(load_rules(tmp_path))
    assert (alone.code, alone.severity) == ("R001", "error")
    assert message in alone.message
    (tmp_path / "a.yaml").write_text(rules("name: a"))
    beside = only(load_rules(tmp_path))
    assert (beside.code, beside.severity, beside.message) == ("R001", "warning", alone.message)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would never end, a link to itself or to nothing leads nowhere, a file of tests holds no rules."""
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "it is not a file" in only(load_rules(tmp_path)).message
    (tmp_path / "pipe.yaml").unlink()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert "the rules cannot be read" in only(load_rules(tmp_path)).message
    (tmp_path / "loop.yaml").unlink()
    (tmp_path / "a.test.yaml").write_text("tests: []")
    assert "a file of tests" in only(load_rules(tmp_path / "a.test.yaml")).message


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
    make = compiled(loaded).mapper("t")
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
    assert properties_of(compiled(loaded).mapper("t")(record({}))) == {
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
        mapping = held(loaded.rules)
        for topic in ("orders.v1", "comments.v1", "payments.v1"):
            mapping.mapper(topic)(record({"type": "order.placed", "status": "failed"}, topic=topic))
