"""Schemas, reference and pages of the docs say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.document import compose
from bridge.findings import has_errors, render
from bridge.jq.builtins import BUILTINS
from bridge.rules.lint.check import CODES
from bridge.rules.map.decode import DECODERS
from bridge.rules.map.faults import FAULTS
from bridge.rules.map.scope import VARIABLES
from bridge.rules.pages import DECODER_DOCS, VARIABLE_DOCS, findings_page, reference_page
from bridge.rules.read import example_keys, keys
from bridge.rules.read.load import load_rules
from bridge.rules.read.schema import rules_schema, tests_schema as schema_of_tests
from bridge.rules.tools.examples_reader import plain, read_examples
from scripts.generate import GENERATED, ROOT
from tests.rules.given import load, rules

CONFIG = ROOT / "config"
RULES = jsonschema.Draft202012Validator(rules_schema())
TESTS = jsonschema.Draft202012Validator(schema_of_tests())
RULE_FILES = [*CONFIG.glob("rules/*.yaml"), *CONFIG.glob("examples/*.yaml")]


def data(text: str) -> Any:
    document = compose(text, "a")
    assert not document.findings, render(document.findings, "text", {"a": text})
    assert document.root is not None
    return plain(document.root)


def written(body: str, *names: str) -> str:
    """The keys of a rule as its author would write them."""
    return "\n".join([body, *(f"{name}: {json.dumps(keys.RULE[name].examples[0])}" for name in names)])


@pytest.mark.parametrize("name", keys.RULE)
def test_each_key_of_the_table_is_read_and_no_other(name: str) -> None:
    """A key that is declared is known to the reader, and one letter more makes it unknown, with that key in the hint."""
    assert "R003" not in {one.code for one in load(rules(written("", name))).findings}
    (unknown,) = (one for one in load(rules(f"{name}z: 1")).findings if one.code == "R003")
    assert unknown.hint == f"did you mean `{name}`?"


@pytest.mark.parametrize(
    ("word", "name"), [(word, name) for name, key in keys.RULE.items() for word in key.others.split()]
)
def test_what_others_call_a_key_is_answered_with_ours(word: str, name: str) -> None:
    """Words from other tools lead to the key that is meant."""
    (unknown,) = (one for one in load(rules(f"{word}: 1")).findings if one.code == "R003")
    assert unknown.hint == f"did you mean `{name}`?"


@pytest.mark.parametrize("name", keys.RULE)
def test_a_default_is_taken_or_refused_as_the_table_says(name: str) -> None:
    """`defaults` may have a key exactly where its declaration says so."""
    text = rules("", head=f"defaults: {{{name}: {json.dumps(keys.RULE[name].examples[0])}}}")
    codes = {one.code for one in load(text).findings}
    assert ("R031" in codes) is not keys.RULE[name].in_defaults
    assert "R003" not in codes


@pytest.mark.parametrize(
    ("what", "table", "text"),
    [
        ("a test", example_keys.TEST, "tests: [{nonsense: 1}]"),
        ("a file of tests", example_keys.TEST_FILE, "nonsense: 1"),
        ("`given`", example_keys.GIVEN, "given: {nonsense: 1}\ntests: []"),
        ("an expected event", example_keys.EVENT, "tests: [{expect: [{event: a, nonsense: 1}]}]"),
        ("an expected error", example_keys.ERROR, "tests: [{expect: [{error: a, nonsense: 1}]}]"),
        (
            "an attachment",
            example_keys.SENT_ATTACHMENT,
            "tests: [{expect: [{event: a, attachments: [{nonsense: 1}]}]}]",
        ),
    ],
)
def test_the_reader_of_tests_lists_the_keys_of_its_table(what: str, table: keys.Keys, text: str) -> None:
    """An unknown key in a file of tests is answered with those that there are, and they are the table's."""
    found = read_examples(compose(text, "a.test.yaml"), (), lambda _name: None)[1]
    (unknown,) = (one for one in found if one.code == "T002")
    assert unknown.hint == f"{what} has {', '.join(table)}"


@pytest.mark.parametrize("schema", [rules_schema(), schema_of_tests()], ids=["rules", "tests"])
def test_every_key_has_a_description_and_good_examples(schema: dict[str, Any]) -> None:
    """An editor can say of each key what it is, and each of its examples is a good value."""
    jsonschema.Draft202012Validator.check_schema(schema)
    checked = 0
    for definition in [schema, *schema["$defs"].values()]:
        for name, key in definition.get("properties", {}).items():
            assert key["description"].endswith("."), name
            for example in key["examples"]:
                jsonschema.Draft202012Validator({**key, "$defs": schema["$defs"]}).validate(example)
                checked += 1
    assert checked > 30


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_the_files_of_the_project_pass_the_schema(path: Path) -> None:
    """The demo's rules, the examples and their tests are valid for an editor, and name their schema."""
    text = path.read_text()
    validator = TESTS if path.name.endswith(".test.yaml") else RULES
    assert [error.message for error in validator.iter_errors(data(text))] == []
    schema = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert schema is not None
    assert (path.parent / schema[1]).is_file()


BROKEN_RULES = [
    "name: A b",
    "names: a",
    "topics: t",
    "topics: []",
    "max_age: 5",
    "max_age: 5 minutes",
    "on_error: stop",
    "final: 'true'",
    "enabled: 1",
    "max_fan_out: 0",
    "max_fan_out: 10001",
    "event: x",
    "event: ss_x",
    "event: $x y",
    "events: []",
    "events: [ss_a, told]\nevent: ${ .a }",
    "properties: [a]",
    "properties: {ss_x: 1}",
    "properties: {$x: 1}",
    "properties: text",
    "attachments: {url: x}",
    "attachments: [{filename: x}]",
    "attachments: [{url: 'https://a.example/x', name: f}]",
    "tenant_id: true",
    "drop_nulls: 1",
    "when: true",
    "for_each: [a]",
    "distinct_id: null",
    "was: A",
    "description: 5",
]


