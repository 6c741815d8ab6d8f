"""The `kafka` section: brokers, topics, group, security."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from bridge.secrets import Secret
from bridge.settings.kinds import (
    Address,
    Conflict,
    Duration,
    FilePath,
    HttpUrl,
    Name,
    SecretText,
    Section,
    StartFrom,
    Topic,
    check_name,
    parse_time_ms,
    set_both_ways,
    show_duration,
    without_conflicts,
)

__all__ = ["Kafka", "OAuth", "Sasl", "Security"]


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


Servers = Annotated[
    tuple[Address, ...],
    BeforeValidator(_split),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string", "minLength": 1}]}
    ),
]


def _as_text(value: object) -> object:
    """Write a number or flag as librdkafka spells it, so that nobody needs quotes for `fetch.min.bytes: 1024`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


PropertyText = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(check_name),
    WithJsonSchema({"type": ["string", "integer", "number", "boolean"]}),
]
_Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class Sasl(Section):
    """A user name and a password, or the words that OAUTHBEARER is used."""

    mechanism: _Mechanism = Field(examples=["SCRAM-SHA-512"])
    """How the bridge proves who it is. `OAUTHBEARER` takes its token as `kafka.security.oauth` says."""
    username: Name | None = Field(default=None, examples=["bridge"])
    """The user, for every mechanism but `OAUTHBEARER`."""
    password: SecretText | None = Field(default=None, examples=["…"])
    """The user's password. Better in a file (`password_file`) or in the environment than here."""
    password_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/kafka-password"])
    """The path of a file that holds the password."""

    @property
    def secret(self) -> Secret | None:
        """The password, wherever it comes from."""
        return Secret.of(self.password, self.password_file)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        conflicts = set_both_ways(self, "password")
        given = [name for name in ("username", "password", "password_file") if getattr(self, name) is not None]
        if self.mechanism == "OAUTHBEARER":
            conflicts += [Conflict((name,), f"`{name}` is not used with OAUTHBEARER: leave it out") for name in given]
            return without_conflicts(self, conflicts)
        if "username" not in given:
            conflicts.append(Conflict((), f"`username` is missing: {self.mechanism} needs it"))
        if given in (["username"], []):
            conflicts.append(Conflict((), f"`password` or `password_file` is missing: {self.mechanism} needs one"))
        return without_conflicts(self, conflicts)


class OAuth(Section):
    """Where an OAUTHBEARER token comes from: the client-credentials grant of OpenID Connect."""

    token_endpoint: HttpUrl = Field(examples=["https://login.example.com/oauth2/token"])
    """The address that gives tokens."""
    client_id: Name = Field(examples=["kafka-bridge"])
    """The client's name there."""
    client_secret: SecretText | None = Field(default=None, examples=["…"])
    """The client's secret. Better in a file or in the environment than here."""
    client_secret_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/oauth-client-secret"])
    """The path of a file that holds the client's secret."""
    scope: Name | None = Field(default=None, examples=["kafka"])
    """The scope to ask for, if the token endpoint wants one."""
    extensions: dict[Name, Name] = Field(default_factory=dict, examples=[{"logicalCluster": "lkc-1"}])
    """SASL extensions sent with the token, as some hosted clusters want them."""

    @property
    def secret(self) -> Secret | None:
        """The client's secret, wherever it comes from."""
        return Secret.of(self.client_secret, self.client_secret_file)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        conflicts = set_both_ways(self, "client_secret")
        if self.client_secret is None and self.client_secret_file is None:
            conflicts.append(Conflict((), "`client_secret` or `client_secret_file` is missing"))
        return without_conflicts(self, conflicts)


class Security(Section):
    """How the connection to the brokers is protected, and who the bridge is there."""

    protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        default="plaintext", examples=["sasl_ssl"]
    )
    """`ssl` encrypts, `sasl_…` names the user by `sasl`. `sasl_plaintext` sends passwords unencrypted."""
    sasl: Sasl | None = Field(default=None)
    """Needed by, and only allowed with, the protocols `sasl_plaintext` and `sasl_ssl`."""
    oauth: OAuth | None = Field(default=None)
    """Needed by, and only allowed with, the mechanism `OAUTHBEARER`."""
    ca_file: FilePath | None = Field(default=None, examples=["/etc/bridge/tls/ca.pem"])
    """The certificates (PEM) that the brokers' ones must be signed by; without it the system's are used."""
    cert_file: FilePath | None = Field(default=None, examples=["/etc/bridge/tls/tls.crt"])
    """The bridge's own certificate (PEM), where the brokers ask for one; needs `key_file`."""
    key_file: FilePath | None = Field(default=None, examples=["/etc/bridge/tls/tls.key"])
    """The private key (PEM) of `cert_file`."""
    key_password: SecretText | None = Field(default=None, examples=["…"])
    """The password of `key_file`, if it has one."""
    key_password_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/key-password"])
    """The path of a file that holds the password of `key_file`."""

    @property
    def key_secret(self) -> Secret | None:
        """The password of the private key, wherever it comes from."""
        return Secret.of(self.key_password, self.key_password_file)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        conflicts = set_both_ways(self, "key_password")
        conflicts += self._sasl_conflicts()
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(self, name) is not None and "ssl" not in self.protocol.split("_"):
                conflicts.append(Conflict((name,), f"`{name}` needs the protocol ssl or sasl_ssl, not {self.protocol}"))
        if (self.cert_file is None) != (self.key_file is None):
            lone, other = ("cert_file", "key_file") if self.key_file is None else ("key_file", "cert_file")
            conflicts.append(Conflict((lone,), f"`{lone}` needs `{other}` beside it"))
        if self.key_secret_given and self.key_file is None:
            conflicts.append(Conflict(("key_password",), "a password for the key needs `key_file`"))
        return without_conflicts(self, conflicts)

    @property
    def key_secret_given(self) -> bool:
        return self.key_password is not None or self.key_password_file is not None

    def _sasl_conflicts(self) -> list[Conflict]:
        conflicts: list[Conflict] = []
        wants = self.protocol.startswith("sasl_")
        if wants and self.sasl is None:
            conflicts.append(Conflict(("protocol",), f"the protocol {self.protocol} needs `sasl` beside it"))
        if not wants and self.sasl is not None:
            conflicts.append(Conflict(("sasl",), f"`sasl` needs the protocol sasl_ssl, not {self.protocol}"))
        if self.sasl is not None:
            bearer = self.sasl.mechanism == "OAUTHBEARER"
            if bearer and self.oauth is None:
                conflicts.append(Conflict(("sasl",), "the mechanism OAUTHBEARER needs `oauth` beside `sasl`"))
            if not bearer and self.oauth is not None:
                conflicts.append(Conflict(("oauth",), "`oauth` needs the mechanism OAUTHBEARER"))
        elif self.oauth is not None:
            conflicts.append(Conflict(("oauth",), "`oauth` needs `sasl` with the mechanism OAUTHBEARER"))
        return conflicts


