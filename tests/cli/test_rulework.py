"""`suprsend-bridge map`, `explain`, `events`, `test` and `schema` as a rules author calls them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from bridge.cli.main import run
from bridge.kafka.tools.mock import MockCluster

RULES = """\
rules:
  - name: placed
    topics: [orders]
    when: .type == "placed"
    event: order_placed
    distinct_id: ${ .who }
    properties: {id: '${ .id }', note: 'for ${ .who }'}
"""
TESTS = """\
given: {topic: orders}
tests:
  - name: placed
    given: {value: {type: placed, who: u1, id: 1}}
    expect: [{event: order_placed, distinct_id: u1, properties: {id: 1, note: for u1}}]
"""
PLACED = '{"type": "placed", "who": "u1", "id": 9007199254740993}'


@pytest.fixture(autouse=True)
def _place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory with rules and their tests, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    Path("config/rules").mkdir(parents=True)
    Path("untested").mkdir()
    Path("untested/a.yaml").write_text(RULES)
    Path("config/rules/a.yaml").write_text(RULES)
    Path("config/rules/a.test.yaml").write_text(TESTS)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Run a command with text on standard input: exit code, output, errors."""

    def call(arguments: list[str], text: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code = run(arguments)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def test_map_values_of_a_topic(said: Any) -> None:
    """Each line is a value; events come out one per line, as they would be sent; a summary line goes to stderr."""
    code, out, err = said(["map", "--topic", "orders"], f'{PLACED}\n\n{{"type": "viewed"}}\n')
    assert code == 0
    event = json.loads(out)
    assert (event["event"], event["distinct_id"], event["properties"]["id"]) == ("order_placed", "u1", 9007199254740993)
    assert err == "2 records: 1 event, 1 filtered, 0 errors\n"


def test_map_whole_records(said: Any) -> None:
    """With --envelope a line is a whole record."""
    lines = [
        f'{{"topic": "orders", "offset": 7, "timestamp": 1769860800000, "value": {PLACED}}}',
        '{"topic": "x", "tombstone": true}',
    ]
    code, out, _err = said(["map", "--envelope"], "\n".join(lines))
    assert code == 0
    assert json.loads(out)["$idempotency_key"].startswith("k1:orders:0:7:")
    assert json.loads(out)["$time"] == 1769860800000


def test_map_says_what_could_not_be_mapped(said: Any) -> None:
    """An error names line, rule and code on stderr and makes the exit code 1; the other lines are mapped."""
    code, out, err = said(["map", "--topic", "orders"], f'{{"type": "placed", "who": null}}\nnonsense\n{PLACED}\n')
    assert code == 1
    assert len(out.splitlines()) == 1
    assert err.splitlines()[0].startswith("line 1: placed: distinct_id (a.yaml:6:")
    assert err.splitlines()[0].endswith("is null. [null]")
    assert "line 2: The value is not one JSON text" in err


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["map"], "{}", "--topic orders.v1"),
        (["map", "--envelope"], "[]", "line 1: with --envelope a record is an object"),
        (["map", "--envelope"], '{"topic": "t", "valu": 1}', "a record has no `valu`"),
        (["map", "--envelope"], "{", "line 1: this is not JSON"),
        (["map", "--last", "5"], "", "--last needs the topic: --topic orders.v1"),
        (["map", "--last", "5", "-t", "orders", "-c", "nowhere.yaml"], "", "nowhere.yaml"),
        (["explain", "-t", "orders"], "", "standard input is empty"),
        (["test", "untested"], "", "there are no tests: they are in *.test.yaml"),
        (["map", "nowhere.ndjson", "-t", "orders"], "", "nowhere.ndjson: No such file"),
        (["map", "-t", "orders", "-r", "nowhere"], "", "nowhere: there is no such file or directory"),
        (["explain"], "{}", None),
        (["explain", "nope:x"], "", "a record in Kafka is TOPIC:PARTITION:OFFSET"),
        (["test", "config/rules/a.yaml"], "", "named *.test.yaml"),
        (["test", "-k", "nothing"], "", "no test has 'nothing' in its name"),
        (["schema", "events"], "", "there is one of: settings, rules, tests"),
    ],
)
def test_wrong_usage_is_one_line(said: Any, arguments: list[str], text: str, words: str | None) -> None:
    """A user's mistake is one line that says what to do, and exit code 2."""
    code, _out, err = said(arguments, text)
    if words is None:
        assert code == 0
        return
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_broken_rules_stop_every_tool(said: Any) -> None:
    """Rules with errors are shown as `check` shows them, and nothing is done: exit code 1."""
    Path("config/rules/a.yaml").write_text(RULES.replace("event:", "evnt:"))
    for arguments in (["map", "-t", "orders"], ["explain", "-t", "orders"], ["events"], ["test"]):
        code, out, err = said(arguments, "{}")
        assert (code, out) == (1, "")
        assert "did you mean `event`?" in err


def test_a_summary_of_many_records(said: Any) -> None:
    """--summary counts instead of printing events."""
    code, out, _err = said(["map", "-t", "orders", "--summary"], f'{PLACED}\n{{"type": "placed", "who": "u"}}\n')
    assert code == 0
    assert "placed: fired for 2 of 2 records, 2 events, no errors" in out
    assert " ".join(out.splitlines()[6].split()) == "properties.id 1 1 0 0"
    assert said(["map", "-t", "orders", "--summary"], f'{PLACED}\n{{"type": "placed"}}\n')[0] == 1


