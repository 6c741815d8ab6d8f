"""What a dead letter says of itself: the `bridge.*` headers. Pure.

Key, value and headers of the original record go with it unchanged, its timestamp is in one of these headers; the cause
travels in them, too, so that a replay can run just the rule that failed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from typing import Final

from bridge.delivery.batch import Partition
from bridge.delivery.finish import topic_key
from bridge.flow import Event, Fault, Record, Stage, UnreadableHeaders, headers_of

PREFIX = "bridge."
FIRST_HEADER = PREFIX + "stage"
"""Where the bridge's own headers begin: what stands before the last one of this name came with the record."""
UNREADABLE_HEADERS = (PREFIX + "source.headers", b"unreadable")
"""Stands behind all others where the original's headers could not be read, and so are not in the letter."""
MESSAGE_BYTES = 1_024
ALL = sys.maxsize
"""More events, and bytes of them, than a record has."""


@dataclass(frozen=True, slots=True)
class Rejected:
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
    files: tuple[str, ...] = ()
    """The rule files that could not read the record, where others could."""
    item_key: str | None = None
    """The key that the item had taken when it failed (`Fault.item_key`)."""
    ends: tuple[tuple[str, str], ...] = ()
    """Rule and name of the events that end with it, where it is of the whole record."""

    @property
    def brake_key(self) -> str:
        """What the brake counts it under: its rule, or its topic where no rule was reached."""
        return self.rule if self.rule is not None else topic_key(self.part.name[0])


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
"""The classes of dead letters: a metric label and a filter of `suprsend-bridge dlq`."""

RESULTS: dict[str, str] = {
    "invalid": "refused",
    "too_large": "refused",
    "stuck": "stuck",
    "dedupe_expired": "dedupe_expired",
    "storm": "storm",
    "skipped_by_operator": "skipped",
}
"""What an event with a dead letter of that class has come to, in `bridge_events_total`."""

CAUSE_OF_STAGE: dict[Stage, str] = {
    Stage.DECODE: "decode",
    Stage.UNMATCHED: "unmatched",
    Stage.MAP: "mapping",
    Stage.SIZE: "too_large",
    Stage.DELIVER: "invalid",
}


def rejected_of(part: Partition, record: Record, fault: Fault) -> Rejected:
    """What a fault of the mapping amounts to."""
    return Rejected(
        part,
        record,
        fault.rule,
        fault.stage,
        CAUSE_OF_STAGE[fault.stage],
        fault.code,
        fault.message,
        fault.item,
        files=fault.files,
        item_key=fault.item_key,
    )


def stormy(part: Partition, record: Record, event: Event) -> Rejected:
    """An event that is one too many for its recipient; it was never sent."""
    message = "more events for one recipient than `delivery.storm` allows"
    return Rejected(part, record, event.rule, Stage.DELIVER, "storm", "storm", message, event=event)


def too_late(part: Partition, record: Record, event: Event, first_ms: int | None) -> Rejected:
    """An event whose repeat SuprSend might take for a new one; `first_ms` is when this process handed it over, if it did."""
    message = "first handed over longer ago than SuprSend remembers its key; to send it now may notify again"
    return Rejected(
        part,
        record,
        event.rule,
        Stage.DELIVER,
        "dedupe_expired",
        "dedupe_expired",
        message,
        event=event,
        first_ms=first_ms,
    )


def item_of(part: Partition, record: Record, event: Event) -> int | None:
    """Which of its rule's events an event is, so that a replay finds it again though the rule makes another key.

    Items that became faults have numbers, too. None where the rules are others already.
    """
    mapped = part.map_run([record], [record.offset()], ALL, ALL)
    keys = [each.key for each in mapped.events() if each.rule == event.rule]
    if event.key not in keys:
        return None
    failed = {fault.item for _, fault in mapped.faults if fault.rule == event.rule}
    numbers = (number for number in count() if number not in failed)
    return next(islice(numbers, keys.index(event.key), None))


def dead_letter_headers(rejected: Rejected, *, version: str, rules_hash: str) -> tuple[tuple[str, bytes], ...]:
    """The headers beside the original ones; absent facts have no header. Values are UTF-8 text."""
    record, event = rejected.record, rejected.event
    facts: tuple[tuple[str, object], ...] = (
        ("stage", rejected.stage),
        ("rule", rejected.rule),
        ("class", rejected.cause),
        ("code", rejected.code),
        ("message", rejected.message),
        ("source.topic", record.topic()),
        ("source.partition", record.partition()),
        ("source.offset", record.offset()),
        ("source.timestamp", record.timestamp()[1]),
        ("files", listed(rejected.files)),
        ("item", rejected.item if event is None else item_of(rejected.part, record, event)),
        ("item_key", rejected.item_key),
        ("event", event.name if event else None),
        ("idempotency_key", event.key if event else None),
        ("attempts", rejected.attempts),
        ("first_attempt", rejected.first_ms),
        ("last_attempt", rejected.last_ms),
        ("version", version),
        ("rules_hash", rules_hash),
    )
    said = tuple([_header(name, value) for name, value in facts if value is not None])
    return said if _readable(record) else (*said, UNREADABLE_HEADERS)


def _header(name: str, value: object) -> tuple[str, bytes]:
    return _repeated(name, value) if name in _REPEATED else (PREFIX + name, _text(value))


@lru_cache(maxsize=1_024)
def _repeated(name: str, value: object) -> tuple[str, bytes]:
    return PREFIX + name, _text(value)


_REPEATED: Final = frozenset(
    {
        "stage",
        "rule",
        "class",
        "code",
        "message",
        "source.topic",
        "source.partition",
        "attempts",
        "version",
        "rules_hash",
    }
)
"""What one letter says like the next, made once."""


def _readable(record: Record) -> bool:
    try:
        headers_of(record)
    except UnreadableHeaders:
        return False
    return True


def skipped_headers(record: Record, reason: str, now_ms: int, version: str) -> tuple[tuple[str, bytes], ...]:
    """The headers of a record that an operator put aside without a bridge that runs: with no rules, and no attempts."""
    facts: tuple[tuple[str, object], ...] = (
        ("stage", Stage.DELIVER.value),
        ("class", "skipped_by_operator"),
        ("code", "skipped"),
        ("message", reason),
        ("source.topic", record.topic()),
        ("source.partition", record.partition()),
        ("source.offset", record.offset()),
        ("source.timestamp", record.timestamp()[1]),
        ("attempts", 0),
        ("last_attempt", now_ms),
        ("version", version),
    )
    said = tuple((PREFIX + name, _text(value)) for name, value in facts)
    return said if _readable(record) else (*said, UNREADABLE_HEADERS)


def listed(files: tuple[str, ...]) -> str | None:
    """The names of rule files in one header; None where there are none, or too many to be named whole."""
    text = "/".join(files)
    return text if text and len(text.encode("utf-8", "replace")) <= MESSAGE_BYTES else None


def _text(value: object) -> bytes:
    return str(value).encode("utf-8", "replace")[:MESSAGE_BYTES]
