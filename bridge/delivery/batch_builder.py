"""What a mapped record becomes: events in flights, dead letters, outcomes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bridge.delivery.batch import Flight
from bridge.delivery.dead_letter_headers import Refusal, refusal_of
from bridge.delivery.dead_letters import Refusals
from bridge.delivery.finish import Settler
from bridge.delivery.holds import Hold, Holds, Reason
from bridge.delivery.partition import Fan, Lane, Partition
from bridge.delivery.policy import Policy
from bridge.delivery.storm import MOST_AHEAD_MS, StormGuard
from bridge.flow import Event, Fault, Mapped, OnError, Outcome, Record, Stage
from bridge.offsets.handed_since import since_of

FAULT_OUTCOME: dict[OnError, Outcome] = {"skip": Outcome.SKIPPED, "drop": Outcome.FILTERED}
"""What a fault ends as that is neither dead-lettered nor halts."""


class Placer:
    """Owns the flights that have not gone out yet. Used by the delivery thread alone."""

    def __init__(self, policy: Policy, settler: Settler, refusals: Refusals, holds: Holds) -> None:
        self._policy = policy
        self._settler = settler
        self._refusals = refusals
        self._holds = holds
        self.storm = StormGuard(policy.storm) if policy.storm is not None else None
        """Every record passes by `place` where there is one."""
        self.open: Flight | None = None
        self.sealed: deque[Flight] = deque()
        """Full flights, in order, as they are to go out."""

    def flight(self, now: float) -> Flight:
        """The open flight, a new one if there is none."""
        if self.open is None:
            self.open = Flight(now)
        elif self.open.count == 0:
            self.open.opened = now
        return self.open

    def seal(self) -> None:
        """No more events for the open flight; an empty one is dropped."""
        if self.open is not None:
            self.open.taking = False
            if self.open.count:
                self.sealed.append(self.open)
            self.open = None

    def unstarted(self) -> list[Flight]:
        """Every flight whose events were never handed to the API."""
        return [*self.sealed, *([self.open] if self.open is not None else [])]

    def place(
        self, part: Partition, record: Record, lane: Lane | None, mapped: Mapped, now: float, now_ms: int
    ) -> bool:
        """Put everything that the record became on its way; False if it halts the partition (nothing is done then)."""
        faults = [entry for entry in mapped if isinstance(entry, Fault)]
        events = deque(entry for entry in mapped if isinstance(entry, Event))
        if not mapped:
            self._settler.record(part, record, Outcome.FILTERED)
            return True
        if self._halts(part, record, faults, now_ms) or (events and self.held_for_dedupe(part, record, None, now_ms)):
            return False
        stormy = self._stormy(record, events, now_ms) if self.storm is not None else ()
        if stormy and self._held_by_storm(part, record, stormy[0], now_ms):
            return False
        fan = Fan(record, deque(event for event in events if event not in stormy) if stormy else events, len(mapped))
        if len(mapped) > 1:
            part.fans[record.offset()] = fan
        for fault in faults:
            self._fault(part, record, fault, now_ms)
        for event in stormy:
            self._settler.tally.events[event.rule, event.name, "storm"] += 1
            self._refusals.write(storm_refusal(part, record, event))
        self.place_fan(part, fan, lane, now, now_ms)
        return True

    def _halts(self, part: Partition, record: Record, faults: list[Fault], now_ms: int) -> bool:
        for fault in faults:
            if fault.on_error == "halt":
                detail = f"rule {fault.rule}: {fault.code}: {fault.message}"
                self._holds.add(Hold(Reason.HALT, part.name, now_ms, detail, record.offset()))
                return True
        return False

    def _stormy(self, record: Record, events: Iterable[Event], now_ms: int) -> list[Event]:
        """The events that are too many for their recipient."""
        assert self.storm is not None
        at = record.timestamp()[1]
        at_ms = at if 0 <= at <= now_ms + MOST_AHEAD_MS else now_ms
        alive = [event for event in events if event.expires is None or event.expires >= now_ms]
        return [event for event in alive if not self.storm.admits(event, at_ms)]

    def _held_by_storm(self, part: Partition, record: Record, event: Event, now_ms: int) -> bool:
        limits = self._policy.storm
        if limits is None or limits.action != "hold":
            return False
        detail = f"rule {event.rule}: more than {limits.events} events for one recipient in {limits.per_ms // 1000} s"
        self._holds.add(Hold(Reason.STORM, part.name, now_ms, detail, record.offset()))
        return True

    def paused(self, part: Partition) -> bool:
        """Whether an operator paused it: then nothing of it goes out, not even what was handed over before."""
        return part.live and Reason.OPERATOR in self._holds.on(part.name)

    def held_for_dedupe(self, part: Partition, record: Record, first_ms: int | None, now_ms: int) -> bool:
        """Held because it may have been sent so long ago that SuprSend has forgotten it."""
        return self._policy.on_dedupe_expired == "hold" and self.hold_expired(part, record, first_ms, now_ms)

    def hold_expired(self, part: Partition, record: Record, first_ms: int | None, now_ms: int) -> bool:
        """Hold its partition if it may have been sent so long ago; whether that is so."""
        if not part.live or not self.expired_for_dedupe(part, record, first_ms, now_ms):
            return False
        detail = "first handed over longer ago than SuprSend remembers: to send it now may notify again"
        self._holds.add(Hold(Reason.DEDUPE_EXPIRED, part.name, now_ms, detail, record.offset()))
        return True

    def expired_for_dedupe(self, part: Partition, record: Record, first_ms: int | None, now_ms: int) -> bool:
        """Whether a further attempt could notify again, because the first one is (nearly) out of the 24 h window."""
        if record.offset() <= part.consented or self._policy.on_dedupe_expired == "send":
            return False
        if record.offset() <= part.start.bound:
            first_ms = handed_over_at(part, record)
        return first_ms is not None and now_ms - first_ms > self._policy.give_up_ms

    def _fault(self, part: Partition, record: Record, fault: Fault, now_ms: int) -> None:
        self._settler.tally.rule_errors[fault.rule or "", fault.code] += 1
        outcome = FAULT_OUTCOME.get(fault.on_error)
        if outcome is None:
            self._refusals.refuse(refusal_of(part, record, fault), now_ms)
        else:
            self._settler.part_of_record(part, record, outcome)

    def place_fan(self, part: Partition, fan: Fan, lane: Lane | None, now: float, now_ms: int) -> None:
        """Put a record's events into flights, in order; with a lane, what does not fit into this call waits for it."""
        policy = self._policy
        while fan.events:
            event = fan.events[0]
            if not self._current(part, fan.record, event, now_ms):
                fan.events.popleft()
                continue
            flight = self.flight(now)
            size = flight.size + len(event.body) + 1
            if flight.items and (size > policy.batch_bytes or len(flight.items) >= policy.batch_events):
                self.seal()
                if lane is not None and part.lanes.get(lane) is flight:
                    part.waiting.setdefault(lane, deque()).appendleft(fan)
                    return
                continue
            fan.events.popleft()
            flight.items.append((part, fan.record, event))
            flight.size = size
            if fan.record.offset() <= part.start.bound:
                flight.guarded = True
            if event.expires is not None:
                flight.perishable = True
            if lane is not None:
                part.lanes[lane] = flight
        if self.open is not None and self.open.count >= policy.batch_events:
            self.seal()

    def _current(self, part: Partition, record: Record, event: Event, now_ms: int) -> bool:
        """Whether the event may still go out; if not, it ends here."""
        if event.expires is not None and event.expires < now_ms:
            self._settler.event((part, record, event), Outcome.EXPIRED, "expired")
            return False
        if self.expired_for_dedupe(part, record, None, now_ms):
            self._settler.tally.dedupe_expired += 1
            self._refusals.write(dedupe_refusal(part, record, event, handed_over_at(part, record)))
            return False
        return True


def handed_over_at(part: Partition, record: Record) -> int:
    """When an earlier owner may first have handed the record over, in milliseconds; for one up to the start's bound."""
    since = since_of(part.start.steps, record.offset())
    return part.start.bound_at if since is None else since


def storm_refusal(part: Partition, record: Record, event: Event) -> Refusal:
    """The dead letter of an event that is one too many for its recipient; it was never sent."""
    message = "more events for one recipient than `delivery.storm` allows"
    return Refusal(part, record, event.rule, Stage.DELIVER, "storm", "storm", message, event=event)


def dedupe_refusal(part: Partition, record: Record, event: Event, first_ms: int | None) -> Refusal:
    """The dead letter of an event whose repeat SuprSend might take for a new one."""
    message = "first handed over longer ago than SuprSend remembers its key; to send it now may notify again"
    return Refusal(
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
