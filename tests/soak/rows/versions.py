"""Other clusters and other versions: what a commit remembers counts where it was written, and in each version the same."""

from __future__ import annotations

import io
import subprocess
import tarfile
import urllib.request
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException

from bridge import jsontext
from tests.brokers.mirror import MirrorMaker
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, until
from tests.soak.facts import Kind
from tests.soak.load import CLEAN
from tests.soak.member import shell
from tests.soak.spoiled import SmallNode
from tests.soak.stage import Stage

_LANE: Final = 7
_FORMER: Final = "071150d"
"""The last version whose notes say nothing of where they were written."""
_ROOT: Final = Path(__file__).parents[3]


def moved_cluster(stage: Stage) -> None:
    """MirrorMaker carries the group to another cluster while one person's records were never accepted: it holds there.

    A token lets one partition go on, `kafka.moved_from` the other, and what was never accepted is sent there.
    """
    stage.open(partitions=2)
    # What was delivered before the carried commit's offset in the other cluster goes out again, as was consented to.
    stage.allowed.resent = True
    old, new = stage.kafka, RealKafka.start(stage.folder / "kafka-new", kind=SmallNode)
    stage.others.append(new)
    with MirrorMaker(stage.folder, old, new, topics=stage.topics[0], groups=stage.group) as mirror:
        for partition in (0, 1):
            stage.produce(stage.records // 2, CLEAN, partition=partition)
        lane = _late_lane(stage)
        stage.api(_refused(lane))
        member = stage.member()
        facts = [fact for column in stage.load.columns().values() for fact in column.facts()]
        wanted = sum(fact.kind is Kind.DELIVERED and fact.lane != lane for fact in facts)
        until(lambda: stage.accepted() == wanted, 120, stage.logs)
        stage.terminate(member)
        until(lambda: _carried(old, new, stage), 120, lambda: mirror.log.read_text()[-3000:])
    stage.injected["group moved to another cluster"] += 1
    stage.kafka = new
    stage.make_dead_letter_topic()
    _go_on_there(stage, str(old.admin.list_topics(timeout=10).cluster_id), wanted)


def versions_mixed(stage: Stage) -> None:
    """Members of the version before and of this one in one group, each replaced by the other kind, and back.

    One person's records fail all the time, so that all that is finished above them is in the notes alone.
    """
    stage.open(partitions=6)
    stage.allowed.repeats = 0
    stage.api(
        {"fault": "delay", "seconds": 0.03},
        _refused(_LANE),
    )
    former = _former(stage.folder / "former")
    running = [stage.member(wrap=former), stage.member(wrap=former), stage.member()]
    for member in running:
        stage.await_ready(member)
    feeder = stage.feed(5.0 * stage.faults)
    for turn in range(stage.faults):
        stage.terminate(running.pop(0))
        # Three of this version in the middle of the run, three of the one before at its end.
        newer = turn // 3 % 2 == 0
        stage.injected["to this version" if newer else "to the version before"] += 1
        running.append(stage.member() if newer else stage.member(wrap=former))
        stage.await_ready(running[-1])
    feeder.stop()
    stage.api()
    stage.drain()
    holds = [line for member in stage.members for line in member.log() if line["event"] == "hold"]
    stage.claim(not holds, f"held: {holds[:3]}")


def _former(folder: Path) -> tuple[str, ...]:
    """The command that starts a process with the version before."""
    archive = subprocess.run(["git", "-C", str(_ROOT), "archive", _FORMER, "bridge"], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return shell(f"cd {folder}")


def _refused(lane: int) -> dict[str, Any]:
    """One person's events fail, each with a 503 of its own."""
    return {"fault": "reject", "status_code": 503, "when": {"match": {"distinct_id": {"regex": f"^u{lane}$"}}}}


def _late_lane(stage: Stage) -> int:
    """One that begins late in both partitions: MirrorMaker carries no commit at the beginning of a partition."""
    firsts: dict[int, list[int]] = {}
    for column in stage.load.columns().values():
        seen = {fact.lane: fact.place[2] for fact in reversed(list(column.facts())) if fact.kind is Kind.DELIVERED}
        for lane, offset in seen.items():
            firsts.setdefault(lane, []).append(offset)
    return max((lane for lane in firsts if len(firsts[lane]) == 2), key=lambda lane: min(firsts[lane]))


def _carried(old: RealKafka, new: RealKafka, stage: Stage) -> bool:
    """Whether all records are there, and beside the group's offsets what its last commits noted."""
    topic = stage.topics[0]
    try:
        notes = [{part: note for part, (_, note) in each.committed(stage.group, topic).items()} for each in (old, new)]
        return new.end_offsets(topic) == old.end_offsets(topic) and notes[0] == notes[1] and len(notes[0]) == 2
    except KafkaException:
        return False


def _go_on_there(stage: Stage, moved_from: str, accepted: int) -> None:
    """Held, and nothing is sent; then one partition by its token, and the other by the setting."""
    first = stage.member()
    holds = until(lambda: len(found := _holds(first)) == 2 and found, 60, stage.logs)
    stage.claim({hold["reason"] for hold in holds} == {"rewind"}, f"held as {holds}")
    stage.claim(all("another cluster" in hold["detail"] for hold in holds), f"held as {holds}")
    stage.claim(stage.accepted() == accepted, "something was sent while it was held")
    stage.api()
    stage.terminate(first)
    delivery = {**stage.settings()["delivery"], "accept_rewind": [holds[0]["token"]]}
    second = stage.member(delivery=delivery)
    (left,) = until(lambda: len(found := _holds(second)) == 1 and found, 60, stage.logs)
    stage.claim(left["scope"] == holds[1]["scope"], f"the token let another go: {left}")
    stage.terminate(second)
    third = stage.member(kafka={**stage.settings()["kafka"], "moved_from": moved_from})
    stage.drain()
    stage.claim(not _holds(third), f"still held: {_holds(third)}")


def _holds(member: BridgeProcess) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(member.admin_url() + "/status", timeout=10) as answer:
            found: list[dict[str, Any]] = jsontext.loads(answer.read())["holds"]
    except OSError:
        return []
    return sorted(found, key=lambda hold: str(hold["scope"]))
