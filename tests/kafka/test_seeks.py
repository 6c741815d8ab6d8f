"""A seek is done only when the record came that was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bridge.flow import Intake
from bridge.kafka.client.assignment import Assignment
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.partition_state import PartitionState
from bridge.kafka.client.refetch import Seeks

NAME = ("orders", 0)


class Fake:
    """Counts seeks, and refuses the first ones."""

    def __init__(self, refuses: int = 0) -> None:
        self.done: list[int] = []
        self.refuses = refuses

    def seek(self, partition: TopicPartition) -> None:
        if self.refuses:
            self.refuses -= 1
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.done.append(partition.offset)


def do(seeks: Seeks, consumer: Fake, now: float, stopped: set[tuple[str, int]] | None = None) -> None:
    list(seeks.do(consumer, stopped or set(), now))


def ordered(consumer: Fake) -> Seeks:
    seeks = Seeks()
    seeks.order(NAME, 4)
    do(seeks, consumer, 0.0)
    return seeks


def test_the_record_that_was_asked_for_ends_a_seek() -> None:
    """Once it came everything is taken in again."""
    seeks = ordered(consumer := Fake())
    assert seeks.expected(NAME, 4)
    assert not seeks.any()
    assert consumer.done == [4]


def test_a_refused_seek_is_done_later_and_nothing_is_taken_in_before() -> None:
    """What was fetched from the old place is dropped."""
    seeks = ordered(consumer := Fake(refuses=2))
    assert not seeks.expected(NAME, 10)
    do(seeks, consumer, 0.1)
    do(seeks, consumer, 0.2)
    assert consumer.done == [4]


def test_something_else_means_to_seek_again() -> None:
    """A seek that was forgotten is done again when a later record or the end comes."""
    seeks = ordered(consumer := Fake())
    for tries in range(4):
        assert not seeks.expected(NAME, 10 if tries % 2 else None)
        do(seeks, consumer, 0.1)
    assert consumer.done == [4] * 5
    assert seeks.wanted(NAME) == 4
    assert seeks.expected(NAME, 4)


def doubted(consumer: Fake) -> Seeks:
    seeks = ordered(consumer)
    for _ in range(5):
        assert not seeks.doubted(set())
        assert not seeks.expected(NAME, 10)
        do(seeks, consumer, 0.1)
    return seeks


def test_what_never_comes_has_the_partition_placed_anew() -> None:
    """After five other answers nothing is taken in until it is placed; then everything is, whatever its offset."""
    seeks = doubted(consumer := Fake())
    assert consumer.done == [4] * 5
    assert not seeks.expected(NAME, 10)
    assert not seeks.doubted({NAME}), "a partition that is stopped is placed when it goes on"
    assert seeks.doubted(set()) == {NAME: 4}
    seeks.placed(NAME)
    assert seeks.wanted(NAME) is None
    assert not seeks.doubted(set())
    assert seeks.expected(NAME, 10)
    assert not seeks.any()


def test_a_pause_before_anything_came_means_to_place_again() -> None:
    """What is forgotten with a pause is not believed afterwards."""
    seeks = doubted(Fake())
    seeks.placed(NAME)
    seeks.paused([NAME])
    assert not seeks.expected(NAME, 10)
    assert seeks.doubted(set()) == {NAME: 4}
    seeks.order(NAME, 7)
    assert not seeks.doubted(set())


def test_a_pause_means_to_seek_again() -> None:
    """A pause before the record came makes the client forget the seek."""
    seeks = ordered(consumer := Fake())
    seeks.paused([NAME, ("orders", 1)])
    do(seeks, consumer, 0.1)
    assert consumer.done == [4, 4]


def test_silence_means_to_seek_again_unless_the_partition_is_stopped() -> None:
    """Where nothing comes for a second the seek is done again."""
    seeks = ordered(consumer := Fake())
    do(seeks, consumer, 0.5)
    do(seeks, consumer, 2.0, {NAME})
    assert consumer.done == [4]
    do(seeks, consumer, 2.0)
    assert consumer.done == [4, 4]


def test_a_partition_that_is_gone_is_forgotten() -> None:
    """Nothing is sought in a partition of somebody else."""
    seeks = ordered(consumer := Fake())
    seeks.forget(NAME)
    do(seeks, consumer, 5.0)
    assert consumer.done == [4]


def test_a_partition_is_placed_behind_what_cannot_be_read_whatever_it_was_to_be_read_from() -> None:
    """A seek to what nobody can read is never done: it counts no more once somebody has gone past."""
    for seeks in (ordered(Fake()), ordered(Fake(refuses=1)), _placed()):
        seeks.place(NAME, 9)
        assert seeks.doubted(set()) == {NAME: 9}
        assert not seeks.expected(NAME, 4)
        seeks.placed(NAME)
        assert seeks.wanted(NAME) is None
        assert seeks.expected(NAME, 9)
        assert not seeks.any()


def _placed() -> Seeks:
    """A partition was placed anew, and nothing has come yet."""
    seeks = Seeks()
    seeks.doubt(NAME, 4)
    seeks.placed(NAME)
    return seeks


@pytest.mark.parametrize("end", [6, 7, 8])
def test_a_partition_goes_on_only_where_the_log_has_all_behind_which_it_stood(end: int) -> None:
    """Markers were reached behind the last record, and their end may be committed: cut off, its start is resolved anew."""
    taken: list[Intake] = []
    parts: list[TopicPartition] = []
    offsets = SimpleNamespace(forget=lambda _: None)
    lifted = SimpleNamespace(ask=lambda epochs: dict.fromkeys(epochs, end), close=lambda: None, error=None)
    clients: Any = SimpleNamespace(dry_run=True, eager=False)
    manner: Any = SimpleNamespace(lifted=lifted)
    assignment = Assignment(clients, cast("Any", offsets), taken.extend, lambda _: None, KafkaCounters(), None, manner)
    state = PartitionState(NAME, 1, newest=5, leader_epoch=2, position=6)
    state.ended(8)
    state.ended(7)
    assignment.states[NAME] = state
    assignment._unchecked[NAME] = 0.0
    consumer = SimpleNamespace(resume=parts.extend, incremental_unassign=lambda _: None)
    assignment.check_due(cast("Any", consumer))
    assert (NAME in assignment.unbegun(), [part.topic for part in parts]) == (end < 8, [] if end < 8 else ["orders"])