def test_explain_a_value(said: Any) -> None:
    """A record from a file or standard input is shown with every rule, value and event."""
    Path("config/rules/a.yaml").write_text(RULES.replace("'for ${ .who }'", "'${ $key }'"))
    code, out, _err = said(["explain", "--topic", "orders", "--key", "k1"], PLACED)
    assert code == 0
    assert '"note":"k1"' in out.replace('": "', '":"')
    code, out, _err = said(["explain", "--envelope"], f'{{"topic": "orders", "key": "k2", "value": {PLACED}}}')
    assert '"note":"k2"' in out.replace('": "', '":"')
    Path("config/rules/a.yaml").write_text(RULES)
    code, out, _err = said(["explain", "--topic", "orders", "--key", "k1"], PLACED)
    assert code == 0
    assert 'when  .type == "placed"  true  (.type is "placed")' in out
    assert "→ event order_placed to u1" in out
    Path("o.json").write_text(PLACED)
    code, out, _err = said(["explain", "o.json", "--json"])
    answer = json.loads(out)
    assert code == 0
    assert answer["files"][0]["rules"][0]["items"][0]["result"]["event"]["properties"]["id"] == 9007199254740993
    code, out, _err = said(["explain", "--json"], '{"type": "placed"}')
    assert code == 1
    assert json.loads(out)["results"][0]["error"]["code"] == "null"


def test_events(said: Any) -> None:
    """The inventory, for people and as JSON."""
    code, out, _err = said(["events"])
    assert code == 0
    assert out.startswith("order_placed  by placed (config/rules/a.yaml:2) from orders\n")
    assert "1 event\n" in out
    code, out, _err = said(["events", "config/rules", "--json"])
    assert json.loads(out)[0]["properties"]["note"] == {"types": ["string"], "optional": False, "from": "for ${ .who }"}


def test_tests_pass_fail_and_are_updated(said: Any, tmp_path: Path) -> None:
    """A failing test is named with its line and differences, exit code 1; --update writes what comes out."""
    code, out, _err = said(["test"])
    assert (code, out) == (0, "1 test in 1 file: 1 passed, 0 failed; 50 % of rules and branches reached\n")
    Path("config/rules/a.yaml").write_text(RULES.replace("for ${", "to ${"))
    code, out, _err = said(["test", "config/rules/a.test.yaml", "--junit", "out.xml"])
    assert code == 1
    assert "config/rules/a.test.yaml:3: FAILED placed" in out
    assert 'properties.note: expected "for u1", got "to u1"' in out
    assert 'failures="1"' in Path("out.xml").read_text()
    code, out, _err = said(["test", "--update"])
    assert (code, "1 test updated" in out) == (0, True)
    assert said(["test"])[0] == 0
    Path("config/rules/a.yaml").write_text(RULES)
    Path("config/rules/a.test.yaml").write_text(TESTS + TESTS.split("tests:\n")[1].replace("placed\n", "another\n"))
    assert "2 tests in 1 file: 2 passed" in said(["test"])[1]
    assert "1 test in 1 file: 1 passed" in said(["test", "-k", "anoth"])[1]


def test_coverage(said: Any) -> None:
    """--coverage lists what no test reaches, --min-coverage fails below its bound."""
    code, out, _err = said(["test", "--coverage"])
    assert code == 0
    assert "config/rules/a.yaml:4:11: no example: `when` of placed is never false" in out
    assert said(["test", "--min-coverage", "50"])[0] == 0
    code, _out, err = said(["test", "--min-coverage", "51"])
    assert (code, err) == (1, "coverage is 50.0 %, below 51 %\n")


def test_a_mistake_in_a_test_file_stops_the_run(said: Any) -> None:
    """A misspelt key is shown with its place, and no test runs."""
    Path("config/rules/a.test.yaml").write_text(TESTS.replace("expect", "expcet"))
    code, out, err = said(["test"])
    assert (code, out) == (1, "")
    assert "`expcet` is no key of a test [T002]" in err
    assert "did you mean `expect`?" in err


@pytest.mark.parametrize("what", ["rules", "tests"])
def test_schemas_are_printed(said: Any, what: str) -> None:
    """`suprsend-bridge schema` prints a JSON Schema."""
    code, out, _err = said(["schema", what])
    assert code == 0
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_records_from_kafka_without_a_group(said: Any) -> None:
    """`map --last` and `explain TOPIC:PARTITION:OFFSET` read from Kafka; what is not there is one clear line."""
    with MockCluster({"orders": 2, "empty": 1}) as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        for number in range(10):
            value = PLACED.replace("9007199254740993", str(number))
            producer.produce(
                "orders", value, key=f"k{number}", partition=number % 2, timestamp=1_769_860_800_000 + number
            )
        assert producer.flush(10) == 0
        Path("config/bridge.yaml").write_text(
            f"kafka: {{bootstrap_servers: ['{kafka.bootstrap}'], topics: [orders], group_id: g, dead_letter_topic: d}}\n"
            "suprsend: {workspace_key: sandbox-workspace-key-01, workspace_secret: sandbox-workspace-secret-01}\n"
        )
        code, out, _err = said(["map", "--last", "3", "--topic", "orders"])
        assert code == 0
        assert [json.loads(line)["properties"]["id"] for line in out.splitlines()] == [7, 8, 9]
        code, out, _err = said(["explain", "orders:1:2"])
        assert code == 0
        assert 'orders:1:2  40 bytes, timestamp 1769860800005 ms, key "k5"' in out
        assert said(["map", "--last", "3", "--topic", "empty"])[1] == ""
        for place, words in (
            ("orders:1:9", "no offset 9: it holds 0 to 4"),
            ("orders:5:0", "no partition 5; it has 2"),
        ):
            code, _out, err = said(["explain", place])
            assert (code, words in err) == (1, True)
        code, _out, err = said(["map", "--last", "3", "--topic", "nowhere"])
        assert (code, "does not exist" in err) == (1, True)
