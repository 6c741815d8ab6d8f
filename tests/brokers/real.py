"""The real tier of the tests: Apache Kafka in KRaft mode, started here or found in `KAFKA_BOOTSTRAP_SERVERS`."""

from __future__ import annotations

import base64
import itertools
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    ElectionType,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.brokers.node import Node, free_ports

_ANSWER_SECONDS: Final = 120.0
_START_SECONDS: Final = 120.0
_QUIET: Final = {"log_level": 0}
_COMING: Final = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE}
)
"""A broker that has just started is not yet sure who keeps a group."""


class Sent(NamedTuple):
    """A record to produce; partition -1 lets the key decide, timestamp 0 means now (milliseconds otherwise)."""

    value: bytes | None
    key: bytes | None = None
    partition: int = -1
    headers: Sequence[tuple[str, bytes | None]] | None = None
    timestamp: int = 0


class RealKafka:
    """A Kafka cluster for tests. `nodes` is empty where it was not started by this object: then it cannot be stopped."""

    def __init__(self, bootstrap: str, nodes: Sequence[Node] = (), *, sasl_bootstrap: str = "") -> None:
        self.bootstrap = bootstrap
        self.nodes = tuple(nodes)
        self.sasl_bootstrap = sasl_bootstrap or ",".join(f"127.0.0.1:{node.sasl_port}" for node in nodes)
        """The listener that wants SASL PLAIN (`tests.brokers.node.SASL_USER`), without TLS; empty where unknown."""
        self._names = itertools.count(1)
        self._run = secrets.token_hex(3)
        self._admin: AdminClient | None = None

    @classmethod
    def start(
        cls, folder: Path, *, nodes: int = 1, settings: Mapping[str, str] | None = None, kind: type[Node] = Node
    ) -> Self:
        """Start a cluster in a new folder and wait until it answers; raises Unavailable without Java or jars."""
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        (controller,) = free_ports(1)
        made = [
            kind(number, folder / f"node-{number}", cluster, controller, min(nodes, 3), settings or {})
            for number in range(1, nodes + 1)
        ]
        for node in made:
            node.prepare()
        kafka = cls(",".join(node.address for node in made), made)
        try:
            for node in made:
                node.start()
            kafka.await_ready()
        except BaseException:
            kafka.close()
            raise
        return kafka

    @property
    def admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, **_QUIET})
        return self._admin

    def await_ready(self, seconds: float = _START_SECONDS) -> None:
        """Wait until every node that should run is known and answers; raises RuntimeError with the end of its log."""
        deadline = time.monotonic() + seconds
        wanted = max(1, sum(node.process is not None for node in self.nodes))
        while time.monotonic() < deadline:
            for node in self.nodes:
                if node.process is not None and node.process.poll() is not None:
                    raise RuntimeError(f"Kafka node {node.number} ended: {_tail(node.logs)}")
            try:
                if len(self.admin.list_topics(timeout=1.0).brokers) >= wanted:
                    return
            except KafkaException:
                time.sleep(0.1)
        raise RuntimeError(f"Kafka did not answer within {seconds} s: {[_tail(node.logs) for node in self.nodes]}")

    def stop(self, number: int | None = None) -> None:
        """End nodes in order; all where none is named."""
        for node in self._chosen(number):
            node.stop()

    def kill(self, number: int | None = None) -> None:
        for node in self._chosen(number):
            node.kill()

    def restart(self, number: int | None = None) -> None:
        """Start nodes that were stopped or killed, on their old ports and files, and wait until they answer."""
        for node in self._chosen(number):
            if node.process is None:
                node.start()
        self.await_ready()

    def close(self) -> None:
        self.kill()

    def unique(self, name: str) -> str:
        """A name of a topic or group that no other test has."""
        return f"{name}-{self._run}-{next(self._names)}"

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None, replication: int = 1
    ) -> str:
        """Create a topic, wait until every partition has a leader, and return its name."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=replication, config=dict(config or {}))
        return self._create(topic, partitions)

    def place_topic(self, name: str, replicas: list[list[int]], config: Mapping[str, str] | None = None) -> str:
        """Create a topic whose partitions are on these nodes, the preferred leader of each first."""
        count = len(replicas)
        return self._create(NewTopic(name, count, replica_assignment=replicas, config=dict(config or {})), count)

    def _create(self, topic: NewTopic, partitions: int) -> str:
        self.admin.create_topics([topic])[topic.topic].result(_ANSWER_SECONDS)
        self._await_partitions(topic.topic, partitions)
        return str(topic.topic)

    def delete_topic(self, name: str) -> None:
        self.admin.delete_topics([name])[name].result(_ANSWER_SECONDS)

    def alter_topic(self, name: str, config: Mapping[str, str]) -> None:
        """Change these of its settings, and leave the others."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
        ]
        asked = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        for future in self.admin.incremental_alter_configs([asked]).values():
            future.result(_ANSWER_SECONDS)

    def elect_leaders(self) -> None:
        """Give every partition back to its preferred leader."""
        self.admin.elect_leaders(ElectionType.PREFERRED).result(_ANSWER_SECONDS)

    def elect_uncleanly(self, name: str) -> None:
        """Have brokers that were not in sync lead the partitions of a topic whose leaders are gone; wait for that."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            found = self.admin.list_topics(name, timeout=_ANSWER_SECONDS).topics[name].partitions
            if all(part.leader >= 0 for part in found.values()) or time.monotonic() > deadline:
                break
            # A broker that was just started is not known yet, and one that was just killed may still be.
            with suppress(KafkaException, TimeoutError):
                parts = [TopicPartition(name, number) for number in found]
                self.admin.elect_leaders(ElectionType.UNCLEAN, parts).result(_ANSWER_SECONDS)
            time.sleep(0.5)
        self._await_partitions(name, len(found))

    def add_partitions(self, name: str, total: int) -> None:
        self.admin.create_partitions([NewPartitions(name, total)])[name].result(_ANSWER_SECONDS)
        self._await_partitions(name, total)

    def produce(self, topic: str, records: Iterable[Sent | bytes], **settings: str | float) -> None:
        """Produce records and wait until all are acknowledged."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, **_QUIET, **settings})
        _send(producer, topic, records)
        if producer.flush(_ANSWER_SECONDS):
            raise RuntimeError(f"records for {topic} were not acknowledged")

    def produce_in_transactions(
        self, topic: str, batches: Iterable[Sequence[Sent | bytes]], *, aborted: Sequence[int] = ()
    ) -> None:
        """Produce each batch in a transaction of its own; the batches with an index in `aborted` are rolled back."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "transactional.id": self.unique("transactions"), **_QUIET}
        )
        producer.init_transactions(_ANSWER_SECONDS)
        for index, batch in enumerate(batches):
            producer.begin_transaction()
            _send(producer, topic, batch)
            producer.flush(_ANSWER_SECONDS)
            end = producer.abort_transaction if index in aborted else producer.commit_transaction
            end(_ANSWER_SECONDS)

    @contextmanager
    def open_transaction(self, topic: str, records: Sequence[Sent | bytes]) -> Iterator[None]:
        """Records in a transaction that stays open for the block, and is committed behind it."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "transactional.id": self.unique("transactions"), **_QUIET}
            | {"transaction.timeout.ms": 600_000}
        )
        producer.init_transactions(_ANSWER_SECONDS)
        producer.begin_transaction()
        _send(producer, topic, records)
        producer.flush(_ANSWER_SECONDS)
        yield
        producer.commit_transaction(_ANSWER_SECONDS)

    def delete_group(self, group: str) -> None:
        """Forget all offsets of a group without members, as Kafka does when they expire."""
        self.admin.delete_consumer_groups([group])[group].result(_ANSWER_SECONDS)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Partition → offset behind its last record or marker."""
        return self._offsets(topic, OffsetSpec.latest())

    def first_offsets(self, topic: str) -> dict[int, int]:
        return self._offsets(topic, OffsetSpec.earliest())

    def committed(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        """Partition → committed offset and its metadata text; partitions without a commit are left out."""
        return {each.partition: (each.offset, each.metadata or "") for each in self._committed(group, topic)}

    def committed_offsets(self, group: str, topic: str) -> dict[int, int]:
        """The same without the metadata, which is not always text where another client has committed."""
        return {each.partition: each.offset for each in self._committed(group, topic)}

    def _committed(self, group: str, topic: str) -> list[TopicPartition]:
        # Not by the admin client: where the coordinator has just moved, its question ends the process (librdkafka 2.16.0).
        conf = {"bootstrap.servers": self.bootstrap, "group.id": group, "enable.auto.commit": False, **_QUIET}
        consumer = Consumer(conf)
        try:
            numbers = self.admin.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
            found = _asked_again(consumer, [TopicPartition(topic, number) for number in numbers])
        finally:
            consumer.close()
        for each in found:
            if each.error:
                raise KafkaException(each.error)
        return [each for each in found if each.offset >= 0]

    def reset_offsets(self, group: str, topic: str, offsets: Mapping[int, int], metadata: str = "") -> None:
        """Commit for an idle group from outside, as `kafka-consumer-groups --reset-offsets` does."""
        parts = [TopicPartition(topic, number, offset, metadata) for number, offset in offsets.items()]
        future = self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, parts)])[group]
        for each in future.result(_ANSWER_SECONDS).topic_partitions:
            if each.error:
                raise KafkaException(each.error)

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records below these offsets, as retention does."""
        parts = [TopicPartition(topic, number, offset) for number, offset in before.items()]
        for future in self.admin.delete_records(parts).values():
            future.result(_ANSWER_SECONDS)

    def read(self, topic: str, *, seconds: float = _ANSWER_SECONDS) -> list[Message]:
        """Every record of a topic up to its present end, committed ones only, by partition and offset."""
        ends = self.end_offsets(topic)
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": self.unique("reader"), "enable.partition.eof": True}
            | {"enable.auto.commit": False, "auto.offset.reset": "earliest", **_QUIET}
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in ends])
        open_parts = set(ends)
        found: list[Message] = []
        deadline = time.monotonic() + seconds
        while open_parts and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    found.append(message)
                else:
                    open_parts.discard(message.partition() or 0)
        consumer.close()
        return sorted(found, key=lambda each: (each.partition() or 0, each.offset() or 0))

    def _offsets(self, topic: str, spec: OffsetSpec) -> dict[int, int]:
        partitions = self.admin.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
        asked = {TopicPartition(topic, number): spec for number in partitions}
        futures = self.admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {part.partition: future.result(_ANSWER_SECONDS).offset for part, future in futures.items()}

    def await_leaders(self, name: str) -> None:
        """Wait until every partition of a topic answers again."""
        self._await_partitions(name, len(self.admin.list_topics(name, timeout=_ANSWER_SECONDS).topics[name].partitions))

    def _await_partitions(self, name: str, count: int) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while time.monotonic() < deadline:
            found = self.admin.list_topics(timeout=_ANSWER_SECONDS).topics.get(name)
            if found and len(found.partitions) == count and self._led(name):
                return
            time.sleep(0.02)
        raise RuntimeError(f"topic {name} has not {count} led partitions")

    def _led(self, name: str) -> bool:
        try:
            self.end_offsets(name)
        except (KafkaException, TimeoutError):
            return False
        return True

    def _chosen(self, number: int | None) -> list[Node]:
        return [node for node in self.nodes if number in (None, node.number)]


def _asked_again(consumer: Consumer, parts: list[TopicPartition]) -> list[TopicPartition]:
    """What is committed, asked again while the coordinator has just come to be."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            return consumer.committed(parts, timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            if error.args[0].code() not in _COMING or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _send(producer: Producer, topic: str, records: Iterable[Sent | bytes]) -> None:
    for each in records:
        record = Sent(each) if isinstance(each, bytes) else each
        while True:
            try:
                producer.produce(
                    topic,
                    record.value,
                    record.key,
                    record.partition,
                    timestamp=record.timestamp,
                    headers=list(record.headers) if record.headers else None,
                )
                break
            except BufferError:
                producer.poll(0.1)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-8:]) if path.exists() else ""
