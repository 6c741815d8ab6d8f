"""What an operator asks of the running bridge, carried to the delivery thread and its answer brought back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from bridge.delivery import operate
from bridge.delivery.core import Delivery
from bridge.delivery.holds import KINDS, Reason
from bridge.delivery.operate import Declined
from bridge.delivery.pauses import Aim, covers
from bridge.flow import TopicPartition
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.pauses import Pauses, Taken, UnsaidError
from bridge.observe.actions import RefusedError, Target
from bridge.observe.logs import Logs
from bridge.service.engine import Road

_PAST_SECONDS = 10.0
"""So long it may take until the Kafka thread stands behind what it goes past."""
Result = TypeVar("Result")


class Operator:
    """Implements `observe.actions.Controls`; used in the main thread's loop."""

    def __init__(self, road: Road, pauses: Pauses, logs: Logs, topics: Sequence[str], counters: KafkaCounters) -> None:
        self._road = road
        self._pauses = pauses
        self._counters = counters
        self._logs = logs
        self._topics = tuple(topics)

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
        """Stop the target's partitions, here and wherever they are, until `resume`."""
        aims = self._aims(target)
        taken = await self._say(aims, reason, paused=True)
        here = await self._have(lambda delivery, _: _here(delivery, aims))
        stopped = f"stopped here: {_listed(here)}" if here else "nothing of it is here"
        if taken.kept is not None:
            return f"paused {target} in this process alone, until it ends ({taken.kept}); {stopped}"
        how = f'it lasts until: suprsend-bridge resume {_word(target)} --reason "…"'
        return f"paused {target}; {stopped}; other processes stop theirs within 5 s; {how}"

    async def resume(self, target: Target, reason: str) -> str:
        """Lift what may be lifted on the target's partitions: where somebody paused one that alone, else other holds."""
        aims = self._aims(target)
        paused = await self._have(
            lambda delivery, _: [name for name in _here(delivery, aims) if _paused(delivery, name)]
        )
        taken = await self._say(aims, reason, paused=False)
        ended = sorted({*paused, *taken.names})

        def lift(delivery: Delivery, _: int) -> tuple[list[TopicPartition], list[str]]:
            here = _here(delivery, aims)
            lifted = [scope for scope in here if scope not in ended and operate.resume(delivery, scope)]
            return lifted, [text for scope in here if scope in ended for text in _still(delivery, scope)]

        lifted, still = await self._have(lift)
        if not (ended or lifted):
            message = f"nothing on {target} waits for resume; see `suprsend-bridge status` for what lifts a hold"
            raise RefusedError(message)
        others = "; other processes follow within 5 s" if set(ended) - set(paused) else ""
        return f"resumed {_listed(sorted({*ended, *lifted}))}{others}" + "".join(f"; {text}" for text in still)

    def _aims(self, target: Target) -> tuple[Aim, ...]:
        if target.topic is None:
            return tuple((topic, None) for topic in self._topics)
        if target.topic not in self._topics:
            message = f"{target.topic} is not among kafka.topics: {', '.join(self._topics)}"
            raise RefusedError(message)
        return ((target.topic, target.partition),)

    async def _say(self, aims: tuple[Aim, ...], reason: str, *, paused: bool) -> Taken:
        try:
            return await asyncio.wrap_future(self._pauses.say(aims, reason, paused=paused))
        except UnsaidError as error:
            raise RefusedError(str(error)) from None

    async def skip(self, topic: str, partition: int, offset: int, reason: str) -> str:
        """Give one record to the dead-letter topic."""
        await self._have(lambda delivery, now_ms: operate.skip(delivery, (topic, partition), offset, reason, now_ms))
        return f"{topic}:{partition}:{offset} goes to the dead-letter topic"

    async def skip_unreadable(self, topic: str, partition: int, offsets: tuple[int, int], reason: str) -> str:
        """Go on behind what cannot be read, and wait until it is so."""
        del reason
        (first, to), name = offsets, (topic, partition)
        known = self._counters.partitions.get(name)
        if known is None or known.unreadable is None or known.position != first:
            message = f"{topic}:{partition} does not stand at offset {first} for what cannot be read: see `suprsend-bridge status`"
            raise RefusedError(message)
        await self._have(lambda delivery, _: operate.go_past(delivery, name, first, to))
        until = time.monotonic() + _PAST_SECONDS
        while time.monotonic() < until:
            now = self._counters.partitions.get(name)
            if now is not None and now.position >= to:
                return f"{topic}:{partition} goes on at {to}; at most {to - first} records are counted as lost"
            await asyncio.sleep(0.1)
        message = f"{topic}:{partition} was not gone past in {_PAST_SECONDS:.0f} s: see `suprsend-bridge status`"
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


def _here(delivery: Delivery, aims: Sequence[Aim]) -> list[TopicPartition]:
    """The partitions of this process that are spoken of."""
    return sorted(name for name in delivery.parts if any(covers(aim, name) for aim in aims))


def _paused(delivery: Delivery, name: TopicPartition) -> bool:
    return Reason.OPERATOR in delivery.holds.on(name)


def _still(delivery: Delivery, scope: TopicPartition) -> list[str]:
    """What else holds a partition whose pause has ended."""
    return [
        f"{scope[0]}:{scope[1]} is still held ({reason}), lifted by {KINDS[reason].lifted_by}"
        for reason in delivery.holds.on(scope)
        if reason is not Reason.OPERATOR
    ]


def _word(target: Target) -> str:
    """The target as the command takes it."""
    return "all" if target.topic is None else str(target)


def _listed(scopes: list[TopicPartition]) -> str:
    shown = ", ".join(f"{topic}:{partition}" for topic, partition in scopes[:10])
    return shown + (f" and {len(scopes) - 10} more" if len(scopes) > 10 else "")


def _end(done: asyncio.Future[Result], result: Result) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Result], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
