"""What happened that a person would want to read about: kept until the log takes it. Pure.

Behind the journal are the lines that delivery writes into it, in the words of `observe.events`: once per call, not per record.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import NamedTuple

from bridge.delivery.batch import Batch, Partition
from bridge.delivery.dead_letter_headers import Rejected
from bridge.flow import Judged, Verdict

Fact = str | int | float | tuple[str, ...] | bytes | None
MOST_OF_A_KIND = 2_000
MOST_PAYLOADS = 50
LARGEST_PAYLOAD = 16_384
MOST_FRAMES = 20


class Entry(NamedTuple):
    """One line to be: the log event's stable name (`observe.events`), its level, its facts.

    A payload stands under `payload` and nowhere else, and only where that was asked for.
    """

    event: str
    level: str
    facts: dict[str, Fact]


def trace_of(error: BaseException) -> str:
    """Where an exception came from: code lines and its type. Never its text, which may quote a record."""
    lines = traceback.format_tb(error.__traceback__, limit=-MOST_FRAMES)
    return "".join([*lines, type(error).__qualname__])


class Journal:
    """Bounded: of each kind so many are kept until they are taken, the others counted.

    One thread writes it, another may take from it.
    """

    __slots__ = ("_before", "_entries", "_kept", "_left_out", "payloads", "sent")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._kept: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._before: dict[str, int] = {}
        """What was left out until the last `take`; told by the next one, when the writer has let go of it."""
        self.payloads = False
        """Payloads of what is refused or dead-lettered were asked for."""
        self.sent = False
        """So was each event that goes out."""

    def note(self, event: str, level: str = "info", **facts: Fact) -> None:
        """Write one line."""
        if self._room(event, MOST_OF_A_KIND):
            self._entries.append(Entry(event, level, facts))

    def show(self, what: str, payload: bytes | None, **facts: Fact) -> None:
        """Write what a record or an event holds, up to `LARGEST_PAYLOAD` bytes; nothing unless that was asked for."""
        if self.payloads and self._room("payload", MOST_PAYLOADS):
            size = len(payload or b"")
            held: dict[str, Fact] = {"payload": payload} if size <= LARGEST_PAYLOAD else {}
            self._entries.append(Entry("payload", "info", {"what": what, **facts, "size": size, **held}))

    def _room(self, event: str, most: int) -> bool:
        kept, left_out = self._kept, self._left_out
        count = kept.get(event, 0)
        if count >= most:
            left_out[event] = left_out.get(event, 0) + 1
            return False
        kept[event] = count + 1
        return True

    def take(self) -> list[Entry]:
        """Everything written since the last call, and how many of a kind were left out before that."""
        told, self._before, self._left_out = self._before, self._left_out, {}
        self._kept = {}
        taken = []
        while self._entries:
            taken.append(self._entries.popleft())
        return [*taken, *(Entry("left_out", "warning", {"kind": event, "count": n}) for event, n in told.items())]


PARTLY = Judged(
    Verdict.TRANSIENT, None, None, "transient", "some events of the call; the others were decided", splittable=False
)
"""Why a rest of a call is sent again."""


def log_batch(journal: Journal, event: str, batch: Batch, judged: Judged, **more: Fact) -> None:
    """Something happened to a call."""
    journal.note(
        event,
        "warning",
        batch=batch.name,
        events=batch.count,
        spans=batch.spans(),
        code=judged.code,
        message=judged.message,
        **more,
    )


def log_circuit(journal: Journal, judged: Judged, failures: int, *, opened: bool) -> None:
    """The circuit changed by this answer."""
    if opened:
        journal.note("circuit_opened", "warning", failures=failures, code=judged.code, message=judged.message)
    else:
        journal.note("circuit_closed")


def log_partition(journal: Journal, event: str, level: str, part: Partition, offset: int, **more: Fact) -> None:
    """Something happened to a partition."""
    topic, partition = part.name
    journal.note(event, level, topic=topic, partition=partition, offset=offset, **more)


def log_unwritten(journal: Journal, rejected: Rejected, failures: int, error: str) -> None:
    """Kafka did not take a dead letter."""
    journal.note("dead_letter_failed", "error", failures=failures, message=error, **_place(rejected))


def log_dead_letter(journal: Journal, rejected: Rejected) -> None:
    """A dead letter was acknowledged; with what is in it, where that was asked for."""
    topic, partition = rejected.part.name
    journal.note(
        "dead_letter",
        "warning",
        rule=rejected.rule,
        cause=rejected.cause,
        code=rejected.code,
        message=rejected.message,
        topic=topic,
        partition=partition,
        offset=rejected.record.offset(),
    )
    if journal.payloads:
        place = _place(rejected)
        journal.show("record", rejected.record.value(), rule=rejected.rule, **place)
        if rejected.event is not None:
            journal.show("event", rejected.event.body, rule=rejected.rule, name=rejected.event.name, **place)


def show_sent(journal: Journal, batch: Batch) -> None:
    """Each event that goes out, as it is: somebody asked for it."""
    for run in batch.runs:
        topic, partition = run.part.name
        for offset, event in zip(run.offsets, run.events(), strict=True):
            place: dict[str, Fact] = {"topic": topic, "partition": partition, "offset": offset}
            journal.show("sent", event.body, rule=event.rule, name=event.name, **place)


def _place(rejected: Rejected) -> dict[str, Fact]:
    topic, partition = rejected.part.name
    return {"topic": topic, "partition": partition, "offset": rejected.record.offset()}
