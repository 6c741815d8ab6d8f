"""The records that everything is measured on: orders of about 300 bytes of JSON, one in ten of a kind nobody wants."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from confluent_kafka import Producer

from bridge.jsontext import dumps
from tests.brokers.real import RealKafka

PLACED: Final = "order.placed"
OTHER: Final = "order.viewed"
WANTED_OF_TEN: Final = 9
PEOPLE: Final = 200_000
_FLUSH_SECONDS: Final = 300.0


def order(number: int, rng: random.Random, kind: str | None = None) -> dict[str, Any]:
    """One order; `kind` is its type, by default one that the rule wants nine times in ten."""
    return {
        "id": f"o-{number:08d}",
        "type": kind or (PLACED if number % 10 else OTHER),
        "total": rng.randint(100, 99_999),
        "currency": rng.choice(("USD", "EUR", None)),
        "tenant": rng.choice(("acme", "globex")),
        "customer": {"id": f"u{number % PEOPLE}", "first_name": "Ada", "last_name": "Lovelace"},
        "items": [
            {"sku": f"sku-{rng.randint(1, 999)}", "qty": rng.randint(1, 5), "price": rng.randint(100, 9_999)}
            for _ in range(2)
        ],
        "invoice_url": f"https://files.example.com/invoices/{number}.pdf",
    }


def orders(count: int, kinds: Sequence[str] = ()) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of so many records, always the same; `kinds` are the types that take turns, if given."""
    rng = random.Random(1)
    for number in range(count):
        made = order(number, rng, kinds[number % len(kinds)] if kinds else None)
        yield made["customer"]["id"].encode(), dumps(made)


def events_of(count: int) -> int:
    """How many events the rule makes of the first so many orders."""
    return count - (count + 9) // 10


def fill(kafka: RealKafka, topics: Sequence[str], count: int, *, partitions: int, kinds: Sequence[str] = ()) -> None:
    """Fill new topics with so many records in all, in turn. Topics that hold that many already are kept."""
    share, left = divmod(count, len(topics))
    known = kafka.admin.list_topics(timeout=30).topics
    wanted = [topic for topic in topics if topic not in known]
    for topic in wanted:
        kafka.create_topic(topic, partitions)
    missing = {topic for number, topic in enumerate(topics) if _held(kafka, topic) < share + (number < left)}
    if not missing:
        return
    made = ((topics[number % len(topics)], *each) for number, each in enumerate(orders(count, kinds)))
    _write(kafka, (each for each in made if each[0] in missing))


def add(kafka: RealKafka, topic: str, count: int) -> None:
    """Write so many more orders to a topic."""
    _write(kafka, ((topic, key, value) for key, value in orders(count)))


def _write(kafka: RealKafka, records: Iterable[tuple[str, bytes, bytes]]) -> None:
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
            "log_level": 0,
        }
    )
    for topic, key, value in records:
        _produce(producer, topic, key, value)
    if producer.flush(_FLUSH_SECONDS):
        raise RuntimeError("not every record was written")


def _produce(producer: Producer, topic: str, key: bytes, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, key)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _held(kafka: RealKafka, topic: str) -> int:
    return sum(kafka.end_offsets(topic).values())
