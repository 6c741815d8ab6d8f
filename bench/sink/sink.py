"""The sink in Python, for machines without Go: the same flags, the same answers, at a higher price."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from functools import cache
from typing import Any

RECORD = b'{"status":"success","status_code":202,"message_id":"01234567-89ab-4cde-8f01-23456789abcd"}'
TIMES = re.compile(rb'"\$time":(\d+)')
SLOWEST = 60_000
SHARES = {"p50_ms": 0.50, "p99_ms": 0.99, "longest_ms": 1.0}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@cache
def answer(events: int) -> bytes:
    body = b'{"status":"success","records":[' + b",".join([RECORD] * events) + b"]}"
    return _response("207 Multi-Status", body)


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Counts:
    """All that is known of the calls so far."""

    def __init__(self) -> None:
        self.calls = self.events = self.bytes = self.in_flight = self.most = self.first = self.last = 0
        self.ages: Counter[int] = Counter()

    def begin(self) -> None:
        self.first = self.first or now_ms()
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)

    def end(self, body: bytes, events: int, *, ages: bool) -> None:
        self.in_flight -= 1
        self.calls += 1
        self.events += events
        self.bytes += len(body)
        self.last = now_ms()
        if ages:
            self.ages.update(min(max(self.last - int(made), 0), SLOWEST) for made in TIMES.findall(body))

    def percentile(self, share: float) -> int:
        wanted, seen = share * self.ages.total(), 0
        for age in sorted(self.ages):
            seen += self.ages[age]
            if seen >= wanted:
                return age
        return -1

    def stats(self) -> dict[str, int]:
        plain = {"calls": self.calls, "events": self.events, "bytes": self.bytes, "most_in_flight": self.most}
        times = {"first_ms": self.first, "last_ms": self.last}
        return {**plain, **times, **{name: self.percentile(share) for name, share in SHARES.items()}}


class Sink:
    """Serves connections of one server."""

    def __init__(self, *, delay: float, count: bytes, ages: bool) -> None:
        self.delay = delay
        self.count = count
        self.ages = ages
        self.counts = Counts()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                body = await reader.readexactly(int(size[1]) if size else 0)
                writer.write(await self.answered(head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answered(self, head: bytes, body: bytes) -> bytes:
        path = head.split(b" ", 2)[1]
        if path == b"/stats":
            return _response("200 OK", json.dumps(self.counts.stats()).encode())
        if path == b"/reset":
            self.counts = Counts()
            return _response("200 OK", b"")
        if b"\nauthorization:" not in head.lower():
            return _response("401 Unauthorized", b'{"status":"error","error":{"message":"no authorization"}}')
        counts = self.counts
        counts.begin()
        events = body.count(self.count)
        if self.delay:
            await asyncio.sleep(self.delay)
        counts.end(body, events, ages=self.ages)
        return answer(events)


def seconds(text: str) -> float:
    """A duration as Go writes it: 150ms or 2s."""
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.rstrip("s"))


async def main(options: Any) -> None:
    host, port = options.listen.rsplit(":", 1)
    sink = Sink(delay=seconds(options.delay), count=options.count.encode(), ages=options.ages)
    server = await asyncio.start_server(sink.serve, host, int(port), limit=2**22)
    address, chosen = server.sockets[0].getsockname()
    print(f"{address}:{chosen}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-listen", default="127.0.0.1:0")
    parser.add_argument("-delay", default="0s")
    parser.add_argument("-count", default='"$insert_id":')
    parser.add_argument("-ages", action="store_true")
    asyncio.run(main(parser.parse_args()))
