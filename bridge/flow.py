"""Every value that crosses a wall between two rooms, and nothing else.

`kafka/` reads records and writes dead letters and offsets, `rules/` maps a record to events, `delivery/` decides,
`suprsend/` talks HTTP. They know each other only through the types here. All are immutable once made and may be
handed from one thread to another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping as Map, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from operator import methodcaller
from typing import Final, Literal, NamedTuple, Protocol, cast

TopicPartition = tuple[str, int]
Headers = list[tuple[str, bytes | None]]


class Record(Protocol):
    """One Kafka message, as `confluent_kafka.Message` offers it; reading it costs no copy.

    `timestamp()` is `(type, milliseconds)`, with -1 where there is none. `value()` is `None` for a tombstone.
    """

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def timestamp(self) -> tuple[int, int]: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Headers | None:
        """Only `headers_of` calls it: the client may fail, and end the process when it is asked again."""
        ...

    def __len__(self) -> int:
        """Bytes of the value, 0 for a tombstone."""
        ...


RECORD_OVERHEAD = 400
"""Bytes that a record in work is taken to cost beside its value: the object, its key, its places in the queues."""


MOST_ON_THE_WAY = 2_000
"""Records between the two threads: a delivery thread that the machine gives no time is not buried."""
EVERY_RECORD: Final = 1 << 62
"""More records than are ever read."""


class PlainRecord:
    """A record that did not come from a consumer: of a test, a file, a replay or the simulator."""

    __slots__ = ("_headers", "_key", "_offset", "_partition", "_timestamp", "_topic", "_value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        timestamp: int = -1,
        headers: Headers | None = None,
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._offset = offset
        self._value = value
        self._key = key
        self._timestamp = timestamp
        self._headers = headers

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return (0 if self._timestamp < 0 else 1, self._timestamp)

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return self._headers

    def __len__(self) -> int:
        return len(self._value or b"")


class UnreadableHeaders(Exception):  # noqa: N818 (the word for it)
    """A record's headers cannot be read: a name among them is no UTF-8, and the client hands out text."""


UNREADABLE: Final[Headers] = []
"""This very list stands for headers that cannot be read, in a record made by us, too."""

_ASK: Final = methodcaller("headers")
"""Written as a plain call, the client's failure is no error at the call once CPython has made it quick: it comes up
somewhere behind, or never."""


def headers_of(record: Record) -> Headers:
    """The headers of a record, an empty list where it has none. Raises UnreadableHeaders, also when asked again.

    The one way to read headers. Where a name is no UTF-8, the client fails at the first question and gives a list with
    holes in it at the second, which ends the process when it is read: what it keeps is replaced at once. The thread that
    asks first must be alone with the record: the Kafka thread asks for a dead letter, after the delivery thread did.
    """
    try:
        found = cast("Headers | None", _ASK(record))
    except (SystemError, UnicodeDecodeError):
        found = UNREADABLE
        record.set_headers(found)  # type: ignore[attr-defined] # only the client's records fail
    if found is UNREADABLE:
        raise UnreadableHeaders
    return found or []


class Event(NamedTuple):
    """One SuprSend event, ready to be sent: `body` is its JSON, serialised once and never again."""

    rule: str
    name: str
    recipient: str
    key: str
    body: bytes
    expires: int | None
    """Milliseconds since 1970 after which nobody wants it (`max_age`), or None."""


class Stage(StrEnum):
    """Where a record or one of its events failed; travels in the dead letter's headers."""

    DECODE = "decode"
    UNMATCHED = "unmatched"
    MAP = "map"
    SIZE = "size"
    DELIVER = "deliver"


OnError = Literal["dead_letter", "skip", "halt", "drop"]


class Fault(NamedTuple):
    """What a record should have become and did not: a mapping error of one rule (and item), or of the record.

    `code` is stable and bounded (a metric label); `message` may quote the rule, never the record's payload.
    `on_error` says what the rule wants done; `drop` ends as filtered (`delivery.only_recipients`). `files` are the rule
    files that could not read the record, where several read its topic: the others went on. `item_key` is the key that the
    event would have had, of an item of a fan-out that got as far as that: a sibling may have the next one.
    """

    rule: str | None
    stage: Stage
    code: str
    message: str
    item: int | None
    on_error: OnError
    files: tuple[str, ...] = ()
    item_key: str | None = None


Mapped = Sequence[Event | Fault]
"""What one record becomes, in order of rules and items; empty means `filtered`."""

Mapper = Callable[[Record], Mapped]
"""Maps one record of a topic, for tools. Total: never raises for any record. Pure: no clock, no I/O."""


