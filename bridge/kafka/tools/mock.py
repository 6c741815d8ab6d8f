"""An embedded Kafka for the demo and for tests: librdkafka's mock cluster, reached with ctypes.

It speaks the real protocol on 127.0.0.1 from threads of this process. It keeps about 5 MB per partition (older
records go away), has no TLS, no transactions and few admin calls.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Producer, cimpl

_INT16: Final = ctypes.c_int16
_INT32: Final = ctypes.c_int32
_INT64: Final = ctypes.c_int64
_TEXT: Final = ctypes.c_char_p
_POINTER: Final = ctypes.c_void_p
_PRODUCER: Final = 0

API_KEYS: Final[Mapping[str, int]] = {
    "Produce": 0,
    "Fetch": 1,
    "ListOffsets": 2,
    "Metadata": 3,
    "OffsetCommit": 8,
    "OffsetFetch": 9,
    "FindCoordinator": 10,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "LeaveGroup": 13,
    "SyncGroup": 14,
    "InitProducerId": 22,
    "ConsumerGroupHeartbeat": 68,
}
"""Names of the protocol's requests, as `fail_requests` takes them."""

_SIGNATURES: Final[Mapping[str, tuple[object, tuple[object, ...]]]] = {
    "rd_kafka_conf_new": (_POINTER, ()),
    "rd_kafka_conf_set": (ctypes.c_int, (_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t)),
    "rd_kafka_new": (_POINTER, (ctypes.c_int, _POINTER, _TEXT, ctypes.c_size_t)),
    "rd_kafka_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_new": (_POINTER, (_POINTER, ctypes.c_int)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, (_POINTER,)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_POINTER, _INT32)),
    "rd_kafka_mock_topic_create": (ctypes.c_int, (_POINTER, _TEXT, ctypes.c_int, ctypes.c_int)),
    "rd_kafka_mock_topic_delete": (ctypes.c_int, (_POINTER, _TEXT)),
    "rd_kafka_mock_partition_delete_records": (ctypes.c_int, (_POINTER, _TEXT, _INT32, _INT64)),
    "rd_kafka_mock_broker_set_rtt": (ctypes.c_int, (_POINTER, _INT32, ctypes.c_int)),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        (_POINTER, _INT16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)),
    ),
}


def _library() -> ctypes.CDLL:
    """Load librdkafka's functions through the extension module that is linked with it, wherever it was installed."""
    library = ctypes.CDLL(cimpl.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


class MockCluster:
    """A mock Kafka cluster, up from construction until `close()`; a context manager. Any thread may call it.

    `topics` maps names to numbers of partitions. Brokers are numbered from 1.
    """

    def __init__(self, topics: Mapping[str, int] | None = None, *, brokers: int = 1) -> None:
        self._library = _library()
        error = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", error, len(error))
        self._owner = self._library.rd_kafka_new(_PRODUCER, settings, error, len(error))
        if not self._owner:
            raise RuntimeError(f"librdkafka could not make a handle: {error.value.decode(errors='replace')}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._owner, brokers)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._owner)
            raise RuntimeError("librdkafka could not start its mock cluster")
        self._brokers = brokers
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for name, partitions in (topics or {}).items():
            self.create_topic(name, partitions)

    @property
    def bootstrap(self) -> str:
        """Addresses for `bootstrap.servers`."""
        text: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return text.decode("ascii")

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic; raises RuntimeError where it exists with another number of partitions."""
        self._check(
            "topic_create", self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        )

    def delete_topic(self, name: str) -> None:
        self._check("topic_delete", self._library.rd_kafka_mock_topic_delete(self._cluster, name.encode()))

    def fail_requests(self, request: str, errors: Sequence[int]) -> None:
        """Answer the next requests of a kind (see `API_KEYS`) with these Kafka error codes, one each; 0 is success."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, API_KEYS[request], len(errors), codes)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Delete the records below the offset `before`, as retention does."""
        code = self._library.rd_kafka_mock_partition_delete_records(self._cluster, topic.encode(), partition, before)
        self._check("partition_delete_records", code)

    def set_round_trip(self, milliseconds: int, broker: int | None = None) -> None:
        """Answer every request this much later."""
        for number in self._numbers(broker):
            code = self._library.rd_kafka_mock_broker_set_rtt(self._cluster, number, milliseconds)
            self._check("broker_set_rtt", code)

    def close(self) -> None:
        """Stop the cluster. Close its clients first."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._owner)
            self._cluster = self._owner = None

    def _numbers(self, broker: int | None) -> Sequence[int]:
        return range(1, self._brokers + 1) if broker is None else (broker,)

    def _check(self, what: str, code: int) -> None:
        if code:
            raise RuntimeError(f"the mock cluster refused {what} with error {code}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DemoProducer:
    """Not for two threads at once."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
        self.failed = 0

    def write(self, topic: str, key: bytes, value: bytes) -> None:
        """Hand one record to the producer; waits while its queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key=key, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: object, _: object) -> None:
        self.failed += error is not None

    def flush(self, seconds: float = 10.0) -> int:
        """Wait until everything is written; returns how many are not."""
        return self._producer.flush(seconds) + self.failed
