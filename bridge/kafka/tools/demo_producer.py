"""A producer for the demo: writes records one by one, keyed."""

from __future__ import annotations

from confluent_kafka import Producer


class Feeder:
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
