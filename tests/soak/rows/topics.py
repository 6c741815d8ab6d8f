"""Topics that are deleted, made anew, grown, or eaten by retention."""

from __future__ import annotations

import time

from tests.road.bridge_process import until
from tests.soak.load import CLEAN, MIX, Kind
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
        gone = [(topic, part, at) for part, first in firsts.items() for at in range(committed.get(part, 0), first)]
        stage.load.lose(gone)
        stage.injected["retention overtook the group"] += 1
        stage.again(member)
        stage.await_ready(member)
        stage.drain()
        until(lambda: stage.metric(member, "bridge_records_lost_total"), 30, stage.logs)
        lost = stage.metric(member, "bridge_records_lost_total")
        stage.claim(lost == len(gone), f"{len(gone)} records were deleted, the metric says {lost}")


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
        used = {place[1] for place in stage.load.facts()}
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
