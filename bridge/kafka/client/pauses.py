"""Keeps the book of pauses: reads it, tells the others of it, and writes what people say. A thread of its own.

Everything that waits for Kafka waits here, so that neither the thread that polls nor the one that delivers does. The group
`<group>.paused` keeps the book: one commit a partition says whether somebody paused it. A consumer that never subscribes
reads and writes it, and no admin client (why: `shadow`). A command has one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.delivery.journal import Journal, trace_of
from bridge.delivery.pauses import BLANK, Aim, Book, Page, aim_text, covers, read_page
from bridge.flow import TopicPartition as Name
from bridge.kafka.client.resolve_start import metadata_of
from bridge.kafka.config import LOG, Conf, ConfigError
from bridge.kafka.errors import plain
from bridge.secrets import SecretError

SUFFIX: Final = ".paused"
_REFUSED: Final = frozenset(
    {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
    }
)
_NOTHING_THERE: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})
_TIMED_OUT: Final = KafkaError._TIMED_OUT  # noqa: SLF001 (librdkafka's own; it is public)


_EVERY_SECONDS: Final = 4.0
"""How often the group is read: with the time that a question takes, others follow within five seconds."""
_AGAIN_SECONDS: Final = 0.5
_REFUSED_SECONDS: Final = 30.0
_ASK_SECONDS: Final = 2.0
_WRITE_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 10.0
"""So long a person who says something waits for Kafka, and a partition before its waiting is told."""
_LIST_SECONDS: Final = 60.0
"""How often the partitions of the topics are asked for."""
_KEEP_SECONDS: Final = 12 * 3600.0
"""Offsets of a group without members expire after a week by default, each by its own age."""


class UnsaidError(Exception):
    """What a person asked for was not done, or only in part; the message says which, and what to do."""


class PauseResult(NamedTuple):
    """What came of a pause or resume. `names` are the partitions that it changed; `kept` is None where Kafka has it,
    else why this process alone knows of it.
    """

    names: tuple[Name, ...]
    kept: str | None


@dataclass(slots=True)
class _Request:
    aims: tuple[Aim, ...]
    paused: bool
    reason: str
    at_ms: int
    until: float
    future: Future[PauseResult] = field(default_factory=Future)


class _Read(NamedTuple):
    """The last answer of Kafka: when it was asked (monotonic seconds), and of which partitions."""

    at: float
    names: Collection[Name]


class Pauses:
    """`group` None keeps the book in this process alone (a dry run leaves no trace). `changed` is told each new book,
    on this thread, before anybody can see it in `book`.
    """

    def __init__(
        self,
        group: PauseGroup | None,
        topics: Sequence[str],
        changed: Callable[[Book], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.book = Book()
        """As it is known now; replaced as a whole."""
        self.journal = Journal()
        """What is to be told in the log."""
        self._group = group
        self._topics = tuple(topics)
        self._changed = changed
        self._now_ms = now_ms
        self._kept = Book()
        """What Kafka and the acknowledged words of this process come to; `book` has beside it what is on its way."""
        self._pages: Mapping[Name, Page] = {}
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._list_at = 0.0
        self._keep_at = 0.0
        self._read: _Read = _Read(float("-inf"), ())
        self._wanted: Collection[Name] = ()
        self._refusal: str | None = None if group is not None else "this is a dry run"
        self._told = False
        self._failing: tuple[float, str] | None = None
        self._asked: list[_Request] = []
        self._asking = Lock()
        self._wake = Event()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="pauses", daemon=True)

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End, at most so much later."""
        self._stop.set()
        self._wake.set()
        self._thread.join(seconds)

    def known(self, since: Mapping[Name, float]) -> bool:
        """Whether Kafka has said which of these partitions are paused, and was asked after the moment (monotonic seconds)
        that each is given. Where it was not, it is asked now. Any thread; never waits.
        """
        at, names = self._read
        if self._refusal is not None or all(name in names and at >= moment for name, moment in since.items()):
            return True
        self._wanted = frozenset(since)
        self._wake.set()
        return False

    def unanswered(self) -> str | None:
        """What to tell a person where Kafka has not answered for ten seconds. Any thread."""
        failing = self._failing
        if failing is None or self._refusal is not None or time.monotonic() < failing[0] + _PATIENCE_SECONDS:
            return None
        name = self._group.name if self._group is not None else ""
        return f"Kafka does not say which partitions are paused, so new ones wait: the group {name} ({failing[1]})"

    def say(self, aims: Sequence[Aim], reason: str, *, paused: bool) -> Future[PauseResult]:
        """Pause or resume. The future ends within `_PATIENCE_SECONDS` and a bit, or raises UnsaidError. Any thread."""
        asked = _Request(tuple(aims), paused, reason, self._now_ms(), time.monotonic() + _PATIENCE_SECONDS)
        with self._asking:
            self._asked.append(asked)
        self._wake.set()
        return asked.future

    # the thread

    def _run(self) -> None:
        wait = 0.0
        while True:
            self._wake.wait(wait)
            self._wake.clear()
            if self._stop.is_set():
                break
            try:
                wait = self._turn(time.monotonic())
            except Exception as bug:  # noqa: BLE001 (nobody else is there to go on)
                where = "the thread that keeps the pauses, which goes on"
                self.journal.note("unexpected", "error", where=where, exception=trace_of(bug))
                wait = _AGAIN_SECONDS
        if self._group is not None:
            self._group.close(1.0)

    def _turn(self, now: float) -> float:
        """Read, and write what is to be said; returns how long to wait until the next turn."""
        self._publish()
        answered = self._read_group(now)
        for asked in self._open():
            self._serve(asked, answered=answered)
        if answered:
            self._write_what_is_missing(now)
        if self._refusal is not None:
            return _REFUSED_SECONDS
        return _EVERY_SECONDS if answered and not self._open() else _AGAIN_SECONDS

    def _open(self) -> list[_Request]:
        with self._asking:
            return list(self._asked)

    def _publish(self) -> None:
        """Publish what is kept and what is still being written: a pause takes effect here at once."""
        book = self._kept
        for asked in self._open():
            if asked.paused:
                book = book.saying(asked.aims, asked.at_ms, asked.reason, paused=True)
        if book != self.book:
            self._changed(book)
            self.book = book

    def _read_group(self, now: float) -> bool:
        """Ask Kafka for the whole book."""
        group = self._group
        if group is None:
            return False
        try:
            if now >= self._list_at or self._open():
                self._partitions = group.partitions(self._topics, _ASK_SECONDS)
                self._list_at = now + _LIST_SECONDS
            names = {(topic, each) for topic, numbers in self._partitions.items() for each in numbers}
            names |= set(self._wanted)
            self._pages = group.read(names, _ASK_SECONDS)
        except PausesRefusedError as refusal:
            self._refused(refusal)
            return False
        except (KafkaException, ConfigError, SecretError) as error:
            self._failed(error, now)
            return False
        self._refusal = self._failing = None
        self._kept = self._kept.with_pages(self._pages)
        self._publish()
        self._read = _Read(now, self._pages.keys())
        return True

    def _refused(self, refusal: PausesRefusedError) -> None:
        self._refusal, self._failing = self._warned(refusal), None
        self._again_with_other_secrets()

    def _warned(self, refusal: PausesRefusedError) -> str:
        """What to do about it; the log says so once."""
        name = self._group.name if self._group is not None else ""
        advice = "give the bridge's user Read and Describe on it"
        if not self._told:
            self._told = True
            ends = "or a pause ends with the process that was told of it"
            LOG.warning("the group %s cannot be used: %s, %s (%s)", name, advice, ends, plain(refusal.error))
        return f"Kafka refuses the group {name}: {advice}"

    def _failed(self, error: Exception, now: float) -> None:
        if self._refusal is None:
            text = plain(error.args[0]) if isinstance(error, KafkaException) else str(error)
            self._failing = (self._failing[0] if self._failing is not None else now, text)
        self._again_with_other_secrets()

    def _again_with_other_secrets(self) -> None:
        if self._group is not None:
            try:
                self._group.renew()
            except (ConfigError, SecretError):
                return

    # what people say

    def _serve(self, asked: _Request, *, answered: bool) -> None:
        try:
            taken = self._take(asked, answered=answered)
        except UnsaidError as error:
            self._forget(asked)
            asked.future.set_exception(error)
            return
        except KafkaException as error:
            self._failed(error, time.monotonic())
            taken = None
        if taken is not None:
            self._end(asked, taken)
        elif time.monotonic() > asked.until:
            self._overdue(asked)

    def _take(self, asked: _Request, *, answered: bool) -> PauseResult | None:
        if answered:
            try:
                return self._said(asked)
            except PausesRefusedError as refusal:
                return self._said_here_alone(asked, self._warned(refusal))
        return None if self._refusal is None else self._said_here_alone(asked, self._refusal)

    def _said(self, asked: _Request) -> PauseResult:
        """Write it, and wait for the acknowledgement."""
        assert self._group is not None
        names = self._names(asked)
        changed = self._changes(asked, names)
        if changed or asked.paused:
            book = self._kept.saying(asked.aims, asked.at_ms, asked.reason, paused=asked.paused)
            self._group.write({name: book.page(name) for name in names}, _WRITE_SECONDS)
            self._kept = book
        return PauseResult(changed, None)

    def _said_here_alone(self, asked: _Request, why: str) -> PauseResult:
        names = self._names(asked)
        changed = self._changes(asked, names)
        self._kept = self._kept.saying(asked.aims, asked.at_ms, asked.reason, paused=asked.paused)
        return PauseResult(changed, why)

    def _names(self, asked: _Request) -> list[Name]:
        """The partitions spoken of, as Kafka has them."""
        found: list[Name] = []
        for aim in asked.aims:
            numbers = self._partitions.get(aim[0], ())
            if aim[1] is not None and numbers and aim[1] not in numbers:
                message = f"there is no {aim_text(aim)}: the partitions of {aim[0]} are {numbers[0]} to {numbers[-1]}"
                raise UnsaidError(message)
            known = {(aim[0], each) for each in numbers} or set(self._wanted)
            found += sorted(name for name in known if covers(aim, name)) or (
                [] if aim[1] is None else [(aim[0], aim[1])]
            )
        return found

    def _changes(self, asked: _Request, names: Sequence[Name]) -> tuple[Name, ...]:
        return tuple(name for name in names if (self._kept.paused(name) is not None) is not asked.paused)

    def _overdue(self, asked: _Request) -> None:
        """Kafka does not answer. A pause stays in force here, and is written when it does; nothing is resumed."""
        what = ", ".join(map(aim_text, asked.aims))
        why = self._failing[1] if self._failing is not None else "no answer"
        if asked.paused:
            message = (
                f"this process has stopped {what}, but Kafka did not acknowledge it ({why}), so that others do not know "
                "of it; it is tried again for as long as this process runs"
            )
        else:
            message = f"{what} stays as it is: Kafka did not acknowledge it ({why}); try again"
            self._forget(asked)
        if not asked.future.done():
            asked.future.set_exception(UnsaidError(message))

    def _end(self, asked: _Request, taken: PauseResult) -> None:
        self._forget(asked)
        self._publish()
        if not asked.future.done():
            asked.future.set_result(taken)

    def _forget(self, asked: _Request) -> None:
        with self._asking:
            self._asked.remove(asked)

    def _write_what_is_missing(self, now: float) -> None:
        """Heal what was lost or written over with something older, and keep the rest from expiring."""
        assert self._group is not None
        keep = now >= self._keep_at
        pages = self._kept.to_keep(self._pages) if keep else self._kept.lacking(self._pages)
        try:
            self._group.write(pages, _WRITE_SECONDS)
        except (KafkaException, PausesRefusedError):
            return
        if keep:
            self._keep_at = now + _KEEP_SECONDS


