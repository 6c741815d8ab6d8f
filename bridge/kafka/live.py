"""What `bridge check --live` asks Kafka: topics, dead-letter topic, rights. Reads only; joins no group, commits nothing.

Runs on the thread of a command, before or beside a running bridge, and disturbs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final, TypeVar, cast

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

__all__ = ["look_at"]

_SECONDS: Final = 10.0
"""For each question; the first one waits so long for a broker."""
_VAGUE: Final = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})  # noqa: SLF001
_NOT_THERE: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001
T = TypeVar("T")


def look_at(settings: Kafka, *, seconds: float = _SECONDS) -> list[Trouble]:
    """Say everything about the cluster that would hold a bridge with these settings; empty when all is well.

    Blocks for a few times `seconds` at most. Raises ConfigError or SecretError for settings that make no client.
    """
    told: list[KafkaError] = []
    admin = AdminClient(cast("dict[str, Any]", {**admin_conf(settings), "error_cb": told.append}))
    look = _Look(admin, settings, seconds)
    try:
        known = look.topics()
    except KafkaException as error:
        admin.poll(0)
        return [_clearest([*told, error.args[0]])]
    troubles = [trouble for topic in settings.topics if (trouble := look.topic(topic, known)) is not None]
    troubles += look.dead_letters(known)
    return troubles + look.group()


def _clearest(errors: list[KafkaError]) -> Trouble:
    """Prefer the error that says most: a refused password shows as an unreachable broker, too."""
    clear = [error for error in errors if error.code() not in _VAGUE]
    for error in [*clear, *reversed(errors)]:
        trouble = trouble_of(error)
        if trouble is not None:
            return trouble
    return Trouble("unreachable", plain(errors[-1]))


class _Look:
    """The questions, one after the other. One thread."""

    def __init__(self, admin: AdminClient, settings: Kafka, seconds: float) -> None:
        self._admin = admin
        self._settings = settings
        self._seconds = seconds

    def topics(self) -> Mapping[str, Any]:
        """All topics that the user may see; raises KafkaException where no broker answers in time."""
        found: Mapping[str, Any] = self._admin.list_topics(timeout=self._seconds).topics
        return found

    def topic(self, name: str, known: Mapping[str, Any]) -> Trouble | None:
        """Whether a topic exists and may be read."""
        where = f"topic {name}"
        found = known.get(name)
        error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART) if found is None else found.error
        if error is not None:
            return trouble_of(error, what=where) or Trouble("topic", f"{where}: {plain(error)}")
        if self._forbidden(name, AclOperation.READ):
            return trouble_of(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), what=where)
        return None

    def dead_letters(self, known: Mapping[str, Any]) -> list[Trouble]:
        """Whether dead letters can be written, and will be kept: compaction would drop those with equal keys."""
        name = self._settings.dead_letter_topic
        where = f"dead-letter topic {name}"
        found = known.get(name)
        if found is None or (found.error is not None and found.error.code() in _NOT_THERE):
            if self._settings.dead_letter_create:
                return []
            advice = "it does not exist: create it, or set kafka.dead_letter_create"
            return [Trouble("dead_letters", f"{where}: {advice}")]
        if found.error is not None:
            return [Trouble("dead_letters", f"{where}: {plain(found.error)}")]
        troubles = []
        if self._forbidden(name, AclOperation.WRITE):
            troubles.append(Trouble("dead_letters", f"{where}: give the bridge's user Write on it"))
        if "compact" in (self._config(name, "cleanup.policy") or ""):
            advice = "it is compacted, so that letters with one key replace each other: set cleanup.policy=delete"
            troubles.append(Trouble("dead_letters", f"{where}: {advice}"))
        return troubles

    def group(self) -> list[Trouble]:
        """Whether the consumer group may be used."""
        name = self._settings.group_id
        answer = self._asked(
            lambda: self._admin.describe_consumer_groups(
                [name], include_authorized_operations=True, request_timeout=self._seconds
            )[name]
        )
        if isinstance(answer, KafkaError):
            trouble = trouble_of(answer, what=f"group {name}")
            return [trouble] if trouble is not None and trouble.kind == "authorization" else []
        allowed = getattr(answer, "authorized_operations", None)
        if allowed and not {AclOperation.READ, AclOperation.ALL}.intersection(allowed):
            trouble = trouble_of(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), what=f"group {name}")
            return [trouble] if trouble is not None else []
        return []

    def _forbidden(self, topic: str, operation: AclOperation) -> bool:
        """Whether the brokers say that the user may not do this; False where they say nothing of rights."""
        answer = self._asked(
            lambda: self._admin.describe_topics(
                TopicCollection([topic]), include_authorized_operations=True, request_timeout=self._seconds
            )[topic]
        )
        if isinstance(answer, KafkaError):
            return answer.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        allowed = getattr(answer, "authorized_operations", None)
        return bool(allowed) and not {operation, AclOperation.ALL}.intersection(allowed or ())

    def _config(self, topic: str, key: str) -> str | None:
        """One setting of a topic, or None where the brokers do not tell."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        answer = self._asked(lambda: self._admin.describe_configs([resource], request_timeout=self._seconds)[resource])
        entry = answer.get(key) if isinstance(answer, dict) else None
        return None if entry is None else str(entry.value)

    def _asked(self, ask: Callable[[], Future[T]]) -> T | KafkaError | None:
        """The answer, the error that came instead, or None where the client cannot ask this."""
        try:
            return ask().result(self._seconds)
        except KafkaException as error:
            found: KafkaError = error.args[0]
            return found
        except (TimeoutError, ValueError, TypeError, KeyError):
            return None
