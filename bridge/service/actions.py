"""Every action of an operator, in one table: route, command and reference page come from its row.

To add an action, add a row and the function that does it. The command line reads this table at each start, so what is
needed to do something is imported where it is done.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bridge.observe.actions import (
    Action,
    ActionArgument,
    BadRequestError,
    RefusedError,
    Target,
    parse_partition,
    parse_record,
    parse_target,
    quoted,
)

if TYPE_CHECKING:
    from bridge.delivery.core import Delivery
    from bridge.flow import TopicPartition
    from bridge.service.controls import Operator

__all__ = ["ACTIONS"]

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_PAST_SECONDS: Final = 10.0
"""So long it may take until the Kafka thread stands behind what it goes past."""
_OFFSET: Final = re.compile(r"\d{1,18}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,200}")


def _target(body: Mapping[str, str]) -> tuple[Target]:
    return (parse_target(body.get("target")),)


async def _pause(operator: Operator, target: Target, reason: str) -> str:
    """Stop the target's partitions, here and wherever they are, until `resume`."""
    aims = operator.aims(target)
    taken = await operator.say(aims, reason, paused=True)
    here = await operator.have(lambda delivery, _: operator.here(delivery, aims))
    stopped = f"stopped here: {_listed(here)}" if here else "nothing of it is here"
    if taken.kept is not None:
        return f"paused {target} in this process alone, until it ends ({taken.kept}); {stopped}"
    word = "all" if target.topic is None else str(target)
    how = f'it lasts until: suprsend-bridge resume {word} --reason "…"'
    return f"paused {target}; {stopped}; other processes stop theirs within 5 s; {how}"


async def _resume(operator: Operator, target: Target, reason: str) -> str:
    """End the pause of the target's partitions; of a partition that is not paused lift the other holds that may be lifted."""
    from bridge.delivery import operate
    from bridge.delivery.admission import KINDS, Reason

    def still(delivery: Delivery, scope: TopicPartition) -> list[str]:
        """What else holds a partition whose pause has ended."""
        return [
            f"{scope[0]}:{scope[1]} is still held ({held}), lifted by {KINDS[held].lifted_by}"
            for held in delivery.holds.on(scope)
            if held is not Reason.OPERATOR
        ]

    def lift(delivery: Delivery, _: int) -> tuple[list[TopicPartition], list[str]]:
        here = operator.here(delivery, aims)
        lifted = [scope for scope in here if scope not in ended and operate.resume(delivery, scope)]
        return lifted, [text for scope in here if scope in ended for text in still(delivery, scope)]

    aims = operator.aims(target)
    paused = await operator.have(
        lambda delivery, _: [n for n in operator.here(delivery, aims) if Reason.OPERATOR in delivery.holds.on(n)]
    )
    taken = await operator.say(aims, reason, paused=False)
    ended = sorted({*paused, *taken.names})
    lifted, left = await operator.have(lift)
    if not (ended or lifted):
        message = f"nothing on {target} waits for resume; see `suprsend-bridge status` for what lifts a hold"
        raise RefusedError(message)
    others = "; other processes follow within 5 s" if set(ended) - set(paused) else ""
    return f"resumed {_listed(sorted({*ended, *lifted}))}{others}" + "".join(f"; {text}" for text in left)


def _listed(scopes: list[TopicPartition]) -> str:
    shown = ", ".join(f"{topic}:{partition}" for topic, partition in scopes[:10])
    return shown + (f" and {len(scopes) - 10} more" if len(scopes) > 10 else "")


async def _skip(operator: Operator, topic: str, partition: int, offset: int, reason: str) -> str:
    """Give one record to the dead-letter topic."""
    from bridge.delivery import operate

    await operator.have(lambda delivery, now_ms: operate.skip(delivery, (topic, partition), offset, reason, now_ms))
    return f"{topic}:{partition}:{offset} goes to the dead-letter topic"


def _range(body: Mapping[str, str]) -> tuple[TopicPartition, int, int]:
    name = parse_partition(body["partition"])
    first, to = (int(body[key]) if _OFFSET.fullmatch(body[key]) else -1 for key in ("first", "to"))
    if not 0 <= first < to:
        message = "first and to are offsets, and to is the larger one"
        raise BadRequestError(message)
    return name, first, to


async def _skip_unreadable(operator: Operator, name: TopicPartition, first: int, to: int, reason: str) -> str:
    """Go on behind what cannot be read, and wait until it is so."""
    from asyncio import sleep

    from bridge.delivery import operate

    shown = f"{name[0]}:{name[1]}"
    known = operator.counters.partitions.get(name)
    if known is None or known.unreadable is None or known.position != first:
        message = f"{shown} does not stand at offset {first} for what cannot be read: see `suprsend-bridge status`"
        raise RefusedError(message)
    await operator.have(lambda delivery, _: operate.go_past(delivery, name, first, to))
    until = time.monotonic() + _PAST_SECONDS
    while time.monotonic() < until:
        now = operator.counters.partitions.get(name)
        if now is not None and now.position >= to:
            return f"{shown} goes on at {to}; at most {to - first} records are counted as lost"
        await sleep(0.1)
    message = f"{shown} was not gone past in {_PAST_SECONDS:.0f} s: see `suprsend-bridge status`"
    raise RefusedError(message)


