"""What Kafka's errors mean for the bridge, as data: errors of commits, and troubles to tell a person about."""

# ruff: noqa: SLF001 (librdkafka's local errors begin with an underscore; they are public)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import methodcaller
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException

from bridge.flow import TopicPartition

END_REACHED: Final = KafkaError._PARTITION_EOF
INVALID_ARGUMENT: Final = KafkaError._INVALID_ARG
TIMED_OUT: Final = KafkaError._MSG_TIMED_OUT
"""A message was not acknowledged in its time."""
UNREPORTED: Final = KafkaError._PURGE_INFLIGHT
"""A message was given up while it may have been on its way."""
TOO_LONG: Final = KafkaError.OFFSET_METADATA_TOO_LARGE
"""The metadata of a commit is longer than the brokers' `offset.metadata.max.bytes`."""
POSITION_GONE: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
"""The offset to read from is not in the log (any more)."""


class CommitAction(StrEnum):
    """What to do about a refused commit; also the label `result` of the commits' metric."""

    RETRIED = "retried"
    """librdkafka retried by itself and gave up for now: commit again."""
    KEPT = "kept"
    """The assignment is kept while the group reconciles: commit again after the next poll."""
    LOST = "lost"
    """The assignment is or will be lost: the callbacks say so."""
    FATAL = "fatal"
    SETUP = "setup"
    """A person has to change something: say so, and commit again meanwhile."""
    NOTHING = "nothing"
    """There was nothing to commit."""


COMMIT_ACTIONS: Final[Mapping[int, CommitAction]] = {
    KafkaError.REQUEST_TIMED_OUT: CommitAction.RETRIED,
    KafkaError.NOT_COORDINATOR: CommitAction.RETRIED,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS: CommitAction.RETRIED,
    KafkaError.COORDINATOR_NOT_AVAILABLE: CommitAction.RETRIED,
    KafkaError._TRANSPORT: CommitAction.RETRIED,
    KafkaError._TIMED_OUT: CommitAction.RETRIED,
    KafkaError._TIMED_OUT_QUEUE: CommitAction.RETRIED,
    KafkaError.REBALANCE_IN_PROGRESS: CommitAction.KEPT,
    KafkaError.STALE_MEMBER_EPOCH: CommitAction.KEPT,
    KafkaError._WAIT_COORD: CommitAction.KEPT,
    KafkaError.ILLEGAL_GENERATION: CommitAction.LOST,
    KafkaError.UNKNOWN_MEMBER_ID: CommitAction.LOST,
    KafkaError.FENCED_MEMBER_EPOCH: CommitAction.LOST,
    KafkaError._ASSIGNMENT_LOST: CommitAction.LOST,
    KafkaError.FENCED_INSTANCE_ID: CommitAction.FATAL,
    KafkaError._FATAL: CommitAction.FATAL,
    KafkaError.GROUP_AUTHORIZATION_FAILED: CommitAction.SETUP,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: CommitAction.SETUP,
    KafkaError.OFFSET_METADATA_TOO_LARGE: CommitAction.SETUP,
    KafkaError._NO_OFFSET: CommitAction.NOTHING,
}
"""None of these says `retriable()`; an error that is not here is committed again, as `RETRIED`."""


GROUP_REFUSES: Final = frozenset(
    {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.GROUP_MAX_SIZE_REACHED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._UNSUPPORTED_FEATURE,
    }
)
"""The group does not take the member; over when it has joined. Any other error of the group may pass by itself."""

VAGUE: Final = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})
"""Errors that only say that no answer came."""

METADATA_SHORTENED: Final = (
    "the brokers refuse the note in the commits as too long: it is made shorter, so after a restart while much is "
    "unfinished some finished records may be sent again, with the same keys, and newer ones may be taken for as old as the "
    "oldest unfinished one; raise offset.metadata.max.bytes of the brokers to 4096"
)
METADATA_REFUSED: Final = (
    "the brokers take no note in the commits: what is finished above the committed offset is sent again after a restart, "
    "with the same keys; how long ago a record was first sent is forgotten by one, so that a repeat after 24 hours may "
    "notify again; neither a group that was carried from another cluster nor a log that was cut is noticed; raise "
    "offset.metadata.max.bytes of the brokers to 4096"
)
_NO_WRITES: Final = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
"""Who may write nothing at all is refused as an idempotent producer, on the cluster."""
_LENGTH: Final = methodcaller("__len__")
_FATAL: Final = frozenset({KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID})
_REFUSALS: Final = (KafkaError.UNRELEASED_INSTANCE_ID, *sorted(GROUP_REFUSES))
# A fatal error has a code of its own; what it was is only in its text.
_FENCED_TEXT: Final = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()


class Trouble(NamedTuple):
    """Something that a person may have to put right. `kind` is a stable word; `text` one line that says what to do."""

    kind: str
    text: str


class _Meaning(NamedTuple):
    kind: str
    advice: str


_UNREACHABLE: Final = _Meaning(
    "unreachable", "no broker can be reached: check kafka.bootstrap_servers, the network and the brokers"
)
_AUTHENTICATION: Final = _Meaning(
    "authentication", "the brokers refuse the credentials: check kafka.security.sasl or kafka.security.oauth"
)

