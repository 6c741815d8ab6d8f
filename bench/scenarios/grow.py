"""Many partitions: a second process joins, 5,000 of them idle and in a trickle, four processes restarted in turn."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Self
from urllib.request import urlopen

from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from bench.bridges import Bridge, settings
from bench.processes import stop, until, usage
from bench.records import order
from bench.scenarios.scenario import Found
from bench.world import World
from bridge.jsontext import dumps
from tests.brokers.real import RealKafka

Name = tuple[str, int]
PER_SECOND: Final = 1_000
ROLLING_PER_SECOND: Final = 20_000
PROCESSES: Final = 4
JOIN: Final = (2_000, 20)
WIDE: Final = (5_000, 300)
ROLLING: Final = (64, 4)
_SETTLE: Final = 5.0
_READ: Final = 120.0
_WATCHED: Final = 10.0
_RECORD: Final = b'{"status":"success","status_code":202,"message_id":"01234567-89ab-4cde-8f01-23456789abcd"}'
_IDS: Final = re.compile(rb'"order_id":"([^"]+)"')


@dataclass(slots=True)
class Watch:
    """A SuprSend that accepts everything, and knows when each event came and of which partition. A context manager."""

    url: str = ""
    seen: list[tuple[float, str]] = field(default_factory=list)
    _ready: threading.Event = field(default_factory=threading.Event)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True).start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                ids = _IDS.findall(await reader.readexactly(int(size[1]) if size else 0))
                now = time.monotonic()
                self.seen += [(now, each.decode()) for each in ids]
                body = b'{"status":"success","records":[' + b",".join([_RECORD] * len(ids)) + b"]}"
                head = b"HTTP/1.1 207 Multi-Status\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Steady:
    """Writes records at an even pace to each partition in turn. A context manager; `made` has when each was in Kafka."""

    def __init__(self, kafka: RealKafka, parts: Sequence[Name], per_second: int) -> None:
        self.made: dict[str, float] = {}
        self._parts = parts
        self._per_second = per_second
        conf = {"bootstrap.servers": kafka.bootstrap, "linger.ms": 2, "log_level": 0}
        self._producer = Producer({**conf, "queue.buffering.max.messages": 500_000})
        self._template = order(1, Random(1))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._producer.flush(60):
            raise RuntimeError("not every record was written")

    def _run(self) -> None:
        begun, number, template = time.monotonic(), 0, self._template
        while not self._stop.wait(0.005):
            due = int((time.monotonic() - begun) * self._per_second)
            while number < due:
                topic, partition = self._parts[number % len(self._parts)]
                name = f"{topic}:{partition}:{number}"
                value = dumps({**template, "id": name})
                self._producer.produce(topic, value, b"k%d" % (number % 1_000), partition, self._noted(name))
                number += 1
            self._producer.poll(0)

    def _noted(self, name: str) -> Callable[[object, object], None]:
        return lambda *_: self.made.__setitem__(name, time.monotonic())


def _topics(kafka: RealKafka, partitions: int, topics: int) -> tuple[list[str], list[Name]]:
    """So many topics with so many partitions in all; those that are there already are kept."""
    known = kafka.admin.list_topics(timeout=60).topics
    counts = {
        f"bench-orders-grow-{partitions}-{number}": partitions // topics + (number < partitions % topics)
        for number in range(topics)
    }
    new = [NewTopic(name, count, replication_factor=1) for name, count in counts.items() if name not in known]
    for at in range(0, len(new), 20):
        for future in kafka.admin.create_topics(new[at : at + 20], operation_timeout=60).values():
            future.result(120)
    return list(counts), [(name, number) for name, count in counts.items() for number in range(count)]


def _owned(bridge: Bridge) -> set[Name]:
    return {(each["topic"], each["partition"]) for each in bridge.status()["partitions"]}


def _name_of(event: str) -> Name:
    topic, partition, _ = event.split(":")
    return topic, int(partition)


def _oldest(watch: Watch, made: dict[str, float], parts: set[Name], since: float) -> float:
    """How many seconds a record of these partitions took at most, from Kafka to the API: so long nothing went out."""
    seen = [(at, event) for at, event in list(watch.seen) if at >= since and _name_of(event) in parts]
    return max(at - made[event] for at, event in seen if event in made)


def _commits(bridge: Bridge) -> float:
    """Offsets that it has written so far."""
    with urlopen(bridge.admin + "/metrics", timeout=30) as answer:
        found = re.search(r'(?m)^bridge_commits_total\{result="ok"\} (\S+)$', answer.read().decode())
    return float(found[1]) if found else 0.0


def _all_read(bridges: Sequence[Bridge], parts: Sequence[Name]) -> None:
    """Wait until the processes have all partitions, each about as many, and then until that is an old story."""
    share = len(parts) // len(bridges)

    def shared() -> bool:
        owned = [_owned(each) for each in bridges]
        return sum(map(len, owned)) == len(parts) and min(map(len, owned)) >= share - 1

    until(shared, _READ, f"{len(bridges)} processes read all partitions", every=0.1)


@contextmanager
def _bare(world: World, topics: Sequence[str], group: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.bare", "--bootstrap", world.kafka.bootstrap, "--group", group]
    process = subprocess.Popen([*command, *more, *topics], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        stop(process, 30)


def _assigned(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if not process.stdout.readline().startswith("assigned"):
        raise RuntimeError("the bare consumer ended")


def _refused(world: World, topics: Sequence[str]) -> float:
    """The longest time for which the brokers answered no commit of a bare consumer, when a second one joined it."""
    group = world.group()
    with _bare(world, topics, group, "--commits") as first:
        _assigned(first)
        time.sleep(_SETTLE)
        with _bare(world, topics, group) as second:
            _assigned(second)
            time.sleep(_SETTLE)
            first.terminate()
        assert first.stdout is not None
        silent = [float(line.split()[1]) for line in first.stdout if line.startswith("silent")]
    return max(silent, default=0.0)


def join(world: World) -> Found:
    """A second process joins one that reads 2,000 partitions: for how long nothing comes of those that stay."""
    topics, parts = _topics(world.kafka, *JOIN)
    refused = _refused(world, topics)
    with Watch() as watch, ExitStack() as stack:
        chosen = settings(world.kafka, watch, topics, world.group(), {"kafka": {"start_from": "latest"}})
        begun = time.monotonic()
        first = stack.enter_context(Bridge(world.folder, chosen, name="first"))
        _all_read([first], parts)
        world.facts["assigned_after_seconds"] = round(time.monotonic() - begun, 1)
        steady = stack.enter_context(Steady(world.kafka, parts, PER_SECOND))
        time.sleep(_SETTLE)
        before, made = _commits(first), len(steady.made)
        time.sleep(_WATCHED)
        world.facts["writes_per_record"] = round((_commits(first) - before) / (len(steady.made) - made), 2)
        since = time.monotonic()
        second = stack.enter_context(Bridge(world.folder, chosen, name="second"))
        _all_read([first, second], parts)
        time.sleep(_SETTLE)
        stay = _owned(first)
        silence = _oldest(watch, steady.made, stay, since)
    world.facts["silent_seconds"] = round(silence, 2)
    world.facts["bare_consumer_refused_seconds"] = round(refused, 2)
    return Found(
        f"a second process joins {len(parts):,} partitions: nothing for {silence:.2f} s of those that stay; the brokers "
        f"answer no commit of a bare consumer for {refused:.2f} s; {world.facts['writes_per_record']} writes a record"
    )


def _share(pid: int, seconds: float) -> float:
    before = usage(pid)
    time.sleep(seconds)
    after = usage(pid)
    return (after.cpu_seconds - before.cpu_seconds) / (after.at - before.at)


def wide(world: World) -> Found:
    """5,000 partitions of 300 topics, idle and in a trickle, beside a bare consumer of the same, in turns."""
    topics, parts = _topics(world.kafka, *WIDE)
    seconds = float(world.records)
    shares: dict[str, list[float]] = {}

    def watched(name: str, pid: int) -> None:
        time.sleep(_SETTLE)
        shares.setdefault(f"{name}, idle", []).append(_share(pid, seconds))
        with Steady(world.kafka, parts, PER_SECOND):
            time.sleep(_SETTLE)
            shares.setdefault(f"{name}, {PER_SECOND:,} records/s", []).append(_share(pid, seconds))

    with Watch() as watch:
        for _ in range(world.rounds):
            with _bare(world, topics, world.group()) as bare:
                _assigned(bare)
                watched("bare", bare.pid)
            chosen = settings(world.kafka, watch, topics, world.group(), {"kafka": {"start_from": "latest"}})
            begun = time.monotonic()
            with Bridge(world.folder, chosen) as bridge:
                _all_read([bridge], parts)
                world.facts["assigned_after_seconds"] = round(time.monotonic() - begun, 1)
                watched("bridge", bridge.pid)
                world.facts |= _looked_at(bridge)
                world.facts["peak_mib"] = round(bridge.usage().peak_mib)
    lows = {name: min(each) for name, each in shares.items()}
    world.facts["shares_of_a_core"] = {name: round(share, 3) for name, share in lows.items()}
    idle = lows["bridge, idle"] / lows["bare, idle"]
    busy = lows[f"bridge, {PER_SECOND:,} records/s"] / lows[f"bare, {PER_SECOND:,} records/s"]
    return Found(
        f"{len(parts):,} partitions of {len(topics)} topics: assigned after {world.facts['assigned_after_seconds']} s; "
        f"{idle:.2f} times a bare consumer's CPU idle, {busy:.2f} times at {PER_SECOND:,} records/s"
    )


def _looked_at(bridge: Bridge) -> dict[str, Any]:
    """How large the status is, and how long it takes: whole, as the page asks for it, and the metrics."""
    found: dict[str, Any] = {}
    for name, path in (("status", "/status"), ("page", "/status?partitions=100"), ("metrics", "/metrics")):
        begun = time.monotonic()
        with urlopen(bridge.admin + path, timeout=30) as answer:
            size = len(answer.read())
        found[name] = f"{size // 1024:,} KiB in {1000 * (time.monotonic() - begun):.0f} ms"
    return found


def rolling(world: World) -> Found:
    """Four processes at 20,000 records a second, restarted in turn: for how long nothing comes of what stays."""
    topics, parts = _topics(world.kafka, *ROLLING)
    silences: list[float] = []
    with Watch() as watch, ExitStack() as stack:
        chosen = settings(world.kafka, watch, topics, world.group(), {"kafka": {"start_from": "latest"}})
        names = [f"member-{number}" for number in range(PROCESSES)]
        members = {name: Bridge(world.folder, chosen, name=name) for name in names}
        for each in members.values():
            stack.enter_context(each)
        _all_read(list(members.values()), parts)
        steady = stack.enter_context(Steady(world.kafka, parts, world.records))
        time.sleep(_SETTLE)
        for name in names:
            others = [each for each in members if each != name]
            before = {each: _owned(members[each]) for each in others}
            since = time.monotonic()
            members[name].__exit__(None, None, None)
            members[name].__enter__()
            _all_read(list(members.values()), parts)
            time.sleep(_SETTLE)
            stay = [before[each] & _owned(members[each]) for each in others]
            silences += [_oldest(watch, steady.made, each, since) for each in stay if each]
        count, took = len(watch.seen), watch.seen[-1][0] - watch.seen[0][0]
    world.facts["silent_seconds"] = [round(each, 2) for each in silences]
    world.facts["events_per_second"] = round(count / took)
    return Found(f"{PROCESSES} processes restarted in turn: nothing for {max(silences):.2f} s of partitions that stay")
