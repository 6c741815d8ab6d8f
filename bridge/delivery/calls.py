"""Batches on their way: which goes out next, what its answer means, when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

from bridge.delivery.admission import Admission, Closed, Holds
from bridge.delivery.batch import Batch, Lane, Partition, Run, newest_of
from bridge.delivery.batcher import Batcher
from bridge.delivery.dead_letter_headers import Rejected
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.finish import Finish
from bridge.delivery.guards import Repeats
from bridge.delivery.journal import PARTLY, Fact, Journal, log_batch, log_circuit, show_sent
from bridge.delivery.policy import Policy
from bridge.delivery.stuck import Stuck
from bridge.flow import (
    Event,
    Judge,
    Judged,
    Outcome,
    Record,
    Reply,
    Stage,
    Verdict,
)

AGAIN = frozenset({Verdict.TRANSIENT, Verdict.THROTTLED, Verdict.UNKNOWN, Verdict.SETUP, Verdict.DOUBTFUL})
"""Verdicts after which the same bytes are sent again."""

DOUBTS = 3
"""So many doubtful answers refuse an event."""

NEVER = float("inf")
"""When a batch is tried again that was set aside: not before it is resumed."""

CAUSE: dict[Verdict, str] = {Verdict.INVALID: "invalid", Verdict.TOO_LARGE: "too_large"}
"""Verdicts that refuse an event for good, and the class of its dead letter."""


NEW_SECONDS = 3600.0
"""Where answers are refused behind calls that may have been applied, a probe is a new batch this seldom."""


class Probes:
    """Which batch goes out while everything is held, and right behind a hold: one at a time, as far as commits cover it.

    Used by the delivery thread alone.
    """

    def __init__(self, calls: Calls, admission: Admission, batcher: Batcher) -> None:
        self._calls = calls
        self._admission = admission
        self._batcher = batcher
        self.lowered: set[Partition] = set()
        """While everything is held and right behind it: partitions whose commits may cover less than what is in batches.

        Each batch is looked at before it goes.
        """
        self.chosen: Batch | None = None
        """While everything is held: the batch that goes next, once commits cover it."""
        self.hungry = False
        """While everything is held: a probe of new records is wanted, and there is none."""
        self.moved = False
        """What may have been applied, or what is probed next, is another since this was set to false."""
        self._new_at: float | None = None
        """While everything is held: when a probe may be a batch that never went out."""

    @property
    def filling(self) -> bool:
        """Whether a batch of new records is on its way to be full."""
        return self._batcher.open is not None and self._batcher.open.count > 0

    def over(self) -> None:
        """Nothing is held."""
        self.chosen, self.hungry, self._new_at = None, False, None

    def in_hold(self, now: float) -> Batch | None:
        """Where calls may be applied whatever the answers say, a probe is what went out before: only that can be late.

        The least tried first. A new batch goes once an hour then, and where nothing that went out is left; it waits
        until a commit covers it. Where nothing was applied, by SuprSend's own words, any may go.
        """
        sealed, doubt = self._batcher.sealed, self._admission.maybe_applied
        while sealed and not sealed[0].count:
            sealed.popleft()
        if self._new_at is None:
            self._new_at = now + NEW_SECONDS
        none_left = not (self._calls.resting or self._calls.in_flight)
        due = now >= self._new_at or none_left
        first = sealed[0] if sealed and (due or not doubt) else next((each for each in sealed if each.guarded), None)
        chosen = first if first is not None else self.least_tried(now)
        hungry = due and not sealed and (doubt or none_left)
        if chosen is not self.chosen or hungry != self.hungry:
            self.chosen, self.hungry, self.moved = chosen, hungry, True
        if chosen is None or not self._covered(chosen):
            return None
        if chosen is first and not chosen.guarded:
            self._new_at = now + NEW_SECONDS
        self.chosen = None
        return self._take(chosen)

    def in_outage(self, now: float) -> Batch | None:
        """A new one before the least tried: one that would fail at a healthy API must not hide that it is healthy."""
        sealed = next(filter(self._covered, self._batcher.sealed), None)
        return self._take(sealed if sealed is not None else self.least_tried(now, self._covered))

    def behind_hold(self, now: float) -> Batch | None:
        """Commits follow one by one: what they cover goes out, the rest waits for them."""
        budget = self._admission.budget
        for at, _, batch in sorted(self._calls.resting):
            if at <= now and self._covered(batch) and (batch.immediate or budget.wait(now) <= 0):
                return self._take(batch)
        return self._take(next(filter(self._covered, self._batcher.sealed), None))

    def later(self, now: float) -> float | None:
        """When something that waits comes due by time alone."""
        times = [at for at, _, _ in self._calls.resting] + ([] if self._new_at is None else [self._new_at])
        return min((at for at in times if now < at < float("inf")), default=None)

    def least_tried(self, now: float, fits: Callable[[Batch], bool] = lambda _: True) -> Batch | None:
        """Of those that went out and are due."""
        due = [entry for entry in self._calls.resting if entry[0] <= now and fits(entry[2])]
        return min(due, key=lambda entry: (entry[2].tries, entry[1]))[2] if due else None

    def _covered(self, batch: Batch) -> bool:
        """Whether commits say of each of its records that it may have been handed over."""
        lowered = self.lowered
        return not lowered or all(
            run.part not in lowered or run.offsets[-1] <= run.part.send_limit for run in batch.runs if run.part.live
        )

    def _take(self, batch: Batch | None) -> Batch | None:
        """Take a batch out of where it waits."""
        calls, sealed = self._calls, self._batcher.sealed
        if batch is not None and batch in sealed:
            sealed.remove(batch)
        elif batch is not None:
            calls.resting = [entry for entry in calls.resting if entry[2] is not batch]
            heapify(calls.resting)
        return batch


class Calls:
    """Used by the delivery thread alone. A call's number is new with each attempt: an answer cannot be mistaken."""

    def __init__(
        self,
        policy: Policy,
        admission: Admission,
        holds: Holds,
        batcher: Batcher,
        finish: Finish,
        dead_letters: DeadLetters,
        repeats: Repeats,
        stuck: Stuck,
        judge: Judge,
        journal: Journal,
        rng: Random,
    ) -> None:
        self._policy = policy
        self._admission = admission
        self._holds = holds
        self._batcher = batcher
        self._finish = finish
        self._dead_letters = dead_letters
        self._repeats = repeats
        self._stuck = stuck
        self._judge = judge
        self._journal = journal
        self._rng = rng
        self._numbers = count(1)
        self.in_flight: dict[int, Batch] = {}
        self.resting: list[tuple[float, int, Batch]] = []
        """A heap of batches that wait to be tried again: (when, number, batch)."""
        self.closed: Closed | None = None
        """Why no call may go out, as of the last look."""
        self._looked = -NEVER
        """When `starts` was last asked."""
        self._waits: str | None = None
        """Why something waits since then."""
        self.probes: Probes = Probes(self, admission, batcher)

    def starts(self, now: float, now_ms: int) -> list[tuple[int, bytes]]:
        """The calls to start now, as (number, body)."""
        if self._waits is not None:
            self._finish.counters.wait(self._waits, now - self._looked)
        started = self._starts(now, now_ms)
        self._looked, self._waits = now, self._why(now)
        return started

    def _starts(self, now: float, now_ms: int) -> list[tuple[int, bytes]]:
        started: list[tuple[int, bytes]] = []
        while True:
            self.closed = self._admission.closed(len(self.in_flight), now)
            if self.closed is not None:
                return started
            batch = self._next(now)
            if batch is None:
                if self.probes.lowered:
                    self.closed = Closed("hold", self.probes.later(now))
                return started
            if self._prune(batch, now, now_ms):
                started.append(self._start(batch, now, now_ms))

    def _why(self, now: float) -> str | None:
        """Why something that is to be sent cannot be, until the next look; None where nothing waits, or for calls in flight."""
        resting = (batch for _, _, root in self.resting for batch in root.family())
        if not any(batch.count for batch in (*self._batcher.sealed, *resting)):
            return None
        if self.closed is not None and self.closed.reason != "in_flight":
            return self.closed.reason
        if self.resting and self.resting[0][0] < NEVER and not self._batcher.sealed:
            return "backoff" if self.resting[0][0] > now else "budget"
        return None

    def _next(self, now: float) -> Batch | None:
        """What is due to be tried again first, while the retry budget allows; else the next full batch."""
        if self._admission.held():
            return self.probes.in_hold(now)
        self.probes.over()
        if self._admission.one_at_a_time():
            return self.probes.in_outage(now)
        if self.probes.lowered:
            return self.probes.behind_hold(now)
        resting = self.resting
        if resting and resting[0][0] <= now and (resting[0][2].immediate or self._admission.budget.wait(now) <= 0):
            return heappop(resting)[2]
        sealed = self._batcher.sealed
        return sealed.popleft() if sealed else None

    def _prune(self, batch: Batch, now: float, now_ms: int) -> bool:
        """Before every attempt: drop what was fenced or is too old; False if nothing is left of it."""
        guard = batch.guarded or batch.first_ms is not None
        if any(part.behind or self._is_paused(part) for part in batch.parts()):
            self._set_aside(batch)
        asks = guard and (self._repeats.hold or batch.oversized is not None)
        if asks and self._parked(batch, now, now_ms):
            return False
        batch.take(lambda run: () if run.part.live else run.every)
        expired = batch.take(lambda run: run.expired(now_ms))
        late = batch.take(lambda run: self._repeats.too_late(run, batch.first_ms, now_ms)) if guard else []
        still = batch.locked() if expired or late else {}
        for run in expired:
            self._finish.finish(run, Outcome.EXPIRED, "expired", still)
        for run in late:
            self._batcher.put_aside(run, batch.first_ms)
            self._finish.unlock(run, still)
        if not batch.count:
            self._sequel(batch)
        return batch.count > 0

    def _is_paused(self, part: Partition) -> bool:
        """Whether an operator paused it: then nothing of it goes out, not even what was handed over before."""
        return part.live and self._holds.paused(part.name)

    def _set_aside(self, batch: Batch) -> None:
        """What is paused waits apart until it is resumed, that of the halves that wait for this batch included.

        So does, behind a hold of its partition, what no commit covers again yet.
        """
        family = list(batch.family())
        waiting = {
            part
            for part, newest in newest_of(family).items()
            if self._is_paused(part) or (part.behind and part.live and newest > part.send_limit)
        }
        first_ms = min((each.first_ms for each in family if each.first_ms is not None), default=None)
        for part in sorted(waiting, key=lambda part: part.name):
            aside = batch.apart([run for each in family for run in each.take_of(part)])
            aside.first_ms, aside.immediate = first_ms, batch.immediate
            aside.guarded = any(each.guarded for each in family)
            aside.perishable = any(each.perishable for each in family)
            aside.lock()
            self._push(aside, NEVER)

    def unpark(self, part: Partition) -> None:
        """What was set aside of the partition is due again; where the partition is gone, it is dropped then."""
        self.resting = [
            (0.0 if at == NEVER and (not batch.count or part in batch.parts()) else at, number, batch)
            for at, number, batch in self.resting
        ]
        heapify(self.resting)

    def _parked(self, batch: Batch, now: float, now_ms: int) -> bool:
        """Where a person is to decide on a repeat, a partition's events wait apart; True if nothing else is left.

        A batch that has a sequel waits as a whole, so that order holds.
        """
        held: set[Partition] = set()
        for run in batch.runs:
            late = self._repeats.too_late(run, batch.first_ms, now_ms) if run.part.live else []
            if late:
                held.add(run.part)
                self._holds.add(self._repeats.hold_for(run.part, run.offsets[late[0]], now_ms))
        if not held:
            return False
        at = now + self._policy.probe_interval
        if held == batch.parts() or batch.sequel is not None:
            self._push(batch, at)
            return True
        parked = batch.apart([run for part in held for run in batch.take_of(part)])
        parked.lock()
        self._push(parked, at)
        return False

    def _start(self, batch: Batch, now: float, now_ms: int) -> tuple[int, bytes]:
        number, body = next(self._numbers), batch.body()
        counters = self._finish.counters
        counters.body_bytes += len(body)
        counters.call_records.observe(batch.count)
        self._admission.called(batch.count, immediate=batch.immediate, now=now)
        batch.started = now
        batch.name = batch.name or number
        if batch.first_ms is None:
            batch.first_ms = now_ms
        if self._journal.sent:
            show_sent(self._journal, batch)
        self.in_flight[number] = batch
        return number, body

    def answered(self, number: int, reply: Reply, now: float, now_ms: int) -> None:
        """The end of one attempt, whatever came of it."""
        batch = self.in_flight.pop(number, None)
        if batch is None:
            return
        self.probes.moved = True
        judged = self._judge(reply, batch.count, batch.keys)
        counters = self._finish.counters
        counters.requests[str(reply.status) if reply.status else reply.error or "unknown"] += 1
        counters.call_seconds.observe(reply.seconds)
        if judged.whole is Verdict.UNKNOWN and reply.status // 100 == 2:
            counters.unknown_answers += 1
            log_batch(self._journal, "answer_unknown", batch, judged)
        breaker = self._admission.breaker
        was_open = breaker.open
        self._admission.answered(
            reply, judged, len(self.in_flight) + 1, retried=not batch.immediate, now=now, now_ms=now_ms
        )
        if breaker.open is not was_open:
            log_circuit(self._journal, judged, self._policy.breaker_failures, opened=breaker.open)
        batch.tries += 1
        if judged.applied:
            batch.attempts += 1
        if judged.items is None and judged.whole is Verdict.ACCEPTED:
            self._accepted(batch, now, now_ms)
        elif judged.items is not None:
            self._mixed(batch, judged.items, judged, now, now_ms)
        else:
            self._refused_whole(batch, judged, now, now_ms)

    def _accepted(self, batch: Batch, now: float, now_ms: int) -> None:
        self._stuck.last_success = now
        first, last = batch.ends()
        self._observe(batch, first, last, batch.count, now, now_ms)
        still = batch.sequel.locked() if batch.sequel is not None else {}
        for run in batch.runs:
            self._finish.finish(run, Outcome.DELIVERED, "accepted", still)
        self._sequel(batch)

    def _observe(self, batch: Batch, first: Record, last: Record, events: int, now: float, now_ms: int) -> None:
        """Latency of a call's events, from its first and its last record."""
        counters = self._finish.counters
        half = events // 2
        for record, times in ((first, events - half), (last, half)):
            at = record.timestamp()[1]
            if at >= 0 and times:
                counters.latency.observe(max(0.0, (now_ms - at) / 1000), times)
        counters.processing.observe(max(0.0, now - batch.opened), events)

    def _mixed(self, batch: Batch, verdicts: Sequence[Verdict], judged: Judged, now: float, now_ms: int) -> None:
        """Results per record: each goes its own way; what was accepted is never sent again."""
        accepted: list[Run] = []
        refused: list[Run] = []
        again: list[Run] = []
        failed: dict[Partition, set[Lane | None]] = {}
        start = 0
        for run in batch.runs:
            stop = start + len(run.offsets)
            sorted_ = _Sorted([], [], [])
            details = judged.details[start:stop] if judged.details else None
            self._sort(batch, run, verdicts[start:stop], sorted_, failed.setdefault(run.part, set()))
            for place in sorted_.refused:
                code, message = details[place] if details else (judged.code, judged.message)
                self._refuse(batch, run, place, verdicts[start + place], code, message, now_ms)
            for places, runs in zip(sorted_, (accepted, refused, again), strict=True):
                if places:
                    runs.append(run.pick(places))
            start = stop
        batch.put(again)
        still = batch.locked()
        if accepted:
            self._stuck.last_success = now
            events = sum([len(run.offsets) for run in accepted])
            self._observe(batch, accepted[0].records[0], accepted[-1].records[-1], events, now, now_ms)
        for run in accepted:
            self._finish.finish(run, Outcome.DELIVERED, "accepted", still)
        for run in refused:
            self._finish.unlock(run, still)
        if Verdict.SETUP in verdicts:
            self._admission.hold_setup(judged.message, now, now_ms)
        if again:
            self._got_through(batch)
            self._rest(batch, Verdict.TRANSIENT, None, now, now_ms)
        else:
            self._sequel(batch)

    def _sort(
        self, batch: Batch, run: Run, verdicts: Sequence[Verdict], places: _Sorted, failed: set[Lane | None]
    ) -> None:
        """Sort the places of a run's events by what is to be done with them; `failed` are lanes in which one goes again."""
        for place, (lane, verdict) in enumerate(zip(run.lanes, verdicts, strict=True)):
            if verdict is Verdict.ACCEPTED:
                places.accepted.append(place)
                if lane is not None and lane in failed:
                    self._finish.counters.order_breaks += 1
            elif verdict in AGAIN and not (verdict is Verdict.DOUBTFUL and _doubted(batch, run.events()[place])):
                places.again.append(place)
                failed.add(lane)
            else:
                places.refused.append(place)

    def _refuse(
        self, batch: Batch, run: Run, place: int, verdict: Verdict, code: str, message: str, now_ms: int
    ) -> None:
        rejected = _rejected(batch, run, place, CAUSE.get(verdict, "invalid"), code, message, now_ms)
        self._dead_letters.refuse(replace(rejected, attempts=max(1, batch.attempts)), now_ms)

    def _refused_whole(self, batch: Batch, judged: Judged, now: float, now_ms: int) -> None:
        doubtful = judged.whole is Verdict.DOUBTFUL
        doubts = [_doubted(batch, event) for run in batch.runs for event in run.events()] if doubtful else []
        doubted = any(doubts)
        if judged.whole in AGAIN and not doubted:
            self._rest(batch, judged.whole, judged, now, now_ms)
        elif batch.count > 1 and (judged.splittable or doubted):
            log_batch(self._journal, "batch_split", batch, judged)
            self._stop_clock(batch)
            batch.bisect()
            self._push(batch, now)
        elif judged.whole is Verdict.OVERSIZED:
            self._set_apart(batch, judged, now, now_ms)
        else:
            log_batch(self._journal, "batch_refused", batch, judged, verdict=judged.whole.value)
            for run in batch.runs:
                for place in run.every:
                    self._refuse(batch, run, place, judged.whole, judged.code, judged.message, now_ms)
            self._end_unsent(batch)

    def _end_unsent(self, batch: Batch) -> None:
        """Nothing of the batch goes out any more: its lanes are free, save those of the other half."""
        runs = batch.runs
        batch.put(())
        still = batch.locked()
        for run in runs:
            self._finish.unlock(run, still)
        self._sequel(batch)

    def _rest(self, batch: Batch, verdict: Verdict, judged: Judged | None, now: float, now_ms: int) -> None:
        """The same bytes again, later; or, if only this batch keeps failing, find the record that is stuck."""
        self._stop_clock(batch)
        failing = verdict in (Verdict.TRANSIENT, Verdict.UNKNOWN)
        stuck = failing and self._stuck.failed(batch, judged or PARTLY, now)
        if not stuck or batch.count > 1:
            self._finish.counters.retries[verdict.value] += 1
        if stuck:
            self._isolate(batch, judged, now, now_ms)
            return
        if failing and self._nothing_else():
            other = self._stuck.apart(batch)
            if other is not None:
                self._push(other, now + self._policy.backoff.delay(other.tries, self._rng))
        batch.immediate = verdict is Verdict.SETUP
        delay = 0.0 if verdict is Verdict.SETUP else self._policy.backoff.delay(batch.tries, self._rng)
        more: dict[str, Fact] = {"reason": verdict.value, "attempt": batch.tries, "in_seconds": round(delay, 2)}
        log_batch(self._journal, "batch_retried", batch, judged or PARTLY, **more)
        self._push(batch, now + delay)

    def _stop_clock(self, batch: Batch) -> None:
        """Where no attempt so far can have been applied, the 24 hours begin with the next one."""
        if batch.attempts == 0:
            batch.first_ms = None

    def _set_apart(self, batch: Batch, judged: Judged, now: float, now_ms: int) -> None:
        """One event is too large for something on the way: its partition waits for it, and nothing else does."""
        run = batch.runs[0]
        part = run.part
        batch.oversized, batch.immediate = part, True
        self._finish.counters.retries[judged.whole.value] += 1
        if part.live:
            self._admission.hold_oversized(part.name, run.offsets[0], run.size + 1, judged, now_ms)
        self._free_sequel(batch, now)
        self._push(batch, now + self._policy.probe_interval)

    def _free_sequel(self, batch: Batch, now: float) -> None:
        """What waits behind the batch and is of other lanes goes on by itself."""
        behind = [run for half in batch.family() if half is not batch for run in half.runs]
        batch.sequel = None
        held = batch.locked()
        stays = batch.apart(behind)
        goes = stays.take(lambda run: run.outside(held))
        if stays.count:
            batch.sequel = stays
        if goes:
            other = batch.apart(goes)
            other.lock()
            self._push(other, now)

    def _got_through(self, batch: Batch) -> None:
        """Nothing on the way finds the batch too large any more, whatever SuprSend says of it: its partition goes on."""
        if batch.oversized is not None and batch.oversized.live:
            self._admission.lift_oversized(batch.oversized.name)
        batch.oversized = None

    def _nothing_else(self) -> bool:
        """Whether no other batch is in work."""
        resting = any(at < NEVER for at, _, _ in self.resting)
        return not (self.in_flight or resting or any(batch.count for batch in self._batcher.unstarted()))

    def _isolate(self, batch: Batch, judged: Judged | None, now: float, now_ms: int) -> None:
        if batch.count > 1:
            self._stuck.halve(batch)
            self._push(batch, now)
            return
        run = batch.runs[0]
        code = judged.code if judged else "transient"
        message = judged.message if judged else "refused as transient again and again while others were accepted"
        self._dead_letters.write(_rejected(batch, run, 0, "stuck", code, message, now_ms))
        self._end_unsent(batch)

    def _push(self, batch: Batch, at: float) -> None:
        heappush(self.resting, (at, next(self._numbers), batch))

    def _sequel(self, batch: Batch) -> None:
        """The batch has ended: the other half of a bisection may go out now, and a partition that it held goes on."""
        self._got_through(batch)
        if batch.sequel is not None:
            self._push(batch.sequel, 0.0)

    def next_at(self, now: float) -> float | None:
        """When to look again without an event in between; None if only an event can change something."""
        if self.closed is not None and self.closed.reason != "in_flight":
            return self.closed.until
        if self.closed is not None or not self.resting:
            return None
        at = self.resting[0][0]
        return max(at, now + self._admission.budget.wait(now)) if not self.resting[0][2].immediate else at

    def batches(self) -> list[Batch]:
        """Every batch that was handed to the API and has not ended, halves that wait for their turn included."""
        roots = [*self.in_flight.values(), *(entry[2] for entry in self.resting)]
        return [batch for root in roots for batch in root.family()]


class _Sorted(NamedTuple):
    """Places of a run's events, by what is to be done with them."""

    accepted: list[int]
    refused: list[int]
    again: list[int]


def _doubted(batch: Batch, event: Event) -> bool:
    """Count a doubtful answer; whether it was one too many."""
    batch.doubts[event.key] += 1
    return batch.doubts[event.key] >= DOUBTS


def _rejected(batch: Batch, run: Run, place: int, cause: str, code: str, message: str, now_ms: int) -> Rejected:
    """An event that went out and cannot be delivered."""
    event = run.events()[place]
    return Rejected(
        run.part,
        run.records[place],
        event.rule,
        Stage.DELIVER,
        cause,
        code,
        message,
        event=event,
        attempts=batch.attempts,
        first_ms=batch.first_ms,
        last_ms=now_ms,
    )
