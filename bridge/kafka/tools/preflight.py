"""What `suprsend-bridge check --live` asks Kafka: cluster, brokers, topics, groups, limits; and whether a client gets through.

Reads only; joins no group, commits nothing. Runs on the thread of a command, before or beside a running bridge, and
disturbs none. Brokers and coordinators are asked by consumers that never subscribe, each with a thread of its own: an admin
client that asks a group's coordinator can abort the process when that moves (librdkafka #4605), and one broker that does
not answer must not hide the others.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs leave these out
    AclOperation,
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    ResourceType,
)

from bridge.flow import TopicPartition as Name
from bridge.kafka.client.broker_health import NO_CLUSTER_ID
from bridge.kafka.client.connections import REACH, Links, read
from bridge.kafka.client.unanswered import places
from bridge.kafka.config import Conf, admin_conf, consumer_conf
from bridge.kafka.errors import VAGUE, Trouble, plain, trouble_of
from bridge.settings.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import Iterator

_REACH_SECONDS: Final = 4.0
_MOST_AT_ONCE: Final = 12
_STATISTICS_MS: Final = 500
_HEARTBEAT: Final = re.compile(r"ApiKey ConsumerGroupHeartbeat \(68\) Versions \d+\.\.(\d+)")
_LEAST_HEARTBEAT: Final = 1
"""Kafka 3.9 tells version 0, which librdkafka 2.16 does not speak: it then says nothing, and never joins (seen)."""
_ANSWERS: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_ID_NOT_FOUND}
)
"""Errors that only a coordinator that can be reached tells, and that are no trouble of the group."""


_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 5.0
"""For all questions of rights and settings together: brokers that do not know them leave them unanswered."""
SILENT: Final = logging.getLogger("bridge.kafka.silent")
"""For clients of commands: what librdkafka has to say comes out as the command's own one line."""
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
_LEAST_SESSION: Final = "group.min.session.timeout.ms"
_MOST_SESSION: Final = "group.max.session.timeout.ms"
_PROTOCOLS: Final = "group.coordinator.rebalance.protocols"
_NOTE: Final = "offset.metadata.max.bytes"
_NOTE_BYTES: Final = 4096
_NOT_THERE: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001


def look_at(settings: Kafka, *, named: bool = False, seconds: float = _SECONDS) -> list[Trouble]:
    """Say everything about the cluster that would hold a bridge with these settings; empty when all is well.

    Those of the kind `optional` hold nothing. `named`: keys have a namespace of their own. Blocks for `seconds` at most
    until a broker answers, and some seconds more. Raises ConfigError or SecretError for settings that make no client.
    """
    told: list[KafkaError] = []
    conf = {**admin_conf(settings), "error_cb": told.append, "logger": SILENT}
    admin = AdminClient(cast("dict[str, Any]", conf))
    try:
        cluster = admin.list_topics(timeout=seconds)
    except KafkaException as error:
        admin.poll(0)
        return [_clearest([*told, error.args[0]])]
    reach = Reach({**admin_conf(settings), "logger": SILENT}, settings.topics[0])
    brokers, leaderless = _leaders(settings, cluster)
    unreached = reach.troubles(brokers, _groups(settings), consumer=settings.group_protocol == "consumer")
    look = _Look(admin, settings, cluster.topics, broker_to_ask(cluster))
    troubles = [trouble for topic in settings.topics if (trouble := look.topic(topic)) is not None]
    cluster_id = cast("str | None", cluster.cluster_id)
    nameless = [] if cluster_id or named else [NO_CLUSTER_ID]
    groups = look.group() if not any(each.kind == "group" for each in unreached) else []
    known = {each.kind for each in unreached} & {"unsupported"}
    limits = [trouble for trouble in look.limits() if trouble.kind not in known]
    return [*nameless, *troubles, *look.dead_letters(), *leaderless, *unreached, *groups, *limits]


def _groups(settings: Kafka) -> list[AskedGroup]:
    """Every group that a bridge or its commands use."""
    name = settings.group_id
    return [
        AskedGroup(name),
        AskedGroup(f"{name}.delivered", "a reset of all offsets of the group looks like a first start"),
        AskedGroup(f"{name}.paused", "a pause lasts until the process ends"),
        AskedGroup(f"{name}.replay"),
        AskedGroup(f"{name}.dry-run"),
    ]