class Kafka(Section):
    """Where the records come from."""

    bootstrap_servers: Servers = Field(
        min_length=1, examples=[["kafka-1.example.com:9092", "kafka-2.example.com:9092"]]
    )
    """Brokers to begin with; the others are learned from them. A list, or one text with commas."""
    topics: tuple[Topic, ...] = Field(min_length=1, examples=[["orders.v1", "comments.v1"]])
    """The topics to read. Rules select among them; no rule changes what is read."""
    group_id: Name = Field(examples=["suprsend-bridge"])
    """The consumer group: the bridge's identity in Kafka, under which offsets are kept. Each set of rules has its own."""
    group_protocol: Literal["classic", "consumer"] = Field(default="classic", examples=["consumer"])
    """`consumer` is the protocol of KIP-848; it needs brokers of version 4.0 or later."""
    assignment: Literal["cooperative-sticky", "range"] = Field(default="cooperative-sticky", examples=["range"])
    """How partitions are shared out under the `classic` protocol."""
    instance_id: Name | None = Field(default=None, examples=["bridge-0"])
    """Static membership: a name that this process keeps over restarts, and that no other process has."""
    start_from: StartFrom = Field(default="latest", examples=["earliest", "2026-01-31T08:00:00Z"])
    """Where a group that has no offsets yet begins: `latest`, `earliest` or a time. The latter two send history."""
    on_retention_gap: Literal["hold", "continue"] = Field(default="hold", examples=["continue"])
    """What happens when Kafka deleted records before they were read: stop that partition, or count the loss and go on."""
    moved_from: Name | None = Field(default=None, examples=["pLKcbHc0Rt-8oKhEPGQN5Q"])
    """The id of the cluster that the group's offsets were carried from, if that was done on purpose. Without it they hold as `rewind`."""
    cluster_id: Literal["check", "ignore"] = Field(default="check", examples=["ignore"])
    """`check`: commits say in which cluster they were made, and one of another cluster holds. `ignore`: where the brokers' cluster id is not stable (gateways)."""
    max_poll_interval: Duration = Field(default=300.0, ge=10, le=86_400, examples=["5m"])
    """A process that has not polled for so long is thrown out of the group."""
    drain: Duration = Field(default=10.0, gt=0, examples=["10s"])
    """How long calls under way may take to end when a partition is given up or the process stops; at most a tenth of `max_poll_interval`."""
    dead_letter_topic: Topic = Field(examples=["orders.dead-letters"])
    """Where records go that cannot be delivered, with the reason in headers. Required: without it nothing could be kept."""
    dead_letter_create: bool = Field(default=False, examples=[True])
    """Create the dead-letter topic if it does not exist; otherwise the bridge waits until somebody does."""
    security: Security = Field(default_factory=Security)
    """TLS and authentication towards the brokers."""
    properties: dict[str, PropertyText] = Field(default_factory=dict, examples=[{"client.rack": "eu-central-1a"}])
    """More settings of librdkafka, by their own names. Only those that cannot break a promise are let through."""

    @property
    def start_from_ms(self) -> int | None:
        """The time of `start_from` in milliseconds since 1970; None for `latest` and `earliest`."""
        return None if self.start_from in {"latest", "earliest"} else parse_time_ms(self.start_from)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        conflicts: list[Conflict] = []
        if self.drain > self.max_poll_interval / 10:
            most = show_duration(self.max_poll_interval / 10)
            conflicts.append(Conflict(("drain",), f"`drain` may be a tenth of `max_poll_interval` at most: {most}"))
        if self.group_protocol == "consumer" and "assignment" in self.model_fields_set:
            message = "`assignment` belongs to the classic protocol: with `consumer` the brokers decide"
            conflicts.append(Conflict(("assignment",), message))
        if self.dead_letter_topic in self.topics:
            message = "`dead_letter_topic` is also in `topics`: dead letters would be read again for ever"
            conflicts.append(Conflict(("dead_letter_topic",), message))
        repeated = sorted({topic for topic in self.topics if self.topics.count(topic) > 1})
        if repeated:
            conflicts.append(Conflict(("topics",), f"`topics` names {repeated[0]} twice"))
        return without_conflicts(self, conflicts + self._property_conflicts())

    def _property_conflicts(self) -> list[Conflict]:
        if not self.properties:
            return []
        from bridge.settings.passthrough import refused_key

        found = ((name, refused_key(name, self.group_protocol)) for name in self.properties)
        return [Conflict(("properties", name), why) for name, why in found if why is not None]
