"""What an action of an operator is, and how its request is read. The actions themselves: `bridge.service.actions`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

REASON_CHARACTERS = 500

_TOPIC = r"[A-Za-z0-9._-]{1,249}"
_TARGET = re.compile(rf"(?P<topic>{_TOPIC})(?::(?P<partition>\d{{1,9}}))?")
_RECORD = re.compile(rf"(?P<topic>{_TOPIC}):(?P<partition>\d{{1,9}}):(?P<offset>\d{{1,18}})")


class RefusedError(Exception):
    """The action cannot be done as things are; the message says why and what to do instead."""


class BadRequestError(Exception):
    """The request itself is wrong; the message says what is, and what was expected."""


class Target(NamedTuple):
    """What to pause or resume: everything, a topic, or one partition."""

    topic: str | None = None
    partition: int | None = None

    def __str__(self) -> str:
        if self.topic is None:
            return "everything"
        return self.topic if self.partition is None else f"{self.topic}:{self.partition}"


def parse_target(text: str | None) -> Target:
    """Read `TOPIC` or `TOPIC:PARTITION`; None or `all` is everything. Raises `BadRequestError`."""
    if text is None or text == "all":
        return Target()
    match = _TARGET.fullmatch(text)
    if match is None:
        message = f"{quoted(text)} is no target: write TOPIC, TOPIC:PARTITION or all"
        raise BadRequestError(message)
    partition = match["partition"]
    return Target(match["topic"], None if partition is None else int(partition))


def parse_record(text: str) -> tuple[str, int, int]:
    """Read `TOPIC:PARTITION:OFFSET`. Raises `BadRequestError`."""
    match = _RECORD.fullmatch(text)
    if match is None:
        message = f"{quoted(text)} is no record: write TOPIC:PARTITION:OFFSET, as in orders.v1:3:1042"
        raise BadRequestError(message)
    return match["topic"], int(match["partition"]), int(match["offset"])


def parse_partition(text: str) -> tuple[str, int]:
    """Read `TOPIC:PARTITION`. Raises `BadRequestError`."""
    target = parse_target(text)
    if target.topic is None or target.partition is None:
        message = f"{quoted(text)} is no partition: write TOPIC:PARTITION, as in orders.v1:3"
        raise BadRequestError(message)
    return target.topic, target.partition


class ActionArgument(NamedTuple):
    """A key of the request's body, and the command's argument of the same name."""

    name: str
    help: str
    optional: bool = False
    """The body may leave it out; the command may not."""


class Action(NamedTuple):
    """One action. Its route, its command and its part of the reference page are made from this."""

    name: str
    summary: str
    """One line, for the list of commands."""
    help: str
    """What it does, and an example, for `--help` and the page."""
    arguments: tuple[ActionArgument, ...]
    read: Callable[[Mapping[str, str]], tuple[Any, ...]]
    """Makes values of the arguments. Raises `BadRequestError`."""
    do: Callable[..., Awaitable[str]]
    """`do(operator, *values, reason)`, awaited in the main thread's loop: one line that says what was done. Raises
    `RefusedError`. The caller logs the action and its reason."""
    in_kafka: bool = False
    """Where no bridge answers, the command writes it into Kafka itself."""
    command: bool = True
    """There is a command of this name; else another one asks for it."""


def read_body(action: Action, body: Any) -> tuple[dict[str, str], str]:
    """Check a decoded body; returns its values without the reason, and the reason. Raises `BadRequestError`."""
    known = (*(argument.name for argument in action.arguments), "reason")
    needed = (*(argument.name for argument in action.arguments if not argument.optional), "reason")
    if not isinstance(body, dict):
        message = f"the body is a JSON object with {', '.join(known)}"
        raise BadRequestError(message)
    unknown = [key for key in body if key not in known]
    if unknown:
        message = f"unknown key {quoted(unknown[0])}; known are {', '.join(known)}"
        raise BadRequestError(message)
    for key in needed:
        if key not in body:
            message = f"{key} is missing: " + ("say why, for the log" if key == "reason" else "it is required")
            raise BadRequestError(message)
    for key, value in body.items():
        if not isinstance(value, str) or not value.strip():
            message = f"{key} is text and not empty"
            raise BadRequestError(message)
    return {key: value for key, value in body.items() if key != "reason"}, _reason(body["reason"])


def _reason(text: str) -> str:
    if len(text) > REASON_CHARACTERS:
        message = f"reason has {len(text)} characters; at most {REASON_CHARACTERS} fit"
        raise BadRequestError(message)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def quoted(text: str) -> str:
    """A text of the request, for a message: not longer than is of use."""
    return repr(text if len(text) <= 80 else text[:80] + "…")
