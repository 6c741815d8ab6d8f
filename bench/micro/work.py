"""The hot functions, each as some work on 200 records that can be done again and again.

python -m bench.micro.work --counted     under callgrind: each work once, inside a C function that it watches for
python -m bench.micro.work               CPU of each work and of a reference, as JSON
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from bridge.delivery.core import Delivery
from bridge.delivery.policy import Policy
from bridge.flow import (
    RECORD_OVERHEAD,
    Assigned,
    Budget,
    Event,
    MappedRun,
    Mapping,
    MappingContext,
    PlainRecord,
    Record,
    Records,
    Reply,
    RuleInfo,
    RunMapper,
    SendLimitCommitted,
    Start,
)
from bridge.jq import EvalBudget, compile_program
from bridge.jsontext import dumps, loads
from bridge.rules.map.codegen import Columns, Kept, rule_code
from bridge.rules.map.decode import decoder
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.read.load import load_rules
from bridge.suprsend.answers import make_judge

RECORDS: Final = 200
TOPIC: Final = "bench-orders-micro"
RULES: Final = Path(__file__).parents[1] / "rules"
CONTEXT: Final = MappingContext(env="bench-workspace-key-00", namespace="bench-cluster")
MADE_MS: Final = 1_700_000_000_000
BATCH: Final = 100
ROUNDS: Final = 9
WARM: Final = 30

Work = Callable[[], None]


def order(number: int) -> dict[str, Any]:
    """An order that the rule wants."""
    return {
        "id": f"o-{number:08d}",
        "type": "order.placed",
        "total": 1_000 + number * 37,
        "currency": ("USD", "EUR", None)[number % 3],
        "tenant": "acme",
        "customer": {"id": f"u{number}", "first_name": "Ada", "last_name": "Lovelace"},
        "items": [{"sku": f"sku-{n}", "qty": n, "price": 100 * n} for n in (1, 2)],
        "invoice_url": f"https://files.example.com/invoices/{number}.pdf",
    }


def records(first: int = 0) -> list[Record]:
    return [
        PlainRecord(TOPIC, 0, number, dumps(order(number)), key=f"u{number}".encode(), timestamp=MADE_MS)
        for number in range(first, first + RECORDS)
    ]


def decode() -> Work:
    """Bytes to values."""
    read, made = decoder("json"), records()

    def work() -> None:
        for record in made:
            value = record.value()
            assert value is not None
            read(value, record)

    return work


def build() -> Work:
    """Values to events: the rule's generated function, with key and serialisation."""
    make = rule_code(load_rules(RULES).rules.rules[0], TOPIC, CONTEXT, lambda _: True)
    given = [(order(number), record) for number, record in enumerate(records())]

    def work() -> None:
        columns = Columns([], [], set(), Kept())
        for place, (value, record) in enumerate(given):
            make(value, (), record, "0", place, place, columns)

    return work


def map_() -> Work:
    """A run of records to bodies: all that is between reading and batching."""
    mapping, made = compile_mapping(load_rules(RULES).rules, CONTEXT), records()
    map_run = mapping.for_topic(TOPIC)
    offsets = [record.offset() for record in made]

    def work() -> None:
        map_run(made, offsets, RECORDS, 1 << 30)

    return work


def patterns() -> Work:
    """A chat message and its patterns: by `re`, by RE2, with groups and with constants."""
    program = compile_program(
        '[test("^Re: "), [scan("@(\\\\w+)")[0]], gsub("\\\\s+"; " "), sub("(?<u>@\\\\w+),"; "<\\(.u)>"), gsub("<[^>]+>"; "")]'
    )
    texts = [f"Hi @ada{number} and @grace, see <b>order</b> {number}  at 10:30 – thanks!" for number in range(RECORDS)]
    budget = EvalBudget()

    def work() -> None:
        for text in texts:
            budget.reset()
            program.one(text, (), budget)

    return work


