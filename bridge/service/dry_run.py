"""A dry run: what takes its calls, as SuprSend would, on this machine; when it has seen enough; and what it shows at its end."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from bridge.flow import EVERY_RECORD, Reply
from bridge.jsontext import dumps, loads
from bridge.observe.snapshot import Snapshot

MOST_SHOWN: Final = 3
"""Events kept of each name."""
MOST_NAMES: Final = 100
_ACCEPTED: Final = {"status": "success", "status_code": 202}


class DryTransport:
    """Implements `flow.Transport` without a network. `wake` may be called by any thread, the rest by one."""

    def __init__(self) -> None:
        self._answers: deque[tuple[int, Reply]] = deque()
        self._news = threading.Event()
        self.events: Counter[str] = Counter()
        """Events that would have been sent, by name."""
        self.shown: dict[str, list[bytes]] = {}
        """The first events of each name, as they would have been sent."""

    def start(self, call: int, body: bytes) -> None:
        """Take one call."""
        events = loads(body)
        for event in events:
            self._keep(event)
        answer = dumps({"status": "success", "records": [_ACCEPTED] * len(events)})
        self._answers.append((call, Reply(207, None, None, answer, applied=True, seconds=0.0)))

    def _keep(self, event: dict[str, object]) -> None:
        name = str(event.get("event"))
        self.events[name] += 1
        if len(self.shown) < MOST_NAMES or name in self.shown:
            shown = self.shown.setdefault(name, [])
            if len(shown) < MOST_SHOWN:
                shown.append(dumps(event))

    def poll(self, seconds: float) -> list[tuple[int, Reply]]:
        """Every call that was started has its answer; else wait for `wake` or so long."""
        if not self._answers:
            self._news.wait(seconds)
        self._news.clear()
        answers = list(self._answers)
        self._answers.clear()
        return answers

    def wake(self) -> None:
        """Make `poll` return."""
        self._news.set()

    def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True)
class DryRun:
    """What a dry run was asked for, and what it saw. The main thread's."""

    seconds: float = inf
    """It ends so long after its start."""
    records: int = EVERY_RECORD
    """It ends when so many have an outcome, and reads no more."""
    transport: DryTransport = field(default_factory=DryTransport)
    held: Snapshot | None = None
    """Before it was told to end: at its end it holds no partition."""
    last: Snapshot | None = None
    """At its end."""

    def enough(self, seen: Snapshot, seconds: float) -> bool:
        """Whether it has run for so long, or seen so many records, as it was asked for."""
        return seconds >= self.seconds or sum(seen.finished().values()) >= self.records

    def summary(self) -> Iterator[str]:
        """What was read and what would have been sent; with a few events, since they were asked for."""
        last = self.last
        if last is None:
            return
        yield ""
        yield "dry run: nothing was sent, committed or dead-lettered"
        seen = self.held or last
        if not seen.partitions:
            yield f"  no partition was read: {_why_none(seen)}"
        for topic in (view.topic for view in last.topics):
            counted = last.counted(topic)
            ends = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(counted.finished.items()) if count)
            yield f"  {topic}: {counted.consumed} records read" + (f": {ends}" if ends else "")
        for rule in last.rule_views():
            accepted = sorted((name, n) for (name, result), n in rule.events.items() if result == "accepted")
            yield from (f"  {rule.name} → {name}: {n}" for name, n in accepted)
            yield from (f"  {rule.name} fails with {code}: {n}" for code, n in sorted(rule.errors.items()))
        for name, bodies in sorted(self.transport.shown.items()):
            yield ""
            yield f"{name}, {len(bodies)} of {self.transport.events[name]}:"
            yield from (f"  {body.decode()}" for body in bodies)


def _why_none(seen: Snapshot) -> str:
    state = seen.kafka.state
    if state.trouble is not None:
        return state.trouble
    if not state.joined:
        return "it had not joined its group yet; let it run for longer"
    return f"other members of the group {seen.kafka.group}.dry-run have them all; end those dry runs first"
