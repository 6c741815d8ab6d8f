"""What stands in the dead-letter topic: letters, and marks of what a replay did with them. Pure.

A letter is the original record with `bridge.*` headers behind its own (`delivery.dead`). A mark has the key of its
letter, no value, and lies in the letter's partition, so that retention never deletes it before the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from bridge.delivery.dead_letter_headers import FIRST_HEADER, PREFIX, UNREADABLE_HEADERS, listed
from bridge.flow import UNREADABLE, Headers, PlainRecord, Record, UnreadableHeaders, headers_of

__all__ = ["REFERENCE", "Letter", "RecordPlace", "Reference", "ReplayMark", "Result", "again", "mark_headers", "read"]

REFERENCE: Final = PREFIX + "reference."
_REPLAY: Final = PREFIX + "replay."
_MESSAGE_BYTES: Final = 1_024
_LONGEST_NUMBER: Final = len(str(-(1 << 63)))


class RecordPlace(NamedTuple):
    """Where a record of the dead-letter topic is."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Result(StrEnum):
    """What a replay made of a letter."""

    ACCEPTED = "accepted"
    FILTERED = "filtered"
    """Today's rules want nothing of it (any more)."""
    SKIPPED = "skipped"
    EXPIRED = "expired"
    FAILED = "failed"
    """It failed again: a new letter says how."""


class Reference(NamedTuple):
    """The original was too large for the dead-letter topic: it is where it was read, with this digest."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `record` is the original as it was read, at its source's place."""

    place: RecordPlace
    record: PlainRecord
    headers: Headers
    """All headers, as they stand in the topic."""
    stage: str
    cause: str
    code: str
    message: str
    rule: str | None = None
    item: int | None = None
    """Which of the rule's events (or faults) it is about; None where it is about the rule or record as a whole."""
    event: str | None = None
    key: str | None = None
    """The idempotency key that was used last."""
    base_key: str | None = None
    """The key that it had before any replay, where that gave it another one."""
    attempts: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    version: str = ""
    rules_hash: str = ""
    replays: int = 0
    """How often it was replayed."""
    reference: Reference | None = None
    files: tuple[str, ...] = ()
    """The rule files that could not read the record, where others could; empty: it is about all of them."""
    item_key: str | None = None
    """The key that the item had taken when it failed; None where it failed before, or an older version wrote it."""

    @property
    def source(self) -> str:
        """Where the original was read, as other commands write it."""
        return f"{self.record.topic()}:{self.record.partition()}:{self.record.offset()}"


class ReplayMark(NamedTuple):
    """What a replay did with the letter at that place."""

    letter: RecordPlace
    result: str
    at_ms: int


def read(record: Record) -> Letter | ReplayMark | None:
    """Read a record of the dead-letter topic; None for one that the bridge did not write. Total."""
    try:
        headers = headers_of(record)
    except UnreadableHeaders:
        return None
    names = [name for name, _ in headers]
    if FIRST_HEADER not in names:
        return _mark(record, dict(headers))
    # A source record may have had such headers itself: the bridge's are the last ones.
    begin = len(names) - 1 - names[::-1].index(FIRST_HEADER)
    return _letter(record, headers, begin)


