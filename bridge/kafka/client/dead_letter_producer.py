"""The dead-letter producer: the original record, byte for byte, with headers that say why. Kafka thread only.

Acknowledged by all replicas, and idempotent where the brokers can: those before 0.11 and some services do not know the
request that such a producer begins with, those before 2.8 want a right of its own for it. Without, a letter whose
acknowledgement is lost may be there twice, which harms nothing. What is too large for the topic goes as a reference, so
that it cannot stop a partition for ever. A letter bears the time at which it was written: with the record's, which is in a
header, retention would delete it at once, or Kafka refuse it for ever.

The topic is created where the settings say so; the admin client for it has threads of its own.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import count
from typing import Final, NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bridge.flow import DeadLetter, DeadLetterWritten, Headers, UnreadableHeaders, headers_of
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.config import LOG, Conf
from bridge.kafka.errors import (
    INVALID_ARGUMENT,
    TIMED_OUT,
    UNREPORTED,
    is_fatal,
    pending,
    plain,
    taken_from,
    text_of,
    unwritten,
)

_REFUSED: Final = (
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - librdkafka's local errors begin with an underscore
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
"""What ends an idempotent producer for good."""
_UNKNOWN_REQUEST: Final = KafkaError(KafkaError.UNSUPPORTED_VERSION).str() or ""
_FACILITY: Final = "GETPID"
"""Of librdkafka's lines about a producer id that it did not get: all that it tells of what it tries again."""


_AGAIN_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 5.0
_BROKERS_DEFAULT: Final = -1


MOST_BYTES_IN_FLIGHT: Final = 4 * 1024 * 1024
REFERENCE_PREFIX: Final = "bridge.reference."
_TOO_LARGE: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.RECORD_LIST_TOO_LARGE}
)
_LARGEST_KEY: Final = 16_384

_Headers = list[tuple[str, str | bytes | None]]


class _Writing(NamedTuple):
    letter: DeadLetter
    size: int
    alone: bool
    reference: bool


class DeadLetterProducer:
    """Writes dead letters and reports each by its ticket. `report` must not raise and is called from `pump`."""

    def __init__(
        self, conf: Callable[[], Conf], topic: str, report: Callable[[DeadLetterWritten], None], counters: KafkaCounters
    ) -> None:
        self._conf = conf
        self._topic = topic
        self._report = report
        self._counters = counters
        self._producer: Producer | None = None
        self._waiting: deque[DeadLetter] = deque()
        self._retries: deque[_Writing] = deque()
        """Refused as too large together with others, perhaps: sent again, one at a time."""
        self._out: dict[int, _Writing] = {}
        """In flight, by a running number."""
        self._serial = count()
        self._bytes = 0
        self._alone = False
        self._idempotence = Idempotence(self._plainly)
        self._fatal: KafkaError | None = None
        """Why the producer will never write again, or may not, once that is so."""

    def send(self, letter: DeadLetter) -> None:
        """Take a dead letter; it is written as soon as there is room."""
        self._waiting.append(letter)

    def pending(self) -> bool:
        """Whether letters wait or are in flight."""
        return bool(self._waiting or self._retries or self._out)

    def pump(self) -> None:
        """Write what waits and take in reports; never blocks. Raises ConfigError, SecretError from the settings."""
        if self._producer is None:
            if not (self._waiting or self._retries):
                return
            self._producer = Producer(self._idempotence.conf(self._conf()))
        while not self._alone and self._write_next(self._producer):
            pass
        try:
            self._producer.poll(0)
        except (KafkaException, SystemError) as error:
            # Without the right to write an idempotent producer ends for good.
            self._fatal = self._fatal or taken_from(error)
        if self._idempotence.given_up(self._fatal):
            self._begin_anew()
        elif self._fatal is not None:
            # What it has is told as not written, and tried again later: with another producer, for whatever was wrong.
            self.reopen()
        self._fatal = None

    def _begin_anew(self) -> None:
        """Write what is in flight again, with another producer. Nothing is reported; what was written before may be there twice."""
        self._waiting.extendleft(sending.letter for sending in reversed(self._out.values()))
        self._out.clear()
        self._bytes = 0
        self._alone = False
        self.close(0.0)

    def _plainly(self, why: str) -> None:
        self._counters.journal.note("dead_letters_plain", "warning", message=why)

    def _write_next(self, producer: Producer) -> bool:
        if self._retries:
            if self._out:
                return False
            sending = self._retries[0]
            source: deque[_Writing] | deque[DeadLetter] = self._retries
        elif self._waiting:
            letter = self._waiting[0]
            sending = _Writing(letter, len(letter.record), alone=False, reference=False)
            source = self._waiting
        else:
            return False
        if self._out and self._bytes + sending.size > MOST_BYTES_IN_FLIGHT:
            return False
        if not self._produce(producer, sending):
            return False
        source.popleft()
        return True

    def _produce(self, producer: Producer, sending: _Writing) -> bool:
        """Hand one to librdkafka; False where its queue is full."""
        value, headers = _reference(sending.letter) if sending.reference else _original(sending.letter)
        number = next(self._serial)
        self._out[number] = sending
        self._bytes += sending.size
        self._alone = sending.alone
        try:
            producer.produce(
                self._topic,
                value,
                _key(sending),
                headers=headers,
                on_delivery=partial(self._delivered, number),
            )
        except BufferError:
            self._left(number)
            return False
        except (KafkaException, TypeError, ValueError) as error:
            cause = error.args[0] if error.args else None
            self._ended(number, cause if isinstance(cause, KafkaError) else KafkaError(INVALID_ARGUMENT))
        return True

    def _delivered(self, number: int, error: KafkaError | None, _: Message) -> None:
        self._fatal = pending() or self._fatal
        try:
            if number in self._out:
                self._ended(number, error)
        except Exception as bug:  # noqa: BLE001 - an exception here would surface in whatever call serves the callback
            self._counters.callback_failed(bug)

    def _ended(self, number: int, error: KafkaError | None) -> None:
        sending = self._left(number)
        if error is not None and error.code() in _TOO_LARGE and not sending.reference:
            self._retries.append(sending._replace(alone=True, reference=sending.alone))
            return
        if error is None and sending.reference:
            self._counters.references += 1
        self._report(DeadLetterWritten(sending.letter.ticket, None if error is None else self._why(error)))

    def _why(self, error: KafkaError) -> str:
        """What a person should know of a letter that was not written."""
        # Threads of a client wait by the wall clock (librdkafka's issue 2145): set back, they may sleep on for hours.
        if is_fatal(error) or error.code() == TIMED_OUT:
            self._fatal = self._fatal or error
        return unwritten(self._topic, self._fatal or error)

    def _left(self, number: int) -> _Writing:
        sending = self._out.pop(number)
        self._bytes -= sending.size
        self._alone = False
        return sending

    def close(self, seconds: float) -> None:
        """Wait for what is in flight, for at most the seconds given; the rest counts as not written."""
        producer, self._producer = self._producer, None
        if producer is not None:
            for last in (partial(producer.flush, max(seconds, 0.0)), producer.purge, partial(producer.poll, 0)):
                # What ended a producer for good is raised by whatever is called next.
                with suppress(KafkaException, SystemError):
                    last()
            # What is purged out of a request is told late, and nobody listens to this producer any more.
            for number in list(self._out):
                self._ended(number, KafkaError(UNREPORTED))

    def reopen(self) -> None:
        """Make a new producer with the next letter, as secrets have changed."""
        self.close(0.0)


