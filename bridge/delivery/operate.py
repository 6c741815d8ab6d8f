"""What a person may do to a running bridge: new rules, pauses, resume, skip, accept a rewind. Pure.

All are called by the delivery thread between two turns. `Declined` says in one line why something cannot be done.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.delivery.admission import KINDS, Hold, Reason
from bridge.delivery.batch import Lane, Partition, Run
from bridge.delivery.core import Delivery
from bridge.delivery.dead_letter_headers import Rejected
from bridge.delivery.pauses import Book
from bridge.flow import Event, GoPast, Mapping, Record, Stage, TopicPartition


class Declined(Exception):  # noqa: N818 (the operator's word)
    """It cannot be done as things are; the message says why and what to do instead."""


def reload(delivery: Delivery, mapping: Mapping) -> None:
    """Swap the rules between two records. What was never handed to the API is mapped again from its original bytes."""
    for part in delivery.parts.values():
        _put_back(delivery, part)
    delivery.remap(mapping)
    delivery.brake.reset()
    for hold in delivery.holds.all():
        if hold.scope is not None and KINDS[hold.reason].by_reload:
            _remap_braked(delivery, hold.scope)
            delivery.holds.lift(hold.scope, hold.reason)
    for part in delivery.parts.values():
        delivery.finish.wake(part)


def _put_back(delivery: Delivery, part: Partition) -> None:
    """Empty the batches that have not gone out, and the lanes that they keep busy, of this partition's records."""
    batcher, finish = delivery.batcher, delivery.finish
    started = {
        offset for batch in delivery.calls.batches() for run in batch.runs if run.part is part for offset in run.offsets
    }
    started |= delivery.dead_letters.on_their_way(part)
    fixed = _fixed(delivery, part, started)

    def fresh(run: Run) -> list[int]:
        if run.part is not part:
            return []
        return [
            place
            for place, offset in enumerate(run.offsets)
            if _fresh(part, offset, started) and fixed.get(run.lanes[place], offset) <= offset
        ]

    records: dict[int, Record] = {}
    for batch in batcher.unstarted():
        for run in batch.take(fresh):
            records.update(zip(run.offsets, run.records, strict=True))
    part.lanes.put_back(records, lambda offset: not _fresh(part, offset, started), batcher.unstarted())
    for offset in records:
        finish.forget(part, offset)


def _fixed(delivery: Delivery, part: Partition, started: set[int]) -> dict[Lane | None, int]:
    """Per lane, the last record that keeps its place because something of it has ended: so do all before it."""
    unsent = [run for batch in delivery.batcher.unstarted() for run in batch.runs if run.part is part]
    fixed: dict[Lane | None, int] = {}
    for run in (*unsent, *part.lanes.rests.values()):
        for offset, lane in zip(run.offsets, run.lanes, strict=True):
            if lane is not None and not _fresh(part, offset, started):
                fixed[lane] = max(offset, fixed.get(lane, offset))
    return fixed


def _fresh(part: Partition, offset: int, started: set[int]) -> bool:
    """Whether nothing of the record was handed over or ended, so that it may become something else."""
    fan_out = part.fan_outs.get(offset)
    return offset not in started and (fan_out is None or not fan_out.begun)


def _remap_braked(delivery: Delivery, scope: TopicPartition) -> None:
    """What the brake kept back: what no rule could map is mapped anew; what the API refused keeps its dead letter."""
    part = delivery.parts[scope]
    again: list[Record] = []
    for rejected in delivery.dead_letters.take_braked(scope):
        if rejected.event is None and rejected.record.offset() not in part.fan_outs:
            again.append(rejected.record)
        else:
            delivery.dead_letters.write(rejected)
    part.lanes.merge(again)


def keep_to_workspace(delivery: Delivery, own: str, other: str | None, now_ms: int) -> None:
    """Hold everything while the secrets name another workspace: all events would be new there, and notify again."""
    if other is None:
        delivery.holds.lift(None, Reason.WORKSPACE)
        return
    detail = f"the secrets changed from workspace {own} to {other}: to go on there would notify again"
    delivery.holds.add(Hold(Reason.WORKSPACE, None, now_ms, detail))


def keep_to_pauses(delivery: Delivery, book: Book) -> None:
    """Pause and resume as the book says, now and for partitions that come later."""
    delivery.pauses = book
    for part in delivery.parts.values():
        delivery.keep_to_pauses(part)


def resume(delivery: Delivery, scope: TopicPartition) -> list[Reason]:
    """Lift what `resume` may lift there, an operator's pause apart; returns what it was."""
    lifted = [reason for reason in delivery.holds.on(scope) if KINDS[reason].by_resume]
    part = delivery.parts.get(scope)
    for reason in lifted:
        delivery.holds.lift(scope, reason)
        if reason is Reason.BRAKE:
            delivery.dead_letters.loosen(scope)
        elif reason is Reason.DEDUPE_EXPIRED and part is not None:
            part.consent()
        elif reason is Reason.STORM and delivery.batcher.storm is not None:
            delivery.batcher.storm.reset()
    if part is not None:
        delivery.finish.wake(part)
    return lifted


