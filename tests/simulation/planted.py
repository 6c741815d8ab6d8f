"""Bugs to plant, one at a time: each is what somebody could write, and each has to be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from bridge.delivery import operate, start
from bridge.delivery.calls import Calls
from bridge.delivery.commits import Commit, Committer
from bridge.delivery.delivery import Delivery
from bridge.delivery.flight import Flight
from bridge.delivery.ledger import Ledger
from bridge.delivery.partition import Fan
from bridge.delivery.placing import Placer
from bridge.delivery.refusals import Refusals
from bridge.delivery.revoke import Drains
from bridge.delivery.settle import Settler
from bridge.flow import Judged, Outcome, Reply, Verdict
from tests.delivery.words import WordRules
from tests.simulation import member

Plant = Callable[[], AbstractContextManager[Any]]
PLANTED: dict[str, Plant] = {}

ACCEPTED = Judged(Verdict.ACCEPTED, None, None, "207", "", False)


def planted(bug: Plant) -> Plant:
    """Put a bug into the table under its name."""
    PLANTED[bug.__name__] = bug
    return bug


def instead(owner: Any, name: str, new: Any) -> AbstractContextManager[Any]:
    return patch.object(owner, name, new)


def judging(new: Callable[[Reply, int, Judged], Judged]) -> AbstractContextManager[Any]:
    """Another word on some answers."""
    right = member.JUDGE
    return instead(member, "JUDGE", lambda reply, n: new(reply, n, right(reply, n)))


@planted
def watermark_one_too_high() -> AbstractContextManager[Any]:
    """The commit steps over the oldest unfinished record."""
    right = Ledger.__dict__["watermark"].fget
    return instead(Ledger, "watermark", property(lambda self: right(self) + (1 if self.unfinished else 0)))


@planted
def newest_is_committed() -> AbstractContextManager[Any]:
    """The newest finished record is committed, as if all before it were finished."""
    return instead(
        Ledger, "watermark", property(lambda self: max(self.top + 1, next(iter(self.unfinished), self.next)))
    )


@planted
def fence_before_drain() -> AbstractContextManager[Any]:
    """A revoked partition counts as drained at once."""
    return instead(Drains, "_drained", lambda self, part, shut: True)


@planted
def epoch_not_looked_at() -> AbstractContextManager[Any]:
    """What an earlier assignment finished is committed in the present one."""
    return instead(Committer, "_of", lambda self, name, epoch: self._parts.get(name))


@planted
def loss_is_ignored() -> AbstractContextManager[Any]:
    """A partition that was lost goes on as if it were ours."""
    return instead(Delivery, "_lost", lambda self, names: None)


@planted
def process_in_the_key() -> AbstractContextManager[Any]:
    """The idempotency key depends on the process (or its group) that makes it."""
    number = count()
    right = WordRules.__init__

    def init(self: Any, version: int = 1, namespace: str = "cluster", *, mended: bool = False) -> None:
        right(self, version, f"{namespace}-{next(number)}", mended=mended)

    return instead(WordRules, "__init__", init)


@planted
def bytes_differ_on_retry() -> AbstractContextManager[Any]:
    """The attempt is part of the body."""
    right = Flight.body
    return instead(
        Flight,
        "body",
        lambda self: right(self).replace(b'"w":', b'"tries":%d,"w":' % self.tries if self.tries else b'"w":'),
    )


@planted
def wrong_count_is_success() -> AbstractContextManager[Any]:
    """A list of results of another length is taken for success."""

    def judge(reply: Reply, n: int, judged: Judged) -> Judged:
        return ACCEPTED if reply.status == 207 and reply.error is None and judged.items is None else judged

    return judging(judge)


@planted
def cut_answer_is_success() -> AbstractContextManager[Any]:
    """A status of success counts although the body broke off."""
    return judging(lambda reply, n, judged: ACCEPTED if reply.status == 207 and reply.error else judged)


@planted
def any_2xx_is_success() -> AbstractContextManager[Any]:
    """Every 2xx is taken for success, as one of the official SDKs does."""
    return judging(lambda reply, n, judged: ACCEPTED if 200 <= reply.status <= 299 else judged)


@planted
def timeout_is_success() -> AbstractContextManager[Any]:
    """A call without an answer is taken for success."""
    return judging(lambda reply, n, judged: ACCEPTED if reply.error == "timeout" else judged)


@planted
def server_error_is_invalid() -> AbstractContextManager[Any]:
    """A 5xx dead-letters."""
    return judging(
        lambda reply, n, judged: judged._replace(whole=Verdict.INVALID) if reply.status in (502, 503) else judged
    )


@planted
def commit_without_metadata() -> AbstractContextManager[Any]:
    """An offset is stored without its note."""
    right = Committer._issue

    def issue(self: Committer, *args: Any) -> Commit:
        made = right(self, *args)
        return made._replace(metadata="") if made.moved else made

    return instead(Committer, "_issue", issue)


@planted
def finished_set_forgotten() -> AbstractContextManager[Any]:
    """What is finished above the watermark is not in the note."""
    return instead(Ledger, "runs", lambda self: "")


@planted
def finished_set_of_the_earlier_owner_forgotten() -> AbstractContextManager[Any]:
    """The note leaves out what the earlier owner had finished and nobody has read again yet."""
    right = Ledger.runs
    return instead(Ledger, "runs", lambda self: right(self) if self.unfinished else "")


@planted
def unread_counts_as_finished() -> AbstractContextManager[Any]:
    """What the earlier owner left unfinished and nobody has read again yet is called finished."""

    def runs(self: Any) -> str:
        self._skip, skip = False, self._skip
        try:
            return RIGHT_RUNS(self)
        finally:
            self._skip = skip

    return instead(Ledger, "runs", runs)


RIGHT_RUNS = Ledger.runs


@planted
def last_of_a_range_skipped() -> AbstractContextManager[Any]:
    """The last unfinished record of each range in the note counts as finished."""

    def finished(self: Any, offset: int) -> bool:
        begun = self._start
        if not begun.offset <= offset <= begun.delivered:
            return bool(offset < begun.offset)
        return not any(first <= offset < last for first, last in begun.unfinished)

    return instead(Ledger, "_finished_before", finished)


@planted
def bound_after_the_send() -> AbstractContextManager[Any]:
    """Records go out before a commit says that they may have."""
    right = Delivery._assigned

    def assigned(self: Any, item: Any, *args: Any) -> None:
        right(self, item, *args)
        self.parts[item.topic, item.partition].bound = 1 << 60

    return instead(Delivery, "_assigned", assigned)


@planted
def bound_of_the_earlier_owner_forgotten() -> AbstractContextManager[Any]:
    """A clean stop says of nothing that it was handed over."""
    right = Committer.final
    return instead(Committer, "final", lambda self, name, now_ms, handed: right(self, name, now_ms, -1))


@planted
def clock_of_the_newest_commit() -> AbstractContextManager[Any]:
    """The note's time is that of each commit, not of the first that covered the oldest unfinished record."""
    return instead(Committer, "_since", lambda self, part, now_ms: now_ms)