def _key(sending: _Writing) -> bytes | None:
    key = sending.letter.record.key()
    return None if sending.reference and key is not None and len(key) > _LARGEST_KEY else key


def _original(letter: DeadLetter) -> tuple[bytes | None, _Headers]:
    own: Headers = []
    with suppress(UnreadableHeaders):
        own = headers_of(letter.record)
    return letter.record.value(), [*own, *letter.headers]


def _reference(letter: DeadLetter) -> tuple[bytes | None, _Headers]:
    """Names the record that is too large: its place, its size, its digest. Its headers are left out, since they may be the large part."""
    record = letter.record
    value = record.value() or b""
    facts: _Headers = [
        (REFERENCE_PREFIX + "topic", record.topic().encode()),
        (REFERENCE_PREFIX + "partition", b"%d" % record.partition()),
        (REFERENCE_PREFIX + "offset", b"%d" % record.offset()),
        (REFERENCE_PREFIX + "bytes", b"%d" % len(value)),
        (REFERENCE_PREFIX + "sha256", sha256(value).hexdigest().encode()),
    ]
    return None, [*facts, *letter.headers]


class Idempotence:
    """One for each writer of dead letters, whatever producers it makes. `told` is called once, when it is given up."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._on = True
        self._logger: logging.Logger | None = None
        self._refusal = ""
        """Why the last producer id was not given; empty since the producer was made, or none was refused."""

    def conf(self, conf: Conf) -> Conf:
        """The configuration of the next producer."""
        self._refusal = ""
        if not self._on:
            return {**conf, "enable.idempotence": False}
        logger = conf.get("logger")
        self._logger = logger if isinstance(logger, logging.Logger) else None
        return {**conf, "logger": self}

    def log(self, level: int, template: str, *arguments: object) -> None:
        """Take a line of librdkafka, as a logger: it is called while the producer is polled, and must not raise."""
        if arguments and arguments[0] == _FACILITY:
            self._refusal = str(arguments[-1])
        if self._logger is not None:
            self._logger.log(level, template, *arguments)

    def given_up(self, error: KafkaError | None = None) -> bool:
        """Whether a producer without idempotence has to take over; True once. `error` is what ended the producer, if it ended."""
        if not self._on:
            return False
        why = self._refusal if error is None or error.code() == TIMED_OUT else text_of(error)
        if error is None:
            refused = _UNKNOWN_REQUEST in why
        elif error.code() == TIMED_OUT:
            refused = bool(why)
        else:
            refused = error.code() in _REFUSED
        if refused:
            self._on = False
            self._told(why)
        return refused


class TopicCreator:
    """Asks for one topic, with the brokers' own numbers of partitions and replicas, until it is there."""

    def __init__(self, conf: Callable[[], Conf], topic: str) -> None:
        self._conf = conf
        self._topic = topic
        self._admin: AdminClient | None = None
        self._answer: Future[None] | None = None
        self._again_at = 0.0

    def create_due(self, now: float) -> None:
        """Ask, unless that was done a moment ago; never blocks."""
        if self._answer is not None and self._answer.done():
            self._say(self._answer)
            self._answer = self._admin = None
        if self._answer is None and now >= self._again_at:
            self._again_at = now + _AGAIN_SECONDS
            self._admin = AdminClient(cast("dict[str, str | int | float | bool]", self._conf()))
            topic = NewTopic(self._topic, num_partitions=_BROKERS_DEFAULT, replication_factor=_BROKERS_DEFAULT)
            self._answer = self._admin.create_topics([topic], request_timeout=_REQUEST_SECONDS)[self._topic]

    def _say(self, answer: Future[None]) -> None:
        error = answer.exception()
        if error is None:
            LOG.warning("created the dead-letter topic %s", self._topic)
        elif isinstance(error, KafkaException):
            LOG.warning("the dead-letter topic %s cannot be created: %s", self._topic, plain(error.args[0]))