def _letter(record: Record, headers: Headers, begin: int) -> Letter | None:
    facts = {name.removeprefix(PREFIX): _text(value) for name, value in headers[begin:]}
    numbers = {name: _number(facts.get(name)) for name in _NUMBERS}
    topic, partition, offset = facts.get("source.topic"), numbers["source.partition"], numbers["source.offset"]
    if topic is None or partition is None or offset is None:
        return None
    reference = _reference(record, headers[:begin])
    unread = reference is not None or UNREADABLE_HEADERS in headers[begin:]
    timestamp = numbers["source.timestamp"]
    original = PlainRecord(
        topic,
        partition,
        offset,
        record.value(),
        key=record.key(),
        timestamp=-1 if timestamp is None else timestamp,
        headers=UNREADABLE if unread else headers[:begin],
    )
    return Letter(
        RecordPlace(record.topic(), record.partition(), record.offset()),
        original,
        headers,
        facts.get("stage") or "",
        facts.get("class") or "",
        facts.get("code") or "",
        facts.get("message") or "",
        facts.get("rule"),
        numbers["item"],
        facts.get("event"),
        facts.get("idempotency_key"),
        facts.get("replay.base_key"),
        numbers["attempts"] or 0,
        numbers["first_attempt"],
        numbers["last_attempt"],
        facts.get("version") or "",
        facts.get("rules_hash") or "",
        numbers["replays"] or 0,
        reference,
        tuple((facts.get("files") or "").split("/")) if facts.get("files") else (),
        facts.get("item_key"),
    )


_NUMBERS: Final = (
    "source.partition",
    "source.offset",
    "source.timestamp",
    "item",
    "attempts",
    "first_attempt",
    "last_attempt",
    "replays",
)


def _reference(record: Record, before: Headers) -> Reference | None:
    facts = dict(before)
    names = {REFERENCE + name for name in ("topic", "partition", "offset", "bytes", "sha256")}
    if record.value() is not None or facts.keys() != names:
        return None
    size, digest = _number(_text(facts[REFERENCE + "bytes"])), _text(facts[REFERENCE + "sha256"])
    return None if size is None or digest is None else Reference(size, digest)


def _mark(record: Record, facts: Mapping[str, bytes | None]) -> ReplayMark | None:
    result = _text(facts.get(_REPLAY + "result"))
    offset, at_ms = (_number(_text(facts.get(_REPLAY + name))) for name in ("offset", "at"))
    if record.value() is not None or result is None or offset is None:
        return None
    return ReplayMark(RecordPlace(record.topic(), record.partition(), offset), result, at_ms or 0)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _number(text: str | None) -> int | None:
    plain = text is not None and text.isascii() and text.removeprefix("-").isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text or "") if plain else None


def mark_headers(letter: Letter, result: Result, *, at_ms: int, version: str) -> Headers:
    """The headers of a mark; it goes into the letter's partition, without a value."""
    facts: dict[str, object] = {
        "result": result.value,
        "offset": letter.place.offset,
        "at": at_ms,
        "source": letter.source,
        "version": version,
    }
    return [(_REPLAY + name, str(value).encode()) for name, value in facts.items()]


def again(letter: Letter, **changes: object) -> Headers:
    """The headers of a new letter about the same original, with other facts; its value, key and time stay.

    A letter that is a reference stays one.
    """
    new = replace(letter, **changes)  # type: ignore[arg-type]  # the names are those of Letter
    record = letter.record
    facts: tuple[tuple[str, object], ...] = (
        ("stage", new.stage),
        ("rule", new.rule),
        ("class", new.cause),
        ("code", new.code),
        ("message", new.message),
        ("source.topic", record.topic()),
        ("source.partition", record.partition()),
        ("source.offset", record.offset()),
        ("source.timestamp", record.timestamp()[1]),
        ("files", listed(new.files)),
        ("item", new.item),
        ("item_key", new.item_key),
        ("event", new.event),
        ("idempotency_key", new.key),
        ("replay.base_key", new.base_key),
        ("attempts", new.attempts),
        ("first_attempt", new.first_ms),
        ("last_attempt", new.last_ms),
        ("version", new.version),
        ("rules_hash", new.rules_hash),
        ("replays", new.replays),
    )
    names = [name for name, _ in letter.headers]
    begin = len(names) - 1 - names[::-1].index(FIRST_HEADER)
    said = [(PREFIX + name, _bytes(value)) for name, value in facts if value is not None]
    unread = [UNREADABLE_HEADERS] if UNREADABLE_HEADERS in letter.headers[begin:] else []
    return [*letter.headers[:begin], *said, *unread]


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "replace")[:_MESSAGE_BYTES]
