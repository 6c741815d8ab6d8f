"""What `bridge check --live` asks Kafka: topics, dead-letter topic, rights. Reads only; joins no group, commits nothing.

Runs on the thread of a command, before or beside a running bridge, and disturbs none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final, cast

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs leave these out
    AclOperation,
    AdminClient,
    ConfigResource,
    ResourceType,
)

from bridge.kafka.config import admin_conf
from bridge.kafka.errors import Trouble, plain, trouble_of
from bridge.settings.kafka import Kafka

__all__ = ["SILENT", "look_at"]

_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 5.0
"""For all questions of rights and settings together: brokers that do not know them leave them unanswered."""
SILENT: Final = logging.getLogger("bridge.kafka.silent")
"""For clients of commands: what librdkafka has to say comes out as the command's own one line."""
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
_VAGUE: Final = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})  # noqa: SLF001
_NOT_THERE: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001


def look_at(settings: Kafka, *, seconds: float = _SECONDS) -> list[Trouble]:
    """Say everything about the cluster that would hold a bridge with these settings; empty when all is well.

    Blocks for `seconds` at most until a broker answers, and some seconds more. Raises ConfigError or SecretError for
    settings that make no client.
    """
    told: list[KafkaError] = []
    conf = {**admin_conf(settings), "error_cb": told.append, "logger": SILENT}
    admin = AdminClient(cast("dict[str, Any]", conf))
    try:
        known: Mapping[str, Any] = admin.list_topics(timeout=seconds).topics
    except KafkaException as error:
        admin.poll(0)
        return [_clearest([*told, error.args[0]])]
    look = _Look(admin, settings, known)
    troubles = [trouble for topic in settings.topics if (trouble := look.topic(topic)) is not None]
    return [*troubles, *look.dead_letters(), *look.group()]


def _clearest(errors: list[KafkaError]) -> Trouble:
    """Prefer the error that says most: a refused password shows as an unreachable broker, too."""
    clear = [error for error in errors if error.code() not in _VAGUE]
    for error in [*clear, *reversed(errors)]:
        trouble = trouble_of(error)
        if trouble is not None:
            return trouble
    return Trouble("unreachable", plain(errors[-1]))


class _Look:
    """The questions, asked all at once, and their answers. One thread."""

    def __init__(self, admin: AdminClient, settings: Kafka, known: Mapping[str, Any]) -> None:
        self._settings = settings
        self._known = known
        self._until = time.monotonic() + _ANSWER_SECONDS
        # Brokers leave topics out of a list that the user may not see; asked by name they say so.
        names = list(dict.fromkeys((*settings.topics, settings.dead_letter_topic)))
        resource = ConfigResource(ResourceType.TOPIC, settings.dead_letter_topic)
        group, options = settings.group_id, {"request_timeout": _ANSWER_SECONDS}
        rights = {"include_authorized_operations": True, **options}
        self._topics = _asked(lambda: admin.describe_topics(TopicCollection(names), **rights))
        self._configs = _asked(lambda: admin.describe_configs([resource], **options))
        self._groups = _asked(lambda: admin.describe_consumer_groups([group], **rights))
        self._resource = resource

    def topic(self, name: str) -> Trouble | None:
        """Whether a topic exists and may be read."""
        where = f"topic {name}"
        found = self._known.get(name)
        if self._forbidden(name, AclOperation.READ):
            return trouble_of(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), what=where)
        error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART) if found is None else found.error
        if error is not None:
            return trouble_of(error, what=where) or Trouble("topic", f"{where}: {plain(error)}")
        return None

    def dead_letters(self) -> list[Trouble]:
        """Whether dead letters can be written, and will be kept: compaction would drop those with equal keys."""
        name = self._settings.dead_letter_topic
        where = f"dead-letter topic {name}"
        found = self._known.get(name)
        if self._forbidden(name, AclOperation.WRITE):
            return [Trouble("dead_letters", f"{where}: give the bridge's user Write and Describe on it")]
        if found is None or (found.error is not None and found.error.code() in _NOT_THERE):
            if self._settings.dead_letter_create:
                return []
            advice = "it does not exist: create it, or set kafka.dead_letter_create"
            return [Trouble("dead_letters", f"{where}: {advice}")]
        if found.error is not None:
            return [Trouble("dead_letters", f"{where}: {plain(found.error)}")]
        answer = self._answer(self._configs.get(self._resource))
        policy = answer.get("cleanup.policy") if isinstance(answer, dict) else None
        if policy is not None and "compact" in str(policy.value):
            advice = "it is compacted, so that letters with one key replace each other: set cleanup.policy=delete"
            return [Trouble("dead_letters", f"{where}: {advice}")]
        return []

    def group(self) -> list[Trouble]:
        """Whether the consumer group may be used."""
        name = self._settings.group_id
        answer = self._answer(self._groups.get(name))
        if isinstance(answer, KafkaError):
            trouble = trouble_of(answer, what=f"group {name}")
            return [trouble] if trouble is not None and trouble.kind == "authorization" else []
        if _lacks(answer, AclOperation.READ):
            trouble = trouble_of(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), what=f"group {name}")
            return [trouble] if trouble is not None else []
        return []

    def _forbidden(self, topic: str, operation: AclOperation) -> bool:
        """Whether the brokers say that the user may not do this; False where they say nothing of rights."""
        answer = self._answer(self._topics.get(topic))
        if isinstance(answer, KafkaError):
            return answer.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        return _lacks(answer, operation)

    def _answer(self, future: Future[Any] | None) -> Any:
        """The answer, the KafkaError that came instead, or None where there is none in time."""
        if future is None:
            return None
        try:
            return future.result(max(self._until - time.monotonic(), 0.01))
        except KafkaException as error:
            return error.args[0]
        except (TimeoutError, ValueError, TypeError):
            return None


def _asked(ask: Callable[[], Mapping[Any, Future[Any]]]) -> Mapping[Any, Future[Any]]:
    """Ask; nothing where the client cannot."""
    try:
        return ask()
    except (KafkaException, ValueError, TypeError):
        return {}


def _lacks(described: Any, operation: AclOperation) -> bool:
    allowed = getattr(described, "authorized_operations", None)
    return bool(allowed) and not {operation, AclOperation.ALL}.intersection(allowed or ())
