"""Dead letters that are on their way when their producer is let go."""

from __future__ import annotations

import time
from collections.abc import Callable

from bridge.flow import DeadLetter, DeadLetterWritten, PlainRecord
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer
from bridge.kafka.config import Conf
from bridge.kafka.tools.mock import MockCluster


def test_every_letter_ends_when_its_producer_is_let_go() -> None:
    """Also one whose request is with the broker: it counts as not written, or it would hold its partition for ever."""
    told: list[DeadLetterWritten] = []
    with MockCluster({"dead": 1}) as cluster:
        conf: Conf = {
            "bootstrap.servers": cluster.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "log_level": 0,
        }
        letters = DeadLetterProducer(lambda: conf, "dead", told.append, KafkaCounters())
        letters.send(DeadLetter(0, PlainRecord("dead", 0, 0, b"a"), ()))
        _pump(letters, lambda: len(told) == 1)
        cluster.set_round_trip(60_000)
        for ticket in range(1, 30):
            letters.send(DeadLetter(ticket, PlainRecord("dead", 0, ticket, b"a"), ()))
        _pump(letters, lambda: False, seconds=1.0)
        letters.reopen()
        assert sorted(each.ticket for each in told) == list(range(30))
        assert all(each.error for each in told if each.ticket)
        assert not letters.pending()


def _pump(letters: DeadLetterProducer, done: Callable[[], bool], *, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not done():
        letters.pump()
        time.sleep(0.005)
