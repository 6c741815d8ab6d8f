"""What becomes a line of the log, in the words of `observe.events`. Pure: it is written into the journal. Per call."""

from __future__ import annotations

from bridge.delivery.batch import Batch
from bridge.delivery.dead_letter_headers import Rejected
from bridge.delivery.journal import Fact, Journal
from bridge.delivery.partition import Partition
from bridge.flow import Judged, Verdict

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
    why: dict[str, Fact] = {"cause": rejected.cause, "code": rejected.code, "message": rejected.message}
    place = _place(rejected)
    journal.note("dead_letter", "warning", rule=rejected.rule, **why, **place)
    if journal.payloads:
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
