"""Logs that lose what was acknowledged, and first starts while a leader is missing: three brokers, unclean elections."""

from __future__ import annotations

import time
import urllib.request
from typing import Any, Final

from confluent_kafka import KafkaException

from bridge import jsontext
from tests.road.bridge_process import BridgeProcess, until
from tests.soak.accepted import Accepted
from tests.soak.facts import Kind
from tests.soak.load import CLEAN, LANES
from tests.soak.stage import Stage

_LANE: Final = 1
"""The person whose records fail, so that the commit stays below what is finished."""
_BELOW, _BEYOND = 0, 1
"""Partitions: the commit stays below the cut; it is beyond it."""


def log_cut(stage: Stage) -> None:
    """An unclean election, while the bridge runs or is down; the log grows again past all that was committed of it.

    Where the commit is below the cut it goes on by itself; where it is beyond, it holds at the cut. All that is new is
    sent.
    """
    stage.open(replicas=[[2, 3], [2, 3]], config={"unclean.leader.election.enable": "true"})
    stage.allowed.rewinds = stage.allowed.disorder = True
    leader, follower = 2, 3
    for turn in range(stage.faults):
        member = _read_more_than_is_replicated(stage, leader, follower)
        ends = stage.kafka.end_offsets(stage.topics[0])
        if turn % 2:
            stage.terminate(member)
        cut = _elect_uncleanly(stage, leader, follower)
        stage.produce(stage.records // stage.faults, CLEAN)
        grown = stage.kafka.end_offsets(stage.topics[0])
        stage.claim(all(cut[part] < ends[part] < grown[part] for part in ends), f"{cut} of {ends}, then {grown}")
        if turn % 2:
            stage.again(member)
        _accept(stage, member, cut)
        stage.kafka.restart(leader)
        leader, follower = follower, leader
        time.sleep(5.0)


def _read_more_than_is_replicated(stage: Stage, leader: int, follower: int) -> BridgeProcess:
    """Each partition has records on the leader alone, all of them read, and all but one person's accepted."""
    member = stage.member()
    stage.await_ready(member)
    for partition in (_BELOW, _BEYOND):
        stage.produce(100, CLEAN, partition=partition)
    stage.drain()
    before, ends = stage.accepted(), stage.kafka.end_offsets(stage.topics[0])
    stage.api({"fault": "reject", "status_code": 503, "when": {"match": {"distinct_id": {"regex": f"^u{_LANE}$"}}}})
    stage.produce(1, {}, partition=_BELOW, lanes=[_LANE])
    stage.produce(200, CLEAN, partition=_BELOW)
    stage.kafka.kill(follower)
    until(lambda: _in_sync(stage) == {leader}, 60, stage.logs)
    stage.produce(300, CLEAN, partition=_BELOW)
    stage.produce(300, CLEAN, partition=_BEYOND, lanes=range(_LANE + 1, LANES))
    facts = [fact for column in stage.load.columns().values() for fact in column.facts()]
    new = [fact for fact in facts if fact.place[2] >= ends[fact.place[1]]]
    wanted = sum(fact.kind is Kind.DELIVERED and fact.lane != _LANE for fact in new)
    until(lambda: stage.accepted() == before + wanted, 60, stage.logs)
    until(lambda: _is_committed_beyond(stage), 60, stage.logs)
    return member


def _is_committed_beyond(stage: Stage) -> bool:
    topic = stage.topics[0]
    try:
        return stage.kafka.committed_offsets(stage.group, topic)[_BEYOND] == stage.kafka.end_offsets(topic)[_BEYOND]
    except KafkaException:
        return False


def _in_sync(stage: Stage) -> set[int]:
    found = stage.kafka.admin.list_topics(stage.topics[0], timeout=10).topics[stage.topics[0]]
    return {replica for part in found.partitions.values() for replica in part.isrs}


def _leading(stage: Stage) -> set[int]:
    found = stage.kafka.admin.list_topics(stage.topics[0], timeout=10).topics[stage.topics[0]]
    return {part.leader for part in found.partitions.values()}


def _elect_uncleanly(stage: Stage, leader: int, follower: int) -> dict[int, int]:
    """The leader dies, and who was not in sync takes its place. The ends of the logs then."""
    stage.kafka.kill(leader)
    stage.injected["unclean election"] += 1
    until(lambda: leader not in _leading(stage), 60, stage.logs)
    stage.kafka.restart(follower)
    stage.kafka.elect_uncleanly(stage.topics[0])
    cut = stage.kafka.end_offsets(stage.topics[0])
    for partition, end in cut.items():
        stage.load.cut((stage.topics[0], partition), end)
    stage.load.renew()
    return cut


def _accept(stage: Stage, member: BridgeProcess, cut: dict[int, int]) -> None:
    topic = stage.topics[0]
    (hold,) = until(lambda: status(member).get("holds"), 90, stage.logs)
    stage.claim(hold["scope"] == f"{topic}:{_BEYOND}", f"held: {hold}")
    stage.claim(f"ends at {cut[_BEYOND]}" in hold["detail"], f"the detail says {hold['detail']}, the cut is at {cut}")
    stage.api()  # not before: once the unfinished record is accepted, that partition is committed beyond the cut too
    stage.terminate(member)
    stage.members.remove(member)
    accepting = stage.member(delivery={**stage.settings()["delivery"], "accept_rewind": [hold["token"]]})
    stage.await_ready(accepting)
    stage.drain()
    stage.terminate(accepting)
    stage.members.remove(accepting)


def first_start(stage: Stage) -> None:
    """A new group with `latest`, one leader missing; then two first members a second apart: no history is ever sent."""
    stage.open(replicas=[[1], [2], [3]])
    latest = {**stage.settings()["kafka"], "start_from": "latest"}
    for turn in range(stage.faults):
        stage.group = stage.kafka.unique("first")
        latest["group_id"] = stage.group
        stage.produce(60, CLEAN)
        history = [fact.key for column in stage.load.columns().values() for fact in column.facts()]
        stage.load.forget(stage.topics[0])
        known = Accepted(stage.sandbox.keys())
        never = {key for key in history if key not in known}
        missing = turn % 2 == 0
        members = _start_without_a_leader(stage, latest) if missing else _start_two(stage, latest)
        stage.produce(stage.records // stage.faults, CLEAN)
        stage.drain()
        _judge_start(stage, never)
        for member in members:
            stage.terminate(member)
            stage.members.remove(member)


def _judge_start(stage: Stage, never: set[str]) -> None:
    """What came before the start is not sent, all that came since is: of this turn, whose records the next one forgets."""
    told = Accepted(stage.sandbox.keys())
    wrong = [key for key in never if key in told]
    stage.claim(not wrong, f"{len(wrong)} records from before the first start were sent: {wrong[:3]}")
    since = [fact for column in stage.load.columns().values() for fact in column.facts()]
    lost = [fact for fact in since if fact.kind is Kind.DELIVERED and fact.key not in told]
    stage.claim(not lost, f"{len(lost)} records from after the first start were not sent: {lost[:3]}")


def _start_without_a_leader(stage: Stage, latest: dict[str, Any]) -> list[BridgeProcess]:
    stage.injected["first start without a leader"] += 1
    stage.kafka.kill(3)
    member = stage.member(kafka=latest)
    stage.await_ready(member)
    where = f"{stage.topics[0]}[2]"
    until(lambda: where in (status(member).get("kafka", {}).get("trouble") or ""), 30, stage.logs)
    stage.claim(status(member)["totals"]["lag"] is None, "the lag is known though a partition has not begun")
    stage.kafka.restart(3)
    stage.kafka.await_leaders(stage.topics[0])
    return [member]


def _start_two(stage: Stage, latest: dict[str, Any]) -> list[BridgeProcess]:
    stage.injected["two first members a second apart"] += 1
    first = stage.member(kafka=latest)
    until(lambda: status(first).get("totals", {}).get("lag") is not None, 60, stage.logs)
    stage.produce(60, CLEAN)
    time.sleep(stage.random.uniform(0.0, 1.0))
    second = stage.member(kafka=latest)
    stage.await_ready(second)
    return [first, second]


def status(member: BridgeProcess) -> dict[str, Any]:
    """What it says of itself; nothing while it cannot be asked."""
    try:
        with urllib.request.urlopen(member.admin_url() + "/status", timeout=10) as answer:
            found: dict[str, Any] = jsontext.loads(answer.read())
    except OSError:
        return {}
    return found
