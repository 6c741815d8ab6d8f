"""`suprsend-bridge dlq` on a real Kafka: letters that a bridge wrote, listed, shown and replayed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import START, BridgeProcess, committed_everything, until
from tests.road.conftest import Cli
from tests.road.world import World, accepted

RULES = """\
version: 1
rules:
  - name: placed
    topics: [{topic}]
    for_each: '{items}'
    event: order_placed
    distinct_id: ${{ $item }}
    properties: {{number: '${{ {number} }}'}}
  - name: other
    topics: [{topic}]
    event: other_event
    distinct_id: ${{ .who // "someone" }}
"""


def _rules(world: World, *, items: str = ".people[]", number: str = ".n | tonumber") -> None:
    text = RULES.format(topic=world.topics[0], items=items, number=number)
    (world.folder / "rules" / "orders.yaml").write_text(text)


def _made(world: World, sent: list[Sent]) -> list[dict[str, Any]]:
    """Have a bridge work through these records."""
    world.kafka.produce(world.topics[0], sent)
    with BridgeProcess(world.folder, world.settings()) as bridge:
        until(lambda: committed_everything(world.kafka, world.group, list(world.topics)), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
    return list(accepted(world.sandbox).values())


def _letters(cli: Cli, *args: str) -> list[dict[str, Any]]:
    code, out = cli("list", "--json", *args)
    assert code == 0, out
    return [json.loads(line) for line in out.splitlines()]


def _order(n: object, *people: str) -> Sent:
    return Sent(json.dumps({"n": n, "people": people, "who": "w"}).encode(), key=b"k")


def test_a_mended_rule_sends_only_the_items_that_failed(world: World, cli: Cli) -> None:
    """After the rule is mended, replay sends what had failed, once, and nothing that was delivered before."""
    _rules(world, number='if $item == "bob" then error("no bobs") else .n end')
    _made(world, [_order(1, "ann", "bob", "cid"), _order(2, "bob"), Sent(b'{"half": ')])
    before = accepted(world.sandbox).keys()
    assert len(before) == 4
    found = _letters(cli)
    assert [(each["class"], each["rule"], each["item"], each["state"]) for each in found] == [
        ("mapping", "placed", 1, "open"),
        ("mapping", "placed", 0, "open"),
        ("decode", None, None, "open"),
    ]
    assert len(_letters(cli, "--class", "decode")) == 1
    assert _letters(cli, "--rule", "placed", "--limit", "1") == found[1:2]
    assert _letters(cli, "--since", "1h", "--topic", world.topics[0]) == found
    assert _letters(cli, "--until", "1h") == []

    _rules(world, number=".n")
    code, out = cli("replay", "--rule", "placed", "--dry-run")
    assert code == 0, out
    assert "2  events to be sent: placed → order_placed" in out
    assert accepted(world.sandbox).keys() == before

    code, out = cli("replay", "--rule", "placed", "--yes")
    assert code == 0, out
    new = [entry for key, entry in accepted(world.sandbox).items() if key not in before]
    assert len(new) == 2
    assert world.sandbox.stats()["events"]["repeats_identical"] == 0
    assert [each["state"] for each in _letters(cli)] == ["accepted", "accepted", "open"]
    assert [each["class"] for each in _letters(cli, "--open")] == ["decode"]

    code, out = cli("replay", "--rule", "placed", "--yes")
    assert (code, "nothing to replay" in out) == (0, True), out
    code, out = cli("replay", "--yes")
    assert code == 0, out
    last = _letters(cli)[-1]
    assert (last["class"], last["replays"], last["state"]) == ("decode", 1, "open")
    assert _letters(cli)[2]["state"] == "failed"


def test_show_prints_all_headers_and_the_original_value(
    world: World, cli: Cli, capfd: pytest.CaptureFixture[str]
) -> None:
    """`show` prints the reason, every header and the value, made safe for a terminal; `list` never prints the value."""
    _rules(world)
    _made(world, [Sent(b'{"secret": "\x1b[31m', key=b"k", headers=[("trace", b"\x00\xff")])])
    (found,) = _letters(cli)
    code, out = cli("list")
    assert code == 0
    assert "not_json" in out
    assert "secret" not in out
    code, out = cli("show", found["letter"])
    assert code == 0, out
    for part in ("not_json", "trace", "base64 AP8=", "bridge.source.offset", '{"secret": "␛[31m', "open"):
        assert part in out
    assert "\x1b" not in out
    code, out = cli("show", found["letter"], "--raw")
    assert out == '{"secret": "\x1b[31m'
    code, out = cli("show", found["letter"], "--json")
    assert json.loads(out)["value"] == '{"secret": "\x1b[31m'
    place = found["letter"].rsplit("/", 1)[0]
    for wrong in (f"{place}/99", "nonsense", "other/0/1"):
        code, out = cli("show", wrong)
        assert code in (1, 2)
        assert len(out.strip().splitlines()) == 1


def test_a_refused_event_goes_again_under_a_new_key_and_a_second_refusal_makes_a_new_letter(
    world: World, cli: Cli
) -> None:
    """Class invalid: replay uses `<key>.r1`; refused again, the next one `<key>.r2`; the guard against loops ends it."""
    _rules(world, items="empty")
    fault = {"fault": "status", "status": 400}
    world.sandbox.post_faults(fault)
    _made(world, [_order(1)])
    (found,) = _letters(cli)
    key = found["idempotency_key"]
    assert (found["class"], found["item"]) == ("invalid", 0)
    code, out = cli("replay", "--yes")
    assert code == 0, out
    first, second = _letters(cli)
    assert (first["state"], second["state"], second["replays"]) == ("failed", "open", 1)
    assert second["idempotency_key"] == f"{key}.r1"
    world.sandbox.clear_faults()
    code, out = cli("replay", "--yes", "--most", "1")
    assert "replayed 1 times" in out
    assert accepted(world.sandbox) == {}
    code, out = cli("replay", "--yes", second["letter"])
    assert code == 0, out
    assert accepted(world.sandbox).keys() == {f"{key}.r2"}
    assert [each["state"] for each in _letters(cli)] == ["failed", "accepted"]


def test_a_replay_stops_in_an_outage_and_goes_on_where_it_was(world: World, cli: Cli) -> None:
    """Nothing is lost or sent twice by a replay that meets an outage half-way; progress is a commit of its own group."""
    _rules(world, items="empty")
    bad = [Sent(b"no json %d" % n) for n in range(250)]
    _made(world, bad[:40])  # the brake would hold at 50 in a row
    dead = world.dead_letters
    letters = [message for message in world.kafka.read(dead) if message.value() is not None]
    assert len(letters) == 40
    good = [
        Sent(json.dumps({"who": f"w{n}", "n": n}).encode(), b"k", headers=message.headers())  # type: ignore[arg-type]
        for n, message in enumerate(letters * 6)
    ]
    world.kafka.produce(dead, good)
    (outage,) = world.sandbox.post_faults(
        {"fault": "status", "status": 401, "when": {"match": {"distinct_id": {"equals": "w150"}}}}
    )
    assert outage
    code, out = cli("replay", "--yes", "--rule", "nothing-of-this-name")
    assert "nothing to replay" in out
    code, out = cli("replay", "--yes", "--limit", "280", "--rate", "1000")
    assert code == 1, out
    assert "run the command again to go on" in out
    sent = len(accepted(world.sandbox))
    assert 0 < sent < 240
    committed = world.kafka.committed(f"{world.group}.replay", dead)
    assert committed[0][0] >= 40
    world.sandbox.clear_faults()
    code, out = cli("replay", "--yes", "--rate", "1000", "--class", "decode")
    assert code == 0, out
    stats = world.sandbox.stats()["events"]
    # All 240 come from the same 40 places of the source topic: six recipients share the coordinates, not the key.
    assert len(accepted(world.sandbox)) == 240
    assert stats["repeats_identical"] + stats["repeats_different"] == 0
    open_ones = _letters(cli, "--open", "--limit", "1000")
    assert len(open_ones) == 40
    assert {each["replays"] for each in open_ones} == {2}, "what is no JSON failed in both runs"


def test_a_replay_that_is_killed_goes_on_and_repeats_only_with_the_same_keys(
    world: World, cli: Cli, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a replay loses nothing: called again it sends the rest, and at most one chunk once more."""
    _rules(world, items="empty")
    _made(world, [Sent(b"no json %d" % n) for n in range(40)])
    letters = [message for message in world.kafka.read(world.dead_letters) if message.value() is not None]
    world.kafka.produce(
        world.dead_letters,
        [
            Sent(json.dumps({"who": f"w{n}", "n": n}).encode(), b"k", headers=message.headers())  # type: ignore[arg-type]
            for n, message in enumerate(letters * 10)
        ],
    )
    settings = ["--config", str(tmp_path / "dlq.json")]
    replay = subprocess.Popen([*START, "dlq", "replay", "--yes", "--rate", "100", *settings])
    group = f"{world.group}.replay"
    until(lambda: world.kafka.committed(group, world.dead_letters).get(0, (0, ""))[0] >= 40 + 100, 60)
    replay.kill()
    assert replay.wait(120) == -9
    left = 400 - len(accepted(world.sandbox))
    assert left > 0
    began = time.monotonic()
    code, out = cli("replay", "--yes", "--rate", "50")
    assert code == 0, out
    assert time.monotonic() - began >= (left - 50) / 50, "more than 50 events a second, and 50 at once"
    stats = world.sandbox.stats()["events"]
    assert len(accepted(world.sandbox)) == 400
    assert stats["repeats_different"] == 0
    assert stats["repeats_identical"] <= 100


def test_wrong_use_is_one_line(world: World, cli: Cli) -> None:
    """A wrong class, time or place, and a replay that nobody could confirm, say what to do."""
    for args in (
        ("list", "--class", "mappping"),
        ("list", "--since", "yesterday"),
        ("list", "--topic", world.dead_letters),
        ("replay", "x/y/z", "--dry-run"),
        ("replay",),
    ):
        code, out = cli(*args)
        assert code == 2, out
        assert len(out.strip().splitlines()) == 1, out
    code, out = cli("list")
    assert code == 0
    assert "no dead letters" in out


def test_an_original_too_large_for_its_letter_is_fetched_from_its_topic(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path, world: World, cli: Cli
) -> None:
    """A letter that is only a reference is replayed from the source topic; when that record is gone it says so."""
    small = kafka.create_topic(kafka.unique("small"), config={"max.message.bytes": "4000"})
    file = tmp_path / "dlq.json"
    chosen = json.loads(file.read_text())
    chosen["kafka"]["dead_letter_topic"] = small
    file.write_text(json.dumps(chosen))
    _rules(world, items="empty", number=".n")
    rules = world.folder / "rules" / "orders.yaml"
    rules.write_text(rules.read_text().replace('.who // "someone"', ".later"))
    kafka.produce(world.topics[0], [Sent(json.dumps({"n": 1, "fill": "x" * 9_000}).encode(), key=b"k")])
    with BridgeProcess(tmp_path, chosen) as bridge:
        until(lambda: committed_everything(kafka, world.group, list(world.topics)), 60, bridge.text)
        assert bridge.terminate() == 0
    (found,) = _letters(cli)
    out = cli("show", found["letter"])[1]
    assert "too large for this topic" in out
    rules.write_text(rules.read_text().replace(".later", '"someone"'))
    out = cli("replay", "--dry-run")[1]
    assert "1  events to be sent" in out, out
    kafka.delete_records(world.topics[0], {0: 1})
    out = cli("replay", "--yes")[1]
    assert "the original is gone" in out
    assert len(accepted(sandbox)) == 0


def test_an_item_whose_recipient_failed_is_not_replayed_under_a_siblings_key(world: World, cli: Cli) -> None:
    """The item behind it was sent with the key that the mended rule makes for it: SuprSend would drop the replay."""
    text = RULES.format(topic=world.topics[0], items=".people[]", number='if .n == 2 then error("no") else .n end')
    file = world.folder / "rules" / "orders.yaml"
    file.write_text(text.replace("${ $item }", "${ $item.id }"))
    people = [{"user": "bob"}, {"id": "bob"}, {"user": "ann"}, {"id": "bob"}]
    _made(world, [Sent(json.dumps({"n": n, "people": people, "who": "w"}).encode(), key=b"k") for n in (1, 2)])
    before = accepted(world.sandbox).keys()
    assert len(before) == 2 + 2, "both bobs of the first record, and the other rule's events"
    file.write_text(text.replace("${ $item }", "${ $item.id // $item.user }").replace("== 2", "== 0"))
    code, out = cli("replay", "--yes", "--rate", "1000")
    assert code == 0, out
    new = accepted(world.sandbox).keys() - before
    assert len(new) == 6, "two items of the first record and four of the second"
    assert sum(re.search(r"\.r\d+$", key) is not None for key in new) == 4
    stats = world.sandbox.stats()["events"]
    assert stats["repeats_identical"] + stats["repeats_different"] == 0
    assert [each["state"] for each in _letters(cli)] == ["accepted"] * 6
