"""What Kafka is asked about partitions that were just assigned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bridge.kafka.client import resolve_start
from bridge.kafka.client.resolve_start import ClusterIdentity, StartPolicy, StartResolver
from bridge.offsets.begin import own_metadata
from bridge.offsets.commits import Origin, text_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer

    from bridge.kafka.client.log_identity import CommitOrigins, EpochEnds
    from bridge.kafka.client.shadow import Shadow

TOPIC = "orders.v1"


class Unreadable:
    """A commit of another client, whose metadata confluent-kafka reads beyond its end."""

    topic, partition, offset, error, leader_epoch = TOPIC, 0, 7, None, None

    @property
    def metadata(self) -> str:
        return b"go-client\xdc".decode()


class Plain:
    """A commit without metadata, or the first and last offset of a partition."""

    metadata: str | None = None
    error = leader_epoch = None

    def __init__(self, partition: int, offset: int) -> None:
        self.topic, self.partition, self.offset = TOPIC, partition, offset


class Topics:
    """The cluster's topics: one, with two partitions."""

    class One:
        error = None
        partitions = {0: SimpleNamespace(leader=1), 1: SimpleNamespace(leader=1)}  # noqa: RUF012 (never changed)

    topics = {TOPIC: One}  # noqa: RUF012 (never changed)


class Nowhere:
    """What nobody tells."""

    def ask(self, _: object) -> None:
        """Nobody answers."""

    def settled(self) -> bool:
        return True

    def of(self, _: str) -> Origin:
        return Origin()


PLACE = ClusterIdentity(lambda: None, cast("CommitOrigins", Nowhere()))


class Answers:
    """A consumer of a group whose commits another client made."""

    def list_topics(self, _topic: str, **_: float) -> type[Topics]:
        return Topics

    def committed(self, _asked: object, **_: float) -> list[object]:
        return [Unreadable(), Plain(1, 3)]

    def offsets_for_times(self, asked: list[Plain], **_: float) -> list[Plain]:
        return [Plain(part.partition, 0 if part.offset == -2 else 20) for part in asked]


def test_metadata_that_cannot_be_read_is_nobodys_note() -> None:
    """A group whose last commits came from a client with other metadata is taken over at its offsets."""
    inquiry = StartResolver([(TOPIC, 0), (TOPIC, 1)], StartPolicy("latest", "hold", None, None, lambda: 0, PLACE))
    consumer = cast("Consumer", Answers())
    found = inquiry.ask(consumer)
    assert {name: (resolved.start.offset, resolved.start.hold) for name, resolved in found.items()} == {
        (TOPIC, 0): (7, None),
        (TOPIC, 1): (3, None),
    }


class Leaders:
    """Partitions with a leader each; who is away does not answer. `commits` are the group's, by partition."""

    def __init__(self, *leaders: int) -> None:
        self.leaders = leaders
        self.away: set[int] = set()
        self.silent = False
        """Whether the group's coordinator is away."""
        self.commits: dict[int, str] = {}
        self.ends = 20
        self.since = 15
        self.asked: list[tuple[int, ...]] = []

    def list_topics(self, _topic: str, **_: float) -> object:
        parts = {number: SimpleNamespace(leader=leader) for number, leader in enumerate(self.leaders)}
        return SimpleNamespace(topics={TOPIC: SimpleNamespace(error=None, partitions=parts)})

    def committed(self, _asked: object, **_: float) -> list[object]:
        if self.silent:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [_commit(number, text) for number, text in self.commits.items()]

    def offsets_for_times(self, asked: list[Plain], **_: float) -> list[Plain]:
        leaders = {self.leaders[part.partition] for part in asked}
        self.asked.append(tuple(part.partition for part in asked))
        assert len(leaders) == 1, "each leader is asked by itself"
        if leaders & self.away:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        told = {-2: 0, -1: self.ends}
        return [Plain(part.partition, told.get(part.offset, self.since)) for part in asked]


