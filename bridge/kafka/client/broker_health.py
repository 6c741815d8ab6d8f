"""What is wrong on Kafka's side, and whether it still is. Kafka thread only.

Errors only raise a suspicion: a broker that goes away alone is nothing to tell a person. A bounded probe decides, and
it also finds out when things are well again. What is asked and not answered for ten seconds is told as well (`unanswered`):
never is a bridge ready, with lag 0, while it waits for an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from bridge.flow import KafkaState, TopicPartition
from bridge.kafka.client.connections import Links, read
from bridge.kafka.client.unanswered import PATIENCE_SECONDS, Unanswered, places
from bridge.kafka.errors import (
    GROUP_REFUSES,
    VAGUE,
    CommitAction,
    Trouble,
    Unread,
    commit_trouble,
    plain,
    refused_trouble,
    trouble_of,
    unread_trouble,
)

_PROBE_SECONDS: Final = 0.8
_PROBE_EVERY: Final = 1.5
_FIRST_PROBE_EVERY: Final = 0.2
_ROUTINE_SECONDS: Final = 30.0
"""How often it asks though nothing is suspected: of a topic that is deleted the `consumer` protocol tells nothing."""

_CLIENT: Final = "client"
_CLUSTER: Final = "cluster"
_COMMIT: Final = "commit"
_GROUP: Final = "group"
_PAUSES: Final = "pauses"
_READ: Final = "read"
_TOPIC: Final = "topic "
_WAITS: Final = "waits"
_ORDER: Final = (_CLIENT, _CLUSTER, _GROUP, _WAITS, _COMMIT)
"""The keys of the troubles that explain most, the first before the others."""
_SURE: Final = frozenset({"authentication", "tls"})
"""Kinds that an error proves by itself, without a probe."""
NO_CLUSTER_ID: Final = Trouble(
    "cluster_id",
    "the brokers name no cluster id, with which every idempotency key begins: set delivery.namespace to a name of your "
    "own, and keep it",
)


class BrokerHealth:
    """Collects troubles; `changed` is told the state whenever it changes, `on_cluster` the cluster's id once.

    `named`: keys have a namespace of their own, so that a cluster without an id may be read, too.
    """

    def __init__(
        self,
        topics: Sequence[str],
        dead_letter_topic: str | None,
        changed: Callable[[KafkaState], None],
        on_cluster: Callable[[str], None],
        *,
        links: Links | None = None,
        named: bool = False,
    ) -> None:
        self.cluster_id: str | None = None
        self.fatal: Trouble | None = None
        self._topics = topics
        self._dead_letter_topic = dead_letter_topic
        self._changed = changed
        self._on_cluster = on_cluster
        self._named = named
        self._nameless = False
        """Whether the brokers answered and named no cluster id."""
        self.links = links or Links("", silent=False)
        self._open_questions = Unanswered()
        self._joined_at: float | None = None
        self._last_error: KafkaError | None = None
        """What was met last while the group was to be joined, or a start asked for."""
        self._troubles: dict[str, Trouble] = {}
        self._suspect = True
        self._suspicion: Trouble | None = None
        self._to_ask: list[str] = []
        self._probe_at = 0.0
        self._routine_at = 0.0
        self._said: KafkaState | None = None

    @property
    def state(self) -> KafkaState:
        """What was said last."""
        return self._said or KafkaState(joined=False, kind=None, trouble=None)

    def reachable(self) -> bool:
        """Whether brokers answered when they were asked last."""
        return _CLIENT not in self._troubles

    def kinds(self) -> set[str]:
        """The kinds of the troubles at the moment."""
        return {trouble.kind for trouble in self._troubles.values()}

    def may_begin(self) -> bool:
        """Whether enough is known of the cluster to read a record."""
        return self.cluster_id is not None or (self._named and self._nameless)

    def unanswered(self, question: str, error: KafkaError | None, since: float) -> None:
        """Kafka has not answered a question since then (monotonic seconds); called again with each attempt.

        `question` is what is asked, for people: `the start of orders[3]`. `error` is what the last attempt met, None
        where nothing came. It is told after ten seconds, as a trouble, until `answered`.
        """
        self._open_questions.unanswered(question, error, since)
        self._suspect = True

    def answered(self, question: str) -> None:
        """The question is answered, or nobody asks it any more."""
        self._open_questions.answered(question)

    def statistics(self, text: str) -> None:
        """librdkafka told its statistics (a callback)."""
        self.links.heard(read(text), time.monotonic())

    def client_error(self, error: KafkaError) -> None:
        """librdkafka told an error of the client as a whole (a callback; must not raise)."""
        found = trouble_of(error)
        self.links.failed(error)
        self._suspect = True
        if found is None:
            return
        self._suspicion = found
        if found.kind in _SURE:
            self._troubles[_CLIENT] = found

    def topic_error(self, error: KafkaError, topic: str) -> None:
        """An error came instead of records."""
        found = trouble_of(error, what=topic)
        if not topic:
            self._last_error = error
        if error.code() in GROUP_REFUSES and not topic:
            self._troubles[_GROUP] = refused_trouble(error)
        elif found is not None and topic and found.kind in {"unknown_topic", "authorization"}:
            self._troubles[_TOPIC + topic] = found
        elif found is not None:
            self._suspicion = found
        self._suspect = True

    def unreadable(self, told: Mapping[TopicPartition, Unread]) -> None:
        """The partitions that cannot be read at the moment; a probe cannot tell that."""
        if told:
            self._troubles[_READ] = unread_trouble(told)
        else:
            self._troubles.pop(_READ, None)

    def asking_failed(self, error: KafkaError) -> None:
        """Kafka did not tell what is needed to begin reading."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            self._troubles[_GROUP] = refused_trouble(error)
        self._last_error = error
        self._suspect = True

    def pauses_unanswered(self, text: str | None) -> None:
        """What keeps new partitions waiting until it is known which of them are paused; None where nothing does."""
        if text is None:
            self._troubles.pop(_PAUSES, None)
        else:
            self._troubles[_PAUSES] = Trouble("group", text)

    def refused(self, error: KafkaError) -> None:
        """The group refused the member, so that this client cannot go on; another client may, later."""
        self._troubles[_GROUP] = refused_trouble(error)

    def commit(self, error: KafkaError | None, action: CommitAction | None) -> None:
        """What became of a commit."""
        if error is None:
            self._troubles.pop(_COMMIT, None)
        elif action is CommitAction.SETUP:
            self._troubles[_COMMIT] = commit_trouble(error)

    def settings_failed(self, text: str) -> None:
        """No client can be made of the settings."""
        self._troubles[_CLIENT] = Trouble("settings", text)

    def assigned(self) -> None:
        """The group works."""
        self._troubles.pop(_GROUP, None)
        self._last_error = None

    def probe_due(self, now: float) -> bool:
        """Whether `probe` should be called."""
        wanted = self._suspect or bool(self._troubles) or not self.may_begin() or now >= self._routine_at
        return bool(self._to_ask) or (now >= self._probe_at and wanted)

    def probe(self, consumer: Consumer, now: float) -> None:
        """Ask the brokers for one of the topics, to be called until all were asked; blocks for less than a second."""
        if not self._to_ask:
            self._to_ask = [*self._topics, *([self._dead_letter_topic] if self._dead_letter_topic else [])]
            self._suspect = False
            self._routine_at = now + _ROUTINE_SECONDS
        self._probe_at = now + (_PROBE_EVERY if self.may_begin() or self._nameless else _FIRST_PROBE_EVERY)
        try:
            self._ask(consumer, self._to_ask.pop())
        except KafkaException as error:
            self._to_ask = []
            self._suspect = True
            self._unanswered(error.args[0])
        else:
            self._suspicion = None
            self._troubles.pop(_CLIENT, None)

    def _ask(self, consumer: Consumer, topic: str) -> None:
        answer = consumer.list_topics(topic, timeout=_PROBE_SECONDS)
        if topic in self._topics:
            parts = answer.topics[topic].partitions or {}
            self.links.leads(topic, {number: part.leader for number, part in parts.items()}, time.monotonic())
        mended = self._topic_answered(topic, answer.topics[topic].error)
        if mended:
            # Only an answer about all topics makes the consumer look at its subscription again at once.
            consumer.list_topics(timeout=_PROBE_SECONDS)
        self._cluster_answered(answer.cluster_id)

    def _cluster_answered(self, cluster_id: object) -> None:
        self._nameless = not cluster_id
        if self.cluster_id is None and cluster_id:
            self.cluster_id = str(cluster_id)
            self._on_cluster(self.cluster_id)
        if self.may_begin():
            self._troubles.pop(_CLUSTER, None)
        else:
            self._troubles[_CLUSTER] = NO_CLUSTER_ID

    def _unanswered(self, error: KafkaError) -> None:
        known = self._troubles.get(_CLIENT)
        if known is not None and known.kind in _SURE:
            return
        found = self._suspicion or trouble_of(error)
        self._troubles[_CLIENT] = found or Trouble("unreachable", f"Kafka does not answer ({plain(error)})")

    def _topic_answered(self, topic: str, error: KafkaError | None) -> bool:
        """Take in what the brokers say of a topic; whether a trouble with it is over."""
        trouble = trouble_of(error, what=topic) if error is not None else None
        if trouble is None:
            return self._troubles.pop(_TOPIC + topic, None) is not None
        if topic == self._dead_letter_topic:
            forbidden = trouble.kind == "authorization"
            advice = (
                "give the bridge's user Write and Describe on it"
                if forbidden
                else "create it, or set kafka.dead_letter_create"
            )
            text = f"the dead-letter topic {topic} cannot be used: {advice}"
            self._troubles[_TOPIC + topic] = Trouble("dead_letter_topic", f"{text} ({plain(error) if error else ''})")
        else:
            self._troubles[_TOPIC + topic] = trouble
        return False

    def say(
        self,
        *,
        joined: bool,
        unbegun: Mapping[TopicPartition, float] | None = None,
        read: Collection[TopicPartition] = (),
        now: float | None = None,
    ) -> None:
        """Tell the state if it changed. Of several troubles the one that explains most is told.

        `unbegun` are the partitions that are ours and have no start yet, with the time since when; `read` the others.
        """
        at = time.monotonic() if now is None else now
        waiting = unbegun or {}
        waits = self._waited_for(waiting, read, at, joined=joined)
        trouble = self.fatal or _first(self._troubles | ({_WAITS: waits} if waits else {}))
        state = KafkaState(
            joined, trouble.kind if trouble else None, trouble.text if trouble else None, tuple(sorted(waiting))
        )
        if state != self._said:
            self._said = state
            self._changed(state)

    def _waited_for(
        self, unbegun: Mapping[TopicPartition, float], read: Collection[TopicPartition], now: float, *, joined: bool
    ) -> Trouble | None:
        """What has not been answered for ten seconds; a broker or a coordinator that is away explains all the others."""
        self._joined_at = now if joined or self._joined_at is None else self._joined_at
        links = self.links
        late = [name for name, since in unbegun.items() if now >= since + PATIENCE_SECONDS]
        return (
            links.broker_trouble(chain(unbegun, read), now)
            or links.group_trouble(now)
            or self._open_questions.trouble(now, self._clear_error())
            or self._unjoined(now)
            or (Trouble("unanswered", self._not_begun(late)) if late else None)
        )

    def _clear_error(self) -> str:
        error = self._last_error
        return plain(error) if error is not None and error.code() not in VAGUE else ""

    def _unjoined(self, now: float) -> Trouble | None:
        late = self._joined_at is not None and now >= self._joined_at + PATIENCE_SECONDS
        return self.links.unjoined_trouble(self._clear_error()) if late else None

    def _not_begun(self, late: list[TopicPartition]) -> str:
        why = plain(self._last_error) if self._last_error is not None else "no answer came"
        return f"Kafka has not told for over 10 s where to begin with {places(late)} ({why})"


def _first(troubles: Mapping[str, Trouble]) -> Trouble | None:
    """The trouble that explains most."""
    order = sorted(troubles, key=lambda key: (_ORDER.index(key) if key in _ORDER else len(_ORDER), key))
    return troubles[order[0]] if order else None
