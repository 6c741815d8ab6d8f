"""What the actions of an operator work with: it carries them to the delivery thread and brings the answer back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bridge.delivery.core import Delivery
from bridge.delivery.operate import Declined
from bridge.delivery.pauses import Aim, covers
from bridge.flow import TopicPartition
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.pauses import PauseResult, Pauses, UnsaidError
from bridge.observe.actions import RefusedError, Target
from bridge.observe.logs import Logs
from bridge.service.engine import Engine

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Operator:
    """Used in the main thread's loop, by `bridge.service.actions` alone. Whatever it awaits raises `RefusedError`."""

    engine: Engine
    pauses: Pauses
    logs: Logs
    topics: tuple[str, ...]
    counters: KafkaCounters

    async def have(self, do: Callable[[Delivery, int], Done]) -> Done:
        """Have something done by the delivery thread, and wait for what came of it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Done] = loop.create_future()

        def ask(delivery: Delivery, _: float, now_ms: int) -> None:
            try:
                result = do(delivery, now_ms)
            except Exception as error:  # noqa: BLE001 (carried over to whoever asked)
                loop.call_soon_threadsafe(_fail, done, error)
            else:
                loop.call_soon_threadsafe(_end, done, result)

        self.engine.ask(ask)
        try:
            return await done
        except Declined as error:
            raise RefusedError(str(error)) from None

    async def say(self, aims: Sequence[Aim], reason: str, *, paused: bool) -> PauseResult:
        """Write a pause or its end into Kafka."""
        try:
            return await asyncio.wrap_future(self.pauses.say(tuple(aims), reason, paused=paused))
        except UnsaidError as error:
            raise RefusedError(str(error)) from None

    def aims(self, target: Target) -> tuple[Aim, ...]:
        """What a target speaks of. Raises `RefusedError` for a topic that is not read."""
        if target.topic is None:
            return tuple((topic, None) for topic in self.topics)
        if target.topic not in self.topics:
            message = f"{target.topic} is not among kafka.topics: {', '.join(self.topics)}"
            raise RefusedError(message)
        return ((target.topic, target.partition),)

    def here(self, delivery: Delivery, aims: Sequence[Aim]) -> list[TopicPartition]:
        """The partitions of this process that are spoken of. The delivery thread's."""
        return sorted(name for name in delivery.parts if any(covers(aim, name) for aim in aims))


def _end(done: asyncio.Future[Done], result: Done) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Done], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