@pytest.mark.parametrize("body", BROKEN_RULES)
def test_schema_and_loader_refuse_the_same_rules(body: str) -> None:
    """What an editor underlines by the schema, `check` finds too; and the whole rule is good without it."""
    text = rules(body)
    assert list(RULES.iter_errors(data(text)))
    assert has_errors(load(text).findings)


@pytest.mark.parametrize(
    "head", ["version: 2", "topic: {}", "topics: {t: {decode: xml}}", "topics: {t: {decod: json}}", "topics: [t]",
             "defs: 5", "defaults: {name: a}", "defaults: {when: .a}", "defaults: []", "topics: {t: {unmatched: keep}}"],
)  # fmt: skip
def test_schema_and_loader_refuse_the_same_files(head: str) -> None:
    """So it is with the other keys of a file."""
    text = rules("", head=head)
    assert list(RULES.iter_errors(data(text)))
    assert has_errors(load(text).findings)


@pytest.mark.parametrize("key", ["name", "topics", "event", "distinct_id"])
def test_what_a_rule_needs_may_be_a_default(key: str) -> None:
    """A rule without what it needs is refused by both, unless the defaults have it."""
    rule = {"name": "a", "topics": ["t"], "event": "told", "distinct_id": "u"}
    value = rule.pop(key)
    assert list(RULES.iter_errors({"rules": [rule]}))
    good = not list(RULES.iter_errors({"defaults": {key: value}, "rules": [rule]}))
    assert good is (key in ("topics", "distinct_id"))
    assert good is not has_errors(load(json.dumps({"defaults": {key: value}, "rules": [rule]})).findings)


BROKEN_TESTS = [
    "nme: a", "at: soon", "expect: delivred", "expect: [{distinct_id: u}]", "expect: [{event: told, ruel: x}]",
    "expect: [{error: nonsense}]", "expect: [{event: told, distinct_id: 5}]", "expect: [{event: told, match: some}]",
    "given: {topic: t, valu: 1}", "given: {topic: t, value: 1, headers: {a: 1}}", "given: {topic: t, value: 1, offset: -1}",
    "given: {topic: t, tombstone: false}", "expect: [{event: told, properties: []}]", "expect: [{event: a1, error: blank}]",
    "expect: [{event: told, attachments: [{urls: x}]}]", "name: 5",
]  # fmt: skip


@pytest.mark.parametrize("line", BROKEN_TESTS)
def test_schema_and_reader_refuse_the_same_tests(line: str) -> None:
    """So it is with files of tests."""
    usual = {"name": "a", "given": "{topic: t, value: 1}", "expect": "filtered"}
    key = line.partition(":")[0]
    lines = [line, *(f"{name}: {value}" for name, value in usual.items() if name != key)]
    text = "tests:\n  - " + "\n    ".join(lines) + "\n"
    assert list(TESTS.iter_errors(data(text)))
    _, findings = read_examples(compose(text, "a"), ["r"], lambda _name: None)
    assert findings


def test_the_loader_leaves_schemas_alone() -> None:
    """The schemas stand beside the rules, and are none."""
    loaded = load_rules(CONFIG / "rules")
    assert not loaded.findings
    assert (CONFIG / "rules" / "rules.schema.json").is_file()


@pytest.mark.parametrize(
    "name", [name for name in GENERATED if "rules" in name and not name.startswith(("helm", "deploy"))]
)
def test_what_is_generated_is_up_to_date(name: str) -> None:
    """Schemas and pages are what the code makes (`make docs` writes them)."""
    assert (ROOT / name).read_text() == GENERATED[name]()


def test_the_reference_is_complete() -> None:
    """Every key, variable, decoder, function and error is on the page."""
    page = reference_page()
    assert list(VARIABLE_DOCS) == list(VARIABLES)
    assert list(DECODER_DOCS) == list(DECODERS)
    for word in [
        *keys.RULE,
        *keys.FILE,
        *keys.TOPIC,
        *example_keys.GIVEN,
        *example_keys.EVENT,
        *example_keys.TEST,
        *FAULTS,
    ]:
        assert f"| `{word}` |" in page
    for builtin in BUILTINS.values():
        assert builtin.private or f"| `{builtin.name}" in page, builtin.key


def test_every_code_has_its_page() -> None:
    """Each finding has an anchor of its own, with what to write instead."""
    page = findings_page()
    for code in [*CODES, *example_keys.CODES]:
        assert page.count(f"\n## {code}\n") == 1


def test_the_guide_shows_what_is_tested() -> None:
    """Each of the ten mappings in the guide is the text of its file, and its own test file is a good one."""
    guide = (ROOT / "docs/rules/guide.md").read_text()
    shown = re.findall(r"<!-- file: (config/examples/[\w-]+\.yaml) -->\n```yaml\n(.*?)```", guide, re.DOTALL)
    assert len(shown) == 10
    for name, text in shown:
        assert (ROOT / name).read_text().endswith(text)
    (example,) = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
        if "tests.schema.json" in block and "expect" in block
    ]
    _, findings = read_examples(compose(example, "guide"), ["order-placed"], lambda _name: None)
    assert not findings, render(findings, "text", {"guide": example})
    assert not list(TESTS.iter_errors(data(example)))
