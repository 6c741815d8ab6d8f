"""Asks Kafka what it knows of partitions that were just assigned, so that their starts can be resolved. Kafka thread only.

Each partition is resolved when all is known that its own start hangs on: offsets are asked of each leader by itself, so
that one which cannot be reached holds up no other's partitions.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.flow import TopicPartition as Name
from bridge.kafka.client.log_identity import CommitOrigins, EpochEnds
from bridge.kafka.client.shadow import Shadow
from bridge.kafka.client.unanswered import OVERDUE_SECONDS, KafkaQuestion, OpenQuestions, listed
from bridge.offsets.begin import (
    AGES,
    Committed,
    Group,
    Known,
    OnGap,
    Resolved,
    StartFrom,
    age_of,
    begins,
    group_of,
    own_metadata,
    resolve,
    since_when,
)
from bridge.offsets.commits import Began, CommitMetadata, Origin

_LATEST: Final = -1
_EARLIEST: Final = -2
_CALL_SECONDS: Final = 0.8
_ENOUGH_SECONDS: Final = 0.4
"""After so long no further question is asked in one go: the consumer has to be polled."""
_FIRST_CONTACT_SECONDS: Final = 2.0
"""An end that is told so soon after a group's first start is the end at that start."""
_MARKS: Final = "the marks of what was delivered, in the group's second group (.delivered)"
_EPOCHS: Final = "whether the log was cut off below what the commits speak of"
_LEADERLESS: Final = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)


class OwnCommits(NamedTuple):
    """What this process committed, by partition. `fresh`: it committed not long ago, so that no offset has expired."""

    offsets: Mapping[Name, int]
    fresh: bool


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """The cluster of the group, as far as it is known, and the digest of the cluster that it was moved from (0: none)."""

    cluster_id: Callable[[], str | None]
    origins: CommitOrigins
    moved_from: int = 0


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """How starts are chosen and asked for; the same for the life of a consumer. `now_ms` is the wall clock."""

    start_from: StartFrom
    on_gap: OnGap
    shadow: Shadow | None
    ends: EpochEnds | None
    now_ms: Callable[[], int]
    place: ClusterIdentity
    lifted: EpochEnds | None = None
    """Asks about partitions that go on after they were held."""
    open: OpenQuestions = field(default_factory=OpenQuestions)
    firsts: dict[str, tuple[Began, float]] = field(default_factory=dict)
    """Topics to which the group is new: what was decided for them, and when (monotonic seconds)."""


