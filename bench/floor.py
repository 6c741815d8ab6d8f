"""The floor: the same libraries with everything hard-coded and nothing made safe.

Consume, parse, one fixed mapping, serialise, sign, POST 100 events a call, 8 calls side by side. No lanes, retries,
offsets, limits, metrics or rules: what it costs is what the work itself costs. Prints one line of JSON.

    python -m bench.floor --bootstrap HOST:PORT --topic NAME --records N --url URL --client pycurl
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from io import BytesIO
from typing import Any, Final

import aiohttp
import pycurl
from confluent_kafka import Consumer

from bench.processes import Usage, usage
from bridge.jsontext import dumps, loads

KEY: Final = "bench-workspace-key-00"
SECRET: Final = b"bench-workspace-secret"
BATCH: Final = 100
SIDE_BY_SIDE: Final = 8
TARGET: Final = "/v2/bulk/event/"
CONTENT_TYPE: Final = "application/json; charset=utf-8"


def event(value: bytes, time_ms: int, key: str) -> bytes | None:
    """The rule of `bench/rules/orders.yaml` by hand, trusting its input."""
    order = loads(value)
    if order["type"] != "order.placed" or not order["total"] > 0:
        return None
    customer = order["customer"]
    return dumps(
        {
            "$insert_id": key,
            "$time": time_ms,
            "event": "order_placed",
            "env": KEY,
            "distinct_id": customer["id"],
            "properties": {
                "order_id": order["id"],
                "amount": order["total"] / 100,
                "currency": order.get("currency") or "USD",
                "customer": f"{customer['first_name']} {customer['last_name']}",
                "items": [{"sku": item["sku"], "qty": item["qty"]} for item in order["items"]],
                "channel": "web",
            },
            "$idempotency_key": key,
            "tenant_id": order["tenant"],
        }
    )


def headers(body: bytes) -> dict[str, str]:
    """The signature over the body."""
    date = formatdate(usegmt=True)
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    text = f"POST\n{digest}\n{CONTENT_TYPE}\n{date}\n{TARGET}"
    signed = base64.b64encode(hmac.digest(SECRET, text.encode(), "sha256")).decode()
    return {"Authorization": f"{KEY}:{signed}", "Date": date, "Content-Type": CONTENT_TYPE}


class Source:
    """Bodies of 100 events, until so many records were read. `begun` is what was spent before the first of them."""

    def __init__(self, bootstrap: str, topic: str, records: int) -> None:
        self.records = records
        self.begun: Usage | None = None
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"floor-{time.time_ns()}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "queued.max.messages.kbytes": 65_536,
                "fetch.max.bytes": 16 * 1024 * 1024,
            }
        )

    def bodies(self) -> Iterator[bytes]:
        self._consumer.subscribe([self._topic])
        done = 0
        pending: list[bytes] = []
        while done < self.records:
            for message in self._consumer.consume(500, 0.2):
                if message.error():
                    continue
                self.begun = self.begun or usage()
                topic, partition, offset = message.topic(), message.partition(), message.offset()
                made = message.timestamp()[1]
                value = message.value()
                assert value is not None
                mapped = event(value, made, f"{topic}-{partition}-{offset}-{made}-order-placed")
                done += 1
                if mapped is not None:
                    pending.append(mapped)
                if len(pending) == BATCH:
                    yield b"[" + b",".join(pending) + b"]"
                    pending = []
        if pending:
            yield b"[" + b",".join(pending) + b"]"


class WithCurl:
    """Eight curl handles behind one multi handle."""

    def __init__(self, url: str) -> None:
        self._multi = pycurl.CurlMulti()
        self._answers: dict[pycurl.Curl, BytesIO] = {}
        self._free = [self._handle(url) for _ in range(SIDE_BY_SIDE)]

    def _handle(self, url: str) -> pycurl.Curl:
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.POST, 1)
        return handle

    def send(self, bodies: Iterator[bytes]) -> None:
        for body in bodies:
            while not self._free:
                self._multi.select(0.1)
                self._move()
            handle = self._free.pop()
            answer = self._answers[handle] = BytesIO()
            handle.setopt(pycurl.POSTFIELDS, body)
            handle.setopt(pycurl.HTTPHEADER, ["Expect:", *(f"{name}: {text}" for name, text in headers(body).items())])
            handle.setopt(pycurl.WRITEFUNCTION, answer.write)
            self._multi.add_handle(handle)
            self._move()
        while self._answers:
            self._multi.select(0.1)
            self._move()

    def _move(self) -> None:
        self._multi.perform()
        queued = 1
        while queued:
            queued, ended, failed = self._multi.info_read()
            assert not failed, failed
            for handle in ended:
                self._multi.remove_handle(handle)
                assert handle.getinfo(pycurl.RESPONSE_CODE) == 207
                loads(self._answers.pop(handle).getvalue())
                self._free.append(handle)


def with_curl(source: Source, url: str) -> None:
    WithCurl(url).send(source.bodies())


def with_aiohttp(source: Source, url: str) -> None:
    """One thread reads and maps, the loop sends."""
    asyncio.run(_with_aiohttp(source, url))


async def _with_aiohttp(source: Source, url: str) -> None:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    room = threading.Semaphore(2 * SIDE_BY_SIDE)

    def feed() -> None:
        for body in source.bodies():
            room.acquire()
            loop.call_soon_threadsafe(queue.put_nowait, body)
        for _ in range(SIDE_BY_SIDE):
            loop.call_soon_threadsafe(queue.put_nowait, None)

    async def send(session: aiohttp.ClientSession) -> None:
        while (body := await queue.get()) is not None:
            async with session.post(url, data=body, headers=headers(body)) as answer:
                assert answer.status == 207
                loads(await answer.read())
            room.release()

    feeding = threading.Thread(target=feed)
    feeding.start()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SIDE_BY_SIDE)) as session:
        await asyncio.gather(*(send(session) for _ in range(SIDE_BY_SIDE)))
    feeding.join()


CLIENTS: Final[dict[str, Callable[[Source, str], None]]] = {"pycurl": with_curl, "aiohttp": with_aiohttp}


def measured(options: Any) -> dict[str, float]:
    source = Source(options.bootstrap, options.topic, options.records)
    CLIENTS[options.client](source, options.url)
    ended, begun = usage(), source.begun
    assert begun is not None
    return {
        "records": options.records,
        "cpu_seconds": ended.cpu_seconds - begun.cpu_seconds,
        "wall_seconds": ended.at - begun.at,
        "peak_mib": ended.peak_mib,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--client", choices=sorted(CLIENTS), default="pycurl")
    print(dumps(measured(parser.parse_args())).decode())