def _commit(number: int, text: str) -> Plain:
    part = Plain(number, 5)
    part.metadata = text
    return part


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The monotonic clock, which a test puts on by hand: `now`."""
    moved = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(resolve_start, "time", SimpleNamespace(monotonic=lambda: moved.now))
    return moved


def inquiry_of(brokers: Leaders, shadow: object = None) -> tuple[StartResolver, StartPolicy]:
    manner = StartPolicy("latest", "hold", cast("Shadow | None", shadow), None, lambda: 5_000, PLACE)
    return StartResolver([(TOPIC, number) for number in range(len(brokers.leaders))], manner), manner


def asked(inquiry: StartResolver, brokers: Leaders) -> dict[int, int]:
    """The partitions that begin now, and where."""
    found = inquiry.ask(cast("Consumer", brokers))
    return {number: resolved.start.offset for (_, number), resolved in found.items()}


def test_a_leader_that_does_not_answer_holds_up_only_its_own_partitions(clock: SimpleNamespace) -> None:
    """The others begin at once; it is asked again less and less often, and after ten seconds people are told."""
    brokers = Leaders(1, 2, 1)
    brokers.away = {2}
    inquiry, manner = inquiry_of(brokers)
    assert asked(inquiry, brokers) == {0: 20, 2: 20}
    assert [error.code() for error in inquiry.failures] == [KafkaError._TIMED_OUT]
    times = 0
    while not (told := manner.open.overdue(clock.now)):
        clock.now = max(clock.now + 0.1, inquiry.next_at())
        assert asked(inquiry, brokers) == {}
        times += bool(inquiry.failures)
    assert times < 8
    ((text, found),) = told.items()
    assert "broker 2" in text
    assert found.error is not None
    assert found.error.code() == KafkaError._TIMED_OUT
    brokers.away = set()
    clock.now = inquiry.next_at()
    assert asked(inquiry, brokers) == {1: 15}, "the first record since the group's first start, though it begins late"
    asked(inquiry, brokers)
    assert manner.open.overdue(clock.now) == {}


def test_a_partition_without_a_leader_waits_alone(clock: SimpleNamespace) -> None:
    """Who leads is asked again, until somebody does."""
    brokers = Leaders(1, -1)
    inquiry, _ = inquiry_of(brokers)
    assert asked(inquiry, brokers) == {0: 20}
    brokers.leaders = (1, 3)
    clock.now += 1.0
    assert asked(inquiry, brokers) == {1: 20}


def test_two_thousand_partitions_cost_a_few_questions(clock: SimpleNamespace) -> None:
    """One for each leader and end of the log, not one for each partition."""
    brokers = Leaders(*(1 + number % 3 for number in range(2_000)))
    inquiry, _ = inquiry_of(brokers)
    assert len(asked(inquiry, brokers)) == 2_000
    assert len(brokers.asked) == 6


class Silent:
    """A second group whose coordinator cannot be found."""

    def __init__(self) -> None:
        self.times_given_up = 0

    def ask(self, _: object) -> dict[tuple[str, int], int]:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def given_up(self) -> None:
        self.times_given_up += 1


def test_marks_that_nobody_tells_are_done_without_where_the_commit_is_our_own(clock: SimpleNamespace) -> None:
    """After ten seconds, with a warning; a partition without such a commit waits, and people are told."""
    brokers = Leaders(1, 1)
    brokers.commits = {0: text_of(at_ms=1, send_limit=-1, delivered=-1, runs="", committed=5)}
    shadow = Silent()
    inquiry, manner = inquiry_of(brokers, shadow)
    while clock.now < 1_010.0:
        assert asked(inquiry, brokers) == {}
        clock.now += 0.5
    clock.now += 0.5
    assert asked(inquiry, brokers) == {0: 5}
    assert shadow.times_given_up == 1
    assert ".delivered" in next(iter(manner.open.overdue(clock.now)))
    assert asked(inquiry, brokers) == {}


def test_commits_that_nobody_tells_begin_nothing(clock: SimpleNamespace) -> None:
    """Without them a restart would look like a first start."""
    brokers = Leaders(1)
    brokers.silent = True
    inquiry, manner = inquiry_of(brokers)
    while clock.now < 1_011.0:
        assert asked(inquiry, brokers) == {}
        clock.now += 0.5
    assert list(manner.open.overdue(clock.now)) == ["the group's commits"]


class Many:
    """A consumer of many topics with a partition each, all of them committed; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def list_topics(self, topic: str, **_: float) -> object:
        self.asked += 1
        told = SimpleNamespace(error=None, partitions={0: SimpleNamespace(leader=1)})
        return SimpleNamespace(topics={topic: told})

    def committed(self, asked: list[TopicPartition], **_: float) -> list[TopicPartition]:
        return [TopicPartition(part.topic, part.partition, 3, metadata="") for part in asked]

    def offsets_for_times(self, asked: list[TopicPartition], **_: float) -> list[TopicPartition]:
        return [TopicPartition(part.topic, part.partition, 0 if part.offset == -2 else 20) for part in asked]


def test_the_starts_of_many_topics_take_a_few_looks_at_all_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is to ask is found once for all that is open, not anew for each question; a note is read once."""
    looks, read = 0, list[object]()
    right, note = StartResolver._questions, own_metadata

    def questions(self: StartResolver) -> Any:
        nonlocal looks
        looks += 1
        return right(self)

    def own(*given: Any) -> Any:
        read.append(given)
        return note(*given)

    monkeypatch.setattr(StartResolver, "_questions", questions)
    monkeypatch.setattr(resolve_start, "own_metadata", own)
    monkeypatch.setattr(resolve_start, "_ENOUGH_SECONDS", 60.0)
    ends = cast("EpochEnds", SimpleNamespace(ask=lambda _: {}, close=lambda: None, error=None))
    inquiry = StartResolver(
        [(f"t{number}", 0) for number in range(300)], StartPolicy("latest", "hold", None, ends, lambda: 0, PLACE)
    )
    consumer = Many()
    assert len(inquiry.ask(cast("Consumer", consumer))) == 300
    assert (consumer.asked, looks <= 5, len(read)) == (300, True, 300)
