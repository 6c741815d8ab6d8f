"""Brokers that know the requests of former versions only: records are read and commits taken.

The versions' own brokers are played by `python -m tests.brokers.former` (see `docs/deploy/brokers.md`).
"""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.brokers.faulty import FaultyKafka
from tests.kafka.desk import desk


@pytest.mark.parametrize("version", ["v2.6.0", "v3.3.0", "v3.9.0", "v4.0.0"])
def test_a_broker_that_knows_no_more_than_this_version_is_read(version: str) -> None:
    """Every record of every partition is read once and its offset committed, with the classic protocol."""
    with FaultyKafka(topics={"orders": 3, "dead-letters": 1}, version=version) as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        for number in range(60):
            producer.produce("orders", b"%d" % number, partition=number % 3)
        assert producer.flush(30) == 0
        with desk(kafka.bootstrap, ["orders"], "g") as side:
            side.until(lambda: len(side.finished) == 60, what="all records")
            side.until(lambda: side.kafka.state.reads and side.kafka.state.trouble is None)
        assert {record.value() for record in side.records} == {b"%d" % number for number in range(60)}
        reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "g"})
        found = reader.committed([TopicPartition("orders", number) for number in range(3)], timeout=120)
        reader.close()
        assert [part.offset for part in found] == [20, 20, 20]
