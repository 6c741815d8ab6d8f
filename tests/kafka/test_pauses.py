"""The thread that keeps the pauses: what it does when Kafka answers, does not, or refuses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.delivery.pauses import BLANK, Book, Page, read_page
from bridge.flow import Assigned
from bridge.kafka.client import pauses
from bridge.kafka.client.pauses import PauseGroup, PauseResult, Pauses, PausesRefusedError, UnsaidError
from bridge.kafka.config import LOG, clients_of
from tests.brokers.real import RealKafka
from tests.kafka.desk import Desk, settings

Name = tuple[str, int]
GONE = KafkaException(KafkaError(KafkaError._TIMED_OUT))
FORBIDDEN = PausesRefusedError(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))


class Group:
    """Stands for `<group>.paused` of one cluster, which several processes may use."""

    name = "g.paused"

    def __init__(self, numbers: int = 2) -> None:
        self.numbers = numbers
        self.kept: dict[Name, str] = {}
        self.fails: Exception | None = None
        self.refuses_writes: Exception | None = None
        self.writes = 0

    def partitions(self, topics: Iterable[str], seconds: float) -> dict[str, tuple[int, ...]]:
        self._answer(self.fails)
        return {topic: tuple(range(self.numbers)) for topic in topics}

    def read(self, names: Iterable[Name], seconds: float) -> dict[Name, Page]:
        self._answer(self.fails)
        return {name: read_page(self.kept.get(name)) for name in names}

    def write(self, pages: Mapping[Name, Page], seconds: float) -> None:
        self._answer(self.fails or self.refuses_writes)
        self.writes += bool(pages)
        self.kept.update({name: page.text() for name, page in pages.items()})

    def _answer(self, failure: Exception | None) -> None:
        if failure is not None:
            raise failure

    def renew(self) -> None:
        """There are no secrets."""

    def close(self, seconds: float) -> None:
        """There is no client."""

    def says(self, partition: int) -> Page:
        return read_page(self.kept.get(("t", partition)))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_EVERY_SECONDS", 0.03), ("_AGAIN_SECONDS", 0.02), ("_PATIENCE_SECONDS", 0.3)):
        monkeypatch.setattr(pauses, name, seconds)
    monkeypatch.setattr(pauses, "_REFUSED_SECONDS", 0.03)
    monkeypatch.setattr(pauses, "_LIST_SECONDS", 0.05)


@contextmanager
def process(group: Group | None) -> Iterator[tuple[Pauses, list[Book]]]:
    """The thread of one process, and the books that it told of."""
    told: list[Book] = []
    made = Pauses(cast("PauseGroup | None", group), ["t"], told.append)
    made.start()
    try:
        yield made, told
    finally:
        made.stop(5)
        assert made.journal.take() == []


def until(true: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def done(future: Future[PauseResult]) -> PauseResult:
    return future.result(120)


def holds(made: Pauses, partition: int) -> bool:
    return made.book.paused(("t", partition)) is not None


def test_what_one_process_is_told_the_others_follow() -> None:
    """The answer comes when Kafka has it, names what changed, and whoever reads the group keeps to it."""
    group = Group()
    with process(group) as (one, _), process(group) as (two, books):
        assert done(one.say([("t", 1)], "why", paused=True)) == PauseResult((("t", 1),), None)
        assert group.says(1).own is not None
        until(lambda: holds(two, 1))
        assert not holds(two, 0)
        assert done(two.say([("t", None)], "why", paused=True)) == PauseResult((("t", 0),), None)
        assert done(one.say([("t", None)], "why", paused=False)).names == (("t", 0), ("t", 1))
        until(lambda: not holds(two, 0) and not holds(two, 1))
        assert done(one.say([("t", 0)], "why", paused=False)).names == ()
        assert books, "the delivery side was told"


def test_a_topics_pause_reaches_partitions_that_are_added() -> None:
    """They are paused at once, and their commits say so, too."""
    group = Group()
    with process(group) as (one, _):
        done(one.say([("t", None)], "why", paused=True))
        group.numbers = 3
        assert holds(one, 2)
        until(lambda: group.says(2) == group.says(0) != BLANK)


def test_what_kafka_loses_is_written_again() -> None:
    """Deleted or set by another tool, the pause stays, in this process and soon in Kafka."""
    group = Group()
    with process(group) as (one, _):
        done(one.say([("t", 0)], "why", paused=True))
        kept = dict(group.kept)
        for lost in ({}, {("t", 0): "set by another tool"}):
            group.kept = dict(lost)
            until(lambda: group.kept == kept)
            assert holds(one, 0)


def test_a_pause_is_written_again_before_kafka_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a process that was not told of it, and soon after a start."""
    group = Group()
    group.kept["t", 0] = Book().saying([("t", 0)], 5, "", paused=True).page(("t", 0)).text()
    with process(group) as (one, _):
        until(lambda: group.writes == 1)
        assert holds(one, 0)
        monkeypatch.setattr(pauses, "_KEEP_SECONDS", 0.0)
    with process(group):
        until(lambda: group.writes >= 3)