def accept_rewind(delivery: Delivery, token: str) -> TopicPartition:
    """Let exactly the offsets go out again that the token stands for."""
    for hold in delivery.holds.all():
        if hold.reason is Reason.REWIND and hold.token == token and hold.scope is not None:
            delivery.holds.lift(hold.scope, Reason.REWIND)
            part = delivery.parts.get(hold.scope)
            if part is not None:
                part.consent()
                delivery.finish.wake(part)
            return hold.scope
    message = "no partition waits for that token: it stands for other offsets, or was accepted already"
    raise Declined(message)


def skip(delivery: Delivery, scope: TopicPartition, offset: int, reason: str, now_ms: int) -> None:
    """Give one unfinished record to the dead-letter topic, with the reason, and go on behind it."""
    part = delivery.parts.get(scope)
    record = part.ledger.unfinished.get(offset) if part is not None else None
    if part is None or record is None:
        message = f"{scope[0]}:{scope[1]}:{offset} is not unfinished here: nothing to skip"
        raise Declined(message)
    if any(
        run.part is part and offset in run.offsets for batch in delivery.calls.in_flight.values() for run in batch.runs
    ):
        message = f"{scope[0]}:{scope[1]}:{offset} is in a call right now: ask again when it was answered"
        raise Declined(message)
    if delivery.dead_letters.writing(part, record):
        message = f"{scope[0]}:{scope[1]}:{offset} is on its way to the dead-letter topic already: nothing to skip"
        raise Declined(message)
    whole = Rejected(part, record, None, Stage.DELIVER, "skipped_by_operator", "skipped", reason, last_ms=now_ms)
    refused = delivery.dead_letters.take(part, record)
    for rejected in _skipped(delivery, whole, refused, _take_out(delivery, part, offset)):
        delivery.dead_letters.write(rejected)
    for held in (Reason.HALT, Reason.BRAKE, Reason.DEDUPE_EXPIRED, Reason.STORM, Reason.OVERSIZED):
        hold = delivery.holds.on(scope).get(held)
        if hold is not None and hold.offset == offset:
            delivery.holds.lift(scope, held)
            if held is Reason.BRAKE:
                delivery.dead_letters.hold_braked(scope, now_ms)
    delivery.finish.wake(part)


def go_past(delivery: Delivery, scope: TopicPartition, first: int, to: int) -> None:
    """Go on at `to` where nothing from `first` on can be read: only when everything before it has an outcome."""
    part = delivery.parts.get(scope)
    if part is None:
        message = f"{scope[0]}:{scope[1]} is not assigned to this process"
        raise Declined(message)
    left = [offset for offset in part.ledger.unfinished if offset < first]
    if left:
        message = (
            f"{len(left)} records of {scope[0]}:{scope[1]} before offset {first} have no outcome yet, the first at "
            f"{left[0]}: wait for them, or put them aside with `suprsend-bridge skip`"
        )
        raise Declined(message)
    # What was given back is read again from anywhere below it: what lies between may be gone.
    if first >= to or (part.ledger.given is None and first < part.ledger.next):
        message = f"{scope[0]}:{scope[1]} is now read from offset {part.ledger.next} on: run the command again"
        raise Declined(message)
    delivery.order(GoPast(*scope, part.epoch, first, to))


def _skipped(delivery: Delivery, whole: Rejected, refused: list[Rejected], events: list[Event]) -> list[Rejected]:
    """The letters of a skip: one, or of a record with several events one for each that has not ended.

    Each names its item and key: a letter about all would have those sent again, under other keys, that were delivered.
    """
    offset = whole.record.offset()
    fan_out = whole.part.fan_outs.get(offset)
    if fan_out is None or len(refused) + len(events) != fan_out.left:
        if fan_out is not None:
            delivery.finish.last_of(whole.part, offset)
        named = [event for event in (*(each.event for each in refused), *events) if event is not None]
        ends = [*(kind for each in refused for kind in each.ends), *((event.rule, event.name) for event in named)]
        return [replace(whole, ends=tuple(ends))]
    why = {"cause": whole.cause, "code": whole.code, "message": whole.message, "last_ms": whole.last_ms}
    kept = [replace(rejected, **why) for rejected in refused]  # type: ignore[arg-type] # the names are those of Rejected
    return [*kept, *(replace(whole, rule=event.rule, event=event) for event in events)]


def _take_out(delivery: Delivery, part: Partition, offset: int) -> list[Event]:
    """Take a record out of everything; the events of it that were not accepted."""

    def of_record(run: Run) -> list[int]:
        return [place for place, at in enumerate(run.offsets) if at == offset] if run.part is part else []

    taken = part.lanes.take_out(offset)
    calls = delivery.calls
    for root in (*delivery.batcher.unstarted(), *calls.in_flight.values(), *(entry[2] for entry in calls.resting)):
        gone = [run for batch in root.family() for run in batch.take(of_record)]
        for run in gone:
            # A half that goes out before may keep the same lane busy.
            delivery.finish.unlock(run, root.locked())
        taken += gone
    return [event for run in taken for event in run.events()]