class LargeBodies(Sequence[bytes], ABC):
    """The bodies of a run with a record that fanned out far: each is made when it is asked for, and few are kept."""

    @abstractmethod
    def sizes(self) -> Sequence[int]:
        """The bytes of each body, without making it."""

    @abstractmethod
    def pick(self, places: Sequence[int]) -> LargeBodies:
        """The bodies at some places of these."""

    @abstractmethod
    def events(self) -> Sequence[Event]:
        """The events, each made when it is asked for."""


class MappedRun(NamedTuple):
    """What the first records of a run became, in columns: no object per event."""

    records: int
    """How many it tells of, from the first. Each became one or more events, or faults, or is in `unwanted`."""
    bodies: Sequence[bytes]
    """The events' bodies, in order of records, then of rules and items."""
    places: Sequence[int] | None
    """For each event the place of its record; None where every record that is neither in `unwanted` nor in `faults`
    became just one event, and those in `faults` none."""
    unwanted: Sequence[int]
    """The places of the records that became nothing, ascending."""
    faults: Sequence[tuple[int, Fault]]
    """What records should have become and did not, with their places, ascending. Such a record may have events, too."""
    expires: Sequence[int | None] | None
    """For each event when it expires (`Event.expires`); None where none does."""
    size: int
    """Bytes that the events take in a call, each with a comma."""
    counts: Map[tuple[str, str], int]
    """Events by rule and name."""
    kinds: Sequence[tuple[str, str]] | None
    """For each event its rule and name; None where all are alike."""
    events: Callable[[], Sequence[Event]]
    """The events themselves, in the order of `bodies`, for who needs them one by one."""


RunMapper = Callable[[Sequence[Record], Sequence[int], int, int], MappedRun]
"""`(records, offsets, most, room)`: maps the records until `most` events were made, the events take more than `room` bytes or as
many as are kept (`MappingContext.kept_bytes`), or all are mapped; the record with which that is reached is in it whole (what
goes beyond begins the next batch). Total and pure: never raises, whatever the records are; no result depends on the records
before."""


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What the rest of the bridge may know of a rule: its identity and the names that its metrics need."""

    name: str
    topics: tuple[str, ...]
    events: tuple[str, ...]


class Mapping(Protocol):
    """All rules, compiled. A reload makes a new one."""

    @property
    def rules_hash(self) -> str: ...
    @property
    def rules(self) -> tuple[RuleInfo, ...]: ...
    def for_topic(self, topic: str) -> RunMapper:
        """What maps the topic's records; for one thread at a time."""
        ...


@dataclass(frozen=True, slots=True)
class MappingContext:
    """What compiled rules need to know of the process: part of each event's bytes and key."""

    env: str
    namespace: str
    max_event_bytes: int = 102_400
    only_recipients: tuple[str, ...] = ()
    max_age_ms: int | None = None
    """The `max_age` for every rule that sets none, in milliseconds."""
    kept_bytes: int = 4 << 20
    """Bytes of bodies that are kept of one record; of a larger fan-out they are made again (`LargeBodies`)."""


class Verdict(StrEnum):
    """What an answer says of one event (or of the whole call)."""

    ACCEPTED = "accepted"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    SETUP = "setup"
    UNKNOWN = "unknown"
    DOUBTFUL = "doubtful"
    """Transient, or invalid: sent again a few times, then refused."""
    OVERSIZED = "oversized"
    """Something on the way takes no call of that size; SuprSend has said nothing."""


class Seen(NamedTuple):
    """What else is known of an attempt, for people: clean, bounded texts without a secret."""

    cause: str = ""
    """Why it failed, more exactly than `Reply.error`: a word of `suprsend.causes.CAUSES`."""
    detail: str = ""
    """More of the cause: a proxy's status, OpenSSL's reason."""
    by: str = ""
    """What the server, or the proxy that refused, calls itself."""
    to: str = ""
    """The host that a redirect names."""
    at: str = ""
    """Whom the cause speaks of: the host of the API, or of the proxy, with its port."""


class Reply(NamedTuple):
    """What came back of one HTTP attempt, whatever it was.

    `status` is 0 where no status line arrived; `error` then (or for a cut answer) is one of `timeout`, `connect`,
    `dns`, `tls`, `proxy`, `reset`, `answer_too_large`, `protocol`. `applied` is False only where the request cannot
    have reached the API: nothing of it was sent (no address, no connection, no TLS, a refused CONNECT).
    """

    status: int
    error: str | None
    retry_after: str | None
    body: bytes
    applied: bool
    seconds: float
    seen: Seen = Seen()

    def quiet(self, now: float) -> float | None:
        """Seconds from `now` (since 1970) for which the answer asks not to be called; None where it asks for nothing.

        `Retry-After` is seconds or an HTTP date. Whoever waits bounds it: a broken answer asks for years.
        """
        text = (self.retry_after or "").strip()
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            at = parsedate_to_datetime(text)
            return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None


