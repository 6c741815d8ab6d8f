"""Topics that are deleted, made anew, grown, or eaten by retention."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

from tests.road.bridge_process import BridgeProcess, until
from tests.soak.accepted import Accepted
from tests.soak.facts import Kind
from tests.soak.load import CLEAN, MIX
from tests.soak.stage import Stage

_LETTERS = {**MIX, Kind.REFUSED: 0.03, Kind.UNREADABLE: 0.01}


def dead_letters_deleted(stage: Stage) -> None:
    """The dead-letter topic is deleted: nothing passes it, and it goes on when it is there again."""
    stage.open()
    stage.member()
    portion = stage.records // stage.faults
    for _ in range(stage.faults):
        stage.produce(portion // 2, _LETTERS)
        stage.drain()
        stage.letters += stage.kafka.read(stage.dead_letters)
        stage.kafka.delete_topic(stage.dead_letters)
        stage.injected["dead-letter topic deleted"] += 1
        stage.produce(portion // 2, _LETTERS)
        time.sleep(5.0)
        stage.make_dead_letter_topic()
        stage.drain()


def letters_too_large(stage: Stage) -> None:
    """The dead-letter topic takes small records only: a reference is written instead, and nothing stands still."""
    stage.open()
    stage.kafka.alter_topic(stage.dead_letters, {"max.message.bytes": "3000"})
    stage.load.padding = b"p" * 4_000
    stage.member()
    portion = stage.records // stage.faults
    for turn in range(stage.faults):
        stage.load.padding = b"p" * 4_000 if turn % 2 == 0 else b""
        before = len(stage.read_letters())
        stage.produce(portion, _LETTERS)
        stage.drain()
        letters = stage.read_letters()[before:]
        stage.injected["dead letters too large" if stage.load.padding else "dead letters small again"] += 1
        wrong = [each for each in letters if len(each.value() or b"") > 3_000]
        stage.claim(bool(letters) and not wrong, f"{len(letters)} letters, {len(wrong)} of them larger than allowed")


def letters_refused(stage: Stage) -> None:
    """The dead-letter topic has too few replicas to write to: partitions hold, and go on by themselves when it has."""
    _open_with_a_replica_gone(stage)
    portion = stage.records // stage.faults
    for _ in range(stage.faults):
        _refuse_letters(stage, portion)
        _take_letters(stage)
        stage.drain()


def held_then_stopped(stage: Stage) -> None:
    """Stopped in order, or killed, while records are held that later ones have overtaken: none of those comes again."""
    member = _open_with_a_replica_gone(stage)
    stage.allowed.repeats = 0
    portion = stage.records // stage.faults
    for turn in range(stage.faults):
        _refuse_letters(stage, portion)
        # What is finished is committed by now: nothing more is read from the partitions that hold.
        time.sleep(3.0)
        if turn % 2:
            stage.kill(member, "kill -9 while records are held")
        else:
            stage.terminate(member)
        stage.injected["restart while records are held"] += 1
        stage.again(member)
        stage.await_ready(member)
        time.sleep(2.0)
        _take_letters(stage)
        stage.drain()


def _open_with_a_replica_gone(stage: Stage) -> BridgeProcess:
    """Everything has two replicas, of which one is gone for good: enough, until a topic asks for both."""
    stage.open(replication=2)
    member = stage.member()
    stage.await_ready(member)
    stage.produce(20)
    stage.drain()
    stage.kafka.stop(2)
    stage.await_ready(member)
    stage.produce(20)
    stage.drain()
    return member


def _refuse_letters(stage: Stage, count: int) -> None:
    stage.kafka.alter_topic(stage.dead_letters, {"min.insync.replicas": "2"})
    stage.injected["too few replicas for dead letters"] += 1
    stage.produce(count, _LETTERS)
    members = stage.members
    until(lambda: sum(stage.metric(member, "bridge_holds") or 0 for member in members) >= 1, 60, stage.logs)


def _take_letters(stage: Stage) -> None:
    stage.kafka.alter_topic(stage.dead_letters, {"min.insync.replicas": "1"})


def truncated(stage: Stage) -> None:
    """Records are deleted under a running bridge that the API holds up: what it had not read is counted as lost."""
    stage.open()
    stage.allowed.disorder = True
    # Large records and a short span, so that little of what is deleted was read before.
    stage.load.padding = b"p" * 8_000
    chosen = stage.settings()
    member = stage.member(
        kafka={**chosen["kafka"], "on_retention_gap": "continue"}, delivery={**chosen["delivery"], "span": 500}
    )
    stage.await_ready(member)
    (topic,) = stage.topics
    missing = 0
    places: list[dict[int, tuple[int, int, int]]] = []
    for _ in range(stage.faults):
        stage.api({"fault": "status", "status": 503})
        stage.produce(stage.records // stage.faults, CLEAN)
        time.sleep(1.0)
        ends = stage.kafka.end_offsets(topic)
        committed = {part: offset for part, (offset, _) in stage.kafka.committed(stage.group, topic).items()}
        firsts = {part: stage.random.randint(committed.get(part, 0), end) for part, end in ends.items()}
        stage.kafka.delete_records(topic, firsts)
        stage.injected["records deleted under a running bridge"] += 1
        stage.api()
        stage.drain()
        gone = _gone_unsent(stage, topic, committed, firsts)
        missing += sum(map(len, gone.values()))
        places.append({part: (offsets[0], offsets[-1], len(offsets)) for part, offsets in gone.items() if offsets})
    stage.figures["deleted_unsent"] = missing
    with suppress(AssertionError):
        until(lambda: (stage.metric(member, "bridge_records_lost_total") or 0.0) >= missing, 10)
    lost = stage.metric(member, "bridge_records_lost_total") or 0.0
    told = [line["message"] for line in member.log() if line["event"] == "records_lost"]
    stage.claim(lost >= missing, f"{missing} records were deleted unsent, the metric says {lost}: {told}; {places}")


def _gone_unsent(
    stage: Stage, topic: str, committed: Mapping[int, int], firsts: Mapping[int, int]
) -> dict[int, list[int]]:
    """Those of the deleted records, by partition, that were not sent: from now on nobody asks for them."""
    accepted = Accepted(stage.sandbox.keys())
    gone: dict[int, list[int]] = {}
    for (_, part), column in stage.load.columns().items():
        gone[part] = [
            offset
            for at, offset in enumerate(column.offsets)
            if committed.get(part, 0) <= offset < firsts[part]
            and column.kinds[at] == Kind.DELIVERED
            and column.key(at) not in accepted
        ]
        for offset in gone[part]:
            stage.load.lose((topic, part), offset, offset)
    return gone


def retention(stage: Stage) -> None:
    """Retention deletes what a stopped bridge has not read: the loss is counted to the record."""
    stage.open()
    member = stage.member(kafka={**stage.settings()["kafka"], "on_retention_gap": "continue"})
    (topic,) = stage.topics
    for _ in range(stage.faults):
        stage.produce(stage.records // stage.faults)
        stage.drain()
        stage.terminate(member)
        stage.produce(stage.records // stage.faults)
        committed = {part: offset for part, (offset, _) in stage.kafka.committed(stage.group, topic).items()}
        ends = stage.kafka.end_offsets(topic)
        firsts = {part: stage.random.randint(committed.get(part, 0), end) for part, end in ends.items()}
        stage.kafka.delete_records(topic, firsts)
        gone = sum(stage.load.lose((topic, part), committed.get(part, 0), first - 1) for part, first in firsts.items())
        stage.injected["retention overtook the group"] += 1
        stage.again(member)
        stage.await_ready(member)
        stage.drain()
        until(lambda: stage.metric(member, "bridge_records_lost_total"), 30, stage.logs)
        lost = stage.metric(member, "bridge_records_lost_total")
        stage.claim(lost == gone, f"{gone} records were deleted, the metric says {lost}")


def partitions_added(stage: Stage) -> None:
    """Partitions are added under load: they are read from their beginning."""
    stage.open(partitions=1)
    stage.await_ready(stage.member())
    (topic,) = stage.topics
    for turn in range(stage.faults):
        stage.produce(stage.records // stage.faults // 2)
        stage.kafka.add_partitions(topic, 2 + turn)
        stage.injected["partition added"] += 1
        time.sleep(3.0)
        stage.produce(stage.records // stage.faults // 2)
        used = {partition for _, partition in stage.load.columns()}
        stage.claim(1 + turn in used, "the load did not reach the new partition")
        stage.drain()


def recreated(stage: Stage) -> None:
    """A topic is deleted and made anew: its new records are read from the beginning, and sent."""
    stage.open(partitions=2)
    stage.allowed.rewinds = True
    stage.drain_within = 45.0
    member = stage.member()
    (topic,) = stage.topics
    portion = stage.records // stage.faults
    for _ in range(stage.faults):
        stage.produce(portion, CLEAN)
        stage.drain()
        stage.kafka.delete_topic(topic)
        stage.injected["topic deleted and made anew"] += 1
        time.sleep(stage.random.uniform(0.5, 6.0))
        stage.load.forget(topic)
        stage.kafka.create_topic(topic, 2)
        time.sleep(3.0)
    stage.produce(portion // 2, CLEAN)
    stage.drain()
    stage.claim((stage.metric(member, "bridge_holds") or 0) == 0, "a hold stands after the topic was made anew")
