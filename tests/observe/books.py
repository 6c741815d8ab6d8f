"""A run of the delivery core in which anything happens, and books of it that are kept beside: by what was done and seen.

`Played` does what the two threads and an operator do, by the seed. `Books` never asks what the bridge counted: it goes by
the answers that were given, the orders that came, and which records and events the core still has.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from bridge.delivery import operate
from bridge.delivery.admission import KINDS, Reason
from bridge.delivery.batch import Partition
from bridge.delivery.core import Delivery
from bridge.delivery.policy import Backoff, BrakeLimits, Policy, StormLimits
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Budget,
    CommitSendLimit,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    Event,
    Fault,
    GiveBack,
    KafkaState,
    Lost,
    Mapped,
    OnError,
    Pause,
    PlainRecord,
    Record,
    Records,
    Reply,
    Resume,
    Revoking,
    RuleInfo,
    RunMapper,
    SendLimitCommitted,
    Sought,
    Stage,
    Start,
    TopicPartition,
)
from bridge.kafka.client.counters import KafkaCounters, OpenTransaction, PartitionFacts
from bridge.observe.snapshot import RulesView, Snapshot
from bridge.service.snapshot import ProcessFacts, snapshot_of
from bridge.suprsend.answers import make_judge
from tests.by_record import by_record

TOPICS = ("t", "u")
PARTITIONS: tuple[TopicPartition, ...] = (("t", 0), ("t", 1), ("u", 0))
WALL_MS = 1_700_000_000_000
FAR = 1 << 40
HOUR_MS = 3_600_000
ON_ERROR: dict[str, OnError] = {"d": "dead_letter", "s": "skip", "h": "halt", "o": "drop"}
WORDS = "e" * 24 + "iippppllttttddssooh"
"""What a word makes: an event that the API takes, refuses (`i`, `l`), fails on (`p`) or that expires (`t`), or a fault."""
WORST = ("filtered", "delivered", "skipped", "expired", "dead_lettered")
RESULT_OF_CLASS = {
    "invalid": "refused",
    "too_large": "refused",
    "skipped_by_operator": "skipped",
    "stuck": "stuck",
    "dedupe_expired": "dedupe_expired",
    "storm": "storm",
}
PARTS = ("ok", "invalid", "large", "transient", "throttled")
"""What an answer says of one event."""
SAID: dict[str, dict[str, Any]] = {
    "ok": {"status": "success", "status_code": 202},
    "invalid": {"status": "error", "status_code": 422, "error": {"type": "validation_error", "message": "bad"}},
    "large": {"status": "error", "status_code": 413, "error": {"type": "validation_error", "message": "too large"}},
    "transient": {"status": "error", "status_code": 500, "error": {"type": "internal_error", "message": "again"}},
    "throttled": {"status": "error", "status_code": 429, "error": {"type": "rate_limit", "message": "slowly"}},
}


class Whole(NamedTuple):
    """An answer to a call as a whole."""

    status: int
    error: str | None
    body: bytes
    retry: str | None
    """The verdict with which all of it is sent again, if it is."""
    health: bool | None
    """Whether the API is up by it; None where it says nothing of that."""
    retry_after: str | None = None


WHOLE: dict[str, Whole] = {
    "down": Whole(503, None, b"", "transient", health=False),
    "busy": Whole(503, None, b"", "transient", health=False, retry_after="2"),
    "late": Whole(0, "timeout", b"", "transient", health=False),
    "cut off": Whole(0, "connect", b"", "transient", health=False),
    "nonsense": Whole(200, None, b"<html>", "unknown", health=False),
    "no http": Whole(0, "protocol", b"", "unknown", health=False),
    "slowly": Whole(429, None, b"", "throttled", health=None),
    "nobody": Whole(
        401, None, b'{"status":"error","error":{"type":"authentication_error","message":"who"}}', "setup", health=None
    ),
    "one is bad": Whole(
        400,
        None,
        b'{"status":"error","error":{"type":"validation_error","message":"one of them is bad"}}',
        None,
        health=True,
    ),
    "in doubt": Whole(
        400,
        None,
        b'{"status":"error","error":{"type":"db_integrity_violation","message":"duplicate key value"}}',
        "doubtful",
        health=True,
    ),
    "a box": Whole(413, None, b"<html><title>413 Request Entity Too Large</title></html>", None, health=None),
}


class SaidRules:
    """A `Mapping`: a value is a few words of two letters, the rule and what it makes: an event, or a kind of fault."""

    def __init__(self, version: int) -> None:
        self.version = version
        names = "ab" if version % 3 == 2 else "abc"
        self.rules = tuple(RuleInfo(f"rule-{name}", TOPICS, (f"said_{name}",)) for name in names)
        self.rules_hash = f"said-{version}"
        self._names = names

    def for_topic(self, _: str) -> RunMapper:
        return by_record(self.mapped)

    def mapped(self, record: Record) -> Mapped:
        """What one record becomes."""
        value = record.value() or b""
        if value == b"!":
            return [Fault(None, Stage.DECODE, "not_json", "no JSON", None, "dead_letter")]
        if value == b"?":
            return [Fault(None, Stage.UNMATCHED, "unmatched", "no rule", None, "dead_letter")]
        made: list[Event | Fault] = []
        for item, word in enumerate(value.decode().split()):
            rule, kind = word[0], word[1]
            if rule not in self._names:
                continue
            if kind in ON_ERROR and not (self.version > 2 and kind in "dh"):
                made.append(Fault(f"rule-{rule}", Stage.MAP, "wrong_type", "a fault", item, ON_ERROR[kind]))
                continue
            place = record.topic(), record.partition(), record.offset()
            key = "-".join(map(str, (*place, item)))
            told = {"$idempotency_key": key, "distinct_id": f"p{rule}", "w": kind, "v": self.version}
            expires = record.timestamp()[1] + 3_000 if kind == "t" else None
            made.append(Event(f"rule-{rule}", f"said_{rule}", f"p{rule}", key, json.dumps(told).encode(), expires))
        return made


@dataclass(eq=False)
class Entry:
    """A record that was read, until its partition is taken away or it is read again."""

    name: TopicPartition
    record: PlainRecord
    mapped: Mapped | None = None
    """What it became when the core took it last; None while it is raw."""
    fates: dict[str, str] = field(default_factory=dict)
    """By key of its events, how they ended."""
    known: set[str] = field(default_factory=set)
    """Keys of events that were refused, or have a dead letter: they are not gone."""
    letters: int = 0
    """Acknowledged."""
    whole: bool = False
    """There is a dead letter of all that is left of it."""
    live: bool = True
    ended: bool = False
    given: bool = False

    def events(self) -> list[Event]:
        return [each for each in self.mapped or () if isinstance(each, Event)]

    def outcome(self) -> str:
        """The worst of what its parts came to."""
        found = ["filtered", *("dead_lettered" for _ in range(self.letters))]
        found += [
            {"accepted": "delivered", "expired": "expired"}.get(fate, "dead_lettered") for fate in self.fates.values()
        ]
        skipped = [each for each in self.mapped or () if isinstance(each, Fault) and each.on_error == "skip"]
        return max([*found, *("skipped" for _ in skipped)], key=WORST.index)


class Histogram:
    """Observations, as they come."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def series(self, bounds: Sequence[float]) -> dict[str, float]:
        """Values by suffix and bound, as they are exposed."""
        edges = [*map(str, bounds), "+Inf"]
        counts = [0] * len(edges)
        for value in self.seen:
            for at in range(bisect_left(bounds, value), len(edges)):
                counts[at] += 1
        return dict(zip(edges, counts, strict=True))


