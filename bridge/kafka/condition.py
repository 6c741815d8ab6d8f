"""What is wrong on Kafka's side, and whether it still is. Kafka thread only.

Errors only raise a suspicion: a broker that goes away alone is nothing to tell a person. A bounded probe decides, and
it also finds out when things are mended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from bridge.flow import KafkaState, TopicPartition
from bridge.kafka.errors import (
    GROUP_REFUSES,
    CommitAction,
    Trouble,
    commit_trouble,
    plain,
    trouble_of,
    unread_trouble,
    unreleased_trouble,
)
from bridge.kafka.unreadable import Unread

_PROBE_SECONDS: Final = 0.8
_PROBE_EVERY: Final = 1.5
_FIRST_PROBE_EVERY: Final = 0.2
_ROUTINE_SECONDS: Final = 30.0
"""How often it asks though nothing is suspected: of a topic that is deleted the `consumer` protocol tells nothing."""

_CLIENT: Final = "client"
_COMMIT: Final = "commit"
_GROUP: Final = "group"
_READ: Final = "read"
_TOPIC: Final = "topic "
_SURE: Final = frozenset({"authentication", "tls"})
"""Kinds that an error proves by itself, without a probe."""


class Condition:
    """Collects troubles; `changed` is told the state whenever it changes, `on_cluster` the cluster's id once."""

    def __init__(
        self,
        topics: Sequence[str],
        dead_letter_topic: str | None,
        changed: Callable[[KafkaState], None],
        on_cluster: Callable[[str], None],
    ) -> None:
        self.cluster_id: str | None = None
        self.fatal: Trouble | None = None
        self._topics = topics
        self._dead_letter_topic = dead_letter_topic
        self._changed = changed
        self._on_cluster = on_cluster
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

    def client_error(self, error: KafkaError) -> None:
        """librdkafka told an error of the client as a whole (a callback; must not raise)."""
        found = trouble_of(error)
        self._suspect = True
        if found is None:
            return
        self._suspicion = found
        if found.kind in _SURE:
            self._troubles[_CLIENT] = found

    def topic_error(self, error: KafkaError, topic: str) -> None:
        """An error came instead of records."""
        found = trouble_of(error, what=topic)
        if error.code() in GROUP_REFUSES:
            self._troubles[_GROUP] = trouble_of(error) or commit_trouble(error)
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
            self._troubles[_GROUP] = trouble_of(error) or commit_trouble(error)
        self._suspect = True

    def unreleased(self, error: KafkaError) -> None:
        """The group does not take the member yet."""
        self._troubles[_GROUP] = unreleased_trouble(error)

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

    def probe_due(self, now: float) -> bool:
        """Whether `probe` should be called."""
        wanted = self._suspect or bool(self._troubles) or self.cluster_id is None or now >= self._routine_at
        return bool(self._to_ask) or (now >= self._probe_at and wanted)

    def probe(self, consumer: Consumer, now: float) -> None:
        """Ask the brokers for one of the topics, to be called until all were asked; blocks for less than a second."""
        if not self._to_ask:
            self._to_ask = [*self._topics, *([self._dead_letter_topic] if self._dead_letter_topic else [])]
            self._suspect = False
            self._routine_at = now + _ROUTINE_SECONDS
        self._probe_at = now + (_FIRST_PROBE_EVERY if self.cluster_id is None else _PROBE_EVERY)
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
        mended = self._topic_answered(topic, answer.topics[topic].error)
        if mended:
            # Only an answer about all topics makes the consumer look at its subscription again at once.
            consumer.list_topics(timeout=_PROBE_SECONDS)
        if self.cluster_id is None and answer.cluster_id:
            self.cluster_id = str(answer.cluster_id)
            self._on_cluster(self.cluster_id)

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

    def say(self, *, joined: bool) -> None:
        """Tell the state if it changed: the trouble that explains most first."""
        order = sorted(self._troubles, key=lambda key: (key != _CLIENT, key != _GROUP, key != _COMMIT, key))
        trouble = self.fatal or (self._troubles[order[0]] if order else None)
        state = KafkaState(joined, trouble.kind if trouble else None, trouble.text if trouble else None)
        if state != self._said:
            self._said = state
            self._changed(state)
