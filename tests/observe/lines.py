"""Log lines of tests, held against the table of events."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from bridge.delivery.journal import Journal
from bridge.observe.events import EVENTS
from bridge.observe.logs import Logs
from bridge.observe.redact import Redactor
from bridge.service.log_lines import LogLines

Lines = list[dict[str, Any]]
ALWAYS = {"time", "level", "event"}


class Written:
    """A log into a file, and what tells it of journals."""

    def __init__(self, folder: Path, *journals: Journal, **redact: Any) -> None:
        self._file = folder / "log"
        self._out = self._file.open("wb")
        self.logs = Logs(descriptor=self._out.fileno(), form="json", redactor=Redactor(**redact))
        self.log_lines = LogLines(self.logs, journals)

    def lines(self) -> Lines:
        """End the log; every line of it."""
        self.log_lines.log_journals(last=True)
        self.logs.close()
        self._out.close()
        return [json.loads(line) for line in self._file.read_bytes().splitlines()]


def wrong_with(line: dict[str, Any]) -> str | None:
    """What is not as the table says."""
    known = EVENTS.get(line["event"])
    if known is None:
        return f"{line['event']} is not in the table"
    more = line.keys() - ALWAYS - set(known.facts)
    return f"{line['event']} has {sorted(more)}, which the table does not list" if more else None


def shows(shown: set[str], *names: str) -> Callable[[Callable[..., Lines]], Callable[..., None]]:
    """A test that returns lines, in which each of the named events must be and nothing that is not in the table."""
    shown.update(names)

    def of(test: Callable[..., Lines]) -> Callable[..., None]:
        @wraps(test)
        def checked(*args: Any, **more: Any) -> None:
            lines = test(*args, **more)
            assert set(names) <= {line["event"] for line in lines}, [line["event"] for line in lines]
            assert [found for line in lines if (found := wrong_with(line))] == []

        return checked

    return of
