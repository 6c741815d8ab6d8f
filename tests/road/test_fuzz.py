"""Records that no well-behaved client writes, by the thousand, through `suprsend-bridge run` on a real Kafka."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

from bridge.flow import Headers
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.brokers.unchecked import Raw, produce_raw
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.conftest import Cli
from tests.road.test_letter_times import ANY_TIME, TIMES
from tests.road.world import World, accepted

SEED: Final = 20261130
RECORDS: Final = {"read": 10_000, "plain": 6_000, "events": 4_000}
RULES: Final = """\
topics:
  {events}: {{decode: cloudevents}}
rules:
  - name: read
    topics: [{read}]
    when: '.who != null and ($headers | length) >= 0'
    event: order_placed
    distinct_id: ${{ .who }}
    idempotency_key: ${{ .who }}
    properties:
      key: ${{ $key }}
      headers: ${{ $headers | keys | length }}
      day: ${{ $timestamp // 0 | . / 1000 | floor | tostring }}
  - name: plain
    topics: [{plain}]
    when: .who != null
    event: order_placed
    distinct_id: ${{ .who }}
    idempotency_key: ${{ .who }}
    properties: {{pad: '${{ .pad // "" | length }}'}}
  - name: events
    topics: [{events}]
    event: order_placed
    distinct_id: ${{ .data.who // .who }}
    idempotency_key: ${{ .data.who // .who }}
    properties: {{kind: '${{ .type // "none" }}'}}
"""
NAMES: Final = (
    b"",
    b"a",
    b"a\0b",
    b"ce_specversion",
    b"CE_id",
    b"content-type",
    b"bridge.stage",
    b"\xff",
    "é".encode(),
)
"""Of headers; the others are any bytes."""
NO_BRAKE: Final = {"brake": {"consecutive": 1_000_000_000, "ratio": 1, "window": 1_000_000}}


class Writer:
    """Makes records by chance, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def record(self, who: str) -> Raw:
        chance = self._random
        headers = [(self._name(), self._bytes(40)) for _ in range(self._count())]
        at = chance.choice([*TIMES.values(), chance.randrange(-(1 << 63), 1 << 63), time.time_ns() // 1_000_000])
        return Raw(self._value(who), self._bytes(20), headers, at)

    def _count(self) -> int:
        return self._random.choices([0, 1, 3, 40, 3_000], [40, 30, 25, 5, 0.1])[0]

    def _name(self) -> bytes:
        return self._random.choice(NAMES) if self._random.random() < 0.9 else self._random.randbytes(5)

    def _bytes(self, most: int) -> bytes | None:
        return None if self._random.random() < 0.2 else self._random.randbytes(self._random.randrange(most))

    def _value(self, who: str) -> bytes | None:
        chance = self._random
        fine = {"who": who, "pad": "x" * chance.choices([0, 20, 20_000], [50, 49, 1])[0]}
        kind = chance.choices(["fine", "nobody", "bytes", "json", "null"], [60, 10, 20, 5, 5])[0]
        if kind == "null":
            return None
        if kind == "bytes":
            return chance.randbytes(chance.randrange(200))
        if kind == "json":
            return json.dumps(
                chance.choice([1, [], "text", None, {"who": [1]}, {"specversion": "1.0", "who": who}])
            ).encode()
        return json.dumps(fine if kind == "fine" else {"pad": 1}).encode()


def _produce(kafka: RealKafka, topic: str, count: int, writer: Writer) -> None:
    records = [writer.record(f"{topic}-{offset}") for offset in range(count)]
    produce_raw(kafka.bootstrap, topic, _cut(records))
    assert kafka.end_offsets(topic) == {0: count}


def _cut(records: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    """Batches that a topic takes."""
    begin = size = 0
    for at, record in enumerate(records):
        weight = len(record.value or b"") + 60 * len(record.headers) + 100
        if at > begin and size + weight > 500_000:
            yield records[begin:at]
            begin, size = at, 0
        size += weight
    yield records[begin:]


def _finished(url: str) -> Counter[tuple[str, str]]:
    """Records by topic and outcome."""
    found: Counter[tuple[str, str]] = Counter()
    with urllib.request.urlopen(url + "/metrics", timeout=120) as answer:
        lines = answer.read().decode().splitlines()
    for line in lines:
        if line.startswith("bridge_records_finished_total{"):
            labels = dict(part.split("=") for part in line[line.index("{") + 1 : line.index("}")].split(","))
            found[labels["topic"].strip('"'), labels["outcome"].strip('"')] += int(float(line.rsplit(" ", 1)[1]))
    return found


def _letters(kafka: RealKafka, topic: str) -> dict[tuple[str, int], dict[str, bytes | None]]:
    """The bridge's own headers of each letter, by the record it is about. Each record has at most one."""
    found = {}
    for message in kafka.read(topic):
        headers = cast("Headers", message.headers())
        names = [name for name, _ in headers]
        facts: dict[str, Any] = dict(headers[len(names) - 1 - names[::-1].index("bridge.stage") :])
        place = (facts["bridge.source.topic"].decode(), int(facts["bridge.source.offset"]))
        assert place not in found
        found[place] = facts
    return found


def test_twenty_thousand_records_of_random_bytes_have_one_outcome_each(
    kafka: RealKafka, sandbox: SandboxProcess, world: World, cli: Cli, tmp_path: Path
) -> None:
    """Any bytes in key, value, header names and values, any count, size and time: nothing ends, nothing is lost."""
    topics = {name: kafka.create_topic(kafka.unique(name), config=ANY_TIME) for name in RECORDS}
    (world.folder / "rules" / "orders.yaml").write_text(RULES.format(**topics))
    for name, topic in topics.items():
        _produce(kafka, topic, RECORDS[name], Writer(SEED + len(name)))
    chosen = world.settings(
        kafka={"topics": list(topics.values())}, delivery=NO_BRAKE | {"storm": {"events": 9, "per": "1h"}}
    )
    (tmp_path / "dlq.json").write_text(json.dumps(chosen))
    with BridgeProcess(tmp_path, chosen) as bridge:
        url = bridge.admin_url()
        total = sum(RECORDS.values())
        until(lambda: bridge.process.poll() is not None or sum(_finished(url).values()) >= total, 200, bridge.text)
        assert bridge.process.poll() is None, "it ended"
        until(lambda: committed_everything(kafka, world.group, list(topics.values())), 30, bridge.text)
        finished = _finished(url)
        assert bridge.terminate() == 0, bridge.text()
    assert bridge.starts() == 1
    assert not [line for line in bridge.log() if line["event"] == "unexpected"]
    letters = _letters(kafka, world.dead_letters)
    people = accepted(sandbox)
    assert {entry["count"] for entry in people.values()} == {1}
    for name, topic in topics.items():
        reached = {int(who.rsplit("-", 1)[1]) for who in people if who.rsplit("-", 1)[0] == topic}
        put_aside = {offset for source, offset in letters if source == topic}
        counted = {outcome: finished[topic, outcome] for outcome in ("delivered", "dead_lettered", "filtered")}
        assert not reached & put_aside
        assert counted == {
            "delivered": len(reached),
            "dead_lettered": len(put_aside),
            "filtered": RECORDS[name] - len(reached) - len(put_aside),
        }
        unreadable = [
            facts for (source, _), facts in letters.items() if source == topic and "bridge.source.headers" in facts
        ]
        assert unreadable
    codes = Counter((source, facts["bridge.code"]) for (source, _), facts in letters.items())
    assert not codes[topics["plain"], b"headers_unreadable"], "nobody reads headers there"
    assert codes[topics["read"], b"headers_unreadable"] > 100
    assert codes[topics["events"], b"headers_unreadable"] > 100
    assert not any(code == b"internal_error" for _, code in codes)
    code, out = cli("list", "--json", "--limit", "100000")
    assert (code, len(out.splitlines())) == (0, len(letters))
    code, out = cli("replay", "--dry-run")
    assert code == 0, out