@planted
def rewind_not_noticed() -> AbstractContextManager[Any]:
    """An offset that somebody set back is taken as it is."""
    return instead(start, "_rewound", lambda known, group, offset: False)


@planted
def guard_of_24_hours_off() -> AbstractContextManager[Any]:
    """What SuprSend has forgotten is sent again."""
    return instead(Placer, "expired_for_dedupe", lambda self, part, record, first_ms, now_ms: False)


@planted
def lane_freed_before_the_other_half() -> AbstractContextManager[Any]:
    """After a bisection, the accepted half frees the lanes that the other half still holds."""

    def ended(self: Any, flight: Flight) -> None:
        self.delivered(flight.items)
        self.free(flight.items)

    return instead(Settler, "ended", ended)


@planted
def lane_freed_on_failure() -> AbstractContextManager[Any]:
    """A failed call frees its lanes, so that successors overtake it."""
    right = Calls._rest

    def rest(self: Any, flight: Flight, *args: Any) -> None:
        self._settler.free(flight.items)
        right(self, flight, *args)

    return instead(Calls, "_rest", rest)


@planted
def lanes_not_looked_at() -> AbstractContextManager[Any]:
    """Records of one key go out side by side."""

    @contextmanager
    def plant() -> Iterator[None]:
        init = Delivery.__init__

        def begin(self: Any, *args: Any, **more: Any) -> None:
            init(self, *args, **more)
            self.batcher._lane_of = lambda record: None

        with instead(Delivery, "__init__", begin):
            yield

    return plant()


