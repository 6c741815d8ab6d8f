"""Keys, bytes, lanes and dead letters."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from typing import Any

from bridge.delivery import operate
from bridge.delivery.batch import Batch, Lanes
from bridge.delivery.batcher import Batcher
from bridge.delivery.calls import Calls
from bridge.delivery.core import Delivery
from bridge.delivery.dead_letters import DeadLetters, run_of
from bridge.delivery.finish import Finish
from bridge.delivery.guards import Repeats
from bridge.flow import Outcome
from tests.simulation.planted.table import instead, planted
from tests.simulation.rules import SimRules

RIGHT_PUSH = Calls._push
RIGHT_PRUNE = Calls._prune


@planted
def process_in_the_key() -> AbstractContextManager[Any]:
    """The idempotency key depends on the process (or its group) that makes it."""
    number = count()
    right = SimRules.__init__

    def init(self: Any, memo: Any, version: int = 1, namespace: str = "cluster", *, repaired: bool = False) -> None:
        right(self, memo, version, f"{namespace}-{next(number)}", repaired=repaired)

    return instead(SimRules, "__init__", init)


@planted
def bytes_differ_on_retry() -> AbstractContextManager[Any]:
    """The attempt is part of the body."""
    right = Batch.body
    return instead(
        Batch,
        "body",
        lambda self: right(self).replace(b'"w":', b'"tries":%d,"w":' % self.tries if self.tries else b'"w":'),
    )


@planted
def lane_freed_before_the_other_half() -> AbstractContextManager[Any]:
    """After a bisection, the accepted half frees the lanes that the other half still holds."""

    right = Finish.finish
    return instead(Finish, "finish", lambda self, run, outcome, result="", still=(): right(self, run, outcome, result))


@planted
def lane_freed_on_failure() -> AbstractContextManager[Any]:
    """A failed call frees its lanes, so that successors overtake it."""
    right = Calls._rest

    def rest(self: Any, batch: Batch, *args: Any) -> None:
        for run in batch.runs:
            self._finish.unlock(run)
        right(self, batch, *args)

    return instead(Calls, "_rest", rest)


@planted
def lanes_not_looked_at() -> AbstractContextManager[Any]:
    """Records of one key go out side by side."""
    right = Lanes.__init__

    def begin(self: Any, _: Any, **more: Any) -> None:
        right(self, lambda records: [None] * len(records), **more)

    return instead(Lanes, "__init__", begin)


@planted
def runs_are_added_whatever_their_lanes() -> AbstractContextManager[Any]:
    """A run is taken as a whole though one of its lanes is busy."""
    return instead(Lanes, "must_wait", lambda self, raw, batch: [])


@planted
def run_not_cut_where_its_mapping_ended() -> AbstractContextManager[Any]:
    """Records behind the last that was mapped count as sent with the run."""
    right = Lanes.took
    return instead(
        Lanes,
        "took",
        lambda self, raw, waits, taken: right(self, raw, waits, len(raw.records) - len(waits)),
    )


@planted
def halt_cuts_nothing() -> AbstractContextManager[Any]:
    """A fault that halts holds the partition, and what came with it in its run goes on all the same."""
    right = Batcher._stop

    def stop(self: Any, part: Any, raw: Any, mapped: Any, *args: Any) -> Any:
        return right(self, part, raw, mapped, *args)._replace(place=mapped.records)

    return instead(Batcher, "_stop", stop)


@planted
def rest_of_a_record_is_lost() -> AbstractContextManager[Any]:
    """Of a record with more events than its call has room for, those that should wait are forgotten."""
    return instead(Lanes, "wait_first", lambda self, lane, rest: None)


@planted
def rest_of_a_record_does_not_wait() -> AbstractContextManager[Any]:
    """What goes beyond the room of a call goes into the next one, beside the first in its lane."""
    right = Batcher._add

    def add(self: Any, part: Any, run: Any, *args: Any) -> None:
        right(self, part, run, *args)
        for lane in list(part.lanes.rests):
            right(self, part, part.lanes.rests.pop(lane), *args)

    return instead(Batcher, "_add", add)


@planted
def guard_not_asked_for_runs() -> AbstractContextManager[Any]:
    """What an earlier owner may have handed over is sent like everything else."""
    right = Repeats.too_late
    return instead(
        Repeats,
        "too_late",
        lambda self, run, first_ms, now_ms: [] if first_ms is None else right(self, run, first_ms, now_ms),
    )


@planted
def runs_reach_beyond_the_bound() -> AbstractContextManager[Any]:
    """A run is taken as far as there is room, not only as far as a commit covers it."""
    right = Lanes.next_unsent
    return instead(Lanes, "next_unsent", lambda self, events, limit: right(self, events, 1 << 60))


@planted
def dead_letter_finished_at_once() -> AbstractContextManager[Any]:
    """A refused record is finished before its dead letter is acknowledged."""
    right = DeadLetters._write

    def write(self: Any, rejected: Any, failures: int) -> None:
        right(self, rejected, failures)
        self._out.pop(self._tickets)
        self._finish.finish(run_of(rejected), Outcome.DEAD_LETTERED)

    return instead(DeadLetters, "_write", write)


@planted
def failed_dead_letter_dropped() -> AbstractContextManager[Any]:
    """A dead letter that could not be written is taken for written."""
    right = DeadLetters.written
    return instead(
        DeadLetters, "written", lambda self, ticket, error, now, now_ms: right(self, ticket, None, now, now_ms)
    )


@planted
def reload_maps_what_was_sent() -> AbstractContextManager[Any]:
    """A reload maps records again of which something was handed over."""
    return instead(operate, "_fresh", lambda part, offset, started: True)


@planted
def halves_side_by_side() -> AbstractContextManager[Any]:
    """The halves of a bisection go out together, so that the second overtakes a first one that fails."""

    def push(self: Any, batch: Any, at: float) -> None:
        sequel, batch.sequel = batch.sequel, None
        RIGHT_PUSH(self, batch, at)
        if sequel is not None:
            push(self, sequel, at)

    return instead(Calls, "_push", push)


@planted
def strict_order_not_looked_at() -> AbstractContextManager[Any]:
    """`strict_order` is read from the settings and used nowhere."""
    right = Delivery.__init__
    return instead(
        Delivery,
        "__init__",
        lambda self, policy, *args, **more: right(self, replace(policy, strict_order=False), *args, **more),
    )


@planted
def too_old_is_sent() -> AbstractContextManager[Any]:
    """`max_age` is looked at when a record is mapped, not before each attempt."""

    def prune(self: Any, batch: Any, now: float, now_ms: int) -> bool:
        batch.put([run._replace(expires=None) for run in batch.runs])
        return RIGHT_PRUNE(self, batch, now, now_ms)

    return instead(Calls, "_prune", prune)


@planted
def failed_dead_letter_not_tried_again() -> AbstractContextManager[Any]:
    """A dead letter that could not be written is kept, and that is all."""
    return instead(DeadLetters, "retry", lambda self, now: None)


@planted
def dead_letter_of_a_fenced_partition_forgotten() -> AbstractContextManager[Any]:
    """A dead letter that comes back with an error finishes its record where the partition has other ones."""

    def written(self: Any, ticket: int, error: str | None, now: float, now_ms: int) -> None:
        failing = error is not None and len(self._out) > 1
        RIGHT_WRITTEN(self, ticket, None if failing else error, now, now_ms)

    return instead(DeadLetters, "written", written)


RIGHT_WRITTEN = DeadLetters.written
