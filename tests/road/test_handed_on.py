"""A day of refusals on a real Kafka, windows cut short: what went out went out, and nobody is told twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP
from typing import Any

import pytest

from bridge.offsets.commits import decode
from bridge.sandbox.process import SandboxProcess
from tests.boxes.box import Boxes, NotInstalledError
from tests.boxes.fixtures import unavailable
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, until
from tests.road.world import World, accepted, expected, records

REMEMBERED = 5.0
"""Seconds for which the sandbox knows a key."""
GIVEN_UP = 4.0
"""Seconds after which the bridge does not repeat what may have been applied."""
CALLS, EVENTS = 3, 10
RECORDS = 200

TUNING: dict[str, Any] = {
    "dedupe_window": "60s",
    "dedupe_margin": f"{60 - GIVEN_UP:.0f}s",
    "probe_interval": "1s",
}
DELIVERY: dict[str, Any] = {
    "max_in_flight": CALLS,
    "batch_events": EVENTS,
}
HAND_ON = "http_access allow all\n"
REFUSE_ANSWERS = "acl calls method POST\nhttp_reply_access deny calls\n" + HAND_ON


@pytest.fixture
def forgetful() -> Iterator[SandboxProcess]:
    """A sandbox that forgets keys after a few seconds: whoever sends one again after that tells a person twice."""
    with SandboxProcess(options={"window": str(REMEMBERED)}) as started:
        yield started


class Squid:
    """A real squid that hands calls on, and refuses their answers as long as it is told to."""

    def __init__(self, folder: Path) -> None:
        self._boxes = Boxes(folder)
        self.port = self._boxes.start("squid", REFUSE_ANSWERS)
        (self._config,) = folder.glob("squid-*/squid.conf")

    def let_through(self) -> None:
        self._config.write_text(self._config.read_text().replace(REFUSE_ANSWERS, HAND_ON))
        self._boxes.started[0].send_signal(SIGHUP)

    def stop(self) -> None:
        self._boxes.stop()


@contextmanager
def squid(folder: Path) -> Iterator[Squid]:
    try:
        started = Squid(folder / "boxes")
    except NotInstalledError as missing:
        unavailable(str(missing))
        raise
    try:
        yield started
    finally:
        started.stop()


def _classes(kafka: RealKafka, world: World) -> list[object]:
    return [dict(letter.headers() or ())["bridge.class"] for letter in kafka.read(world.dead_letters)]


def _told_once(sandbox: SandboxProcess) -> bool:
    return all(entry["accepted"] == 1 for entry in accepted(sandbox).values())


def test_days_of_suprsends_401_with_a_kill_and_a_restart_put_nothing_aside(
    kafka: RealKafka, forgetful: SandboxProcess, tmp_path: Path
) -> None:
    """Two windows of 401 in SuprSend's words, a SIGKILL and a SIGTERM in them: no dead letter, all delivered once."""
    world = World.make(kafka, forgetful, tmp_path, topics=1, partitions=2)
    (topic,) = world.topics
    forgetful.post_faults({"fault": "status", "status": 401, "type": "authentication_failed", "message": "wrong key"})
    kafka.produce(topic, records(topic, range(RECORDS)))
    chosen = world.settings(delivery=DELIVERY, tuning={**TUNING, "probe_interval": "2s"})
    # Who is killed is missed only when its session ends.
    chosen["kafka"]["properties"] = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
    with BridgeProcess(tmp_path, chosen) as bridge:
        began = time.monotonic()
        for end in (bridge.kill, bridge.terminate):
            calls = _calls(forgetful)
            until(lambda calls=calls: _calls(forgetful) > calls + CALLS, 120, bridge.text)  # type: ignore[misc]
            # Killed while a probe is on its way nobody could tell what became of it.
            until(lambda: _nothing_handed(kafka, world), 120, bridge.text)
            end()
            bridge.start()
        until(lambda: time.monotonic() > began + 2 * REMEMBERED, 60)
        assert forgetful.stats()["events"]["accepted"] == 0
        forgetful.clear_faults()
        until(lambda: committed_everything(kafka, world.group, [topic]), 120, bridge.text)
        assert bridge.terminate() == 0
    assert _told_once(forgetful)
    assert kafka.read(world.dead_letters) == []
    assert accepted(forgetful).keys() == expected(topic, range(RECORDS))


def _calls(sandbox: SandboxProcess) -> int:
    return int(sandbox.stats()["calls"]["total"])


def _nothing_handed(kafka: RealKafka, world: World) -> bool:
    """Whether the commits call nothing handed over that is unfinished."""
    found = kafka.committed(world.group, world.topics[0]).values()
    notes = [(offset, decode(metadata, offset)) for offset, metadata in found]
    return all(note is not None and note.send_limit < offset for offset, note in notes)


def test_behind_a_proxy_that_hands_calls_on_and_refuses_the_answers_nobody_is_told_twice(
    kafka: RealKafka, forgetful: SandboxProcess, tmp_path: Path
) -> None:
    """Two windows of squid's pages: at most what was in flight and some probes end as `dedupe_expired`, the rest waits."""
    world = World.make(kafka, forgetful, tmp_path, topics=1, partitions=2)
    (topic,) = world.topics
    kafka.produce(topic, records(topic, range(RECORDS)))
    with squid(tmp_path) as box:
        chosen = world.settings(delivery=DELIVERY, tuning=TUNING)
        chosen["suprsend"]["proxy"] = f"http://127.0.0.1:{box.port}"
        with BridgeProcess(tmp_path, chosen) as bridge:
            until(lambda: forgetful.stats()["events"]["accepted"] > 0, 120, bridge.text)
            began = time.monotonic()
            until(lambda: time.monotonic() > began + 2 * REMEMBERED, 60)
            box.let_through()
            until(lambda: committed_everything(kafka, world.group, [topic]), 120, bridge.text)
            lasted = time.monotonic() - began
            assert bridge.terminate() == 0
    assert _told_once(forgetful)
    classes = _classes(kafka, world)
    assert classes.count(b"dedupe_expired") == len(classes)
    # A probe that became too old is followed by a new one.
    assert EVENTS <= len(classes) <= EVENTS * (CALLS + lasted / GIVEN_UP + 1)
    assert accepted(forgetful).keys() == expected(topic, range(RECORDS))
