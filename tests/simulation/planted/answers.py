"""Answers that are taken for something else."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from bridge.delivery.batch import Batch, FanOut
from bridge.delivery.calls import Calls
from bridge.delivery.finish import Finish
from bridge.delivery.stuck import Stuck
from bridge.flow import Judged, Outcome, Reply, Verdict
from tests.simulation.planted.table import ACCEPTED, instead, judging, planted

RIGHT_MIXED = Calls._mixed


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
def batch_dead_lettered_as_a_whole() -> AbstractContextManager[Any]:
    """A batch that is refused is not bisected: the good go with the bad."""
    return judging(lambda reply, n, judged: judged._replace(splittable=False))


@planted
def accepted_items_sent_again() -> AbstractContextManager[Any]:
    """After a mixed answer the whole batch is sent again."""

    def mixed(self: Any, batch: Batch, *args: Any) -> None:
        runs = batch.runs
        RIGHT_MIXED(self, batch, *args)
        if batch.count:
            batch.put(runs)

    return instead(Calls, "_mixed", mixed)


@planted
def second_half_lost() -> AbstractContextManager[Any]:
    """A bisection forgets the second half."""
    right = Batch.bisect

    def bisect(self: Batch) -> None:
        right(self)
        self.sequel = None

    return instead(Batch, "bisect", bisect)


@planted
def one_event_finishes_the_record() -> AbstractContextManager[Any]:
    """The first of several events ends the record."""

    def ended(self: FanOut, outcome: Outcome, parts: int = 1) -> Outcome | None:
        first = self.left == self.total
        self.left -= parts
        return outcome if first else None

    return instead(FanOut, "ended", ended)


@planted
def no_rights_is_invalid() -> AbstractContextManager[Any]:
    """An error of the set-up dead-letters: a wrong secret empties the topic into the dead-letter topic."""
    return judging(
        lambda reply, n, judged: judged._replace(whole=Verdict.INVALID) if judged.whole is Verdict.SETUP else judged
    )


@planted
def throttled_is_invalid() -> AbstractContextManager[Any]:
    """A 429 is an error of the client, like every 4xx."""
    return judging(
        lambda reply, n, judged: (
            judged._replace(whole=Verdict.INVALID, splittable=True) if reply.status == 429 else judged
        )
    )


@planted
def results_shifted_by_one() -> AbstractContextManager[Any]:
    """The results of a mixed answer are read one place off."""

    def judge(reply: Reply, n: int, judged: Judged) -> Judged:
        items = judged.items
        return judged if items is None else judged._replace(items=[*items[1:], items[0]])

    return judging(judge)


@planted
def stuck_at_once() -> AbstractContextManager[Any]:
    """An event that failed twice while others were accepted is given up."""
    return instead(Stuck, "failed", lambda self, batch, judged, now: batch.tries >= 2)


@planted
def stuck_as_soon_as_it_failed_often() -> AbstractContextManager[Any]:
    """How long it has to fail is read from the settings and used nowhere."""
    right = Stuck.__init__
    return instead(
        Stuck,
        "__init__",
        lambda self, policy, *args: right(self, replace(policy, stuck_seconds=0.0), *args),
    )


@planted
def outcome_of_a_fenced_partition_counts() -> AbstractContextManager[Any]:
    """What an earlier assignment sent finishes records that were released already."""

    def finish(self: Any, run: Any, *args: Any) -> None:
        run.part.live, live = True, run.part.live
        try:
            RIGHT_FINISH(self, run, *args)
        finally:
            run.part.live = live

    return instead(Finish, "finish", finish)


RIGHT_FINISH = Finish.finish
