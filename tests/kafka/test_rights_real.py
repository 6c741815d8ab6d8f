"""TLS, tokens and least rights on a real Kafka that allows nothing unless a rule does."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin._acl import AclBinding
from confluent_kafka.admin._resource import ResourceType

from bridge.kafka.client.pauses import PauseGroup, Pauses
from bridge.kafka.config import admin_conf
from bridge.kafka.tools.dead_letter_topic import opened
from bridge.kafka.tools.inspect import InspectError
from bridge.sandbox.process import SandboxProcess
from tests.brokers.fixtures import StartKafka
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk, settings
from tests.kafka.secured import SecuredNode, by_password, by_token, give, may, take, tls_address, token_endpoint
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

SECURITY_PAGE = Path(__file__).parents[2] / "docs" / "security.md"
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP


def documented(topics: Iterable[str], group: str, letters: str) -> list[AclBinding]:
    """The rights that the page of security names, with the names of a test in place of the example's."""
    names = {"orders.v1": topics, "comments.v1": (), "suprsend-bridge": (group,)}
    names |= {"suprsend-bridge.delivered": (f"{group}.delivered",), "suprsend-bridge.paused": (f"{group}.paused",)}
    names |= {"suprsend-bridge.dead-letters": (letters,)}
    rights: list[AclBinding] = []
    for line in re.findall(r"^acl (--.*)$", SECURITY_PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        for kind, example in re.findall(r"--(topic|group) (\S+)", line):
            for operation in re.findall(r"--operation (\w+)", line):
                resource = TOPIC if kind == "topic" else GROUP
                rights += [may(operation, resource, name) for name in names[example]]
    assert len(rights) == 10
    return rights


def test_the_documented_rights_are_enough_over_tls_by_password_or_token(
    start_kafka: StartKafka, tmp_path: Path
) -> None:
    """With just the rights of the page records arrive, dead letters are written and nothing is missed by the log."""
    with SandboxProcess() as sandbox:
        _works_with_the_documented_rights(
            World.make(start_kafka(kind=SecuredNode), sandbox, tmp_path, topics=1, partitions=2)
        )


def _works_with_the_documented_rights(world: World) -> None:
    kafka, folder = world.kafka, world.folder
    (topic,) = world.topics
    give(kafka, documented(world.topics, world.group, world.dead_letters))
    chosen = world.settings()
    chosen["kafka"]["bootstrap_servers"] = [tls_address(kafka)]
    with token_endpoint() as endpoint:
        for part, security in enumerate((by_password(), by_token(endpoint))):
            chosen["kafka"]["security"] = security
            numbers = range(100 * part, 100 * part + 100)
            kafka.produce(topic, [*records(topic, numbers), Sent(b"{half")])
            with BridgeProcess(folder, chosen, name=f"bridge-{part}") as bridge:
                until(lambda: committed_everything(kafka, world.group, [topic]), 60, bridge.text)
                assert bridge.terminate() == 0, bridge.text()
            told = [line for line in bridge.log() if line.get("kind", "unreachable") != "unreachable"]
            told += [line for line in bridge.log() if "cannot be used" in str(line)]
            assert told == []
    assert accepted(world.sandbox).keys() == expected(topic, range(200))
    assert len(kafka.read(world.dead_letters)) == 2
    marks = kafka.committed(f"{world.group}.delivered", topic)
    assert sum(offset for offset, _ in marks.values()) == 202


class Strict:
    """A cluster in which each case has a topic, a dead-letter topic and a group of its own."""

    def __init__(self, kafka: RealKafka) -> None:
        self.kafka = kafka
        self.topic = kafka.create_topic(kafka.unique("orders"))
        self.letters = kafka.create_topic(kafka.unique("dead"))
        self.group = kafka.unique("g")
        kafka.produce(self.topic, [b"a"])
        give(kafka, documented([self.topic], self.group, self.letters))

    def without(self, *rights: tuple[str, ResourceType, str], **more: Any) -> tuple[Desk, list[AclBinding]]:
        """A bridge that lacks some rights, and what it lacks."""
        lacks = [may(*right) for right in rights]
        take(self.kafka, lacks)
        address, security = tls_address(self.kafka), by_password()
        return desk(address, [self.topic], self.group, dead_letter_topic=self.letters, security=security, **more), lacks

    def reads(self, side: Desk) -> None:
        side.until(lambda: side.values() == [b"a"], 30, "the record")
        side.until(lambda: side.kafka.state.kind is None, 30, "the trouble to be over")


def _each(kafka: RealKafka) -> Iterator[Strict]:
    while True:
        yield Strict(kafka)


def test_each_right_that_is_missing_is_said_and_heals(
    start_kafka: StartKafka, caplog: pytest.LogCaptureFixture
) -> None:
    """Each right that is taken away shows as one clear line or a warning, and giving it is enough, without a restart."""
    kafka = start_kafka(kind=SecuredNode)
    cases = _each(kafka)
    _reading(next(cases))
    _group(next(cases))
    with caplog.at_level(logging.WARNING, "bridge.kafka.client"):
        _delivered(next(cases), "classic")
        _delivered(next(cases), "consumer")
    warned = [line.getMessage() for line in caplog.records if ".delivered cannot be used" in line.getMessage()]
    assert len(warned) == 2
    assert all("Read and Describe" in line for line in warned)
    with caplog.at_level(logging.WARNING, "bridge.kafka.client"):
        _paused(next(cases))
    warned = [line.getMessage() for line in caplog.records if ".paused cannot be used" in line.getMessage()]
    assert len(warned) == 1
    _letters_unseen(next(cases))
    _letters_unwritten(next(cases))
    _replay(next(cases))


def _reading(case: Strict) -> None:
    side, lacks = case.without(("read", TOPIC, case.topic))
    with side:
        side.until(lambda: "Read and Describe" in (side.kafka.state.trouble or ""))
        assert side.values() == []
        give(case.kafka, lacks)
        case.reads(side)


def _group(case: Strict) -> None:
    side, lacks = case.without(("read", GROUP, case.group), ("describe", GROUP, case.group))
    with side:
        side.until(lambda: "Read on kafka.group_id" in (side.kafka.state.trouble or ""))
        give(case.kafka, lacks)
        case.reads(side)


def _delivered(case: Strict, protocol: str) -> None:
    """The second guard is one that may be missing: reading begins without it."""
    name = f"{case.group}.delivered"
    side, _ = case.without(("read", GROUP, name), ("describe", GROUP, name), group_protocol=protocol)
    with side:
        case.reads(side)


def _paused(case: Strict) -> None:
    """Without the group of the pauses reading begins, and a pause is this process's own; with the right Kafka has it."""
    name = f"{case.group}.paused"
    chosen = settings(tls_address(case.kafka), [case.topic], case.group, security=by_password())
    lacks = [may("read", GROUP, name), may("describe", GROUP, name)]
    take(case.kafka, lacks)
    pauses = Pauses(PauseGroup(lambda: admin_conf(chosen), case.group), [case.topic], lambda book: None)
    pauses.start()
    try:
        taken = pauses.say([(case.topic, 0)], "a test says so", paused=True).result(120)
        assert "give the bridge's user Read and Describe on it" in (taken.kept or "")
        assert pauses.known({(case.topic, 0): time.monotonic()})
        give(case.kafka, lacks)
        until(lambda: pauses.say([(case.topic, 0)], "again", paused=True).result(120).kept is None, 60)
    finally:
        pauses.stop(5)
    assert case.kafka.committed(name, case.topic)[0][1].startswith("p1;")


def _letters_unseen(case: Strict) -> None:
    side, lacks = case.without(("write", TOPIC, case.letters), ("describe", TOPIC, case.letters))
    with side:
        side.until(lambda: "Write and Describe" in (side.kafka.state.trouble or ""))
        give(case.kafka, lacks)
        case.reads(side)


def _letters_unwritten(case: Strict) -> None:
    """What may be seen and not written: nothing tells so before the first letter, and a new producer tries again."""
    side, lacks = case.without(("write", TOPIC, case.letters))
    with side:
        case.reads(side)
        for ticket in range(5):
            side.dead_letter(ticket, side.records[0])
        side.until(lambda: len(side.written) == 5, 30, "the end of each letter")
        assert all("give the bridge's user Write and Describe on it" in (text or "") for text in side.written.values())
        give(case.kafka, lacks)
        for ticket in range(5, 500):
            side.dead_letter(ticket, side.records[0])
            side.until(partial(side.written.__contains__, ticket), 30, "the next letter's end")
            if side.written[ticket] is None:
                break
    assert len(case.kafka.read(case.letters)) == 1


def _replay(case: Strict) -> None:
    """Who replays is told of each right that is missing: to ask for progress, to read, to write."""
    chosen = settings(
        tls_address(case.kafka), [case.topic], case.group, dead_letter_topic=case.letters, security=by_password()
    )
    progress = f"{case.group}.replay"
    with pytest.raises(InspectError, match=f"forbid the group {progress}: give"), opened(chosen) as box:
        box.progress()
    give(case.kafka, [may("read", GROUP, progress)])
    case.kafka.produce(case.letters, [b"a"])
    with pytest.raises(InspectError, match="forbid reading the topic"), opened(chosen) as box:
        list(box.scan())
    give(case.kafka, [may("read", TOPIC, case.letters)])
    take(case.kafka, [may("write", TOPIC, case.letters)])
    with opened(chosen) as box:
        (letter,) = box.scan()
        box.write(0, letter, [], with_value=True)
        with pytest.raises(InspectError, match="takes no writes: give the bridge's user Write and Describe on it"):
            box.flush()