class Sent(NamedTuple):
    """A call: whose events are in it, in order."""

    events: list[tuple[Entry, Event]]
    body: bytes


@dataclass
class Books:
    """What must be shown."""

    consumed: Counter[str] = field(default_factory=Counter)
    finished: Counter[tuple[str, str]] = field(default_factory=Counter)
    matches: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    body_bytes: int = 0
    unknown: int = 0
    late: int = 0
    unwritten: int = 0
    order_breaks: int = 0
    failed_in_row: int = 0
    circuit_open: bool = False
    waited: dict[str, float] = field(default_factory=dict)
    """As shown at the last look; each look may add the time since the one before, to one reason."""
    call_seconds: Histogram = field(default_factory=Histogram)
    call_records: Histogram = field(default_factory=Histogram)
    latency: Histogram = field(default_factory=Histogram)
    accepted: int = 0
    quickest: float = 0.0
    """Seconds that the accepted events took at least."""


def policy_of_run(rng: Random) -> Policy:
    """Small limits, so that everything that has one comes up."""
    return Policy(
        ordering=rng.choice(("key", "key", "partition", "none")),
        linger=rng.choice((0.0, 0.5)),
        batch_events=rng.choice((1, 4, 4, 8)),
        span=rng.choice((20, 1_000)),
        initial_in_flight=rng.choice((1, 4)),
        max_in_flight=4,
        progress_interval=0.0,
        rate_limit=rng.choice((None, None, 2.0)),
        backoff=Backoff(0.01, 0.2),
        retry_floor=rng.choice((0.2, 100.0)),
        breaker_failures=rng.choice((2, 10)),
        probe_interval=2.0,
        on_dedupe_expired=rng.choice(("dead_letter", "dead_letter", "hold")),
        brake=BrakeLimits(row=rng.choice((3, 1_000)), ratio=2.0),
        storm=rng.choice((None, None, StormLimits(5, 60_000), StormLimits(5, 60_000, "hold"))),
        stuck_attempts=2,
        stuck_seconds=0.5,
        unreadable_in_row=3,
    )


