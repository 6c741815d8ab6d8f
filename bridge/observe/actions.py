"""What an operator may ask of a running bridge: the requests' shape, and the seam to whoever does it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

LOG_LEVELS = ("debug", "info", "warning", "error")
REASON_CHARACTERS = 500

_TOPIC = r"[A-Za-z0-9._-]{1,249}"
_TARGET = re.compile(rf"(?P<topic>{_TOPIC})(?::(?P<partition>\d{{1,9}}))?")
_RECORD = re.compile(rf"(?P<topic>{_TOPIC}):(?P<partition>\d{{1,9}}):(?P<offset>\d{{1,18}})")
_OFFSET = re.compile(r"\d{1,18}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,200}")


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


class Controls(Protocol):
    """What the road does for an operator. Each is awaited in the main thread's loop and must not block it.

    Each returns one line that says what was done, or raises `RefusedError`. The caller logs the action and its reason.
    """

    async def pause(self, target: Target, reason: str) -> str:
        """Stop sending and reading from the target until `resume`."""
        ...

    async def resume(self, target: Target, reason: str) -> str:
        """Lift what `resume` may lift on the target: the operator's pause, a brake, a halt, a gap."""
        ...

    async def skip(self, topic: str, partition: int, offset: int, reason: str) -> str:
        """Give one unfinished record to the dead-letter topic, with the reason."""
        ...

    async def skip_unreadable(self, topic: str, partition: int, offsets: tuple[int, int], reason: str) -> str:
        """Go on at the second offset, where nothing from the first on can be read; what lies between is lost."""
        ...

    async def accept_rewind(self, token: str, reason: str) -> str:
        """Send again exactly the offsets that the token stands for."""
        ...

    async def set_log_level(self, level: str, reason: str) -> str:
        """Log from this level on."""
        ...


def parse_target(text: str | None) -> Target:
    """Read `TOPIC` or `TOPIC:PARTITION`; None or `all` is everything. Raises `BadRequestError`."""
    if text is None or text == "all":
        return Target()
    match = _TARGET.fullmatch(text)
    if match is None:
        message = f"{_quote(text)} is no target: write TOPIC, TOPIC:PARTITION or all"
        raise BadRequestError(message)
    partition = match["partition"]
    return Target(match["topic"], None if partition is None else int(partition))


def parse_record(text: str) -> tuple[str, int, int]:
    """Read `TOPIC:PARTITION:OFFSET`. Raises `BadRequestError`."""
    match = _RECORD.fullmatch(text)
    if match is None:
        message = f"{_quote(text)} is no record: write TOPIC:PARTITION:OFFSET, as in orders.v1:3:1042"
        raise BadRequestError(message)
    return match["topic"], int(match["partition"]), int(match["offset"])


class Action(NamedTuple):
    """One action: the keys of its body beside `reason`, and how it is done."""

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    do: Callable[[Controls, Mapping[str, str], str], Awaitable[str]]


async def _skip(controls: Controls, body: Mapping[str, str], reason: str) -> str:
    topic, partition, offset = parse_record(body["record"])
    return await controls.skip(topic, partition, offset, reason)


async def _skip_unreadable(controls: Controls, body: Mapping[str, str], reason: str) -> str:
    target = parse_target(body["partition"])
    if target.topic is None or target.partition is None:
        message = f"{_quote(body['partition'])} is no partition: write TOPIC:PARTITION, as in orders.v1:3"
        raise BadRequestError(message)
    offsets = [int(body[name]) if _OFFSET.fullmatch(body[name]) else -1 for name in ("first", "to")]
    if not 0 <= offsets[0] < offsets[1]:
        message = "first and to are offsets, and to is the larger one"
        raise BadRequestError(message)
    return await controls.skip_unreadable(target.topic, target.partition, (offsets[0], offsets[1]), reason)


async def _accept_rewind(controls: Controls, body: Mapping[str, str], reason: str) -> str:
    if _TOKEN.fullmatch(body["token"]) is None:
        message = "the token is not one that `suprsend-bridge status` prints"
        raise BadRequestError(message)
    return await controls.accept_rewind(body["token"], reason)


async def _log_level(controls: Controls, body: Mapping[str, str], reason: str) -> str:
    if body["level"] not in LOG_LEVELS:
        message = f"{_quote(body['level'])} is no level: write one of {', '.join(LOG_LEVELS)}"
        raise BadRequestError(message)
    return await controls.set_log_level(body["level"], reason)


ACTIONS: dict[str, Action] = {
    "pause": Action((), ("target",), lambda c, body, reason: c.pause(parse_target(body.get("target")), reason)),
    "resume": Action((), ("target",), lambda c, body, reason: c.resume(parse_target(body.get("target")), reason)),
    "skip": Action(("record",), (), _skip),
    "skip-unreadable": Action(("partition", "first", "to"), (), _skip_unreadable),
    "accept-rewind": Action(("token",), (), _accept_rewind),
    "log-level": Action(("level",), (), _log_level),
}


def read_body(action: Action, body: Any) -> tuple[dict[str, str], str]:
    """Check a decoded body; returns its values without the reason, and the reason. Raises `BadRequestError`."""
    known = (*action.needed, *action.optional, "reason")
    if not isinstance(body, dict):
        message = f"the body is a JSON object with {', '.join(known)}"
        raise BadRequestError(message)
    unknown = [key for key in body if key not in known]
    if unknown:
        message = f"unknown key {_quote(unknown[0])}; known are {', '.join(known)}"
        raise BadRequestError(message)
    for key in (*action.needed, "reason"):
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


def _quote(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
