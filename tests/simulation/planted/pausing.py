"""Pauses: what an operator stopped and must stay so."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from bridge.delivery.admission import Holds
from bridge.delivery.calls import Calls
from bridge.delivery.core import Delivery
from bridge.delivery.pauses import Book, Page
from tests.simulation.pauses import Pauses
from tests.simulation.planted.table import instead, planted

RIGHT_ASSIGNED = Delivery._assigned
RIGHT_PRUNE = Calls._prune
RIGHT_SAYING = Book.saying


@planted
def pause_forgotten_at_an_assignment() -> AbstractContextManager[Any]:
    """A rebalance ends a pause."""

    def assigned(self: Any, item: Any, now_ms: int) -> None:
        book, self.pauses = self.pauses, Book()
        RIGHT_ASSIGNED(self, item, now_ms)
        self.pauses = book

    return instead(Delivery, "_assigned", assigned)


@planted
def pauses_not_read_at_an_assignment() -> AbstractContextManager[Any]:
    """A partition begins by what was last known of the pauses, in a new process by nothing."""
    return instead(Pauses, "known", lambda self, since: True)


@planted
def resume_of_one_partition_lifts_the_topics_pause() -> AbstractContextManager[Any]:
    """Who lets one partition go on lets all of them go on."""

    def saying(self: Book, aims: Any, *args: Any, paused: bool) -> Book:
        wider = aims if paused else [(topic, None) for topic, _ in aims]
        return RIGHT_SAYING(self, wider, *args, paused=paused)

    return instead(Book, "saying", saying)


@planted
def pause_of_a_topic_leaves_out_what_is_added() -> AbstractContextManager[Any]:
    """A topic's pause is one of the partitions that it has."""
    right = Book.paused

    def paused(self: Book, name: Any) -> Any:
        return right(self, name) if name[1] in {number for _, number in self.partitions} or name[1] < 4 else None

    return instead(Book, "paused", paused)


@planted
def pause_replaces_the_rewind() -> AbstractContextManager[Any]:
    """A partition that begins paused is not held for anything else: its start is committed, and the tripwire is gone."""

    def assigned(self: Any, item: Any, now_ms: int) -> None:
        RIGHT_ASSIGNED(self, item._replace(start=replace(item.start, hold=None)) if item.paused else item, now_ms)

    return instead(Delivery, "_assigned", assigned)


@planted
def retries_go_out_in_a_pause() -> AbstractContextManager[Any]:
    """What was handed over once is tried again, whoever paused its partition."""
    return instead(Holds, "paused", lambda self, scope: False)


@planted
def what_waited_for_a_resume_goes_before_a_commit_covers_it() -> AbstractContextManager[Any]:
    """The send limit went back in the pause, and what was set aside does not wait for it to come again."""

    def prune(self: Any, batch: Any, now: float, now_ms: int) -> bool:
        for part in batch.parts():
            part.behind = False
        return RIGHT_PRUNE(self, batch, now, now_ms)

    return instead(Calls, "_prune", prune)


@planted
def resume_leaves_what_was_set_aside() -> AbstractContextManager[Any]:
    """What waited for the resume goes on waiting."""
    return instead(Calls, "unpark", lambda self, part: None)


@planted
def page_forgets_the_topics_word() -> AbstractContextManager[Any]:
    """The commit of a partition that somebody spoke of says nothing of its topic."""
    right = Book.page

    def page(self: Book, name: Any) -> Page:
        found = right(self, name)
        return found if found.own is None else Page(found.own, None)

    return instead(Book, "page", page)
