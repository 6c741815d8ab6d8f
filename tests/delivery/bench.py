"""A bench for the core: one `Delivery` with the real judge, virtual time, and answers written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from bridge.delivery import operate
from bridge.delivery.batch import Partition
from bridge.delivery.core import Delivery
from bridge.delivery.policy import Policy
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Budget,
    CommitSendLimit,
    DeadLetter,
    DeadLetterWritten,
    Drained,
    EndReached,
    Lost,
    Mapping,
    Order,
    Outcome,
    PlainRecord,
    Progress,
    Records,
    Reply,
    Revoking,
    SendLimitCommitted,
    Sought,
    Start,
)
from bridge.suprsend.answers import make_judge
from tests.delivery.words import WordRules

TOPIC = "t"
EPOCH_MS = 1_700_000_000_000
FAR = 1 << 40


def record(offset: int, value: bytes | None = b"e", *, key: bytes | None = None, partition: int = 0) -> PlainRecord:
    """A record of the bench's topic."""
    return PlainRecord(TOPIC, partition, offset, value, key=key, timestamp=EPOCH_MS)


def reply(status: int, body: object = b"", *, error: str | None = None, applied: bool = True) -> Reply:
    """An HTTP answer; a body that is not bytes is sent as JSON."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, error, None, text, applied, 0.1)


def result(verdict: str) -> dict[str, Any]:
    """One record of a bulk answer: `ok`, `invalid` or `transient`."""
    if verdict == "ok":
        return {"status": "success", "message_id": "m", "status_code": 202}
    code, type_ = {"invalid": (422, "validation_error"), "transient": (500, "internal_error")}[verdict]
    return {"status": "error", "status_code": code, "error": {"type": type_, "message": f"{verdict} it is"}}


def results(*verdicts: str) -> Reply:
    """A bulk answer with results per record."""
    return reply(207, {"status": "success", "records": [result(verdict) for verdict in verdicts]})


def refused(status: int = 400) -> Reply:
    """A whole call refused, with SuprSend's error."""
    return reply(status, {"status": "error", "error": {"type": "validation_error", "message": "one of them is bad"}})


class Call:
    """A call that was started: its number and its events."""

    def __init__(self, number: int, body: bytes) -> None:
        self.number = number
        self.body = body
        self.events: list[dict[str, Any]] = json.loads(body)

    @property
    def offsets(self) -> list[int]:
        return [event["o"] for event in self.events]


