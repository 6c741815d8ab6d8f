"""Flights on their way: which goes out next, what its answer means, when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from random import Random

from bridge.delivery.admission import Closed, Gate
from bridge.delivery.batch import Flight, Item, newest_of
from bridge.delivery.batch_builder import Placer, dedupe_refusal
from bridge.delivery.batcher import LaneOf
from bridge.delivery.dead_letter_headers import Refusal
from bridge.delivery.dead_letters import Refusals
from bridge.delivery.finish import Settler
from bridge.delivery.journal import Fact
from bridge.delivery.log_lines import PARTLY, show_sent, tell_batch, tell_circuit
from bridge.delivery.partition import Partition
from bridge.delivery.policy import Policy
from bridge.delivery.probes import Probes
from bridge.delivery.stuck import Suspects
from bridge.flow import Judge, Judged, Outcome, Record, Reply, Stage, Verdict

AGAIN = frozenset({Verdict.TRANSIENT, Verdict.THROTTLED, Verdict.UNKNOWN, Verdict.SETUP, Verdict.DOUBTFUL})
"""Verdicts after which the same bytes are sent again."""

DOUBTS = 3
"""So many doubtful answers refuse an event."""

NEVER = float("inf")
"""When a flight is tried again that was set aside: not before it is resumed."""

CAUSE: dict[Verdict, str] = {Verdict.INVALID: "invalid", Verdict.TOO_LARGE: "too_large"}
"""Verdicts that refuse an event for good, and the class of its dead letter."""


class Calls:
    """Used by the delivery thread alone. A call's number is new with each attempt: an answer cannot be mistaken."""

    def __init__(
        self,
        policy: Policy,
        gate: Gate,
        placer: Placer,
        settler: Settler,
        refusals: Refusals,
        judge: Judge,
        lane_of: LaneOf,
        rng: Random,
    ) -> None:
        self._policy = policy
        self._gate = gate
        self._placer = placer
        self._settler = settler
        self._refusals = refusals
        self._judge = judge
        self.lane_of = lane_of
        self._rng = rng
        self._number = 0
        self.in_flight: dict[int, Flight] = {}
        self.resting: list[tuple[float, int, Flight]] = []
        """A heap of flights that wait to be tried again: (when, number, flight)."""
        self.closed: Closed | None = None
        """Why the last look at the gate found it closed."""
        self._suspects = Suspects(policy, settler, lane_of)
        self._looked = 0.0
        """When `starts` was last asked."""
        self.probes = Probes(self, gate, placer)

    def starts(self, now: float, now_ms: int) -> list[tuple[int, bytes]]:
        """The calls to start now, as (number, body)."""
        started: list[tuple[int, bytes]] = []
        self._count_wait(now)
        while True:
            self.closed = self._gate.closed(len(self.in_flight), now)
            if self.closed is not None:
                return started
            flight = self._next(now)
            if flight is None:
                if self.probes.lowered:
                    self.closed = Closed("hold", self.probes.later(now))
                return started
            if self._prune(flight, now, now_ms):
                started.append(self._start(flight, now, now_ms))

    def _count_wait(self, now: float) -> None:
        """Seconds since the last look in which something was to be sent and could not be, by why."""
        seconds, self._looked = now - self._looked, now
        if self.closed is not None and self.closed.reason != "in_flight":
            if self._placer.sealed or self.resting:
                self._settler.tally.wait(self.closed.reason, seconds)
        elif self.resting and self.resting[0][0] < NEVER and not self._placer.sealed:
            self._settler.tally.wait("backoff" if self.resting[0][0] > now else "budget", seconds)

    def _next(self, now: float) -> Flight | None:
        """What is due to be tried again first, while the retry budget allows; else the next full flight."""
        if self._gate.held():
            return self.probes.in_hold(now)
        self.probes.over()
        if self._gate.one_at_a_time():
            return self.probes.in_outage(now)
        if self.probes.lowered:
            return self.probes.behind_hold(now)
        resting = self.resting
        if resting and resting[0][0] <= now and (resting[0][2].immediate or self._gate.budget.wait(now) <= 0):
            return heappop(resting)[2]
        sealed = self._placer.sealed
        return sealed.popleft() if sealed else None

    def _prune(self, flight: Flight, now: float, now_ms: int) -> bool:
        """Before every attempt: drop what was fenced or is too old; False if nothing is left of it."""
        guard = flight.guarded or flight.first_ms is not None
        parts = flight.parts()
        if any(part.behind or self._placer.paused(part) for part in parts):
            self._set_aside(flight)
            parts = flight.parts()
        if flight.count and not guard and not flight.perishable and all(part.live for part in parts):
            return True
        keep: list[Item] = []
        gone: list[Item] = []
        asks = self._policy.on_dedupe_expired == "hold" or flight.oversized is not None
        if guard and asks and self._parked(flight, now, now_ms):
            return False
        for item in flight.items:
            part, record, event = item
            if not part.live:
                continue
            if event.expires is not None and event.expires < now_ms:
                gone.append(item)
                self._settler.event(item, Outcome.EXPIRED, "expired")
            elif guard and self._placer.expired_for_dedupe(part, record, flight.first_ms, now_ms):
                gone.append(item)
                self._settler.tally.dedupe_expired += 1
                self._refusals.write(dedupe_refusal(part, record, event, flight.first_ms))
            else:
                keep.append(item)
        if len(keep) < len(flight.items):
            flight.keep(keep)
            self._settler.free(gone, flight.lanes(self.lane_of))
        if not keep:
            self._sequel(flight)
        return bool(keep)

    def _set_aside(self, flight: Flight) -> None:
        """What is paused waits apart until it is resumed, that of the halves that wait for this flight included.

        So does, behind a hold of its partition, what no commit covers again yet.
        """
        family = list(flight.family())
        waiting = {
            part
            for part, newest in newest_of(family).items()
            if self._placer.paused(part) or (part.behind and part.live and newest > part.bound)
        }
        first_ms = min((each.first_ms for each in family if each.first_ms is not None), default=None)
        for part in sorted(waiting, key=lambda part: part.name):
            waits = [item for each in family for item in each.items if item[0] is part]
            aside = flight.apart(waits)
            aside.first_ms, aside.immediate = first_ms, flight.immediate
            aside.guarded = any(each.guarded for each in family)
            aside.perishable = any(each.perishable for each in family)
            for each in family:
                each.keep([item for item in each.items if item[0] is not part])
            for _, record, _ in waits:
                lane = self.lane_of(record)
                if lane is not None:
                    part.lanes[lane] = aside
            self._push(aside, NEVER)

    def unpark(self, part: Partition) -> None:
        """What was set aside of the partition is due again; where the partition is gone, it is dropped then."""
        self.resting = [
            (0.0 if at == NEVER and (not flight.count or part in flight.parts()) else at, number, flight)
            for at, number, flight in self.resting
        ]
        heapify(self.resting)

    def _parked(self, flight: Flight, now: float, now_ms: int) -> bool:
        """Where a person is to decide on a repeat, a partition's events wait apart; True if nothing else is left.

        A flight that has a sequel waits as a whole, so that order holds.
        """
        held = {
            part for part, record, _ in flight.items if self._placer.hold_expired(part, record, flight.first_ms, now_ms)
        }
        if not held:
            return False
        waits = [item for item in flight.items if item[0] in held]
        others = [item for item in flight.items if item[0] not in held]
        at = now + self._policy.probe_interval
        if not others or flight.sequel is not None:
            self._push(flight, at)
            return True
        parked = flight.apart(waits)
        flight.keep(others)
        for part, record, _ in waits:
            lane = self.lane_of(record)
            if lane is not None:
                part.lanes[lane] = parked
        self._push(parked, at)
        return False

    def _start(self, flight: Flight, now: float, now_ms: int) -> tuple[int, bytes]:
        self._number += 1
        body = flight.body()
        tally = self._settler.tally
        tally.body_bytes += len(body)
        tally.call_records.observe(flight.count)
        self._gate.called(flight.count, immediate=flight.immediate, now=now)
        flight.started = now
        flight.batch = flight.batch or self._number
        if flight.first_ms is None:
            flight.first_ms = now_ms
        if self._settler.journal.sent:
            show_sent(self._settler.journal, flight)
        self.in_flight[self._number] = flight
        return self._number, body

    def answered(self, number: int, reply: Reply, now: float, now_ms: int) -> None:
        """The end of one attempt, whatever came of it."""
        flight = self.in_flight.pop(number, None)
        if flight is None:
            return
        self.probes.moved = True
        judged = self._judge(reply, flight.count, lambda: [item[2].key for item in flight.items])
        tally = self._settler.tally
        tally.requests[str(reply.status) if reply.status else reply.error or "unknown"] += 1
        tally.call_seconds.observe(reply.seconds)
        if judged.whole is Verdict.UNKNOWN:
            tally.unknown_answers += 1
            if 200 <= reply.status < 300:
                tell_batch(self._settler.journal, "answer_unknown", flight, judged)
        breaker = self._gate.breaker
        was_open = breaker.open
        self._gate.answered(
            reply, judged, len(self.in_flight) + 1, retried=not flight.immediate, now=now, now_ms=now_ms
        )
        if breaker.open is not was_open:
            tell_circuit(self._settler.journal, judged, self._policy.breaker_failures, opened=breaker.open)
        flight.tries += 1
        if judged.applied:
            flight.attempts += 1
        if judged.items is None and judged.whole is Verdict.ACCEPTED:
            self._accepted(flight, now, now_ms)
        elif judged.items is not None:
            self._mixed(flight, judged.items, judged, now, now_ms)
        else:
            self._refused_whole(flight, judged, now, now_ms)

    def _accepted(self, flight: Flight, now: float, now_ms: int) -> None:
        self._suspects.last_success = now
        first, last = flight.ends()
        self._observe(flight, first, last, flight.count, now, now_ms)
        self._settler.ended(flight)
        self._sequel(flight)

    def _observe(self, flight: Flight, first: Record, last: Record, events: int, now: float, now_ms: int) -> None:
        """Latency of a call's events, from its first and its last record."""
        tally = self._settler.tally
        half = events // 2
        for record, times in ((first, events - half), (last, half)):
            at = record.timestamp()[1]
            if at >= 0 and times:
                tally.latency.observe(max(0.0, (now_ms - at) / 1000), times)
        tally.processing.observe(max(0.0, now - flight.opened), events)

    def _mixed(self, flight: Flight, verdicts: Sequence[Verdict], judged: Judged, now: float, now_ms: int) -> None:
        """Results per record: each goes its own way; what was accepted is never sent again."""
        accepted: list[Item] = []
        refused: list[Item] = []
        again: list[Item] = []
        lanes_failed: set[tuple[int, bytes]] = set()
        for index, (item, verdict) in enumerate(zip(flight.items, verdicts, strict=True)):
            if verdict is Verdict.ACCEPTED:
                accepted.append(item)
                self._count_break(item, lanes_failed)
            elif verdict in AGAIN and not self._doubted(flight, item, verdict):
                again.append(item)
                lane = self.lane_of(item[1])
                if lane is not None:
                    lanes_failed.add((id(item[0]), lane))
            else:
                refused.append(item)
                code, message = judged.details[index] if judged.details else (judged.code, judged.message)
                self._refuse(flight, item, verdict, code, message, now_ms)
        if accepted:
            self._suspects.last_success = now
            self._observe(flight, accepted[0][1], accepted[-1][1], len(accepted), now, now_ms)
            self._settler.delivered(accepted)
        done = accepted + refused
        flight.keep(again)
        self._settler.free(done, flight.lanes(self.lane_of))
        if Verdict.SETUP in verdicts:
            self._gate.hold_setup(judged.message, now, now_ms)
        if again:
            self._got_through(flight)
            self._rest(flight, Verdict.TRANSIENT, None, now, now_ms)
        else:
            self._sequel(flight)

    def _doubted(self, flight: Flight, item: Item, verdict: Verdict) -> bool:
        """Count a doubtful answer; whether it was one too many."""
        if verdict is not Verdict.DOUBTFUL:
            return False
        flight.doubts[item[2].key] += 1
        return flight.doubts[item[2].key] >= DOUBTS

    def _count_break(self, item: Item, lanes_failed: set[tuple[int, bytes]]) -> None:
        if lanes_failed:
            lane = self.lane_of(item[1])
            if lane is not None and (id(item[0]), lane) in lanes_failed:
                self._settler.tally.order_breaks += 1

    def _refuse(self, flight: Flight, item: Item, verdict: Verdict, code: str, message: str, now_ms: int) -> None:
        part, record, event = item
        self._settler.tally.events[event.rule, event.name, "refused"] += 1
        refusal = Refusal(
            part,
            record,
            event.rule,
            Stage.DELIVER,
            CAUSE.get(verdict, "invalid"),
            code,
            message,
            event=event,
            attempts=max(1, flight.attempts),
            first_ms=flight.first_ms,
            last_ms=now_ms,
        )
        self._refusals.refuse(refusal, now_ms)

    def _refused_whole(self, flight: Flight, judged: Judged, now: float, now_ms: int) -> None:
        doubted = [self._doubted(flight, item, judged.whole) for item in flight.items]
        if judged.whole in AGAIN and not any(doubted):
            self._rest(flight, judged.whole, judged, now, now_ms)
        elif len(flight.items) > 1 and (judged.splittable or any(doubted)):
            tell_batch(self._settler.journal, "batch_split", flight, judged)
            self._stop_clock(flight)
            flight.split()
            self._push(flight, now)
        elif judged.whole is Verdict.OVERSIZED:
            self._set_apart(flight, judged, now, now_ms)
        else:
            tell_batch(self._settler.journal, "batch_refused", flight, judged, verdict=judged.whole.value)
            for item in flight.items:
                self._refuse(flight, item, judged.whole, judged.code, judged.message, now_ms)
            done = flight.items
            flight.keep([])
            self._settler.free(done, flight.lanes(self.lane_of))
            self._sequel(flight)

    def _rest(self, flight: Flight, verdict: Verdict, judged: Judged | None, now: float, now_ms: int) -> None:
        """The same bytes again, later; or, if only this flight keeps failing, find the record that is stuck."""
        self._settler.tally.retries[verdict.value] += 1
        self._stop_clock(flight)
        failing = verdict in (Verdict.TRANSIENT, Verdict.UNKNOWN)
        if failing and self._suspects.failed(flight, judged or PARTLY, now):
            self._isolate(flight, judged, now, now_ms)
            return
        if failing and self._nothing_else():
            other = self._suspects.apart(flight)
            if other is not None:
                self._push(other, now + self._policy.backoff.delay(other.tries, self._rng))
        flight.immediate = verdict is Verdict.SETUP
        delay = 0.0 if verdict is Verdict.SETUP else self._policy.backoff.delay(flight.tries, self._rng)
        more: dict[str, Fact] = {"reason": verdict.value, "attempt": flight.tries, "in_seconds": round(delay, 2)}
        tell_batch(self._settler.journal, "batch_retried", flight, judged or PARTLY, **more)
        self._push(flight, now + delay)

    def _stop_clock(self, flight: Flight) -> None:
        """Where no attempt so far can have been applied, the 24 hours begin with the next one."""
        if flight.attempts == 0:
            flight.first_ms = None

    def _set_apart(self, flight: Flight, judged: Judged, now: float, now_ms: int) -> None:
        """One event is too large for something on the way: its partition waits for it, and nothing else does."""
        part, record, event = flight.items[0]
        flight.oversized, flight.immediate = part, True
        self._settler.tally.retries[judged.whole.value] += 1
        if part.live:
            self._gate.hold_oversized(part.name, record.offset(), len(event.body) + 2, judged, now_ms)
        self._free_sequel(flight, now)
        self._push(flight, now + self._policy.probe_interval)

    def _free_sequel(self, flight: Flight, now: float) -> None:
        """What waits behind the flight and is of other lanes goes on by itself."""
        behind = [item for half in flight.family() if half is not flight for item in half.items]
        flight.sequel = None
        held = flight.lanes(self.lane_of)
        stays = [item for item in behind if (id(item[0]), self.lane_of(item[1])) in held]
        goes = [item for item in behind if (id(item[0]), self.lane_of(item[1])) not in held]
        if stays:
            flight.sequel = flight.apart(stays)
        if goes:
            other = flight.apart(goes)
            for part, record, _ in goes:
                lane = self.lane_of(record)
                if lane is not None:
                    part.lanes[lane] = other
            self._push(other, now)

    def _got_through(self, flight: Flight) -> None:
        """Nothing on the way finds the flight too large any more, whatever SuprSend says of it: its partition goes on."""
        if flight.oversized is not None and flight.oversized.live:
            self._gate.lift_oversized(flight.oversized.name)
        flight.oversized = None

    def _nothing_else(self) -> bool:
        """Whether no other flight is in work."""
        resting = any(at < NEVER for at, _, _ in self.resting)
        return not (self.in_flight or resting or any(flight.items for flight in self._placer.unstarted()))

    def _isolate(self, flight: Flight, judged: Judged | None, now: float, now_ms: int) -> None:
        if len(flight.items) > 1:
            self._suspects.halve(flight)
            self._push(flight, now)
            return
        part, record, event = item = flight.items[0]
        self._settler.tally.stuck += 1
        message = judged.message if judged else "refused as transient again and again while others were accepted"
        self._refusals.write(
            Refusal(
                part,
                record,
                event.rule,
                Stage.DELIVER,
                "stuck",
                judged.code if judged else "transient",
                message,
                event=event,
                attempts=flight.attempts,
                first_ms=flight.first_ms,
                last_ms=now_ms,
            )
        )
        flight.keep([])
        self._settler.free([item], flight.lanes(self.lane_of))
        self._sequel(flight)

    def _push(self, flight: Flight, at: float) -> None:
        self._number += 1
        heappush(self.resting, (at, self._number, flight))

    def _sequel(self, flight: Flight) -> None:
        """The flight has ended: the other half of a bisection may go out now, and a partition that it held goes on."""
        self._got_through(flight)
        if flight.sequel is not None:
            self._push(flight.sequel, 0.0)

    def next_at(self, now: float) -> float | None:
        """When to look again without an event in between; None if only an event can change something."""
        if self.closed is not None and self.closed.reason != "in_flight":
            return self.closed.until
        if self.closed is not None or not self.resting:
            return None
        at = self.resting[0][0]
        return max(at, now + self._gate.budget.wait(now)) if not self.resting[0][2].immediate else at

    def flights(self) -> list[Flight]:
        """Every flight that was handed to the API and has not ended, halves that wait for their turn included."""
        roots = [*self.in_flight.values(), *(entry[2] for entry in self.resting)]
        return [flight for root in roots for flight in root.family()]

    def in_call(self, part: Partition) -> bool:
        """Whether an event of the partition is in a call right now."""
        return any(part in flight.parts() for flight in self.in_flight.values())
