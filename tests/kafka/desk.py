"""A small delivery side for the tests of the Kafka thread: it finishes what may be handed over, or does not."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, Thread
from typing import Any, Self

from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Budget,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    EndReached,
    Intake,
    KafkaState,
    Lost,
    Order,
    Progress,
    Record,
    Records,
    Revoking,
    SendLimitCommitted,
    Sought,
    TopicPartition,
)
from bridge.kafka.client.pauses import Pauses
from bridge.kafka.client.thread import KafkaThread
from bridge.kafka.config import Clients, clients_of
from bridge.offsets.ledger import Ledger
from bridge.settings.kafka import Kafka

DEAD = 120.0
"""Seconds without what is waited for after which a thread is dead, and not slow."""


class Part:
    """A partition as this side knows it."""

    def __init__(self, item: Assigned) -> None:
        self.epoch = item.epoch
        self.start = item.start
        self.ledger = Ledger(item.start)
        self.send_limit = -1
        self.seek: int | None = None
        """Given back from here on: what comes before the Kafka thread has sought it does not count."""

    def give_back(self, offsets: range) -> None:
        """Let go of records that are to be read again."""
        self.seek = offsets.start
        self.ledger.give_back(offsets)


class Desk:
    """Stands for the delivery thread. Tests change the public fields and wait with `until`."""

    def __init__(self, clients: Clients, *, budget: int = 64 * 1024 * 1024, pauses: Pauses | None = None) -> None:
        self.room = Budget(budget)
        self.orders: deque[Order] = deque()
        self.seen: list[Intake] = []
        self.records: list[Record] = []
        """Everything that was read, in order; what was not finished is read again after a revoke."""
        self.finished: list[Record] = []
        self.finished_at: list[tuple[float, Record]] = []
        """The same with the monotonic time of each."""
        self.parts: dict[TopicPartition, Part] = {}
        self.states: list[KafkaState] = []
        self.clusters: list[str] = []
        self.written: dict[int, str | None] = {}
        self.stalled = False
        self.keep: set[tuple[str, int, int]] = set()
        """Records (topic, partition, offset) that get no outcome."""
        self.answer_drains = True
        self.sent_too_early = 0
        self._intake: deque[list[Intake]] = deque()
        self._news = Condition()
        self._over = False
        self.kafka = KafkaThread(
            clients, self.room, self._take, self.orders, on_cluster=self.clusters.append, pauses=pauses
        )
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.kafka.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the Kafka thread, then this side."""
        self.kafka.request_stop()
        ended = self.kafka.join(DEAD)
        with self._news:
            self._over = True
            self._news.notify_all()
        self._thread.join(DEAD)
        assert ended, "the Kafka thread did not end"
        assert self.kafka.error is None, self.kafka.error
        assert self.kafka.counters.callback_errors == 0
        assert self.kafka.counters.refused_progress == 0

    def until(self, true: Callable[[], object], seconds: float = DEAD, what: str = "") -> None:
        """Wait until something is true; fails after so long, and never before only a dead thread misses it."""
        seconds = max(seconds, DEAD)
        deadline = time.monotonic() + seconds
        with self._news:
            while not true():
                left = deadline - time.monotonic()
                assert left > 0, f"waited {seconds} s for {what or 'it'}; {self._seen_last()}"
                self._news.wait(min(left, 0.02))

    def _seen_last(self) -> str:
        """For a failure: a Kafka thread that is stuck has not polled for long, one whose client is stuck polls."""
        return f"state {self.states[-1:]}, polled {time.monotonic() - self.kafka.heartbeat:.1f} s ago"

    def order(self, *orders: Order) -> None:
        self.orders.extend(orders)
        self.kafka.wake()

    def dead_letter(self, ticket: int, record: Record, headers: Iterable[tuple[str, bytes]] = ()) -> None:
        self.order(DeadLetter(ticket, record, tuple(headers)))

    def values(self) -> list[bytes | None]:
        return [record.value() for record in list(self.records)]

    def of(self, kind: type) -> list[Intake]:
        return [item for item in list(self.seen) if isinstance(item, kind)]

    def _take(self, items: list[Intake]) -> None:
        with self._news:
            self._intake.append(items)
            self._news.notify_all()

    def _run(self) -> None:
        while not self._over:
            with self._news:
                if not self._intake:
                    self._news.wait(0.02)
                batches = list(self._intake)
                self._intake.clear()
            for items in batches:
                for item in items:
                    self._one(item)
            self._finish()
            with self._news:
                self._news.notify_all()

    def _one(self, item: Intake) -> None:
        self.seen.append(item)
        match item:
            case Assigned():
                self.parts[item.topic, item.partition] = Part(item)
            case Records():
                part = self.parts[item.topic, item.partition]
                assert part.epoch == item.epoch
                self.room.seen_records += len(item.records)
                if part.seek is None:
                    self.records += part.ledger.accept(item.records)
            case EndReached():
                part = self.parts[item.topic, item.partition]
                if part.seek is None:
                    part.ledger.end(item.offset)
            case Sought():
                part = self.parts[item.topic, item.partition]
                part.seek = None
            case SendLimitCommitted():
                part = self.parts[item.topic, item.partition]
                part.send_limit = max(part.send_limit, item.send_limit)
            case Revoking():
                self._drain(item)
            case Lost():
                for name in item.partitions:
                    self.parts.pop(name, None)
            case DeadLetterWritten():
                self.written[item.ticket] = item.error
            case KafkaState():
                self.states.append(item)

    def _drain(self, item: Revoking) -> None:
        if not self.answer_drains:
            return
        self._finish()
        for name in item.partitions:
            part = self.parts.pop(name)
            self.order(Drained(self._progress(name, part), max(part.ledger.top, part.start.send_limit)))

    def _finish(self) -> None:
        if self.stalled:
            return
        for name, part in self.parts.items():
            ledger = part.ledger
            done = [
                offset for offset in ledger.unfinished if offset <= part.send_limit and (*name, offset) not in self.keep
            ]
            for offset in done:
                record = ledger.unfinished.pop(offset)
                assert record is not None
                self.finished.append(record)
                self.finished_at.append((time.monotonic(), record))
                ledger.top = max(ledger.top, offset)
                self.room.free(name[0], len(record) + RECORD_OVERHEAD)
            self.order(self._progress(name, part))

    def _progress(self, name: TopicPartition, part: Part) -> Progress:
        runs = part.ledger.runs()
        return Progress(*name, part.epoch, part.ledger.watermark, part.ledger.top if runs else -1, runs)


def settings(bootstrap: str, topics: Iterable[str], group: str, **more: Any) -> Kafka:
    """Settings of the `kafka` section for a test broker."""
    values: dict[str, Any] = {
        "bootstrap_servers": tuple(bootstrap.split(",")),
        "topics": tuple(topics),
        "group_id": group,
        "dead_letter_topic": "dead-letters",
        "start_from": "earliest",
        "drain": "5s",
    }
    return Kafka.model_validate(values | more)


def desk(bootstrap: str, topics: Iterable[str], group: str, *, budget: int = 64 * 1024 * 1024, **more: Any) -> Desk:
    """A Kafka thread and its other side, ready to be entered."""
    return Desk(clients_of(settings(bootstrap, topics, group, **more)), budget=budget)