class Judged(NamedTuple):
    """A reply, classified. `items` has one verdict per event in order, or is None when `whole` holds for all."""

    whole: Verdict
    items: Sequence[Verdict] | None
    details: Sequence[tuple[str, str]] | None
    """Per item `(code, message)` where `items` is set and not all are accepted; else None."""
    code: str
    message: str
    splittable: bool
    """A whole call refused for what is in it (400, 413, 422 with SuprSend's error) or for its size: bisect it."""
    applied: bool = True
    """Whether what goes out again may have been taken this time, by the wire: False only where nothing was sent, or
    where SuprSend's own words refuse it."""
    said: str = ""
    """SuprSend's own words alone, where `message` tells more than them."""


class Judge(Protocol):
    """Classifies a reply to a call of `n` events. Total. `keys` gives their idempotency keys in order, where asked."""

    def __call__(self, reply: Reply, n: int, keys: Callable[[], Sequence[str]] = tuple, /) -> Judged: ...


class Transport(Protocol):
    """HTTP calls side by side, driven by one thread; only `wake` may be called from others."""

    def start(self, call: int, body: bytes) -> None: ...
    def poll(self, seconds: float) -> list[tuple[int, Reply]]: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class Outcome(StrEnum):
    """How a record ends. A record of several events has the worst, in this order; `released` is read again."""

    DEAD_LETTERED = "dead_lettered"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    DELIVERED = "delivered"
    FILTERED = "filtered"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading of an assigned partition begins, and what is already known of it.

    `delivered` is the highest finished offset, -1 if unknown. `unfinished` are the ranges (first, last) at or above
    `offset` and below `delivered` that have no outcome yet; what lies between them is finished and is skipped, what
    is above `delivered` is not. Offsets up to `send_limit` may have been handed to the API at `send_limit_at` (milliseconds)
    or before.
    """

    offset: int
    delivered: int = -1
    unfinished: tuple[tuple[int, int], ...] = ()
    send_limit: int = -1
    send_limit_at: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    """Since when each may have been handed over: (last offset, milliseconds), ascending; empty: all since `send_limit_at`."""
    leader_epoch: int = -1
    """Of the newest record that the commit speaks of, -1 if unknown: commits from here on bear this one or a newer one."""
    hold: str | None = None
    """Why the partition starts held (`rewind`, `retention_gap`), or None."""
    detail: str = ""
    """For a person: what happened there, and what lifts the hold."""
    age: str = ""
    """For a person: how old the records are that would go out again."""


class Assigned(NamedTuple):
    """A partition is ours. `paused`: nothing is read of it before a `Resume`, since an operator has paused it."""

    topic: str
    partition: int
    epoch: int
    start: Start
    paused: bool = False


class Records(NamedTuple):
    """A run of records of one partition, ascending."""

    topic: str
    partition: int
    epoch: int
    records: list[Record]


class EndReached(NamedTuple):
    """`_PARTITION_EOF`: the position of the reader, behind markers and compacted gaps."""

    topic: str
    partition: int
    epoch: int
    offset: int


class Sought(NamedTuple):
    """The answer to `GiveBack`: records handed over after this are read from `offset` on, in order."""

    topic: str
    partition: int
    epoch: int
    offset: int


class SendLimitCommitted(NamedTuple):
    """A commit was acknowledged: offsets up to `send_limit` may now be handed to the API.

    `number` is that of the last `CommitSendLimit` that the commit goes by; -1 where nothing is committed at all (a dry run).
    """

    topic: str
    partition: int
    epoch: int
    send_limit: int
    number: int = 0


class Revoking(NamedTuple):
    """Finish what was handed over, then answer with `Drained` for each; `deadline` is monotonic seconds."""

    partitions: tuple[TopicPartition, ...]
    deadline: float


class Lost(NamedTuple):
    partitions: tuple[TopicPartition, ...]


class DeadLetterWritten(NamedTuple):
    """The delivery report of one dead letter; `error` is None when it was acknowledged."""

    ticket: int
    error: str | None


class KafkaState(NamedTuple):
    """What the Kafka thread knows of its own side, sent when it changes.

    `trouble` is None when all is well, else one line that says what is wrong and what to do; `kind` is a stable word
    (`unreachable`, `authentication`, `authorization`, `unknown_topic`, `commit`, …). `unbegun` are the partitions that are
    ours and not read yet, since Kafka has not told where they begin: nothing is known of their lag.
    """

    joined: bool
    kind: str | None
    trouble: str | None
    unbegun: tuple[TopicPartition, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether everything that is ours is being read, so that a sum of lags says something."""
        return self.joined and not self.unbegun


