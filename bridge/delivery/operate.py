"""What a person may do to a running bridge: new rules, pauses, resume, skip, accept a rewind. Pure.

All are called by the delivery thread between two turns. `Declined` says in one line why something cannot be done.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from bridge.delivery.batch import Flight, Item
from bridge.delivery.core import Delivery
from bridge.delivery.dead_letter_headers import Refusal
from bridge.delivery.holds import KINDS, Hold, Reason
from bridge.delivery.partition import Fan, Lane, Partition
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
        delivery.settler.woken.append(part)


def _put_back(delivery: Delivery, part: Partition) -> None:
    """Empty the flights that have not gone out, and the lanes they held, of this partition's records."""
    placer, lane_of = delivery.placer, delivery.calls.lane_of
    started = {item[1].offset() for flight in delivery.calls.flights() for item in flight.items if item[0] is part}
    started |= delivery.refusals.on_their_way(part)
    records: dict[int, Record] = {}
    fixed = _fixed(delivery, part, started)
    for flight in placer.unstarted():
        mine = [
            item
            for item in flight.items
            if item[0] is part and _fresh(part, item[1], started) and item[1].offset() > fixed.get(lane_of(item[1]), -1)
        ]
        records.update((record.offset(), record) for _, record, _ in mine)
        gone = {id(item) for item in mine}
        flight.keep([item for item in flight.items if id(item) not in gone])
    unstarted = placer.unstarted()
    freed = [lane for lane in part.waiting if not _out(part.lanes.get(lane), unstarted)]
    for lane in freed:
        kept: deque[Record | Fan] = deque()
        for entry in part.waiting.pop(lane):
            record = entry.record if isinstance(entry, Fan) else entry
            if isinstance(entry, Fan) and not _fresh(part, record, started):
                kept.append(entry)
            else:
                records[record.offset()] = record
        if kept:
            part.waiting[lane] = kept
            part.runnable.append(lane)
    for record in records.values():
        part.fans.pop(record.offset(), None)
    part.lanes = {lane: holder for lane, holder in part.lanes.items() if (id(part), lane) in holder.lanes(lane_of)}
    part.runnable = deque(lane for lane in dict.fromkeys(part.runnable) if lane in part.waiting)
    part.unsent.extendleft(records[offset] for offset in sorted(records, reverse=True))


def _fixed(delivery: Delivery, part: Partition, started: set[int]) -> dict[Lane | None, int]:
    """Per lane, the last record that keeps its place because something of it has ended: so do all before it."""
    lane_of = delivery.calls.lane_of
    unsent = [item[1] for flight in delivery.placer.unstarted() for item in flight.items if item[0] is part]
    overhang = [waiting[0].record for waiting in part.waiting.values() if waiting and isinstance(waiting[0], Fan)]
    fixed: dict[Lane | None, int] = {}
    for record in (*unsent, *overhang):
        lane = lane_of(record)
        if lane is not None and not _fresh(part, record, started):
            fixed[lane] = max(record.offset(), fixed.get(lane, -1))
    return fixed


def _fresh(part: Partition, record: Record, started: set[int]) -> bool:
    """Whether nothing of the record was handed over or ended, so that it may become something else."""
    fan = part.fans.get(record.offset())
    return record.offset() not in started and (fan is None or fan.left == fan.total)


def _out(holder: Flight | None, unstarted: list[Flight]) -> bool:
    """Whether a flight that was handed to the API holds the lane."""
    return holder is not None and not any(holder is flight for flight in unstarted)


def _remap_braked(delivery: Delivery, scope: TopicPartition) -> None:
    """What the brake kept back: what no rule could map is mapped anew; what the API refused keeps its dead letter."""
    part = delivery.parts.get(scope)
    if part is None:
        return
    unsent = {record.offset(): record for record in part.unsent}
    for refusal in delivery.refusals.take_braked(scope):
        offset = refusal.record.offset()
        if refusal.event is None and offset not in part.fans:
            unsent[offset] = refusal.record
        else:
            delivery.refusals.write(refusal)
    part.unsent = deque(unsent[offset] for offset in sorted(unsent))


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
            delivery.refusals.loosen(scope)
        elif reason is Reason.DEDUPE_EXPIRED and part is not None:
            part.consented = max(part.ledger.newest, part.start.bound)
        elif reason is Reason.STORM and delivery.placer.storm is not None:
            delivery.placer.storm.reset()
    if part is not None:
        delivery.settler.woken.append(part)
    return lifted