_Answer = tuple[KafkaError | None, list[TopicPartition]]


class PausesRefusedError(Exception):
    """Kafka refuses the group to us, and waiting does not help; `error` is what it said."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error


class PauseGroup:
    """Every call blocks for its `seconds` at most, and raises KafkaException where Kafka does not answer, PausesRefusedError
    where it refuses, ConfigError or SecretError where the settings make no client.
    """

    def __init__(self, conf: Callable[[], Conf], group: str) -> None:
        self.name = group + SUFFIX
        self._make_conf = conf
        self._conf: Conf = {}
        self._consumer: Consumer | None = None
        self._answers: list[_Answer] = []

    def partitions(self, topics: Iterable[str], seconds: float) -> dict[str, tuple[int, ...]]:
        """The partitions of each topic; a topic that is not there has none."""
        consumer, until = self._client(), time.monotonic() + seconds
        found: dict[str, tuple[int, ...]] = {}
        for topic in topics:
            left = max(0.05, until - time.monotonic())
            told = consumer.list_topics(topic, timeout=left).topics[topic]
            found[topic] = tuple(sorted(told.partitions)) if told.error is None else ()
        return found

    def read(self, names: Iterable[Name], seconds: float) -> dict[Name, Page]:
        """What the group says of each partition; those of topics that may not be seen are left out."""
        asked = [TopicPartition(*name) for name in sorted(names)]
        consumer = self._client()
        try:
            found = consumer.committed(asked, timeout=seconds) if asked else []
        except KafkaException as error:
            raise self._explained(error) from None
        pages: dict[Name, Page] = {}
        for part in found:
            if part.error is not None and part.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                continue
            if part.error is not None and part.error.code() not in _NOTHING_THERE:
                raise self._explained(KafkaException(part.error))
            pages[part.topic, part.partition] = read_page(metadata_of(part)) if part.offset >= 0 else BLANK
        return pages

    def write(self, pages: Mapping[Name, Page], seconds: float) -> None:
        """Commit pages and wait for the acknowledgement. Pages of partitions that do not exist any more are dropped."""
        parts = [TopicPartition(*name, page.serial, page.text()) for name, page in sorted(pages.items())]
        if not parts:
            return
        try:
            error_of_all, answered = self._commit(self._client(), parts, time.monotonic() + seconds)
        except KafkaException as error:
            raise self._explained(error) from None
        for failed in (each for each in (error_of_all, *(part.error for part in answered)) if each is not None):
            if failed.code() not in _NOTHING_THERE:
                raise self._explained(KafkaException(failed))

    def _commit(self, consumer: Consumer, parts: list[TopicPartition], until: float) -> _Answer:
        self._answers.clear()
        consumer.commit(offsets=parts, asynchronous=True)
        while not self._answers:
            if time.monotonic() > until:
                raise KafkaException(KafkaError(_TIMED_OUT))
            consumer.poll(0.05)
        return self._answers.pop()

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """librdkafka's callback; must not raise."""
        self._answers.append((error, parts))

    def _explained(self, error: KafkaException) -> Exception:
        """A client that may not find the group's coordinator gets no answer, only a message: look for it there."""
        told = [error.args[0]]
        while self._consumer is not None and (message := self._consumer.poll(0)) is not None:
            if (reason := message.error()) is not None:
                told.append(reason)
        refusal = next((each for each in told if each.code() in _REFUSED), None)
        return PausesRefusedError(refusal) if refusal is not None else error

    def renew(self) -> None:
        """Make a new client if the settings (a password, a certificate) have changed."""
        if self._consumer is not None and self._make_conf() != self._conf:
            self.close(0.0)

    def close(self, seconds: float) -> None:
        """Let go of the client; `close` of librdkafka waits for brokers that may be gone."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            closing = Thread(target=consumer.close, name="pauses-closing", daemon=True)
            closing.start()
            closing.join(seconds)

    def _client(self) -> Consumer:
        if self._consumer is None:
            self._conf = self._make_conf()
            own = {"group.id": self.name, "enable.auto.commit": False, "on_commit": self._answered}
            self._consumer = Consumer({**self._conf, **own})
        return self._consumer
