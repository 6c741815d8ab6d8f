"""Settings → the configurations of librdkafka's clients, as dictionaries. Secrets are in them: never log one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from confluent_kafka import Consumer, KafkaException, Producer

from bridge.kafka.errors import plain
from bridge.offsets.begin import OnGap, StartFrom
from bridge.offsets.commits import digest_of
from bridge.settings.passthrough import ALLOWED, For

if TYPE_CHECKING:
    from bridge.settings.kafka import Kafka, Security


_EVERY_SECONDS: Final = 30.0
_MOST_KINDS: Final = 256


class LogThrottle(logging.Filter):
    """A broker that is away would fill the log with the same line many times a second.

    Lets one line of a kind (librdkafka's facility and client) through every 30 s, and says how many it kept back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; may add to it."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        kind = (record.levelno, *arguments[:2])
        now = self._clock()
        until, kept = self._kinds.get(kind, (0.0, 0))
        if now < until:
            self._kinds[kind] = (until, kept + 1)
            return False
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now + _EVERY_SECONDS, 0)
        if kept:
            record.msg = f"{record.msg} (and {kept} such lines before it)"
        return True


LOG: Final = logging.getLogger("bridge.kafka.client")
LOG.addFilter(LogThrottle())


class ClientLog(Protocol):
    """What librdkafka's clients write their log to."""

    def log(self, level: int, template: str, *arguments: object) -> None: ...


Value = str | int | bool | logging.Logger | ClientLog
Conf = dict[str, Value]

_LETTER_BYTES: Final = 100_000_000

_BOTH: Final[Mapping[str, Value]] = {
    "client.id": "suprsend-kafka-bridge",
    "allow.auto.create.topics": False,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 2_000,
    "topic.metadata.refresh.interval.ms": 10_000,
}

_CONSUMER: Final[Mapping[str, Value]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    # Nothing else finds bytes that rotted on a broker's disk; what it costs is in docs/performance.md.
    "check.crcs": True,
    "isolation.level": "read_committed",
    # A record in librdkafka's queue takes twice its bytes, and what is on its way comes on top: 16 MiB, fetched by 8,
    # are 40 MiB more of memory and not one record more a second, measured.
    "queued.min.messages": 5_000,
    "queued.max.messages.kbytes": 4_096,
    "fetch.max.bytes": 1024 * 1024,
    "max.partition.fetch.bytes": 256 * 1024,
    # A broker answers a connection's requests in order, and a fetch may wait for records so long.
    "fetch.wait.max.ms": 100,
    # The default of one second starves a bounded queue: 8.5 thousand records a second instead of 1.2 million, measured.
    "fetch.queue.backoff.ms": 5,
}

_PRODUCER: Final[Mapping[str, Value]] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "message.timeout.ms": 10_000,
    # Only the broker decides what is too large; the queue must be able to take one such record.
    "message.max.bytes": _LETTER_BYTES,
    "queue.buffering.max.kbytes": 2 * _LETTER_BYTES // 1024,
    "queue.buffering.max.messages": 10_000,
}