class StartResolver:
    """The questions about partitions that have no start yet; answers are kept between calls."""

    def __init__(self, names: Sequence[Name], manner: StartPolicy, earlier: OwnCommits | None = None) -> None:
        """Ask about `names`. `earlier` is what this process committed, whatever Kafka has of it now."""
        self.names = frozenset(names)
        self.failures: list[KafkaError] = []
        """What Kafka said in the last call of `ask` instead of answers."""
        self._left = sorted(names)
        self._manner = manner
        self._earlier = earlier or OwnCommits({}, fresh=False)
        self._committed = {topic for topic, _ in self._earlier.offsets}
        self._leaders: dict[str, dict[int, int]] = {}
        self._stale: set[str] = set()
        """Topics of which it has to be asked anew who leads them."""
        self._commits: dict[str, dict[int, Committed]] = {}
        self._notes: dict[Name, tuple[Origin, CommitMetadata | None]] = {}
        """What the metadata of the commits says, read for that origin."""
        self._groups: dict[str, Group] = {}
        self._marks: dict[Name, int] | None = {} if manner.shadow is None else None
        self._offsets: dict[int, dict[Name, int]] = defaultdict(dict)
        self._seen_at: dict[Name, float] = {}
        """When the end of a partition was told first."""
        self._epoch_ends: dict[Name, int | None] = {}
        self._now_ms = manner.now_ms()
        self._held: dict[Name, float] = {}
        """Those that begin held as `rewind`, and since when it is asked, too, how old their records are."""
        manner.place.origins.ask(topic for topic, _ in self.names)

    def ask(self, consumer: Consumer) -> dict[Name, Resolved]:
        """Go on asking; the starts that are known by now and were not told before. Blocks for a second at most.

        Nothing is guessed: where Kafka does not answer or refuses (`failures`), call again when `next_at` has come.
        """
        begun = time.monotonic()
        self.failures = []
        while (now := time.monotonic()) < begun + _ENOUGH_SECONDS:
            questions = list(self._questions())
            self._manner.open.keep([question.text for question in questions], now)
            due = [question for question in questions if self._manner.open.due(question.text, now)]
            if not due:
                break
            # What the answers lead to is looked for when all were put: that costs a look at every partition.
            for question in sorted(due, key=lambda question: self._manner.open.turn(question.text)):
                now = time.monotonic()
                if now < begun + _ENOUGH_SECONDS and self._manner.open.due(question.text, now):
                    self._put(question, consumer)
        found = {name: resolved for name in self._left if (resolved := self._resolved(name)) is not None}
        self._left = [name for name in self._left if name not in found]
        if found and self._marks is None and self._manner.shadow is not None:
            self._manner.shadow.given_up()
        return found

    def next_at(self) -> float:
        """When to call `ask` again, in monotonic seconds."""
        return self._manner.open.next_at()

    def doubt(self, name: Name) -> None:
        """What was told of a partition is not to be believed yet: it is asked again."""
        self._left.append(name)
        for told in self._offsets.values():
            told.pop(name, None)

    def _put(self, question: KafkaQuestion, consumer: Consumer) -> None:
        try:
            question.ask(consumer)
        except KafkaException as error:
            self.failures.append(error.args[0])
            self._manner.open.failed(question.text, error.args[0], time.monotonic())

    def _questions(self) -> Iterator[KafkaQuestion]:
        topics = sorted({topic for topic, _ in self._left})
        for topic in topics:
            if topic not in self._leaders or topic in self._stale:
                yield KafkaQuestion(f"the partitions of {topic}", partial(self._ask_partitions, topic=topic))
        settled = self._manner.place.origins.settled()
        if settled and any(topic in self._leaders and topic not in self._commits for topic in topics):
            yield KafkaQuestion("the group's commits", self._ask_commits)
        if self._marks is None:
            yield KafkaQuestion(_MARKS, self._ask_marks)
        yield from self._offset_questions()
        epochs = {name: epoch for name in self._left if (epoch := self._epoch_to_check(name)) is not None}
        if epochs and self._manner.ends is not None:
            yield KafkaQuestion(_EPOCHS, lambda _: self._ask_epochs(epochs))

    def _offset_questions(self) -> Iterator[KafkaQuestion]:
        missing: dict[tuple[int, int], list[Name]] = defaultdict(list)
        for name in self._left:
            if name[0] in self._leaders:
                for at in (*self._times(name), *self._ages(name)):
                    if name not in self._offsets[at]:
                        missing[self._leaders[name[0]].get(name[1], -1), at].append(name)
        for (leader, at), names in missing.items():
            topics = listed(sorted({topic for topic, _ in names}))
            if leader >= 0:
                text = f"where the partitions of {topics} begin and end, asked of broker {leader}"
                yield KafkaQuestion(text, partial(self._ask_offsets, names=names, at=at))
            else:
                yield KafkaQuestion(f"who leads partitions of {topics}", partial(self._ask_leader, names=names))

    def _times(self, name: Name) -> tuple[int, ...]:
        """What is asked of a partition's leader: first offset, end, and the offset at the group's beginning."""
        commits = self._commits.get(name[0])
        since = None if commits is None or name[1] in commits else self._since(name)
        return (_EARLIEST, _LATEST) if since is None else (_EARLIEST, _LATEST, since)

    def _ages(self, name: Name) -> tuple[int, ...]:
        return tuple(self._now_ms - age for age in AGES) if name in self._held else ()

    def _ask_partitions(self, consumer: Consumer, topic: str) -> None:
        found = consumer.list_topics(topic, timeout=_CALL_SECONDS).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        self._leaders[topic] = {number: part.leader for number, part in found.partitions.items()}
        self._stale.discard(topic)

    def _ask_commits(self, consumer: Consumer) -> None:
        """Ask for the commits of all partitions of the topics, not only of the assigned ones."""
        topics = [topic for topic in self._leaders if topic not in self._commits]
        asked = [TopicPartition(topic, each) for topic in topics for each in self._leaders[topic]]
        commits: dict[str, dict[int, Committed]] = {topic: {} for topic in topics}
        for part in consumer.committed(asked, timeout=_CALL_SECONDS):
            if part.error is not None:
                raise KafkaException(part.error)
            if part.offset >= 0:
                commits[part.topic][part.partition] = Committed(part.offset, metadata_of(part), epoch_of(part))
        for topic, of_topic in commits.items():
            self._groups[topic] = self._group(topic, of_topic)
        self._commits |= commits

    def _ask_marks(self, _: Consumer) -> None:
        if self._manner.shadow is not None:
            marks = self._manner.shadow.ask(self.names)
            self._marks = dict(marks)

    def _ask_offsets(self, consumer: Consumer, names: Sequence[Name], at: int) -> None:
        """Ask one leader. Where it fails another may lead by now."""
        try:
            self._take_offsets(at, *told_offsets(consumer, names, at, _CALL_SECONDS))
        except KafkaException:
            self._stale |= {topic for topic, _ in names}
            raise

    def _take_offsets(self, at: int, found: Mapping[Name, int], error: KafkaError | None) -> None:
        self._offsets[at] |= found
        if at == _LATEST:
            self._seen_at = dict.fromkeys(found, time.monotonic()) | self._seen_at
        if error is not None:
            raise KafkaException(error)

    def _ask_leader(self, _: Consumer, names: Sequence[Name]) -> None:
        self._stale |= {topic for topic, _ in names}
        raise KafkaException(_LEADERLESS)

    def _ask_epochs(self, epochs: Mapping[Name, int]) -> None:
        ends = self._manner.ends
        assert ends is not None
        found = ends.ask(epochs)
        self._epoch_ends |= found
        if len(found) < len(epochs):
            self._manner.open.pending(_EPOCHS, ends.error, time.monotonic())
        else:
            ends.close()

    def _group(self, topic: str, commits: Mapping[int, Committed]) -> Group:
        """A topic that was deleted and created again has lost its commits, but is not new to the group: `start_from` does not count."""
        found = group_of(commits, self._manner.place.origins.of(topic))
        if topic in self._committed:
            return replace(found, has_commits=True)
        if not found.has_commits and topic not in self._manner.firsts:
            began = begins(self._manner.start_from, self._manner.now_ms(), len(self._leaders[topic]))
            self._manner.firsts[topic] = began, time.monotonic()
        return found

    def _began(self, topic: str) -> Began | None:
        """What the commits of the topic are to say of the group's beginning."""
        group = self._groups[topic]
        if group.began is not None or group.has_commits:
            return group.began
        return self._manner.firsts[topic][0]

    def _since(self, name: Name) -> int | None:
        """The time at which the group began with a partition without a commit, where its offset decides."""
        return since_when(name, self._group_at(name).began)

    def _group_at(self, name: Name) -> Group:
        """What the group knew when it began, for one partition. Where its end was not known then, what came since is asked."""
        topic = name[0]
        group = self._groups[topic]
        first = None if group.has_commits else self._manner.firsts.get(topic)
        if first is None:
            return group
        began, at = first
        late = self._seen_at.get(name, at) > at + _FIRST_CONTACT_SECONDS
        return replace(group, began=began) if late or isinstance(self._manner.start_from, int) else group

    def _note(self, name: Name) -> CommitMetadata | None:
        committed = self._commits.get(name[0], {}).get(name[1])
        if committed is None:
            return None
        origin = self._manner.place.origins.of(name[0])
        known = self._notes.get(name)
        if known is None or known[0] != origin:
            known = self._notes[name] = origin, own_metadata(committed, origin)
        return known[1]

    def _epoch_to_check(self, name: Name) -> int | None:
        """The leader epoch whose end has to be known; None where the commit has none, is not ours, or it is known."""
        if name in self._epoch_ends or self._note(name) is None:
            return None
        epoch = self._commits[name[0]][name[1]].epoch
        return epoch if epoch >= 0 else None

    def _is_known(self, name: Name) -> bool:
        if name[0] not in self._commits or not self._is_marked(name):
            return False
        if self._manner.ends is not None and self._epoch_to_check(name) is not None:
            return False
        return all(name in self._offsets[at] for at in self._times(name))

    def _is_marked(self, name: Name) -> bool:
        """Whether the mark is known or not needed: the note in our own commit guards first."""
        if self._marks is not None:
            return True
        overdue = self._manner.open.is_overdue(_MARKS, time.monotonic())
        return overdue and self._note(name) is not None

    def _resolved(self, name: Name) -> Resolved | None:
        if not self._is_known(name):
            return None
        found = self._resolve(name)
        if found.start.hold != "rewind":
            return found
        told = {age: self._offsets[at].get(name) for age, at in zip(AGES, self._ages(name), strict=False)}
        at_age = {age: offset for age, offset in told.items() if offset is not None}
        since = self._held.setdefault(name, time.monotonic())
        if len(at_age) < len(AGES):
            # Without their age they are held all the same.
            return found if time.monotonic() > since + OVERDUE_SECONDS else None
        return found._replace(start=replace(found.start, age=found.start.age + age_of(found.start.offset, at_age)))

    def _resolve(self, name: Name) -> Resolved:
        topic, partition = name
        manner, place = self._manner, self._manner.place
        since = self._since(name)
        at_time = -1 if since is None else self._offsets[since].get(name, -1)
        known = Known(
            name,
            self._commits[topic].get(partition),
            self._offsets[_EARLIEST][name],
            self._offsets[_LATEST][name],
            at_time if at_time >= 0 else None,
            (self._marks or {}).get(name),
            self._before(name),
            self._earlier.fresh,
            epoch_end=self._epoch_ends.get(name),
            origin=place.origins.of(topic),
            cluster_id=place.cluster_id() or "",
            moved_from=place.moved_from,
        )
        found = resolve(known, self._group_at(name), manner.start_from, manner.on_gap)
        return found._replace(began=self._began(topic))

    def _before(self, name: Name) -> int | None:
        """What this process committed of a partition; where another had it and the topic lost all its commits, 0."""
        lost_all = self._earlier.fresh and name[0] in self._committed and not self._commits.get(name[0])
        return self._earlier.offsets.get(name, 0 if lost_all else None)