def _leaders(settings: Kafka, cluster: ClusterMetadata) -> tuple[list[Broker], list[Trouble]]:
    """Which brokers lead our partitions, and the partitions that have no leader."""
    leads: dict[int, list[tuple[str, int]]] = {}
    for topic in dict.fromkeys((*settings.topics, settings.dead_letter_topic)):
        found = cluster.topics.get(topic)
        for number, part in (found.partitions if found is not None else {}).items():
            leads.setdefault(part.leader, []).append((topic, number))
    without = [name for node, names in leads.items() if node not in cluster.brokers for name in names]
    troubles = [Trouble("unreachable", f"{places(without)}: no broker leads it at present")] if without else []
    known = {node: cluster.brokers[node] for node in sorted(leads) if node in cluster.brokers}
    return [Broker(node, f"{each.host}:{each.port}", leads[node]) for node, each in known.items()], troubles


def broker_to_ask(cluster: ClusterMetadata) -> int:
    """Whom to ask for the brokers' limits: who answered, or any other.

    The answer's own id is −1 where it came by the bootstrap connection before librdkafka knew whose that is.
    """
    answered = cluster.orig_broker_id
    return answered if answered in cluster.brokers else min(cluster.brokers, default=answered)


def _clearest(errors: list[KafkaError]) -> Trouble:
    """Prefer the error that says most: a refused password shows as an unreachable broker, too."""
    clear = [error for error in errors if error.code() not in VAGUE]
    for error in [*clear, *reversed(errors)]:
        trouble = trouble_of(error)
        if trouble is not None:
            return trouble
    return Trouble("unreachable", plain(errors[-1]))


class _Look:
    """The questions, asked all at once, and their answers. One thread."""

    def __init__(self, admin: AdminClient, settings: Kafka, known: Mapping[str, Any], node: int) -> None:
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
        self._broker = ConfigResource(ResourceType.BROKER, str(node))
        self._limits = _asked(lambda: admin.describe_configs([self._broker], **options))
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

    def limits(self) -> list[Trouble]:
        """What the brokers' limits forbid, where they may be read: how long a session may be, and a commit's note."""
        answer = self._answer(self._limits.get(self._broker))
        entries = answer.items() if isinstance(answer, dict) else ()
        told = {name: int(entry.value) for name, entry in entries if _is_number(entry.value)}
        troubles = []
        session = consumer_conf(self._settings).get("session.timeout.ms")
        least, most = told.get(_LEAST_SESSION), told.get(_MOST_SESSION)
        if isinstance(session, int) and not (least or 0) <= session <= (most or session):
            advice = f"set session.timeout.ms under kafka.properties to a value from {least} to {most}"
            troubles.append(Trouble("group", f"the brokers refuse a session of {session} ms: {advice}"))
        protocols = getattr(dict(entries).get(_PROTOCOLS), "value", None)
        if self._settings.group_protocol == "consumer" and protocols and "consumer" not in protocols:
            text = f"the brokers take no consumer protocol ({_PROTOCOLS} is {protocols})"
            troubles.append(Trouble("unsupported", f"{text}: set kafka.group_protocol to classic, or allow it there"))
        note = told.get(_NOTE)
        if note is not None and note < _NOTE_BYTES:
            text = f"the brokers keep {note} bytes of a commit's note: raise {_NOTE} to {_NOTE_BYTES}"
            troubles.append(Trouble("optional", f"{text}, or less is known of what is finished after a restart"))
        return troubles

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


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.isdigit()


def _lacks(described: Any, operation: AclOperation) -> bool:
    allowed = getattr(described, "authorized_operations", None)
    return bool(allowed) and not {operation, AclOperation.ALL}.intersection(allowed or ())


class Broker(NamedTuple):
    """A broker as the cluster tells of it."""

    node: int
    address: str
    leads: Sequence[Name]
    """Those of our partitions that it leads."""


class AskedGroup(NamedTuple):
    """A group that the bridge uses. `without` says what is lost where it may not be used; '' where that is no matter."""

    name: str
    without: str = ""


class _Versions(logging.Handler):
    """Finds the newest version of the `consumer` protocol's request, of all that librdkafka tells with `debug=feature`."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = -1

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each line."""
        found = _HEARTBEAT.search(record.getMessage())
        if found is not None:
            self.newest = max(self.newest, int(found[1]))