class ConfigError(ValueError):
    """The settings make no client; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Clients:
    """What the Kafka thread needs to know; times in seconds. `consumer`, `producer` and `admin` make configurations.

    They are called anew for each client, so that changed secrets are read again.
    """

    topics: tuple[str, ...]
    group_id: str
    consumer: Callable[[], Conf]
    producer: Callable[[], Conf] | None
    admin: Callable[[], Conf]
    dead_letter_topic: str | None
    eager: bool = False
    """Whether assignments are replaced as a whole (`range`) instead of changed in steps."""
    silent: bool = False
    """Whether a member without partitions is told nothing (the `consumer` protocol)."""
    start_from: StartFrom = "latest"
    on_gap: OnGap = "hold"
    drain: float = 10.0
    create_dead_letter_topic: bool = False
    moved_from: int = 0
    """The digest of the id of the cluster that the group was moved from; 0 if it was not."""
    claims_cluster: bool = True
    """Whether commits say in which cluster they were made."""
    dry_run: bool = False
    """Read only: nothing is committed, no dead letter is written."""
    named: bool = False
    """Whether keys have a namespace of the settings, so that the cluster need not have an id."""


def clients_of(settings: Kafka, *, small: bool = False, dry_run: bool = False, named: bool = False) -> Clients:
    """The clients that the settings describe; `small` halves librdkafka's queues. Raises ConfigError, SecretError.

    A dry run reads as the group `<group_id>.dry-run`: it must not take partitions from the real one.
    """
    if dry_run:
        settings = settings.model_copy(update={"group_id": f"{settings.group_id}.dry-run"})
    _try_out(Consumer, consumer_conf(settings, small=small))
    _try_out(Producer, producer_conf(settings))
    at_ms = settings.start_from_ms
    return Clients(
        topics=settings.topics,
        group_id=settings.group_id,
        consumer=lambda: consumer_conf(settings, small=small),
        producer=None if dry_run else lambda: producer_conf(settings),
        admin=lambda: admin_conf(settings),
        dead_letter_topic=settings.dead_letter_topic,
        eager=settings.group_protocol == "classic" and settings.assignment == "range",
        silent=settings.group_protocol == "consumer",
        start_from=at_ms if at_ms is not None else "earliest" if settings.start_from == "earliest" else "latest",
        on_gap=settings.on_retention_gap,
        drain=settings.drain,
        create_dead_letter_topic=settings.dead_letter_create,
        moved_from=digest_of(settings.moved_from),
        claims_cluster=settings.cluster_id == "check",
        dry_run=dry_run,
        named=named,
    )


def _try_out(client: type[Consumer | Producer], conf: Conf) -> None:
    """Make a client that knows no broker, so that a wrong value or a missing file is found at once."""
    try:
        client({name: value for name, value in conf.items() if name != "bootstrap.servers"}).close()
    except KafkaException as error:
        raise ConfigError(
            f"kafka: librdkafka refuses the settings: {plain(error.args[0])}; see kafka.security, kafka.properties"
        ) from None


def consumer_conf(settings: Kafka, *, small: bool = False) -> Conf:
    """The consumer's configuration; reads the secrets' files (raises SecretError)."""
    conf: Conf = {**_BOTH, **_CONSUMER, **connection_conf(settings)}
    if small:
        conf |= {
            "queued.max.messages.kbytes": 2_048,
            "queued.min.messages": 2_500,
            "max.partition.fetch.bytes": 128 * 1024,
        }
    conf |= {
        "group.id": settings.group_id,
        "group.protocol": settings.group_protocol,
        "max.poll.interval.ms": round(settings.max_poll_interval * 1000),
    }
    if settings.group_protocol == "classic":
        conf["partition.assignment.strategy"] = settings.assignment
        # The brokers hold back what a member asks, its commits too, until the others have come to a rebalance, and a
        # heartbeat is what tells them of it. With the default of 3 s nothing goes out for so long each time, measured.
        conf["heartbeat.interval.ms"] = 250
        # librdkafka wants the poll interval to be at least the session's.
        conf["session.timeout.ms"] = min(45_000, round(settings.max_poll_interval * 1000))
    if settings.instance_id is not None:
        conf["group.instance.id"] = settings.instance_id
    return conf | _passed(settings, "consumer")


def producer_conf(settings: Kafka) -> Conf:
    """The dead-letter producer's configuration; reads the secrets' files (raises SecretError)."""
    return {**_BOTH, **_PRODUCER, **connection_conf(settings)} | _passed(settings, "producer")


def connection_conf(settings: Kafka) -> Conf:
    """Brokers, TLS and authentication: what every client needs, an admin client too."""
    conf: Conf = {"bootstrap.servers": ",".join(settings.bootstrap_servers), "logger": LOG}
    return conf | _security_conf(settings.security)


def admin_conf(settings: Kafka) -> Conf:
    """An admin client's configuration, for `check --live` and the shadow group."""
    shared = {name: value for name, value in _BOTH.items() if name != "allow.auto.create.topics"}
    return {**shared, **connection_conf(settings)} | _passed(settings, "both")


def _passed(settings: Kafka, client: For) -> Conf:
    chosen = ("both", client)
    return {name: value for name, value in settings.properties.items() if ALLOWED[name].clients in chosen}


def _security_conf(security: Security) -> Conf:
    conf: Conf = {"security.protocol": security.protocol}
    files: tuple[tuple[str, Path | None], ...] = (
        ("ssl.ca.location", security.ca_file),
        ("ssl.certificate.location", security.cert_file),
        ("ssl.key.location", security.key_file),
    )
    conf |= {name: str(path) for name, path in files if path is not None}
    key_secret = security.key_secret
    if key_secret is not None:
        conf["ssl.key.password"] = key_secret.read()
    return conf | _sasl_conf(security)


def _sasl_conf(security: Security) -> Conf:
    sasl, oauth = security.sasl, security.oauth
    if sasl is None:
        return {}
    conf: Conf = {"sasl.mechanisms": sasl.mechanism}
    secret = sasl.secret
    if sasl.username is not None:
        conf["sasl.username"] = sasl.username
    if secret is not None:
        conf["sasl.password"] = secret.read()
    if oauth is None:
        return conf
    conf |= {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": oauth.token_endpoint,
        "sasl.oauthbearer.client.id": oauth.client_id,
    }
    client_secret = oauth.secret
    if client_secret is not None:
        conf["sasl.oauthbearer.client.secret"] = client_secret.read()
    if oauth.scope is not None:
        conf["sasl.oauthbearer.scope"] = oauth.scope
    if oauth.extensions:
        conf["sasl.oauthbearer.extensions"] = ",".join(f"{name}={value}" for name, value in oauth.extensions.items())
    return conf