def metadata_of(part: TopicPartition) -> str | None:
    """The metadata of a commit as Kafka has it; None where it is no text, so that we did not write it.

    confluent-kafka 2.16 reads on behind the end of metadata that another client committed without a closing NUL, up to
    bytes that are no text (seen with a Go client's groups); what we commit has one.
    """
    try:
        return part.metadata
    except UnicodeDecodeError:
        return None


def epoch_of(part: TopicPartition) -> int:
    """The leader epoch beside an offset, -1 where there is none."""
    epoch = cast("int | None", part.leader_epoch)
    return -1 if epoch is None else epoch


def told_offsets(
    consumer: Consumer, names: Sequence[Name], at: int, seconds: float
) -> tuple[dict[Name, int], KafkaError | None]:
    """The offsets at a time (or the first, or the last), and the last error met for one that is missing.

    One request per leader; blocks no longer than `seconds`. Raises KafkaException where none is told.
    """
    asked = [TopicPartition(topic, partition, at) for topic, partition in names]
    found: dict[Name, int] = {}
    error: KafkaError | None = None
    for part in consumer.offsets_for_times(asked, timeout=seconds):
        if part.error is not None:
            error = part.error
        else:
            found[part.topic, part.partition] = part.offset
    return found, error


def end_offsets(consumer: Consumer, names: Sequence[Name], seconds: float) -> dict[Name, int]:
    """The offsets behind the last committed records, where they are told; raises KafkaException."""
    return told_offsets(consumer, names, _LATEST, seconds)[0] if names else {}
