"""Print what the order example costs: compiled rules against the same mapping written by hand, and libjq beside them.

From decoded value to event bytes, key included, one core: `python -m scripts.measure.bench_rules [--records N] [--rounds N]`.
Rounds take turns, so that a noisy machine is noisy for all; the best round of each counts.

Called by `make bench-rules`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jq

from bridge.flow import MappingContext, PlainRecord, Record, RunMapper
from bridge.jsontext import dumps, loads
from bridge.rules.map.codegen import Columns, Kept, rule_code
from bridge.rules.map.key import key_maker
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.read.load import load_rules

RULES = Path(__file__).parents[2] / "config" / "rules"
ENV = "workspace-key-0123456789"
CONTEXT = MappingContext(env=ENV, namespace="cluster-1")
PAY_NAMES = {"card": "Card", "sepa": "Bank transfer", "wallet": "Wallet"}


def order(number: int) -> dict[str, Any]:
    """Make one order of the shop; one in ten is not to be told of."""
    return {
        "id": f"ord_{number:06d}",
        "type": "order.placed" if number % 10 else "order.packed",
        "tenant": "acme",
        "total": 1000 + number * 37 % 9000,
        "customer": {"id": f"user-{number % 5000}", "first_name": "Ada", "last_name": "Lovelace"},
        "items": [{"sku": "sku-1", "qty": 2, "price": 400}, {"sku": "sku-2", "qty": 1, "price": 200}],
        "method": "card" if number % 3 else "sepa",
    }


def by_hand() -> Callable[[Any, Record], bytes | None]:
    """Return the mapping as one would write it in Python, trusting its input."""
    make_key = key_maker("cluster-1", "orders.v1", "order-placed", "order_placed")

    def hand(value: Any, record: Record) -> bytes | None:
        if value["type"] != "order.placed" or not value["total"] > 0:
            return None
        customer = value["customer"]
        recipient = str(customer["id"])
        timestamp = record.timestamp()[1]
        key = make_key(record.partition(), record.offset(), timestamp, recipient, 0)
        amount = value["total"] / 100
        properties = {
            "order_id": value["id"],
            "amount": int(amount) if amount.is_integer() else amount,
            "currency": value.get("currency") or "USD",
            "customer": f"{customer['first_name']} {customer['last_name']}",
            "items": [{"sku": item["sku"], "qty": item["qty"]} for item in value["items"]],
            "paid_by": PAY_NAMES.get(value["method"], "Other"),
            "channel": "web",
        }
        url = value.get("invoice_url")
        if url is not None:
            attachment = {"url": url, "filename": f"invoice-{value['id']}.pdf", "ignore_if_error": True}
            properties["$attachments"] = [attachment]
        event = {
            "$insert_id": key,
            "$time": timestamp,
            "event": "order_placed",
            "env": ENV,
            "distinct_id": recipient,
            "properties": properties,
            "$idempotency_key": key,
        }
        tenant = value.get("tenant")
        if tenant is not None:
            event["tenant_id"] = tenant
        return dumps(event)

    return hand


LIBJQ = """select(.type == "order.placed" and .total > 0) | {
  order_id: .id, amount: (.total / 100), currency: (.currency // "USD"),
  customer: "\\(.customer.first_name) \\(.customer.last_name)", items: [.items[] | {sku, qty}],
  paid_by: ({card: "Card", sepa: "Bank transfer", wallet: "Wallet"}[.method // ""] // "Other"), channel: "web"}"""


def with_libjq() -> Callable[[Any, Record], bytes | None]:
    """Return the properties by libjq (without name, recipient and key: it is slow enough)."""
    program = jq.compile(LIBJQ)

    def mapped(value: Any, _record: Record) -> bytes | None:
        made = program.input_value(value).all()
        return dumps(made[0]) if made else None

    return mapped


def compiled() -> Callable[[Any, Record], bytes | None]:
    """Return the generated function of the rule itself."""
    make = rule_code(load_rules(RULES).rules.rules[0], "orders.v1", CONTEXT, lambda _recipient: True)
    columns = Columns([], [], set(), Kept())
    events = columns.events

    def mapped(value: Any, record: Record) -> bytes | None:
        made = events.pop()[3] if make(value, (), record, "0", record.offset(), 0, columns) else None
        return made if isinstance(made, bytes) else None

    return mapped


def seconds(work: Callable[[], None]) -> float:
    """Measure the CPU time of some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    values = [order(number) for number in range(options.records)]
    records = [PlainRecord("orders.v1", 0, n, dumps(v), timestamp=1_700_000_000_000) for n, v in enumerate(values)]
    pairs = list(zip(values, records, strict=True))
    hand, rule = by_hand(), compiled()
    for value, record in pairs[:100]:
        assert rule(value, record) == hand(value, record)
    map_run = compile_mapping(load_rules(RULES).rules, CONTEXT).for_topic("orders.v1")
    slow = with_libjq()
    kinds: dict[str, Callable[[], None]] = {
        "by hand, value to bytes": lambda: _each(hand, pairs),
        "compiled rule, value to bytes": lambda: _each(rule, pairs),
        "libjq, value to properties": lambda: _each(slow, pairs[: max(1, len(pairs) // 10)]),
        "json.loads alone": lambda: _loads(records),
        "run mapper, records to bytes": lambda: _map(map_run, records),
    }
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(options.rounds):
        for name, work in kinds.items():
            count = max(1, len(pairs) // 10) if name.startswith("libjq") else len(pairs)
            best[name] = min(best[name], seconds(work) / count)
    base = best["by hand, value to bytes"]
    for name, cost in best.items():
        print(f"{name:32} {cost * 1e6:8.2f} us   {1 / cost:10,.0f} records/s   {cost / base:6.2f} x by hand")


def _each(function: Callable[[Any, Record], bytes | None], pairs: list[tuple[Any, PlainRecord]]) -> None:
    for value, record in pairs:
        function(value, record)


def _loads(records: list[PlainRecord]) -> None:
    for record in records:
        value = record.value()
        assert value is not None
        loads(value)


def _map(map_run: RunMapper, records: list[PlainRecord]) -> None:
    offsets = [record.offset() for record in records]
    for first in range(0, len(records), 100):
        map_run(records[first : first + 100], offsets[first : first + 100], 100, 1 << 30)


if __name__ == "__main__":
    main()
