"""What a team writes by hand today: poll, the official SDK's bulk call, a commit. Prints one line of JSON.

python -m bench.peers.sdk_loop --bootstrap HOST:PORT --topic NAME --records N --url URL
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from confluent_kafka import Consumer
from suprsend import Event, Suprsend

from bench.floor import BATCH, KEY, SECRET
from bench.processes import Usage, usage


def event(order: dict[str, Any]) -> Event:
    """The rule of `bench/rules/orders.yaml` with the SDK's class."""
    customer = order["customer"]
    return Event(
        distinct_id=customer["id"],
        event_name="order_placed",
        properties={
            "order_id": order["id"],
            "amount": order["total"] / 100,
            "currency": order.get("currency") or "USD",
            "customer": f"{customer['first_name']} {customer['last_name']}",
            "items": [{"sku": item["sku"], "qty": item["qty"]} for item in order["items"]],
            "channel": "web",
        },
        idempotency_key=f"{order['id']}-placed",
        tenant_id=order["tenant"],
    )


def run(bootstrap: str, topic: str, records: int, url: str) -> dict[str, float]:
    client = Suprsend(KEY, SECRET.decode(), base_url=url)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"sdk-{time.time_ns()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    begun: Usage | None = None
    bulk, held, done = client.bulk_events.new_instance(), 0, 0
    while done < records:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        begun = begun or usage()
        done += 1
        order = json.loads(message.value() or b"{}")
        if order.get("type") == "order.placed" and order["total"] > 0:
            bulk.append(event(order))
            held += 1
        if held == BATCH or done == records:
            assert not held or bulk.trigger().success == held
            consumer.commit(asynchronous=False)
            bulk, held = client.bulk_events.new_instance(), 0
    ended = usage()
    assert begun is not None
    return {
        "records": records,
        "cpu_seconds": ended.cpu_seconds - begun.cpu_seconds,
        "wall_seconds": ended.at - begun.at,
        "peak_mib": ended.peak_mib,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--bootstrap", "--topic", "--url"):
        parser.add_argument(name, required=True)
    parser.add_argument("--records", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(run(options.bootstrap, options.topic, options.records, options.url)))
