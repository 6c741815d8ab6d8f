"""When a partition counts as standing still, by the clock: at an open transaction, or where nothing comes though it should."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.delivery.journal import Entry
from bridge.kafka.client.counters import KafkaCounters, OpenTransaction
from bridge.kafka.client.partition_state import PartitionState
from bridge.kafka.client.positions import Positions
from bridge.kafka.errors import OPEN_TRANSACTION

NAME = ("orders", 0)
TWO_HOURS = 7_200.0


class World:
    """One partition, read up to `position` at the time `heard`; `stable` is where a transaction is open, `end` the log's."""

    def __init__(self) -> None:
        self.state = PartitionState(NAME, 1, position=5, started=True, heard=0.0)
        self.stable: int | None = None
        self.end = 5
        self.stopped = False
        self.asked = 0
        self.looked = 0
        self.states = {NAME: self.state}
        self.counters = KafkaCounters()
        links = SimpleNamespace(open_at=lambda _: self.stable, cut_off=lambda *_: {}, leader=lambda _: 1)
        health = SimpleNamespace(links=links, reachable=lambda: True)
        assignment = SimpleNamespace(
            states=self.states,
            stopped=lambda _: self.stopped,
            no_room=lambda _: False,
            silent=lambda *_: None,
            unreadable=SimpleNamespace(told=dict),
        )
        committer = SimpleNamespace(committed=dict, refused_progress=0)
        self._positions = Positions(cast("Any", assignment), cast("Any", committer), cast("Any", health), self.counters)

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        self.looked += 1
        return 0, self.end

    def offsets_for_times(self, parts: list[Any], **_: object) -> list[Any]:
        """A leader is asked for the stable end."""
        self.asked += 1
        for part in parts:
            part.offset = self.end if self.stable is None else self.stable
        return parts

    def pass_time(self, since: float, until: float) -> list[Entry]:
        """Look once a second; what was written down meanwhile."""
        for second in range(int(since), int(until) + 1):
            self._positions.refresh(cast("Any", self), float(second))
        return self.counters.journal.take()

    def read(self, position: int, now: float) -> None:
        """The reader came to `position`."""
        self.state.position, self.state.heard = position, now

    @property
    def transaction(self) -> OpenTransaction | None:
        return self.counters.partitions[NAME].transaction


@pytest.fixture
def world() -> World:
    return World()


def test_an_open_transaction_is_told_after_a_minute_every_ten_and_when_it_is_over(world: World) -> None:
    """With since when it stands: from the moment at which there was something that could not be read, however long before."""
    world.pass_time(0, TWO_HOURS)
    world.end, world.stable = 9, 5
    assert world.pass_time(TWO_HOURS + 1, TWO_HOURS + 59) == []
    assert world.transaction == OpenTransaction(TWO_HOURS)
    (line,) = world.pass_time(TWO_HOURS + 60, TWO_HOURS + 659)
    assert (line.event, line.level, line.facts["offset"], line.facts["seconds"]) == (
        "transaction_open",
        "warning",
        5,
        60,
    )
    assert world.transaction == OpenTransaction(TWO_HOURS, OPEN_TRANSACTION)
    assert [line.event for line in world.pass_time(TWO_HOURS + 660, TWO_HOURS + 1_259)] == ["transaction_open"]
    world.stable = None
    world.read(9, TWO_HOURS + 1_260)
    (over,) = world.pass_time(TWO_HOURS + 1_260, TWO_HOURS + 1_262)
    assert (over.event, over.level, over.facts["seconds"]) == ("transaction_over", "info", 1_260)
    assert world.transaction is None
    assert world.asked == 0, "a leader was asked for what is known"


def test_transactions_that_follow_each_other_are_none_that_stays_open(world: World) -> None:
    """Where one transaction or another is always open, but each ends in time, nothing is told."""
    for start in range(0, 1_000, 50):
        world.read(start, float(start))
        world.stable, world.end = start, start + 9
        assert world.pass_time(start, start + 49) == []


def test_what_is_not_read_stands_at_no_transaction(world: World) -> None:
    """A pause, or what is behind, is told elsewhere; behind a pause the minute begins anew."""
    world.end, world.stable = 9, 5
    world.stopped = True
    assert world.pass_time(0, 300) == []
    assert world.transaction is None
    world.stopped = False
    assert world.pass_time(301, 359) == []
    assert [line.event for line in world.pass_time(360, 365)] == ["transaction_open"]
    world.state.position = 4
    world.pass_time(366, 367)
    assert world.transaction is None


def test_the_first_record_after_quiet_hours_is_no_partition_that_brings_nothing(world: World) -> None:
    """The minute in which nothing comes begins when there is something to come, not with the last record."""
    world.pass_time(0, TWO_HOURS)
    world.end = 6
    world.pass_time(TWO_HOURS + 1, TWO_HOURS + 59)
    assert world.asked == 0
    world.pass_time(TWO_HOURS + 61, TWO_HOURS + 64)
    assert world.asked > 0


@pytest.mark.parametrize(("partitions", "looks"), [(1, 21), (1_000, 21), (2_000, 11), (5_000, 5)])
def test_thousands_of_partitions_are_looked_at_less_often(world: World, partitions: int, looks: int) -> None:
    """A thousand of them in a second: their figures are for people, and nothing else waits for them."""
    for number in range(1, partitions):
        name = ("orders", number)
        world.states[name] = PartitionState(name, 1, position=5, started=True, heard=0.0)
    world.pass_time(0, 20)
    assert world.looked == looks * partitions
    assert len(world.counters.partitions) == partitions
