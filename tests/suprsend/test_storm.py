"""A hundred thousand answers over real sockets, most of them wrong, against client, classifier and delivery together."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from random import Random
from typing import Any, Self

from bridge.delivery.admission import Limit
from bridge.delivery.core import Delivery
from bridge.delivery.policy import Backoff, BrakeLimits, Policy
from bridge.flow import (
    Assigned,
    Budget,
    CommitSendLimit,
    DeadLetter,
    DeadLetterWritten,
    Intake,
    PlainRecord,
    Progress,
    Records,
    SendLimitCommitted,
    Start,
)
from bridge.suprsend.answers import make_judge
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Bearer
from bridge.suprsend.transport import SMALL_ANSWER_BYTES, CurlTransport
from tests.delivery.words import WordRules

ANSWERS = 100_000
SEED = 20_231_115
SIDE_BY_SIDE = 96
DEADLINE = 1.0
LARGEST = 300_000
RUN = 500
FAR = 1 << 40

# Nothing here waits for a clock: what is tried is what answers mean, not how fast calls may be repeated.
POLICY = Policy(
    linger=0.0,
    batch_events=4,
    backoff=Backoff(0.001, 0.002),
    retry_share=1.0,
    retry_floor=1e6,
    breaker_failures=1 << 40,
    probe_interval=0.001,
    brake=BrakeLimits(1 << 40, 1.0, 1 << 40),
    span=FAR,
    metadata_bytes=FAR,
)


class Storm:
    """The server's process; what it saw is known once it was told to end."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.suprsend.storm_server", str(SEED), str(ANSWERS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/"
        return self

    def report(self) -> dict[str, Any]:
        out, _ = self._process.communicate(timeout=120)
        found: dict[str, Any] = json.loads(out)
        return found

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(120)


class Driver:
    """What the road does: records in, calls out, answers and acknowledgements back, as fast as it goes."""

    def __init__(self, url: str) -> None:
        endpoint = Endpoint(base_url=url, deadline=DEADLINE, max_answer_bytes=LARGEST, max_connections=SIDE_BY_SIDE)
        shown = Bearer("token", "workspaceUidOfTests0123")
        self.transport = CurlTransport(endpoint, lambda: shown)
        rules = WordRules()
        now = time.monotonic()
        self.delivery = Delivery(POLICY, rules, make_judge(), Budget(1 << 40), Random(SEED), now, version="1")
        self.delivery.admission.limit = Limit(SIDE_BY_SIDE, SIDE_BY_SIDE, lowest=SIDE_BY_SIDE)
        self.fed = 0
        self.watermark = 0
        self.dead: set[int] = set()
        self.answers = 0
        self.late: list[float] = []
        self.held = 0
        self.unsure: set[str] = set()
        """Keys of calls that had no answer in time: what came too late was not read."""
        self._out: dict[int, tuple[float, bytes]] = {}
        self._inbox: list[Intake] = [Assigned("t", 0, 1, Start(0)), SendLimitCommitted("t", 0, 1, FAR)]

    def turn(self, *, feed: bool) -> None:
        """One turn of the road."""
        delivery, transport = self.delivery, self.transport
        at = delivery.wake_at(time.monotonic())
        replies = transport.poll(
            0.0 if self._inbox else 0.05 if at is None else min(0.05, max(0.0, at - time.monotonic()))
        )
        now, now_ms = time.monotonic(), time.time_ns() // 1_000_000
        for number, reply in replies:
            self.answers += 1
            began, sent = self._out.pop(number)
            if now - began > DEADLINE + 1:
                self.late.append(now - began)
            if reply.error == "timeout":
                self.unsure.update(json_keys(sent))
            delivery.answered(number, reply, now, now_ms)
        self.held = max(self.held, transport._budget.held)
        if feed and len(delivery.parts["t", 0].lanes.unsent if delivery.parts else ()) < RUN:
            self._inbox.append(Records("t", 0, 1, [self._record() for _ in range(RUN)]))
        items, self._inbox = self._inbox, []
        delivery.take(items, now, now_ms)
        for number, body in delivery.starts(now, now_ms):
            transport.start(number, body)
            self._out[number] = now, body
        self._pass_on(now)

    def _record(self) -> PlainRecord:
        self.fed += 1
        return PlainRecord("t", 0, self.fed - 1, b"e", key=b"k%d" % (self.fed % 991), timestamp=1_700_000_000_000)

    def _pass_on(self, now: float) -> None:
        orders = self.delivery.orders(now)
        for order in orders:
            if isinstance(order, DeadLetter):
                self.dead.add(order.record.offset())
                self._inbox.append(DeadLetterWritten(order.ticket, None))
            elif isinstance(order, Progress):
                assert order.watermark >= self.watermark
                self.watermark = order.watermark
            elif isinstance(order, CommitSendLimit):
                send_limit = FAR if order.last is None else order.last
                self._inbox.append(SendLimitCommitted("t", 0, 1, send_limit, order.number))
        orders.clear()


def json_keys(body: bytes) -> list[str]:
    """The keys of a call's events."""
    return [event["$idempotency_key"] for event in json.loads(body)]


def _key(offset: int) -> str:
    (event,) = WordRules().mapper("t")(PlainRecord("t", 0, offset, b"e", timestamp=1_700_000_000_000))
    return event.key  # type: ignore[union-attr]


def test_a_storm_of_a_hundred_thousand_answers() -> None:
    """Of 100,000 answers none is a false success, nothing accepted goes out again, no attempt outlives its deadline."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Storm() as storm:
        driver = Driver(storm.url)
        while driver.answers < ANSWERS:
            driver.turn(feed=True)
        until = time.monotonic() + 120
        while driver.watermark < driver.fed and time.monotonic() < until:
            driver.turn(feed=False)
        assert driver.watermark == driver.fed, "what was read did not all end"
        assert driver.transport._budget.held == 0
        driver.transport.close()
        report = storm.report()
    keys = {offset: _key(offset) for offset in range(driver.fed)}
    delivered = {key for offset, key in keys.items() if offset not in driver.dead}
    assert delivered <= set(report["accepted"]), "false successes"
    assert {keys[offset] for offset in driver.dead} <= set(report["refused"]), "wrongly dead-lettered"
    assert set(report["repeats"]) <= driver.unsure, "accepted events were sent again"
    assert report["changed"] == []
    assert driver.late == []
    assert len(report["ways"]) >= 15
    assert driver.held <= 2 * LARGEST + SIDE_BY_SIDE * SMALL_ANSWER_BYTES
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < 150_000, f"{grown} KiB"
