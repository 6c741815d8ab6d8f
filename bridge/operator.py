"""What an operator asks of the running bridge, carried to the delivery thread and its answer brought back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from bridge.delivery import operate
from bridge.delivery.delivery import Delivery
from bridge.delivery.operate import Declined
from bridge.flow import TopicPartition
from bridge.kafka.numbers import Numbers
from bridge.observe.actions import RefusedError, Target
from bridge.observe.logs import Logs
from bridge.road import Road

_PAST_SECONDS = 10.0
"""So long it may take until the Kafka thread stands behind what it goes past."""
Result = TypeVar("Result")


class Operator:
    """Implements `observe.actions.Controls`; used in the main thread's loop."""

    def __init__(self, road: Road, logs: Logs, numbers: Numbers) -> None:
        self._road = road
        self._numbers = numbers
        self._logs = logs

    async def _have(self, do: Callable[[Delivery, int], Result]) -> Result:
        """Have something done by the delivery thread, and wait for what came of it. Raises `RefusedError`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def ask(delivery: Delivery, _: float, now_ms: int) -> None:
            try:
                result = do(delivery, now_ms)
            except Exception as error:  # noqa: BLE001 (carried over to whoever asked)
                loop.call_soon_threadsafe(_fail, done, error)
            else:
                loop.call_soon_threadsafe(_end, done, result)

        self._road.ask(ask)
        try:
            return await done
        except Declined as error:
            raise RefusedError(str(error)) from None

    async def pause(self, target: Target, reason: str) -> str:
        """Stop the target's partitions until `resume`."""

        def do(delivery: Delivery, now_ms: int) -> list[TopicPartition]:
            chosen = _chosen(delivery, target)
            for scope in chosen:
                operate.pause(delivery, scope, reason, now_ms)
            return chosen

        chosen = await self._have(do)
        return f"paused {_listed(chosen)}; bridge resume {target} goes on"

    async def resume(self, target: Target, reason: str) -> str:
        """Lift what may be lifted on the target's partitions."""
        del reason

        def do(delivery: Delivery, _: int) -> list[TopicPartition]:
            return [scope for scope in _chosen(delivery, target) if operate.resume(delivery, scope)]

        lifted = await self._have(do)
        if not lifted:
            message = f"nothing on {target} waits for resume; see `bridge status` for what lifts a hold"
            raise RefusedError(message)
        return f"resumed {_listed(lifted)}"

    async def skip(self, topic: str, partition: int, offset: int, reason: str) -> str:
        """Give one record to the dead-letter topic."""
        await self._have(lambda delivery, now_ms: operate.skip(delivery, (topic, partition), offset, reason, now_ms))
        return f"{topic}:{partition}:{offset} goes to the dead-letter topic"

    async def skip_unreadable(self, topic: str, partition: int, offsets: tuple[int, int], reason: str) -> str:
        """Go on behind what cannot be read, and wait until it is so."""
        del reason
        (first, to), name = offsets, (topic, partition)
        known = self._numbers.partitions.get(name)
        if known is None or known.unreadable is None or known.position != first:
            message = (
                f"{topic}:{partition} does not stand at offset {first} for what cannot be read: see `bridge status`"
            )
            raise RefusedError(message)
        await self._have(lambda delivery, _: operate.go_past(delivery, name, first, to))
        until = time.monotonic() + _PAST_SECONDS
        while time.monotonic() < until:
            now = self._numbers.partitions.get(name)
            if now is not None and now.position >= to:
                return f"{topic}:{partition} goes on at {to}; at most {to - first} records are counted as lost"
            await asyncio.sleep(0.1)
        message = f"{topic}:{partition} was not gone past in {_PAST_SECONDS:.0f} s: see `bridge status`"
        raise RefusedError(message)

    async def accept_rewind(self, token: str, reason: str) -> str:
        """Send again what the token stands for."""
        del reason
        topic, partition = await self._have(lambda delivery, _: operate.accept_rewind(delivery, token))
        return f"{topic}:{partition} sends again"

    async def set_log_level(self, level: str, reason: str) -> str:
        """Log from this level on."""
        del reason
        before = self._logs.level
        self._logs.set_level(level)
        return f"log level {before} → {level}"


def _chosen(delivery: Delivery, target: Target) -> list[TopicPartition]:
    chosen = [
        name for name in delivery.parts if target.topic in (None, name[0]) and target.partition in (None, name[1])
    ]
    if not chosen:
        message = f"no partition of {target} is assigned to this process"
        raise Declined(message)
    return sorted(chosen)


def _listed(scopes: list[TopicPartition]) -> str:
    shown = ", ".join(f"{topic}:{partition}" for topic, partition in scopes[:10])
    return shown + (f" and {len(scopes) - 10} more" if len(scopes) > 10 else "")


def _end(done: asyncio.Future[Result], result: Result) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Result], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
