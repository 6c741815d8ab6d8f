"""Records of which it is known what must become of each, by the place where Kafka put them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from bridge import jsontext
from bridge.rules.map.key import key_maker
from tests.soak.facts import Column, Kind, Made, Name

NAMESPACE: Final = "soak"
RULE: Final = "placed"
EVENT: Final = "order_placed"
LANES: Final = 500
RULES: Final = """\
version: 1
rules:
  - name: placed
    topics: [{topics}]
    when: .type == "placed"
    event: order_placed
    distinct_id: ${{ .who }}
    properties:
      number: ${{ .n }}
      text: ${{ .id }} for ${{ .who }}
"""
_ALL: Final = range(LANES)
_FLUSH_SECONDS: Final = 120.0
_BEYOND_ALL: Final = 1 << 62

MIX: Final[Mapping[Kind, float]] = {
    Kind.FILTERED: 0.05,
    Kind.UNREADABLE: 0.002,
    Kind.UNMAPPED: 0.002,
    Kind.REFUSED: 0.004,
}
"""Shares of all records; the rest is to be delivered."""
CLEAN: Final[Mapping[Kind, float]] = {Kind.FILTERED: 0.05}


class Load:
    """Produces, and remembers. `produce` may be called by one thread at a time."""

    def __init__(self, bootstrap: str, random: Random) -> None:
        self._random = random
        self._made = 0
        self._columns: dict[Name, Column] = {}
        self.padding = b""
        """Bytes that make each record larger; nothing of them comes into the event."""
        self.past: set[str] = set()
        """Keys of records whose topic was deleted since, or which retention took before or after they were sent."""
        self.born_ms: dict[str, int] = {}
        """When a topic was made anew, or lost records: commits from before speak of other records."""
        self._failed: list[str] = []
        self._bootstrap = bootstrap
        self._producer = self._client()

    def _client(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": 110_000,
                "request.timeout.ms": 10_000,
                "topic.metadata.refresh.interval.ms": 1_000,
                "log_level": 0,
            }
        )

    def renew(self) -> None:
        """Go on with another producer: brokers that lost records do not take the numbers of the one before."""
        self._producer = self._client()

    def made(self) -> int:
        """How many records were produced in all, acknowledged or not yet."""
        return self._made

    def columns(self) -> dict[Name, Column]:
        """All records acknowledged so far, by partition. Not while something is being produced."""
        for column in self._columns.values():
            column.settle()
        return dict(self._columns)

    def forget(self, topic: str) -> None:
        """A topic was deleted, with all that was in it; it is about to be made anew."""
        gone = [name for name in self._columns if name[0] == topic]
        for name in gone:
            self.past.update(self._columns.pop(name).keys())
        self.born_ms[topic] = time.time_ns() // 1_000_000

    def lose(self, name: Name, first: int, last: int) -> int:
        """Retention has taken these records, both ends included: nobody can ask for them. How many they were."""
        column = self._columns.get(name)
        return column.lose(first, last) if column is not None else 0

    def cut(self, name: Name, at: int) -> None:
        """Kafka has lost the records from this offset on, and gives their offsets to others."""
        column = self._columns[name]
        known = set(column.keys())
        column.lose(at, _BEYOND_ALL)
        self.past |= known.difference(column.keys())
        self.born_ms[name[0]] = time.time_ns() // 1_000_000

    def produce(
        self,
        topics: Sequence[str],
        count: int,
        mix: Mapping[Kind, float] = MIX,
        *,
        partition: int = -1,
        lanes: Sequence[int] = _ALL,
    ) -> None:
        """Produce so many records and wait until Kafka has them; raises RuntimeError where it does not take them."""
        self.hand_over(topics, count, mix, partition=partition, lanes=lanes)
        self.flush()

    def flush(self) -> None:
        """Wait until Kafka has all of them; raises RuntimeError where it does not take them."""
        if self._producer.flush(_FLUSH_SECONDS) or self._failed:
            raise RuntimeError(f"Kafka did not take all records: {self._failed[:1]}")

    def hand_over(
        self,
        topics: Sequence[str],
        count: int,
        mix: Mapping[Kind, float] = MIX,
        *,
        partition: int = -1,
        lanes: Sequence[int] = _ALL,
    ) -> None:
        """Produce so many records, and do not wait for the last of them."""
        draw, several = self._random.random, len(topics) > 1
        for _ in range(count):
            topic = self._random.choice(topics) if several else topics[0]
            self._made += 1
            made = Made(_drawn(draw(), mix), lanes[int(draw() * len(lanes))], self._made, time.time_ns() // 1_000_000)
            self._one(topic, made, partition)
        self._producer.poll(0)

    def _one(self, topic: str, made: Made, partition: int) -> None:
        kind, lane, number, at_ms = made
        body = b'{"half": ' + self.padding if kind is Kind.UNREADABLE else self._body(topic, made)
        taken = self._taken(topic, made)
        while True:
            try:
                self._producer.produce(topic, body, b"u%d" % lane, partition, on_delivery=taken, timestamp=at_ms)
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        if not number % 100:
            self._producer.poll(0)  # takes in what was acknowledged

    def _body(self, topic: str, made: Made) -> bytes:
        value: dict[str, object] = {
            "id": f"{topic}-{made.number}",
            "type": "viewed" if made.kind is Kind.FILTERED else "placed",
            "n": made.number,
        }
        if made.kind is not Kind.UNMAPPED:
            value["who"] = made.who
        if self.padding:
            value["padding"] = self.padding.decode()
        return jsontext.dumps(value)

    def _taken(self, topic: str, made: Made) -> Callable[[KafkaError | None, Message], None]:
        def taken(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed.append(str(error))
                return
            name = (topic, message.partition() or 0)
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = Column(name, key_maker(NAMESPACE, topic, RULE, EVENT))
            column.add(message.offset() or 0, made)

        return taken


def _drawn(at: float, mix: Mapping[Kind, float]) -> Kind:
    for kind, share in mix.items():
        if at < share:
            return kind
        at -= share
    return Kind.DELIVERED


class Feeder:
    """Produces small portions in a thread of its own until it is told to stop."""

    def __init__(
        self, load: Load, topics: Sequence[str], *, per_second: int, most: int, may: Callable[[], bool] | None = None
    ) -> None:
        """`may` is asked before each portion: whether the load may go on, or is far enough ahead."""
        self._load = load
        self._topics = topics
        self._portion = max(1, per_second // 10)
        self._left = most
        self._may = may or (lambda: True)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """All is produced, or something went wrong."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End, and raise what went wrong."""
        self._stop.set()
        self._thread.join(150)
        if self._failure is not None:
            raise self._failure
        if self._thread.is_alive():
            raise RuntimeError("the load could not be stopped")

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while self._left > 0:
                due = max(due + 0.1, time.monotonic())
                if self._may():
                    self._load.hand_over(self._topics, min(self._portion, self._left))
                    self._left -= self._portion
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    break
            self._load.flush()
        except BaseException as error:  # noqa: BLE001 - handed to whoever stops it
            self._failure = error