class Bench:
    """Drives one `Delivery` as the real threads do, one step at a time."""

    def __init__(self, policy: Policy | None = None, rules: Mapping | None = None) -> None:
        self.now = 100.0
        self.room = Budget(1 << 30)
        self.delivery = Delivery(
            policy or Policy(linger=0.0),
            rules or WordRules(),
            make_judge(),
            self.room,
            Random(7),
            self.now,
            version="1",
        )
        self.calls: dict[int, Call] = {}
        self.orders: list[Order] = []
        self.letters: list[DeadLetter] = []
        """Ordered, and neither acknowledged nor failed yet."""
        self.fed: list[PlainRecord] = []
        """Everything that was ever read."""

    @property
    def now_ms(self) -> int:
        return EPOCH_MS + int(self.now * 1000)

    def part(self, partition: int = 0) -> Partition:
        return self.delivery.parts[TOPIC, partition]

    def assign(self, partition: int = 0, *, epoch: int = 1, start: Start | None = None, send_limit: int = FAR) -> None:
        """Assign a partition and acknowledge its send limit."""
        self.take(
            Assigned(TOPIC, partition, epoch, start or Start(0)),
            SendLimitCommitted(TOPIC, partition, epoch, send_limit),
        )

    def say(self, partition: int | None, *, paused: bool) -> None:
        """Somebody pauses or resumes a partition, or with None the topic."""
        book = self.delivery.pauses.saying([(TOPIC, partition)], self.now_ms, "a test says so", paused=paused)
        operate.keep_to_pauses(self.delivery, book)

    def take(self, *items: Any) -> None:
        self.delivery.take(items, self.now, self.now_ms)

    def feed(self, records: Sequence[PlainRecord], *, epoch: int = 1) -> None:
        """Hand over a run of records of one partition."""
        self.room.take(TOPIC, sum(len(each) + RECORD_OVERHEAD for each in records), 0)
        self.fed += records
        self.take(Records(TOPIC, records[0].partition(), epoch, list(records)))

    def end(self, offset: int, partition: int = 0) -> None:
        self.take(EndReached(TOPIC, partition, 1, offset))

    def revoke(self, *partitions: int, within: float = 10.0) -> None:
        self.take(Revoking(tuple((TOPIC, each) for each in partitions), self.now + within))

    def lose(self, *partitions: int) -> None:
        self.take(Lost(tuple((TOPIC, each) for each in partitions)))

    def start(self) -> list[Call]:
        """Start what may be started now; returns the new calls."""
        new: list[Call] = []
        for _ in range(3):
            new += self.start_once()
            if new or not (self.delivery.holds.everything() or self._waits_for_commits()):
                break
            # In and behind a hold a call waits for the commit that covers it.
            self.letters += [order for order in self.collect() if isinstance(order, DeadLetter)]
        return new

    def start_once(self) -> list[Call]:
        """Start what may be started before a commit is made; returns the new calls."""
        new = [Call(number, body) for number, body in self.delivery.starts(self.now, self.now_ms)]
        self.calls.update((call.number, call) for call in new)
        return new

    def _waits_for_commits(self) -> bool:
        behind = any(part.behind for part in self.delivery.parts.values())
        return behind or bool(self.delivery.calls.probes.lowered)

    def answer(self, call: Call, answered: Reply) -> None:
        del self.calls[call.number]
        self.delivery.answered(call.number, answered, self.now, self.now_ms)

    def accept(self, call: Call) -> None:
        self.answer(call, results(*["ok"] * len(call.events)))

    def collect(self) -> list[Order]:
        """The orders of this moment; kept in `orders`, too."""
        made = self.delivery.orders(self.now)
        new = list(made)
        made.clear()
        self.orders += new
        for order in new:
            if isinstance(order, CommitSendLimit):
                send_limit = FAR if order.last is None else order.last
                self.take(SendLimitCommitted(order.topic, order.partition, order.epoch, send_limit, order.number))
        return new

    def write_dead_letters(self, error: str | None = None) -> list[DeadLetter]:
        """Acknowledge (or fail) the dead letters ordered now."""
        letters = self.letters + [order for order in self.collect() if isinstance(order, DeadLetter)]
        self.letters = []
        self.take(*[DeadLetterWritten(letter.ticket, error) for letter in letters])
        return letters

    def read_again(self) -> None:
        """Do what the reader does after the last give-back of each partition, once it may read: seek, and read again."""
        for part in list(self.delivery.parts.values()):
            if part.seek is None or part.paused:
                continue
            seek = part.seek
            self.take(Sought(*part.name, part.epoch, seek))
            again = {each.offset(): each for each in self.fed if each.partition() == part.name[1]}
            run = [again[offset] for offset in sorted(again) if offset >= seek]
            self.room.take(part.name[0], sum(len(each) + RECORD_OVERHEAD for each in run), 0)
            self.take(Records(*part.name, part.epoch, list(run)))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def settle(self, judge_event: Any = None, *, rounds: int = 1_000) -> None:
        """Go on until nothing is in work: accept every call, or answer it by what `judge_event` says of each event."""
        for _ in range(rounds):
            self.start()
            for call in list(self.calls.values()):
                self.answer(call, results(*[judge_event(event) if judge_event else "ok" for event in call.events]))
            self.write_dead_letters()
            self.read_again()
            if not self.unfinished():
                self.pass_time(1.0)
                self.collect()
                return
            self.pass_time(1.0)
        message = f"still in work: {self.delivery.parts}"
        raise AssertionError(message)

    def in_work(self) -> int:
        """Records held in memory without an outcome."""
        return sum(
            sum(record is not None for record in part.ledger.unfinished.values())
            for part in self.delivery.parts.values()
        )

    def unfinished(self) -> int:
        """Records without an outcome, those given back among them."""
        return sum(len(part.ledger.unfinished) for part in self.delivery.parts.values())

    def outcomes(self) -> dict[Outcome, int]:
        return dict(self.delivery.counters.topic(TOPIC).finished)

    def conserved(self) -> None:
        """Everything consumed has an outcome or is in work; the same holds for the room's bytes."""
        tally = self.delivery.counters.topic(TOPIC)
        assert tally.consumed == sum(tally.finished.values()) + self.in_work()
        held = sum(
            len(record) + RECORD_OVERHEAD
            for part in self.delivery.parts.values()
            for record in part.ledger.unfinished.values()
            if record is not None
        )
        assert self.room.used() == self.room.used_by(TOPIC) == held

    def progress(self, partition: int = 0) -> Progress:
        """The last progress told of a partition."""
        told = [
            order.progress if isinstance(order, Drained) else order
            for order in self.orders
            if isinstance(order, (Progress, Drained))
        ]
        return [each for each in told if each.partition == partition][-1]


def dead_offsets(letters: Iterable[DeadLetter]) -> list[int]:
    return [letter.record.offset() for letter in letters]