Intake = (
    Assigned | Records | EndReached | Sought | SendLimitCommitted | Revoking | Lost | DeadLetterWritten | KafkaState
)
"""From the Kafka thread to the delivery thread."""


class Progress(NamedTuple):
    """What may be committed: everything below `watermark` has an outcome.

    `delivered` is the highest finished offset (-1 if none), `finished` codes which offsets from the watermark up to
    it have none yet (`offsets.commits`).
    """

    topic: str
    partition: int
    epoch: int
    watermark: int
    delivered: int
    finished: str


class Drained(NamedTuple):
    """The answer to `Revoking`: nothing of the partition is with the API any more, or the deadline passed.

    `handed` is the newest offset that may have been handed to the API, -1 if none was.
    """

    progress: Progress
    handed: int = -1


class DeadLetter(NamedTuple):
    """A record for the dead-letter topic: the original, and `bridge.*` headers that say why."""

    ticket: int
    record: Record
    headers: tuple[tuple[str, bytes], ...]


class Pause(NamedTuple):
    topic: str
    partition: int
    epoch: int


class Resume(NamedTuple):
    topic: str
    partition: int
    epoch: int


class GiveBack(NamedTuple):
    """Read the partition again from `offset` on: its unsent records were released. Answered by `Sought`."""

    topic: str
    partition: int
    epoch: int
    offset: int


class CommitSendLimit(NamedTuple):
    """Commit that offsets up to `last` may have been handed to the API, and no others; None: all that was read.

    It holds until the next one, whose `number` is one more. Answered by `SendLimitCommitted`.
    """

    topic: str
    partition: int
    epoch: int
    number: int
    last: int | None


class GoPast(NamedTuple):
    """Go on at `to`: from `first` on, where the reader stands, nothing can be read. All before it has an outcome.

    Answered by `EndReached`, unless the reader stands elsewhere by now.
    """

    topic: str
    partition: int
    epoch: int
    first: int
    to: int


Order = Progress | Drained | DeadLetter | Pause | Resume | GiveBack | CommitSendLimit | GoPast
"""From the delivery thread to the Kafka thread."""


@dataclass(slots=True)
class Budget:
    """How much more may be read. Each counter is written by one thread, so that no lock is needed.

    The Kafka thread takes `len(record) + RECORD_OVERHEAD` for each record that it hands over (`take`); the delivery
    thread frees the same when the record has left (`free`), and sets `open`. Both count by topic, too.
    """

    budget_bytes: int
    taken_bytes: int = 0
    freed_bytes: int = 0
    taken_records: int = 0
    """Records handed over; the Kafka thread's."""
    seen_records: int = 0
    """Records that came out of the queue between the two; the delivery thread's."""
    most_records: int = EVERY_RECORD
    """No more are read than so many, and a few that were on the way."""
    open: bool = field(default=True)
    """False while the delivery thread has enough unsent records."""
    taken_of: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Of `taken_bytes`, by topic; the Kafka thread's."""
    freed_of: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Of `freed_bytes`, by topic; the delivery thread's: others use `get`."""

    def take(self, topic: str, taken: int, records: int) -> None:
        """So many bytes and records of a topic are handed over. Kafka thread, once for a run."""
        self.taken_bytes += taken
        self.taken_records += records
        self.taken_of[topic] += taken

    def free(self, topic: str, freed: int) -> None:
        """So many bytes of a topic have left. Delivery thread."""
        self.freed_bytes += freed
        self.freed_of[topic] += freed

    def used(self) -> int:
        """Bytes of the records in work."""
        return self.taken_bytes - self.freed_bytes

    def used_by(self, topic: str) -> int:
        """Bytes of the records in work of one topic. Kafka thread."""
        return self.taken_of.get(topic, 0) - self.freed_of.get(topic, 0)

    def busy(self) -> bool:
        """Whether the delivery thread has enough to do, whatever the bytes, or all was read that was asked for."""
        taken = self.taken_records
        return not self.open or taken - self.seen_records >= MOST_ON_THE_WAY or taken >= self.most_records

    def full(self) -> bool:
        """Whether nothing more may be read."""
        return self.busy() or self.used() >= self.budget_bytes