def test_a_partition_begins_when_it_is_known_whether_it_is_paused() -> None:
    """Only an answer to a question that was asked after it came counts, and one about that very partition."""
    group = Group()
    with process(group) as (one, _):
        until(lambda: one.known({("t", 0): 0.0, ("t", 1): 0.0}))
        assert not one.known({("t", 0): time.monotonic() + 0.1})
        now = time.monotonic()
        until(lambda: one.known({("t", 0): now}))
        until(lambda: one.known({("t", 7): now}))
        group.fails = GONE
        assert not one.known({("t", 0): time.monotonic() + 0.01})
        until(lambda: one.unanswered() is not None)
        assert "Kafka does not say which partitions are paused" in (one.unanswered() or "")
        later = time.monotonic()
        group.fails = None
        until(lambda: one.known({("t", 0): later}))
        assert one.unanswered() is None


def test_without_an_answer_what_was_known_holds_and_a_new_pause_holds_here() -> None:
    """Who pauses is told after a while that Kafka does not know; it does as soon as it answers. Nothing is resumed."""
    group = Group()
    with process(group) as (one, _):
        done(one.say([("t", 0)], "why", paused=True))
        group.fails = GONE
        said = one.say([("t", 1)], "why", paused=True)
        until(lambda: holds(one, 1))
        assert not said.done()
        with pytest.raises(UnsaidError, match="this process has stopped t:1, but Kafka did not acknowledge it"):
            said.result(120)
        with pytest.raises(UnsaidError, match="t:0 stays as it is"):
            one.say([("t", 0)], "why", paused=False).result(120)
        assert holds(one, 0)
        assert holds(one, 1)
        group.fails = None
        until(lambda: group.says(1).own is not None)
        assert holds(one, 1)


def test_a_pause_that_waits_for_kafka_is_behind_what_others_said_meanwhile() -> None:
    """It is said when Kafka takes it: what another process said before does not undo it."""
    group, cut_off = Group(), Group()
    cut_off.fails = GONE
    with process(group) as (one, _), process(cut_off) as (two, _):
        said = two.say([("t", 0)], "why", paused=True)
        for paused in (True, False, True, False):
            done(one.say([("t", None)], "why", paused=paused))
        cut_off.kept = group.kept
        cut_off.fails = None
        assert done(said).kept is None
        until(lambda: holds(one, 0))
        assert not holds(one, 1)


@pytest.mark.parametrize("right", ["read", "write"])
def test_without_the_right_a_pause_lasts_as_long_as_the_process(right: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer says so, the log warns once, and partitions begin all the same; with the right Kafka gets it."""
    group = Group()
    group.name = f"{right}.paused"
    group.fails, group.refuses_writes = (FORBIDDEN, None) if right == "read" else (None, FORBIDDEN)
    with caplog.at_level(logging.WARNING, LOG.name), process(group) as (one, _):
        now = time.monotonic()
        until(lambda: one.known({("t", 0): now}))
        for paused in (True, False, True):
            taken = done(one.say([("t", 0)], "why", paused=paused))
            assert "give the bridge's user Read and Describe on it" in (taken.kept or "")
            assert holds(one, 0) is paused
        assert group.kept == {}
        group.fails = group.refuses_writes = None
        until(lambda: group.says(0).own is not None)
        assert done(one.say([("t", 0)], "why", paused=False)).kept is None
    warned = [line.getMessage() for line in caplog.records if f"{right}.paused cannot be used" in line.getMessage()]
    assert len(warned) == 1


def test_a_dry_run_leaves_no_trace() -> None:
    """It pauses for itself."""
    with process(None) as (one, _):
        assert "dry run" in (done(one.say([("t", None)], "why", paused=True)).kept or "")
        assert holds(one, 5)
        assert one.known({("t", 0): time.monotonic()})


def test_what_does_not_exist_cannot_be_paused() -> None:
    """A partition that the topic does not have is told; nothing stays of it."""
    group = Group()
    with process(group) as (one, _):
        with pytest.raises(UnsaidError, match="there is no t:2: the partitions of t are 0 to 1"):
            one.say([("t", 2)], "why", paused=True).result(120)
        until(lambda: not holds(one, 2))
        assert group.kept == {}


def test_a_partition_waits_told_until_kafka_says_whether_it_is_paused(kafka: RealKafka) -> None:
    """On a real Kafka, whose group of the pauses does not answer: not begun, not ready, with the reason; then it begins."""
    topic = kafka.create_topic(kafka.unique("orders"))
    kafka.produce(topic, [b"a"])
    group = Group()
    group.fails = GONE
    made = Pauses(cast("PauseGroup", group), [topic], lambda book: None)
    side = Desk(clients_of(settings(kafka.bootstrap, [topic], kafka.unique("g"))), pauses=made)
    made.start()
    try:
        with side:
            side.until(lambda: side.states and "which partitions are paused" in (side.states[-1].trouble or ""))
            assert side.of(Assigned) == []
            assert side.records == []
            group.fails = None
            side.until(lambda: side.values() == [b"a"])
            side.until(lambda: "which partitions are paused" not in (side.states[-1].trouble or ""))
    finally:
        made.stop(5)
