"""What people do: reload, pause, resume, skip, secrets."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from bridge.delivery import operate
from bridge.delivery.admission import KINDS, Kind, Reason
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.guards import StormGuard
from bridge.kafka.client.refetch import Seeks
from bridge.offsets import go_past
from bridge.offsets.commits import Committer
from tests.simulation.planted.table import instead, planted


@planted
def other_workspace_is_used_at_once() -> AbstractContextManager[Any]:
    """New secrets are new secrets."""
    return instead(operate, "keep_to_workspace", lambda delivery, own, other, now_ms: None)


@planted
def skip_leaves_it_in_its_batch() -> AbstractContextManager[Any]:
    """What an operator skips is dead-lettered, and sent all the same."""
    return instead(operate, "_take_out", lambda delivery, part, offset: [])


@planted
def skip_leaves_it_in_the_other_half() -> AbstractContextManager[Any]:
    """What an operator skips stays in a half of a split batch that waits for another."""
    right = operate._take_out

    def take_out(delivery: Any, part: Any, offset: int) -> Any:
        sequels = [(batch, batch.sequel) for batch in delivery.calls.in_flight.values()]
        for batch, _ in sequels:
            batch.sequel = None
        events = right(delivery, part, offset)
        for batch, sequel in sequels:
            batch.sequel = sequel
        return events

    return instead(operate, "_take_out", take_out)


@planted
def release_of_the_brake_drops_what_it_kept() -> AbstractContextManager[Any]:
    """What the brake kept back is forgotten when it is released."""
    right = DeadLetters.loosen

    def loosen(self: Any, scope: Any) -> None:
        self._braked = [each for each in self._braked if each.part.name != scope]
        right(self, scope)

    return instead(DeadLetters, "loosen", loosen)


@planted
def reload_drops_what_the_brake_kept() -> AbstractContextManager[Any]:
    """A reload forgets what the brake kept back."""
    return instead(operate, "_remap_braked", lambda delivery, scope: delivery.dead_letters.take_braked(scope))


@planted
def reload_leaves_the_halt() -> AbstractContextManager[Any]:
    """A halt can be lifted by nothing."""

    return instead(operate, "KINDS", {**KINDS, Reason.HALT: Kind("nothing", heals=False)})


@planted
def storm_counts_twice() -> AbstractContextManager[Any]:
    """What was let through counts again when it is mapped again."""
    right = StormGuard.admits

    def admits(self: Any, event: Any, at_ms: int) -> bool:
        right(self, event, at_ms)
        return bool(right(self, event._replace(key=event.key + "x"), at_ms))

    return instead(StormGuard, "admits", admits)


@planted
def reload_forgets_the_waiting() -> AbstractContextManager[Any]:
    """A reload empties the lanes, and what waited in them is neither here nor there."""
    right = operate._put_back

    def put_back(delivery: Any, part: Any) -> None:
        part.lanes.waiting.clear()
        part.lanes.rests.clear()
        part.lanes.runnable.clear()
        right(delivery, part)

    return instead(operate, "_put_back", put_back)


@planted
def going_past_forgets_what_is_finished() -> AbstractContextManager[Any]:
    """The commit behind what cannot be read says nothing of what is finished beyond."""
    return instead(go_past, "runs_of", lambda *_: "")


@planted
def going_past_leaves_what_is_unfinished() -> AbstractContextManager[Any]:
    """Offline, records before what cannot be read count as finished."""
    return instead(go_past.Stand, "finished", lambda self, offset: True)


@planted
def going_past_does_not_wait() -> AbstractContextManager[Any]:
    """The running bridge goes past what cannot be read though records before it have no outcome."""
    right = operate.go_past

    def go_past(delivery: Any, scope: Any, first: int, to: int) -> None:
        part = delivery.parts[scope]
        part.ledger.next = max(part.ledger.next, to)
        left, part.ledger.unfinished = part.ledger.unfinished, {}
        right(delivery, scope, first, to)
        del left

    return instead(operate, "go_past", go_past)


@planted
def going_past_waits_for_what_was_given_back() -> AbstractContextManager[Any]:
    """What was read, given back and damaged since has to have an outcome first, which nothing can give it."""
    right = operate.go_past

    def go_past(delivery: Any, scope: Any, first: int, to: int) -> None:
        if delivery.parts[scope].ledger.unfinished:
            raise operate.Declined("no outcome yet")
        right(delivery, scope, first, to)

    return instead(operate, "go_past", go_past)


@planted
def going_past_keeps_the_epoch() -> AbstractContextManager[Any]:
    """The commit bears the epoch of the record before what cannot be read: the next start goes back to that."""
    return instead(Committer, "past", Committer.end)


@planted
def going_past_goes_where_a_seek_was_going() -> AbstractContextManager[Any]:
    """What was given back and cannot be read again is sought again behind the way past it."""
    return instead(Seeks, "place", Seeks.doubt)
