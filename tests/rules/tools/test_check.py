"""What `check` finds beyond what does not compile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from bridge.findings import Finding, has_errors, render
from bridge.jq import EvalBudget, JqError, JqProblem, compile_program
from bridge.jq.builtins.table import ANY
from bridge.rules.lint.check import CODES, check_rules
from bridge.rules.lint.signatures import ARGUMENTS, INPUTS, OPERATORS
from bridge.rules.read.load import load_rules
from bridge.rules.tools.coverage import Coverage
from bridge.rules.tools.explain import Explainer
from bridge.rules.tools.explain_text import as_lines
from bridge.rules.tools.inventory import inventory
from tests.rules.given import CONTEXT, load, marked, record, rules
from tests.rules.paths import CONFIG_RULES


def found(*bodies: str, head: str = "", topics: list[str] | None = None) -> list[Finding]:
    loaded = load(rules(*bodies, head=head))
    assert not loaded.findings, render(loaded.findings, "text", loaded.sources)
    return check_rules(loaded.rules, topics)


CASES: list[tuple[str, str, str | None]] = [
    # an expression, or a part of it, that can only fail
    ("when: .items | length | .[] == 1", "R036", ".[]"),
    ("properties: {p: '${ [.a] | .name }'}", "R036", ".name"),
    ('properties: {p: "${ {a: 1} | .[0] }"}', "R036", ".[0]"),
    ("properties: {p: '${ (.items | length) + \"x\" }'}", "R036", None),
    ("properties: {p: '${ \"total: \" + (.items | length) }'}", "R036", '"total: " + (.items | length)'),
    ("properties: {p: '${ .name + \"x\" | floor }'}", "R036", "floor"),
    ("properties: {p: '${ (.items | map(.sku)) | ascii_downcase }'}", "R036", "ascii_downcase"),
    ("properties: {p: '${ .a | startswith(1) }'}", "R036", "1"),
    ("properties: {p: '${ {(5 + .a | length): 1} }'}", "R036", "5 + .a | length"),
    ("properties: {p: '${ $topic.name }'}", "R036", "$topic.name"),
    ("properties: {p: '${ $timestamp | ascii_upcase }'}", "R036", "ascii_upcase"),
    # a result that cannot be sent there
    ("when: .items | length", "R037", ".items | length"),
    ('when: .type + "x"', "R037", None),
    ("when: '[.a]'", "R037", None),
    ("distinct_id: '${ [.a] }'", "R037", "[.a]"),
    ("distinct_id: '${ .a == 1 }'", "R037", ".a == 1"),
    ("distinct_id: '${ null }'", "R037", "null"),
    ("distinct_id: '${ empty }'", "R037", "empty"),
    ("tenant_id: '${ {a: 1} }'", "R037", "{a: 1}"),
    ("event: '${ 5 }'\nevents: [told]", "R037", "5"),
    ("properties: '${ [.a] }'", "R037", "[.a]"),
    ("properties: '${ .a | tostring }'", "R037", None),
    ("properties: {p: 'hello ${ {a: 1} }'}", "R037", "{a: 1}"),
    ("properties: {p: 'hello ${ .a | map(.b) }'}", "R037", None),
    ("attachments: '${ {url: .u} }'", "R037", None),
    ("attachments: [{url: '${ 1 }'}]", "R037", "1"),
    ("attachments: [{url: 'https://a.example/x', ignore_if_error: '${ \"x\" }'}]", "R037", '"x"'),
    ("for_each: '[.mentions[]]'\ndistinct_id: ${ $item.id }", "R037", "[.mentions[]]"),
    # = for ==
    ('when: .type = "x"', "R038", "="),
    ('when: .a > 1 and .type = "x"', "R038", "="),
    ('when: (.type = "x") | not', "R038", "="),
    ("properties: {p: '${ [.items[] | select(.sku = \"x\")] }'}", "R038", "="),
    ("properties: {p: '${ if .a = 1 then 2 else 3 end }'}", "R038", "="),
    # what decides nothing
    ('when: .type == "a" or "b"', "R039", '"b"'),
    ("when: .a and 1", "R039", "1"),
    ("properties: {p: '${ .tags | any(\"x\") }'}", "R039", '"x"'),
    ("properties: {p: '${ .m / \"1000\" }'}", "R050", '"1000"'),
    ('when: .kind | contains("a", "b")', "R052", 'contains("a", "b")'),
    ('when: .kind | match("a")', "R037", None),
    # never fires
    ("when: 'false'", "R040", "'false'"),
    ("when: '1 > 2'", "R040", None),
    ('when: .type == "a" and .type == "b"', "R040", '.type == "b"'),
    ("when: 'null'", "R040", None),
    ("when: 'true'", "R051", None),
    # defaults
    ("properties: {p: '${ .x // true }'}", "R042", ".x // true"),
    ("when: .total // 0 > 5", "R043", "0 > 5"),
    ('when: .type // "" == "x"', "R043", '"" == "x"'),
    ('properties: {p: \'${ "a" + .b // "c" }\'}', "R043", '"a" + .b // "c"'),
    ("properties: {p: '${ .x? // 1 }'}", "R044", ".x? // 1"),
    ("properties: {p: '${ .a.b?.c // 1 }'}", "R044", None),
    ("properties: {p: '${ $timestamp | todate }'}", "R045", "$timestamp | todate"),
    ("properties: {p: '${ $timestamp // 0 | strftime(\"%Y\") }'}", "R045", None),
    # everything
    ("properties: '${ . }'", "R046", "."),
    ("properties: {p: '${ . }'}", "R046", "."),
    ("properties: '${ {order: .} }'", "R046", "."),
    ("properties: {p: '${ tojson }'}", "R046", "tojson"),
    ("properties: {p: '${ . + {a: 1} }'}", "R046", "."),
    # fan-out
    ("for_each: .mentions\ndistinct_id: ${ $item.id }", "R047", ".mentions"),
    ("for_each: .mentions[]\ndistinct_id: ${ .id }", "R047", ".mentions[]"),
    # literals
    ("distinct_id: customer.id", "R048", "customer.id"),
    ("distinct_id: user_id", "R048", "user_id"),
    ("tenant_id: tenant.id", "R048", "tenant.id"),
    ("distinct_id: $.customer.id", "R048", None),
    ("properties: {p: 'Hello #{name}'}", "R048", "#{name}"),
    ("properties: {p: 'Hello .customer.name'}", "R048", ".customer.name"),
    # comparisons
    ('when: (.items | length) == "3"', "R050", '(.items | length) == "3"'),
    ('when: .total > "100"', "R050", '"100"'),
    # several values
    ("properties: {p: '${ .items[].sku }'}", "R052", ".items[].sku"),
    ("properties: {p: '${ .a, .b }'}", "R052", ".a, .b"),
    ("properties: {p: 'x ${ .items[] | .sku } y'}", "R052", ".items[] | .sku"),
    ("properties: {p: '${ .items[] | select(.main) }'}", "R052", None),
    ("properties: {p: '${ {a: .items[]} }'}", "R052", None),
    ("when: .items[].qty > 1", "R052", ".items[].qty > 1"),
    ("when: .total > 100,000", "R052", None),
    ("distinct_id: '${ .users[].id }'", "R052", None),
    ("properties: {p: '${ .. }'}", "R052", None),
    # what other languages have
    ("when: .items.length > 0", "R016", ".items.length"),
    ('when: select(.type == "a")', "R037", None),
    ("properties: {p: '${ if .vip then 1 end }'}", "R046", "if .vip then 1 end"),
    ("distinct_id: '${ if .vip then .id end }'", "R046", None),
    ('properties: {p: \'${ .at | parse_time | format_time("DD.MM.YYYY"; "UTC") }\'}', "R053", None),
    # what SuprSend refuses
    ("event: pay_${ .status }\nevents: [pay_ok, failed]", "R027", "failed"),
    ("event: ss_${ .status }\nevents: [told]", "R025", None),
    ("properties: '${ {ss_a: 1} }'", "R026", "ss_a"),
    ("properties: '${ .a | {\"$b\": .x} }'", "R026", None),
    ("attachments: '${ [.files[] | {url: \"file:///tmp/\\(.name)\"}] }'", "R029", None),
    ("attachments: [{url: '/tmp/${ .name }.pdf'}]", "R029", None),
    ("tenant_id: " + "x" * 70 + "${ .a }", "R028", None),
    ("idempotency_key: order-${ $topic }", "R033", None),
    ('idempotency_key: \'${ "a" + "b" }\'', "R033", None),
]


@pytest.mark.parametrize(("body", "code", "mark"), CASES, ids=[body for body, _, _ in CASES])
def test_what_would_go_wrong_in_production(body: str, code: str, mark: str | None) -> None:
    """Each mistake that compiles is found, under its code, at its place, with the severity of the table or less."""
    loaded = load(rules(body))
    findings = check_rules(loaded.rules)
    assert [finding.code for finding in findings if finding.code != "R036" or code == "R036"][:1] == [code], render(
        findings, "text", loaded.sources
    )
    finding = next(finding for finding in findings if finding.code == code)
    assert mark is None or marked(loaded, finding).strip("'") == mark.strip("'")
    assert finding.severity == "warning" or CODES[code].severity == "error"
    assert finding.hint or len(finding.message) > 40


GOOD = [
    'when: .type == "a" and .total > 0 and (.tags | contains(["x"]))',
    'when: .type == "a" and .total > "b"',
    "when: .flag",
    "when: .flag // false",
    "when: '(.items | length) > 0'",
    'when: .type | IN("a", "b")',
    "when: any(.items[]; .qty > 1) or .vip",
    "when: (.total // 0) > 5",
    "when: .before.status != .after.status",
    "when: $tombstone",
    "when: any(.items[]; .qty > 1)",
    "when: '[.items[].qty] | add > 1'",
    "properties: {p: '${ [.items[].sku] }'}",
    "properties: {p: '${ first(.items[] | select(.main)) }'}",
    "properties: {p: '${ [.a, .b] | join(\" \") }'}",
    "properties: {p: '${ .items | map(.sku, .id) }'}",
    "properties: {p: '${ reduce .items[] as $i (0; . + $i.qty) }'}",
    "properties: {p: '${ .a | if . then 1 else empty end }'}",
    "properties: {p: '${ .id | capture(\"(?<n>[0-9]+)\").n }'}",
    "properties: {p: '${ with_entries(select(.value != null)) | del(.x, .y) }'}",
    'when: $headers.kind == "x"',
    "distinct_id: ${ .id | tostring }",
    "distinct_id: ops-team",
    "distinct_id: user@example.com",
    "distinct_id: ${ .user.id // .user.uid }",
    'distinct_id: ${ if .a then .b else error("no b") end }',
    "tenant_id: ${ .tenant // empty }",
    "idempotency_key: ${ .id }-${ $index }\nfor_each: .to[]\nproperties: {a: '${ $item }'}",
    "idempotency_key: ${ $key }",
    "idempotency_key: ${ tojson | @base64 }",
    "properties: {p: '${ .items | map({sku, qty}) }'}",
    "properties: {p: '${ .a = 1 | .a }'}",
    "properties: '${ del(.customer) }'",
    "properties: '${ {id, total} }'",
    "properties: {p: '${ try (\"x\" | keys) catch 1 }'}",
    "properties: {p: '${ (\"x\" | keys)? }'}",
    "properties: {p: '${ if type == \"object\" then .a else tostring end }'}",
    "properties: {p: '${ .items | group_by(.sku) | map({sku: .[0].sku, n: length}) }'}",
    "properties: {p: '${ [.items[].price] | add / length }'}",
    'properties: {p: \'${ .at | parse_time | format_time("%d.%m.%Y"; "Europe/Paris") }\'}',
    "properties: {p: '${ $timestamp / 1000 | todate }'}",
    "properties: {p: '${ .a as {b: $b, c: [$c]} | $b + $c }'}",
    "properties: {p: '${ reduce .items[] as $i (0; . + $i.qty) }'}",
    "properties: {p: '${ \"\\(.a) and \\(.b)\" }'}",
    "properties: {p: '${ [.receipts[]? | .url] }'}",
    "properties: {p: '${ .text[:10] + \"…\" }'}",
    "properties: {p: 'costs $5.00 at www.example.com, e.g. v1.2.3'}",
    "properties: {p: '${ .a * 2 | fixed(2) }'}",
    "properties: {p: '${ \"ab\" * 3 }'}",
    "properties: {p: '${ [.a, .b] - [null] | join(\", \") }'}",
    "attachments: '${ [.files[] | {url: \"https://x.example/\\(.name)\"}] }'",
    "attachments: '${ .files }'",
    "attachments: [{url: '${ .base }/x.pdf', filename: '${ .n }'}]",
    "for_each: .mentions | unique_by(.id)[]\ndistinct_id: ${ $item.id }",
    "for_each: .mentions[]?\ndistinct_id: ${ $item.id }",
    "event: ${ .kind }_x\nevents: [a_x, b_x]",
]


@pytest.mark.parametrize("body", GOOD)
def test_what_is_right_is_left_alone(body: str) -> None:
    """No finding for what people rightly write."""
    loaded = load(rules(body))
    assert not loaded.findings
    assert check_rules(loaded.rules) == [], render(check_rules(loaded.rules), "text", loaded.sources)


def test_the_shop() -> None:
    """The rules of the demo have no finding."""
    loaded = load_rules(CONFIG_RULES)
    assert [*loaded.findings, *check_rules(loaded.rules, ["orders.v1", "comments.v1", "payments.v1"])] == []


def test_types_follow_the_decoder() -> None:
    """A topic that is read as text has no fields, and one read as CloudEvents is no text."""
    text = found("properties: {p: '${ .name }'}", head="topics: {t: {decode: string}}")
    assert [(one.code, one.severity) for one in text] == [("R036", "error")]
    assert not found("properties: {p: '${ . | split(\",\") }'}", head="topics: {t: {decode: string}}")
    assert [one.code for one in found("distinct_id: ${ . }", head="topics: {t: {decode: cloudevents}}")] == ["R037"]
    assert not found("when: $tombstone\nproperties: {p: '${ .a }'}", head="topics: {t: {decode: debezium}}")


def test_types_go_through_functions_of_the_file() -> None:
    """A function without parameters is followed; one with parameters is not guessed about."""
    head = 'defs: |\n  def money: . / 100;\n  def name: .first + " " + .last;\n  def twice(f): f + f;\n'
    assert [one.code for one in found("properties: {p: '${ \"x\" | money }'}", head=head)] == ["R036"]
    assert [one.code for one in found("properties: {p: '${ name | floor }'}", head=head)] == ["R036"]
    assert not found("properties: {p: '${ twice(.a) | floor }', q: '${ .a | money }'}", head=head)


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        ("final: true", "when: .a == 1", True),
        ('final: true\nwhen: .type == "x"', 'when: .type == "x" and .b', True),
        ('final: true\nwhen: .type == "x"', 'when: .b and "x" == .type', True),
        ('final: true\nwhen: .type == "x" and .b', 'when: .type == "x"', False),
        ("final: true\ntopics: [u]", "", False),
        ("final: true\ntopics: [/t|u/]", "", True),
        ("final: true\nenabled: false", "", False),
        ("final: false", "", False),
    ],
)
def test_rules_behind_a_final_one(first: str, second: str, shadowed: bool) -> None:
    """Decision 14: a rule that a `final` one before it always stops is an error."""
    codes = [one.code for one in found(first, second)]
    assert codes == (["R040"] if shadowed else [])


def test_topics_of_the_settings() -> None:
    """A rule for a topic that is not read, and a topic that no rule takes, are warned of, with what was meant."""
    findings = found("topics: [orders.v1]", "topics: [order.v1, orders.v1]", topics=["orders.v1", "payments.v1"])
    assert [(one.code, one.severity) for one in findings] == [("R041", "warning")] * 2
    assert {one.hint for one in findings} == {"did you mean `orders.v1`?", "add a rule, or remove the topic"}
    assert not found("topics: [/orders.*/]", topics=["orders.v1"])
    assert "never fires" in "".join(one.message for one in found("topics: [orders.v2]", topics=["payments"]))


def test_topics_that_are_read_for_nobody() -> None:
    """An entry under `topics` that fits no rule of the file is warned of: it has no effect."""
    head = "topics: {order.v1: {decode: string}}"
    (finding,) = found("topics: [orders.v1]", head=head)
    assert (finding.code, finding.hint) == ("R049", "did you mean `orders.v1`?")
    assert not found("topics: [/orders.*/]", head="topics: {orders.v1: {decode: string}}")


def test_a_default_used_by_many_rules_is_told_once() -> None:
    """A doubtful default is one finding, however many rules have it."""
    findings = found("", "", head="defaults: {properties: {p: '${ .x // true }'}}")
    assert [one.code for one in findings] == ["R042"]


VALUES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True],
    "number": [5],
    "string": ["ab"],
    "array": [[], [1]],
    "object": [{}, {"a": 1}],
}
ARGUMENT = {
    "split/2": '"a"; null', "sub/2": '"a"; "b"', "sub/3": '"a"; "b"; "g"', "gsub/2": '"a"; "b"', "gsub/3": '"a"; "b"; "x"',
    "fixed/1": "1", "strftime/1": '"%Y"', "format_time/2": '"%Y"; "UTC"', "strptime/1": '"%Y"', "flatten/1": "1",
    "nth/1": "0", "has/1": '"a"', "any/1": ".", "all/1": ".", "map/1": ".", "map_values/1": ".", "with_entries/1": ".",
    "join/1": '","', "sort_by/1": ".", "group_by/1": ".", "unique_by/1": ".", "min_by/1": ".", "max_by/1": ".",
}  # fmt: skip


def fails(program: str, value: Any) -> bool:
    try:
        list(compile_program(program).run(value, (), EvalBudget()))
    except (JqError, JqProblem):
        return True
    return False


@pytest.mark.parametrize("key", INPUTS)
def test_what_a_built_in_cannot_work_on(key: str) -> None:
    """The table of inputs is true: a built-in fails for every value of a type that is not in its row."""
    name, _, arity = key.partition("/")
    argument = ARGUMENT.get(key, "; ".join(['"a"', '"g"'][: int(arity)]))
    program = f"{name}({argument})" if argument else name
    for kind in ANY - INPUTS[key]:
        assert all(fails(program, value) for value in VALUES[kind]), (program, kind)


@pytest.mark.parametrize("key", ARGUMENTS)
def test_what_a_built_in_cannot_take(key: str) -> None:
    """The table of arguments is true: a built-in fails for every argument of a type that is not in its row."""
    name = key.partition("/")[0]
    good = {"fixed": 5, "pow": 5, "has": {"a": 1}, "getpath": {}, "delpaths": {}}.get(name, "ab")
    literals = {"null": "null", "boolean": "true", "number": "5", "string": '"a"', "array": "[1]", "object": '{"a": 1}'}
    for number, wanted in enumerate(ARGUMENTS[key]):
        for kind in ANY - wanted:
            arguments = ["1"] * len(ARGUMENTS[key])
            arguments[number] = literals[kind]
            assert fails(f"{name}({'; '.join(arguments)})", good), (key, kind)


@pytest.mark.parametrize("op", OPERATORS)
def test_what_an_operator_cannot_join(op: str) -> None:
    """The table of operators is true: what is in no row fails."""
    for left in ANY:
        for right in ANY:
            possible = any(left in one and right in other for one, other, _ in OPERATORS[op])
            possible = possible or (op == "+" and "null" in (left, right))
            if not possible:
                pairs = [[a, b] for a in VALUES[left] for b in VALUES[right]]
                assert all(fails(f".[0] {op} .[1]", pair) for pair in pairs), (left, op, right)


SHOP = (CONFIG_RULES / "shop.yaml").read_text()
PARTS = st.sampled_from(
    [
        ".a[]", "$item", "$timestamp", "// true", "? //", "=", "==", "|", ",", "[", "]", "{", "}", "(", ")", "if . then . end",
        "select(.a)", "todate", "null", "empty", "error", '"x"', "1", ".", "not", "and", "or", "as $x | $x", "final: true",
        "reduce . as $x (0; .)", "def f: .; f", "try . catch .", "..", "tojson", "for_each: .a", "/.*/", "é",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SHOP)), st.integers(0, 30), PARTS), min_size=1, max_size=4))
def test_any_rules_are_looked_at(changes: list[tuple[int, int, str]]) -> None:
    """Whatever rules load, `check`, `events`, coverage and `explain` end with an answer, and their findings have places."""
    text = SHOP
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    loaded = load(text)
    for finding in check_rules(loaded.rules, ["orders.v1"]):
        assert finding.code in CODES
        assert 0 <= finding.line <= text.count("\n") + 1
    if has_errors(loaded.findings):
        return
    inventory(loaded.rules)
    coverage = Coverage(loaded.rules)
    for topic in ("orders.v1", "comments.v1"):
        seen = Explainer(loaded.rules, topic, CONTEXT).explain(
            record({"type": "order.placed", "total": 5}, topic=topic)
        )
        coverage.add(seen)
        as_lines(seen)
    assert 0 <= coverage.percent <= 100


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        ("distinctId: u1\nname: a", "R003", "did you mean `distinct_id`?"),
        ("condition: .a", "R003", "did you mean `when`?"),
        ("data: {a: 1}", "R003", "did you mean `properties`?"),
        ("properties:\n  p: {{ user.name }}", "R016", "write ${ .user.name }"),
        ("tenant_id: {{ tenant }}", "R016", "write ${ .tenant }"),
        ("properties: {p: '${ .user-id }'}", "R013", 'write `.["user-id"]`: a name with `-` stands in quotes'),
        ("properties: {p: '${ $.user.id }'}", "R016", "write `.user.id`: `.` is the record"),
        ("for_each: .a[]\nproperties: {p: '${ item.id }'}", "R013", "write `$item`"),
        ("properties: {p: '${ .a | round(2) }'}", "R013", "`fixed(2)` gives two decimals, as text: `19.90`"),
        ("when:", "Y008", None),
    ],
)
def test_one_mistake_is_one_finding_with_the_right_advice(body: str, code: str, hint: str | None) -> None:
    """What people write instead is recognised, and what follows from it is not told a second time."""
    text = rules(body)
    if "distinctId" in body:
        text = text.replace("    distinct_id: u1\n", "")
    (finding,) = load(text).findings
    assert finding.code == code
    assert hint is None or finding.hint == hint
