"""What a dead letter says of itself: the `bridge.*` headers. Pure.

Key, value, headers and timestamp of the original record go with it unchanged; the cause travels in these headers, so
that a replay can run just the rule that failed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.delivery.partition import Partition
from bridge.flow import Event, Fault, Record, Stage

PREFIX = "bridge."
MESSAGE_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one event (or a whole record) cannot be delivered. `cause` is its class: a word of `CAUSES`."""

    part: Partition
    record: Record
    rule: str | None
    stage: Stage
    cause: str
    code: str
    message: str
    item: int | None = None
    event: Event | None = None
    attempts: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    @property
    def brake_key(self) -> str:
        """What the brake counts it under: its rule, or its topic where no rule was reached."""
        return self.rule if self.rule is not None else f"topic {self.part.name[0]}"


CAUSES: tuple[str, ...] = (
    "decode",
    "unmatched",
    "mapping",
    "invalid",
    "too_large",
    "stuck",
    "dedupe_expired",
    "storm",
    "skipped_by_operator",
)
"""The classes of dead letters: a metric label and a filter of `bridge dlq`."""

CAUSE_OF_STAGE: dict[Stage, str] = {
    Stage.DECODE: "decode",
    Stage.UNMATCHED: "unmatched",
    Stage.MAP: "mapping",
    Stage.SIZE: "too_large",
    Stage.DELIVER: "invalid",
}


def refusal_of(part: Partition, record: Record, fault: Fault) -> Refusal:
    """The refusal that a fault of the mapping amounts to."""
    return Refusal(
        part, record, fault.rule, fault.stage, CAUSE_OF_STAGE[fault.stage], fault.code, fault.message, fault.item
    )


def dead_letter_headers(refusal: Refusal, *, version: str, rules_hash: str) -> tuple[tuple[str, bytes], ...]:
    """The headers beside the original ones; absent facts have no header. Values are UTF-8 text."""
    record, event = refusal.record, refusal.event
    facts: tuple[tuple[str, object], ...] = (
        ("rule", refusal.rule),
        ("stage", refusal.stage.value),
        ("class", refusal.cause),
        ("code", refusal.code),
        ("message", refusal.message),
        ("source.topic", record.topic()),
        ("source.partition", record.partition()),
        ("source.offset", record.offset()),
        ("source.timestamp", record.timestamp()[1]),
        ("item", refusal.item),
        ("event", event.name if event else None),
        ("idempotency_key", event.key if event else None),
        ("attempts", refusal.attempts),
        ("first_attempt", refusal.first_ms),
        ("last_attempt", refusal.last_ms),
        ("version", version),
        ("rules_hash", rules_hash),
    )
    return tuple((PREFIX + name, _text(value)) for name, value in facts if value is not None)


def _text(value: object) -> bytes:
    return str(value).encode("utf-8", "replace")[:MESSAGE_BYTES]