class Reach:
    """Asks over connections of its own, with the configuration of a client that may read."""

    def __init__(self, conf: Conf, topic: str, *, seconds: float = _REACH_SECONDS) -> None:
        """`topic` is one that the groups are asked about."""
        self._conf = conf
        self._topic = topic
        self._seconds = seconds

    def troubles(self, brokers: Sequence[Broker], groups: Sequence[AskedGroup], *, consumer: bool) -> list[Trouble]:
        """What does not answer, all asked at once. `consumer`: the group uses that protocol. Blocks for some seconds."""
        jobs: list[Callable[[], Trouble | None]] = [lambda each=each: self._broker(each) for each in brokers]  # type: ignore[misc]
        jobs += [lambda each=each: self._group(each) for each in groups]  # type: ignore[misc]
        jobs += [self._protocol] if consumer else []
        with ThreadPoolExecutor(_MOST_AT_ONCE) as at_once:
            found = [job.result() for job in [at_once.submit(job) for job in jobs]]
        return _merged([each for each in found if each is not None], [group.name for group in groups])

    def _broker(self, broker: Broker) -> Trouble | None:
        with self._client("check") as (consumer, links):
            try:
                consumer.get_watermark_offsets(TopicPartition(*broker.leads[0]), timeout=self._seconds)
            except KafkaException as error:
                if error.args[0].code() in _ANSWERS:
                    return None
                consumer.poll(0)
                why = links.why(broker.address) or plain(error.args[0])
                where = f"broker {broker.node} at {broker.address}, which leads {places(list(broker.leads))},"
                return Trouble("unreachable", f"{where} cannot be reached: {REACH} ({why})")
        return None

    def _group(self, group: AskedGroup) -> Trouble | None:
        with self._client(group.name) as (consumer, links):
            error, refused = self._asked(consumer)
            if error is None or (refused is not None and not group.without):
                # Of the first group's rights it is said elsewhere; those of a command's group its user may not have.
                return None
            if refused is not None:
                advice = f"give the bridge's user Read and Describe on it, or {group.without}"
                return Trouble("optional", f"the group {group.name} may not be used: {advice} ({plain(refused)})")
            return Trouble("group", links.amiss or f"the coordinator of the group {group.name} does not answer")

    def _asked(self, consumer: Consumer) -> tuple[KafkaError | None, KafkaError | None]:
        """Ask for a commit; the error, and the refusal that was told beside it."""
        until = time.monotonic() + self._seconds
        error = None
        while time.monotonic() < until:
            try:
                (part,) = consumer.committed([TopicPartition(self._topic, 0)], timeout=1.0)
                error = part.error
            except KafkaException as met:
                error = met.args[0]
            if error is None or error.code() in _ANSWERS:
                return None, None
            if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                return error, error
            while (told := consumer.poll(0)) is not None:
                found = told.error()
                if found is not None and found.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    return error, found
        return error, None

    def _protocol(self) -> Trouble | None:
        heard = _Versions()
        log = logging.getLogger("bridge.kafka.features")
        log.propagate, log.handlers = False, [heard]
        log.setLevel(logging.DEBUG)
        with self._client("check", {"debug": "feature", "log_level": 7, "logger": log}) as (consumer, _):
            try:
                consumer.list_topics(timeout=self._seconds)
            except KafkaException:
                return None
            consumer.poll(0.2)
        if heard.newest >= _LEAST_HEARTBEAT:
            return None
        text = "the brokers do not know the consumer protocol (Kafka 4.0 does): set kafka.group_protocol to classic"
        return Trouble("unsupported", text)

    @contextmanager
    def _client(self, group: str, more: Mapping[str, Any] | None = None) -> Iterator[tuple[Consumer, Links]]:
        links = Links(group, silent=False)
        consumer = Consumer(
            {
                **self._conf,
                "group.id": group,
                "enable.auto.commit": False,
                "error_cb": links.failed,
                "stats_cb": lambda text: links.heard(read(text), time.monotonic()),
                "statistics.interval.ms": _STATISTICS_MS,
                **(more or {}),
            }
        )
        try:
            yield consumer, links
        finally:
            consumer.close()


def _merged(troubles: Iterable[Trouble], groups: Sequence[str]) -> list[Trouble]:
    """One line a trouble: groups whose coordinator is the same broker stand in one."""
    made: dict[tuple[str, str], list[str]] = {}
    for kind, text in troubles:
        named = next((group for group in sorted(groups, key=len, reverse=True) if f"the group {group}" in text), None)
        general = text.replace(f"the group {named}", "{}") if named is not None else text
        made.setdefault((kind, general), []).append(named or "")
    return [Trouble(kind, text.replace("{}", _named(names))) for (kind, text), names in made.items()]


def _named(names: Sequence[str]) -> str:
    return f"the group{'s' if len(names) > 1 else ''} {', '.join(names)}"
