"""The Kafka to measure on: the one in `KAFKA_BOOTSTRAP_SERVERS`, or a real one started for the run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.bridges import DEAD_LETTERS
from tests.brokers.real import RealKafka

GIVEN = "KAFKA_BOOTSTRAP_SERVERS"


@contextmanager
def kafka() -> Iterator[RealKafka]:
    """A Kafka that answers and has the dead-letter topic; one that was started here is gone afterwards."""
    given = os.environ.get(GIVEN)
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder:
        broker = RealKafka(given) if given else RealKafka.start(Path(folder))
        try:
            broker.await_ready()
            if DEAD_LETTERS not in broker.admin.list_topics(timeout=30).topics:
                broker.create_topic(DEAD_LETTERS)
            yield broker
        finally:
            broker.close()
