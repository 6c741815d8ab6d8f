"""The life of one consumer: subscribe, read, serve orders, leave. Kafka thread only."""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.flow import (
    Budget,
    CommitSendLimit,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    GiveBack,
    GoPast,
    Intake,
    Order,
    Pause,
    Progress,
    Resume,
    SendLimitCommitted,
    TopicPartition as Name,
)
from bridge.kafka.client.assignment import Assignment
from bridge.kafka.client.broker_health import BrokerHealth
from bridge.kafka.client.committing import Offsets
from bridge.kafka.client.connections import every_ms
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer, TopicCreator
from bridge.kafka.client.log_identity import CommitOrigins, EpochEnds
from bridge.kafka.client.pauses import Pauses
from bridge.kafka.client.positions import Positions
from bridge.kafka.client.reader import Reader
from bridge.kafka.client.resolve_start import ClusterIdentity, StartPolicy
from bridge.kafka.client.shadow import Shadow
from bridge.kafka.config import Clients, Conf, ConfigError
from bridge.kafka.errors import (
    POSITION_GONE,
    CommitAction,
    fatal_trouble,
    is_fatal,
    is_fenced,
    is_forbidden,
    is_missing,
)
from bridge.secrets import SecretError

_FLUSH_SECONDS: Final = 5.0
_DISCARD_SECONDS: Final = 1.0
_UNRELEASED_SECONDS: Final = 2.0
_SHADOW_SECONDS: Final = 1.0
_SECRETS_EVERY: Final = 2.0
_COMMIT_SECONDS: Final = 5.0
"""After which a commit that is not acknowledged is a question that is open."""
_REPAIRED_BY_SECRETS: Final = frozenset({"authentication", "tls"})
_EPOCH: Final = struct.Struct("=i")
_BEGINNING: Final = b"CGMDv2:"
"""How librdkafka begins what it knows: then the epoch in the machine's byte order, and names ended by NUL."""