class Played:
    """One run. Each step is something that a thread, Kafka, the API or an operator does."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.policy = policy_of_run(self.rng)
        self.trouble = self.rng.choice((0.1, 0.25, 0.7))
        """The part of calls that are answered as a whole, few of them well."""
        self.now = self.begun = self._looked = 100.0
        self.rules = SaidRules(1)
        self.books = Books()
        self.counters = KafkaCounters()
        self.tally = KafkaCounters()
        """What the Kafka thread is to have counted: raised beside `counters`."""
        self.facts = ProcessFacts(TOPICS, self.counters, "group", RulesView("said-1", 1.0))
        self.delivery = Delivery(
            self.policy, self.rules, make_judge(), Budget(1 << 40), Random(seed), self.now, version="1"
        )
        self.state = KafkaState(joined=False, kind=None, trouble=None)
        self.logs: dict[TopicPartition, list[PlainRecord]] = {name: [] for name in PARTITIONS}
        self.epochs: dict[TopicPartition, int] = {}
        self.starts_of: dict[TopicPartition, Start] = {}
        self.entries: dict[TopicPartition, dict[int, Entry]] = {}
        """Of each partition that is assigned, by offset."""
        self.newest: dict[tuple[TopicPartition, int], Entry] = {}
        self.done: dict[TopicPartition, set[int]] = defaultdict(set)
        """Offsets that have an outcome, for good."""
        self.calls: dict[int, Sent] = {}
        self.position: dict[TopicPartition, int] = {}
        """The offset behind what was read, of each partition that is assigned."""
        self.first_sent: dict[tuple[int, str], float] = {}
        self.letters: dict[int, tuple[Entry, DeadLetter]] = {}
        self.doubts: Counter[tuple[int, str]] = Counter()
        """How often nobody could say of an event whether a repeat helps; the third time it is refused."""
        self.paused: set[TopicPartition] = set()
        self.seeks: dict[TopicPartition, int] = {}
        self.draining: set[TopicPartition] = set()
        self.said: dict[TopicPartition, int] = {}
        """Since when an operator's pause lasts, in milliseconds."""
        self.epoch = 0
        self.sent_retry_after = False
        self._works = False
        """Whether something was in work behind the last look."""

    @property
    def now_ms(self) -> int:
        return WALL_MS + int(self.now * 1000)

    def step(self) -> None:
        """Something happens."""
        does = self.rng.choices(*zip(*self.CHANCES, strict=True))[0]
        does(self)
        self._collect()

    # What Kafka does.

    def assign(self) -> None:
        free = [name for name in PARTITIONS if name not in self.epochs]
        if not free:
            return
        name = self.rng.choice(free)
        self.epoch += 1
        self.epochs[name] = self.epoch
        self.starts_of[name] = start = self._start(name)
        self.entries[name] = {}
        self.position[name] = start.offset
        self._take(Assigned(*name, self.epoch, start), SendLimitCommitted(*name, self.epoch, FAR))
        self._read(name, start.offset)

    def _start(self, name: TopicPartition) -> Start:
        """Where an assignment begins, by what has an outcome so far."""
        done, end, rng = self.done[name], len(self.logs[name]), self.rng
        offset = next(at for at in range(end + 1) if at not in done)
        delivered = max((at for at in done if at >= offset), default=-1)
        left = tuple((at, at) for at in range(offset, delivered) if at not in done)
        hold = rng.choice((None,) * 30 + ("rewind", "retention_gap"))
        handed = rng.choice((-1, -1, end - 1))
        ago = rng.choice((1_000, 30 * HOUR_MS))
        return Start(offset, delivered, left, handed, self.now_ms - ago if handed >= 0 else 0, hold=hold, detail="back")

    def produce(self) -> None:
        """Records are written and, where the partition is read, handed over."""
        name, rng = self.rng.choice(PARTITIONS), self.rng
        log = self.logs[name]
        first = len(log)
        for _ in range(rng.choice((1, 3, 6))):
            value = " ".join(rng.choice("abc") + rng.choice(WORDS) for _ in range(rng.choice((0, 1, 1, 1, 3))))
            said = rng.choice((value,) * 15 + ("!", "?")).encode()
            key = rng.choice((None, b"k1", b"k2", b"k3"))
            at = self.now_ms - rng.choice((0, 0, 500, 5_000))
            log.append(PlainRecord(*name, len(log), said, key=key, timestamp=at))
        if name in self.epochs and name not in self.paused and name not in self.draining:
            self._read(name, first)

    def again(self) -> None:
        """What was read already is handed over once more, or something of an assignment that is over."""
        name = self.rng.choice(PARTITIONS)
        if name in self.epochs and self.logs[name] and name not in self.seeks:
            read = list(self.entries[name])
            run = self.logs[name][min(read) : max(read) + 1] if read else []
            self._hand_over(
                name, self.epochs[name] - self.rng.choice((0, 1)), [r for r in run if r.offset() in self.entries[name]]
            )

    def _read(self, name: TopicPartition, first: int) -> None:
        self._hand_over(name, self.epochs[name], self.logs[name][first:])

    def _hand_over(self, name: TopicPartition, epoch: int, run: Sequence[PlainRecord]) -> None:
        if not run:
            return
        start, entries = self.starts_of[name], self.entries[name]
        if epoch == self.epochs[name] and name not in self.seeks:
            self.position[name] = max(self.position[name], run[-1].offset() + 1)
            for record in run:
                offset = record.offset()
                entry = entries.get(offset)
                skipped = offset < start.offset or (
                    offset <= start.delivered and not any(low <= offset <= high for low, high in start.unfinished)
                )
                if not skipped and (entry is None or entry.given):
                    entries[offset] = self.newest[name, offset] = Entry(name, record)
                    self.books.consumed[name[0]] += 1
        self.delivery.budget.take(name[0], sum(len(each) + RECORD_OVERHEAD for each in run), 0)
        self._take(Records(*name, epoch, list(run)))

    def read_again(self) -> None:
        """The reader goes back to where it was told to."""
        for name, offset in list(self.seeks.items()):
            if name not in self.paused:
                del self.seeks[name]
                self._take(Sought(*name, self.epochs[name], offset))
                self._read(name, offset)

    def revoke(self) -> None:
        names = [name for name in self.epochs if name not in self.draining and self.rng.random() < 0.5]
        self.draining |= set(names)
        before = self._in_core()
        self.delivery.take([Revoking(tuple(names), self.now + self.rng.choice((0.0, 3.0)))], self.now, self.now_ms)
        after = self._in_core()
        for name in names:
            part = self.delivery.parts[name]
            let_go = before[id(part)] - after[id(part)]
            for entry in self.entries[name].values():
                if let_go & {event.key for event in entry.events()}:
                    entry.mapped = None

    def lose(self) -> None:
        for name in list(self.epochs):
            if self.rng.random() < 0.4:
                self._leave(name)
                self._take(Lost((name,)))

    def _leave(self, name: TopicPartition) -> None:
        """The partition is not ours any more: what has no outcome will be read again."""
        self._look()
        for entry in self.entries.pop(name).values():
            if not entry.ended and not entry.given:
                self.books.finished[name[0], "released"] += 1
            entry.live = False
        del self.epochs[name]
        self.seeks.pop(name, None)
        self.paused.discard(name)
        self.draining.discard(name)

    def kafka_says(self) -> None:
        """The Kafka side changes, and counts."""
        rng = self.rng
        kind = rng.choice((None, None, "unreachable", "commit"))
        unbegun = tuple(name for name in PARTITIONS if name not in self.epochs and rng.random() < 0.3)
        self.state = KafkaState(rng.random() < 0.8, kind, kind and "something is wrong", unbegun)
        self._take(self.state)
        for each, words in KAFKA_WORDS.items():
            for counters in (self.counters, self.tally):
                getattr(counters, each)[words[self.now_ms % len(words)]] += 1
        for number, each in enumerate(KAFKA_NUMBERS, 1):
            for counters in (self.counters, self.tally):
                setattr(counters, each, getattr(counters, each) + number)
        seconds = rng.choice((0.01, 0.3, 20.0))
        for counters in (self.counters, self.tally):
            counters.drain_buckets.observe(seconds)
        self.counters.partitions = self.tally.partitions = {
            name: PartitionFacts(
                epoch,
                position=len(self.logs[name]),
                committed=rng.choice((None, 3)),
                end=rng.choice((None, len(self.logs[name]), len(self.logs[name]) + 5)),
                paused=False,
                started=True,
                no_room=rng.random() < 0.1,
                unreadable=rng.choice((None, None, "a damaged batch")),
                transaction=rng.choice(
                    (None, OpenTransaction(self.now - 5.0), OpenTransaction(self.now - 90.0, "open"))
                ),
            )
            for name, epoch in self.epochs.items()
        }

    def reports(self) -> None:
        """The producer says what became of dead letters."""
        for ticket in list(self.letters):
            if self.rng.random() < 0.7:
                entry, letter = self.letters.pop(ticket)
                error = self.rng.choice((None, None, None, "no leader"))
                if error is None:
                    self._acknowledged(entry, letter)
                else:
                    self.books.unwritten += 1
                self._take(DeadLetterWritten(ticket, error))

    def _acknowledged(self, entry: Entry, letter: DeadLetter) -> None:
        facts = {name: value.decode() for name, value in letter.headers}
        cause, key = facts["bridge.class"], facts.get("bridge.idempotency_key")
        self.books.letters[entry.name[0], cause] += 1
        self.books.late += not entry.live
        if key is None:
            entry.letters += 1
            keys = [each.key for each in entry.events() if each.key not in entry.fates] if entry.whole else []
        else:
            keys = [key]
        for each in keys:
            self._ends(entry, each, RESULT_OF_CLASS[cause])

    def _ends(self, entry: Entry, key: str, result: str) -> None:
        event = next(each for each in entry.events() if each.key == key)
        entry.fates[key] = result
        self.books.events[event.rule, event.name, result] += 1

    # What the API does.

    def send(self) -> None:
        """The delivery thread looks what may go out."""
        before = {name: self._raw(part) for name, part in self.delivery.parts.items()}
        started = self.delivery.starts(self.now, self.now_ms)
        for name, part in self.delivery.parts.items():
            for offset in before[name] - self._raw(part):
                entry = self.entries[name][offset]
                entry.mapped = self.rules.mapped(entry.record)
                self.books.matches.update({each.rule for each in entry.mapped if each.rule is not None})
                faults = [each for each in entry.mapped if isinstance(each, Fault) and each.rule is not None]
                self.books.errors.update((each.rule or "", each.code) for each in faults)
        for number, body in started:
            sent = [(self.newest[place], event) for place, event in self._events_of(body)]
            self.calls[number] = Sent(sent, body)
            self.books.body_bytes += len(body)
            self.books.call_records.seen.append(len(sent))
            for entry, event in sent:
                self.first_sent.setdefault((id(entry), event.key), self.now)
        self._waits()

    def _events_of(self, body: bytes) -> Iterable[tuple[tuple[TopicPartition, int], Event]]:
        for told in json.loads(body):
            topic, partition, offset, _ = told["$idempotency_key"].split("-")
            name = (topic, int(partition))
            rule = told["distinct_id"][1:]
            key = told["$idempotency_key"]
            yield (
                (name, int(offset)),
                Event(f"rule-{rule}", f"said_{rule}", told["distinct_id"], key, told["w"].encode(), None),
            )

    def _waits(self) -> None:
        """A look adds the seconds since the last one to one reason, or to none; to none where that left nothing in work."""
        elapsed, self._looked = self.now - self._looked, self.now
        shown = self.delivery.counters.waited
        more = {why: seconds - self.books.waited.get(why, 0.0) for why, seconds in shown.items()}
        added = {why: seconds for why, seconds in more.items() if seconds > 1e-9}
        assert len(added) <= 1, f"bridge_wait_seconds_total: {added}"
        for why, seconds in added.items():
            assert self._works, f"bridge_wait_seconds_total: {why} though nothing was in work"
            assert abs(seconds - elapsed) < 1e-6, f"bridge_wait_seconds_total: {why} {seconds} of {elapsed}"
            assert why != "retry_after" or self.sent_retry_after
            assert why != "rate_limit" or self.policy.rate_limit is not None
        self.books.waited = dict(shown)
        self._works = any(self._in_core().values())

    def answer(self) -> None:
        """Calls are answered: mostly event by event, by the words in them."""
        for number in list(self.calls):
            if self.rng.random() < 0.6:
                sent = self.calls.pop(number)
                whole = self.rng.choice(list(WHOLE)) if self.rng.random() < self.trouble else None
                seconds = self.rng.choice((0.0, 0.02, 0.7, 45.0))
                self.books.call_seconds.seen.append(seconds)
                if whole is not None:
                    self._answer_whole(number, sent, WHOLE[whole], seconds)
                else:
                    self._answer_events(number, sent, seconds)
                self._look()

    def _answer_whole(self, number: int, sent: Sent, whole: Whole, seconds: float) -> None:
        books = self.books
        books.requests[str(whole.status) if whole.status else whole.error or ""] += 1
        books.unknown += whole.retry == "unknown" and whole.status == 200
        self.sent_retry_after |= whole.retry_after is not None
        self._health(whole.health)
        single = len(sent.events) == 1
        verdict = "oversized" if whole is WHOLE["a box"] and single else whole.retry
        refused = whole is WHOLE["one is bad"]
        if verdict == "doubtful":
            doubted = [(id(entry), event.key) for entry, event in sent.events]
            self.doubts.update(doubted)
            if max(self.doubts[each] for each in doubted) >= 3:
                refused, verdict = True, None
        if refused and single:
            self._refused(*sent.events[0])
        reply = Reply(whole.status, whole.error, whole.retry_after, whole.body, applied=True, seconds=seconds)
        self._answered(number, sent, reply, verdict)

    def _answer_events(self, number: int, sent: Sent, seconds: float) -> None:
        says = [self._says(event.body.decode()) for _, event in sent.events]
        self.books.requests["207"] += 1
        alike = set(says) if len(set(says)) == 1 else {"ok"}
        self._health(None if alike == {"throttled"} else True)
        good: list[tuple[Entry, Event]] = []
        failed: set[tuple[int, bytes]] = set()
        for (entry, event), said in zip(sent.events, says, strict=True):
            lane = self._lane(entry)
            if said in ("transient", "throttled"):
                failed |= {lane} if lane is not None else set()
            elif said == "ok":
                good.append((entry, event))
                self.books.order_breaks += lane in failed
                self._accepted(entry, event)
            else:
                self._refused(entry, event)
        half = len(good) // 2
        for entry, times in ((good[0][0], len(good) - half), (good[-1][0], half)) if good else ():
            age = max(0.0, (self.now_ms - entry.record.timestamp()[1]) / 1000)
            self.books.latency.seen += [age] * times
        told = {"status": "success", "records": [SAID[said] for said in says]}
        again = "transient" if {"transient", "throttled"} & set(says) else None
        reply = Reply(207, None, None, json.dumps(told).encode(), applied=True, seconds=seconds)
        self._answered(number, sent, reply, again)

    def _says(self, word: str) -> str:
        if word == "p":
            return "transient"
        if word in "il":
            return "invalid" if word == "i" else "large"
        return self.rng.choice(("ok",) * 8 + ("transient", "throttled"))

    def _lane(self, entry: Entry) -> tuple[int, bytes] | None:
        if self.policy.ordering == "partition":
            place = PARTITIONS.index(entry.name)
            return (place if entry.live else -2 - place, b"")
        key = entry.record.key() if self.policy.ordering == "key" else None
        return None if key is None else (PARTITIONS.index(entry.name) if entry.live else -1, key)

    def _answered(self, number: int, sent: Sent, reply: Reply, verdict: str | None) -> None:
        self.delivery.answered(number, reply, self.now, self.now_ms)
        left = {key for keys in self._in_calls().values() for key in keys}
        if verdict is not None and any(event.key in left for _, event in sent.events):
            self.books.retries[verdict] += 1

    def _health(self, up: bool | None) -> None:
        books = self.books
        if up:
            books.failed_in_row, books.circuit_open = 0, False
        elif up is False:
            books.failed_in_row += 1
            books.circuit_open = books.circuit_open or books.failed_in_row >= self.policy.breaker_failures

    def _accepted(self, entry: Entry, event: Event) -> None:
        self._ends(entry, event.key, "accepted")
        self.books.accepted += 1
        self.books.quickest += self.now - self.first_sent[id(entry), event.key]
        self.books.late += not entry.live

    def _refused(self, entry: Entry, event: Event) -> None:
        entry.known.add(event.key)
        self.books.late += not entry.live

    # What an operator does, and time.

    def reload(self) -> None:
        self.rules = SaidRules(self.rules.version + 1)
        operate.reload(self.delivery, self.rules)
        reloads = dict(self.facts.mapping.reloads)
        word = self.rng.choice(("ok", "failed"))
        reloads[word] = reloads.get(word, 0) + 1
        self.facts.mapping = RulesView(self.rules.rules_hash, self.now, reloads, None if word == "ok" else "bad")

    def pause(self) -> None:
        name = self.rng.choice(PARTITIONS)
        paused = name not in self.said
        if paused:
            self.said[name] = self.now_ms
        else:
            del self.said[name]
        book = self.delivery.pauses.saying([name], self.now_ms, "a test says so", paused=paused)
        operate.keep_to_pauses(self.delivery, book)

    def resume(self) -> None:
        for name in self.epochs:
            operate.resume(self.delivery, name)
        for hold in self.delivery.holds.all():
            if hold.token is not None:
                operate.accept_rewind(self.delivery, hold.token)

    def skip(self) -> None:
        """An operator gives up a record that holds its partition, or any other."""
        places = [
            (hold.scope, hold.offset) for hold in self.delivery.holds.all() if hold.scope and hold.offset is not None
        ]
        places += [(name, at) for name, of in self.entries.items() for at, entry in of.items() if not entry.ended]
        if places:
            name, offset = self.rng.choice(places[:3])
            try:
                operate.skip(self.delivery, name, offset, "of no use", self.now_ms)
            except operate.Declined:
                return

    def time_passes(self) -> None:
        self.now += self.rng.choice((0.05, 0.3, 1.0, 4.0))

    CHANCES = (
        *((assign, 6), (produce, 16), (again, 2), (read_again, 5), (revoke, 0.8), (lose, 0.4), (kafka_says, 3)),
        *(
            (reports, 12),
            (send, 25),
            (answer, 22),
            (reload, 1),
            (pause, 1),
            (resume, 3),
            (skip, 1.5),
            (time_passes, 14),
        ),
    )

    # What is seen of the core, its numbers aside.

    def _take(self, *items: Any) -> None:
        self.delivery.take(items, self.now, self.now_ms)
        self._look()

    def _collect(self) -> None:
        """Do what the Kafka thread is told to."""
        self._look()
        made = self.delivery.orders(self.now)
        orders = list(made)
        made.clear()
        for order in orders:
            if isinstance(order, DeadLetter):
                self._ordered(order)
            elif isinstance(order, CommitSendLimit):
                last = FAR if order.last is None else order.last
                self._take(SendLimitCommitted(order.topic, order.partition, order.epoch, last, order.number))
            elif isinstance(order, Drained):
                self._leave((order.progress.topic, order.progress.partition))
            elif isinstance(order, (Pause, Resume, GiveBack)):
                name = (order.topic, order.partition)
                if self.epochs.get(name) != order.epoch:
                    continue
                if isinstance(order, GiveBack):
                    self.seeks[name] = order.offset
                elif isinstance(order, Pause):
                    self.paused.add(name)
                else:
                    self.paused.discard(name)
        self._look()

    def _ordered(self, letter: DeadLetter) -> None:
        record = letter.record
        entry = self.newest[(record.topic(), record.partition()), record.offset()]
        facts = dict(letter.headers)
        key = facts.get("bridge.idempotency_key")
        if key is not None:
            entry.known.add(key.decode())
        elif facts["bridge.class"] == b"skipped_by_operator" and "bridge.rule" not in facts:
            entry.whole = True
        self.letters[letter.ticket] = (entry, letter)

    def _look(self) -> None:
        """Which records have ended, which were given back, and which of their events are gone."""
        here = self._in_core()
        for name, entries in self.entries.items():
            part = self.delivery.parts.get(name)
            if part is None:
                continue
            raw = self._raw(part)
            for offset, entry in entries.items():
                if entry.ended or entry.given:
                    continue
                if offset in raw:
                    entry.mapped = None
                    entry.known.clear()
                self._expire(entry, here[id(part)])
                if offset not in part.ledger.unfinished:
                    entry.ended = True
                    self.done[name].add(offset)
                    self.books.finished[name[0], entry.outcome()] += 1
                elif part.ledger.unfinished[offset] is None:
                    entry.given = True
                    self.books.finished[name[0], "released"] += 1

    def _expire(self, entry: Entry, here: set[str]) -> None:
        for event in entry.events():
            gone = event.key not in here and event.key not in entry.fates and event.key not in entry.known
            if gone and not entry.whole and not self._skipping(entry):
                assert event.expires is not None, f"{event.key} is gone"
                self._ends(entry, event.key, "expired")

    def _skipping(self, entry: Entry) -> bool:
        """Whether its dead letters are about to be ordered."""
        return any(letter.record is entry.record for letter in self.delivery.dead_letters.outbox)

    def _raw(self, part: Partition) -> set[int]:
        waiting = [record for records in part.lanes.waiting.values() for record in records]
        return {record.offset() for record in (*part.lanes.unsent, *waiting)}

    def _in_calls(self) -> dict[int, set[str]]:
        """Keys of the events that were handed over, by partition."""
        found: dict[int, set[str]] = defaultdict(set)
        for batch in self.delivery.calls.batches():
            for run in batch.runs:
                found[id(run.part)].update(event.key for event in run.events())
        return found

    def _in_core(self) -> dict[int, set[str]]:
        """Keys of the events that have not ended and are in no dead letter, by partition."""
        found = self._in_calls()
        for batch in self.delivery.batcher.unstarted():
            for run in batch.runs:
                found[id(run.part)].update(event.key for event in run.events())
        for part in self.delivery.parts.values():
            for rest in part.lanes.rests.values():
                found[id(part)].update(event.key for event in rest.events())
        return found

    def snapshot(self) -> Snapshot:
        return snapshot_of(self.delivery, self.facts, self.now, self.now_ms)

    def held(self) -> Counter[str]:
        """How many holds there are, by reason."""
        found = Counter(hold.reason.value for hold in self.delivery.holds.all())
        assert found["operator"] == len(self.said.keys() & self.epochs.keys())
        return found

    def unready(self) -> bool:
        """Whether something keeps the process from being ready."""
        holds = any(not KINDS[Reason(reason)].wanted for reason, count in self.held().items() if count)
        return holds or not self.state.joined or self.state.kind is not None or bool(self.state.unbegun)

    def waits_in(self, topic: str) -> list[Entry]:
        """Records of a topic that have no outcome, and are not given back."""
        entries = [each for name, of in self.entries.items() if name[0] == topic for each in of.values()]
        return [each for each in entries if not each.ended and not each.given]

    def watermark(self, name: TopicPartition) -> int:
        """The first offset without an outcome, or the next one."""
        return min((at for at, each in self.entries[name].items() if not each.ended), default=self.position[name])

    def facts_of(self, name: TopicPartition) -> PartitionFacts | None:
        """What the Kafka thread has told of this assignment."""
        facts = self.tally.partitions.get(name)
        return facts if facts is not None and facts.epoch == self.epochs[name] else None

    def stands(self, name: TopicPartition) -> bool:
        """Whether nothing is read of it."""
        facts = self.facts_of(name)
        return bool(self.delivery.holds.on(name)) or name in self.paused or (facts is not None and facts.no_room)


KAFKA_WORDS: dict[str, tuple[str, ...]] = {
    "commits": ("ok", "retried", "fatal"),
    "rebalances": ("assigned", "revoked", "lost"),
    "lost_records": TOPICS,
}
KAFKA_NUMBERS = (
    *("references", "overdue_drains", "dropped_records", "pauses", "callback_errors", "rebuilds", "metadata_bytes"),
    *("foreign_metadata", "metadata_room", "refused_progress"),
)
"""Each is raised by another number, so that a row that shows another one is seen."""
