"""The way of a record, from top to bottom:

    source     `kafka.client.thread.KafkaThread` polls, splits what came into runs per partition, hands them to `intake`
    lanes      `delivery.batch`: what comes behind a call that keeps its lane busy waits; the rest goes on as a run
    decode     bytes → values, inside the topic's run mapper of `rules.map`
    map        values → events, what nobody wants, and faults: in columns, once per record
    batch      `delivery.batcher`: the run joins the open batch, which is sealed when it is full or `linger` old
    deliver    `suprsend.transport` sends it, `suprsend.answers` judges each of its events, `delivery.calls` decides
    dead letter  `delivery.dead_letters` → the Kafka thread → acknowledged → back here
    finish     `delivery.finish`: the record ends, its lane, its bytes and its place in the ledger are free
    offsets    `offsets.ledger`: everything below the watermark has an outcome
    commit     `Progress` goes to `offsets.commits`, which the Kafka thread asks what to store and commit

In short: source → lanes → decode → map → batch → deliver → (dead letter) → finish → offsets → commit. Lanes are asked
before the rules: a record stays raw until a batch has room for it, so that a reload maps it anew.

Two threads: Kafka's (every consumer and producer call and callback) and this one (every decision and every HTTP call),
joined by `intake` and `orders`, which carry many things at a time. The process's main thread (signals, admin server,
watcher) reaches in by `ask`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from bridge import __version__
from bridge.delivery.core import Delivery
from bridge.delivery.policy import Policy
from bridge.flow import Budget, Intake, Judge, Mapping, Order, Transport

TURN_CALLS = 4
"""Calls that are filled before answers are looked at again: few, so that what is in work stays in the CPU's caches."""
LONGEST_WAIT = 1.0
"""Seconds that the delivery thread sleeps at most: it publishes what it sees that often."""


class KafkaSide(Protocol):
    """The Kafka thread, as the engine drives it."""

    def start(self) -> None: ...
    def wake(self) -> None:
        """There are orders; any thread may call it."""
        ...

    def request_stop(self) -> None: ...
    def join(self, timeout: float) -> bool:
        """Wait for its end; False if it has not come within the seconds given."""
        ...


Ask = Callable[[Delivery, float, int], None]
"""Something to be done by the delivery thread between two turns: (delivery, monotonic seconds, milliseconds)."""


class Engine:
    """Joins source, mapping, delivery and offsets; owns the delivery thread.

    `start` and `stop` are called by the main thread, `intake` by the Kafka thread, `ask` by any.
    """

    def __init__(
        self,
        policy: Policy,
        mapping: Mapping,
        judge: Judge,
        transport: Transport,
        budget: Budget,
        *,
        publish: Ask,
        seed: int | None = None,
    ) -> None:
        self._transport = transport
        self._publish = publish
        self.orders: deque[Order] = deque()
        """For the Kafka thread, which takes from its left."""
        self._inbox: deque[Intake] = deque()
        self._asked: deque[Ask] = deque()
        self.delivery = Delivery(policy, mapping, judge, budget, Random(seed), time.monotonic(), version=__version__)
        """The delivery thread's; others may look at it only when that has ended."""
        self._reader: KafkaSide | None = None
        self._ending = False
        self._published = 0.0
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self.failure: BaseException | None = None
        """Why the delivery thread ended before it was told to: a bug, never a record."""

    def start(self, reader: KafkaSide) -> None:
        """Numbered, so that stop can be read against it: 1. decisions and HTTP, 2. Kafka."""
        self._reader = reader
        self._thread.start()
        reader.start()

    def stop(self, seconds: float) -> bool:
        """Undo `start`; True if everything ended within the time.

        1. Kafka: no new records; what was handed over is drained, committed, then the group is left.
        2. Decisions and HTTP: only now, since the drain needs them.
        """
        deadline = time.monotonic() + seconds
        ended = True
        if self._reader is not None:
            self._reader.request_stop()
            ended = self._reader.join(seconds)
        self._ending = True
        self._transport.wake()
        self._thread.join(max(0.5, deadline - time.monotonic()))
        return ended and not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the delivery thread runs."""
        return self._thread.is_alive()

    def intake(self, items: Sequence[Intake]) -> None:
        """Take what the Kafka thread hands over. Called by that thread; never blocks."""
        self._inbox.extend(items)
        self._transport.wake()

    def ask(self, request: Ask) -> None:
        """Have something done between two turns, before what the Kafka thread hands over from now on. Any thread."""
        self._asked.append(request)
        self._transport.wake()

    def _run(self) -> None:
        try:
            while not self._ending:
                self._turn()
        except BaseException as error:  # noqa: BLE001 (whatever it is, the process must say so and leave)
            self.failure = error
        finally:
            self._transport.close()

    def _turn(self) -> None:
        delivery, transport = self.delivery, self._transport
        at = delivery.wake_at(time.monotonic())
        wait = LONGEST_WAIT if at is None else min(LONGEST_WAIT, at - time.monotonic())
        replies = transport.poll(max(0.0, wait) if not (self._inbox or self._asked) else 0.0)
        now, now_ms = time.monotonic(), time.time_ns() // 1_000_000
        for number, reply in replies:
            delivery.answered(number, reply, now, now_ms)
        while self._asked:
            self._asked.popleft()(delivery, now, now_ms)
        if self._inbox:
            items = [self._inbox.popleft() for _ in range(len(self._inbox))]
            delivery.take(items, now, now_ms)
        for number, body in delivery.starts(now, now_ms, TURN_CALLS):
            transport.start(number, body)
        self._pass_on(delivery.orders(now))
        if now - self._published >= LONGEST_WAIT:
            self._published = now
            self._publish(delivery, now, now_ms)

    def _pass_on(self, orders: deque[Order]) -> None:
        if orders and self._reader is not None:
            self.orders.extend(orders)
            orders.clear()
            self._reader.wake()