@planted
def dead_letter_finished_at_once() -> AbstractContextManager[Any]:
    """A refused record is finished before its dead letter is acknowledged."""
    right = Refusals._write

    def write(self: Any, refusal: Any, failures: int) -> None:
        right(self, refusal, failures)
        self._out.pop(self._tickets)
        self._settler.part_of_record(refusal.part, refusal.record, Outcome.DEAD_LETTERED)

    return instead(Refusals, "_write", write)


@planted
def failed_dead_letter_dropped() -> AbstractContextManager[Any]:
    """A dead letter that could not be written is taken for written."""
    right = Refusals.written
    return instead(Refusals, "written", lambda self, ticket, error, now, now_ms: right(self, ticket, None, now, now_ms))


@planted
def batch_dead_lettered_as_a_whole() -> AbstractContextManager[Any]:
    """A batch that is refused is not bisected: the good go with the bad."""
    return judging(lambda reply, n, judged: judged._replace(splittable=False))


@planted
def second_half_lost() -> AbstractContextManager[Any]:
    """A bisection forgets the second half."""
    right = Flight.split

    def split(self: Flight) -> None:
        right(self)
        self.sequel = None

    return instead(Flight, "split", split)


@planted
def accepted_items_sent_again() -> AbstractContextManager[Any]:
    """After a mixed answer the whole batch is sent again."""
    right = Flight.keep

    def mixed(self: Any, flight: Flight, *args: Any) -> None:
        items = flight.items
        RIGHT_MIXED(self, flight, *args)
        if flight.items:
            right(flight, items)

    return instead(Calls, "_mixed", mixed)


RIGHT_MIXED = Calls._mixed


@planted
def read_twice_sent_twice() -> AbstractContextManager[Any]:
    """A record that Kafka delivers again is taken in again."""

    def accept(self: Ledger, records: Any) -> Any:
        wanted = RIGHT_ACCEPT(self, records)
        return records if len(wanted) < len(records) and not self.rereading else wanted

    return instead(Ledger, "accept", accept)


RIGHT_ACCEPT = Ledger.accept


@planted
def given_back_is_forgotten() -> AbstractContextManager[Any]:
    """Records that are given back hold the watermark no more."""

    def give_back(self: Ledger, offsets: Any) -> None:
        for offset in offsets:
            self.unfinished.pop(offset, None)

    return instead(Ledger, "give_back", give_back)


@planted
def seek_not_waited_for() -> AbstractContextManager[Any]:
    """After a give-back, what the reader had read before its seek is taken in, ahead of what comes again."""
    right = Delivery._give_back

    def give_back(self: Any, part: Any, *args: Any) -> None:
        right(self, part, *args)
        part.seek = None

    return instead(Delivery, "_give_back", give_back)


@planted
def long_note_stops_the_reading() -> AbstractContextManager[Any]:
    """A partition whose note is long reads no more, not even what would make the note shorter."""
    return instead(Ledger, "rereading", property(lambda self: False))


@planted
def one_event_finishes_the_record() -> AbstractContextManager[Any]:
    """The first of several events ends the record."""

    def ended(self: Fan, outcome: Outcome) -> Outcome | None:
        self.left -= 1
        return outcome if self.left == self.total - 1 else None

    return instead(Fan, "ended", ended)


@planted
def reload_maps_what_was_sent() -> AbstractContextManager[Any]:
    """A reload maps records again of which something was handed over."""
    return instead(operate, "_fresh", lambda part, record, started: True)


@planted
def offset_goes_back_by_one() -> AbstractContextManager[Any]:
    """Each commit is one short, and the first of an assignment goes back."""
    right = Committer._issue

    def issue(self: Committer, *args: Any) -> Commit:
        made = right(self, *args)
        return made._replace(offset=max(0, made.offset - 1))

    return instead(Committer, "_issue", issue)