def _token(body: Mapping[str, str]) -> tuple[str]:
    if _TOKEN.fullmatch(body["token"]) is None:
        message = "the token is not one that `suprsend-bridge status` prints"
        raise BadRequestError(message)
    return (body["token"],)


async def _accept_rewind(operator: Operator, token: str, reason: str) -> str:
    """Send again what the token stands for."""
    from bridge.delivery import operate

    topic, partition = await operator.have(lambda delivery, _: operate.accept_rewind(delivery, token))
    return f"{topic}:{partition} sends again"


def _level(body: Mapping[str, str]) -> tuple[str]:
    if body["level"] not in LOG_LEVELS:
        message = f"{quoted(body['level'])} is no level: write one of {', '.join(LOG_LEVELS)}"
        raise BadRequestError(message)
    return (body["level"],)


async def _log_level(operator: Operator, level: str, reason: str) -> str:
    """Log from this level on."""
    before = operator.logs.level
    operator.logs.set_level(level)
    return f"log level {before} → {level}"


_TARGET: Final = ActionArgument("target", "TOPIC, TOPIC:PARTITION or all.", optional=True)

ACTIONS: Final[Mapping[str, Action]] = {
    action.name: action
    for action in (
        Action(
            "pause",
            "Stop delivery, of everything or of a part.",
            """Stop reading and sending until `suprsend-bridge resume`, in every process of the group. Nothing is lost meanwhile.

    It outlasts restarts and rebalances: Kafka keeps it. A whole topic includes partitions that are added later. Where no
    bridge answers it is written into Kafka with the settings, and processes follow within 5 s.

    Example: suprsend-bridge pause orders.v1:3 --reason "the shop sends twice"
    """,
            (_TARGET,),
            _target,
            _pause,
            in_kafka=True,
        ),
        Action(
            "resume",
            "Go on after a pause or a hold.",
            """Go on with what was paused, braked, halted or stopped at a gap.

    A partition that somebody paused goes on after the pause alone: what else holds it is named, and is lifted by itself.
    Where no bridge answers, a pause is ended in Kafka with the settings, and processes follow within 5 s.

    Example: suprsend-bridge resume orders.v1 --reason "the rule is mended"
    """,
            (_TARGET,),
            _target,
            _resume,
            in_kafka=True,
        ),
        Action(
            "skip",
            "Put one record aside into the dead-letter topic, or go past what cannot be read.",
            """Move one record that holds its partition to the dead-letter topic, with the reason.

    With --unreadable it goes past a batch that cannot be read: it finds the first offset behind the batch that can be
    read, shows it and the setting that might help, asks, and goes on there. What lies between is counted as lost.
    Everything before the batch must have an outcome. With --offline it does the same for a group whose process does not
    run, or dies of the batch each time; records before the batch without an outcome go to the dead-letter topic first.

    Example: suprsend-bridge skip orders.v1:3:1042 --reason "malformed, the shop knows"

    Example: suprsend-bridge skip orders.v1:3 --unreadable --config bridge.yaml --reason "a damaged disk"
    """,
            (
                ActionArgument(
                    "record", "TOPIC:PARTITION:OFFSET of a record without an outcome; TOPIC:PARTITION if unreadable."
                ),
            ),
            lambda body: parse_record(body["record"]),
            _skip,
        ),
        Action(
            "skip-unreadable",
            "Go past what cannot be read, to an offset that can: `suprsend-bridge skip --unreadable` asks for it.",
            """Go on at the second offset, where nothing from the first on can be read; what lies between is lost.

    Everything before the first offset must have an outcome.
    """,
            (
                ActionArgument("partition", "TOPIC:PARTITION."),
                ActionArgument("first", "The offset at which the partition stands."),
                ActionArgument("to", "The first offset behind it that can be read."),
            ),
            _range,
            _skip_unreadable,
            command=False,
        ),
        Action(
            "accept-rewind",
            "Let rewound records be sent again.",
            """Allow exactly the offsets behind the token to be sent again. People may be notified twice.

    Example: suprsend-bridge accept-rewind TOKEN --reason "the outage lost them"
    """,
            (ActionArgument("token", "The token that the log and `suprsend-bridge status` print."),),
            _token,
            _accept_rewind,
        ),
        Action(
            "log-level",
            "Change how much a running bridge logs.",
            """Change the level of the log until the next restart.

    Example: suprsend-bridge log-level debug --reason "looking into refusals"
    """,
            (ActionArgument("level", "debug, info, warning or error."),),
            _level,
            _log_level,
        ),
    )
}
