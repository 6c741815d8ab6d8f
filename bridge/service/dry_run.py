"""A dry run's other side: takes every call as SuprSend would, on this machine, and keeps a few events to show."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Final

from bridge.flow import Reply
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
        self.last: Snapshot | None = None
        """What was left behind when it ended in order."""
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
