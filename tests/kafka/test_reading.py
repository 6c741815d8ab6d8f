"""Reading and committing, on the embedded Kafka."""

from __future__ import annotations

from bridge.kafka.tools.mock import MockCluster
from tests.brokers.real import RealKafka, Sent
from tests.kafka.desk import desk


def test_what_is_produced_is_read_and_committed_to_the_end() -> None:
    """Every record of every partition is read once, in order, and the offsets end at the log's end."""
    with MockCluster({"orders": 3, "dead-letters": 1}) as cluster:
        kafka = RealKafka(cluster.bootstrap)
        kafka.produce("orders", [Sent(b"%d" % number, b"k%d" % (number % 7)) for number in range(2_000)])
        with desk(cluster.bootstrap, ["orders"], "g") as side:
            side.until(lambda: len(side.records) == 2_000)
            side.until(lambda: sum(n.committed or 0 for n in side.kafka.counters.partitions.values()) == 2_000)
        assert sorted(int(value or b"") for value in side.values()) == list(range(2_000))
        for partition in range(3):
            offsets = [record.offset() for record in side.records if record.partition() == partition]
            assert offsets == list(range(len(offsets)))
