"""Records of which it is known what must become of each, by the place where Kafka put them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from bridge import jsontext
from bridge.rules.key import KeyMaker, key_maker

Place = tuple[str, int, int]
"""Topic, partition, offset."""

NAMESPACE: Final = "soak"
RULE: Final = "placed"
EVENT: Final = "order_placed"
REFUSED: Final = "refused-"
"""How the recipients begin whose events the API is told to refuse."""
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
_FLUSH_SECONDS: Final = 120.0


class Kind(StrEnum):
    """What must become of a record."""

    DELIVERED = "delivered"
    FILTERED = "filtered"
    UNREADABLE = "unreadable"
    UNMAPPED = "unmapped"
    REFUSED = "refused"

    @property
    def dead(self) -> bool:
        """It belongs into the dead-letter topic."""
        return self in (Kind.UNREADABLE, Kind.UNMAPPED, Kind.REFUSED)


MIX: Final[Mapping[Kind, float]] = {
    Kind.FILTERED: 0.05,
    Kind.UNREADABLE: 0.002,
    Kind.UNMAPPED: 0.002,
    Kind.REFUSED: 0.004,
}
"""Shares of all records; the rest is to be delivered."""
CLEAN: Final[Mapping[Kind, float]] = {Kind.FILTERED: 0.05}


class Fact(NamedTuple):
    """A record that Kafka has acknowledged. `key` is the idempotency key of its event, empty where there is none."""

    place: Place
    kind: Kind
    lane: str
    key: str


class Load:
    """Produces, and remembers. `produce` may be called by one thread at a time."""

    def __init__(self, bootstrap: str, random: Random) -> None:
        self._random = random
        self._made = 0
        self._facts: dict[Place, Fact] = {}
        self.past: set[str] = set()
        """Keys of records whose topic was deleted since."""
        self.born_ms: dict[str, int] = {}
        """When a topic was made anew: commits from before speak of other records."""
        self._makers: dict[str, KeyMaker] = {}
        self._failed: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": 110_000,
                "request.timeout.ms": 10_000,
                "topic.metadata.refresh.interval.ms": 1_000,
                "log_level": 0,
            }
        )

    def facts(self) -> dict[Place, Fact]:
        """All records acknowledged so far."""
        return dict(self._facts)

    def forget(self, topic: str) -> None:
        """A topic was deleted, with all that was in it; it is about to be made anew."""
        self.past |= {fact.key for place, fact in self._facts.items() if place[0] == topic and fact.key}
        self.born_ms[topic] = time.time_ns() // 1_000_000
        self._facts = {place: fact for place, fact in self._facts.items() if place[0] != topic}

    def lose(self, places: Sequence[Place]) -> None:
        """Retention has taken these records: nobody can ask for them."""
        for place in places:
            self._facts.pop(place, None)

    def produce(
        self, topics: Sequence[str], count: int, mix: Mapping[Kind, float] = MIX, *, partition: int = -1
    ) -> None:
        """Produce so many records and wait until Kafka has them; raises RuntimeError where it does not take them."""
        for _ in range(count):
            self._one(self._random.choice(topics), self._draw(mix), partition)
        if self._producer.flush(_FLUSH_SECONDS) or self._failed:
            raise RuntimeError(f"Kafka did not take all records: {self._failed[:1]}")

    def _draw(self, mix: Mapping[Kind, float]) -> Kind:
        at = self._random.random()
        for kind, share in mix.items():
            if at < share:
                return kind
            at -= share
        return Kind.DELIVERED

    def _one(self, topic: str, kind: Kind, partition: int) -> None:
        self._made += 1
        number = self._made
        lane = f"u{self._random.randrange(500)}"
        who = f"{REFUSED}{number}" if kind is Kind.REFUSED else lane
        at_ms = time.time_ns() // 1_000_000
        value = {"id": f"{topic}-{number}", "type": "viewed" if kind is Kind.FILTERED else "placed", "n": number}
        if kind is not Kind.UNMAPPED:
            value["who"] = who
        body = b'{"half": ' if kind is Kind.UNREADABLE else jsontext.dumps(value)

        def taken(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed.append(str(error))
                return
            self._note(message, kind, lane, who, at_ms)

        while True:
            try:
                self._producer.produce(topic, body, lane.encode(), partition, on_delivery=taken, timestamp=at_ms)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _note(self, message: Message, kind: Kind, lane: str, who: str, at_ms: int) -> None:
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        maker = self._makers.get(topic)
        if maker is None:
            maker = self._makers[topic] = key_maker(NAMESPACE, topic, RULE, EVENT)
        has_key = kind in (Kind.DELIVERED, Kind.REFUSED)
        key = maker(partition, offset, at_ms, who, 0) if has_key else ""
        place = (topic, partition, offset)
        self._facts[place] = Fact(place, kind, f"{topic} {lane}", key)


class Feeder:
    """Produces small portions in a thread of its own until it is told to stop."""

    def __init__(self, load: Load, topics: Sequence[str], *, per_second: int, most: int) -> None:
        self._load = load
        self._topics = topics
        self._portion = max(1, per_second // 10)
        self._left = most
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()

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
            while self._left > 0 and not self._stop.wait(0.1):
                self._load.produce(self._topics, min(self._portion, self._left))
                self._left -= self._portion
        except BaseException as error:  # noqa: BLE001 - handed to whoever stops it
            self._failure = error
