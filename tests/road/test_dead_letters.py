"""Poison, refusals and outages on the whole road."""

from __future__ import annotations

from pathlib import Path

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records


def test_only_the_culprits_are_dead_lettered_with_their_bytes_and_the_reason(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """A record that is no JSON and one that the API refuses go to the dead-letter topic; all others arrive."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=1)
    topic = world.topics[0]
    sent = records(topic, range(300))
    sent.insert(150, Sent(b'{"half": ', key=b"u1", headers=[("trace", b"\x00abc")], timestamp=1_700_000_000_123))
    sandbox.post_faults({"fault": "status", "status": 400, "when": {"match": {"key": {"equals": f"{topic}-77"}}}})
    kafka.produce(topic, sent)
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
        assert bridge.terminate() == 0, bridge.text()
    assert accepted(sandbox).keys() == expected(topic, range(300)) - {f"{topic}-77"}
    letters = {message.offset(): message for message in kafka.read(world.dead_letters)}
    assert len(letters) == 2
    by_code = {dict(message.headers() or [])["bridge.class"]: message for message in letters.values()}
    broken = by_code[b"decode"]
    assert (broken.key(), broken.value()) == (b"u1", b'{"half": ')
    headers = dict(broken.headers() or [])
    assert headers["trace"] == b"\x00abc"
    assert headers["bridge.source.topic"] == topic.encode()
    assert headers["bridge.source.offset"] == b"150"
    assert headers["bridge.source.timestamp"] == b"1700000000123"
    refused = dict(by_code[b"invalid"].headers() or [])
    assert refused["bridge.rule"] == b"placed"
    assert refused["bridge.idempotency_key"] == f"{topic}-77".encode()


def test_an_outage_is_ridden_out_without_a_repeat_of_what_was_accepted(
    kafka: RealKafka, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """While everything is answered 503 nothing is lost; afterwards each event arrives once."""
    world = World.make(kafka, sandbox, tmp_path, topics=1, partitions=2)
    topic = world.topics[0]
    (outage,) = sandbox.post_faults({"fault": "status", "status": 503})
    kafka.produce(topic, records(topic, range(3_000)))
    with BridgeProcess(tmp_path, world.settings()) as bridge:
        until(lambda: sandbox.stats()["calls"]["total"] >= 10, 60, bridge.text)
        assert outage
        sandbox.clear_faults()
        until(lambda: committed_everything(kafka, world.group, [topic]), 90, bridge.text)
        assert bridge.terminate() == 0
    assert accepted(sandbox).keys() == expected(topic, range(3_000))
    assert sandbox.stats()["events"]["repeats_identical"] == 0
    assert not kafka.read(world.dead_letters)
