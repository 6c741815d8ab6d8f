"""Logs that lose records which were acknowledged, on a real Kafka: what is new is sent, whatever was known of its offset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from bridge.flow import Assigned, GiveBack, Pause, Resume
from tests.brokers.cutting import cut_logs
from tests.brokers.fixtures import StartKafka
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import Desk, desk

TOPIC, LETTERS = "orders", "dead"
CUT = 100
BELOW, BEYOND, WHOLE, SOUGHT = 0, 1, 2, 3
"""Partitions: the commit stays below the cut, it is beyond it, nothing is cut, records were given back during a hold."""
HALTED, GIVEN = 40, range(120, 150)
OLD, NEW = list(range(150)), list(range(1_100, 1_300))


def sent(kafka: RealKafka, numbers: Iterable[int]) -> None:
    """Produce the same numbers to each partition, in batches that end where the log is to be cut."""
    wanted = list(numbers)
    for each in (BELOW, BEYOND, WHOLE, SOUGHT):
        for part in ([number for number in wanted if number < CUT], [number for number in wanted if number >= CUT]):
            if part:
                kafka.produce(TOPIC, [Sent(b"%d" % number, partition=each) for number in part])


@contextmanager
def reading(kafka: RealKafka, group: str) -> Iterator[Desk]:
    """A bridge's Kafka thread; the record that is to stay unfinished is one of the partition with the low commit."""
    quick = {"session.timeout.ms": "10000", "topic.metadata.refresh.interval.ms": "1000"}
    with desk(kafka.bootstrap, [TOPIC], group, dead_letter_topic=LETTERS, properties=quick) as it:
        it.keep |= {(TOPIC, BELOW, HALTED), *((TOPIC, SOUGHT, offset) for offset in GIVEN)}
        yield it


def finished(it: Desk, partition: int) -> list[int]:
    return [int(record.value() or b"") for record in it.finished if record.partition() == partition]


def held(it: Desk, partition: int = BEYOND) -> Assigned:
    """How a partition began last; that whose commit is beyond the cut where none is named."""
    return [item for item in it.of(Assigned) if isinstance(item, Assigned) and item.partition == partition][-1]


def holds(it: Desk, partition: int = BEYOND) -> bool:
    """Whether the partition has begun, and waits for a person."""
    begun = any(isinstance(item, Assigned) and item.partition == partition for item in it.of(Assigned))
    return begun and held(it, partition).start.hold == "rewind"


def hold(it: Desk) -> None:
    """Stop a partition as a hold does: what was not sent is given back, to be read again."""
    part = it.parts[TOPIC, SOUGHT]
    part.give_back(GIVEN)
    it.order(Pause(TOPIC, SOUGHT, part.epoch), GiveBack(TOPIC, SOUGHT, part.epoch, GIVEN.start))
    it.until(lambda: not it.orders, what="the orders to be taken")


def read_all(kafka: RealKafka, it: Desk, group: str) -> None:
    """Wait until all is read, and committed with what is finished above the halted record."""
    want = {BELOW: HALTED, BEYOND: 150, WHOLE: 150, SOUGHT: GIVEN.start}
    it.until(lambda: len(it.finished) == 449 + GIVEN.start, what="all but those that are kept")
    it.until(lambda: kafka.committed_offsets(group, TOPIC) == want, what="the commits")


@pytest.fixture
def kafka(start_kafka: StartKafka) -> RealKafka:
    made: RealKafka = start_kafka()
    made.create_topic(LETTERS)
    made.create_topic(TOPIC, 4)
    return made


def test_a_log_that_was_cut_and_grew_again_is_noticed(kafka: RealKafka) -> None:
    """Every new record is sent, above finished runs and send limits of those that are gone; only a commit beyond holds."""
    sent(kafka, OLD)
    with reading(kafka, "down") as down, reading(kafka, "running") as running:
        read_all(kafka, down, "down")
        read_all(kafka, running, "running")
        hold(running)
        down.stop()
        cut_logs(kafka, TOPIC, dict.fromkeys((BELOW, BEYOND, SOUGHT), CUT))
        sent(kafka, NEW)
        with reading(kafka, "down") as again:
            _is_noticed(again, 0)
            _is_noticed(running, 150)
            _goes_on_when_it_is_accepted(kafka, again)
        running.order(Resume(TOPIC, SOUGHT, held(running, SOUGHT).epoch))
        running.until(lambda: holds(running, SOUGHT), seconds=90.0, what="the cut to be seen after a hold")
        assert held(running, SOUGHT).start.offset == CUT
        assert finished(running, SOUGHT) == OLD[: GIVEN.start]


def _is_noticed(it: Desk, before: int) -> None:
    it.until(lambda: finished(it, WHOLE)[before:] == NEW, seconds=90.0, what="what is new where nothing was cut")
    it.until(
        lambda: finished(it, BELOW)[max(0, before - 1) :] == NEW, seconds=90.0, what="what is new above the commit"
    )
    it.until(lambda: holds(it), seconds=90.0, what="the hold")
    assert held(it).start.offset == CUT
    assert f"ends at {CUT}" in held(it).start.detail
    assert "hour" in held(it).start.age
    assert finished(it, BEYOND) == OLD[:before]


def _goes_on_when_it_is_accepted(kafka: RealKafka, it: Desk) -> None:
    it.order(Resume(TOPIC, BEYOND, held(it).epoch))
    it.until(lambda: finished(it, BEYOND) == NEW, what="what is new once it is accepted")
    it.until(lambda: kafka.committed_offsets("down", TOPIC)[BEYOND] == 300, what="its commit")