_MEANINGS: Final[Mapping[int, _Meaning]] = {
    KafkaError._ALL_BROKERS_DOWN: _UNREACHABLE,
    KafkaError._TRANSPORT: _UNREACHABLE,
    KafkaError._TIMED_OUT: _UNREACHABLE,
    KafkaError._RESOLVE: _Meaning(
        "unreachable", "a broker's name cannot be resolved: check kafka.bootstrap_servers and DNS"
    ),
    KafkaError._AUTHENTICATION: _AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED: _AUTHENTICATION,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: _AUTHENTICATION,
    KafkaError.ILLEGAL_SASL_STATE: _AUTHENTICATION,
    KafkaError._SSL: _Meaning("tls", "the TLS connection fails: check kafka.security.ca_file, cert_file and protocol"),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _Meaning(
        "authorization", "the brokers forbid reading the topic: give the bridge's user Read and Describe on it"
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: _Meaning(
        "authorization", "the brokers forbid the consumer group: give the bridge's user Read on kafka.group_id"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _Meaning(
        "authorization", "the brokers forbid it on the cluster: give the bridge's user IdempotentWrite"
    ),
    KafkaError.UNKNOWN_TOPIC_OR_PART: _Meaning(
        "unknown_topic", "the topic does not exist: create it, or correct kafka.topics"
    ),
    KafkaError._UNKNOWN_TOPIC: _Meaning(
        "unknown_topic", "the topic does not exist: create it, or correct kafka.topics"
    ),
    KafkaError.TOPIC_EXCEPTION: _Meaning("unknown_topic", "the topic's name is not valid: correct kafka.topics"),
    KafkaError.UNSUPPORTED_VERSION: _Meaning(
        "unsupported", "the brokers are too old for this: set kafka.group_protocol to classic"
    ),
    KafkaError._UNSUPPORTED_FEATURE: _Meaning(
        "unsupported", "the brokers are too old for this: set kafka.group_protocol to classic"
    ),
    KafkaError.UNRELEASED_INSTANCE_ID: _Meaning(
        "instance_id",
        "the brokers hold kafka.instance_id for another process: give each its own, or wait for the old one's session",
    ),
    KafkaError.OFFSET_METADATA_TOO_LARGE: _Meaning(
        "commit", "the brokers refuse the note in the commits: raise offset.metadata.max.bytes to 4096 or more"
    ),
    KafkaError.GROUP_MAX_SIZE_REACHED: _Meaning(
        "group", "the group is full: run fewer processes or raise group.max.size"
    ),
    KafkaError.INVALID_SESSION_TIMEOUT: _Meaning(
        "group",
        "the brokers refuse the session time-out (45 s where nothing else is set): set session.timeout.ms under "
        "kafka.properties to a value between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms",
    ),
    KafkaError.INVALID_GROUP_ID: _Meaning("group", "the brokers refuse the name of the group: correct kafka.group_id"),
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: _Meaning(
        "group",
        "the group's other members share out partitions in another way: set their kafka.assignment, or stop them all "
        "before this one starts",
    ),
}


def trouble_of(error: KafkaError, *, what: str = "") -> Trouble | None:
    """What a person should know of an error; None for one that librdkafka gets over by itself."""
    meaning = _MEANINGS.get(error.code())
    if meaning is None:
        return None
    return Trouble(meaning.kind, f"{what + ': ' if what else ''}{meaning.advice} ({plain(error)})")


def commit_trouble(error: KafkaError) -> Trouble:
    """What to say when commits are refused for a reason that a person has to put right."""
    found = trouble_of(error)
    advice = found.text if found else f"offsets cannot be committed: {plain(error)}"
    return Trouble("commit", advice)


_UNREAD: Final[Mapping[int, str]] = {
    KafkaError._BAD_COMPRESSION: (
        "a batch cannot be unpacked: where it is zstd, a larger receive.message.max.bytes in kafka.properties may read it"
    ),
    KafkaError._BAD_MSG: "a batch is damaged: no setting reads it, another replica may have it whole",
    KafkaError._NOT_IMPLEMENTED: "a batch is damaged, or packed in a way that Kafka's client does not know",
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "a batch is too large: a larger receive.message.max.bytes and fetch.message.max.bytes in kafka.properties may "
        "read it"
    ),
    KafkaError._CRIT_SYS_RESOURCE: "there is not memory enough to unpack a batch: more may read it",
}
"""What to say of a batch that cannot be read, by the error's code."""


SILENT_SECONDS: Final = 60.0
"""So long nothing may come of a partition that is read, though there is more of it."""


TRANSACTION_SECONDS: Final = 60.0
"""So long a position may stand at an open transaction, untold: Kafka's brokers end one of a producer that died after a
minute, unless the producer asked for more (`transaction.timeout.ms`)."""
OPEN_TRANSACTION: Final = (
    "a producer's transaction is open there, and what is behind it cannot be read before it ends; it goes on by itself "
    "then, and a restart changes nothing: kafka-transactions.sh (describe-producers, find-hanging) names the producer"
)
NOT_READ: Final = (
    "Kafka has no commit of the group there and no mark of what it delivered: it begins for the first time, or its "
    "offsets have expired"
)


@dataclass(frozen=True, slots=True)
class Unread:
    """What is told of a partition. `offset` is the one to be read next; `kind` that of the trouble."""

    offset: int
    kind: str
    message: str
    """The client's words."""
    advice: str


def unread(error: KafkaError, offset: int, topic: str) -> Unread:
    """What to tell of a partition that gives this error in place of records, from `offset` on."""
    meaning = _MEANINGS.get(error.code())
    if meaning is not None and meaning.kind == "authorization":
        return Unread(offset, meaning.kind, plain(error), f"{topic}: {meaning.advice}")
    advice = (
        meaning.advice if meaning else _UNREAD.get(error.code(), "Kafka's client gives an error in place of records")
    )
    return Unread(offset, "unreadable", plain(error), advice)


def silence(offset: int, end: int) -> Unread:
    """What to tell of a partition of which nothing comes, not even an error."""
    message = f"no record, no end and no error for {SILENT_SECONDS:.0f} s, though the log ends at {end}"
    return Unread(
        offset, "unreadable", message, "Kafka's client does not get past this offset: most likely a batch is damaged"
    )


def unread_trouble(unread: Mapping[TopicPartition, Unread]) -> Trouble:
    """What to say while nothing can be read of partitions; there is at least one."""
    name = min(unread)
    first = unread[name]
    if first.kind == "authorization":
        return Trouble(first.kind, f"{first.advice} ({first.message})")
    more = f", and {len(unread) - 1} more partitions" if len(unread) > 1 else ""
    where = f"{name[0]}:{name[1]}"
    text = f"{where} cannot be read at offset {first.offset}{more}: {first.advice} ({first.message})"
    return Trouble(first.kind, f"{text}; `suprsend-bridge skip {where} --unreadable` goes past it")


def is_missing(error: KafkaError) -> bool:
    """Whether the topic or partition is not there: that is told of the topic."""
    meaning = _MEANINGS.get(error.code())
    return meaning is not None and meaning.kind == "unknown_topic"


def is_forbidden(error: KafkaError) -> bool:
    """Whether the brokers forbid reading: the client says so once."""
    return error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def is_fatal(error: KafkaError) -> bool:
    """Whether the client cannot go on."""
    return error.fatal() or error.code() in _FATAL


def is_fenced(error: KafkaError) -> bool:
    """Whether another process has taken the place of this one for good."""
    return error.code() == KafkaError.FENCED_INSTANCE_ID or _FENCED_TEXT in text_of(error)


def fatal_trouble(error: KafkaError) -> Trouble:
    """What to say when the process has to end."""
    text = "another process joined with the same kafka.instance_id: give each its own"
    return Trouble("fatal", f"{text} ({plain(error)})")


def refused_trouble(error: KafkaError) -> Trouble:
    """What to say when the client cannot go on since the group refuses it, perhaps for now."""
    told = text_of(error)
    for code in (error.code(), *_REFUSALS):
        meaning = _MEANINGS.get(code)
        if meaning is not None and (code == error.code() or (KafkaError(code).str() or "?") in told):
            return Trouble(meaning.kind, f"{meaning.advice} ({plain(error)})")
    return Trouble("group", f"the group does not take this process in ({plain(error)})")


def plain(error: KafkaError) -> str:
    """The error in one line, without librdkafka's prefixes."""
    return (text_of(error) or error.name()).replace("\n", " ")[:300]


def text_of(error: KafkaError) -> str:
    """What the client says of an error; nothing where that is no text: a broker's words, cut in the middle of a letter."""
    try:
        return error.str() or ""
    except UnicodeDecodeError:
        return ""


def unwritten(topic: str, error: KafkaError) -> str:
    """What to say of a dead letter that was not written."""
    # A fatal error has a code of its own; what it was is only in its text.
    forbidden = any(error.code() == code or (KafkaError(code).str() or "?") in text_of(error) for code in _NO_WRITES)
    advice = "give the bridge's user Write and Describe on it: " if forbidden else ""
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        advice = "set this machine's clock right, or raise message.timestamp.after.max.ms of the topic: "
    return f"the dead-letter topic {topic} takes no writes: {advice}{plain(error)}"


def taken_from(error: BaseException) -> KafkaError:
    """The client's error in what one of its calls raised.

    The client raises a fatal error while it serves callbacks, too: then CPython wraps it, or finds none.
    """
    found = error if isinstance(error, KafkaException) else error.__cause__
    cause = found.args[0] if isinstance(found, KafkaException) and found.args else None
    return cause if isinstance(cause, KafkaError) else KafkaError(KafkaError._FATAL)


def pending() -> KafkaError | None:
    """What the client is about to raise. Call it first in a callback: the next call of a C function would fail by it.

    Taken here it does no harm; the call that serves the callback then raises a SystemError. A plain `len(())` would not do:
    after a few calls CPython has made it quick, and it does not look for errors any more.
    """
    try:
        _LENGTH(())
    except SystemError as error:
        return taken_from(error)
    return None
