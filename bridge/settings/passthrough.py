"""Which settings of librdkafka a user may pass through, and why the others are refused. Pure: imports no client.

The docs' table of `kafka.properties` is made from `ALLOWED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

For = Literal["both", "consumer", "producer"]


@dataclass(frozen=True, slots=True)
class PassedOption:
    """A setting that is let through: to which client, and what one would want it for."""

    clients: For
    why: str


ALLOWED: Final[Mapping[str, PassedOption]] = {
    "client.id": PassedOption("both", "the name in the brokers' logs, quotas and metrics"),
    "client.rack": PassedOption("consumer", "read from the nearest replica"),
    "client.dns.lookup": PassedOption("both", "how broker names with several addresses are resolved"),
    "broker.address.family": PassedOption("both", "only IPv4 or only IPv6"),
    "broker.address.ttl": PassedOption("both", "how long a resolved address is kept"),
    "socket.timeout.ms": PassedOption("both", "slow networks"),
    "socket.connection.setup.timeout.ms": PassedOption("both", "slow networks"),
    "socket.keepalive.enable": PassedOption("both", "firewalls that drop quiet connections"),
    "socket.nagle.disable": PassedOption("both", "latency of small requests"),
    "socket.send.buffer.bytes": PassedOption("both", "long fat networks"),
    "socket.receive.buffer.bytes": PassedOption("both", "long fat networks"),
    "connections.max.idle.ms": PassedOption("both", "load balancers that cut quiet connections"),
    "reconnect.backoff.ms": PassedOption("both", "how soon a lost broker is tried again"),
    "reconnect.backoff.max.ms": PassedOption("both", "how seldom a lost broker is tried"),
    "retry.backoff.ms": PassedOption("both", "how soon a failed request is tried again"),
    "retry.backoff.max.ms": PassedOption("both", "how seldom a failed request is tried"),
    "metadata.max.age.ms": PassedOption("both", "how old what is known of brokers and topics may be"),
    "topic.metadata.refresh.interval.ms": PassedOption("both", "how soon new partitions and topics are noticed"),
    "receive.message.max.bytes": PassedOption("both", "brokers with very large records"),
    "session.timeout.ms": PassedOption("consumer", "how soon a dead member loses its partitions (classic protocol)"),
    "heartbeat.interval.ms": PassedOption("consumer", "goes with session.timeout.ms (classic protocol)"),
    "group.remote.assignor": PassedOption("consumer", "the brokers' assignor (consumer protocol)"),
    "fetch.max.bytes": PassedOption("consumer", "memory per fetch"),
    "fetch.message.max.bytes": PassedOption("consumer", "memory per partition and fetch"),
    "max.partition.fetch.bytes": PassedOption("consumer", "memory per partition and fetch"),
    "fetch.error.backoff.ms": PassedOption("consumer", "how soon a failed fetch is tried again"),
    "fetch.queue.backoff.ms": PassedOption("consumer", "how soon fetching goes on when the queue has room again"),
    "queued.min.messages": PassedOption("consumer", "how far ahead records are fetched"),
    "queued.max.messages.kbytes": PassedOption("consumer", "memory for records fetched ahead"),
    "check.crcs": PassedOption(
        "consumer", "verify each batch's checksum, on by default: off, what rotted on a disk may be sent"
    ),
    "ssl.cipher.suites": PassedOption("both", "what a security policy demands"),
    "ssl.curves.list": PassedOption("both", "what a security policy demands"),
    "ssl.sigalgs.list": PassedOption("both", "what a security policy demands"),
    "ssl.crl.location": PassedOption("both", "revoked certificates"),
    "https.ca.location": PassedOption("both", "certificates of the token endpoint of OAUTHBEARER"),
    "compression.type": PassedOption("producer", "size of the dead-letter topic"),
    "compression.level": PassedOption("producer", "size of the dead-letter topic"),
    "request.timeout.ms": PassedOption("producer", "how long a broker may take to acknowledge a dead letter"),
}
"""Name → what it is for."""

_NO_LOSS: Final = "the bridge sets it itself: records would be lost or sent twice otherwise"
_OWN: Final = "the bridge sets it itself"

_SET_BY_US: Final[Mapping[str, str]] = {
    "enable.auto.commit": _NO_LOSS,
    "auto.commit.enable": _NO_LOSS,
    "auto.commit.interval.ms": _NO_LOSS,
    "enable.auto.offset.store": _NO_LOSS,
    "isolation.level": "the bridge reads committed records only: what was rolled back must not notify anyone",
    "enable.partition.eof": _OWN,
    "offset.store.method": _NO_LOSS,
    "acks": _NO_LOSS,
    "request.required.acks": _NO_LOSS,
    "enable.idempotence": _NO_LOSS,
    "enable.gapless.guarantee": _NO_LOSS,
    "max.in.flight": _OWN,
    "max.in.flight.requests.per.connection": _OWN,
    "retries": _NO_LOSS,
    "message.send.max.retries": _NO_LOSS,
    "message.timeout.ms": _OWN,
    "delivery.timeout.ms": _OWN,
    "message.max.bytes": _OWN,
    "transactional.id": "dead letters need no transactions: these do not cover HTTP",
    "allow.auto.create.topics": "the bridge never creates topics by reading or writing them",
    "fetch.min.bytes": "records are to be read as soon as they are there",
    "fetch.wait.max.ms": "everything else that the bridge asks a broker waits behind its fetch",
    "statistics.interval.ms": "see the bridge's own metrics",
    "log_level": "use `logs`",
}

_ANOTHER_SETTING: Final[Mapping[str, str]] = {
    "bootstrap.servers": "kafka.bootstrap_servers",
    "metadata.broker.list": "kafka.bootstrap_servers",
    "group.id": "kafka.group_id",
    "group.instance.id": "kafka.instance_id",
    "group.protocol": "kafka.group_protocol",
    "partition.assignment.strategy": "kafka.assignment",
    "auto.offset.reset": "kafka.start_from and kafka.on_retention_gap",
    "max.poll.interval.ms": "kafka.max_poll_interval",
    "security.protocol": "kafka.security.protocol",
    "sasl.mechanism": "kafka.security.sasl.mechanism",
    "sasl.mechanisms": "kafka.security.sasl.mechanism",
    "sasl.username": "kafka.security.sasl.username",
    "sasl.password": "kafka.security.sasl.password_file",
    "ssl.ca.location": "kafka.security.ca_file",
    "ssl.ca.pem": "kafka.security.ca_file",
    "ssl.certificate.location": "kafka.security.cert_file",
    "ssl.certificate.pem": "kafka.security.cert_file",
    "ssl.key.location": "kafka.security.key_file",
    "ssl.key.pem": "kafka.security.key_file",
    "ssl.key.password": "kafka.security.key_password_file",
}

_DANGEROUS: Final[Mapping[str, str]] = {
    "plugin.library.paths": "it loads code into the process",
    "ssl.engine.location": "it loads code into the process",
    "ssl.providers": "it loads code into the process",
    "enable.ssl.certificate.verification": "without certificate checks anybody can read and forge records",
    "ssl.endpoint.identification.algorithm": "without host name checks anybody can read and forge records",
    "enable.sasl.oauthbearer.unsecure.jwt": "unsigned tokens prove nothing",
    "debug": "its output can hold secrets and record contents",
    "test.mock.num.brokers": "it replaces Kafka by a mock; use `suprsend-bridge demo`",
    "test.mock.broker.rtt": "it replaces Kafka by a mock; use `suprsend-bridge demo`",
}

_NOT_WITH_CONSUMER: Final = frozenset({"session.timeout.ms", "heartbeat.interval.ms"})
_NOT_WITH_CLASSIC: Final = frozenset({"group.remote.assignor"})


def refused_key(name: str, group_protocol: str = "classic") -> str | None:
    """Why `kafka.properties` may not hold this setting, and what to do instead; None where it is let through."""
    if name in _ANOTHER_SETTING:
        return f"`{name}` has a setting of its own: use `{_ANOTHER_SETTING[name]}`"
    if name in _SET_BY_US:
        return f"`{name}` cannot be changed: {_SET_BY_US[name]}"
    if name in _DANGEROUS:
        return f"`{name}` is not allowed: {_DANGEROUS[name]}"
    if name.startswith("sasl.oauthbearer."):
        return f"`{name}` has a setting of its own: use `kafka.security.oauth`"
    if name not in ALLOWED:
        return f"`{name}` is not among the settings of librdkafka that may be passed through; the reference lists them"
    if group_protocol == "consumer" and name in _NOT_WITH_CONSUMER:
        return f"`{name}` belongs to the classic protocol: with `group_protocol: consumer` the brokers decide"
    if group_protocol == "classic" and name in _NOT_WITH_CLASSIC:
        return f"`{name}` needs `group_protocol: consumer`"
    return None
