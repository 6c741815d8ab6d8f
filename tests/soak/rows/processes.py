"""Processes that are killed, stopped, frozen and replaced."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any

from bridge import jsontext
from tests.brokers.node import free_ports
from tests.road.bridge_process import BridgeProcess, until
from tests.soak.facts import Kind
from tests.soak.load import CLEAN, MIX
from tests.soak.rows.machine import polls_go_on
from tests.soak.stage import Stage

_LETTERS = {**MIX, Kind.REFUSED: 0.06, Kind.UNREADABLE: 0.02}


def kill_anywhere(stage: Stage) -> None:
    """SIGKILL at any moment under load, the start included."""
    stage.open()
    stage.api({"fault": "delay", "seconds": 0.05})
    member = stage.member(delivery=_small_calls(stage))
    for _ in range(stage.faults):
        stage.produce(stage.records // stage.faults)
        if stage.random.random() < 0.3:
            time.sleep(stage.random.uniform(0.0, 1.5))
        else:
            stage.await_accepted(stage.random.randrange(1, max(2, stage.records // stage.faults // 2)))
        stage.kill(member)
        stage.again(member)


def kill_after_apply(stage: Stage) -> None:
    """SIGKILL when the API has taken a batch and the answer is still on its way."""
    stage.open()
    member = stage.member()
    for _ in range(stage.faults):
        stage.api({"fault": "hang", "apply": True, "when": {"calls": 3}})
        stage.produce(stage.records // stage.faults)
        until(lambda: stage.struck() >= 1, 60, stage.logs)
        stage.kill(member, "kill -9 after the API applied a batch")
        stage.api()
        stage.again(member)


def kill_in_dead_letter(stage: Stage) -> None:
    """SIGKILL while a dead letter is on its way to a broker that does not answer."""
    stage.open()
    (node,) = stage.kafka.nodes
    member = stage.member()
    for _ in range(stage.faults):
        stage.await_ready(member)
        stage.api({"fault": "delay", "seconds": 0.7})
        stage.produce(stage.records // stage.faults, _LETTERS)
        until(lambda: stage.sandbox.stats()["load"]["in_flight"] > 0, 60, stage.logs)
        node.suspend()
        try:
            time.sleep(1.0)
            stage.kill(member, "kill -9 during a dead letter")
        finally:
            node.resume()
        stage.api()
        stage.again(member)


def sigterm(stage: Stage) -> None:
    """SIGTERM under load: gone in time, and nothing is sent twice."""
    stage.open()
    stage.allowed.repeats = 0
    stage.api({"fault": "delay", "seconds": 0.05})
    member = stage.member(delivery=_small_calls(stage))
    portion = stage.records // stage.faults
    for _ in range(stage.faults):
        stage.produce(portion)
        stage.await_accepted(stage.random.randrange(1, max(2, portion // 2)))
        stage.terminate(member)
        stage.again(member)


def rolling_restart(stage: Stage) -> None:
    """Three members, replaced one after the other under load, each leaving in order."""
    stage.open(partitions=6)
    stage.allowed.repeats = 0
    stage.api({"fault": "delay", "seconds": 0.03})
    members = [stage.member() for _ in range(3)]
    for member in members:
        stage.await_ready(member)
    feeder = stage.feed(4.0 * stage.faults)
    for turn in range(stage.faults):
        member = members[turn % 3]
        stage.terminate(member)
        stage.again(member)
        stage.await_ready(member)
    feeder.stop()


def rebalance_storm(stage: Stage) -> None:
    """Members come and go, in order or by SIGKILL, faster than the group settles."""
    stage.open(partitions=6)
    stage.api({"fault": "delay", "seconds": 0.03})
    running = [stage.member()]
    resting: list[BridgeProcess] = []
    feeder = stage.feed(2.0 * stage.faults)
    for _ in range(stage.faults):
        if len(running) < 2 or (len(running) < 4 and stage.random.random() < 0.5):
            _join(stage, running, resting)
        else:
            member = running.pop(stage.random.randrange(len(running)))
            (stage.kill if stage.random.random() < 0.4 else stage.terminate)(member)
            resting.append(member)
        time.sleep(stage.random.uniform(0.2, 2.0))
    feeder.stop()
    if not running:
        _join(stage, running, resting)


def frozen(stage: Stage) -> None:
    """SIGSTOP for twice the session timeout, then SIGCONT: the others go on, and the sleeper does no harm."""
    stage.open(partitions=6)
    # What a frozen process had with the API arrives when it does; that the others sent it too cannot be known to it.
    stage.allowed.resent = stage.allowed.disorder = True
    stage.api({"fault": "delay", "seconds": 0.05})
    members = [stage.member(), stage.member()]
    for member in members:
        stage.await_ready(member)
    feeder = stage.feed(16.0 * stage.faults)
    for turn in range(stage.faults):
        stage.await_work(feeder)
        pid = members[turn % 2].process.pid
        stage.injected["SIGSTOP for 12 s"] += 1
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(12.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        time.sleep(2.0)
    feeder.stop()


def backlog(stage: Stage) -> None:
    """A large backlog and a slow API: memory stays within its budget."""
    stage.open()
    stage.produce(stage.records, CLEAN)
    stage.injected["start behind a backlog"] += 1
    stage.api({"fault": "delay", "seconds": 0.2})
    stage.member()
    time.sleep(5.0)
    stage.api()


def output_blocked(stage: Stage) -> None:
    """The pipe of its output is full and nobody reads: it goes on all the same."""
    stage.open()
    (port,) = free_ports(1)
    pipe = stage.folder / "member-1.log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(reader, b"what nobody has read yet\n")
    try:
        member = stage.member(logs={"format": "json", "level": "debug", "log_payloads": True}, admin={"port": port})
        # What asks for the log from here on must not read the pipe empty, or wait for it.
        member.log_file = stage.folder / "not-the-pipe.log"
        member.log_file.write_bytes(jsontext.dumps({"event": "admin_listening", "port": port}) + b"\n")
        stage.await_ready(member)
        for _ in range(stage.faults):
            stage.produce(stage.records // stage.faults, _LETTERS)
            stage.drain()
            stage.injected["output blocked"] += 1
            polls_go_on(stage, member)
        stage.finish()
    finally:
        os.close(reader)


def _small_calls(stage: Stage) -> dict[str, Any]:
    """So that a row's few records take many calls and commits, and the fault falls between them."""
    return {**stage.settings()["delivery"], "batch_events": 10}


def _join(stage: Stage, running: list[BridgeProcess], resting: list[BridgeProcess]) -> None:
    if resting:
        member = resting.pop()
        stage.again(member)
    else:
        member = stage.member()
    stage.injected["member joined"] += 1
    running.append(member)