class Session:
    """One consumer. Raises ConfigError, SecretError, KafkaException when made, where the settings make none."""

    def __init__(
        self,
        clients: Clients,
        room: Budget,
        intake: Callable[[list[Intake]], None],
        orders: deque[Order],
        health: BrokerHealth,
        letters: DeadLetterProducer | None,
        counters: KafkaCounters,
        now_ms: Callable[[], int],
        wake: Event,
        pauses: Pauses | None = None,
    ) -> None:
        self._pauses = pauses
        self._clients = clients
        self._intake = intake
        self._orders = orders
        self._health = health
        self._letters = letters
        self._counters = counters
        self._wake = wake
        self._offsets = Offsets(
            lambda: self._consumer, self._bounded, self._commit_answered, counters, now_ms, self._noteless
        )
        self._committer = self._offsets.committer
        self._shadow = Shadow(clients.admin, clients.group_id) if not clients.dry_run else None
        ends = EpochEnds(clients.admin, clients.group_id)
        self._origins = CommitOrigins(clients.admin, lambda: health.cluster_id if clients.claims_cluster else None)
        place = ClusterIdentity(lambda: health.cluster_id, self._origins, clients.moved_from)
        manner = StartPolicy(
            clients.start_from,
            clients.on_gap,
            self._shadow,
            ends,
            now_ms,
            place,
            EpochEnds(clients.admin, clients.group_id),
        )
        self._assignment = Assignment(
            clients, self._offsets, intake, self._serve_while_draining, counters, self._shadow, manner, pauses
        )
        self._reader = Reader(
            self._assignment, self._committer, room, intake, self._failed, counters, guarded=not clients.dry_run
        )
        self._creator: TopicCreator | None = None
        if clients.create_dead_letter_topic and not clients.dry_run and clients.dead_letter_topic is not None:
            self._creator = TopicCreator(clients.admin, clients.dead_letter_topic)
        self._restarts: list[Name] = []
        self._positions = Positions(self._assignment, self._committer, health, counters)
        self._unanswered: set[str] = set()
        self._committed = 0
        self._committed_at = time.monotonic()
        self._commit_error: KafkaError | None = None
        self._secrets_at = 0.0
        self._renew = False
        self._dead = False
        self._useless = False
        self._handlers: Mapping[type, Callable[[Any], None]] = self._order_handlers()
        self._conf: Conf = clients.consumer()
        callbacks = {"error_cb": self._on_error, "stats_cb": self._on_statistics, "on_commit": self._offsets.on_commit}
        every = {"statistics.interval.ms": every_ms(len(clients.topics))}
        self._consumer = Consumer({**self._conf, **every, **callbacks})

    @property
    def polled(self) -> float:
        """When the consumer was polled last, in monotonic seconds."""
        return self._reader.polled

    def live(self, stop: Event) -> None:
        """Run until the stop is asked for, or a new consumer is needed, or nothing can go on."""
        try:
            self._subscribe()
            while not (stop.is_set() or self._renew or self._useless or self._health.fatal):
                self._step()
        except KafkaException as error:
            self._broken(error.args[0] if error.args else None)
            return
        except Exception as bug:  # noqa: BLE001 - records were taken and are gone: begin anew from committed offsets
            self._counters.unexpected("the Kafka thread, which begins anew with another consumer", bug)
            self._broken(None)
            return
        if self._health.fatal is not None:
            self._end_fatally()
        elif self._useless:
            self._broken(None)
            stop.wait(_UNRELEASED_SECONDS)
        else:
            self._leave()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            list(self._clients.topics),
            on_assign=self._total(self._on_assign),
            on_revoke=self._total(self._assignment.on_revoke),
            on_lost=self._total(self._assignment.on_lost),
        )

    def _on_assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._assignment.on_assign(consumer, parts)
        self._health.assigned()

    def _total(
        self, callback: Callable[[Consumer, list[TopicPartition]], None]
    ) -> Callable[[Consumer, list[TopicPartition]], None]:
        """Make a callback that never raises: an exception in it would lose records that were taken already."""

        def total(consumer: Consumer, parts: list[TopicPartition]) -> None:
            if self._dead:
                return
            try:
                callback(consumer, parts)
            except Exception as bug:  # noqa: BLE001
                self._counters.callback_failed(bug)
                self._renew = True

        return total

    def _step(self) -> None:
        now = time.monotonic()
        self._serve()
        health = self._health
        if health.probe_due(now):
            health.probe(self._consumer, now)
        if self._pauses is not None:
            health.pauses_unanswered(self._pauses.unanswered() if self._assignment.waiting() else None)
        self._say(now)
        self._mend(now)
        if self._assignment.waiting() and health.may_begin():
            self._start_new(now)
        if not self._clients.dry_run:
            for topic, origin in self._origins.news().items():
                self._committer.located(topic, origin)
            self._offsets.commit_due(now)
            self._ask_for_commits(now)
        if self._shadow is not None:
            self._shadow.write_due(now, self._committer.marks)
        self._positions.refresh(self._consumer, now)
        self._reader.step(self._consumer, self._wake)

    def _say(self, now: float) -> None:
        assignment, health = self._assignment, self._health
        unbegun = assignment.unbegun()
        idle = not (unbegun or assignment.states)
        if self._clients.silent and idle and health.reachable():
            joined = has_joined(self._consumer)
            if joined and not assignment.joined:
                health.assigned()
            assignment.joined = joined
        adrift = idle and health.links.adrift(now)
        health.say(joined=assignment.joined and not adrift, unbegun=unbegun, read=assignment.states, now=now)

    def _ask_for_commits(self, now: float) -> None:
        """Tell of a commit that is not answered: records are handed over only behind its answer, so everything stands still."""
        done = self._counters.commits["ok"]
        question = f"whether it took the commits of the group {self._clients.group_id}"
        if done != self._committed or self._committer.wait(now) is None:
            self._committed, self._committed_at, self._commit_error = done, now, None
            self._health.answered(question)
        elif now >= self._committed_at + _COMMIT_SECONDS:
            self._health.unanswered(question, self._commit_error, self._committed_at)

    def _start_new(self, now: float) -> None:
        for error in self._assignment.start_new(self._consumer, now):
            self._health.asking_failed(error)

    def _tell_unanswered(self, now: float) -> None:
        found = self._assignment.unanswered(now)
        for text in self._unanswered - found.keys():
            self._health.answered(text)
        for text, asked in found.items():
            self._health.unanswered(text, asked.error, asked.since)
        self._unanswered = set(found)

    def _mend(self, now: float) -> None:
        for name in self._restarts:
            self._assignment.restart(self._consumer, name)
        self._restarts.clear()
        self._tell_unanswered(now)
        self._health.unreadable(self._assignment.unreadable.told())
        self._assignment.try_again(self._consumer, now)
        self._assignment.check_due(self._consumer)
        self._assignment.seek_due(self._consumer, now)
        if now >= self._secrets_at and self._health.kinds() & _REPAIRED_BY_SECRETS:
            self._secrets_at = now + _SECRETS_EVERY
            self._renew = self._secrets_changed()
            if self._renew and self._letters is not None:
                self._letters.reopen()

        if self._creator is not None and "dead_letter_topic" in self._health.kinds():
            self._creator.create_due(now)

    def _secrets_changed(self) -> bool:
        try:
            return self._clients.consumer() != self._conf
        except (ConfigError, SecretError):
            return False

    def _order_handlers(self) -> Mapping[type, Callable[[Any], None]]:
        assignment = self._assignment
        return {
            Progress: self._committer.progress,
            Drained: assignment.drained,
            DeadLetter: self._letter,
            Pause: lambda order: assignment.paused(self._consumer, order),
            Resume: lambda order: assignment.resumed(self._consumer, order),
            GiveBack: assignment.given_back,
            CommitSendLimit: self._committer.cover,
            GoPast: assignment.gone_past,
        }

    def _serve(self) -> None:
        """Take all orders and let the dead-letter producer work."""
        orders = self._orders
        handlers = self._handlers
        while orders:
            order = orders.popleft()
            handlers[type(order)](order)
        if self._letters is not None:
            try:
                self._letters.pump()
            except (ConfigError, SecretError, KafkaException) as error:
                self._health.settings_failed(f"dead letters cannot be written: {error}")

    def _letter(self, letter: DeadLetter) -> None:
        if self._letters is not None:
            self._letters.send(letter)
        else:
            self._intake([DeadLetterWritten(letter.ticket, None)])

    def _serve_while_draining(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
        self._serve()
        self._reader.polled = time.monotonic()

    def _bounded(self, bounds: list[SendLimitCommitted]) -> None:
        self._intake(list(bounds))

    def _on_statistics(self, text: str) -> None:
        try:
            self._health.statistics(text)
        except Exception as bug:  # noqa: BLE001 - rule 1
            self._counters.callback_failed(bug)

    def _on_error(self, error: KafkaError) -> None:
        try:
            if is_fatal(error):
                self._ended_by(error)
            else:
                self._health.client_error(error)
        except Exception as bug:  # noqa: BLE001 - rule 1
            self._counters.callback_failed(bug)

    def _noteless(self) -> None:
        """Write the marks again. Commits bear no note from now on: a mark above a commit would look like a rewind."""
        if self._shadow is not None:
            for name in self._assignment.states:
                self._shadow.forget(name)

    def _commit_answered(self, error: KafkaError | None, action: CommitAction | None) -> None:
        if error is not None and action is CommitAction.FATAL:
            self._ended_by(error)
        self._commit_error = error
        self._health.commit(error, action)

    def _ended_by(self, error: KafkaError) -> None:
        """The consumer cannot go on. If it was fenced the thread ends, too; any other reason may pass."""
        if is_fenced(error):
            self._health.fatal = fatal_trouble(error)
        else:
            self._health.refused(error)
            self._useless = True

    def _failed(self, error: KafkaError, name: Name, offset: int) -> None:
        if is_fatal(error):
            self._ended_by(error)
            return
        if error.code() in POSITION_GONE:
            self._restarts.append(name)
        elif not is_forbidden(error) or name not in self._assignment.states:
            self._health.topic_error(error, name[0])
        if not is_missing(error):
            self._assignment.failed(self._consumer, name, error, offset)

    def _leave(self) -> None:
        """Drain, commit, and leave the group; `close` flushes what is being committed."""
        if self._shadow is not None:
            self._shadow.write(self._committer.marks())
        self._assignment.give_up(list(self._assignment.states))
        self._assignment.ask_no_more()
        if self._letters is not None and not self._renew:
            self._letters.close(_FLUSH_SECONDS)
        self._consumer.close()
        if self._shadow is not None:
            self._shadow.close(_SHADOW_SECONDS)
        self._health.say(joined=False)

    def _end_fatally(self) -> None:
        """End without a commit or `close`, which would hang: the process ends after this."""
        self._assignment.drop_all()
        self._health.say(joined=False)

    def _broken(self, error: KafkaError | None) -> None:
        if error is not None and is_fatal(error):
            self._ended_by(error)
        self._counters.rebuilds += 1
        self._dead = True
        self._assignment.drop_all()
        self._assignment.ask_no_more()
        # The group waits for this member until it leaves or its session ends, but `close` may hang after an error.
        closing = Thread(target=self._consumer.close, name="kafka-discarded", daemon=True)
        closing.start()
        closing.join(_DISCARD_SECONDS)
        if self._shadow is not None:
            self._shadow.close(0.0)
        self._health.say(joined=False)


class Member(Protocol):
    """What a consumer offers for this; neither call waits for a broker."""

    def consumer_group_metadata(self) -> object: ...
    def memberid(self) -> str | None: ...


def has_joined(member: Member) -> bool:
    """Whether the group has taken the member in; an empty assignment counts.

    Under the consumer protocol a member without partitions gets no callback, and librdkafka's statistics call it `init` for
    ever (measured). What the client itself knows of its membership tells: the broker gives each member an epoch from 1 on;
    before that it is -1, and 0 on the way in and out (KIP-848). Nobody is asked: an admin client that asks the group's
    coordinator can abort the whole process when that moves (librdkafka #4605).
    """
    known = member.consumer_group_metadata()
    name = (member.memberid() or "").encode()
    if not isinstance(known, bytes) or not known.startswith(_BEGINNING) or not name:
        return False
    names_at = len(_BEGINNING) + _EPOCH.size
    if len(known) < names_at or name not in known[names_at:].split(b"\0"):
        return False
    epoch: int = _EPOCH.unpack_from(known, len(_BEGINNING))[0]
    return epoch > 0
