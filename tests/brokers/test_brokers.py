"""The test brokers do what tests rely on."""

from __future__ import annotations

from bridge.kafka.tools.mock import MockCluster
from tests.brokers.fixtures import StartKafka
from tests.brokers.real import RealKafka, Sent


def test_records_of_rolled_back_transactions_are_not_read(kafka: RealKafka) -> None:
    """A transactional helper writes what is committed and hides what is rolled back."""
    topic = kafka.create_topic(kafka.unique("orders"))
    kafka.produce_in_transactions(topic, [[b"a"], [b"b"], [b"c"]], aborted=[1])
    assert [message.value() for message in kafka.read(topic)] == [b"a", b"c"]
    assert kafka.end_offsets(topic) == {0: 6}


def test_offsets_set_from_outside_are_committed(kafka: RealKafka) -> None:
    """Offsets and their metadata can be set and read back, and a group without any has none."""
    topic = kafka.create_topic(kafka.unique("orders"), 2)
    group = kafka.unique("group")
    kafka.reset_offsets(group, topic, {1: 7}, "note")
    assert kafka.committed(group, topic) == {1: (7, "note")}
    assert kafka.committed(kafka.unique("nobody"), topic) == {}


def test_a_killed_broker_comes_back_with_its_records(start_kafka: StartKafka) -> None:
    """A broker killed and started again answers on its old address with its old records."""
    kafka = start_kafka()
    topic = kafka.create_topic("orders")
    kafka.produce(topic, [Sent(b"a", b"k", headers=[("h", b"1")], timestamp=1_700_000_000_000)])
    kafka.kill()
    kafka.restart()
    (message,) = kafka.read(topic)
    assert (message.value(), message.key(), message.headers()) == (b"a", b"k", [("h", b"1")])
    assert message.timestamp() == (1, 1_700_000_000_000)


def test_the_embedded_kafka_keeps_topics_and_records() -> None:
    """The mock cluster has the topics asked for, and takes and gives records."""
    with MockCluster({"orders": 3}) as cluster:
        kafka = RealKafka(cluster.bootstrap)
        kafka.produce("orders", [Sent(b"a", partition=2)])
        assert kafka.end_offsets("orders") == {0: 0, 1: 0, 2: 1}
        cluster.delete_records("orders", 2, 1)
        assert kafka.first_offsets("orders")[2] == 1