def classify() -> Work:
    """Answers to verdicts: two calls of 100 events."""
    judge, reply = make_judge(), answer()

    def work() -> None:
        for _ in range(RECORDS // BATCH):
            judge(reply, BATCH)

    return work


def answer() -> Reply:
    one = {"status": "success", "status_code": 202, "message_id": "01234567-89ab-4cde-8f01-23456789abcd"}
    return Reply(207, None, None, dumps({"status": "success", "records": [one] * BATCH}), applied=True, seconds=0.01)


class Ready(Mapping):
    """A mapping that costs nothing: every record has its event already."""

    rules_hash = "ready"
    rules: tuple[RuleInfo, ...] = ()

    def __init__(self) -> None:
        self._event = Event("order-placed", "order_placed", "u1", "k", b"{" + b"x" * 430 + b"}", None)

    def for_topic(self, topic: str) -> RunMapper:
        event = self._event

        def run(records: Sequence[Record], offsets: Sequence[int], most: int, room: int) -> MappedRun:
            del offsets
            count = min(len(records), most, room // (len(event.body) + 1))
            size, kind = count * (len(event.body) + 1), {(event.rule, event.name): count}
            return MappedRun(count, [event.body] * count, None, (), (), None, size, kind, None, lambda: [event] * count)

        return run


class Core:
    """Decisions without Kafka and HTTP: records go in, calls come out, answers go in."""

    def __init__(self) -> None:
        self._now = 1.0
        self._room = Budget(1 << 30)
        self._delivery = Delivery(Policy(), Ready(), make_judge(), self._room, Random(1), self._now, version="0")
        self._delivery.take(
            [Assigned(TOPIC, 0, 1, Start(0)), SendLimitCommitted(TOPIC, 0, 1, 1 << 40)], self._now, MADE_MS
        )
        self._offsets = count(step=RECORDS)
        self._reply = answer()
        self._fed: Records | None = None
        self._calls: list[int] = []

    def ready_to_batch(self) -> None:
        """Have nothing in work, and records at hand."""
        if self._calls:
            self.settle()
        self._fed = Records(TOPIC, 0, 1, records(next(self._offsets)))

    def ready_to_settle(self) -> None:
        """Have calls in flight."""
        self.ready_to_batch()
        self.batch()

    def batch(self) -> None:
        """Take the records and start their calls."""
        assert self._fed is not None
        self._room.taken_bytes += sum(map(len, self._fed.records)) + RECORD_OVERHEAD * RECORDS
        self._delivery.take([self._fed], self._now, MADE_MS)
        self._calls = [number for number, _ in self._delivery.starts(self._now, MADE_MS)]
        assert len(self._calls) == RECORDS // BATCH

    def settle(self) -> None:
        """Take the answers in, move the watermark, say what may be committed."""
        self._now += 1.0
        for number in self._calls:
            self._delivery.answered(number, self._reply, self._now, MADE_MS)
        self._calls = []
        orders = self._delivery.orders(self._now)
        assert orders
        orders.clear()


def reference() -> Work:
    """Parse and serialise with the libraries alone: what a machine's speed is measured by."""
    values = [dumps(order(number)) for number in range(RECORDS)]

    def work() -> None:
        for value in values:
            dumps(loads(value))

    return work


def all_works() -> Iterator[tuple[str, Work, Work]]:
    """Name, work, and what has to be done before each time."""

    def nothing() -> None:
        """Nothing has to be done before."""

    for make in (reference, decode, build, map_, classify, patterns):
        yield make.__name__.rstrip("_"), make(), nothing
    core = Core()
    yield "batch", core.batch, core.ready_to_batch
    yield "watermark", core.settle, core.ready_to_settle


@contextmanager
def quiet() -> Iterator[None]:
    """Without the collector, which comes when it likes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def counted() -> None:
    """Do each work once inside `functools.reduce`, whose C function callgrind is told to watch."""
    for _, work, before in all_works():
        with quiet():
            for _ in range(WARM):
                before()
                work()
            before()
            reduce(lambda _one, _other, work=work: work(), (None, None))  # type: ignore[misc]


def timed() -> dict[str, float]:
    """CPU of each work in nanoseconds a record: the best of some rounds."""
    best: dict[str, float] = {}
    for name, work, before in all_works():
        with quiet():
            for _ in range(ROUNDS + WARM):
                before()
                start = time.process_time_ns()
                work()
                spent = (time.process_time_ns() - start) / RECORDS
                best[name] = min(best.get(name, spent), spent)
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counted", action="store_true")
    if parser.parse_args().counted:
        counted()
    else:
        print(json.dumps(timed()))