def accept_rewind(delivery: Delivery, token: str) -> TopicPartition:
    """Let exactly the offsets go out again that the token stands for."""
    for hold in delivery.holds.all():
        if hold.reason is Reason.REWIND and hold.token == token and hold.scope is not None:
            delivery.holds.lift(hold.scope, Reason.REWIND)
            part = delivery.parts.get(hold.scope)
            if part is not None:
                part.consented = max(part.ledger.newest, part.start.bound)
                delivery.settler.woken.append(part)
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
        item[0] is part and item[1] is record for flight in delivery.calls.in_flight.values() for item in flight.items
    ):
        message = f"{scope[0]}:{scope[1]}:{offset} is in a call right now: ask again when it was answered"
        raise Declined(message)
    if delivery.refusals.writing(part, record):
        message = f"{scope[0]}:{scope[1]}:{offset} is on its way to the dead-letter topic already: nothing to skip"
        raise Declined(message)
    whole = Refusal(part, record, None, Stage.DELIVER, "skipped_by_operator", "skipped", reason, last_ms=now_ms)
    refused = delivery.refusals.take(part, record)
    for refusal in _skipped(whole, refused, _take_out(delivery, part, record)):
        delivery.refusals.write(refusal)
    for held in (Reason.HALT, Reason.BRAKE, Reason.DEDUPE_EXPIRED, Reason.STORM, Reason.OVERSIZED):
        hold = delivery.holds.on(scope).get(held)
        if hold is not None and hold.offset == offset:
            delivery.holds.lift(scope, held)
            if held is Reason.BRAKE:
                delivery.refusals.hold_braked(scope, now_ms)
    delivery.settler.woken.append(part)


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
        message = f"{scope[0]}:{scope[1]} is read from {part.ledger.next} on: look again what cannot be read"
        raise Declined(message)
    delivery.order(GoPast(*scope, part.epoch, first, to))


def _skipped(whole: Refusal, refused: list[Refusal], events: list[Event]) -> list[Refusal]:
    """The letters of a skip: one, or of a record with several events one for each that has not ended.

    Each names its item and key: a letter about all would have those sent again, under other keys, that were delivered.
    """
    fan = whole.part.fans.get(whole.record.offset())
    if fan is None:
        return [whole]
    if len(refused) + len(events) != fan.left:
        fan.left = 1
        return [whole]
    why = {"cause": whole.cause, "code": whole.code, "message": whole.message, "last_ms": whole.last_ms}
    kept = [replace(refusal, **why) for refusal in refused]  # type: ignore[arg-type] # the names are those of Refusal
    return [*kept, *(replace(whole, rule=event.rule, event=event) for event in events)]


def _take_out(delivery: Delivery, part: Partition, record: Record) -> list[Event]:
    """Take a record out of everything; the events of it that were not accepted."""
    events: list[Event] = []
    part.unsent = deque(entry for entry in part.unsent if entry is not record)
    for lane in list(part.waiting):
        entries = part.waiting[lane]
        events += [
            event for entry in entries if isinstance(entry, Fan) and entry.record is record for event in entry.events
        ]
        part.waiting[lane] = deque(
            entry for entry in entries if (entry.record if isinstance(entry, Fan) else entry) is not record
        )
    calls, lane_of = delivery.calls, delivery.calls.lane_of
    for root in (*delivery.placer.unstarted(), *calls.in_flight.values(), *(entry[2] for entry in calls.resting)):
        gone: list[Item] = []
        for flight in root.family():
            mine = [item for item in flight.items if item[0] is part and item[1] is record]
            if mine:
                flight.keep([item for item in flight.items if item[0] is not part or item[1] is not record])
                gone += mine
        if gone:
            # A half that goes out before may hold the same lane.
            delivery.settler.free(gone, root.lanes(lane_of))
            events += [event for _, _, event in gone]
    return events
