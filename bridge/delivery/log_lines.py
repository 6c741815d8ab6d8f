"""What becomes a line of the log, in the words of `observe.events`. Pure: it is written into the journal. Per call."""

from __future__ import annotations

from bridge.delivery.batch import Flight
from bridge.delivery.dead_letter_headers import Refusal
from bridge.delivery.journal import Fact, Journal
from bridge.delivery.partition import Partition
from bridge.flow import Judged, Verdict

PARTLY = Judged(
    Verdict.TRANSIENT, None, None, "transient", "some events of the call; the others were decided", splittable=False
)
"""Why a rest of a call is sent again."""


def tell_batch(journal: Journal, event: str, flight: Flight, judged: Judged, **more: Fact) -> None:
    """Something happened to a call."""
    journal.note(
        event,
        "warning",
        batch=flight.batch,
        events=len(flight.items),
        spans=flight.spans(),
        code=judged.code,
        message=judged.message,
        **more,
    )


def tell_circuit(journal: Journal, judged: Judged, failures: int, *, opened: bool) -> None:
    """The circuit changed by this answer."""
    if opened:
        journal.note("circuit_opened", "warning", failures=failures, code=judged.code, message=judged.message)
    else:
        journal.note("circuit_closed")


def tell_partition(journal: Journal, event: str, level: str, part: Partition, offset: int, **more: Fact) -> None:
    """Something happened to a partition."""
    topic, partition = part.name
    journal.note(event, level, topic=topic, partition=partition, offset=offset, **more)


def tell_unwritten(journal: Journal, refusal: Refusal, failures: int, error: str) -> None:
    """Kafka did not take a dead letter."""
    journal.note("dead_letter_failed", "error", failures=failures, message=error, **_place(refusal))


def tell_dead_letter(journal: Journal, refusal: Refusal) -> None:
    """A dead letter was acknowledged; with what is in it, where that was asked for."""
    why: dict[str, Fact] = {"cause": refusal.cause, "code": refusal.code, "message": refusal.message}
    place = _place(refusal)
    journal.note("dead_letter", "warning", rule=refusal.rule, **why, **place)
    if journal.payloads:
        journal.show("record", refusal.record.value(), rule=refusal.rule, **place)
        if refusal.event is not None:
            journal.show("event", refusal.event.body, rule=refusal.rule, name=refusal.event.name, **place)


def show_sent(journal: Journal, flight: Flight) -> None:
    """Each event that goes out, as it is: somebody asked for it."""
    for part, record, event in flight.items:
        topic, partition = part.name
        place: dict[str, Fact] = {"topic": topic, "partition": partition, "offset": record.offset()}
        journal.show("sent", event.body, rule=event.rule, name=event.name, **place)


def _place(refusal: Refusal) -> dict[str, Fact]:
    topic, partition = refusal.part.name
    return {"topic": topic, "partition": partition, "offset": refusal.record.offset()}
